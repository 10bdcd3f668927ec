use std::fmt;

use gomod::ModuleVersion;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{FileKind, QuarantineId, Source};

/// Something that happened to a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The version.
    pub module: ModuleVersion,
    /// When.
    pub time: Timestamp,
    /// What.
    pub what: EventKind,
}

/// What can happen to a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// It was checked again.
    Checked {
        /// In which way.
        check: Check,
        /// Which file; `None`: the version as a whole.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        file: Option<FileKind>,
        /// With what result.
        result: CheckResult,
    },
    /// Bytes were put into quarantine.
    Quarantined {
        /// As what.
        id: QuarantineId,
        /// Bytes of which file.
        file: FileKind,
        /// Why, in one line.
        reason: String,
    },
    /// Bytes in quarantine were accepted.
    Released {
        /// Which.
        id: QuarantineId,
        /// Bytes of which file.
        file: FileKind,
    },
    /// Bytes in quarantine were removed for good.
    Dropped {
        /// Which.
        id: QuarantineId,
        /// Bytes of which file.
        file: FileKind,
    },
    /// A damaged file was replaced by a sound one.
    Healed {
        /// Which file.
        file: FileKind,
        /// Where the sound one came from.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        source: Option<Source>,
    },
    /// A file that was not used for long was removed to make room. It can be fetched again.
    Cleaned {
        /// Which file.
        file: FileKind,
    },
    /// A tag of the repository names another commit than it did.
    MovedTag {
        /// The tag.
        tag: String,
        /// The commit the version was made from.
        old_commit: String,
        /// The commit the tag names now.
        new_commit: String,
        /// The repository's URL, without credentials.
        repository: String,
    },
    /// The import path leads to another repository than the one the version came from.
    MovedRepository {
        /// The import path of the repository's root.
        root: String,
        /// What it was: its URL, or its first commits.
        old: String,
        /// What it is now.
        new: String,
    },
}

/// A way to check a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The stored bytes were hashed again.
    Scrub,
    /// The checksum database was asked.
    Database,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// All is as it should be.
    Good,
    /// Something is wrong, in these words.
    Bad(String),
    /// The check could not be done, for this reason.
    Impossible(String),
}

impl EventKind {
    /// The name of the kind, as in JSON and in the records.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Checked { .. } => "checked",
            Self::Quarantined { .. } => "quarantined",
            Self::Released { .. } => "released",
            Self::Dropped { .. } => "dropped",
            Self::Healed { .. } => "healed",
            Self::Cleaned { .. } => "cleaned",
            Self::MovedTag { .. } => "moved-tag",
            Self::MovedRepository { .. } => "moved-repository",
        }
    }

    /// Whether somebody should look at it.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Quarantined { .. } | Self::MovedTag { .. } | Self::MovedRepository { .. } => true,
            Self::Checked { result, .. } => matches!(result, CheckResult::Bad(_)),
            Self::Released { .. }
            | Self::Dropped { .. }
            | Self::Healed { .. }
            | Self::Cleaned { .. } => false,
        }
    }

    /// The place in the records that this event takes from the earlier one there. Checks that were good, or could not
    /// be done, come again and again; of them the last one tells all. `None`: it is kept beside all others.
    pub(crate) fn slot(&self) -> Option<String> {
        if let Self::Cleaned { file } = self {
            return Some(format!("cleaned {}", file.extension()));
        }
        let Self::Checked {
            check,
            file,
            result,
        } = self
        else {
            return None;
        };
        let result = match result {
            CheckResult::Good => "good",
            CheckResult::Impossible(_) => "impossible",
            CheckResult::Bad(_) => return None,
        };
        let check = match check {
            Check::Scrub => "scrub",
            Check::Database => "database",
        };
        let file = file.map_or("version", FileKind::extension);
        Some(format!("{check} {file} {result}"))
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checked {
                check,
                file,
                result,
            } => {
                match check {
                    Check::Scrub => f.write_str("stored bytes hashed again")?,
                    Check::Database => f.write_str("checksum database asked")?,
                }
                if let Some(file) = file {
                    write!(f, " ({file})")?;
                }
                match result {
                    CheckResult::Good => f.write_str(": good"),
                    CheckResult::Bad(words) => write!(f, ": bad: {words}"),
                    CheckResult::Impossible(words) => write!(f, ": could not be done: {words}"),
                }
            }
            Self::Quarantined { id, file, reason } => {
                write!(f, "{file} put into quarantine ({id}): {reason}")
            }
            Self::Released { id, file } => write!(f, "{file} released from quarantine ({id})"),
            Self::Dropped { id, file } => write!(f, "{file} dropped from quarantine ({id})"),
            Self::Cleaned { file } => write!(f, "{file} removed to make room"),
            Self::Healed { file, source } => {
                write!(f, "damaged {file} replaced")?;
                match source {
                    Some(source) => write!(f, " from {source}"),
                    None => Ok(()),
                }
            }
            Self::MovedTag {
                tag,
                old_commit,
                new_commit,
                repository,
            } => write!(
                f,
                "tag {tag} of {repository} was moved from {old_commit} to {new_commit}"
            ),
            Self::MovedRepository { root, old, new } => {
                write!(
                    f,
                    "{root} is another repository now: it was {old} and is {new}"
                )
            }
        }
    }
}
