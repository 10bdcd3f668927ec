use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bundle::{
    Applied, Bundle, CreateOptions, Created, EntryName, Manifest, Selection, Source, Trust, apply,
    create,
};
use depot::Depot;
use goenv::Environment;
use modzip::Workers;
use serde::Serialize;
use store::{FileKind, Records, Store, StoreError};

use super::chain::Unobserved;
use super::{CannotDo, Status, chain, load, repositories};
use crate::args::{BundleCommand, CreateArguments, Format, Settings};
use crate::output::{self, counted};

/// How long the last records may take.
const LAST_WRITES: Duration = Duration::from_secs(10);

pub(super) fn run(environment: &Environment, command: &BundleCommand) -> Result<Status, CannotDo> {
    match command {
        BundleCommand::Create(arguments) => make(environment, arguments),
        BundleCommand::Apply {
            file,
            digest,
            settings,
            format,
        } => take(environment, file, digest.as_deref(), settings, *format),
        BundleCommand::Show { file, format } => show(file, *format),
    }
}

fn make(environment: &Environment, arguments: &CreateArguments) -> Result<Status, CannotDo> {
    let sources: Vec<Source> = if arguments.from.is_empty() {
        vec![default_source()?]
    } else {
        let parsed = arguments.from.iter().map(|text| Source::parse(text));
        parsed.collect::<Result<_, _>>().map_err(CannotDo::new)?
    };
    let selection = Selection::read(&sources).map_err(CannotDo::new)?;
    if selection.is_empty() {
        return Err(CannotDo::new("--from: nothing is named there"));
    }
    let head = |path: &std::path::PathBuf| {
        fs::read(path).map_err(|error| CannotDo::new(format!("{}: {error}", path.display())))
    };
    let options = CreateOptions {
        since: arguments.since.clone(),
        known_heads: arguments
            .known_head
            .iter()
            .map(head)
            .collect::<Result<_, _>>()?,
        require_proof: arguments.require_proof,
        with_dependencies: arguments.with_dependencies,
    };
    let (_, effective) = load(environment, &arguments.settings)?;
    let _provider_was_set = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let store = open_or_attach(&effective.data)?;
    let created = runtime()?.block_on(async {
        let chain = chain::open(&effective, environment, Arc::new(Unobserved))?;
        let settings = repositories::depot_settings(&effective, environment)?;
        let depot = Depot::new(store, chain, settings);
        let created = create(&depot, selection, &options, &arguments.out, &workers()).await;
        depot.close(LAST_WRITES).await;
        created.map_err(CannotDo::new)
    })?;
    print_created(&created, &arguments.out, arguments.format)?;
    Ok(Status::Done)
}

fn default_source() -> Result<Source, CannotDo> {
    let found = ["go.work", "go.mod"]
        .into_iter()
        .find(|name| Path::new(name).is_file());
    let name = found.ok_or_else(|| {
        CannotDo::new(
            "there is no go.work and no go.mod here; say with --from what to put into the bundle",
        )
    })?;
    Source::parse(name).map_err(CannotDo::new)
}

/// The store, beside a server that uses it.
fn open_or_attach(data: &Path) -> Result<Store, CannotDo> {
    match Store::open(data) {
        Err(StoreError::InUse { .. }) => Store::attach(data).map_err(CannotDo::new),
        opened => opened.map_err(CannotDo::new),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, CannotDo> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CannotDo::new)
}

fn workers() -> Workers {
    std::thread::available_parallelism()
        .ok()
        .and_then(|threads| Workers::new(threads).ok())
        .unwrap_or_else(Workers::calling_thread)
}

fn take(
    environment: &Environment,
    file: &Path,
    digest: Option<&str>,
    settings: &Settings,
    format: Format,
) -> Result<Status, CannotDo> {
    let (_, effective) = load(environment, settings)?;
    let bundle = Arc::new(Bundle::open(file).map_err(CannotDo::new)?);
    if let Some(expected) = digest.filter(|digest| !digest.eq_ignore_ascii_case(bundle.digest())) {
        return Err(CannotDo::new(format!(
            "{} is another bundle: the digest of its manifest is {}, and not {expected}",
            file.display(),
            bundle.digest()
        )));
    }
    let store = Arc::new(open_or_attach(&effective.data)?);
    let applied = runtime()?.block_on(async {
        let records = Records::start(store.root());
        let settings = Arc::new(effective.depot.clone());
        let applied = apply(bundle.clone(), store.clone(), &records, settings, workers()).await;
        records.close().await;
        store.close();
        applied.map_err(|error| CannotDo::new(format!("{}: {error}", file.display())))
    })?;
    print_applied(&bundle, &applied, format)?;
    Ok(Status::Done)
}

