//! Everything that must hold before anything is published. Nothing is written here.

use std::cell::RefCell;
use std::sync::Arc;

use depot::Settings;
use gomod::ModuleVersion;
use gomod::info::RevInfo;
use modzip::{Archive, H1, MAX_GO_MOD, MAX_ZIP, Workers, hash_go_mod};
use store::{FileKey, FileKind, Store};
use sumdb::BoxError;
use sumdb::client::{Client, Driver, RemoteError, Swap, Timeline, run};
use sumdb::note::VerifierKey;
use sumdb::record::Part;
use trust::Kept;

use crate::{Bundle, BundleError, DatabaseEntry, EntryName, Proof, Trust, VersionEntry};

/// The most bytes of an `.info` file.
const MAX_INFO: u64 = 1 << 20;

/// A database whose proofs in a bundle were checked.
pub(crate) struct CheckedDatabase {
    pub(crate) name: String,
    /// The head in the bundle.
    pub(crate) head: Vec<u8>,
    pub(crate) size: u64,
    /// The head that was kept before; empty if none was.
    pub(crate) kept: Vec<u8>,
    pub(crate) kept_size: u64,
}

/// Checks a whole bundle against what is known here. Blocks on the disk.
pub(crate) fn check(
    bundle: &Bundle,
    store: &Arc<Store>,
    settings: &Settings,
    workers: &Workers,
) -> Result<Vec<CheckedDatabase>, BundleError> {
    let manifest = bundle.manifest();
    // Trust that needs no bytes is told first.
    for entry in manifest.all_versions() {
        check_coverage(entry, settings)?;
    }
    let keys: Vec<VerifierKey> = manifest
        .databases
        .iter()
        .map(|database| known_key(database, settings))
        .collect::<Result<_, _>>()?;
    bundle.check_contents()?;
    for entry in &manifest.versions {
        check_files(bundle, entry, workers)?;
    }
    check_continued(bundle, store)?;
    manifest
        .databases
        .iter()
        .zip(keys)
        .map(|(database, key)| check_database(bundle, database, key, store))
        .collect()
}

/// A version that a database covers by the settings of whoever applies must be proven by it, whatever the bundle says.
fn check_coverage(entry: &VersionEntry, settings: &Settings) -> Result<(), BundleError> {
    let covering = settings.database_of(entry.module.path());
    let reason = match (&entry.trust, covering) {
        (_, None) => return Ok(()),
        (Trust::Proven { database, .. }, Some(route)) if *database == route.name => return Ok(()),
        (Trust::Proven { database, .. }, Some(route)) => {
            format!(
                "it must be by {}, and the bundle has a proof of {database}",
                route.name
            )
        }
        (Trust::Unproven, Some(route)) => format!(
            "the bundle calls it private, and the settings here have {} vouch for it; a module that is private belongs into the setting private or no-sumdb",
            route.name
        ),
    };
    let module = entry.module.to_string();
    Err(BundleError::NoProof { module, reason })
}

/// The key that counts: the one that is known here.
fn known_key(database: &DatabaseEntry, settings: &Settings) -> Result<VerifierKey, BundleError> {
    let configured = settings
        .sumdbs
        .iter()
        .find(|route| route.name == database.name)
        .map(|route| route.key.clone());
    let built_in = || {
        VerifierKey::parse(goenv::gosumdb::SUM_GOLANG_ORG_KEY)
            .ok()
            .filter(|key| key.id().name.as_str() == database.name)
    };
    let key = configured
        .or_else(built_in)
        .ok_or_else(|| BundleError::UnknownDatabase(database.name.clone()))?;
    if key.to_string() == database.key {
        Ok(key)
    } else {
        Err(BundleError::OtherKey(database.name.clone()))
    }
}

/// The files of a version that are in this bundle.
fn check_files(
    bundle: &Bundle,
    entry: &VersionEntry,
    workers: &Workers,
) -> Result<(), BundleError> {
    for kind in FileKind::ALL {
        let name = EntryName::Module(FileKey::of(&entry.module, kind));
        if !bundle.has(&name) {
            continue;
        }
        match (kind, entry.zip) {
            (FileKind::Info, _) => check_info(bundle, &name, &entry.module)?,
            (FileKind::Mod, _) => {
                let content = bundle.content(&name)?;
                if content.len > MAX_GO_MOD {
                    return Err(BundleError::unfit(
                        &name,
                        "it is longer than a go.mod file may be",
                    ));
                }
                let bytes = bundle.small(&name)?.unwrap_or_default();
                expect(&name, hash_go_mod(&bytes), entry.go_mod)?;
            }
            (FileKind::Zip, Some(expected)) => {
                expect(
                    &name,
                    hash_zip(bundle, &name, &entry.module, workers)?,
                    expected,
                )?;
            }
            (FileKind::Zip, None) => {
                return Err(BundleError::entry(&name, "the manifest has no hash of it"));
            }
        }
    }
    Ok(())
}

