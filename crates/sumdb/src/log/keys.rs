use super::store::Heads;
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::note::{Note, SignerKey, Verifiers};
use crate::tlog::TreeHead;

/// The keys a log signs its heads with.
#[derive(Debug)]
pub struct LogKeys {
    go: SignerKey,
    checkpoint: SignerKey,
}

impl LogKeys {
    /// The key Go clients are configured with, and the key for the C2SP checkpoint, whose name becomes the origin of
    /// the checkpoint. A key's name has no space, so that origin is never the first line all Go databases share.
    pub fn new(go: SignerKey, checkpoint: SignerKey) -> Self {
        Self { go, checkpoint }
    }

    /// The key of the Go tree head.
    pub fn go(&self) -> &SignerKey {
        &self.go
    }

    /// The key of the checkpoint.
    pub fn checkpoint(&self) -> &SignerKey {
        &self.checkpoint
    }

    pub(super) fn sign(&self, tree: TreeHead) -> Result<Heads, Error> {
        let origin = self.checkpoint.verifier().id().name.as_str();
        let go = sign_text(tree.to_string(), &self.go)?;
        let checkpoint = sign_text(Checkpoint::new(origin, tree)?.to_string(), &self.checkpoint)?;
        Ok(Heads { go, checkpoint })
    }

    /// The tree of a head that this log has signed for Go clients.
    pub(super) fn open(&self, heads: &Heads) -> Result<TreeHead, Error> {
        let known = Verifiers::from(self.go.verifier().clone());
        TreeHead::parse(Note::parse(heads.go.as_bytes())?.verify(&known)?.text())
    }
}

fn sign_text(text: String, key: &SignerKey) -> Result<String, Error> {
    let mut note = Note::new(text)?;
    note.sign(key)?;
    Ok(note.to_string())
}
