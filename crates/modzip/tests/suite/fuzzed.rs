//! What the fuzzers hold against zips. The function takes any bytes, panics when a property is broken, and tells
//! whether the bytes were accepted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use gomod::{ModulePath, ModuleVersion, Version};
use modzip::{Archive, Blame, Error, H1, ReleaseGate, Workers, check_zip, dir, hash_zip};

/// Made once: fuzzers take the threads of a pool that is just going away for a leak.
static THREADS: LazyLock<Workers> = LazyLock::new(|| Workers::new(2.try_into().unwrap()).unwrap());

/// The module that the zips of the corpus are to be.
fn module() -> ModuleVersion {
    let path = ModulePath::new("example.com/m").unwrap();
    ModuleVersion::new(path, Version::new("v1.0.0").unwrap()).unwrap()
}

fn hash(zip: &[u8]) -> Result<H1, Error> {
    hash_zip(zip, zip.len() as u64, &Workers::calling_thread())
}

/// Whatever the bytes: checking, hashing and extracting agree on whether they are a zip; what is accepted extracts to
/// its entries, no more and no less, which have the hash of the zip; no part of it that the gate would let out is
/// accepted.
pub(crate) fn zip(data: &[u8]) -> bool {
    let size = data.len() as u64;
    let checked = check_zip(data, size, &module());
    let hashed = hash(data);
    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("m");
    let unzipped = dir::unzip(data, size, &module(), &target);

    // Inflated in one piece, where hashing inflates a part at a time.
    let compared = dir::compare(
        data,
        size,
        &module(),
        scratch.path(),
        &Workers::calling_thread(),
    );
    let compared = compared.ok().map(|found| found.hash);
    assert_eq!(compared, hashed.as_ref().ok().copied());

    let Ok(checked) = checked else {
        assert!(hashed.is_err(), "what is no zip has a hash");
        assert!(unzipped.is_err(), "what is no zip was extracted");
        return false;
    };
    let is_fit = checked.is_fit();
    match (&hashed, &unzipped) {
        (Ok(_), Ok(())) => assert!(is_fit, "an unfit zip was extracted"),
        // File systems have shorter names than zips may have.
        (Ok(_), Err(error)) => {
            assert!(!is_fit || error.blame() == Blame::Host, "{error}");
            return false;
        }
        (Err(error), Ok(())) => panic!("extracted, but has no hash: {error}"),
        (Err(_), Err(_)) => return false,
    }
    let Ok(hashed) = hashed else { return false };
    assert_eq!(hash_zip(data, size, &THREADS).unwrap(), hashed);

    let archive = Archive::open(data, size).unwrap();
    let files = contents(&archive);
    let names: Vec<_> = archive.entries().filter(|entry| !entry.is_dir()).collect();
    assert_eq!(names.len(), checked.valid.len());
    assert_eq!(extracted(&target), files);
    assert!(
        dir::compare(data, size, &module(), &target, &THREADS)
            .unwrap()
            .differences
            .is_empty()
    );
    if archive.entries().all(|entry| !entry.is_dir()) {
        assert_eq!(dir::hash_dir(&target, &module(), &THREADS).unwrap(), hashed);
    }

    let mut gate = ReleaseGate::new(Some(size));
    let released = usize::try_from(gate.receive(data)).unwrap();
    assert!(
        hash(&data[..released]).is_err(),
        "a complete zip was let out"
    );
    true
}

/// The files of the archive, without the prefix of the module.
fn contents(archive: &Archive<&[u8]>) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in archive.entries().filter(|entry| !entry.is_dir()) {
        let mut content = Vec::new();
        archive.copy(entry, &mut content).unwrap();
        assert_eq!(content.len() as u64, entry.size());
        let name = entry.name().to_string();
        let name = name.strip_prefix("example.com/m@v1.0.0/").unwrap();
        let before = files.insert(name.to_owned(), content);
        assert!(before.is_none(), "{name} is there twice");
    }
    files
}

/// The files below the folder.
fn extracted(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        // A zip without files leaves no folder.
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            assert!(kind.is_dir() || kind.is_file(), "{}", path.display());
            if kind.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                files.insert(name.to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}
