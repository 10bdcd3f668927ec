//! The transcripts of the documentation, written by the test that compares them.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Runs the test in the mode in which it writes.
pub(crate) fn write() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["test", "--package", "cli", "--test", "doctor_transcripts"])
        .env("MODKEEP_WRITE_TRANSCRIPTS", "1")
        .current_dir(testkit::workspace_root())
        .status()
        .context("cargo cannot be started")?;
    ensure!(status.success(), "the transcripts could not be written");
    Ok(())
}
