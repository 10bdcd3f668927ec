use std::collections::HashMap;

use gomod::ModuleVersion;

use super::batch::{Staged, head_of};
use super::keys::LogKeys;
use super::store::{Heads, LogRecord, LogStore, StoredHashes};
use crate::error::Error;
use crate::note::Signature;
use crate::record::ModuleHashes;
use crate::tlog::{Frontier, RecordText, TreeHead, stored_hash_count};

/// How many records a start catches up with at a time.
const CATCH_UP: u64 = 1024;

/// What became of one entry of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is a new record.
    Appended {
        /// The number of the record.
        id: u64,
    },
    /// The log has had this very record.
    Known {
        /// The number of the record.
        id: u64,
    },
    /// The log has another record for the module version, and keeps it: an event to raise an alarm for.
    Rejected(Rejection),
}

/// Two claims about one module version. The first one stands for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The number of the record in the log.
    pub id: u64,
    /// What the log says.
    pub recorded: RecordText,
    /// What was offered.
    pub offered: RecordText,
}

/// The one writer of a log.
#[derive(Debug)]
pub struct LogWriter {
    keys: LogKeys,
    /// What the store was left with. `None` after an error: then the store has to tell again.
    state: Option<State>,
}

#[derive(Debug)]
struct State {
    frontier: Frontier,
    signed: Heads,
}

impl LogWriter {
    /// Opens a log for writing, creates it if the store is empty, and completes what a crash has left half done.
    pub fn open(keys: LogKeys, store: &mut impl LogStore) -> Result<Self, Error> {
        let state = Some(recover(&keys, store)?);
        Ok(Self { keys, state })
    }

    /// Appends a batch. Entries about module versions the log knows, or that come twice in the batch, add no record.
    /// When this returns the new records are published. After an error the next call first completes what was begun.
    pub fn append(
        &mut self,
        entries: &[ModuleHashes],
        store: &mut impl LogStore,
    ) -> Result<Vec<Outcome>, Error> {
        let state = match self.state.take() {
            Some(state) => state,
            None => recover(&self.keys, store)?,
        };
        let (records, outcomes) = sort_out(entries, state.frontier.size(), store)?;
        let is_new = !records.is_empty();
        self.state = Some(if is_new {
            commit(&self.keys, state, records, store)?
        } else {
            state
        });
        Ok(outcomes)
    }

    /// The last signed head, unless the last call failed.
    pub fn signed(&self) -> Option<&Heads> {
        self.state.as_ref().map(|state| &state.signed)
    }
}

/// Decides which entries become records.
fn sort_out(
    entries: &[ModuleHashes],
    size: u64,
    store: &impl LogStore,
) -> Result<(Vec<LogRecord>, Vec<Outcome>), Error> {
    let modules: Vec<ModuleVersion> = entries.iter().map(|entry| entry.module().clone()).collect();
    let known = store.find(&modules).map_err(Error::Store)?;
    if known.len() != modules.len() {
        return Err(Error::InconsistentStore("wrong number of records found"));
    }

    let mut records: Vec<LogRecord> = Vec::new();
    let mut outcomes = Vec::new();
    let mut new_ids: HashMap<&ModuleVersion, u64> = HashMap::new();
    for (entry, known) in entries.iter().zip(known) {
        let new_id = new_ids.get(entry.module()).copied();
        outcomes.push(match (known, new_id) {
            (Some(id), _) => compare(id, read_record(id, store)?, entry),
            (None, Some(id)) => {
                let twin = entries
                    .iter()
                    .find(|other| other.module() == entry.module());
                compare(id, twin.unwrap_or(entry).record().clone(), entry)
            }
            (None, None) => {
                let id = size + records.len() as u64;
                new_ids.insert(entry.module(), id);
                records.push(LogRecord {
                    module: entry.module().clone(),
                    text: entry.record().clone(),
                });
                Outcome::Appended { id }
            }
        });
    }
    Ok((records, outcomes))
}

fn compare(id: u64, recorded: RecordText, entry: &ModuleHashes) -> Outcome {
    let offered = entry.record().clone();
    if recorded == offered {
        return Outcome::Known { id };
    }
    Outcome::Rejected(Rejection {
        id,
        recorded,
        offered,
    })
}

fn read_record(id: u64, store: &impl LogStore) -> Result<RecordText, Error> {
    let records = store.read_records(id, 1).map_err(Error::Store)?;
    let record = records.into_iter().next();
    record.ok_or(Error::InconsistentStore("a record in the index is missing"))
}

/// Takes a batch through all its steps.
fn commit(
    keys: &LogKeys,
    state: State,
    records: Vec<LogRecord>,
    store: &mut impl LogStore,
) -> Result<State, Error> {
    let staged = Staged::new(state.frontier, records);
    store
        .append_records(staged.first(), staged.records())
        .map_err(Error::Store)?;
    publish_durable_records(keys, &state.signed, staged, store)
}

