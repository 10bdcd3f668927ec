//! GOSUMDB: which checksum database is asked, and where (modfetch/sumdb.go, `dbDial`).

use std::str::FromStr;

use url::Url;

use crate::error::Error;
use crate::go_url::GoUrl;
use crate::verifier_key::verified_name;

/// Key of the public checksum database, which Go knows by name (modfetch/key.go).
pub const SUM_GOLANG_ORG_KEY: &str =
    "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

const SUM_GOLANG_ORG: &str = "sum.golang.org";

/// Another address of the public database, reachable from mainland China.
const SUM_GOLANG_ORG_ALIAS: &str = "sum.golang.google.cn";

/// What GOSUMDB asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SumdbSetting {
    /// No module is checked against a database. A toolchain download still needs one and fails.
    Off,
    /// One database.
    Database {
        /// Its name, a host with an optional path. It is part of every signature.
        name: String,
        /// Its verifier key, `name+hash+key`.
        key: String,
        /// Where it is asked, when GOSUMDB says so. GOPROXY is bypassed then. Without it the
        /// database is asked through the proxies that support that, else directly.
        url: Option<Url>,
    },
}

impl SumdbSetting {
    /// Reads a GOSUMDB value: `off`, a known name, `name+hash+key`, each of the latter two with a
    /// URL behind a blank.
    pub fn parse(setting: &str) -> Result<Self, Error> {
        match setting {
            "off" => return Ok(Self::Off),
            SUM_GOLANG_ORG_ALIAS => {
                return Self::database(SUM_GOLANG_ORG_KEY, Some("https://sum.golang.google.cn"));
            }
            _ => {}
        }
        let mut fields = setting.split_whitespace();
        let key = match fields.next().ok_or(Error::GosumdbMissing)? {
            SUM_GOLANG_ORG => SUM_GOLANG_ORG_KEY,
            key => key,
        };
        let url = fields.next();
        if fields.next().is_some() {
            return Err(Error::GosumdbTooManyFields);
        }
        Self::database(key, url)
    }

    fn database(key: &str, url: Option<&str>) -> Result<Self, Error> {
        let name = verified_name(key)?;
        direct_url(name)?;
        let url = url.map(database_url).transpose()?;
        Ok(Self::Database {
            name: name.to_owned(),
            key: key.to_owned(),
            url,
        })
    }

    /// Where the database is asked when no proxy relays it: the URL of the setting, else `https://`
    /// and its name.
    pub fn direct_url(&self) -> Option<Url> {
        match self {
            Self::Off => None,
            Self::Database { url: Some(url), .. } => Some(url.clone()),
            Self::Database {
                name, url: None, ..
            } => direct_url(name).ok(),
        }
    }
}

impl FromStr for SumdbSetting {
    type Err = Error;

    fn from_str(setting: &str) -> Result<Self, Error> {
        Self::parse(setting)
    }
}

/// The name stands in paths and file names, so it must be a host with a path and nothing else.
fn direct_url(name: &str) -> Result<Url, Error> {
    let bad_name = || Error::GosumdbName {
        name: name.to_owned(),
    };
    let url = GoUrl::parse(&format!("https://{name}")).map_err(|_| bad_name())?;
    if name.ends_with('/') || !url.is_scheme_host_and_plain_path() {
        return Err(bad_name());
    }
    url.to_url()
}

