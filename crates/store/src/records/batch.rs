//! What is queued, and how it gets into the database: many things in one transaction.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Row as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::{FileRecord, RecordsHealth, Shared, pins};
use crate::{Event, Pin, Source, StoreError};

/// Messages waiting to be recorded; a fetch that would add one more waits.
pub(super) const QUEUE: usize = 4096;
/// How long the first waiting message may wait for company.
const BATCH_DELAY: Duration = Duration::from_millis(100);

pub(super) enum Message {
    File(FileRecord),
    Event(Event),
    /// There are pins among those that wait.
    Pins,
    Flush(oneshot::Sender<()>),
}

/// What is written in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) files: Vec<FileRecord>,
    pub(crate) pins: Vec<Pin>,
    pub(crate) events: Vec<Event>,
}

impl Shared {
    /// Writes a batch, and the pins that wait.
    pub(super) async fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let waiting = self.pending.snapshot();
        let written = self.try_write(batch, &waiting).await;
        match written {
            Ok(()) => {
                self.pending.remove(&waiting);
                self.set_health(RecordsHealth::Ready);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn try_write(&self, batch: &Batch, waiting: &[Pin]) -> Result<(), StoreError> {
        let failed = |error: sqlx::Error| self.failed(&error);
        // Writing from its first statement on: another process may write, too, and a transaction that began by reading
        // could not go on to write after that.
        let begin = self.pool().await?.begin_with("BEGIN IMMEDIATE").await;
        let mut transaction = begin.map_err(failed)?;
        let mut seen = latest_seen(&mut transaction).await.map_err(failed)?;
        for record in &batch.files {
            let inserted = insert(&mut transaction, record, seen).await;
            seen = inserted.map_err(failed)?;
        }
        for pin in batch.pins.iter().chain(waiting) {
            let inserted = pins::insert(&mut transaction, pin).await;
            inserted.map_err(failed)?;
        }
        for event in &batch.events {
            let inserted = insert_event(&mut transaction, event).await;
            inserted.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }
}

async fn latest_seen(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query("SELECT coalesce(max(seen), 0) FROM version")
        .fetch_one(connection)
        .await
        .map(|row| row.get(0))
}

/// Adds one file, and its version unless that is known. Returns the latest `seen` of all versions.
async fn insert(
    connection: &mut SqliteConnection,
    record: &FileRecord,
    latest: i64,
) -> Result<i64, sqlx::Error> {
    let seen = record.stored.as_microsecond().max(latest + 1);
    let added = sqlx::query(
        "INSERT INTO version (module, version, seen) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(record.key.module.as_str())
    .bind(record.key.version.as_str())
    .bind(seen)
    .execute(&mut *connection)
    .await?;
    let source = record.source.as_ref().map(Source::columns);
    sqlx::query(
        "INSERT INTO file (version_id, kind, size, sha256, source, source_kind, revision, etag, stored) \
         VALUES ((SELECT id FROM version WHERE module = ? AND version = ?), ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (version_id, kind) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256, \
         source = coalesce(excluded.source, source), etag = coalesce(excluded.etag, etag), \
         source_kind = iif(excluded.source IS NULL, source_kind, excluded.source_kind), \
         revision = iif(excluded.source IS NULL, revision, excluded.revision)",
    )
    .bind(record.key.module.as_str())
    .bind(record.key.version.as_str())
    .bind(record.key.kind.extension())
    .bind(i64::try_from(record.size).unwrap_or(i64::MAX))
    .bind(record.digest.as_bytes().as_slice())
    .bind(source.map(|(_, name, _)| name))
    .bind(source.map_or("upstream", |(kind, _, _)| kind))
    .bind(source.and_then(|(_, _, revision)| revision))
    .bind(record.etag.as_deref())
    .bind(record.stored.as_microsecond())
    .execute(connection)
    .await?;
    Ok(if added.rows_affected() > 0 {
        seen
    } else {
        latest
    })
}

async fn insert_event(connection: &mut SqliteConnection, event: &Event) -> Result<(), sqlx::Error> {
    let detail =
        serde_json::to_string(&event.what).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query(
        "INSERT INTO event (module, version, time, kind, detail, slot) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT (module, version, slot) DO UPDATE SET time = excluded.time, detail = excluded.detail",
    )
    .bind(event.module.path().as_str())
    .bind(event.module.version().as_str())
    .bind(event.time.as_microsecond())
    .bind(event.what.name())
    .bind(detail)
    .bind(event.what.slot())
    .execute(connection)
    .await
    .map(drop)
}

/// Collects messages until the queue pauses, then writes them in one transaction. A batch that cannot be written is
/// dropped with an error in the log: the tree still has the files, and a rebuild finds them. Pins wait for the next one.
pub(super) async fn write_batches(shared: Arc<Shared>, mut messages: mpsc::Receiver<Message>) {
    while let Some(first) = messages.recv().await {
        let mut batch = Batch::default();
        let mut messages_in = 0;
        let mut flushed = Vec::new();
        let mut next = Some(first);
        let deadline = tokio::time::sleep(BATCH_DELAY);
        tokio::pin!(deadline);
        while let Some(message) = next {
            messages_in += 1;
            match message {
                Message::File(record) => batch.files.push(record),
                Message::Event(event) => batch.events.push(event),
                Message::Pins => {}
                Message::Flush(done) => flushed.push(done),
            }
            next = if flushed.is_empty() && messages_in < QUEUE {
                tokio::select! {
                    message = messages.recv() => message,
                    () = &mut deadline => None,
                }
            } else {
                None
            };
        }
        let has_work =
            !batch.files.is_empty() || !batch.events.is_empty() || !shared.pending.is_empty();
        if has_work && let Err(error) = shared.write(&batch).await {
            tracing::error!(files = batch.files.len(), events = batch.events.len(), %error, "stored files could not be recorded; `modkeep store rebuild` adds them");
        }
        for done in flushed {
            let _nobody_waits = done.send(());
        }
    }
}
