//! Where this server may connect to, and how.

use std::fs::File;
use std::path::PathBuf;

use super::Checker;

impl Checker<'_> {
    /// The proxy auto-configuration file. Whether it is a program that answers is for others to find out.
    pub(super) fn auto_config(&mut self) -> Option<PathBuf> {
        let path = PathBuf::from(&self.resolved.get("outbound.pac").value);
        if path.as_os_str().is_empty() {
            return None;
        }
        if let Err(error) = File::open(&path) {
            self.fail("outbound.pac", &format!("{}: {error}", path.display()));
        }
        Some(path)
    }
}
