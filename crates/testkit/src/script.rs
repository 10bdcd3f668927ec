//! Programs that a test writes itself.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a program for `/bin/sh`, to be run by the test that wrote it.
///
/// Another process writes it: a file that this one had open for writing may still be open in a child that another thread
/// has just forked, and the kernel refuses to run a file that anybody writes ("Text file busy").
pub fn script(path: &Path, text: &str) {
    let mut writer = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("sh can be run");
    let mut input = writer.stdin.take().expect("stdin is piped");
    write!(input, "#!/bin/sh\n{text}\n").expect("sh takes the text");
    drop(input);
    let status = writer.wait().expect("sh ends");
    assert!(status.success(), "{} cannot be written", path.display());
}