/// Takes a batch of durable records through the other steps.
fn publish_durable_records(
    keys: &LogKeys,
    last: &Heads,
    staged: Staged,
    store: &mut impl LogStore,
) -> Result<State, Error> {
    let hashed = staged.records_are_durable()?;
    store
        .write_hashes(hashed.first(), hashed.hashes())
        .map_err(Error::Store)?;
    let signed = hashed.hashes_are_durable(keys, &keys.open(last)?)?;
    swap_signed(Some(last), signed.heads(), store)?;
    store.publish(signed.heads()).map_err(Error::Store)?;
    let (frontier, signed) = signed.is_published();
    Ok(State { frontier, signed })
}

fn swap_signed(old: Option<&Heads>, new: &Heads, store: &mut impl LogStore) -> Result<(), Error> {
    if store.swap_signed(old, new).map_err(Error::Store)? {
        return Ok(());
    }
    let signed = store
        .signed()
        .map_err(Error::Store)?
        .map(|heads| heads.tree())
        .transpose()?;
    let size = new.tree()?.size();
    Err(Error::NotAnExtension {
        size,
        signed: signed.map_or(0, |tree| tree.size()),
    })
}

/// Brings the store to a state in which everything durable is signed and published.
fn recover(keys: &LogKeys, store: &mut impl LogStore) -> Result<State, Error> {
    let signed = match store.signed().map_err(Error::Store)? {
        Some(signed) => signed,
        None => begin(keys, store)?,
    };
    let tree = keys.open(&signed)?;
    let sizes = store.sizes().map_err(Error::Store)?;
    if sizes.records < tree.size() {
        return Err(Error::StoreBehindSigned {
            stored: sizes.records,
            signed: tree.size(),
        });
    }
    if sizes.hashes < stored_hash_count(tree.size()) {
        return Err(Error::InconsistentStore(
            "hashes of the signed tree are missing",
        ));
    }
    let frontier = Frontier::read(tree.size(), &StoredHashes(store))?;
    if head_of(&frontier)? != tree {
        return Err(Error::InconsistentStore(
            "the stored hashes do not have the signed root",
        ));
    }

    let signed = renew(keys, signed, tree, store)?;
    if !is_published(&signed, keys, store)? {
        store.publish(&signed).map_err(Error::Store)?;
    }
    catch_up(keys, State { frontier, signed }, sizes.records, store)
}

/// Whether readers see this head, maybe with cosignatures below the signatures of the log. Signatures of the log's own
/// name that are not in the head are those of a key that signs no more.
fn is_published(signed: &Heads, keys: &LogKeys, store: &impl LogStore) -> Result<bool, Error> {
    let Some(published) = store.published().map_err(Error::Store)? else {
        return Ok(false);
    };
    let own = [keys.go(), keys.checkpoint()].map(|key| &key.verifier().id().name);
    let is_cosigned = |signed: &str, published: &str| {
        let added = published.strip_prefix(signed);
        added.is_some_and(|lines| {
            lines.lines().all(|line| {
                Signature::parse(line).is_ok_and(|line| !own.contains(&&line.key().name))
            })
        })
    };
    Ok(is_cosigned(&signed.go, &published.go)
        && is_cosigned(&signed.checkpoint, &published.checkpoint))
}

/// Signs the head of the empty tree. Only a store without records may lack a signed head: one with records has lost
/// what it promised.
fn begin(keys: &LogKeys, store: &mut impl LogStore) -> Result<Heads, Error> {
    if store.sizes().map_err(Error::Store)?.records > 0 {
        return Err(Error::InconsistentStore("records without a signed head"));
    }
    let heads = keys.sign(TreeHead::empty())?;
    swap_signed(None, &heads, store)?;
    Ok(heads)
}

/// Signs the same tree again if the keys have changed.
fn renew(
    keys: &LogKeys,
    signed: Heads,
    tree: TreeHead,
    store: &mut impl LogStore,
) -> Result<Heads, Error> {
    let renewed = keys.sign(tree)?;
    if renewed == signed {
        return Ok(signed);
    }
    swap_signed(Some(&signed), &renewed, store)?;
    Ok(renewed)
}

/// Publishes records that a crash has left without a signed head.
fn catch_up(
    keys: &LogKeys,
    mut state: State,
    records: u64,
    store: &mut impl LogStore,
) -> Result<State, Error> {
    while state.frontier.size() < records {
        let first = state.frontier.size();
        let count = (records - first).min(CATCH_UP);
        let texts = usize::try_from(count)
            .ok()
            .map(|count| store.read_records(first, count));
        let texts = texts.transpose().map_err(Error::Store)?.unwrap_or_default();
        if texts.len() as u64 != count {
            return Err(Error::InconsistentStore("wrong number of records read"));
        }
        let records = texts
            .into_iter()
            .map(|text| {
                Ok(LogRecord {
                    module: crate::record::check_lines(&text)?,
                    text,
                })
            })
            .collect::<Result<_, Error>>()?;
        let staged = Staged::new(state.frontier, records);
        state = publish_durable_records(keys, &state.signed, staged, store)?;
    }
    Ok(state)
}
