//! The real `go`, which the tests and benchmarks run: found, or fetched and verified.
//!
//! Go publishes its releases as versions of the module `golang.org/toolchain`, so that any module proxy can deliver
//! them. As for any module, the `h1:` hash says which files it must hold.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder, ZipSliceArchive};
use sha2::{Digest as _, Sha256};
use testkit::{Go, h1_of_digests};

/// The release that is fetched where there is none.
const RELEASE: &str = "go1.26.3";

/// The hash of that release for each platform, as `go mod download -json golang.org/toolchain@<version>` tells it.
const HASHES: [(&str, &str); 2] = [
    (
        "linux-amd64",
        "h1:LdHRR8AtYKtOQrWMnd5AbvhZMSVJ7HoO2wrqShPaLV8=",
    ),
    (
        "linux-arm64",
        "h1:KRiC8jsRApkVqG+J+n5bGoaipGxrQ4yTn8B7BnFjzd0=",
    ),
];

/// Gives the path of a usable `go`; fetches one into `folder` when `PATH` has none.
pub(crate) fn provide(folder: &Path) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for candidate in std::env::split_paths(&path)
        .map(|entry| entry.join("go"))
        .filter(|file| file.is_file())
    {
        match Go::check(&candidate) {
            Ok(version) => {
                eprintln!("{version} is in PATH: {}", candidate.display());
                return Ok(candidate);
            }
            Err(problem) => eprintln!("{} is of no use: {problem:?}", candidate.display()),
        }
    }
    let unpacked = folder.join("go");
    let binary = unpacked.join("bin/go");
    if Go::check(&binary).as_deref() == Ok(RELEASE) {
        eprintln!("{RELEASE} was unpacked before: {}", binary.display());
        return Ok(binary);
    }
    let (platform, hash) = this_platform()?;
    let version = format!("v0.0.1-{RELEASE}.{platform}");
    eprintln!("no usable go in PATH; fetching golang.org/toolchain@{version} (70 MB)");
    let zip = crate::goproxy::fetch(&format!("golang.org/toolchain/@v/{version}.zip"))?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let fresh = tempfile::tempdir_in(folder)
        .with_context(|| format!("making a folder in {}", folder.display()))?;
    let root = fresh.path().join("go");
    unpack(
        &zip,
        &format!("golang.org/toolchain@{version}/"),
        hash,
        &root,
    )?;
    prepare(&root)?;
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)
            .with_context(|| format!("removing {}", unpacked.display()))?;
    }
    fs::rename(&root, &unpacked).with_context(|| format!("moving to {}", unpacked.display()))?;
    match Go::check(&binary) {
        Ok(version) => eprintln!("{version} is unpacked: {}", binary.display()),
        Err(problem) => bail!("{} does not run: {problem:?}", binary.display()),
    }
    Ok(binary)
}

fn this_platform() -> Result<(&'static str, &'static str)> {
    let wanted = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-amd64",
        ("linux", "aarch64") => "linux-arm64",
        (system, machine) => {
            bail!("no go release is pinned for {system} on {machine}: install go 1.24 or newer")
        }
    };
    HASHES
        .into_iter()
        .find(|(platform, _)| *platform == wanted)
        .context("every platform has its hash")
}

struct Entry {
    name: String,
    method: CompressionMethod,
    place: ZipArchiveEntryWayfinder,
}

