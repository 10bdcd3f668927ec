use std::fmt;

use gomod::ModuleVersion;
use jiff::Timestamp;
use modzip::H1;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{FileKind, QuarantineId};

/// The files of a version that have an `h1:` hash, as the lines of go.sum and of a checksum database have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PinnedFile {
    /// The `.mod` file.
    GoMod,
    /// The files in the `.zip`.
    Zip,
}

impl PinnedFile {
    /// Both.
    pub const ALL: [Self; 2] = [Self::GoMod, Self::Zip];

    /// What of a kind of file is pinned; nothing for `.info`.
    pub fn of(kind: FileKind) -> Option<Self> {
        match kind {
            FileKind::Info => None,
            FileKind::Mod => Some(Self::GoMod),
            FileKind::Zip => Some(Self::Zip),
        }
    }

    /// The kind of file.
    pub fn kind(self) -> FileKind {
        match self {
            Self::GoMod => FileKind::Mod,
            Self::Zip => FileKind::Zip,
        }
    }
}

/// Why a hash was believed at first sight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FirstSightReason {
    /// The module matches this pattern of modules that are looked up in no database.
    Pattern(String),
    /// The checksum database is switched off.
    SumdbOff,
}

/// Why a hash could not be compared with anything yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UncheckedReason {
    /// The checksum database did not answer; in whose words.
    DatabaseUnreachable(String),
    /// It is that of a file that was found in the tree: copied there, or left when the records were lost.
    FoundInTree,
}

/// How a hash is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Verification {
    /// Not yet: it is to be checked when that is possible.
    Unchecked {
        /// Why not.
        reason: UncheckedReason,
        /// Since when.
        time: Timestamp,
    },
    /// On trust at first use: nobody can vouch for it, and every later fetch must agree.
    FirstSight {
        /// Why nobody can.
        reason: FirstSightReason,
        /// When it was first seen.
        time: Timestamp,
    },
    /// By decision of an operator.
    Released {
        /// The quarantined bytes that were accepted.
        quarantine: QuarantineId,
        /// When.
        time: Timestamp,
    },
    /// A checksum database has it, and has proven that.
    Proven {
        /// The database's name.
        database: String,
        /// The number of the record in its log.
        record: u64,
        /// The size of the signed tree in which the record was proven to be.
        tree_size: u64,
        /// When.
        time: Timestamp,
    },
}

impl Verification {
    /// When it got into this state.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Unchecked { time, .. }
            | Self::FirstSight { time, .. }
            | Self::Released { time, .. }
            | Self::Proven { time, .. } => *time,
        }
    }

    /// The name of the state, as in JSON and in the records.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Unchecked { .. } => "unchecked",
            Self::FirstSight { .. } => "first-sight",
            Self::Released { .. } => "released",
            Self::Proven { .. } => "proven",
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Unchecked { .. } => 0,
            Self::FirstSight { .. } => 1,
            Self::Released { .. } => 2,
            Self::Proven { .. } => 3,
        }
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchecked { reason, time } => match reason {
                UncheckedReason::DatabaseUnreachable(why) => {
                    write!(
                        f,
                        "unchecked since {time}: the checksum database did not answer ({why})"
                    )
                }
                UncheckedReason::FoundInTree => {
                    write!(f, "unchecked since {time}: found in the tree")
                }
            },
            Self::FirstSight { reason, time } => match reason {
                FirstSightReason::Pattern(pattern) => {
                    write!(
                        f,
                        "pinned at first sight on {time}: {pattern} is looked up in no checksum database"
                    )
                }
                FirstSightReason::SumdbOff => {
                    write!(
                        f,
                        "pinned at first sight on {time}: the checksum database is off"
                    )
                }
            },
            Self::Released { quarantine, time } => {
                write!(f, "released from quarantine ({quarantine}) on {time}")
            }
            Self::Proven {
                database,
                record,
                tree_size,
                time,
            } => write!(
                f,
                "proven by {database} on {time}: record {record} in a tree of {tree_size}"
            ),
        }
    }
}

/// What a file must hash to, and how that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The version.
    pub module: ModuleVersion,
    /// Which of its files.
    pub file: PinnedFile,
    /// Its hash.
    pub hash: H1,
    /// How that is believed.
    pub verification: Verification,
}

