//! GOAUTH: how the `go` command gets credentials (cmd/go/internal/auth, `go help goauth`).

use std::path::PathBuf;

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
}

impl GoAuth {
    /// Reads the setting.
    pub fn parse(setting: &str) -> Result<Self, GoAuthError> {
        let entries: Vec<Vec<String>> = setting
            .split(';')
            .map(|entry| entry.split_whitespace().map(str::to_owned).collect())
            .collect();
        let alone = entries.len() == 1;
        let mut methods = Vec::new();
        for words in entries {
            match words.first().map(String::as_str) {
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
                Some(_) => methods.push(Method::Command(words)),
            }
        }
        Ok(Self { methods })
    }

    pub(crate) fn methods(&self) -> &[Method] {
        &self.methods
    }
}

/// What a command prints: URLs, an empty line, headers, an empty line, and so on. Of the headers `Authorization`
/// counts; none removes what was known.
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
        let mut credentials = None;
        for header in headers {
            let (name, value) = header
                .split_once(": ")
                .ok_or_else(|| "invalid format: invalid header line".to_owned())?;
            if name.eq_ignore_ascii_case("authorization") {
                credentials = of_header(value);
            }
        }
        found.extend(urls.into_iter().map(|url| (url, credentials.clone())));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use goenv::netrc::Secret;

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
    fn what_commands_print_is_read_as_go_reads_it() {
        let text = "https://a.example\nhttps://b.example/x\n\nAuthorization: Basic dTpw\nX-Other: 1\n\nhttps://c.example\n\n\n";
        let found = parse_headers(text).unwrap();
        let basic = Credentials::Basic {
            username: "u".to_owned(),
            password: Secret::new("p"),
        };
        assert_eq!(
            found,
            [
                ("https://a.example".to_owned(), Some(basic.clone())),
                ("https://b.example/x".to_owned(), Some(basic)),
                ("https://c.example".to_owned(), None),
            ]
        );
        assert_eq!(parse_headers(""), Ok(vec![]));
        for bad in [
            "https://a.example",
            "https://a.example\n\nAuthorization: x",
            "https://a.example\n\nnonsense\n\n",
        ] {
            assert!(parse_headers(bad).is_err(), "{bad:?}");
        }
    }
}
