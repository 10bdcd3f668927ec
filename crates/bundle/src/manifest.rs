use std::collections::HashSet;

use gomod::{ModulePath, ModuleVersion, Version};
use modzip::H1;
use serde::{Deserialize, Serialize};
use store::{FileKey, FileKind};
use sumdb::note::VerifierKey;

use crate::{BundleError, EntryName, Proof};

/// What stands in `format`.
const FORMAT: &str = "modkeep-bundle";
/// The version of the format that is written and read.
const VERSION: u32 = 1;
/// The most bytes of a manifest: some hundred thousand files.
pub(crate) const MAX_MANIFEST: u64 = 32 << 20;

/// What is in a bundle. It is the first entry, and lists every other one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    version: u32,
    /// The checksum databases whose proofs are in the bundle, by name.
    pub databases: Vec<DatabaseEntry>,
    /// The versions of which files are in the bundle, in order.
    pub versions: Vec<VersionEntry>,
    /// The other entries, in the order of their names.
    pub files: Vec<FileEntry>,
    /// The earlier bundle that this one adds to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Continued>,
}

/// A checksum database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseEntry {
    /// Its name.
    pub name: String,
    /// Its key, for people: what counts is the key that whoever applies the bundle has for this name.
    pub key: String,
    /// How many records the tree has in which everything is proven to be.
    pub size: u64,
    /// Sizes of earlier trees that the tiles in the bundle prove to be its beginning, in ascending order: a client that
    /// knows one of them can follow.
    pub earlier_sizes: Vec<u64>,
}

/// A module version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawVersion", into = "RawVersion")]
pub struct VersionEntry {
    /// Which.
    pub module: ModuleVersion,
    /// Why its hashes are believed.
    pub trust: Trust,
    /// The hash of its go.mod file.
    pub go_mod: H1,
    /// The hash of its zip. `None`: only the go.mod file is there, which is all that `go` needs of it.
    pub zip: Option<H1>,
}

/// Why hashes are believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Trust {
    /// They are in a record of a checksum database; the proof is in the bundle.
    Proven {
        /// The database's name.
        database: String,
        /// The number of the record.
        record: u64,
    },
    /// No database covers the module: they are what they were when it was first seen, and nothing in the bundle proves
    /// them.
    Unproven,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawFile", into = "RawFile")]
pub struct FileEntry {
    /// Its name.
    pub name: EntryName,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 digest of its bytes, in hexadecimal.
    pub sha256: String,
}

/// The earlier bundle that a bundle adds to, with all that was in it and in those before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continued {
    /// The digest of its manifest.
    pub manifest: String,
    /// Its versions.
    pub versions: Vec<VersionEntry>,
    /// Its entries, without heads.
    pub files: Vec<FileEntry>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVersion {
    module: String,
    version: String,
    trust: Trust,
    go_mod: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zip: Option<String>,
}

impl TryFrom<RawVersion> for VersionEntry {
    type Error = String;

    fn try_from(raw: RawVersion) -> Result<Self, String> {
        let wrong =
            |error: &dyn std::fmt::Display| format!("{}@{}: {error}", raw.module, raw.version);
        let path = ModulePath::new(&raw.module).map_err(|error| wrong(&error))?;
        let version = Version::new(&raw.version).map_err(|error| wrong(&error))?;
        let module = ModuleVersion::new(path, version).map_err(|error| wrong(&error))?;
        let hash = |text: &String| {
            text.parse::<H1>()
                .map_err(|_| wrong(&"a hash is no h1 hash"))
        };
        Ok(Self {
            module,
            go_mod: hash(&raw.go_mod)?,
            zip: raw.zip.as_ref().map(hash).transpose()?,
            trust: raw.trust,
        })
    }
}

