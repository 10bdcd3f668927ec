//! Credentials in a netrc file, found as `go` finds them (cmd/go/internal/auth, GOAUTH=netrc).

use std::fmt;
use std::io;
use std::path::PathBuf;

use url::Url;

use crate::environment::Environment;
use crate::error::Error;

/// A password or token. It shows as `***`; [`Self::expose`] has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One usable entry: go takes none that lacks machine, login or password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// A host, with port if it is not the usual one, and from Go 1.24 on optionally a path behind
    /// it.
    pub machine: String,
    /// User name.
    pub login: String,
    /// Password or token.
    pub password: Secret,
}

/// The entries of a netrc file, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Netrc {
    entries: Vec<Credentials>,
}

impl Netrc {
    /// The file go reads: `$NETRC`, else `.netrc` in the user's home; on Windows `_netrc` comes
    /// first if it exists.
    pub fn path(environment: &Environment) -> Result<PathBuf, Error> {
        if let Some(path) = environment.non_empty("NETRC") {
            return Ok(PathBuf::from(path));
        }
        let home = environment.home_dir()?;
        if cfg!(windows) {
            let legacy = home.join("_netrc");
            match legacy.try_exists() {
                Ok(true) => return Ok(legacy),
                Ok(false) => {}
                Err(source) => {
                    return Err(Error::Unreadable {
                        path: legacy,
                        source,
                    });
                }
            }
        }
        Ok(home.join(".netrc"))
    }

    /// Reads that file. One that does not exist has no entries. Bytes that are not UTF-8 are
    /// replaced.
    pub fn load(environment: &Environment) -> Result<Self, Error> {
        let path = Self::path(environment)?;
        match std::fs::read(&path) {
            Ok(text) => Ok(Self::parse(&String::from_utf8_lossy(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Error::Unreadable { path, source }),
        }
    }

    /// Reads the text of a netrc file. Every text is one: go skips what it does not understand.
    ///
    /// Words count in pairs, line by line. A `default` without partner ends the file, and one with
    /// a partner is skipped with it: go never uses default entries.
    pub fn parse(text: &str) -> Self {
        let mut entries = Vec::new();
        let mut current = Partial::default();
        let mut in_macro = false;
        for line in text.split('\n') {
            if in_macro {
                in_macro = !line.is_empty();
                continue;
            }
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                let Some(partner) = words.next() else {
                    if word == "default" {
                        return Self { entries };
                    }
                    break;
                };
                match word {
                    "machine" => {
                        current = Partial {
                            machine: partner,
                            ..Partial::default()
                        }
                    }
                    "login" => current.login = partner,
                    "password" => current.password = partner,
                    "macdef" => in_macro = true,
                    _ => {}
                }
                if let Some(complete) = current.complete() {
                    entries.push(complete);
                    current = Partial::default();
                }
            }
        }
        Self { entries }
    }

    /// The entries, in order.
    pub fn entries(&self) -> &[Credentials] {
        &self.entries
    }

    /// The credentials go would send with a request for `url`: none without HTTPS.
    ///
    /// The longest machine that is a leading part of the URL, ending before a slash, counts; among
    /// equal ones the first.
    pub fn lookup(&self, url: &Url) -> Option<&Credentials> {
        if url.scheme() == "https" {
            self.lookup_text(url.as_str())
        } else {
            None
        }
    }

    /// The same for the text of an HTTPS URL, with or without its scheme.
    pub fn lookup_text(&self, url: &str) -> Option<&Credentials> {
        let mut prefix = trimmed(url);
        loop {
            let found = self
                .entries
                .iter()
                .find(|entry| trimmed(&entry.machine) == prefix);
            if found.is_some() {
                return found;
            }
            prefix = prefix.rsplit_once('/')?.0;
        }
    }
}

fn trimmed(url: &str) -> &str {
    let url = url.strip_prefix("https://").unwrap_or(url);
    url.strip_suffix('/').unwrap_or(url)
}

/// An entry of which not all parts have been read.
#[derive(Default)]
struct Partial<'a> {
    machine: &'a str,
    login: &'a str,
    password: &'a str,
}

