//! Where modkeep keeps what it has fetched.
//!
//! A store is one directory:
//!
//! | path | content |
//! |---|---|
//! | `tree/` | a valid GOPROXY tree, the layout of `$GOMODCACHE/cache/download`: immutable files, and a copy of the lists |
//! | `answers/` | answers that may change (`list`, `@latest`, branches, signed heads), each with what is needed to revalidate it |
//! | `tmp/` | files that are still being written; emptied at start |
//! | `quarantine/` | files whose bytes were found damaged |
//! | `records.sqlite` | what is known about the files; can be rebuilt from the tree at any time |
//! | `lock` | held by the one process that uses the store |
//! | `running` | left behind by a process that did not end in order |
//!
//! Files in the tree are published whole or not at all, never change and are never replaced. Reading one needs no
//! record: its length and digest travel with it as an extended attribute.

mod answer;
mod digest;
mod draft;
mod error;
mod index;
mod key;
mod lock;
mod publish;
mod rebuild;
mod records;
mod stored;
mod tree;

pub use answer::{Answer, AnswerKey, AnswerMeta};
pub use digest::{Digest, Hasher};
pub use draft::Draft;
pub use error::StoreError;
pub use index::IndexEntry;
pub use key::{FileKey, FileKind};
pub use rebuild::{RebuildReport, Scope, rebuild_records};
pub use records::{FileRecord, Records, RecordsHealth, Totals};
pub use stored::{Damage, StoredFile};
pub use tree::{Found, PublishedFile, Store};