/// Unpacks a module zip to `root`, after all of it has been found to have this hash.
fn unpack(zip: &[u8], prefix: &str, hash: &str, root: &Path) -> Result<()> {
    let archive = ZipArchive::from_slice(zip).context("reading the toolchain's zip")?;
    let entries = entries(&archive)?;
    let mut digests = BTreeMap::new();
    for entry in &entries {
        let content = content(&archive, entry)?;
        ensure!(
            digests
                .insert(entry.name.clone(), Sha256::digest(&content).into())
                .is_none(),
            "the toolchain's zip has two files of the name {}",
            entry.name
        );
    }
    let found = h1_of_digests(&digests);
    ensure!(
        found == hash,
        "the toolchain's zip has the hash {found}, and should have {hash}: it is not what Go published"
    );
    for entry in &entries {
        let below = entry
            .name
            .strip_prefix(prefix)
            .with_context(|| format!("{} is not below {prefix}", entry.name))?;
        let file = root.join(below);
        fs::create_dir_all(file.parent().unwrap_or(root))?;
        fs::write(&file, content(&archive, entry)?)
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

fn entries(archive: &ZipSliceArchive<&[u8]>) -> Result<Vec<Entry>> {
    let mut list = Vec::new();
    let mut records = archive.entries();
    while let Some(record) = records
        .next_entry()
        .context("reading the toolchain's zip")?
    {
        if !record.is_dir() {
            let name = String::from_utf8(record.file_path().as_ref().to_vec())
                .context("a name is not UTF-8")?;
            list.push(Entry {
                name,
                method: record.compression_method(),
                place: record.wayfinder(),
            });
        }
    }
    Ok(list)
}

fn content(archive: &ZipSliceArchive<&[u8]>, entry: &Entry) -> Result<Vec<u8>> {
    let found = archive.get_entry(entry.place)?;
    let mut bytes = Vec::new();
    if entry.method == CompressionMethod::DEFLATE {
        found
            .verifying_reader(DeflateDecoder::new(found.data()))
            .read_to_end(&mut bytes)
    } else if entry.method == CompressionMethod::STORE {
        found.verifying_reader(found.data()).read_to_end(&mut bytes)
    } else {
        bail!("{} is packed in a way that no module zip uses", entry.name)
    }
    .with_context(|| format!("unpacking {}", entry.name))?;
    Ok(bytes)
}

/// Does what `go` does with a toolchain on its first use (`cmd/go/internal/toolchain`): a module zip holds no
/// permissions, and no `go.mod` below its root.
fn prepare(root: &Path) -> Result<()> {
    for file in files_below(root)? {
        let below = file.strip_prefix(root).unwrap_or(&file);
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let runs_tests =
            below.starts_with("lib") && name.starts_with("go_") && name.ends_with("_exec");
        if below.starts_with("bin") || below.starts_with("pkg/tool") || runs_tests {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
        if name == "_go.mod" {
            fs::copy(&file, file.with_file_name("go.mod"))?;
        }
    }
    Ok(())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Module;

    const PREFIX: &str = "golang.org/toolchain@v0.0.1-go1.0.linux-x/";

    fn toolchain() -> Module {
        Module::new("golang.org/toolchain", "v0.0.1-go1.0.linux-x")
            .without_go_mod()
            .file("bin/go", "#!/bin/sh\n")
            .file("pkg/tool/linux_x/asm", "#!/bin/sh\n")
            .file("lib/wasm/go_js_wasm_exec", "#!/bin/sh\n")
            .file("src/_go.mod", "module std\n")
            .file("src/fmt/print.go", "package fmt\n")
    }

    #[test]
    fn a_toolchain_is_unpacked_as_go_does_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("go");
        let module = toolchain();
        unpack(&module.zip(), PREFIX, &module.zip_h1(), &root).unwrap();
        prepare(&root).unwrap();
        let runs =
            |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o111 != 0;
        assert!(runs("bin/go") && runs("pkg/tool/linux_x/asm") && runs("lib/wasm/go_js_wasm_exec"));
        assert!(!runs("src/fmt/print.go"));
        assert_eq!(
            fs::read_to_string(root.join("src/go.mod")).unwrap(),
            "module std\n"
        );
    }

    #[test]
    fn nothing_is_written_of_a_zip_with_another_hash() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("go");
        let other = toolchain().file("bin/go", "#!/bin/sh\necho evil\n");
        let error = unpack(&other.zip(), PREFIX, &toolchain().zip_h1(), &root).unwrap_err();
        assert!(
            error.to_string().contains("not what Go published"),
            "{error}"
        );
        assert!(!root.exists());
    }

    #[test]
    fn a_damaged_zip_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let module = toolchain();
        let mut zip = module.zip();
        assert!(
            unpack(
                &zip[..zip.len() / 2],
                PREFIX,
                &module.zip_h1(),
                folder.path()
            )
            .is_err()
        );
        zip[30 + PREFIX.len() + "bin/go".len() + 2] ^= 0xff;
        assert!(unpack(&zip, PREFIX, &module.zip_h1(), folder.path()).is_err());
    }

    #[test]
    fn every_pinned_hash_is_well_formed() {
        for (platform, hash) in HASHES {
            assert!(hash.starts_with("h1:") && hash.len() == 47, "{platform}");
        }
    }
}
