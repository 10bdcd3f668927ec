//! Bytes that must not be served, kept with what is known against them.
//!
//! An entry is a directory `quarantine/<id>/` with two files: `evidence.json`, and the bytes as `content.<kind>`. The
//! bytes come last, in one step, so that an entry is there whole or is none; one without bytes is what a process has
//! left that ended in the middle, and is removed at the next start after a crash.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use gomod::{ModulePath, Version};
use jiff::{Timestamp, ToSpan as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::publish::sync_directory;
use crate::stored::Damage;
use crate::tree::is_absence;
use crate::{Draft, FileKey, FileKind, Source, Store, StoreError};

const EVIDENCE: &str = "evidence.json";
/// The longest evidence that is read, in bytes.
const LONGEST_EVIDENCE: u64 = 1 << 20;
/// Names that are tried for one entry; each is taken only if another entry was made in the same microsecond.
const TRIES: u32 = 1000;

/// Names an entry of the quarantine. Ids sort by time.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct QuarantineId(String);

/// A text that is no id of the quarantine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no id of the quarantine, such as 20260131-123000-000000; `modkeep store quarantine list` shows them"
)]
pub struct QuarantineIdError(String);

impl QuarantineId {
    pub(crate) fn new(time: Timestamp) -> Self {
        Self(time.strftime("%Y%m%d-%H%M%S-%6f").to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for QuarantineId {
    type Err = QuarantineIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_id = text.len() == 22
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 15 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if is_id {
            Ok(Self(text.to_owned()))
        } else {
            Err(QuarantineIdError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for QuarantineId {
    type Error = QuarantineIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<QuarantineId> for String {
    fn from(id: QuarantineId) -> Self {
        id.0
    }
}

impl fmt::Display for QuarantineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why bytes are in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuarantineReason {
    /// They have another hash than they must have.
    HashMismatch,
    /// They were stored, and are not any more what was stored.
    Damaged,
    /// They are not what they are to be, whatever they hash to.
    Rejected,
}

/// A hash, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The hash in its usual text form.
    pub hash: String,
    /// Who says so, in words.
    pub from: String,
}

/// What is known against bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Which file the bytes were to be.
    pub key: FileKey,
    /// Why they are not.
    pub reason: QuarantineReason,
    /// The same in one line for people.
    pub detail: String,
    /// What the bytes hash to.
    pub found: Option<Claim>,
    /// What they should hash to.
    pub expected: Option<Claim>,
    /// Where the bytes came from.
    pub source: Option<Source>,
    /// When they were found out.
    pub time: Timestamp,
    /// The request that led to it.
    pub request_id: Option<String>,
}

/// [`Evidence`] as it is written down.
#[derive(Serialize, Deserialize)]
struct Written {
    module: String,
    version: String,
    file: FileKind,
    reason: QuarantineReason,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Claim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<Claim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Serialize for Evidence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let this = self.clone();
        Written {
            module: this.key.module.as_str().to_owned(),
            version: this.key.version.as_str().to_owned(),
            file: this.key.kind,
            reason: this.reason,
            detail: this.detail,
            found: this.found,
            expected: this.expected,
            source: this.source,
            time: this.time,
            request_id: this.request_id,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Evidence {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let written = Written::deserialize(deserializer)?;
        Ok(Self {
            key: FileKey {
                module: ModulePath::new(&written.module).map_err(D::Error::custom)?,
                version: Version::new(&written.version).map_err(D::Error::custom)?,
                kind: written.file,
            },
            reason: written.reason,
            detail: written.detail,
            found: written.found,
            expected: written.expected,
            source: written.source,
            time: written.time,
            request_id: written.request_id,
        })
    }
}

/// Bytes in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineEntry {
    /// Its name.
    pub id: QuarantineId,
    /// What is known against them.
    pub evidence: Evidence,
    /// How many bytes they are.
    pub size: u64,
    /// Where they are.
    pub path: PathBuf,
}

/// A stored file that was found damaged when it was opened, and is in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDamaged {
    /// Which.
    pub key: FileKey,
    /// As what it is in quarantine.
    pub id: QuarantineId,
    /// What is wrong with it.
    pub reason: String,
}

type Listener = Box<dyn Fn(FoundDamaged) + Send + Sync>;

/// Who is told of damaged files.
#[derive(Default)]
pub(crate) struct DamageListener(OnceLock<Listener>);

impl fmt::Debug for DamageListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DamageListener").finish_non_exhaustive()
    }
}

impl Store {
    /// Puts what was fetched into quarantine. Blocks until it is durable.
    pub fn quarantine_draft(
        &self,
        draft: Draft,
        evidence: &Evidence,
    ) -> Result<QuarantineId, StoreError> {
        let (file, temporary, len, digest) = draft.seal()?;
        crate::digest::stamp(&file, len, digest);
        file.sync_data()
            .map_err(StoreError::io("flush", &temporary))?;
        let (id, _) = self
            .put_into_quarantine(&temporary, evidence)?
            .ok_or_else(|| {
                StoreError::io("open", &temporary)(io::Error::other("the draft vanished"))
            })?;
        let _moved = temporary.keep();
        Ok(id)
    }

    /// As [`Self::quarantine_draft`], for bytes in memory.
    pub fn quarantine_bytes(
        &self,
        bytes: &[u8],
        evidence: &Evidence,
    ) -> Result<QuarantineId, StoreError> {
        let mut draft = self.create_draft()?;
        draft.append(bytes)?;
        self.quarantine_draft(draft, evidence)
    }

    /// Takes a stored file out of the tree. `None`: it was not there. Blocks until it is durable.
    pub fn quarantine_stored(
        &self,
        evidence: &Evidence,
    ) -> Result<Option<QuarantineId>, StoreError> {
        let path = self.tree_directory().join(evidence.key.tree_path());
        let Some((id, _)) = self.put_into_quarantine(&path, evidence)? else {
            return Ok(None);
        };
        sync_directory(path.parent().unwrap_or(Path::new("/")))?;
        Ok(Some(id))
    }

    /// Takes a damaged file out of the tree, and keeps it for whoever wants to know what happened to it.
    pub fn quarantine(&self, key: &FileKey, damage: &Damage) -> Result<(), StoreError> {
        let evidence = Evidence::of_damage(key, damage);
        let id = self.quarantine_stored(&evidence)?;
        if let (Some(id), Some(tell)) = (id, self.damage.0.get()) {
            tell(FoundDamaged {
                key: evidence.key,
                id,
                reason: evidence.detail,
            });
        }
        Ok(())
    }

    /// Has `listener` told of every damaged file that is set aside from now on. It must not block. A second one is not
    /// heard.
    pub fn tell_of_damage(&self, listener: impl Fn(FoundDamaged) + Send + Sync + 'static) {
        let _only_once = self.damage.0.set(Box::new(listener));
    }

    /// Everything in quarantine, oldest first.
    pub fn quarantine_entries(&self) -> Result<Vec<QuarantineEntry>, StoreError> {
        let directory = self.quarantine_directory();
        let names = match fs::read_dir(&directory) {
            Ok(names) => names,
            Err(error) if is_absence(&error) => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("read", &directory)(error)),
        };
        let mut ids: Vec<QuarantineId> = names
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        ids.sort();
        let entries = ids.iter().map(|id| self.quarantine_entry(id));
        entries.filter_map(Result::transpose).collect()
    }

    /// One entry. `None`: there is none of this name.
    pub fn quarantine_entry(
        &self,
        id: &QuarantineId,
    ) -> Result<Option<QuarantineEntry>, StoreError> {
        let directory = self.quarantine_directory().join(id.as_str());
        let evidence = directory.join(EVIDENCE);
        let text = match read_evidence(&evidence) {
            Ok(text) => text,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(StoreError::io("read", &evidence)(error)),
        };
        let parsed: Evidence = match serde_json::from_slice(&text) {
            Ok(parsed) => parsed,
            Err(_) if !has_content(&directory) => return Ok(None),
            Err(error) => return Err(StoreError::io("understand", &evidence)(error.into())),
        };
        let path = directory.join(content_name(parsed.key.kind));
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(QuarantineEntry {
                id: id.clone(),
                evidence: parsed,
                size: metadata.len(),
                path,
            })),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(StoreError::io("read", &path)(error)),
        }
    }

    /// Removes an entry and its bytes for good, and tells nobody.
    ///
    /// # Errors
    /// When it is not there or cannot be removed.
    pub fn remove_quarantined(&self, id: &QuarantineId) -> Result<(), StoreError> {
        let directory = self.quarantine_directory().join(id.as_str());
        // Its name goes first, so that no entry is ever seen with half of what it had.
        let going = self.temporary_directory().join(format!("dropped-{id}"));
        fs::rename(&directory, &going).map_err(StoreError::io("remove", &directory))?;
        sync_directory(&self.quarantine_directory())?;
        fs::remove_dir_all(&going).map_err(StoreError::io("remove", &going))
    }

    /// Removes entries whose bytes never arrived.
    pub(crate) fn remove_unfinished_entries(&self) -> Result<(), StoreError> {
        let directory = self.quarantine_directory();
        for name in fs::read_dir(&directory).map_err(StoreError::io("read", &directory))? {
            let Ok(name) = name else { continue };
            let is_entry = name
                .file_name()
                .to_str()
                .is_some_and(|name| name.parse::<QuarantineId>().is_ok());
            if is_entry && !has_content(&name.path()) {
                let path = name.path();
                fs::remove_dir_all(&path).map_err(StoreError::io("clean", &path))?;
            }
        }
        Ok(())
    }

    /// Moves a file into a new entry. `None`: there is no such file.
    fn put_into_quarantine(
        &self,
        file: &Path,
        evidence: &Evidence,
    ) -> Result<Option<(QuarantineId, PathBuf)>, StoreError> {
        let (id, directory) = self.create_entry(evidence.time)?;
        let result = write_evidence(&directory, evidence).and_then(|()| {
            let destination = directory.join(content_name(evidence.key.kind));
            match fs::rename(file, &destination) {
                Ok(()) => Ok(Some(destination)),
                Err(error) if is_absence(&error) => Ok(None),
                Err(error) => Err(StoreError::io("set aside", file)(error)),
            }
        });
        let Ok(Some(path)) = result else {
            let _without_content = fs::remove_dir_all(&directory);
            return result.map(|_| None);
        };
        sync_directory(&directory)?;
        sync_directory(&self.quarantine_directory())?;
        self.quarantined.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            file = %evidence.key,
            quarantine = %id,
            reason = evidence.detail,
            source = evidence.source.as_ref().map(tracing::field::display),
            request_id = evidence.request_id,
            "bytes were put into quarantine and are not served"
        );
        Ok(Some((id, path)))
    }

    fn create_entry(&self, time: Timestamp) -> Result<(QuarantineId, PathBuf), StoreError> {
        let quarantine = self.quarantine_directory();
        let mut time = time;
        for _ in 0..TRIES {
            let id = QuarantineId::new(time);
            let directory = quarantine.join(id.as_str());
            match fs::create_dir(&directory) {
                Ok(()) => return Ok((id, directory)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    time = time.checked_add(1.microsecond()).unwrap_or(time);
                }
                Err(error) => return Err(StoreError::io("create", &directory)(error)),
            }
        }
        Err(StoreError::io("create an entry in", &quarantine)(
            io::ErrorKind::AlreadyExists.into(),
        ))
    }

    fn quarantine_directory(&self) -> PathBuf {
        self.root().join("quarantine")
    }
}

