//! Does what `go mod verify` does, for every module of a module cache: compares zip and directory with the
//! hash that was recorded when they were downloaded. Says how long it took.
//!
//! `cargo run --release -p modzip --example verify_cache -- GOMODCACHE [THREADS [zips|directories|both]]`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring tool for developers"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use gomod::{ModulePath, ModuleVersion, Version};
use modzip::{Archive, H1, Workers, dir, hash_zip};
use rayon::prelude::*;
use walkdir::WalkDir;

struct Module {
    name: ModuleVersion,
    zip: PathBuf,
    unpacked: PathBuf,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let cache = PathBuf::from(args.next().unwrap());
    let threads = args.next().map_or(0, |threads| threads.parse().unwrap());
    let only = args.next();
    let wanted = |what: &str| only.as_deref().is_none_or(|only| only == what);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = Arc::new(pool.unwrap());
    let workers = Workers::sharing(Arc::clone(&pool));

    let modules = modules(&cache);
    let bytes: u64 = modules.iter().map(content_size).sum();
    let zip_hash = |module: &Module| {
        let zip = File::open(&module.zip).unwrap();
        let size = zip.metadata().unwrap().len();
        hash_zip(&zip, size, &workers).unwrap()
    };
    let dir_hash =
        |module: &Module| dir::hash_dir(&module.unpacked, &module.name, &workers).unwrap();
    let both = |module: &Module| {
        let zip = File::open(&module.zip).unwrap();
        let size = zip.metadata().unwrap().len();
        let found = dir::compare(&zip, size, &module.name, &module.unpacked, &workers).unwrap();
        assert_eq!(found.differences, [], "{}", module.name);
        found.hash
    };

    println!(
        "{} modules, {} MB, {} threads",
        modules.len(),
        bytes / 1_000_000,
        pool.current_num_threads()
    );
    for (what, hash) in [
        ("zips", &zip_hash as &(dyn Fn(&Module) -> H1 + Sync)),
        ("directories", &dir_hash),
        ("both", &both),
    ] {
        if !wanted(what) {
            continue;
        }
        let start = Instant::now();
        let hashes: Vec<_> = pool.install(|| modules.par_iter().map(hash).collect());
        let time = start.elapsed();
        for (module, hash) in modules.iter().zip(hashes) {
            let recorded = fs::read_to_string(module.zip.with_extension("ziphash")).unwrap();
            assert_eq!(
                recorded.trim().parse::<H1>().unwrap(),
                hash,
                "{}",
                module.name
            );
        }
        let rate = u128::from(bytes) / time.as_micros().max(1);
        println!("{what}: {} ms, {rate} MB/s", time.as_millis());
    }
}

/// Uncompressed bytes of the module.
fn content_size(module: &Module) -> u64 {
    let zip = File::open(&module.zip).unwrap();
    let size = zip.metadata().unwrap().len();
    let archive = Archive::open(zip, size).unwrap();
    archive.entries().map(|entry| entry.size()).sum()
}

/// The modules whose zip and directory are in the cache.
fn modules(cache: &Path) -> Vec<Module> {
    let download = cache.join("cache/download");
    let entries = WalkDir::new(&download).into_iter().map(Result::unwrap);
    let zips = entries.filter(|entry| {
        entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "zip")
    });
    let module = |zip: walkdir::DirEntry| {
        let relative = zip
            .path()
            .strip_prefix(&download)
            .unwrap()
            .to_str()
            .unwrap();
        let (path, version) = relative.strip_suffix(".zip")?.split_once("/@v/")?;
        let unpacked = cache.join(format!("{path}@{version}"));
        let name = ModuleVersion::new(
            ModulePath::unescape(path).ok()?,
            Version::unescape(version).ok()?,
        );
        unpacked.is_dir().then(|| Module {
            name: name.unwrap(),
            zip: zip.into_path(),
            unpacked,
        })
    };
    zips.filter_map(module).collect()
}
