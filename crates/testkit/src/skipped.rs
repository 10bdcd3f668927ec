use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

/// Says that a test left something out, for example because a tool is not on this machine.
///
/// Prints `skipped: <what>` and appends `<what>` to `skipped.txt` in the target directory, whose lines `./test` shows
/// at the end: what was not tested must not look like what passed.
pub fn skipped(what: &str) {
    println!("skipped: {what}");
    let folder = target_dir();
    fs::create_dir_all(&folder).expect("the target directory can be made");
    let mut record = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("skipped.txt"))
        .expect("target/skipped.txt can be written");
    record
        .write_all(format!("{what}\n").as_bytes())
        .expect("target/skipped.txt can be written");
}

/// The folder that cargo builds into: `CARGO_TARGET_DIR`, else `target` in the workspace.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) if !folder.is_empty() => workspace_root().join(folder),
        _ => workspace_root().join("target"),
    }
}

/// The folder of the workspace's `Cargo.toml`.
pub fn workspace_root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("this crate lies two folders below the workspace")
        .to_path_buf()
}
