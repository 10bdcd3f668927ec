//! GOAUTH: how the `go` command gets credentials (cmd/go/internal/auth, `go help goauth`).

use std::path::PathBuf;

use goenv::netrc::Secret;
use reqwest::header::{HeaderName, HeaderValue};

use crate::keyring::of_header;
use crate::options::Credentials;

/// The parsed setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoAuth {
    methods: Vec<Method>,
}

/// One entry of GOAUTH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Netrc,
    /// `git credential fill` in this directory.
    Git(PathBuf),
    Command(Vec<String>),
}

/// Why a setting cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoAuthError {
    /// Nothing between two semicolons.
    #[error("GOAUTH encountered an empty command")]
    Empty,
    /// `off` beside others.
    #[error("GOAUTH=off cannot be combined with other authentication commands")]
    Off,
    /// `git` without a directory, or with one that is not absolute.
    #[error("GOAUTH=git dir method requires an absolute path to the git working directory")]
    Directory,
    /// A quotation mark without its other half.
    #[error("cannot parse GOAUTH command {command}: unterminated {quote} string")]
    Quote {
        /// The entry.
        command: String,
        /// The mark.
        quote: char,
    },
}

impl GoAuth {
    /// Reads the setting.
    pub fn parse(setting: &str) -> Result<Self, GoAuthError> {
        let alone = !setting.contains(';');
        let mut methods = Vec::new();
        for entry in setting.split(';') {
            let words: Vec<&str> = entry.split_whitespace().collect();
            match words.first().copied() {
                None => return Err(GoAuthError::Empty),
                Some("off") if alone => {}
                Some("off") => return Err(GoAuthError::Off),
                Some("netrc") => methods.push(Method::Netrc),
                Some("git") => match words.get(1).map(PathBuf::from) {
                    Some(directory) if words.len() == 2 && directory.is_absolute() => {
                        methods.push(Method::Git(directory));
                    }
                    _ => return Err(GoAuthError::Directory),
                },
                Some(_) => methods.push(Method::Command(split_quoted(entry)?)),
            }
        }
        Ok(Self { methods })
    }

    pub(crate) fn methods(&self) -> &[Method] {
        &self.methods
    }
}

/// The words of a command, as Go splits them (cmd/internal/quoted `Split`): a word that begins with a quotation mark
/// goes to the next one; nothing is unescaped.
fn split_quoted(command: &str) -> Result<Vec<String>, GoAuthError> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let mut words = Vec::new();
    let mut rest = command.trim_start_matches(is_space);
    while let Some(first) = rest.chars().next() {
        let (word, after) = if matches!(first, '"' | '\'') {
            rest[1..]
                .split_once(first)
                .ok_or_else(|| GoAuthError::Quote {
                    command: command.trim().to_owned(),
                    quote: first,
                })?
        } else {
            rest.split_at(rest.find(is_space).unwrap_or(rest.len()))
        };
        words.push(word.to_owned());
        rest = after.trim_start_matches(is_space);
    }
    Ok(words)
}

/// What a command prints: URLs, an empty line, headers, an empty line, and so on. No headers remove what was known.
pub(crate) fn parse_headers(output: &str) -> Result<Vec<(String, Option<Credentials>)>, String> {
    let mut found = Vec::new();
    let mut lines = output.split_inclusive('\n');
    let mut block = |what: &str| -> Result<Option<Vec<String>>, String> {
        let mut block = Vec::new();
        for line in lines.by_ref() {
            let complete = line.strip_suffix('\n');
            match complete {
                Some("") => return Ok(Some(block)),
                Some(line) => block.push(line.to_owned()),
                None => {
                    block.push(line.to_owned());
                    break;
                }
            }
        }
        if block.is_empty() {
            return Ok(None);
        }
        Err(format!("invalid format: missing empty line after {what}"))
    };
    while let Some(urls) = block("URLs")? {
        let headers = block("headers")?
            .ok_or_else(|| "invalid format: missing empty line after headers".to_owned())?;
        let mut read = Vec::new();
        for header in headers {
            let (name, value) = header
                .split_once(": ")
                .filter(|(name, value)| is_header(name, value))
                .ok_or_else(|| "invalid format: invalid header line".to_owned())?;
            read.push((name.to_owned(), Secret::new(value)));
        }
        let credentials = credentials(read);
        found.extend(urls.into_iter().map(|url| (url, credentials.clone())));
    }
    Ok(found)
}

fn is_header(name: &str, value: &str) -> bool {
    HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok()
}

fn credentials(headers: Vec<(String, Secret)>) -> Option<Credentials> {
    let known = match headers.as_slice() {
        [] => return None,
        [(name, value)] if name.eq_ignore_ascii_case("authorization") => of_header(value.expose()),
        _ => None,
    };
    Some(known.unwrap_or(Credentials::Headers(headers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_go_reads_them() {
        let methods = |setting: &str| GoAuth::parse(setting).map(|goauth| goauth.methods);
        assert_eq!(methods("netrc"), Ok(vec![Method::Netrc]));
        assert_eq!(methods("off"), Ok(vec![]));
        assert_eq!(methods("off; netrc"), Err(GoAuthError::Off));
        assert_eq!(methods("netrc;"), Err(GoAuthError::Empty));
        assert_eq!(methods(""), Err(GoAuthError::Empty));
        assert_eq!(methods("git rel"), Err(GoAuthError::Directory));
        assert_eq!(
            methods("git /a ; tool --x"),
            Ok(vec![
                Method::Git("/a".into()),
                Method::Command(vec!["tool".into(), "--x".into()])
            ])
        );
    }

    #[test]
    fn words_may_be_in_quotes() {
        for (command, words) in [
            ("tool --x", &["tool", "--x"][..]),
            (
                "\"/opt/my tools/t\" 'a b'\tc",
                &["/opt/my tools/t", "a b", "c"],
            ),
            ("tool x\"y z\"", &["tool", "x\"y", "z\""]),
            ("tool ''", &["tool", ""]),
            ("tool \"a\"b", &["tool", "a", "b"]),
        ] {
            assert_eq!(split_quoted(command).unwrap(), words, "{command}");
        }
        let error = GoAuth::parse("tool 'x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot parse GOAUTH command tool 'x: unterminated ' string"
        );
    }

    #[test]
    fn what_commands_print_is_read_as_go_reads_it() {
        let text = "https://a.example\nhttps://b.example/x\n\nAuthorization: Basic dTpw\n\nhttps://c.example\n\n\nhttps://d.example\n\nAuthorization: Digest x\nX-Other: 1\n\n";
        let found = parse_headers(text).unwrap();
        let basic = Credentials::Basic {
            username: "u".to_owned(),
            password: Secret::new("p"),
        };
        let others = Credentials::Headers(vec![
            ("Authorization".to_owned(), Secret::new("Digest x")),
            ("X-Other".to_owned(), Secret::new("1")),
        ]);
        assert_eq!(
            found,
            [
                ("https://a.example".to_owned(), Some(basic.clone())),
                ("https://b.example/x".to_owned(), Some(basic)),
                ("https://c.example".to_owned(), None),
                ("https://d.example".to_owned(), Some(others)),
            ]
        );
        assert_eq!(parse_headers(""), Ok(vec![]));
        for bad in [
            "https://a.example",
            "https://a.example\n\nAuthorization: x",
            "https://a.example\n\nnonsense\n\n",
            "https://a.example\n\nX Y: z\n\n",
            "https://a.example\n\nX: \u{1}\n\n",
        ] {
            assert!(parse_headers(bad).is_err(), "{bad:?}");
        }
    }
}