impl Pin {
    /// Whether this pin takes the place of an older one of the same file. With the same hash, the better verification
    /// stays, and of two alike the older. Another hash comes in by proof or by decision only, and never against a proof.
    pub(crate) fn supersedes(&self, older: &Self) -> bool {
        let (new, old) = (self.verification.rank(), older.verification.rank());
        if self.hash == older.hash {
            return new > old;
        }
        match &self.verification {
            Verification::Unchecked { .. } | Verification::FirstSight { .. } => false,
            Verification::Released { .. } => {
                !matches!(older.verification, Verification::Proven { .. })
            }
            Verification::Proven { .. } => matches!(
                older.verification,
                Verification::Unchecked { .. } | Verification::FirstSight { .. }
            ),
        }
    }
}

/// What the files of a version must hash to, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The pin of the `.mod` file.
    pub go_mod: Option<Pin>,
    /// The pin of the `.zip` file.
    pub zip: Option<Pin>,
}

impl Expected {
    /// The pin of a file.
    pub fn of(&self, file: PinnedFile) -> Option<&Pin> {
        match file {
            PinnedFile::GoMod => self.go_mod.as_ref(),
            PinnedFile::Zip => self.zip.as_ref(),
        }
    }

    /// What a file must hash to.
    pub fn hash(&self, file: PinnedFile) -> Option<H1> {
        self.of(file).map(|pin| pin.hash)
    }

    /// Takes a pin in, if it says more than what is here.
    pub(crate) fn take(&mut self, pin: Pin) {
        let place = match pin.file {
            PinnedFile::GoMod => &mut self.go_mod,
            PinnedFile::Zip => &mut self.zip,
        };
        if place.as_ref().is_none_or(|older| pin.supersedes(older)) {
            *place = Some(pin);
        }
    }
}

#[cfg(test)]
mod tests {
    use gomod::{ModulePath, Version};

    use super::*;

    fn pin(hash: u8, verification: Verification) -> Pin {
        Pin {
            module: ModuleVersion::new(
                ModulePath::new("example.com/m").unwrap(),
                Version::new("v1.0.0").unwrap(),
            )
            .unwrap(),
            file: PinnedFile::Zip,
            hash: H1::from_bytes([hash; 32]),
            verification,
        }
    }

    fn states() -> [Verification; 4] {
        let time = Timestamp::UNIX_EPOCH;
        [
            Verification::Unchecked {
                reason: UncheckedReason::FoundInTree,
                time,
            },
            Verification::FirstSight {
                reason: FirstSightReason::SumdbOff,
                time,
            },
            Verification::Released {
                quarantine: QuarantineId::new(time),
                time,
            },
            Verification::Proven {
                database: "sum.example.com".to_owned(),
                record: 1,
                tree_size: 2,
                time,
            },
        ]
    }

    #[test]
    fn the_better_verification_of_a_hash_stays() {
        for (old_rank, old) in states().into_iter().enumerate() {
            for (new_rank, new) in states().into_iter().enumerate() {
                let replaces = pin(1, new).supersedes(&pin(1, old.clone()));
                assert_eq!(replaces, new_rank > old_rank, "{old_rank} {new_rank}");
            }
        }
    }

    #[test]
    fn another_hash_needs_a_proof_or_a_decision_and_never_replaces_a_proof() {
        // Rows: the old state, columns: the new one, both in the order of `states`.
        let expected = [
            [false, false, true, true],
            [false, false, true, true],
            [false, false, true, false],
            [false, false, false, false],
        ];
        for (old, row) in states().into_iter().zip(expected) {
            for (new, replaces) in states().into_iter().zip(row) {
                let words = format!("{} by {}", old.state(), new.state());
                let found = pin(2, new).supersedes(&pin(1, old.clone()));
                assert_eq!(found, replaces, "{words}");
            }
        }
    }

    #[test]
    fn every_state_survives_json() {
        for state in states() {
            let text = serde_json::to_string(&state).unwrap();
            assert!(
                text.contains(&format!("\"state\":\"{}\"", state.state())),
                "{text}"
            );
            assert_eq!(serde_json::from_str::<Verification>(&text).unwrap(), state);
        }
    }
}
