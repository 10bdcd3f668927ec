//! Settings without their secrets, for people and logs.

use std::fmt;

use crate::go_url::GoUrl;
use crate::mask::mask_userinfo;

/// A URL whose `Display` and `Debug` hide the password. [`Self::as_url`] has it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RedactedUrl(url::Url);

impl RedactedUrl {
    /// Wraps a URL.
    pub fn new(url: url::Url) -> Self {
        Self(url)
    }

    /// The URL, password included.
    pub fn as_url(&self) -> &url::Url {
        &self.0
    }

    /// The URL, password included.
    pub fn into_url(self) -> url::Url {
        self.0
    }
}

impl From<url::Url> for RedactedUrl {
    fn from(url: url::Url) -> Self {
        Self(url)
    }
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_entry(self.0.as_str()))
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedactedUrl({self})")
    }
}

/// `setting` with the user information of every URL in it replaced by `xxxxx`.
///
/// It works on lists (`,`, `|`, blanks between the URLs), on entries without a scheme, and on text
/// that no parser accepts: when in doubt, it hides more.
pub fn redact_text(setting: &str) -> String {
    let mut redacted = String::with_capacity(setting.len());
    let mut rest = setting;
    while let Some(end) = rest.find(is_separator) {
        let (entry, behind) = rest.split_at(end);
        redacted.push_str(&redact_entry(entry));
        let mut separator = behind.chars();
        redacted.extend(separator.next());
        rest = separator.as_str();
    }
    redacted.push_str(&redact_entry(rest));
    redacted
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || c == ',' || c == '|'
}

/// The same for a text that is one URL, whatever characters it holds.
pub(crate) fn redact_entry(entry: &str) -> String {
    match GoUrl::parse(entry) {
        Ok(url) if entry.contains("://") => {
            let shown = url.to_string();
            if shown == url.expose() {
                entry.to_owned()
            } else {
                shown
            }
        }
        _ => mask_userinfo(entry).unwrap_or_else(|| entry.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_lose_their_password_only() {
        let rows = [
            ("https://h/p", "https://h/p"),
            ("https://h/@view/", "https://h/@view/"),
            ("https://u:p@h/p", "https://u:xxxxx@h/p"),
            ("https://token@h", "https://xxxxx@h"),
            (
                "https://u:p@h,https://v:q@i|direct",
                "https://u:xxxxx@h,https://v:xxxxx@i|direct",
            ),
            (
                "name+hash+key https://u:p@h",
                "name+hash+key https://u:xxxxx@h",
            ),
            ("https://u:p@h/@view/x", "https://u:xxxxx@h/@view/x"),
            ("https://u:p?w@h", "https://xxxxx@h"),
            ("http://https://u:p@h", "http://xxxxx@h"),
            ("u:p@h:8080", "u:xxxxx@h:8080"),
            ("https://u:p/w@h", "https://xxxxx@h"),
            ("-mod=mod", "-mod=mod"),
            ("git /home/me", "git /home/me"),
            ("m@v1.0.0", "m@v1.0.0"),
        ];
        for (setting, expected) in rows {
            assert_eq!(redact_text(setting), expected);
        }
    }

    #[test]
    fn a_redacted_url_still_has_its_password() {
        let url = RedactedUrl::new(url::Url::parse("https://u:p@h/x").unwrap());
        assert_eq!(url.to_string(), "https://u:xxxxx@h/x");
        assert_eq!(format!("{url:?}"), "RedactedUrl(https://u:xxxxx@h/x)");
        assert_eq!(url.as_url().password(), Some("p"));
    }

    proptest! {
        #[test]
        fn no_password_survives(
            start in "[a-zA-Z0-9!%/:?#]{0,6}",
            end in "[a-zA-Z0-9!%/:?#@]{0,6}",
            before in prop_oneof![Just(""), Just("https://a,"), Just("x|"), Just("http://")],
        ) {
            // `https://user:12/...` is a port and a path to every parser.
            let port = start.split_once('/').map(|(port, _)| port);
            prop_assume!(!port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit())));
            let redacted = redact_text(&format!("{before}https://user:{start}SECRET{end}@host/p"));
            prop_assert!(!redacted.contains("SECRET"), "{}", redacted);
        }
    }
}
