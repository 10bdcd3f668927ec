use crate::error::Error;
use crate::note::{Note, Verifiers};
use crate::tlog::TreeHead;

/// A tree head with the note that proves that the database signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    tree: TreeHead,
    note: String,
}

impl SignedHead {
    /// The state before anything was seen: the empty tree, which nobody needs to sign.
    pub fn unsigned_empty() -> Self {
        let tree = TreeHead::empty();
        Self {
            tree,
            note: String::new(),
        }
    }

    /// Checks a note and reads the tree head in it. No bytes stand for [`Self::unsigned_empty`].
    pub fn open(note: &[u8], verifiers: &Verifiers) -> Result<Self, Error> {
        if note.is_empty() {
            return Ok(Self::unsigned_empty());
        }
        let parsed = Note::parse(note)?;
        let tree = TreeHead::parse(parsed.verify(verifiers)?.text())?;
        let note =
            String::from_utf8(note.to_vec()).map_err(|_| Error::MalformedNote("not UTF-8"))?;
        Ok(Self { tree, note })
    }

    /// The tree head.
    pub fn tree(&self) -> &TreeHead {
        &self.tree
    }

    /// The signed note, exactly as it was received; empty for the unsigned empty tree.
    pub fn note(&self) -> &str {
        &self.note
    }
}
