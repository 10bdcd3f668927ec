use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a file came from. URLs are without credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

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

    /// The URL of either.
    pub fn url(&self) -> &str {
        match self {
            Self::Upstream { url } | Self::Repository { url, .. } => url,
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
        }
    }
}
