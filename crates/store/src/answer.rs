use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gomod::{ModulePath, Revision};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::publish::replace;
use crate::{Digest, Store, StoreError};

/// Names an answer that may change with time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AnswerKey {
    /// `<module>/@v/list`.
    List(ModulePath),
    /// `<module>/@latest`.
    Latest(ModulePath),
    /// `<module>/@v/<revision>.info`, where the revision is a branch, a commit or anything but a canonical version.
    Query(ModulePath, Revision),
    /// A path below a checksum database, such as `latest`. The name has been checked against the configured ones.
    Sumdb {
        /// The database's name; may contain a slash.
        name: String,
        /// The path below it, without a leading slash.
        path: String,
    },
}

impl AnswerKey {
    /// The path below a GOPROXY base, in escaped form.
    pub fn url_path(&self) -> String {
        match self {
            Self::List(module) => format!("{}/@v/list", module.escaped()),
            Self::Latest(module) => format!("{}/@latest", module.escaped()),
            Self::Query(module, revision) => {
                format!("{}/@v/{}.info", module.escaped(), revision.escaped())
            }
            Self::Sumdb { name, path } => format!("sumdb/{name}/{path}"),
        }
    }
}

/// What is known of a changeable answer beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerMeta {
    /// When an upstream last confirmed it.
    pub confirmed: Timestamp,
    /// Which upstream gave it.
    pub source: String,
    /// The upstream's entity tag, for revalidation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The upstream's modification date, for revalidation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// A changeable answer as it was last given by an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where from and when.
    pub meta: AnswerMeta,
    /// The bytes, as the upstream gave them.
    pub body: Vec<u8>,
}

impl Store {
    /// Reads a stored answer. One that cannot be read, or is damaged, counts as absent: it can be fetched again.
    /// Blocks on the disk.
    pub fn read_answer(&self, key: &AnswerKey) -> Option<Answer> {
        let own = fs::read(self.answer_path(key)).ok();
        own.and_then(|bytes| decode(&bytes))
            .or_else(|| self.read_imported(key))
    }

    /// Keeps an answer in place of an earlier one. Blocks on the disk.
    pub fn write_answer(&self, key: &AnswerKey, answer: &Answer) -> Result<(), StoreError> {
        let path = self.answer_path(key);
        let bytes = encode(answer).map_err(StoreError::io("write", &path))?;
        replace(&self.temporary_directory(), &path, &bytes)?;
        match key {
            // The tree stays usable by other means: `GOPROXY=file:///...` answers queries from these two.
            AnswerKey::List(_) | AnswerKey::Latest(_) => replace(
                &self.temporary_directory(),
                &self.tree_directory().join(key.url_path()),
                &answer.body,
            ),
            AnswerKey::Query(..) | AnswerKey::Sumdb { .. } => Ok(()),
        }
    }

    fn answer_path(&self, key: &AnswerKey) -> PathBuf {
        match key {
            // Only what was proven lies there.
            AnswerKey::Sumdb { name, path } => self.proven_directory(name).join(path),
            _ => self.answers_directory().join(key.url_path()),
        }
    }

    fn proven_directory(&self, database: &str) -> PathBuf {
        self.answers_directory().join("proven").join(database)
    }

    /// The names of the answers of a checksum database that are kept in one folder of its paths, in any order. Blocks
    /// on the disk.
    pub fn sumdb_answers_below(&self, database: &str, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.proven_directory(database).join(folder));
        entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect()
    }

    /// A tree that was copied in (a module cache, another proxy's files) has lists, but nothing that says how old.
    fn read_imported(&self, key: &AnswerKey) -> Option<Answer> {
        let (AnswerKey::List(_) | AnswerKey::Latest(_)) = key else {
            return None;
        };
        let path = self.tree_directory().join(key.url_path());
        let body = fs::read(&path).ok().filter(|body| !body.is_empty())?;
        Some(Answer {
            meta: imported_meta(&path),
            body,
        })
    }
}

fn imported_meta(path: &Path) -> AnswerMeta {
    let modified = fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok();
    AnswerMeta {
        confirmed: modified
            .and_then(|time| Timestamp::try_from(time).ok())
            .unwrap_or(Timestamp::UNIX_EPOCH),
        source: "the store's tree".to_owned(),
        etag: None,
        last_modified: None,
    }
}

/// The first line of a stored answer.
#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(flatten)]
    meta: AnswerMeta,
    /// Of the body: it is not made durable, so that a power cut may leave a part of it.
    sha256: String,
}

/// One line of JSON, then the body.
fn encode(answer: &Answer) -> io::Result<Vec<u8>> {
    let head = Head {
        meta: answer.meta.clone(),
        sha256: Digest::of(&answer.body).to_string(),
    };
    let mut bytes = serde_json::to_vec(&head)?;
    bytes.push(b'\n');
    bytes.extend_from_slice(&answer.body);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
    let body = bytes[end + 1..].to_vec();
    (head.sha256 == Digest::of(&body).to_string()).then_some(Answer {
        meta: head.meta,
        body,
    })
}
