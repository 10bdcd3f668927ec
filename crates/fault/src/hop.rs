//! The stations a module download passes, in the order it passes them.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;

/// A station on the way from the `go` command to verified bytes on disk.
///
/// The order of the variants is the order of a request: the first hop that fails is the cause, what fails after it is
/// a symptom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hop {
    /// Settings of the `go` command: GOPROXY, GOFLAGS, GO111MODULE and their like.
    Config,
    /// The process environment around it: network sandbox, HOME, preloaded libraries.
    ClientEnv,
    /// Name resolution.
    Dns,
    /// The TCP connection.
    Tcp,
    /// The TLS handshake and the certificate.
    Tls,
    /// A forward HTTP proxy between client and server, or a portal that poses as the server.
    HttpProxy,
    /// The module proxy (GOPROXY server).
    Goproxy,
    /// The checksum database.
    Sumdb,
    /// Version control: git and its transports.
    Vcs,
    /// Credentials for a source host.
    Auth,
    /// The module itself: its versions, paths and contents.
    Module,
    /// The user's own project: go.mod, go.sum, vendor directory.
    Project,
    /// The Go toolchain in use.
    Toolchain,
    /// Local storage and process limits.
    Disk,
}

impl Hop {
    /// All hops, in path order.
    pub const ALL: [Self; 14] = [
        Self::Config,
        Self::ClientEnv,
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::HttpProxy,
        Self::Goproxy,
        Self::Sumdb,
        Self::Vcs,
        Self::Auth,
        Self::Module,
        Self::Project,
        Self::Toolchain,
        Self::Disk,
    ];

    /// The name used in output and configuration, in kebab case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::ClientEnv => "client-env",
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::HttpProxy => "http-proxy",
            Self::Goproxy => "goproxy",
            Self::Sumdb => "sumdb",
            Self::Vcs => "vcs",
            Self::Auth => "auth",
            Self::Module => "module",
            Self::Project => "project",
            Self::Toolchain => "toolchain",
            Self::Disk => "disk",
        }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Hop {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|hop| hop.as_str() == name)
            .ok_or_else(|| ParseError::Hop(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hop_is_read_back_from_its_name() {
        for hop in Hop::ALL {
            assert_eq!(hop.as_str().parse::<Hop>().unwrap(), hop);
        }
        assert_eq!(Hop::ALL.len(), 14);
    }

    #[test]
    fn the_order_is_the_path_of_a_request() {
        assert!(Hop::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(Hop::Dns < Hop::Tcp && Hop::Tcp < Hop::Tls && Hop::Tls < Hop::Goproxy);
    }

    #[test]
    fn an_unknown_hop_is_an_error_that_names_it() {
        assert_eq!(
            "ether".parse::<Hop>().unwrap_err().to_string(),
            "unknown hop \"ether\""
        );
    }
}