/// Go looks at the scheme only when it sends the first request, and takes text without one for an
/// HTTPS address (web `get`).
fn database_url(text: &str) -> Result<Url, Error> {
    let refused = |error| Error::GosumdbUrl(Box::new(error));
    let url = GoUrl::parse(text).map_err(refused)?;
    match url.scheme() {
        "https" | "http" | "file" => url.to_url(),
        "" => GoUrl::parse(&url.with_scheme("https").expose())
            .map_err(refused)?
            .to_url(),
        _ => {
            let reason = "unsupported scheme".to_owned();
            Err(Error::Unreachable {
                url: url.to_string(),
                reason,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier_key::tests::key;

    fn own_key(name: &str) -> String {
        let mut public = vec![1];
        public.extend([9; 32]);
        key(name, &public)
    }

    fn parsed(setting: &str) -> (String, String, Option<String>) {
        match SumdbSetting::parse(setting).unwrap() {
            SumdbSetting::Off => ("off".to_owned(), String::new(), None),
            SumdbSetting::Database { name, key, url } => (name, key, url.map(String::from)),
        }
    }

    #[test]
    fn every_form_is_read() {
        let known = |url: Option<&str>| {
            (
                SUM_GOLANG_ORG.to_owned(),
                SUM_GOLANG_ORG_KEY.to_owned(),
                url.map(str::to_owned),
            )
        };
        assert_eq!(parsed("off").0, "off");
        assert_eq!(parsed("sum.golang.org"), known(None));
        assert_eq!(parsed(SUM_GOLANG_ORG_KEY), known(None));
        assert_eq!(
            parsed("sum.golang.google.cn"),
            known(Some("https://sum.golang.google.cn/"))
        );
        assert_eq!(
            parsed("  sum.golang.org\thttps://mirror.example.com/db "),
            known(Some("https://mirror.example.com/db"))
        );

        let own = own_key("sum.example.com/team/db");
        let expected = |url: Option<&str>| {
            (
                "sum.example.com/team/db".to_owned(),
                own.clone(),
                url.map(str::to_owned),
            )
        };
        assert_eq!(parsed(&own), expected(None));
        assert_eq!(
            parsed(&format!("{own} http://localhost:9000")),
            expected(Some("http://localhost:9000/"))
        );
        assert_eq!(
            parsed(&format!("{own} mirror.example/db")),
            expected(Some("https://mirror.example/db"))
        );
        assert_eq!(
            parsed(&format!("{own} file:///srv/db")),
            expected(Some("file:///srv/db"))
        );
    }

    #[test]
    fn the_database_is_found_at_its_url_or_its_name() {
        let own = own_key("sum.example.com/db");
        let direct = |setting: &str| {
            SumdbSetting::parse(setting)
                .unwrap()
                .direct_url()
                .map(String::from)
        };
        assert_eq!(direct("off"), None);
        assert_eq!(direct(&own).as_deref(), Some("https://sum.example.com/db"));
        assert_eq!(
            direct(&format!("{own} https://other/x")).as_deref(),
            Some("https://other/x")
        );
    }

    #[test]
    fn bad_settings_are_refused_in_the_words_of_go() {
        let own = own_key("sum.example.com");
        let malformed = "invalid GOSUMDB: malformed verifier id";
        let rows = [
            (String::new(), "missing GOSUMDB"),
            ("  ".to_owned(), "missing GOSUMDB"),
            ("OFF".to_owned(), malformed),
            (" off".to_owned(), malformed),
            ("sum.example.com".to_owned(), malformed),
            ("sum.golang.google.cn https://x".to_owned(), malformed),
            (
                format!("{own} https://a b"),
                "invalid GOSUMDB: too many fields",
            ),
            (
                format!("{own} https://a:b"),
                r#"invalid GOSUMDB URL: parse "https://a:b": invalid port ":b" after host"#,
            ),
            (
                format!("{own} localhost:90"),
                "no request can be sent to localhost:90: unsupported scheme",
            ),
            (
                format!("{own} /mirror"),
                "no request can be sent to https:///mirror: no Host in request URL",
            ),
            (
                own_key("a.com/"),
                "invalid sumdb name (must be host[/path]): a.com/",
            ),
            (
                own_key("u@a.com"),
                "invalid sumdb name (must be host[/path]): u@a.com",
            ),
            (
                own_key("a.com?q"),
                "invalid sumdb name (must be host[/path]): a.com?q",
            ),
            (
                own_key("/a"),
                "invalid sumdb name (must be host[/path]): /a",
            ),
            (
                own_key("a.com/%2f"),
                "invalid sumdb name (must be host[/path]): a.com/%2f",
            ),
            (
                own_key("a:b"),
                "invalid sumdb name (must be host[/path]): a:b",
            ),
        ];
        for (setting, expected) in rows {
            assert_eq!(
                SumdbSetting::parse(&setting).unwrap_err().to_string(),
                expected,
                "{setting}"
            );
        }
    }
}
