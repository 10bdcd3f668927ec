//! From version control repositories to Go modules, byte for byte as the `go` command would make them, without a Go
//! toolchain.
//!
//! What a module version *is* follows from a repository by rules that only the source code of `go` spells out: which
//! tags count, how a commit gets a version, which `go.mod` is the right one, what `git archive` does to files. A
//! proxy that deviates in one of them serves hashes that no checksum database agrees with. And the repositories are
//! other people's: nothing they contain, and nothing a server answers, may reach a command line, a shell, or a file
//! outside of the cache.
//!
//! - [`Vcs`]: modules by path: list, revision to version, `go.mod`, zip
//! - [`discovery`]: from an import path to a repository
//! - [`Govcs`], [`VersionControl`]: which systems may be used for what
//! - [`Remote`], [`RemoteOptions`]: how a repository is reached: credentials, keys, certificates, proxies
//! - [`Routes`], [`Keyring`], [`Outbound`]: the configuration of all servers; where credentials come from; which
//!   addresses may be reached
//! - [`RunnerSettings`]: the one place where programs are run
//! - [`query`]: the version queries of `go get`: `latest`, `upgrade`, `v1.2`, `<v2`

mod address;
mod archive;
mod client;
mod code;
#[cfg(test)]
mod conformance;
pub mod discovery;
mod error;
mod files;
mod flight;
mod goauth;
mod govcs;
mod keyring;
mod memory;
mod options;
mod other;
mod outbound;
pub mod query;
mod repo;
mod resolve;
mod routes;
mod runner;
mod service;
mod system;
mod wire;

pub use address::import_path;
pub use error::{
    Blocked, DiscoveryFault, Error, LayoutFault, PseudoFault, ToolFault, VersionRefusal,
};
pub use files::VersionFiles;
pub use goauth::{GoAuth, GoAuthError};
pub use govcs::{Govcs, GovcsError};
pub use keyring::{Attempt, CredentialSource, Keyring};
pub use memory::RepositoryChange;
pub use options::{
    ClientCertificate, Credentials, KnownHosts, Remote, RemoteOptions, SshOptions, UnknownPlace,
    UrlTemplate,
};
pub use outbound::{Lookup, LookupFault, Outbound, Refused};
pub use repo::Limits;
pub use resolve::{TagNow, Versions, settled};
pub use routes::{Route, RouteProxy, Routes};
pub use runner::RunnerSettings;
pub use service::{Configuration, Settings, Vcs};
pub use system::VersionControl;
