use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use depot::{Depot, FetchMode, SumdbRoute};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gomod::ModuleVersion;
use modzip::Workers;
use store::{FileKey, FileKind, FirstSightReason, Store};
use sumdb::record::Part;

use crate::archive::{self, END, MANIFEST, MANIFEST_DIGEST};
use crate::blocking::blocking;
use crate::gather::{Gathered, gather, read_pieces};
use crate::graph::Project;
use crate::proofs::{self, Earlier, Proofs, Proven};
use crate::{
    Bundle, BundleError, Continued, EntryName, FileEntry, Manifest, Proof, Selection, Trust,
    VersionEntry,
};

/// Files that are fetched at a time.
const AT_A_TIME: usize = 16;

/// How a bundle is made.
#[derive(Debug, Default)]
pub struct CreateOptions {
    /// An earlier bundle: what is in it, or in those before it, is left out.
    pub since: Option<PathBuf>,
    /// Signed heads that clients know: they can follow from there, too.
    pub known_heads: Vec<Vec<u8>>,
    /// Whether a version that no checksum database proves is an error.
    pub require_proof: bool,
    /// Whether everything that named versions need to be built is wanted, too.
    pub with_dependencies: bool,
}

/// What a bundle became.
#[derive(Debug)]
pub struct Created {
    /// What is in it.
    pub manifest: Manifest,
    /// The SHA-256 digest of the manifest.
    pub digest: String,
    /// The length of the file in bytes.
    pub len: u64,
}

/// What is gathered of a version.
struct Version {
    module: ModuleVersion,
    files: Vec<Gathered>,
    proven: Option<(SumdbRoute, Proven)>,
}