fn show(file: &Path, format: Format) -> Result<Status, CannotDo> {
    let wrong = |error| CannotDo::new(format!("{}: {error}", file.display()));
    let bundle = Bundle::open(file).map_err(wrong)?;
    bundle.check_contents().map_err(wrong)?;
    let (manifest, digest) = (bundle.manifest(), bundle.digest());
    match format {
        Format::Json => print_json(&Shown {
            digest,
            bytes: bundle.len(),
            manifest,
        })?,
        Format::Human => {
            print_summary(manifest, digest, bundle.len());
            for version in &manifest.versions {
                let size: u64 = [FileKind::Info, FileKind::Mod, FileKind::Zip]
                    .into_iter()
                    .map(|kind| EntryName::Module(store::FileKey::of(&version.module, kind)))
                    .filter_map(|name| manifest.files.iter().find(|file| file.name == name))
                    .map(|file| file.size)
                    .sum();
                let trust = match &version.trust {
                    Trust::Proven { database, record } => {
                        format!("proven by {database}, record {record}")
                    }
                    Trust::Unproven => "unproven: pinned at first sight".to_owned(),
                };
                let part = if version.zip.is_some() {
                    ""
                } else {
                    "  go.mod only"
                };
                output::result(format!("  {}  {size} bytes  {trust}{part}", version.module));
            }
        }
    }
    Ok(Status::Done)
}

#[derive(Serialize)]
struct Shown<'a> {
    digest: &'a str,
    bytes: u64,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

fn print_created(created: &Created, out: &Path, format: Format) -> Result<(), CannotDo> {
    match format {
        Format::Json => print_json(&Shown {
            digest: &created.digest,
            bytes: created.len,
            manifest: &created.manifest,
        }),
        Format::Human => {
            output::result(format!("wrote {}", out.display()));
            print_summary(&created.manifest, &created.digest, created.len);
            Ok(())
        }
    }
}

fn print_summary(manifest: &Manifest, digest: &str, bytes: u64) {
    let unproven = manifest
        .versions
        .iter()
        .filter(|version| version.trust == Trust::Unproven)
        .count();
    output::result(format!(
        "{} in {}, {bytes} bytes; {unproven} unproven",
        counted(manifest.versions.len(), "version"),
        counted(manifest.files.len(), "file"),
    ));
    output::result(format!("manifest  sha256:{digest}"));
    for database in &manifest.databases {
        output::result(format!(
            "database  {}, head of {}, provable from {}",
            database.name,
            counted(database.size, "record"),
            counted(database.earlier_sizes.len(), "earlier head"),
        ));
    }
    if let Some(continued) = &manifest.continues {
        output::result(format!(
            "adds to   manifest sha256:{}, {}",
            continued.manifest,
            counted(continued.versions.len(), "version"),
        ));
    }
}

#[derive(Serialize)]
struct Printed<'a> {
    digest: &'a str,
    new_files: u64,
    new_bytes: u64,
    known_files: u64,
    unproven: u64,
    databases: Vec<PrintedAdvance<'a>>,
}

#[derive(Serialize)]
struct PrintedAdvance<'a> {
    database: &'a str,
    before: u64,
    now: u64,
}

fn print_applied(bundle: &Bundle, applied: &Applied, format: Format) -> Result<(), CannotDo> {
    if format == Format::Json {
        return print_json(&Printed {
            digest: bundle.digest(),
            new_files: applied.new_files,
            new_bytes: applied.new_bytes,
            known_files: applied.known_files,
            unproven: applied.unproven,
            databases: applied
                .databases
                .iter()
                .map(|advance| PrintedAdvance {
                    database: &advance.database,
                    before: advance.before,
                    now: advance.now,
                })
                .collect(),
        });
    }
    output::result(format!(
        "verified {}; {} ({} bytes) new, {} stored before",
        counted(bundle.manifest().versions.len(), "version"),
        counted(applied.new_files, "file"),
        applied.new_bytes,
        applied.known_files
    ));
    for advance in &applied.databases {
        output::result(format!(
            "{}: head of {}, {} before",
            advance.database,
            counted(advance.now, "record"),
            advance.before
        ));
    }
    if applied.unproven > 0 {
        output::note(format!(
            "{} proven by no checksum database: pinned as in this bundle",
            counted(applied.unproven, "version")
        ));
    }
    Ok(())
}

fn print_json(value: &impl Serialize) -> Result<(), CannotDo> {
    output::result(serde_json::to_string_pretty(value).map_err(CannotDo::new)?);
    Ok(())
}
