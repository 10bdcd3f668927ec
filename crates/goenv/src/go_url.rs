//! URLs as Go's net/url reads them.
//!
//! Go parses by RFC 3986; the `url` crate parses as browsers do. The two disagree just where users
//! make mistakes: `http:/host` is a URL without a host for Go and a good one for a browser,
//! `user:p@ss@host` and `host:port:port` differ, and so do all error messages. Settings are
//! therefore parsed by Go's rules (net/url/url.go of Go 1.26), and only what passed is turned into
//! a [`url::Url`], the type requests are made with.

mod encoding;
mod host;
mod parts;
mod userinfo;

use std::fmt;

use gomod::quote;

use crate::error::Error;
use crate::mask::mask_userinfo;
use encoding::Part;
use parts::Parts;

pub use crate::url_fault::UrlFault;

/// A URL (or reference) that Go accepts. Its `Display` and `Debug` hide a password.
#[derive(Clone, PartialEq, Eq)]
pub struct GoUrl(Parts);

impl GoUrl {
    /// Reads `text` as net/url `Parse` does.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
        let mut parts = parts::parse(before).map_err(|fault| refused(before, text, fault))?;
        if !fragment.is_empty() {
            let (escaped, _) = encoding::normalize(fragment, Part::Fragment)
                .map_err(|fault| refused(text, text, fault))?;
            parts.fragment = Some(escaped);
        }
        Ok(Self(parts))
    }

    /// Scheme in lower case, or empty.
    pub fn scheme(&self) -> &str {
        &self.0.scheme
    }

    /// Host with brackets and port as written, escapes decoded; empty when there is none.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// Host without brackets and port (URL.Hostname).
    pub fn hostname(&self) -> &str {
        host::split_port(&self.0.host).0
    }

    /// Port as written, or empty (URL.Port).
    pub fn port(&self) -> &str {
        host::split_port(&self.0.host).1
    }

    /// Path with escapes where they are needed (URL.EscapedPath).
    pub fn escaped_path(&self) -> &str {
        &self.0.path
    }

    /// What stands behind `?`; empty is not the same as none.
    pub fn query(&self) -> Option<&str> {
        self.0.query.as_deref()
    }

    /// What stands behind `#`, with escapes where they are needed.
    pub fn fragment(&self) -> Option<&str> {
        self.0.fragment.as_deref()
    }

    /// True when there is a path and nothing else behind the scheme: no host, user, query or
    /// fragment, and a `//` where a host could stand.
    pub fn is_scheme_and_path(&self) -> bool {
        self.0.userinfo.is_none()
            && self.0.host.is_empty()
            && self.0.opaque.is_empty()
            && self.0.query.is_none()
            && self.0.fragment.is_none()
            && !self.0.omits_host
    }

    /// True when there are host and path and nothing else behind the scheme, and the path is
    /// spelled in the usual way.
    pub(crate) fn is_scheme_host_and_plain_path(&self) -> bool {
        !self.0.host.is_empty()
            && !self.0.path_needs_hint
            && self.0.userinfo.is_none()
            && self.0.opaque.is_empty()
            && self.0.query.is_none()
            && self.0.fragment.is_none()
    }

    /// The same URL with another scheme.
    #[must_use]
    pub fn with_scheme(&self, scheme: &str) -> Self {
        Self(Parts {
            scheme: scheme.to_owned(),
            ..self.0.clone()
        })
    }

    /// The URL as text, password included (URL.String).
    pub fn expose(&self) -> String {
        self.assemble(false)
    }

    /// The same URL as the type that requests are made with. Fails for what only Go takes for a
    /// URL; every request to such a URL fails in Go as well.
    pub fn to_url(&self) -> Result<url::Url, Error> {
        let unreachable = |reason: String| Error::Unreachable {
            url: self.to_string(),
            reason,
        };
        if self.0.host.is_empty() && self.0.scheme != "file" {
            return Err(unreachable("no Host in request URL".to_owned()));
        }
        url::Url::parse(&self.expose()).map_err(|error| unreachable(error.to_string()))
    }

    /// An unescaped `?`, `#` or `/` in a password, or a second scheme in front, puts user
    /// information where no parser looks for it.
    fn may_hide_userinfo(&self) -> bool {
        let tail = self
            .0
            .query
            .iter()
            .chain(&self.0.fragment)
            .any(|part| part.contains('@'));
        let in_path =
            self.0.path.contains('@') && (self.0.host.is_empty() || self.0.path.starts_with("//"));
        tail || in_path || self.0.opaque.contains('@')
    }

    fn assemble(&self, redacted: bool) -> String {
        let mut text = String::new();
        if !self.0.scheme.is_empty() {
            text.push_str(&self.0.scheme);
            text.push(':');
        }
        if self.0.opaque.is_empty() {
            self.push_authority_and_path(&mut text, redacted);
        } else {
            text.push_str(&self.0.opaque);
        }
        for (mark, part) in [('?', &self.0.query), ('#', &self.0.fragment)] {
            if let Some(part) = part {
                text.push(mark);
                text.push_str(part);
            }
        }
        text
    }

    fn push_authority_and_path(&self, text: &mut String, redacted: bool) {
        let has_authority = !self.0.host.is_empty() || self.0.userinfo.is_some();
        let has_slashes = has_authority || (!self.0.scheme.is_empty() && !self.0.path.is_empty());
        if has_slashes && (has_authority || !self.0.omits_host) {
            text.push_str("//");
            if let Some(userinfo) = &self.0.userinfo {
                text.push_str(&userinfo.assemble(redacted));
                text.push('@');
            }
            text.push_str(&encoding::escape(self.0.host.as_bytes(), Part::Host));
        }
        if !self.0.path.is_empty() && !self.0.path.starts_with('/') && !self.0.host.is_empty() {
            text.push('/');
        }
        let first_segment = self.0.path.split('/').next().unwrap_or_default();
        if text.is_empty() && first_segment.contains(':') {
            text.push_str("./");
        }
        text.push_str(&self.0.path);
    }
}

