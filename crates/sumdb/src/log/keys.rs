use std::sync::Arc;

use super::store::Heads;
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::note::{Note, SignerKey, VerifierKey, Verifiers};
use crate::tlog::TreeHead;

/// The keys a log signs its heads with.
#[derive(Debug)]
pub struct LogKeys {
    go: Arc<SignerKey>,
    checkpoint: Arc<SignerKey>,
    /// Keys that are being replaced, in the order their signatures have.
    former: Vec<SignerKey>,
}

impl LogKeys {
    /// The key Go clients are configured with, and the key for the C2SP checkpoint, whose name becomes the origin of
    /// the checkpoint. A key's name has no space, so that origin is never the first line all Go databases share.
    pub fn new(go: SignerKey, checkpoint: SignerKey) -> Self {
        Self {
            go: Arc::new(go),
            checkpoint: Arc::new(checkpoint),
            former: Vec::new(),
        }
    }

    /// One key for both heads, whose texts can never be the same.
    pub fn of_one(key: SignerKey) -> Self {
        let key = Arc::new(key);
        Self {
            go: key.clone(),
            checkpoint: key,
            former: Vec::new(),
        }
    }

    /// Lets a key that is being replaced sign every head, too, so that clients who know only that one go on. Heads it
    /// has signed before count as this log's.
    #[must_use]
    pub fn and_former(mut self, key: SignerKey) -> Self {
        self.former.push(key);
        self
    }

    /// The key of the Go tree head.
    pub fn go(&self) -> &SignerKey {
        &self.go
    }

    /// The key of the checkpoint.
    pub fn checkpoint(&self) -> &SignerKey {
        &self.checkpoint
    }

    /// The keys that are being replaced.
    pub fn former(&self) -> &[SignerKey] {
        &self.former
    }

    pub(super) fn sign(&self, tree: TreeHead) -> Result<Heads, Error> {
        let origin = self.checkpoint.verifier().id().name.as_str();
        let go = self.sign_text(tree.to_string(), &self.go)?;
        let checkpoint = Checkpoint::new(origin, tree)?.to_string();
        let checkpoint = self.sign_text(checkpoint, &self.checkpoint)?;
        Ok(Heads { go, checkpoint })
    }

    fn sign_text(&self, text: String, key: &SignerKey) -> Result<String, Error> {
        let mut note = Note::new(text)?;
        note.sign(key)?;
        for former in &self.former {
            note.sign(former)?;
        }
        Ok(note.to_string())
    }

    /// The tree of a head that this log has signed for Go clients, with any of its keys.
    pub(super) fn open(&self, heads: &Heads) -> Result<TreeHead, Error> {
        let keys =
            std::iter::once(self.go.verifier()).chain(self.former.iter().map(SignerKey::verifier));
        let known = Verifiers::new(keys.cloned().collect::<Vec<VerifierKey>>())?;
        TreeHead::parse(Note::parse(heads.go.as_bytes())?.verify(&known)?.text())
    }
}
