use std::fmt;

use crate::tlog::TreeHead;

/// The most findings that are kept; the rest is only counted.
const MAX_FINDINGS: usize = 100;

/// Something wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The newest head the server tells is older than one it has shown before.
    OldHead {
        /// The size of the tree it tells.
        offered: u64,
        /// The size of the tree seen before.
        known: u64,
    },
    /// A tile of records is no sequence of as many records as it should hold.
    Bundle {
        /// The path of the tile.
        tile: String,
        /// What is wrong.
        reason: String,
    },
    /// A record's text is not what the tree has at its number.
    Record {
        /// The number of the record.
        id: u64,
    },
    /// A record is not made of hash lines of one module version.
    Lines {
        /// The number of the record.
        id: u64,
        /// What is wrong.
        reason: String,
    },
    /// Two records are about the same module version.
    Duplicate {
        /// The number of the first of them.
        first: u64,
        /// The number of the other.
        second: u64,
        /// `path@version`.
        module: String,
    },
    /// A tile above the leaves is not what the leaves hash to.
    Tile {
        /// The path of the tile.
        tile: String,
    },
    /// The leaves do not hash to the signed root.
    Root,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OldHead { offered, known } => {
                write!(
                    f,
                    "the newest tree offered has {offered} records, but one of {known} was shown before"
                )
            }
            Self::Bundle { tile, reason } => write!(f, "{tile}: {reason}"),
            Self::Record { id } => write!(f, "record {id} is not the one in the tree"),
            Self::Lines { id, reason } => write!(f, "record {id}: {reason}"),
            Self::Duplicate {
                first,
                second,
                module,
            } => {
                write!(f, "records {first} and {second} are both about {module}")
            }
            Self::Tile { tile } => write!(f, "{tile} disagrees with the leaves"),
            Self::Root => f.write_str("the leaves do not hash to the signed root"),
        }
    }
}

/// The outcome of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The tree that was checked: the newest the server told.
    pub tree: TreeHead,
    /// The number of hash tiles that were checked.
    pub tiles: u64,
    /// What is wrong, the first hundred of it.
    pub findings: Vec<Finding>,
    /// How many more things are wrong.
    pub more_findings: u64,
}

impl Report {
    pub(super) fn new(tree: TreeHead) -> Self {
        Self {
            tree,
            tiles: 0,
            findings: Vec::new(),
            more_findings: 0,
        }
    }

    /// Whether nothing was found.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    pub(super) fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.more_findings += 1;
        }
    }
}
