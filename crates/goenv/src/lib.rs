//! The settings that decide how a Go module is downloaded, each with its origin.
//!
//! The `go` command takes its settings from four places (environment, `go env -w` file,
//! `$GOROOT/go.env`, built-in defaults) and reads each of them with rules of its own. A proxy, and
//! even more a diagnosis, is only right when it sees exactly what `go` sees. This crate answers
//! that without running `go`:
//!
//! - [`Environment`]: an immutable snapshot of environment variables, and what follows from it
//!   (home, XDG, `PATH`).
//! - [`GoEnv`]: every download setting as `go env` would print it, with [`Origin`] and what it
//!   shadows.
//! - [`goproxy`], [`gosumdb`], [`private`]: the grammar of GOPROXY, GOSUMDB and the GOPRIVATE
//!   family.
//! - [`http_proxy`]: the HTTP proxy `go` would use for a URL, and why.
//! - [`netrc`]: the credentials `go` would find in a netrc file.
//! - [`go_url`]: URLs as Go reads them, which is not as browsers read them.
//! - [`SecretRef`]: where a secret is read from.
//! - [`report`]: all of that together, with git, netrc, ssh, toolchains and directories, and who has
//!   set each variable.
//! - [`trace`]: which entry of GOPROXY answers for a module.
//! - [`project`], [`cache`]: what is wrong in a project's files and in the module cache.
//! - [`lint`], [`Finding`], [`fix`]: what is wrong with it, and what can be done.
//!
//! Values that may hold a password are shown redacted; see [`redact`].

pub mod cache;
mod env_file;
mod environment;
mod error;
mod finding;
pub mod fix;
pub mod go_url;
pub mod goproxy;
mod goroot;
pub mod gosumdb;
pub mod http_proxy;
mod key;
pub mod lint;
mod mask;
pub mod netrc;
mod no_proxy;
mod origin;
mod paths;
pub mod private;
mod problem;
pub mod project;
mod proxy_variable;
pub mod redact;
pub mod report;
mod secret;
mod settings;
mod shell;
pub mod trace;
mod url_fault;
mod verifier_key;

pub use environment::Environment;
pub use error::Error;
pub use finding::{Finding, Place};
pub use key::{DefaultRule, Key};
pub use origin::{Origin, Setting, Shadowed};
pub use paths::clean;
pub use problem::{LineFault, Problem};
pub use redact::RedactedUrl;
pub use secret::{SecretError, SecretRef};
pub use settings::GoEnv;
pub use shell::Shell;
