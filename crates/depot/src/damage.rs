//! What is written down of stored files that were found damaged while they were served.

use jiff::Timestamp;
use store::{Event, EventKind, FoundDamaged, Records, Store};
use tokio::sync::mpsc;

/// Lets every file that the store sets aside by itself become an event of its version. Ends with the store.
pub(crate) fn note_damage(store: &Store, records: &Records) {
    let (sender, mut found) = mpsc::unbounded_channel();
    store.tell_of_damage(move |damaged| {
        let _nobody_writes_any_more = sender.send(damaged);
    });
    let records = records.clone();
    tokio::spawn(async move {
        while let Some(damaged) = found.recv().await {
            let FoundDamaged { key, id, reason } = damaged;
            tracing::error!(file = %key, quarantine = %id, reason, "a stored file was found damaged; it was set aside");
            let Ok(module) = key.module_version() else {
                continue;
            };
            let what = EventKind::Quarantined {
                id,
                file: key.kind,
                reason,
            };
            let time = Timestamp::now();
            records.event(Event { module, time, what }).await;
        }
    });
}
