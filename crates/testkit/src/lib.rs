//! What the tests of the other crates and the benchmarks stand on: things to serve, a server that fails on demand, and
//! the real programs.
//!
//! * [`Module`], [`Tree`] and [`Project`] make data: modules as `go` would accept them, folders in the layout of the
//!   `GOPROXY` protocol, and whole projects of a hundred modules and more that a real `go build` compiles.
//! * [`UpstreamServer`] serves such a folder over raw sockets, so that it can break every rule of HTTP and TCP.
//! * [`ChecksumDatabase`] is a checksum database with a key of its own, each answer of which can be forged.
//! * [`GitServer`] serves repositories over HTTP, as far away as one likes.
//! * [`Go`] and [`Modkeep`] run the real programs, each in an environment of its own.
//! * [`corpus`] and [`mutation_run`] give the corpora of the fuzzers, and inputs made from them, to ordinary tests.
//! * [`Port`] keeps a port at which nobody listens.
//! * [`script()`] writes a program that can be run at once.
//! * `Authority` and `TlsPeer` are both ends of a trust in certificates (feature `tls`).
//! * [`http`] speaks HTTP/1.1 by hand, for requests that no decent client would send.
//!
//! Nothing here is linked into the product. A helper that cannot do its work panics: that fails the test that called it.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    reason = "a helper of tests reports a broken set-up by failing the test, and tells what was left out"
)]

mod archive;
mod checksum_database;
mod fault;
mod git_server;
mod go;
mod graph;
pub mod http;
mod modkeep;
mod module;
mod mutate;
mod port;
mod process;
mod project;
mod schema;
mod script;
mod skipped;
#[cfg(feature = "tls")]
mod tls;
mod tree;
mod upstream;

pub use archive::{Content, Packing};
pub use checksum_database::ChecksumDatabase;
pub use fault::{Answer, Fault, Paths};
pub use git_server::{GitManner, GitServer};
pub use go::{Go, GoOutput, GoProblem};
pub use modkeep::{Exit, Modkeep, ModkeepCommand};
pub use module::{Module, escaped, h1, h1_of_digests};
pub use mutate::{corpus, mutation_run};
pub use port::Port;
pub use process::{CpuSeconds, Memory, cpu_of_tree, memory_of};
pub use project::{Project, ProjectShape, Selected};
pub use schema::schema_violations;
pub use script::script;
pub use skipped::{skipped, target_dir, workspace_root};
#[cfg(feature = "tls")]
pub use tls::{Authority, Identity, TlsPeer, TlsStream, Validity, serve_tls};
pub use tree::Tree;
pub use upstream::{Request, UpstreamServer};
