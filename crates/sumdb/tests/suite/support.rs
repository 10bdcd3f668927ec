//! A log in memory, a driver that serves it, and ways to spoil what is served.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};

use gomod::{ModulePath, ModuleVersion, Version};
use sumdb::client::{Client, Driver, RemoteError, Swap};
use sumdb::log::{
    Heads, LogKeys, LogReader, LogRecord, LogStore, LogWriter, Resource, Sizes, serve,
};
use sumdb::note::{KeyName, SignerKey};
use sumdb::record::ModuleHashes;
use sumdb::tile::Height;
use sumdb::tlog::{Hash, RecordText};
use sumdb::{BoxError, Error};

pub(crate) const NAME: &str = "sum.example.com";
pub(crate) const ORIGIN: &str = "sum.example.com/checkpoint";

pub(crate) fn signer(name: &str, seed: u8) -> SignerKey {
    let name = KeyName::parse(name).expect("a key name");
    SignerKey::from_seed(name, &[seed; 32]).expect("a seed")
}

pub(crate) fn keys() -> LogKeys {
    LogKeys::new(signer(NAME, 1), signer(ORIGIN, 2))
}

pub(crate) fn client(height: u8) -> Client {
    let height = Height::new(height).expect("a height");
    Client::with_height(signer(NAME, 1).verifier().clone(), height).expect("a key for notes")
}

pub(crate) fn module(path: &str, version: &str) -> ModuleVersion {
    let path = ModulePath::new(path).expect("a path");
    let version = Version::new(version).expect("a version");
    ModuleVersion::new(path, version).expect("a version of the path")
}

pub(crate) fn h1(content: &str) -> String {
    format!("h1:{}", Hash::of_record(content.as_bytes()))
}

pub(crate) fn nth_module(n: u64) -> ModuleVersion {
    module(
        &format!("example.com/Mod{}", n / 7),
        &format!("v1.{}.0", n % 7),
    )
}

/// The n-th entry of every test log.
pub(crate) fn entry(n: u64) -> ModuleHashes {
    let module = nth_module(n);
    let (zip, go_mod) = (h1(&format!("zip {n}")), h1(&format!("mod {n}")));
    ModuleHashes::new(module, &zip, &go_mod).expect("good hashes")
}

pub(crate) fn entries(range: std::ops::Range<u64>) -> Vec<ModuleHashes> {
    range.map(entry).collect()
}

/// A log of the first `size` entries, made in one batch.
pub(crate) fn log_of(size: u64) -> MemoryLog {
    let mut log = MemoryLog::default();
    let mut writer = LogWriter::open(keys(), &mut log).expect("an empty log");
    writer
        .append(&entries(0..size), &mut log)
        .expect("an append");
    log
}

/// How often a store was asked for something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub records_read: usize,
    pub hashes_read: usize,
    pub hashes_written: usize,
}

#[derive(Default)]
pub(crate) struct MemoryLog {
    pub records: Vec<LogRecord>,
    pub index: HashMap<ModuleVersion, u64>,
    pub hashes: Vec<Hash>,
    pub signed: Option<Heads>,
    pub published: Option<Heads>,
    /// Every head that was ever written down as signed.
    pub history: Vec<Heads>,
    pub counts: Cell<Counts>,
    /// The writes left before one is torn and fails.
    pub writes_left: Option<usize>,
}

impl MemoryLog {
    /// How much of `whole` is written by this write, if it is the torn one.
    fn torn(&mut self, whole: usize) -> Option<usize> {
        let left = self.writes_left.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        Some(whole / 2)
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    fn push(&mut self, record: &LogRecord) {
        self.index
            .insert(record.module.clone(), self.records.len() as u64);
        self.records.push(record.clone());
    }
}

fn crash<T>() -> Result<T, BoxError> {
    Err("power cut".into())
}

impl LogReader for MemoryLog {
    fn published(&self) -> Result<Option<Heads>, BoxError> {
        Ok(self.published.clone())
    }

    fn find(&self, modules: &[ModuleVersion]) -> Result<Vec<Option<u64>>, BoxError> {
        Ok(modules
            .iter()
            .map(|module| self.index.get(module).copied())
            .collect())
    }

    fn read_records(&self, first: u64, count: usize) -> Result<Vec<RecordText>, BoxError> {
        self.count(|counts| counts.records_read += count);
        let first = usize::try_from(first)?;
        let records = self
            .records
            .get(first..first + count)
            .ok_or("no such records")?;
        Ok(records.iter().map(|record| record.text.clone()).collect())
    }