impl Partial<'_> {
    fn complete(&self) -> Option<Credentials> {
        let is_complete =
            !self.machine.is_empty() && !self.login.is_empty() && !self.password.is_empty();
        is_complete.then(|| Credentials {
            machine: self.machine.to_owned(),
            login: self.login.to_owned(),
            password: Secret::new(self.password),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Vec<String> {
        let entries = Netrc::parse(text).entries;
        entries
            .iter()
            .map(|entry| {
                format!(
                    "{} {} {}",
                    entry.machine,
                    entry.login,
                    entry.password.expose()
                )
            })
            .collect()
    }

    #[test]
    fn files_are_read_as_go_reads_them() {
        let rows: [(&str, &[&str]); 18] = [
            ("", &[]),
            ("machine a login u password p", &["a u p"]),
            ("machine a\n\tlogin u\n\tpassword p\n", &["a u p"]),
            (
                "machine a login u password p machine b login v password q",
                &["a u p", "b v q"],
            ),
            ("machine a password p login u\r\n", &["a u p"]),
            ("machine a login u", &[]),
            ("machine a login u machine b password p", &[]),
            ("login u password p machine a", &[]),
            ("machine a login u account x password p", &["a u p"]),
            // Words are paired line by line, so a line break between name and value loses both.
            ("machine\na login u password p", &[]),
            // What follows a lonely word is paired the wrong way round.
            ("stray machine a login u password p", &[]),
            (
                "macdef init\nmachine a login u password p\n\nmachine b login v password q",
                &["b v q"],
            ),
            (
                "macdef init\nmachine a login u password p\n \nmachine b login v password q",
                &[],
            ),
            ("default\nmachine a login u password p", &[]),
            (
                "machine a login u password p default\nmachine b login v password q",
                &["a u p"],
            ),
            (
                "default login u password p\nmachine b login v password q",
                &["b v q"],
            ),
            ("machine a\ndefault login u password p", &[]),
            ("# machine x\nmachine a login # password #", &["a # #"]),
        ];
        for (text, expected) in rows {
            assert_eq!(parsed(text), expected, "{text:?}");
        }
    }

    #[test]
    fn credentials_are_found_by_host_and_path() {
        let netrc = Netrc::parse(
            "machine h login first password p\n\
             machine h login second password p\n\
             machine h:8443 login port password p\n\
             machine h/team login team password p\n\
             machine https://slash/ login slash password p\n",
        );
        let rows = [
            ("https://h", Some("first")),
            ("https://h/", Some("first")),
            ("https://h/x/@v/list", Some("first")),
            ("https://h/team/x/@v/list", Some("team")),
            ("https://h/team", Some("team")),
            ("https://h/teams/x", Some("first")),
            // A query belongs to the last element, as in go.
            ("https://h/team?go-get=1", Some("first")),
            ("https://h:8443/team/x", Some("port")),
            ("https://slash/x", Some("slash")),
            ("https://other/x", None),
            ("https://sub.h/x", None),
            ("http://h/x", None),
        ];
        for (url, expected) in rows {
            let found = netrc
                .lookup(&Url::parse(url).unwrap())
                .map(|found| found.login.as_str());
            assert_eq!(found, expected, "{url}");
        }
        assert_eq!(
            netrc.lookup_text("h/x").map(|found| found.login.as_str()),
            Some("first")
        );
    }

    #[test]
    fn secrets_show_as_stars() {
        let netrc = Netrc::parse("machine a login u password hunter2");
        assert!(!format!("{netrc:?}").contains("hunter2"));
        assert_eq!(netrc.entries()[0].password.to_string(), "***");
        assert_eq!(netrc.entries()[0].password.expose(), "hunter2");
    }

    #[test]
    fn the_file_is_named_by_the_environment() {
        let home = tempfile::tempdir().unwrap();
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let home_text = text(home.path().to_owned());
        let named = text(home.path().join("named"));

        let by_home =
            Environment::from_pairs([("HOME", home_text.as_str()), ("USERPROFILE", &home_text)]);
        assert_eq!(Netrc::path(&by_home).unwrap(), home.path().join(".netrc"));
        assert_eq!(
            Netrc::load(&by_home).unwrap(),
            Netrc::default(),
            "no file yet"
        );

        let by_name = Environment::from_pairs([("NETRC", named.as_str())]);
        std::fs::write(&named, "machine a login u password \u{e9}").unwrap();
        assert_eq!(Netrc::load(&by_name).unwrap().entries().len(), 1);

        let directory = Environment::from_pairs([("NETRC", home_text.as_str())]);
        assert!(matches!(
            Netrc::load(&directory),
            Err(Error::Unreadable { .. })
        ));
        let nothing = Environment::from_pairs([("NETRC", "")]);
        assert_eq!(
            Netrc::load(&nothing).unwrap_err().to_string(),
            "$HOME is not defined"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([a-z]{1,3}|machine|login|password|default|macdef|[ \n\t]){0,40}") {
            for entry in Netrc::parse(&text).entries() {
                prop_assert!(!entry.machine.is_empty() && !entry.login.is_empty());
            }
        }
    }
}
