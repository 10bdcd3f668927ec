//! Room on the disk, made by the server while it runs.

use depot::{Cleaning, Depot};
use tokio::task::JoinHandle;

/// The task that makes room. It ends with this.
#[derive(Debug, Default)]
pub(super) struct RegularCleaning {
    task: Option<JoinHandle<()>>,
}

impl RegularCleaning {
    /// Makes room as is wanted from now on; not at all without wishes.
    pub(super) fn follow(&mut self, depot: &Depot, cleaning: Option<&Cleaning>) {
        self.stop();
        self.task = cleaning.cloned().map(|cleaning| {
            let depot = depot.clone();
            tokio::spawn(async move { depot.clean_regularly(&cleaning).await })
        });
    }

    /// Makes no more room.
    pub(super) fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}
