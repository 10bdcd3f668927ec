//! The pages that discovery reads, through whichever client the caller has.

use fault::Label;
use futures_util::future::BoxFuture;
use url::Url;

/// A client for discovery pages. The caller's network policy (proxies, resolvers, limits, credentials) is in it.
pub trait Web: Send + Sync {
    /// Gets a page. Redirects are followed, at most ten, and never from https to http.
    ///
    /// Every status is an answer; an error means that there was none.
    fn get<'a>(&'a self, url: &'a Url, trust: Trust) -> BoxFuture<'a, Result<Page, WebError>>;
}

/// Whether the server must prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// By a valid certificate.
    Verified,
    /// Any certificate will do (GOINSECURE).
    Unverified,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it came from in the end.
    pub url: Url,
    /// HTTP status.
    pub status: u16,
    /// The body, or its beginning: no more than [`MAX_PAGE`] bytes count.
    pub body: Vec<u8>,
}

/// How much of a page is read, in bytes. The head of a page must be within it.
pub const MAX_PAGE: usize = 1 << 20;

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct WebError {
    /// At which hop.
    pub label: Label,
    /// What happened, without secrets.
    pub detail: String,
}
