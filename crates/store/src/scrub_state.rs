use std::fs;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError};

/// Who reads a store again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrubber {
    /// The server, from time to time.
    Server,
    /// Somebody, with a command.
    Command,
}

impl Scrubber {
    fn file_name(self) -> &'static str {
        match self {
            Self::Server => "scrub.json",
            Self::Command => "scrub-command.json",
        }
    }
}

/// How far the re-reading of a store has come, so that it goes on there after an interruption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubState {
    /// The last file that was looked at in the pass under way, as [`crate::FileKey::url_path`] has it. `None`: no pass is
    /// under way.
    pub after: Option<String>,
    /// When the last pass ended; before the first one, when the waiting for it began.
    pub since: Timestamp,
}

impl Store {
    /// What was written last. `None`: nothing was, or it is not to be understood; it then begins anew.
    pub fn scrub_state(&self, of: Scrubber) -> Option<ScrubState> {
        let text = fs::read(self.root().join(of.file_name())).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Writes down how far the re-reading has come. Not made durable: what is lost is looked at twice.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_scrub_state(&self, of: Scrubber, state: &ScrubState) -> Result<(), StoreError> {
        let path = self.root().join(of.file_name());
        let text = serde_json::to_vec(state)
            .map_err(|error| StoreError::io("write", &path)(error.into()))?;
        crate::publish::replace(&self.temporary_directory(), &path, &text)
    }
}
