use std::fmt;

use crate::hash::Hash;

/// The evidence that a log showed two histories: two signed tree heads of which neither extends the other. Anyone with
/// the log's public key can check it without asking the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The signed note of the smaller tree (of the one known before, if both have the same size).
    pub older: String,
    /// The signed note of the bigger tree.
    pub newer: String,
    /// The root that the bigger tree has at the size of the smaller one: not the root the smaller note states.
    pub root: Hash,
    /// The consistency proof from `root` to the bigger tree; empty if both trees have the same size.
    pub proof: Vec<Hash>,
}

/// The report as the go command words it.
impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indented = |note: &str| note.replace('\n', "\n\t");
        writeln!(f, "SECURITY ERROR")?;
        writeln!(f, "go.sum database server misbehavior detected!")?;
        writeln!(f)?;
        writeln!(f, "old database:\n\t{}", indented(&self.older))?;
        writeln!(f, "new database:\n\t{}", indented(&self.newer))?;
        write!(f, "proof of misbehavior:\n\t{}", self.root)?;
        self.proof
            .iter()
            .try_for_each(|hash| write!(f, "\n\t{hash}"))
    }
}
