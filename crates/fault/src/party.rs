//! Who can repair a fault, and on whose machine it happened.

use std::fmt;

/// Who is able to remove a fault. A verdict names the party first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// The user's own settings, project or machine.
    User,
    /// The network between user and server: resolver, route, firewall, HTTP proxy.
    Network,
    /// The operator of the module proxy.
    Proxy,
    /// The operator of the checksum database.
    Sumdb,
    /// The host of the source repository, or whoever grants access to it.
    SourceHost,
    /// The author of the module.
    Author,
}

impl Party {
    /// The name used in machine output, in kebab case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Network => "network",
            Self::Proxy => "proxy",
            Self::Sumdb => "sumdb",
            Self::SourceHost => "source-host",
            Self::Author => "author",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The machine on which a reported error happened.
///
/// An error that a proxy or checksum database passes on in its answer happened on that server: a failed name lookup in
/// it says nothing about the user's resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The machine that ran `go`.
    Client,
    /// The server that answered it.
    Server,
}

impl Side {
    /// `client` or `server`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
