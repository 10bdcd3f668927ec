use std::fs;
use std::sync::Mutex;

use gomod::{ModulePath, ModuleVersion, Version};
use sumdb::Error;
use sumdb::note::{KeyName, Note, SignerKey};
use sumdb::record::ModuleHashes;
use sumdb::tile::{Height, new_tiles};
use sumdb::tlog::{Frontier, Hash, HashReader, Node, RecordText, TreeHead, format_record};

use crate::module::{Module, escaped};
use crate::tree::Tree;
use crate::upstream::UpstreamServer;

/// A checksum database with a key of its own, on loopback: every answer is a file, so that a test can forge each.
///
/// Every record has a signed head and tiles of its own; what was served once stays, as with a real database.
#[derive(Debug)]
pub struct ChecksumDatabase {
    /// Serves it; stopping it puts the database out of reach.
    pub server: UpstreamServer,
    tree: Tree,
    name: String,
    signer: SignerKey,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    frontier: Frontier,
    hashes: Vec<Hash>,
}

impl HashReader for Log {
    fn read_hashes(&self, nodes: &[Node]) -> Result<Vec<Hash>, Error> {
        let hash = |node: &Node| {
            let at = usize::try_from(node.stored_index()).ok()?;
            self.hashes.get(at).copied()
        };
        nodes
            .iter()
            .map(|node| hash(node).ok_or(Error::InconsistentStore("no such hash")))
            .collect()
    }
}

impl ChecksumDatabase {
    /// An empty database of this name. The same name and seed make the same key: two such databases are two histories.
    pub fn new(name: &str, seed: u8) -> Self {
        let tree = Tree::temporary();
        let key_name = KeyName::parse(name).expect("a name of a database");
        Self {
            server: UpstreamServer::serve(tree.root()),
            tree,
            name: name.to_owned(),
            signer: SignerKey::from_seed(key_name, &[seed; 32]).expect("a seed makes a key"),
            log: Mutex::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `name+hash+key`, for GOSUMDB where the database is reached through a proxy.
    pub fn key(&self) -> String {
        self.signer.verifier().to_string()
    }

    /// `name+hash+key URL`: the database is asked at its own address.
    pub fn setting(&self) -> String {
        format!("{} {}", self.key(), self.server.url())
    }

    /// Its files, at the paths below its address.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The path of a module version's record.
    pub fn lookup_path(module: &Module) -> String {
        format!(
            "/lookup/{}@{}",
            escaped(module.path()),
            escaped(module.version())
        )
    }

    /// Adds the record of a module version with its true hashes.
    pub fn add(&self, module: &Module) {
        self.add_record(module, &record_of(module));
    }

    /// Adds this record, and serves it for the look-up of `module`.
    pub fn add_record(&self, module: &Module, record: &str) {
        let record = RecordText::parse(record.as_bytes()).expect("a record");
        let mut log = self.log.lock().expect("no test panicked with the log");
        let id = log.frontier.size();
        let Log { frontier, hashes } = &mut *log;
        frontier
            .append(record.hash(), hashes)
            .expect("a log of a test is small");
        for tile in new_tiles(Height::STANDARD, id, id + 1) {
            if let Ok(bytes) = tile.read(&*log) {
                self.write(&format!("/{}", tile.path()), &bytes);
            }
        }
        let head = self.sign(id + 1, log.frontier.root());
        let answer = format!("{}{head}", format_record(id, &record));
        self.write(&Self::lookup_path(module), answer.as_bytes());
        self.write("/latest", head.as_bytes());
    }

    /// Answers every look-up with its newest head from now on, as a busy database does. What is added later has a newer
    /// one.
    pub fn answer_with_newest_head(&self) {
        let head = String::from_utf8(self.read("/latest")).expect("a head is text");
        let mut folders = vec![self.tree.file("/lookup")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder can be read") {
                let path = entry.expect("a folder can be read").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let answer = fs::read_to_string(&path).expect("an answer is text");
                let (record, _) = answer.split_once("\n\n").expect("a record and a head");
                fs::write(&path, format!("{record}\n\n{head}")).expect("a file can be written");
            }
        }
    }

    /// What it serves at a path.
    pub fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.tree.file(path)).expect("the database has the file")
    }

    /// Serves something else at a path.
    pub fn write(&self, path: &str, content: &[u8]) {
        let file = self.tree.file(path);
        fs::create_dir_all(file.parent().expect("a file has a folder"))
            .expect("a folder can be made");
        fs::write(file, content).expect("a file can be written");
    }

    /// Serves everything that another one serves from now on.
    pub fn become_like(&self, other: &Self) {
        copy(other.tree.root(), self.tree.root());
    }

    /// Lets an upstream relay it as it is now: below `/sumdb/<name>/` of the upstream's tree.
    pub fn be_relayed_in(&self, upstream: &Tree) {
        let base = upstream.file(&format!("sumdb/{}", self.name));
        copy(self.tree.root(), &base);
        fs::write(base.join("supported"), "").expect("a file can be written");
    }

    fn sign(&self, size: u64, root: Hash) -> String {
        let head = TreeHead::new(size, root).expect("a log of a test is small");
        let mut note = Note::new(head.to_string()).expect("a head is a note's text");
        note.sign(&self.signer).expect("a key signs");
        note.to_string()
    }
}

/// The record that a database has of a module version: both its hashes.
fn record_of(module: &Module) -> String {
    let path = ModulePath::new(module.path()).expect("a module path");
    let version = Version::new(module.version()).expect("a version");
    let version = ModuleVersion::new(path, version).expect("a version of the module");
    ModuleHashes::new(version, &module.zip_h1(), &module.go_mod_h1())
        .expect("hashes of a module")
        .record()
        .as_str()
        .to_owned()
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder can be read") {
        let entry = entry.expect("a folder can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}
