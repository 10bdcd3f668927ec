//! The client of a checksum database: proves what it is told before anybody believes it (Go's `sumdb/client.go`).
//!
//! A [`Client`] does no input or output. Each of its operations is a state machine: [`Operation::step`] either is done
//! or names [`Request`]s, which the caller performs, in any order and at the same time if it likes, and answers with
//! [`Operation::answer`]. So the same code runs below an async server and in a command-line tool; [`run`] is the loop
//! for callers that block.
//!
//! What holds whatever the server, the cache and the network do:
//!
//! - Tree heads count only with a good signature of the database's key, and only after a proof that one of the new
//!   head and the latest one extends the other. The latest head never goes back. Heads that exclude each other end the
//!   operation with both notes and the proof ([`Fork`](crate::Fork)).
//! - Every tile read, cached or not, is checked up to the signed root before a hash of it is used.
//! - A record counts only when its hash is in the tree at its number, and of its text only the lines about the module
//!   version asked for. No such line is a failure, not an empty success.
//! - Only what is proven is written to the cache. What was damaged there is read again from the server.

mod exchange;
mod head;
mod lookup;
mod proven_tile;
mod session;
mod update;

use std::sync::{Mutex, MutexGuard, PoisonError};

use gomod::ModuleVersion;

pub use exchange::{Answer, Driver, Operation, RemoteError, Request, Step, Swap, run};
pub use head::SignedHead;
pub use lookup::{Lookup, ProvenRecord};
pub use proven_tile::ReadTile;
pub(crate) use session::{Session, Stop};
pub(crate) use update::LATEST_PATH;
pub use update::{Timeline, Update};

use crate::error::Error;
use crate::note::{Algorithm, KeyName, VerifierKey, Verifiers};
use crate::tile::{Height, Tile};

/// A client of one checksum database. Operations may run at the same time; they share the latest tree head.
#[derive(Debug)]
pub struct Client {
    name: KeyName,
    verifiers: Verifiers,
    height: Height,
    latest: Mutex<Option<Latest>>,
}

/// The newest tree head proven so far, and how much of that is known to be kept for the next run.
#[derive(Clone, Debug)]
struct Latest {
    head: SignedHead,
    kept: SignedHead,
}

impl Client {
    /// A client of the database with this key, which must be of signature type 1.
    pub fn new(key: VerifierKey) -> Result<Self, Error> {
        Self::with_height(key, Height::STANDARD)
    }

    /// A client that reads tiles of another height than the usual one.
    pub fn with_height(key: VerifierKey, height: Height) -> Result<Self, Error> {
        if key.algorithm() != Algorithm::Ed25519 {
            return Err(Error::WrongKeyType(key.id().clone()));
        }
        let name = key.id().name.clone();
        let (verifiers, latest) = (key.into(), Mutex::new(None));
        Ok(Self {
            name,
            verifiers,
            height,
            latest,
        })
    }

    /// The name of the database, which is that of its key.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The height of the tiles that are read.
    pub fn height(&self) -> Height {
        self.height
    }

    /// The latest tree head proven, once an operation has read the one kept from before.
    pub fn latest(&self) -> Option<SignedHead> {
        self.lock().as_ref().map(|latest| latest.head.clone())
    }

    /// Asks for the proven record of a module version.
    pub fn lookup(&self, module: ModuleVersion) -> Lookup<'_> {
        Lookup::new(self, module)
    }

    /// Asks for the bytes of a tile, proven to be those of the latest tree.
    pub fn tile(&self, tile: Tile) -> ReadTile<'_> {
        ReadTile::new(self, tile)
    }

    /// Reads a record that an earlier [`Self::lookup`] has proven and its caller has kept, without proving it again: the
    /// head below it must be signed and cover it. For callers that know their copy to be what was proven, and cannot
    /// reach the database.
    pub fn read_kept(&self, module: ModuleVersion, message: &[u8]) -> Result<ProvenRecord, Error> {
        lookup::read_kept(self, module, message)
    }

    /// Asks the server for its newest tree head and moves forward to it.
    pub fn update(&self) -> Update<'_> {
        Update::from_server(self)
    }

    /// Holds a tree head that somebody else was shown against the ones seen here, and moves forward if it is newer.
    pub fn observe(&self, note: Vec<u8>) -> Update<'_> {
        Update::from_note(self, note)
    }

    /// Reads a signed tree head of this database. No bytes are the head of the empty tree, before anything was seen.
    pub(crate) fn open_head(&self, note: &[u8]) -> Result<SignedHead, Error> {
        // A busy database sends the same head with many answers: a signature that was good is good.
        match self.latest() {
            Some(latest) if latest.note().as_bytes() == note => Ok(latest),
            _ => SignedHead::open(note, &self.verifiers),
        }
    }

    /// Takes the head kept from before as the latest, unless another operation did so already.
    fn begin_with(&self, kept: SignedHead) {
        let head = kept.clone();
        self.lock().get_or_insert(Latest { head, kept });
    }

    /// Moves to a newer head that was proven to extend `from`. False if the latest head is no longer `from`.
    fn advance(&self, from: &SignedHead, to: &SignedHead) -> bool {
        match self.lock().as_mut() {
            Some(latest) if latest.head.tree() == from.tree() => {
                latest.head = to.clone();
                true
            }
            _ => false,
        }
    }

    /// What is kept and what should be kept, if they are different trees.
    fn unsaved(&self) -> Option<(SignedHead, SignedHead)> {
        let latest = self.lock().clone()?;
        (latest.kept.tree().size() < latest.head.tree().size())
            .then_some((latest.kept, latest.head))
    }

    fn set_kept(&self, kept: SignedHead) {
        if let Some(latest) = self.lock().as_mut() {
            latest.kept = kept;
        }
    }

    /// A panic elsewhere cannot leave a head half written, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Option<Latest>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{Note, SignerKey};
    use crate::tlog::{Hash, TreeHead};

    fn signer() -> SignerKey {
        let name = KeyName::parse("sum.example.com").expect("a name");
        SignerKey::from_seed(name, &[1; 32]).expect("a seed")
    }

    fn head(client: &Client, size: u64, root: &str) -> SignedHead {
        let tree = TreeHead::new(size, Hash::of_record(root.as_bytes())).expect("a head");
        let mut note = Note::new(tree.to_string()).expect("text");
        note.sign(&signer()).expect("a signature");
        client
            .open_head(note.to_string().as_bytes())
            .expect("a head")
    }

    #[test]
    fn a_proof_about_a_head_that_is_no_longer_the_latest_moves_nothing() {
        let client = Client::new(signer().verifier().clone()).expect("a key");
        let (one, two, three) = (
            head(&client, 1, "a"),
            head(&client, 2, "b"),
            head(&client, 3, "c"),
        );
        assert!(!client.advance(&one, &two), "nothing was read yet");
        client.begin_with(one.clone());
        client.begin_with(three.clone());
        assert_eq!(
            client.latest().as_ref(),
            Some(&one),
            "a second start takes nothing back"
        );

        assert!(client.advance(&one, &two));
        // Another operation proved its head against the first one meanwhile.
        assert!(!client.advance(&one, &three));
        assert!(!client.advance(&head(&client, 2, "other"), &three));
        assert_eq!(client.latest(), Some(two.clone()));
        assert_eq!(client.unsaved(), Some((one, two)));
    }
}
