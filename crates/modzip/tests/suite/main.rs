//! The crate as its users see it, judged by Go's vectors, by the go command and by zips made to lie.
#![expect(
    clippy::print_stdout,
    reason = "tests say how many vectors ran, and what they skip"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of it is test code, helpers too"
)]

mod against_go;
mod conformance;
mod corpus;
mod create;
mod directories;
mod fuzzed;
mod go;
mod hostile;
mod live;
mod properties;
mod raw_zip;
mod sound;
mod txtar;

use std::path::PathBuf;

use gomod::{ModulePath, ModuleVersion, Version};
use modzip::{Error, H1, Workers};

/// The module version that most tests are about.
fn module() -> ModuleVersion {
    module_version("example.com/m", "v1.0.0")
}

fn module_version(path: &str, version: &str) -> ModuleVersion {
    let path = ModulePath::new(path).unwrap();
    ModuleVersion::new(path, Version::new(version).unwrap()).unwrap()
}

/// Name of an entry of the zip of [`module`].
fn entry_name(path: &str) -> String {
    format!("example.com/m@v1.0.0/{path}")
}

/// The hash of a zip, on the calling thread alone.
fn hash(zip: &[u8]) -> Result<H1, Error> {
    modzip::hash_zip(zip, zip.len() as u64, &Workers::calling_thread())
}

/// A folder of the conformance vectors, if they are there; else says that `what` is skipped.
fn conformance(folder: &str, what: &str) -> Option<PathBuf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance");
    let path = PathBuf::from(root).join(folder);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {what} (no ../shared/conformance)");
    None
}
