//! GOPROXY: the chain of places a module is asked for (modfetch/proxy.go, `proxyList`).

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::error::Error;
use crate::go_url::GoUrl;
use crate::redact::{RedactedUrl, redact_text};

/// The entries of GOPROXY in the order they are tried. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyList {
    /// What is tried, in order.
    pub entries: Vec<Entry>,
    /// Entries behind `direct` or `off`, without their passwords. Go never reads them, not even to
    /// check them.
    pub unreachable: Vec<String>,
}

/// One place, and when the next one is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where to ask.
    pub target: Target,
    /// Which failure leads on to the next entry.
    pub fallback: Fallback,
}

/// Where a module is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A server (or, with `file://`, a directory) that speaks the GOPROXY protocol.
    Url(RedactedUrl),
    /// The module's own version control repository. Ends the list.
    Direct,
    /// Nowhere: the network is not to be used. Ends the list.
    Off,
}

/// Which failure of an entry leads on to the next one: the separator behind the entry says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// A comma, or nothing: only "there is no such module", that is 404 or 410.
    OnAbsent,
    /// A bar: any failure.
    OnAny,
}

impl ProxyList {
    /// Reads a GOPROXY value. The first bad entry makes the whole list bad, as in Go.
    pub fn parse(setting: &str) -> Result<Self, Error> {
        let mut entries = Vec::new();
        let mut rest = setting;
        while let Some((text, fallback, behind)) = next_entry(rest) {
            rest = behind;
            let word = Word::parse(text)?;
            let ends_list = !matches!(word, Word::Url(_));
            entries.push((
                word,
                if ends_list {
                    Fallback::OnAbsent
                } else {
                    fallback
                },
            ));
            if ends_list {
                break;
            }
        }
        if entries.is_empty() {
            return Err(Error::GoproxyEmpty);
        }
        let unreachable = std::iter::from_fn(|| {
            let (text, _, behind) = next_entry(rest)?;
            rest = behind;
            Some(redact_text(text))
        });
        Ok(Self {
            unreachable: unreachable.collect(),
            // Only now, because Go complains about any malformed entry before it tries the first one.
            entries: entries
                .into_iter()
                .map(|(word, fallback)| {
                    Ok(Entry {
                        target: word.into_target()?,
                        fallback,
                    })
                })
                .collect::<Result<_, Error>>()?,
        })
    }

    /// The servers of the list, in order.
    pub fn urls(&self) -> impl Iterator<Item = &RedactedUrl> {
        self.entries.iter().filter_map(|entry| match &entry.target {
            Target::Url(url) => Some(url),
            Target::Direct | Target::Off => None,
        })
    }
}

/// The next entry that is not blank, what its separator means, and the text behind.
fn next_entry(mut rest: &str) -> Option<(&str, Fallback, &str)> {
    while !rest.is_empty() {
        let (text, fallback) = match rest.find([',', '|']) {
            Some(end) => {
                let (text, behind) = rest.split_at(end);
                let fallback = if behind.starts_with('|') {
                    Fallback::OnAny
                } else {
                    Fallback::OnAbsent
                };
                rest = behind.get(1..).unwrap_or_default();
                (text, fallback)
            }
            None => (std::mem::take(&mut rest), Fallback::OnAbsent),
        };
        let text = text.trim();
        if !text.is_empty() {
            return Some((text, fallback, rest));
        }
    }
    None
}

/// An entry that Go accepts.
enum Word {
    Url(GoUrl),
    Direct,
    Off,
}

impl Word {
    fn parse(entry: &str) -> Result<Self, Error> {
        match entry {
            "off" => return Ok(Self::Off),
            "direct" => return Ok(Self::Direct),
            _ => {}
        }
        let url = if lacks_scheme(entry) {
            GoUrl::parse(&format!("https://{entry}"))?
        } else {
            GoUrl::parse(entry)?
        };
        let entry = || url.to_string();
        match url.scheme() {
            "http" | "https" => Ok(Self::Url(url)),
            "file" if url.is_scheme_and_path() => Ok(Self::Url(url)),
            "file" => Err(Error::GoproxyFileElements { entry: entry() }),
            "" => Err(Error::GoproxyMissingScheme { entry: entry() }),
            _ => Err(Error::GoproxyScheme { entry: entry() }),
        }
    }

    fn into_target(self) -> Result<Target, Error> {
        match self {
            Self::Url(url) => url.to_url().map(|url| Target::Url(RedactedUrl::new(url))),
            Self::Direct => Ok(Target::Direct),
            Self::Off => Ok(Target::Off),
        }
    }
}

/// Single words are reserved for Go's own use; text with `:/` and absolute paths have to be
/// complete URLs. Everything else is an `https` host.
fn lacks_scheme(entry: &str) -> bool {
    entry.contains(['.', ':', '/'])
        && !entry.contains(":/")
        && !entry.starts_with('/')
        && !Path::new(entry).is_absolute()
}

impl FromStr for ProxyList {
    type Err = Error;

    fn from_str(setting: &str) -> Result<Self, Error> {
        Self::parse(setting)
    }
}