fn check_info(
    bundle: &Bundle,
    name: &EntryName,
    module: &ModuleVersion,
) -> Result<(), BundleError> {
    if bundle.content(name)?.len > MAX_INFO {
        return Err(BundleError::unfit(name, "it is too long"));
    }
    let bytes = bundle.small(name)?.unwrap_or_default();
    let info = RevInfo::parse(&bytes).map_err(|error| BundleError::unfit(name, error))?;
    if info.version == module.version().as_str() {
        return Ok(());
    }
    Err(BundleError::unfit(
        name,
        format!("it is about the version {:?}", info.version),
    ))
}

/// The hash of a zip that is a sound zip of this version.
fn hash_zip(
    bundle: &Bundle,
    name: &EntryName,
    module: &ModuleVersion,
    workers: &Workers,
) -> Result<H1, BundleError> {
    let content = bundle.content(name)?;
    let len = content.len;
    if len > MAX_ZIP {
        return Err(BundleError::unfit(
            name,
            "it is longer than a module zip may be",
        ));
    }
    let unfit = |error: modzip::Error| BundleError::unfit(name, error);
    let archive = Archive::open(content, len).map_err(unfit)?;
    let hash = archive.hash(workers).map_err(unfit)?;
    archive.check(module).fit().map_err(unfit)?;
    Ok(hash)
}

fn expect(name: &EntryName, found: H1, expected: H1) -> Result<(), BundleError> {
    if found == expected {
        return Ok(());
    }
    Err(BundleError::Mismatch {
        name: name.to_string(),
        found,
        expected: expected.to_string(),
        authority: "the manifest".to_owned(),
    })
}

/// What this bundle takes to be here already must be here.
fn check_continued(bundle: &Bundle, store: &Store) -> Result<(), BundleError> {
    let Some(continued) = &bundle.manifest().continues else {
        return Ok(());
    };
    for file in &continued.files {
        let EntryName::Module(key) = &file.name else {
            continue;
        };
        if store.open_file(key)?.is_none() {
            return Err(BundleError::NotContinued {
                manifest: continued.manifest.clone(),
                missing: key.to_string(),
            });
        }
    }
    Ok(())
}

fn check_database(
    bundle: &Bundle,
    database: &DatabaseEntry,
    key: VerifierKey,
    store: &Arc<Store>,
) -> Result<CheckedDatabase, BundleError> {
    let name = &database.name;
    let failed = |what: &EntryName, error| explain(name, what, error);
    let kept = Kept::new(store.clone(), name);
    let known = kept
        .head()
        .map_err(|error| failed(&head_name(name), sumdb::Error::Keeping(error.into())))?
        .unwrap_or_default();
    let client = Client::new(key).map_err(|error| failed(&head_name(name), error))?;
    let driver = Offline {
        bundle,
        database: name,
        kept: &kept,
        latest: RefCell::new(known.clone()),
    };
    let head = bundle.small(&head_name(name))?.unwrap_or_default();
    let timeline = run(client.observe(head.clone()), &driver)
        .map_err(|error| failed(&head_name(name), error))?;
    let latest = client
        .latest()
        .ok_or(BundleError::Lost("a head that was taken is gone"))?;
    let kept_size = size_of(&known);
    if timeline == Timeline::Past {
        return check_nothing_new(bundle, database, &kept, store, latest.tree().size());
    }
    if latest.tree().size() != database.size {
        return Err(BundleError::entry(
            head_name(name),
            format!(
                "it is the head of {} records, and the manifest says {}",
                latest.tree().size(),
                database.size
            ),
        ));
    }
    // Every tile, whether a proof below needs it or not: what is published is proven.
    for file in &bundle.manifest().files {
        if let EntryName::Proof(of, Proof::Tile(tile)) = &file.name
            && of == name
        {
            run(client.tile(*tile), &driver).map_err(|error| failed(&file.name, error))?;
        }
    }
    for entry in bundle.manifest().all_versions() {
        check_record(bundle, &client, &driver, entry)?;
    }
    Ok(CheckedDatabase {
        name: name.clone(),
        head,
        size: database.size,
        kept: known,
        kept_size,
    })
}

