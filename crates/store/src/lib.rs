//! Where modkeep keeps what it has fetched.
//!
//! A store is one directory:
//!
//! | path | content |
//! |---|---|
//! | `tree/` | a valid GOPROXY tree, the layout of `$GOMODCACHE/cache/download`: immutable files, and a copy of the lists |
//! | `answers/` | answers that may change (`list`, `@latest`, branches, signed heads), each with what is needed to revalidate it |
//! | `tmp/` | files that are still being written; emptied at start |
//! | `quarantine/` | bytes that must not be served, with what is known against them |
//! | `records.sqlite` | what is known about the files; can be rebuilt from the tree at any time |
//! | `scrub.json`, `scrub-command.json` | how far re-reading the tree has come, of the server and of the command |
//! | `lock` | held by the one process that uses the store |
//! | `running` | left behind by a process that did not end in order |
//!
//! Files in the tree are published whole or not at all, never change and are never replaced. Reading one needs no
//! record: its length and digest travel with it as an extended attribute.
//!
//! What a version's go.mod and zip must hash to is a [`Pin`]. It is on record, and for a zip also in the `.ziphash` file
//! beside it, so that it outlives the loss of either.

mod answer;
mod digest;
mod draft;
mod error;
mod event;
mod index;
mod key;
mod lock;
mod pin;
mod publish;
mod quarantine;
mod rebuild;
mod records;
mod release;
mod room;
mod scrub_state;
mod source;
mod stored;
mod tree;
mod walk;

pub use answer::{Answer, AnswerKey, AnswerMeta};
pub use digest::{Digest, Hasher};
pub use draft::Draft;
pub use error::StoreError;
pub use event::{Check, CheckResult, Event, EventKind};
pub use index::IndexEntry;
pub use key::{FileKey, FileKind};
pub use lock::{Lock, LockError};
pub use pin::{Expected, FirstSightReason, Pin, PinnedFile, UncheckedReason, Verification};
pub use quarantine::{
    Claim, Evidence, FoundDamaged, QuarantineEntry, QuarantineId, QuarantineIdError,
    QuarantineReason,
};
pub use rebuild::{RebuildReport, Scope, rebuild_records};
pub use records::{
    EventProvenance, FileProvenance, FileRecord, PinProvenance, Provenance, Records, RecordsHealth,
    Totals,
};
pub use release::{ReleaseError, Released, drop_quarantined, release};
pub use room::{Space, UsedZip};
pub use scrub_state::{ScrubState, Scrubber};
pub use source::Source;
pub use stored::{Damage, StoredFile};
pub use tree::{Found, PublishedFile, Store};
pub use walk::{AsFound, Walk};