impl Evidence {
    /// What a look at a stored file has shown.
    pub fn of_damage(key: &FileKey, damage: &Damage) -> Self {
        Self {
            key: key.clone(),
            reason: QuarantineReason::Damaged,
            detail: format!("the stored file is damaged: {damage}"),
            found: None,
            expected: None,
            source: None,
            time: Timestamp::now(),
            request_id: None,
        }
    }
}

fn content_name(kind: FileKind) -> String {
    format!("content.{kind}")
}

fn has_content(directory: &Path) -> bool {
    FileKind::ALL
        .iter()
        .any(|kind| directory.join(content_name(*kind)).exists())
}

fn write_evidence(directory: &Path, evidence: &Evidence) -> Result<(), StoreError> {
    let path = directory.join(EVIDENCE);
    let text = serde_json::to_vec_pretty(evidence)
        .map_err(|error| StoreError::io("write", &path)(error.into()))?;
    let mut file = File::create_new(&path).map_err(StoreError::io("create", &path))?;
    file.write_all(&text)
        .and_then(|()| file.sync_all())
        .map_err(StoreError::io("write", &path))
}

fn read_evidence(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    io::Read::read_to_end(
        &mut io::Read::take(File::open(path)?, LONGEST_EVIDENCE),
        &mut text,
    )?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_written_and_nothing_else_is_one() {
        let id = QuarantineId::new("2026-01-31T12:30:00.000123Z".parse().unwrap());
        assert_eq!(id.as_str(), "20260131-123000-000123");
        assert_eq!(id.as_str().parse::<QuarantineId>(), Ok(id));
        for bad in [
            "",
            "..",
            "../../tree",
            "20260131-123000-00012",
            "20260131-123000-0001234",
            "20260131/123000/000123",
            "20260131-123000-00012x",
            "२0260131-123000-0001",
        ] {
            assert!(bad.parse::<QuarantineId>().is_err(), "{bad}");
        }
    }
}