impl From<VersionEntry> for RawVersion {
    fn from(entry: VersionEntry) -> Self {
        Self {
            module: entry.module.path().as_str().to_owned(),
            version: entry.module.version().as_str().to_owned(),
            trust: entry.trust,
            go_mod: entry.go_mod.to_string(),
            zip: entry.zip.map(|hash| hash.to_string()),
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    path: String,
    size: u64,
    sha256: String,
}

impl TryFrom<RawFile> for FileEntry {
    type Error = String;

    fn try_from(raw: RawFile) -> Result<Self, String> {
        let name = EntryName::parse(&raw.path)
            .ok_or_else(|| format!("{:?} is no name of an entry", raw.path))?;
        Ok(Self {
            name,
            size: raw.size,
            sha256: raw.sha256,
        })
    }
}

impl From<FileEntry> for RawFile {
    fn from(entry: FileEntry) -> Self {
        Self {
            path: entry.name.to_string(),
            size: entry.size,
            sha256: entry.sha256,
        }
    }
}

impl Manifest {
    /// Puts a manifest in order.
    pub(crate) fn new(
        mut databases: Vec<DatabaseEntry>,
        mut versions: Vec<VersionEntry>,
        mut files: Vec<FileEntry>,
        continues: Option<Continued>,
    ) -> Self {
        databases.sort_by(|a, b| a.name.cmp(&b.name));
        versions.sort_by_key(VersionEntry::sort_key);
        files.sort_by_cached_key(|file| file.name.to_string());
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            databases,
            versions,
            files,
            continues,
        }
    }

    /// The bytes of the entry.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| BundleError::Manifest(error.to_string()))?;
        json.push(b'\n');
        Ok(json)
    }

    /// Reads the bytes of the entry. Only what [`Self::to_json`] writes is taken, and what makes sense.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, BundleError> {
        let wrong = |reason: String| BundleError::Manifest(reason);
        let stamp: Stamp =
            serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
        if stamp.format != FORMAT {
            return Err(wrong(format!("it is of the format {:?}", stamp.format)));
        }
        if stamp.version != VERSION {
            return Err(wrong(format!(
                "version {} of the format is not known here, only {VERSION}",
                stamp.version
            )));
        }
        let manifest: Self =
            serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
        manifest.check()?;
        if manifest.to_json()? != json {
            return Err(wrong("it is not written as modkeep writes it".to_owned()));
        }
        Ok(manifest)
    }

    fn check(&self) -> Result<(), BundleError> {
        let wrong = |reason: String| Err(BundleError::Manifest(reason));
        let names: Vec<String> = self
            .files
            .iter()
            .map(|file| file.name.to_string())
            .collect();
        check_ascending(&names)?;
        let versions: Vec<_> = self.versions.iter().map(VersionEntry::sort_key).collect();
        check_ascending(&versions)?;
        let databases: Vec<&str> = self
            .databases
            .iter()
            .map(|database| database.name.as_str())
            .collect();
        check_ascending(&databases)?;
        for database in &self.databases {
            let key = VerifierKey::parse(&database.key);
            if key.is_ok_and(|key| key.id().name.as_str() != database.name) {
                return wrong(format!("the key of {} has another name", database.name));
            }
            check_ascending(&database.earlier_sizes)?;
        }
        let known: HashSet<&ModuleVersion> =
            self.versions.iter().map(|entry| &entry.module).collect();
        for file in &self.files {
            match &file.name {
                EntryName::Module(key) => {
                    let is_known = key
                        .module_version()
                        .is_ok_and(|module| known.contains(&module));
                    if !is_known {
                        return wrong(format!(
                            "{} belongs to no version that is listed",
                            file.name
                        ));
                    }
                }
                EntryName::Proof(database, _) => {
                    if !databases.contains(&database.as_str()) {
                        return wrong(format!(
                            "{} belongs to no database that is listed",
                            file.name
                        ));
                    }
                }
            }
        }
        let present: HashSet<&EntryName> = self.all_files().map(|file| &file.name).collect();
        for entry in &self.versions {
            for name in entry.names() {
                if !present.contains(&name) {
                    return wrong(format!("{name} is missing"));
                }
            }
        }
        for database in &self.databases {
            let head = EntryName::Proof(database.name.clone(), Proof::Head);
            if !self.files.iter().any(|file| file.name == head) {
                return wrong(format!("{head} is missing"));
            }
        }
        Ok(())
    }

    /// The entries of this bundle and of those it continues.
    fn all_files(&self) -> impl Iterator<Item = &FileEntry> {
        let earlier = self.continues.iter().flat_map(|earlier| &earlier.files);
        self.files.iter().chain(earlier)
    }

    /// The versions of this bundle and of those it continues.
    pub fn all_versions(&self) -> impl Iterator<Item = &VersionEntry> {
        let earlier = self.continues.iter().flat_map(|earlier| &earlier.versions);
        self.versions.iter().chain(earlier)
    }

    /// The entry of a database.
    pub fn database(&self, name: &str) -> Option<&DatabaseEntry> {
        self.databases.iter().find(|database| database.name == name)
    }

    /// How a later bundle refers to this one; `digest` is that of this manifest.
    pub(crate) fn into_continued(self, digest: String) -> Continued {
        let earlier = self.continues.unwrap_or_else(|| Continued {
            manifest: String::new(),
            versions: Vec::new(),
            files: Vec::new(),
        });
        let is_kept = |file: &FileEntry| !matches!(file.name, EntryName::Proof(_, Proof::Head));
        let mut files: Vec<FileEntry> = self.files.into_iter().filter(is_kept).collect();
        files.extend(earlier.files);
        files.sort_by_cached_key(|file| file.name.to_string());
        files.dedup_by(|a, b| a.name == b.name);
        // Of two entries of one version the one with a zip says more.
        let mut versions = self.versions;
        versions.extend(earlier.versions);
        versions.sort_by_key(|entry| (entry.sort_key(), entry.zip.is_none()));
        versions.dedup_by(|a, b| a.module == b.module);
        Continued {
            manifest: digest,
            versions,
            files,
        }
    }
}

