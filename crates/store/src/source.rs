use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a file came from. URLs are without credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Source {
    /// A GOPROXY server or tree.
    Upstream {
        /// Its URL.
        url: String,
    },
    /// A version control repository.
    Repository {
        /// Its URL.
        url: String,
        /// The commit the file was made from.
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
    },
    /// A bundle that was applied.
    Bundle {
        /// The SHA-256 digest of its manifest, in hexadecimal.
        manifest: String,
    },
    /// Somebody who published the version on this server.
    Published,
}

/// How a source is kept among the records: what kind it is, what names it, and a commit.
pub(crate) type Columns<'s> = (&'static str, &'s str, Option<&'s str>);

impl Source {
    /// A GOPROXY server or tree.
    pub fn upstream(url: impl Into<String>) -> Self {
        Self::Upstream { url: url.into() }
    }

    /// A repository, and the commit in it.
    pub fn repository(url: impl Into<String>, revision: Option<String>) -> Self {
        Self::Repository {
            url: url.into(),
            revision,
        }
    }

    pub(crate) fn columns(&self) -> Columns<'_> {
        match self {
            Self::Upstream { url } => ("upstream", url, None),
            Self::Repository { url, revision } => ("repository", url, revision.as_deref()),
            Self::Bundle { manifest } => ("bundle", manifest, None),
            Self::Published => ("published", "", None),
        }
    }

    /// What [`Self::columns`] gave. `None`: a kind that only a newer release knows.
    pub(crate) fn from_columns(kind: &str, name: String, revision: Option<String>) -> Option<Self> {
        match kind {
            "upstream" => Some(Self::Upstream { url: name }),
            "repository" => Some(Self::Repository {
                url: name,
                revision,
            }),
            "bundle" => Some(Self::Bundle { manifest: name }),
            "published" => Some(Self::Published),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream { url } => f.write_str(url),
            Self::Repository {
                url,
                revision: None,
            } => write!(f, "repository {url}"),
            Self::Repository {
                url,
                revision: Some(revision),
            } => write!(f, "repository {url} at {revision}"),
            Self::Bundle { manifest } => {
                write!(f, "the bundle with the manifest sha256:{manifest}")
            }
            Self::Published => f.write_str("published here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_was_kept_and_told() {
        let commit = Some("4f0d1a".to_owned());
        for (source, json, text) in [
            (
                Source::upstream("https://proxy.example.com"),
                r#"{"kind":"upstream","url":"https://proxy.example.com"}"#,
                "https://proxy.example.com",
            ),
            (
                Source::repository("https://git.example.com/m", commit),
                r#"{"kind":"repository","url":"https://git.example.com/m","revision":"4f0d1a"}"#,
                "repository https://git.example.com/m at 4f0d1a",
            ),
            (
                Source::repository("https://git.example.com/m", None),
                r#"{"kind":"repository","url":"https://git.example.com/m"}"#,
                "repository https://git.example.com/m",
            ),
            (
                Source::Bundle {
                    manifest: "00ff".to_owned(),
                },
                r#"{"kind":"bundle","manifest":"00ff"}"#,
                "the bundle with the manifest sha256:00ff",
            ),
            (
                Source::Published,
                r#"{"kind":"published"}"#,
                "published here",
            ),
        ] {
            let (kind, name, revision) = source.columns();
            let kept = Source::from_columns(kind, name.to_owned(), revision.map(str::to_owned));
            assert_eq!(kept.as_ref(), Some(&source));
            assert_eq!(serde_json::to_string(&source).unwrap(), json);
            assert_eq!(serde_json::from_str::<Source>(json).unwrap(), source);
            assert_eq!(source.to_string(), text);
        }
        assert_eq!(Source::from_columns("courier", String::new(), None), None);
    }
}
