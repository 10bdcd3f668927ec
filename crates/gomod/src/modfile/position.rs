//! Places in a file.

/// A place in a file, as lines and characters count for people and bytes for programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1; 0 for lines that an edit has added.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// Byte in the file, from 0.
    pub byte: usize,
}

impl Position {
    /// The first character of a file.
    pub(crate) const START: Self = Self {
        line: 1,
        column: 1,
        byte: 0,
    };
}