impl VersionEntry {
    fn sort_key(&self) -> (String, String) {
        let (path, version) = (self.module.path(), self.module.version());
        (path.as_str().to_owned(), version.as_str().to_owned())
    }

    /// The entries that belong to it.
    pub(crate) fn names(&self) -> Vec<EntryName> {
        let file = |kind| EntryName::Module(FileKey::of(&self.module, kind));
        let mut names = vec![file(FileKind::Mod)];
        if self.zip.is_some() {
            names.extend([file(FileKind::Info), file(FileKind::Zip)]);
        }
        if let Trust::Proven { database, .. } = &self.trust {
            names.push(EntryName::Proof(
                database.clone(),
                Proof::Record(self.module.clone()),
            ));
        }
        names
    }
}

/// What tells whether the rest can be read.
#[derive(Deserialize)]
struct Stamp {
    format: String,
    version: u32,
}

/// No doubles, and one order for one content.
fn check_ascending<T: Ord + std::fmt::Debug>(items: &[T]) -> Result<(), BundleError> {
    let wrong = items
        .iter()
        .zip(items.iter().skip(1))
        .find(|(first, second)| first >= second);
    match wrong {
        None => Ok(()),
        Some((first, second)) if first == second => {
            Err(BundleError::Manifest(format!("{first:?} is there twice")))
        }
        Some((_, second)) => Err(BundleError::Manifest(format!("{second:?} is out of order"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sound() -> Manifest {
        let module = ModuleVersion::new(
            ModulePath::new("example.com/m").unwrap(),
            Version::new("v1.2.3").unwrap(),
        )
        .unwrap();
        let file = |name: EntryName| FileEntry {
            name,
            size: 7,
            sha256: "00".repeat(32),
        };
        let files = [FileKind::Info, FileKind::Mod, FileKind::Zip]
            .map(|kind| file(EntryName::Module(FileKey::of(&module, kind))));
        let version = VersionEntry {
            go_mod: H1::from_bytes([1; 32]),
            zip: Some(H1::from_bytes([2; 32])),
            trust: Trust::Unproven,
            module,
        };
        Manifest::new(Vec::new(), vec![version], files.into(), None)
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let json = sound().to_json().unwrap();
        assert_eq!(Manifest::parse(&json).unwrap(), sound());
        let text = String::from_utf8(json).unwrap();
        for (what, from, to, told) in [
            (
                "a later format",
                "\"version\": 1,",
                "\"version\": 2,",
                "version 2",
            ),
            ("another format", "modkeep-bundle", "tarball", "tarball"),
            (
                "something unknown",
                "\"files\"",
                "\"more\": 1, \"files\"",
                "more",
            ),
            (
                "other white space",
                "\"size\": 7",
                "\"size\":7",
                "not written as",
            ),
            (
                "a name that leads out",
                "modules/example.com",
                "modules/..",
                "no name",
            ),
            (
                "another version's file",
                "v1.2.3.zip",
                "v1.2.4.zip",
                "v1.2.4.zip",
            ),
            ("no hash", "h1:AQ", "h2:AQ", "no h1 hash"),
        ] {
            assert_ne!(text, text.replacen(from, to, 1), "{what}");
            let error = Manifest::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(told), "{what}: {error}");
        }
    }

    proptest! {
        #[test]
        fn an_altered_manifest_is_refused_or_means_something_else(
            at in any::<prop::sample::Index>(),
            by in any::<u8>(),
        ) {
            let json = sound().to_json().unwrap();
            let mut altered = json.clone();
            let at = at.index(altered.len());
            altered[at] = by;
            if let Ok(manifest) = Manifest::parse(&altered) {
                prop_assert_eq!(manifest == sound(), altered == json);
                prop_assert_eq!(manifest.to_json().unwrap(), altered);
            }
        }
    }
}
