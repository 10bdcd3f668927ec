//! The one error type of this crate. Texts are go's own where go has one, so that they can be
//! searched for.

use std::path::PathBuf;

use crate::url_fault::UrlFault;

/// Why a setting cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text is no URL in Go's eyes (net/url `Parse`).
    #[error("parse {url}: {fault}")]
    Url {
        /// The text, quoted, without its password.
        url: String,
        /// What is wrong with it.
        fault: UrlFault,
    },

    /// GOPROXY holds separators or blanks only, or nothing.
    #[error("GOPROXY list is not the empty string, but contains no entries")]
    GoproxyEmpty,

    /// A GOPROXY entry is a single word or a path.
    #[error("invalid proxy URL missing scheme: {entry}")]
    GoproxyMissingScheme {
        /// The entry, without its password.
        entry: String,
    },

    /// A GOPROXY entry has a scheme other than `https`, `http` and `file`.
    #[error("invalid proxy URL scheme (must be https, http, file): {entry}")]
    GoproxyScheme {
        /// The entry, without its password.
        entry: String,
    },

    /// A `file://` entry of GOPROXY has a host, a query or anything else besides its path.
    #[error("invalid file:// proxy URL with non-path elements: {entry}")]
    GoproxyFileElements {
        /// The entry, without its password.
        entry: String,
    },

    /// Go accepts the URL at first, but every request to it fails.
    #[error("no request can be sent to {url}: {reason}")]
    Unreachable {
        /// The URL, without its password.
        url: String,
        /// Why.
        reason: String,
    },

    /// GOSUMDB is blank.
    #[error("missing GOSUMDB")]
    GosumdbMissing,

    /// GOSUMDB has more than key and URL.
    #[error("invalid GOSUMDB: too many fields")]
    GosumdbTooManyFields,

    /// GOSUMDB is neither a known name nor `name+hash+key`.
    #[error("invalid GOSUMDB: malformed verifier id")]
    GosumdbMalformedKey,

    /// The key's hash does not belong to its name and public key.
    #[error("invalid GOSUMDB: invalid verifier hash")]
    GosumdbKeyHash,

    /// The key's signature algorithm is not Ed25519.
    #[error("invalid GOSUMDB: unknown verifier algorithm")]
    GosumdbKeyAlgorithm,

    /// The database's name is no `host[/path]`.
    #[error("invalid sumdb name (must be host[/path]): {name}")]
    GosumdbName {
        /// The name.
        name: String,
    },

    /// The URL behind the key is no URL.
    #[error("invalid GOSUMDB URL: {0}")]
    GosumdbUrl(#[source] Box<Self>),

    /// The value of an HTTP proxy variable is no URL.
    #[error("invalid proxy address {value}: {source}")]
    HttpProxyAddress {
        /// The value, quoted, without its password.
        value: String,
        /// What Go's URL parser says.
        source: Box<Self>,
    },

    /// `HTTP_PROXY` is set in a CGI process, where it may come from a request header.
    #[error("refusing to use HTTP_PROXY value in CGI environment; see golang.org/s/cgihttpproxy")]
    HttpProxyInCgi,

    /// A base directory cannot be told from the environment (os.UserHomeDir, os.UserConfigDir,
    /// os.UserCacheDir).
    #[error("{0}")]
    NoDirectory(&'static str),

    /// A file exists but cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}