    fn read_hashes(&self, positions: &[u64]) -> Result<Vec<Hash>, BoxError> {
        self.count(|counts| counts.hashes_read += positions.len());
        let read = |&position: &u64| {
            let position = usize::try_from(position)?;
            Ok(*self.hashes.get(position).ok_or("no such hash")?)
        };
        positions.iter().map(read).collect()
    }
}

impl LogStore for MemoryLog {
    fn sizes(&self) -> Result<Sizes, BoxError> {
        Ok(Sizes {
            records: self.records.len() as u64,
            hashes: self.hashes.len() as u64,
        })
    }

    fn append_records(&mut self, first: u64, records: &[LogRecord]) -> Result<(), BoxError> {
        if first != self.records.len() as u64 {
            return Err("another writer".into());
        }
        let torn = self.torn(records.len());
        for record in &records[..torn.unwrap_or(records.len())] {
            self.push(record);
        }
        if torn.is_some() { crash() } else { Ok(()) }
    }

    fn write_hashes(&mut self, first: u64, hashes: &[Hash]) -> Result<(), BoxError> {
        self.count(|counts| counts.hashes_written += hashes.len());
        let torn = self.torn(hashes.len());
        for (position, &hash) in (first..).zip(&hashes[..torn.unwrap_or(hashes.len())]) {
            let position = usize::try_from(position)?;
            match self.hashes.get(position) {
                None if position == self.hashes.len() => self.hashes.push(hash),
                Some(&there) if there == hash => {}
                _ => return Err("hash written to a wrong place".into()),
            }
        }
        if torn.is_some() { crash() } else { Ok(()) }
    }

    fn signed(&self) -> Result<Option<Heads>, BoxError> {
        Ok(self.signed.clone())
    }

    fn swap_signed(&mut self, old: Option<&Heads>, new: &Heads) -> Result<bool, BoxError> {
        if self.signed.as_ref() != old {
            return Ok(false);
        }
        let torn = self.torn(2);
        self.signed = Some(new.clone());
        self.history.push(new.clone());
        if torn.is_some() { crash() } else { Ok(true) }
    }

    fn publish(&mut self, heads: &Heads) -> Result<(), BoxError> {
        if self.torn(0).is_some() {
            return crash();
        }
        self.published = Some(heads.clone());
        Ok(())
    }
}

type Remote<'a> = Box<dyn Fn(&str) -> Result<Vec<u8>, RemoteError> + 'a>;

/// What a client has around it: a server, a cache, and a place for the latest head.
pub(crate) struct World<'a> {
    pub server: Remote<'a>,
    pub kept: RefCell<Option<Vec<u8>>>,
    pub cache: RefCell<BTreeMap<String, Vec<u8>>>,
    /// The paths asked of the server.
    pub asked: RefCell<Vec<String>>,
}

impl<'a> World<'a> {
    pub(crate) fn new(server: impl Fn(&str) -> Result<Vec<u8>, RemoteError> + 'a) -> Self {
        Self {
            server: Box::new(server),
            kept: RefCell::default(),
            cache: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    pub(crate) fn of(log: &'a MemoryLog) -> Self {
        Self::new(|path| read_log(log, path))
    }

    /// The same cache and kept head, but another server.
    pub(crate) fn with_server<'b>(
        &self,
        server: impl Fn(&str) -> Result<Vec<u8>, RemoteError> + 'b,
    ) -> World<'b> {
        World {
            kept: self.kept.clone(),
            cache: self.cache.clone(),
            ..World::new(server)
        }
    }

    pub(crate) fn take_asked(&self) -> Vec<String> {
        self.asked.take()
    }
}

pub(crate) fn read_log(log: &MemoryLog, path: &str) -> Result<Vec<u8>, RemoteError> {
    let served = Resource::parse(path).and_then(|resource| serve(&resource, log));
    served
        .map(|served| served.body)
        .map_err(|error| match error {
            Error::NotFound(what) => RemoteError::Absent(what),
            other => RemoteError::Failed(other.into()),
        })
}

impl Driver for World<'_> {
    fn read_latest(&self) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(self.kept.borrow().clone())
    }

    fn swap_latest(&self, old: &[u8], new: &[u8]) -> Result<Swap, BoxError> {
        let current = self.kept.borrow().clone().unwrap_or_default();
        if current != old {
            return Ok(Swap::Conflict(current));
        }
        *self.kept.borrow_mut() = Some(new.to_vec());
        Ok(Swap::Done)
    }

    fn read_cache(&self, key: &str) -> Option<Vec<u8>> {
        self.cache.borrow().get(key).cloned()
    }

    fn write_cache(&self, key: &str, data: &[u8]) {
        self.cache
            .borrow_mut()
            .insert(key.to_owned(), data.to_vec());
    }

    fn read_remote(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        self.asked.borrow_mut().push(path.to_owned());
        (self.server)(path)
    }
}

pub(crate) fn text_of(log: &MemoryLog, path: &str) -> String {
    let data = read_log(log, path).unwrap_or_else(|error| panic!("{path}: {error:?}"));
    String::from_utf8(data).expect("text")
}