/// Gathers the files of a selection, verifies them, and writes them with what proves them. The file appears whole or
/// not at all; the same selection from the same store and state of the database makes the same bytes.
pub async fn create(
    depot: &Depot,
    selection: Selection,
    options: &CreateOptions,
    out: &Path,
    workers: &Workers,
) -> Result<Created, BundleError> {
    let since = options.since.clone();
    let earlier = match since {
        Some(path) => Some(blocking(move || read_earlier(&path)).await?),
        None => None,
    };
    let wanted = expand(depot, &selection, options).await?;
    // The newest head is asked for before the records, so that one head covers what is already known to be there.
    for (_, route) in routes_of(depot, wanted.keys()) {
        let asked = depot
            .sumdb(
                &route,
                "latest",
                FetchMode::Allowed,
                &depot::Context::default(),
            )
            .await;
        asked.map_err(|error| BundleError::Fetch {
            what: format!("the head of {}", route.name),
            error,
        })?;
    }
    let selection = &selection;
    let versions: Vec<Version> = stream::iter(wanted)
        .map(|(module, is_whole)| async move {
            have(
                depot,
                selection,
                module,
                is_whole,
                options.require_proof,
                workers,
            )
            .await
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await?;
    let (entries, files, proofs) = assemble(depot, versions, earlier.as_ref(), options).await?;
    let (store, out) = (depot.store().clone(), out.to_path_buf());
    let continues = earlier.map(|earlier| earlier.continued);
    blocking(move || write(&store, &out, entries, files, &proofs, continues)).await
}

/// What an earlier bundle says.
struct Read {
    continued: Continued,
    /// By database: its head, and the sizes it leads on from.
    databases: BTreeMap<String, (Vec<u8>, Vec<u64>)>,
}

fn read_earlier(path: &Path) -> Result<Read, BundleError> {
    let bundle = Bundle::open(path)?;
    bundle.check_contents()?;
    let mut databases = BTreeMap::new();
    for database in &bundle.manifest().databases {
        let head = EntryName::Proof(database.name.clone(), Proof::Head);
        let note = bundle.small(&head)?.unwrap_or_default();
        databases.insert(
            database.name.clone(),
            (note, database.earlier_sizes.clone()),
        );
    }
    let digest = bundle.digest().to_owned();
    Ok(Read {
        continued: bundle.manifest().clone().into_continued(digest),
        databases,
    })
}

/// The databases that cover these modules.
fn routes_of<'m>(
    depot: &Depot,
    modules: impl Iterator<Item = &'m ModuleVersion>,
) -> BTreeMap<String, SumdbRoute> {
    let settings = depot.settings();
    modules
        .filter_map(|module| settings.database_of(module.path()))
        .map(|route| (route.name.clone(), route.clone()))
        .collect()
}

/// Every version that is wanted, and whether all of it is.
async fn expand(
    depot: &Depot,
    selection: &Selection,
    options: &CreateOptions,
) -> Result<BTreeMap<ModuleVersion, bool>, BundleError> {
    let mut zips: BTreeSet<ModuleVersion> =
        selection.whole.union(&selection.named).cloned().collect();
    let mut go_mods = selection.go_mods.clone();
    let fetch = |module: ModuleVersion| async move { go_mod(depot, &module).await };
    for project in &selection.projects {
        let needed = project.needed(AT_A_TIME, fetch).await?;
        zips.extend(needed.zips);
        go_mods.extend(needed.go_mods);
    }
    for module in &selection.named {
        let project = Project::version(module, &go_mod(depot, module).await?)?;
        let needed = project.needed(AT_A_TIME, fetch).await?;
        go_mods.extend(needed.go_mods);
        if options.with_dependencies {
            zips.extend(needed.zips);
        }
    }
    let mut wanted: BTreeMap<ModuleVersion, bool> =
        go_mods.into_iter().map(|module| (module, false)).collect();
    wanted.extend(zips.into_iter().map(|module| (module, true)));
    Ok(wanted)
}

async fn go_mod(depot: &Depot, module: &ModuleVersion) -> Result<Vec<u8>, BundleError> {
    let workers = Workers::calling_thread();
    gather(depot, module, FileKind::Mod, &workers).await?;
    let (store, key) = (depot.store().clone(), FileKey::of(module, FileKind::Mod));
    blocking(move || {
        let lost = || BundleError::Fetch {
            what: key.to_string(),
            error: depot::DepotError::Lost,
        };
        let stored = store.open_file(&key)?.ok_or_else(lost)?;
        store.read_small(&key, &stored)?.ok_or_else(lost)
    })
    .await
}

/// The files of a version, compared with its record, or with what they were when they were first seen.
async fn have(
    depot: &Depot,
    selection: &Selection,
    module: ModuleVersion,
    is_whole: bool,
    require_proof: bool,
    workers: &Workers,
) -> Result<Version, BundleError> {
    let settings = depot.settings();
    let route = settings.database_of(module.path()).cloned();
    if route.is_none() && require_proof {
        return Err(BundleError::NoProof {
            module: module.to_string(),
            reason: match settings.exemption_of(module.path()) {
                FirstSightReason::Pattern(glob) => {
                    format!("it matches {glob}, and is looked up in none")
                }
                FirstSightReason::SumdbOff => "the setting sumdb is off".to_owned(),
            },
        });
    }
    let kinds: &[FileKind] = if is_whole {
        &FileKind::ALL
    } else {
        &[FileKind::Mod]
    };
    let mut files = Vec::new();
    for kind in kinds {
        files.push(gather(depot, &module, *kind, workers).await?);
    }
    let proven = match route {
        Some(route) => {
            let proven = proofs::prove(depot, &route, &module).await?;
            Some((route, proven))
        }
        None => None,
    };
    let pinned = depot.records().expected(&module).await?;
    for file in &files {
        let (EntryName::Module(key), Some(found)) = (&file.entry.name, file.hash) else {
            continue;
        };
        let is_go_mod = key.kind == FileKind::Mod;
        let mismatch = |expected: String, authority: String| BundleError::Mismatch {
            name: key.to_string(),
            found,
            expected,
            authority,
        };
        selection.check_sum(&module, is_go_mod, &key.to_string(), found)?;
        let Some((route, proven)) = &proven else {
            let pin = if is_go_mod {
                &pinned.go_mod
            } else {
                &pinned.zip
            };
            if let Some(pin) = pin.as_ref().filter(|pin| pin.hash != found) {
                return Err(mismatch(
                    pin.hash.to_string(),
                    "the hash pinned at first sight".to_owned(),
                ));
            }
            continue;
        };
        let expected = proven.hash(if is_go_mod { Part::GoMod } else { Part::Zip });
        let expected = expected.unwrap_or("none");
        if expected != found.to_string() {
            let authority = format!("checksum database {}, record {}", route.name, proven.number);
            return Err(mismatch(expected.to_owned(), authority));
        }
    }
    Ok(Version {
        module,
        files,
        proven,
    })
}

/// What the manifest lists, but for what an earlier bundle has.
async fn assemble(
    depot: &Depot,
    versions: Vec<Version>,
    earlier: Option<&Read>,
    options: &CreateOptions,
) -> Result<(Vec<VersionEntry>, Vec<FileEntry>, Vec<Proofs>), BundleError> {
    let had: HashSet<&EntryName> = earlier
        .iter()
        .flat_map(|earlier| &earlier.continued.files)
        .map(|file| &file.name)
        .collect();
    let mut entries = Vec::new();
    let mut files = Vec::new();
    let mut records: BTreeMap<String, (SumdbRoute, Vec<Proven>)> = BTreeMap::new();
    for version in versions {
        let hash = |kind: FileKind| {
            let name = EntryName::Module(FileKey::of(&version.module, kind));
            let file = version.files.iter().find(|file| file.entry.name == name);
            file.and_then(|file| file.hash)
        };
        let entry = VersionEntry {
            trust: version
                .proven
                .as_ref()
                .map_or(Trust::Unproven, |(route, proven)| Trust::Proven {
                    database: route.name.clone(),
                    record: proven.number,
                }),
            go_mod: hash(FileKind::Mod).ok_or(BundleError::Lost("a version without go.mod"))?,
            zip: hash(FileKind::Zip),
            module: version.module.clone(),
        };
        let mut news = version
            .files
            .into_iter()
            .map(|file| file.entry)
            .filter(|entry| !had.contains(&entry.name))
            .peekable();
        if news.peek().is_some() {
            files.extend(news);
            entries.push(entry);
        }
        if let Some((route, proven)) = version.proven {
            let of = records
                .entry(route.name.clone())
                .or_insert_with(|| (route, Vec::new()));
            of.1.push(proven);
        }
    }
    let mut all = Vec::new();
    for (route, mut proven) in records.into_values() {
        proven.sort_by(|a, b| a.module.cmp(&b.module));
        let known = known_of(&route, earlier, options);
        let mut proofs = proofs::gather(depot, &route, &proven, known).await?;
        proofs.contents.retain(|_, (name, _)| !had.contains(name));
        files.extend(proofs.files());
        all.push(proofs);
    }
    Ok((entries, files, all))
}

fn known_of(route: &SumdbRoute, earlier: Option<&Read>, options: &CreateOptions) -> Earlier {
    let mut known = Earlier::default();
    if let Some(earlier) = earlier {
        if let Some((head, sizes)) = earlier.databases.get(&route.name) {
            known.heads.push(head.clone());
            known.sizes.extend(sizes);
        }
        for version in &earlier.continued.versions {
            if let Trust::Proven { database, record } = &version.trust
                && *database == route.name
            {
                known.records.push(*record);
            }
        }
    }
    // A note says on its second line whose tree it is about only by its signature; others are passed over there.
    let signed_by = format!(" {} ", route.name);
    let is_of_route = |note: &&Vec<u8>| String::from_utf8_lossy(note).contains(&signed_by);
    known
        .heads
        .extend(options.known_heads.iter().filter(is_of_route).cloned());
    known
}

fn write(
    store: &Store,
    out: &Path,
    entries: Vec<VersionEntry>,
    files: Vec<FileEntry>,
    proofs: &[Proofs],
    continues: Option<Continued>,
) -> Result<Created, BundleError> {
    let databases = proofs
        .iter()
        .map(|proofs| proofs.database.clone())
        .collect();
    let manifest = Manifest::new(databases, entries, files, continues);
    let json = manifest.to_json()?;
    // What could not be read again is not written.
    Manifest::parse(&json)?;
    let digest = store::Digest::of(&json).to_string();
    let contents: BTreeMap<&String, &Vec<u8>> = proofs
        .iter()
        .flat_map(|proofs| &proofs.contents)
        .map(|(name, (_, content))| (name, content))
        .collect();
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new()
        .prefix(".modkeep-bundle-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(BundleError::io("create a file in", folder))?;
    let mut writer = BufWriter::new(temporary);
    let failed = || BundleError::io("write", out);
    put(&mut writer, MANIFEST, &json).map_err(failed())?;
    put(
        &mut writer,
        MANIFEST_DIGEST,
        archive::digest_line(&digest).as_bytes(),
    )
    .map_err(failed())?;
    for file in &manifest.files {
        let name = file.name.to_string();
        match (&file.name, contents.get(&name)) {
            (EntryName::Proof(..), Some(content)) => {
                put(&mut writer, &name, content).map_err(failed())?;
            }
            (EntryName::Module(key), _) => copy(store, &mut writer, file, key, out)?,
            (EntryName::Proof(..), None) => {
                return Err(BundleError::Lost("a proof without content"));
            }
        }
    }
    archive::write_zeros(&mut writer, END).map_err(failed())?;
    let temporary = writer
        .into_inner()
        .map_err(|error| failed()(error.into_error()))?;
    temporary.as_file().sync_all().map_err(failed())?;
    let len = temporary.as_file().metadata().map_err(failed())?.len();
    temporary
        .persist(out)
        .map_err(|error| failed()(error.error))?;
    Ok(Created {
        manifest,
        digest,
        len,
    })
}

fn put(writer: &mut impl Write, name: &str, content: &[u8]) -> io::Result<()> {
    let len = content.len() as u64;
    writer.write_all(&archive::header(name, len).map_err(io::Error::other)?)?;
    writer.write_all(content)?;
    archive::write_zeros(writer, archive::padding(len))
}

/// Copies a stored file, and makes sure that it is the one that was examined.
fn copy(
    store: &Store,
    writer: &mut impl Write,
    file: &FileEntry,
    key: &FileKey,
    out: &Path,
) -> Result<(), BundleError> {
    let lost = || BundleError::Fetch {
        what: key.to_string(),
        error: depot::DepotError::Lost,
    };
    let stored = store.open_file(key)?.ok_or_else(lost)?;
    let mut hasher = store::Hasher::default();
    let header = archive::header(&file.name.to_string(), file.size)?;
    writer
        .write_all(&header)
        .map_err(BundleError::io("write", out))?;
    read_pieces(&stored, |piece| {
        hasher.update(piece);
        writer.write_all(piece)
    })
    .map_err(BundleError::io("write", out))?;
    if hasher.finish().to_string() != file.sha256 {
        return Err(BundleError::entry(
            &file.name,
            "it has changed while the bundle was made",
        ));
    }
    archive::write_zeros(writer, archive::padding(file.size)).map_err(BundleError::io("write", out))
}
