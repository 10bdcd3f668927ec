use std::pin::Pin;

use bytes::Bytes;

/// What a read of a database comes to.
pub type RemoteFuture = Pin<Box<dyn Future<Output = Result<Bytes, RemoteTrouble>> + Send>>;

/// Which way a read goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// Through servers that relay the database where there are any, else straight.
    Usual,
    /// Straight to the database's own server.
    Straight,
}

/// The way to a checksum database: its own server, or servers that relay it. Nothing it says is believed unproven.
pub trait Remote: Send + Sync {
    /// Reads `lookup/…`, `latest` or `tile/…` below the address of the database.
    fn read(&self, path: String, way: Way) -> RemoteFuture;

    /// Whether the two ways differ: then what one relay forges is asked of the database itself.
    fn has_relays(&self) -> bool;
}

/// Why a database gave no bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteTrouble {
    /// It says that there is no such thing (404 or 410), in these words.
    #[error("{0}")]
    Absent(String),
    /// It could not be asked, or failed to answer.
    #[error("{0}")]
    Failed(String),
}