impl fmt::Display for GoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.assemble(true);
        let masked = if self.may_hide_userinfo() {
            mask_userinfo(&text)
        } else {
            None
        };
        f.write_str(&masked.unwrap_or(text))
    }
}

impl fmt::Debug for GoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GoUrl({self})")
    }
}

/// Go's message names `part`. When the whole text may hold a password, that part may too, and so
/// may the piece that was found faulty.
fn refused(part: &str, text: &str, fault: UrlFault) -> Error {
    match mask_userinfo(text) {
        Some(masked) => Error::Url {
            url: quote(masked),
            fault: fault.masked(),
        },
        None => Error::Url {
            url: quote(part),
            fault,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        GoUrl::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn parts_are_told_apart_as_go_does_it() {
        let rows = [
            (
                "https://proxy.example.com",
                "https",
                "proxy.example.com",
                "",
            ),
            ("HTTP://Host:80/a%20b", "http", "Host:80", "/a%20b"),
            ("http:/host", "http", "", "/host"),
            ("mailto:x", "mailto", "", ""),
            ("host:80", "host", "", ""),
            ("https://u:p@ss@host/x", "https", "host", "/x"),
            ("//host/x", "", "host", "/x"),
            ("///x", "", "", "///x"),
            ("a/b:c", "", "", "a/b:c"),
            ("http://[::1%25eth0]:80/", "http", "[::1%eth0]:80", "/"),
            ("http://h/a b", "http", "h", "/a%20b"),
            ("http://h/%7Ex", "http", "h", "/%7Ex"),
            ("foo://a:b:1", "foo", "a:b:1", ""),
        ];
        for (text, scheme, host, path) in rows {
            let url = GoUrl::parse(text).unwrap();
            assert_eq!(
                (url.scheme(), url.host(), url.escaped_path()),
                (scheme, host, path),
                "{text}"
            );
        }
    }

    #[test]
    fn refusals_are_worded_as_in_go() {
        let rows = [
            (":x", r#"parse ":x": missing protocol scheme"#),
            (
                "1host:80",
                r#"parse "1host:80": first path segment in URL cannot contain colon"#,
            ),
            (
                "http://a b/",
                r#"parse "http://a b/": invalid character " " in host name"#,
            ),
            (
                "http://a\x7f/",
                r#"parse "http://a\x7f/": net/url: invalid control character in URL"#,
            ),
            (
                "http://h:p/",
                r#"parse "http://h:p/": invalid port ":p" after host"#,
            ),
            (
                "http://a:1:2/",
                r#"parse "http://a:1:2/": invalid port ":1:2" after host"#,
            ),
            (
                "http://h/%zz",
                r#"parse "http://h/%zz": invalid URL escape "%zz""#,
            ),
            (
                "http://%41/",
                r#"parse "http://%41/": invalid URL escape "%41""#,
            ),
            (
                "http://[::1/",
                r#"parse "http://[::1/": missing ']' in host"#,
            ),
            (
                "http://x[::1]/",
                r#"parse "http://x[::1]/": invalid IP-literal"#,
            ),
            (
                "http://[1.2.3.4]/",
                r#"parse "http://[1.2.3.4]/": invalid IP-literal"#,
            ),
            (
                "http://h/#%",
                r#"parse "http://h/#%": invalid URL escape "%""#,
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(fault(text), expected);
        }
    }

    #[test]
    fn passwords_do_not_show() {
        let url = GoUrl::parse("https://user:hunter2@host/x").unwrap();
        assert_eq!(url.to_string(), "https://user:xxxxx@host/x");
        assert_eq!(format!("{url:?}"), "GoUrl(https://user:xxxxx@host/x)");
        assert_eq!(url.expose(), "https://user:hunter2@host/x");
        assert_eq!(
            GoUrl::parse("https://token@host").unwrap().to_string(),
            "https://xxxxx@host"
        );
        assert!(!fault("https://user:hunter2@host:x").contains("hunter2"));
        assert!(!fault("https://user:hun/ter2@host:x").contains("hun"));
    }

    #[test]
    fn only_urls_with_a_host_can_be_requested() {
        assert_eq!(
            GoUrl::parse("https://h:8443/p/")
                .unwrap()
                .to_url()
                .unwrap()
                .as_str(),
            "https://h:8443/p/"
        );
        for text in ["http:/host", "https://", "http:opaque", "https://:80"] {
            let url = GoUrl::parse(text).unwrap();
            assert!(
                matches!(url.to_url(), Err(Error::Unreachable { .. })),
                "{text}"
            );
        }
    }
}
