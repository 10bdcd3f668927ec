use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gomod::{ModulePath, ModuleVersion, Version};
use sumdb::BoxError;
use sumdb::client::RemoteError;
use sumdb::log::{Heads, LogReader, Resource, serve};
use sumdb::note::VerifierKey;
use sumdb::record::ModuleHashes;
use sumdb::tlog::{Hash, HashReader, Node, tree_root};
use sumlog::{
    AuditOptions, AuditOutcome, Fetch, Kept, KeyRing, Log, LogFiles, LogName, LogOptions, audit,
};

pub(crate) const NAME: &str = "sum.example.com/team";

pub(crate) fn name() -> LogName {
    LogName::parse(NAME).unwrap()
}

pub(crate) fn new_keys() -> KeyRing {
    KeyRing::generate(&name()).unwrap()
}

/// The same keys once more: a ring is used up by the log that signs with it.
pub(crate) fn copy(keys: &KeyRing) -> KeyRing {
    KeyRing::parse(&keys.reveal().unwrap()).unwrap()
}

pub(crate) fn module(n: u64) -> ModuleVersion {
    let path = ModulePath::new(&format!("example.com/Mod{}", n / 7)).unwrap();
    let version = Version::new(&format!("v1.{}.0", n % 7)).unwrap();
    ModuleVersion::new(path, version).unwrap()
}

pub(crate) fn h1(content: &str) -> String {
    format!("h1:{}", Hash::of_record(content.as_bytes()))
}

pub(crate) fn entry(n: u64) -> ModuleHashes {
    ModuleHashes::new(
        module(n),
        &h1(&format!("zip {n}")),
        &h1(&format!("mod {n}")),
    )
    .unwrap()
}

pub(crate) fn entries(range: std::ops::Range<u64>) -> Vec<ModuleHashes> {
    range.map(entry).collect()
}

pub(crate) fn options(data: &Path) -> LogOptions {
    LogOptions {
        batch_delay: Duration::ZERO,
        ..LogOptions::new(data, name())
    }
}

pub(crate) fn open(data: &Path, keys: &KeyRing) -> Log {
    Log::open(options(data), copy(keys)).unwrap()
}

/// Opens for reading, as another process would.
pub(crate) fn files(data: &Path) -> LogFiles {
    LogFiles::open(&name().directory(data)).unwrap()
}

/// Roots by size: every head that was seen. Two roots for one size are the end of all trust.
#[derive(Debug, Default)]
pub(crate) struct Promises(BTreeMap<u64, String>);

impl Promises {
    pub(crate) fn note(&mut self, size: u64, root: &str) {
        let first = self.0.entry(size).or_insert_with(|| root.to_owned());
        assert_eq!(first, root, "two heads of {size} records");
    }

    pub(crate) fn note_heads(&mut self, heads: &Heads) {
        let tree = heads.tree().unwrap();
        self.note(tree.size(), &tree.root().to_string());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Every head seen is the beginning of what is published now.
    pub(crate) fn are_kept_by(&self, log: &impl LogReader) {
        let published = log.published().unwrap().unwrap().tree().unwrap();
        for (&size, root) in &self.0 {
            assert!(size <= published.size(), "the log went back from {size}");
            let now = tree_root(size, &Stored(log)).unwrap();
            assert_eq!(
                now.to_string(),
                *root,
                "the head of {size} records was forsaken"
            );
        }
    }
}

struct Stored<'l, L>(&'l L);

impl<L: LogReader> HashReader for Stored<'_, L> {
    fn read_hashes(&self, nodes: &[Node]) -> Result<Vec<Hash>, sumdb::Error> {
        let positions: Vec<u64> = nodes.iter().map(|node| node.stored_index()).collect();
        self.0.read_hashes(&positions).map_err(sumdb::Error::Store)
    }
}

/// What a log serves, read as from a server, with some paths spoilt.
pub(crate) struct Server<F> {
    pub(crate) files: LogFiles,
    pub(crate) spoil: F,
}

impl<F: Fn(&str, Vec<u8>) -> Vec<u8> + Send + Sync + 'static> Fetch for Server<F> {
    async fn fetch(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        let served = Resource::parse(path).and_then(|resource| serve(&resource, &self.files));
        match served {
            Ok(served) => Ok((self.spoil)(path, served.body)),
            Err(error) if error.is_absent() => Err(RemoteError::Absent(error.to_string())),
            Err(error) => Err(RemoteError::Failed(error.into())),
        }
    }
}

/// A head kept in memory.
#[derive(Default)]
pub(crate) struct KeptHead(pub(crate) std::cell::RefCell<Option<Vec<u8>>>);

impl Kept for KeptHead {
    fn read(&self) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(self.0.borrow().clone())
    }

    fn replace(&self, note: &[u8]) -> Result<(), BoxError> {
        *self.0.borrow_mut() = Some(note.to_vec());
        Ok(())
    }
}

pub(crate) async fn audit_of(
    data: &Path,
    key: &VerifierKey,
    kept: &KeptHead,
    spoil: impl Fn(&str, Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
) -> AuditOutcome {
    let server = Server {
        files: files(data),
        spoil,
    };
    let options = AuditOptions { parallel: 4 };
    audit(key.clone(), Arc::new(server), kept, options, |_, _| {})
        .await
        .unwrap()
}

/// Audits the log as it is and wants it to be sound. Returns its size.
pub(crate) async fn sound_size(data: &Path, key: &VerifierKey) -> u64 {
    let outcome = audit_of(data, key, &KeptHead::default(), |_, body| body).await;
    match outcome {
        AuditOutcome::Complete(report) if report.is_sound() => report.tree.size(),
        other => panic!("{other}"),
    }
}
