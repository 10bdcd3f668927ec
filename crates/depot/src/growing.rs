use std::fs::File;
use std::sync::Arc;

use tokio::sync::watch;

use crate::DepotError;
use crate::degraded::Room;

/// How far a file that is being fetched has come.
#[derive(Clone, Debug)]
pub enum Progress {
    /// So many bytes may be read; more will follow.
    Growing(u64),
    /// All bytes may be read: so many.
    Complete(u64),
    /// There will be no more. What was read so far must not be taken for a file.
    Failed(DepotError),
}

/// A file that is being fetched, readable from its first byte on.
#[derive(Clone, Debug)]
pub struct GrowingFile {
    file: Arc<File>,
    announced: Option<u64>,
    progress: watch::Receiver<Progress>,
    /// Held while anybody reads, if the file is in memory.
    _room: Option<Arc<Room>>,
}

impl GrowingFile {
    pub(crate) fn new(
        file: Arc<File>,
        announced: Option<u64>,
        progress: watch::Receiver<Progress>,
        room: Option<Arc<Room>>,
    ) -> Self {
        Self {
            file,
            announced,
            progress,
            _room: room,
        }
    }

    /// The open file, for positioned reads up to what [`Progress`] allows.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// The length in bytes, if it is known before the end.
    pub fn known_len(&self) -> Option<u64> {
        match *self.progress.borrow() {
            Progress::Complete(len) => Some(len),
            Progress::Growing(_) | Progress::Failed(_) => self.announced,
        }
    }

    /// Why there will be no more of it, if that is known already.
    pub fn failure(&self) -> Option<DepotError> {
        match &*self.progress.borrow() {
            Progress::Failed(error) => Some(error.clone()),
            Progress::Growing(_) | Progress::Complete(_) => None,
        }
    }

    /// Waits until a byte at `position` may be read, or never will be.
    pub async fn wait_for(&mut self, position: u64) -> Progress {
        let reached = self.progress.wait_for(|progress| match progress {
            Progress::Growing(readable) => *readable > position,
            Progress::Complete(_) | Progress::Failed(_) => true,
        });
        match reached.await {
            Ok(progress) => progress.clone(),
            Err(_) => Progress::Failed(DepotError::Lost),
        }
    }
}
