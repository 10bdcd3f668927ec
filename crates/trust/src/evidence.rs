//! What a database that has shown two histories is convicted with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sumdb::Fork;

use crate::head::write_durably;

const PREFIX: &str = "sumdb-fork+";

/// Writes both heads and the proof into the quarantine, once for each pair of heads. Blocks on the disk.
pub(crate) fn keep(root: &Path, database: &str, fork: &Fork) -> io::Result<PathBuf> {
    let report = format!("{fork}\n");
    let digest = store::Digest::of(report.as_bytes()).to_string();
    let name = format!(
        "{PREFIX}{}+{}.txt",
        database.replace('/', "+"),
        digest.get(..16).unwrap_or_default()
    );
    let path = root.join("quarantine").join(name);
    if !path.exists() {
        write_durably(&path, report.as_bytes())?;
    }
    Ok(path)
}

/// The reports of databases that have shown two histories, in a store's quarantine. Blocks on the disk.
pub fn forks_on_file(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join("quarantine"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