impl fmt::Display for ProxyList {
    /// GOPROXY syntax, without passwords and without what Go never reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for entry in &self.entries {
            write!(f, "{separator}{}", entry.target)?;
            separator = match entry.fallback {
                Fallback::OnAbsent => ",",
                Fallback::OnAny => "|",
            };
        }
        Ok(())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Direct => f.write_str("direct"),
            Self::Off => f.write_str("off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(setting: &str) -> String {
        match ProxyList::parse(setting) {
            Ok(list) => list.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn lists_are_read_as_go_reads_them() {
        let rows = [
            (
                "https://proxy.golang.org,direct",
                "https://proxy.golang.org/,direct",
            ),
            ("https://a/x|https://b/|off", "https://a/x|https://b/|off"),
            (" https://a/ , direct ", "https://a/,direct"),
            (",,https://a/,|,direct", "https://a/,direct"),
            ("https://a/|,direct", "https://a/|direct"),
            ("direct", "direct"),
            ("off", "off"),
            ("direct,https://a/", "direct"),
            ("off,foo", "off"),
            ("\u{a0}direct\u{3000}", "direct"),
            (
                "goproxy.example.com/path",
                "https://goproxy.example.com/path",
            ),
            ("localhost:3000", "https://localhost:3000/"),
            ("host/path", "https://host/path"),
            ("https;//a", "https://https;//a"),
            ("HTTP://A/", "http://a/"),
            ("file:///srv/cache", "file:///srv/cache"),
            ("file://", "file:///"),
            ("https://u:p@host/x", "https://u:xxxxx@host/x"),
            ("u:p@host", "https://u:xxxxx@host/"),
            ("https://host/?q=1#f", "https://host/?q=1#f"),
        ];
        for (setting, expected) in rows {
            assert_eq!(shown(setting), expected, "{setting:?}");
        }
    }

    #[test]
    fn bad_lists_are_refused_in_the_words_of_go() {
        let rows = [
            (
                "",
                "GOPROXY list is not the empty string, but contains no entries",
            ),
            (
                " , |",
                "GOPROXY list is not the empty string, but contains no entries",
            ),
            ("foo", "invalid proxy URL missing scheme: foo"),
            ("Direct", "invalid proxy URL missing scheme: Direct"),
            ("https://a,none", "invalid proxy URL missing scheme: none"),
            ("/srv/cache", "invalid proxy URL missing scheme: /srv/cache"),
            (
                "ftp://host/x",
                "invalid proxy URL scheme (must be https, http, file): ftp://host/x",
            ),
            (
                "ssh://u:secret@host",
                "invalid proxy URL scheme (must be https, http, file): ssh://u:xxxxx@host",
            ),
            (
                "file://host/srv",
                "invalid file:// proxy URL with non-path elements: file://host/srv",
            ),
            (
                "file:/srv",
                "invalid file:// proxy URL with non-path elements: file:/srv",
            ),
            (
                "file:///srv?x",
                "invalid file:// proxy URL with non-path elements: file:///srv?x",
            ),
            (
                "https:foo",
                r#"parse "https://https:foo": invalid port ":foo" after host"#,
            ),
            (
                "https://a b",
                r#"parse "https://a b": invalid character " " in host name"#,
            ),
            (
                "https://u:secret@host:x",
                r#"parse "https://xxxxx@host:x": invalid port "xxxxx" after host"#,
            ),
            ("http:/host,foo", "invalid proxy URL missing scheme: foo"),
            (
                "http:/host",
                "no request can be sent to http:/host: no Host in request URL",
            ),
        ];
        for (setting, expected) in rows {
            assert_eq!(shown(setting), format!("error: {expected}"), "{setting:?}");
        }
    }

    #[test]
    fn the_separator_behind_an_entry_decides() {
        let list = ProxyList::parse("https://a|https://b,direct|off").unwrap();
        let fallbacks: Vec<Fallback> = list.entries.iter().map(|entry| entry.fallback).collect();
        assert_eq!(
            fallbacks,
            [Fallback::OnAny, Fallback::OnAbsent, Fallback::OnAbsent]
        );
        assert_eq!(list.urls().count(), 2);
    }

    #[test]
    fn what_stands_behind_the_end_is_told() {
        let list = ProxyList::parse("direct, https://u:p@a ,|off,word").unwrap();
        assert_eq!(list.unreachable, ["https://u:xxxxx@a", "off", "word"]);
        assert!(
            ProxyList::parse("https://a,direct")
                .unwrap()
                .unreachable
                .is_empty()
        );
    }

    #[test]
    fn debug_output_holds_no_password() {
        let shown = format!(
            "{:?}",
            ProxyList::parse("https://u:hunter2@a,direct").unwrap()
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(setting in "\\PC{0,60}") {
            let _ = ProxyList::parse(&setting);
        }

        #[test]
        fn what_is_shown_can_be_read_again(
            setting in "(https?://[a-z]{1,5}(:[0-9]{2,4})?(/[a-z.]{0,4}){0,2}[,|]){0,4}(direct|off)"
        ) {
            let list = ProxyList::parse(&setting).unwrap();
            prop_assert_eq!(ProxyList::parse(&list.to_string()).unwrap(), list);
        }
    }
}
