//! How much a finding matters.

use std::fmt;

/// How much a finding matters. Sorts the gravest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing has to be done.
    Note,
    /// It works, or seems to, but will break, or gives up a protection.
    Risk,
    /// It breaks now.
    Fault,
}

impl Severity {
    /// `note`, `risk` or `fault`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Risk => "risk",
            Self::Fault => "fault",
        }
    }

    /// True for what a person should act upon.
    pub const fn is_warning(self) -> bool {
        !matches!(self, Self::Note)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