/// A head that is older than the known one brings nothing new: at most it was applied before.
fn check_nothing_new(
    bundle: &Bundle,
    database: &DatabaseEntry,
    kept: &Kept,
    store: &Store,
    known: u64,
) -> Result<CheckedDatabase, BundleError> {
    let is_here = |name: &EntryName| -> Result<bool, BundleError> {
        Ok(match name {
            EntryName::Module(key) => store.open_file(key)?.is_some(),
            EntryName::Proof(_, Proof::Head) => true,
            EntryName::Proof(_, proof) => kept.read(&proof.path()).is_some(),
        })
    };
    for file in &bundle.manifest().files {
        if !is_here(&file.name)? {
            return Err(BundleError::Older {
                database: database.name.clone(),
                size: database.size,
                known,
            });
        }
    }
    let head = kept.head().ok().flatten().unwrap_or_default();
    Ok(CheckedDatabase {
        name: database.name.clone(),
        kept: head.clone(),
        head,
        size: known,
        kept_size: known,
    })
}

/// The record of a version, and that it says what the manifest says.
fn check_record(
    bundle: &Bundle,
    client: &Client,
    driver: &Offline<'_>,
    entry: &VersionEntry,
) -> Result<(), BundleError> {
    let Trust::Proven { database, record } = &entry.trust else {
        return Ok(());
    };
    if database != driver.database {
        return Ok(());
    }
    let name = EntryName::Proof(database.clone(), Proof::Record(entry.module.clone()));
    let failed = |error| explain(database, &name, error);
    let proven = run(client.lookup(entry.module.clone()), driver).map_err(failed)?;
    if proven.id() != *record {
        return Err(BundleError::entry(
            &name,
            format!(
                "it is record {}, and the manifest says {record}",
                proven.id()
            ),
        ));
    }
    let parts = [
        (Part::GoMod, FileKind::Mod, Some(entry.go_mod)),
        (Part::Zip, FileKind::Zip, entry.zip),
    ];
    for (part, kind, found) in parts {
        let Some(found) = found else { continue };
        let expected = proven.h1(part).map_err(failed)?;
        if found.to_string() != expected {
            return Err(BundleError::Mismatch {
                name: EntryName::Module(FileKey::of(&entry.module, kind)).to_string(),
                found,
                expected: expected.to_owned(),
                authority: format!("checksum database {database}, record {record}"),
            });
        }
    }
    debug_assert!(bundle.manifest().database(database).is_some());
    Ok(())
}

fn head_name(database: &str) -> EntryName {
    EntryName::Proof(database.to_owned(), Proof::Head)
}

/// The size a signed head that was verified before states.
pub(crate) fn size_of(note: &[u8]) -> u64 {
    let tree = sumdb::note::Note::parse(note)
        .ok()
        .and_then(|note| sumdb::tlog::TreeHead::parse(note.text()).ok());
    tree.map_or(0, |tree| tree.size())
}

fn explain(database: &str, name: &EntryName, error: sumdb::Error) -> BundleError {
    match error {
        sumdb::Error::Remote { absent: true, source, .. } => BundleError::MissingProof {
            database: database.to_owned(),
            path: source.to_string(),
            purpose: match name {
                EntryName::Proof(_, Proof::Head) => {
                    "its head cannot be shown to extend the one that is known here; make the bundle with --since the bundle that was applied last, or with --known-head and what this server answers at /sumdb/<name>/latest".to_owned()
                }
                _ => format!("{name} cannot be proven"),
            },
        },
        error => BundleError::proof(database, name, error),
    }
}

/// Answers a database's client from the bundle, and from what was proven here before.
struct Offline<'b> {
    bundle: &'b Bundle,
    database: &'b str,
    kept: &'b Kept,
    /// What would be kept; empty at first where nothing was.
    latest: RefCell<Vec<u8>>,
}

impl Offline<'_> {
    fn name(&self, path: &str) -> Option<EntryName> {
        let proof = Proof::parse(path.trim_start_matches('/'))?;
        Some(EntryName::Proof(self.database.to_owned(), proof))
    }
}

impl Driver for Offline<'_> {
    fn read_latest(&self) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(Some(self.latest.borrow().clone()).filter(|note| !note.is_empty()))
    }

    fn swap_latest(&self, _old: &[u8], new: &[u8]) -> Result<Swap, BoxError> {
        // Nobody else sees it; the store's own head is swapped when everything is published.
        *self.latest.borrow_mut() = new.to_vec();
        Ok(Swap::Done)
    }

    fn read_cache(&self, key: &str) -> Option<Vec<u8>> {
        let path = key.strip_prefix(self.database)?.strip_prefix('/')?;
        // What the bundle brings is to be proven, not what is here in its place.
        let is_brought = self.name(path).is_some_and(|name| self.bundle.has(&name));
        if is_brought {
            None
        } else {
            self.kept.read(path)
        }
    }

    fn write_cache(&self, _key: &str, _data: &[u8]) {}

    fn read_remote(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        let absent = || RemoteError::Absent(path.trim_start_matches('/').to_owned());
        let name = self.name(path).ok_or_else(absent)?;
        match self.bundle.small(&name) {
            Ok(found) => found.ok_or_else(absent),
            Err(error) => Err(RemoteError::Failed(error.into())),
        }
    }
}
