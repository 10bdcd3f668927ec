use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use gomod::Version;

use crate::check::check_body;
use crate::{Failure, Via};

/// What an answer must look like to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// A version list: one a line.
    List,
    /// JSON with a version; of exactly this version if one is given.
    Info(Option<Version>),
    /// A go.mod file. Its content is not judged.
    Mod,
    /// A module zip.
    Zip,
    /// Anything that is no web page.
    Opaque,
    /// Text that is not empty: the notes, records and record tiles of a checksum database, which their reader verifies.
    Text,
    /// A hash tile of a checksum database: exactly so many bytes, and any bytes.
    Hashes(u64),
}

impl Expect {
    /// The longest body accepted, in bytes (protocol: client reading limits).
    pub(crate) fn limit(&self) -> u64 {
        match self {
            Self::Info(_) | Self::Opaque | Self::Text | Self::Hashes(_) => 4 << 20,
            Self::List | Self::Mod => 16 << 20,
            Self::Zip => 500 << 20,
        }
    }

    /// Whether a whole body can be what is expected, so that it is worth keeping.
    pub fn accepts(&self, body: &[u8]) -> bool {
        check_body(self, body).is_ok()
    }
}

/// What an earlier answer carried, to ask whether it still holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// Its entity tag.
    pub etag: Option<String>,
    /// Its modification date.
    pub last_modified: Option<String>,
}

/// One question to a chain.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path below the base URL, escaped, without a leading slash.
    pub path: String,
    /// What the answer must look like.
    pub expect: Expect,
    /// Set to be told when nothing has changed. They are given to the upstream named here only.
    pub revalidate: Option<(String, Validators)>,
    /// Upstreams that are not asked, by their names as in [`Reply::source`]: what they sent for this was refused.
    pub without: Vec<String>,
    /// The place in a trace that this is asked at: passed on as header `traceparent` (W3C trace context), and what each
    /// exchange with an upstream is a span below of.
    pub traceparent: Option<traces::Traceparent>,
    /// The instances of this program that it has passed through before this one.
    pub via: Via,
}

impl Request {
    pub(crate) fn may_ask(&self, source: &str) -> bool {
        !self.without.iter().any(|refused| refused == source)
    }
}

/// A whole, checked answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The upstream it came from, without credentials.
    pub source: String,
    /// To ask later whether it still holds.
    pub validators: Validators,
    /// The bytes as they came.
    pub body: Bytes,
}

/// The answer to a request for a small file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Small {
    /// A body.
    Body(Reply),
    /// What the caller has still holds, says this upstream.
    NotModified(String),
}

/// The bytes of a body as they come in. Ends with an error if the upstream stops before the end.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>;

/// The answer to a request for a zip. The stream begins with a zip's signature; nothing else is checked yet.
pub struct ZipReply {
    /// The upstream it comes from, without credentials.
    pub source: String,
    /// Its entity tag.
    pub etag: Option<String>,
    /// The announced length in bytes. The stream yields exactly as many, or ends with an error.
    pub len: Option<u64>,
    /// The body.
    pub body: BodyStream,
}

impl std::fmt::Debug for ZipReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZipReply")
            .field("source", &self.source)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
