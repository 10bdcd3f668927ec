//! Go's own test vectors for module zips.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use bstr::{BString, ByteSlice as _};
use gomod::{ModulePath, ModuleVersion, Version};
use modzip::{Checked, Error, H1, MemoryFile, VendorRule, Workers, dir};

use crate::raw_zip::{RawEntry, RawZip};
use crate::txtar;

/// One vector.
struct Vector {
    name: String,
    comment: Vec<(String, Vec<u8>)>,
    files: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Vector {
    fn key(&self, key: &str) -> Option<&[u8]> {
        self.comment
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_slice())
    }

    fn text(&self, key: &str) -> Option<String> {
        self.key(key)
            .map(|value| value.to_str().unwrap().to_owned())
    }

    /// The module version, or why it is none.
    fn module(&self) -> Result<ModuleVersion, String> {
        let path = self.key("path").unwrap();
        gomod::path::check_path(path).map_err(|error| error.to_string())?;
        let path = ModulePath::new(path.to_str().unwrap()).unwrap();
        let version = self.text("version").unwrap();
        let canonical = Version::canonicalize(&version).map_err(|error| error.to_string())?;
        let version = Version::new(&version).map_err(|error| {
            // Here gomod has words of its own.
            assert!(
                error
                    .to_string()
                    .contains("invalid: must be of the form v1.2.3"),
                "{error}"
            );
            format!("version \"{version}\" is not canonical (should be \"{canonical}\")")
        })?;
        ModuleVersion::new(path, version).map_err(|error| error.to_string())
    }

    /// Compares with the error or hash that the vector asks for.
    fn judge(&self, result: Result<H1, String>) {
        match (result, self.text("wantErr")) {
            (Err(error), Some(want)) => {
                assert!(error.contains(&want), "{}: {error}\nwant {want}", self.name);
            }
            (Err(error), None) => panic!("{}: {error}", self.name),
            (Ok(_), Some(want)) => panic!("{}: no error, want {want}", self.name),
            (Ok(hash), None) => assert_eq!(
                hash.to_string(),
                self.text("hash").unwrap(),
                "{}",
                self.name
            ),
        }
    }

    fn memory_files(&self) -> Vec<MemoryFile> {
        let file = |(path, content): &(Vec<u8>, Vec<u8>)| {
            MemoryFile::regular(path.as_slice(), content.as_slice())
        };
        self.files.iter().map(file).collect()
    }

    fn raw_zip(&self) -> Vec<u8> {
        RawZip::of(
            self.files
                .iter()
                .map(|(name, content)| RawEntry::deflated(name, content)),
        )
        .build()
    }

    fn write_to(&self, dir: &Path) {
        for (path, content) in &self.files {
            let path = dir.join(path.to_str().unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    /// Takes the expected report out of the files.
    fn take_want(&mut self) -> String {
        let (name, want) = self.files.remove(0);
        assert_eq!(name, b"want", "{}", self.name);
        want.to_str().unwrap().to_owned()
    }
}

/// Runs `test` on all vectors of a folder; panics unless there are `expected` of them.
fn each_vector(folder: &str, expected: usize, mut test: impl FnMut(Vector)) {
    let what = format!("zip vectors {folder}");
    let Some(dir) = crate::conformance(&format!("x-mod/zip/testdata/{folder}"), &what) else {
        return;
    };
    let mut rows = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let archive = txtar::parse(&fs::read(&path).unwrap());
        let comment = archive.comment.lines().filter_map(|line| {
            let line = line.split(|&byte| byte == b'#').next()?.trim_ascii();
            let (key, value) = line.split_once_str("=")?;
            Some((key.to_str().unwrap().to_owned(), value.to_vec()))
        });
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        test(Vector {
            name,
            comment: comment.collect(),
            files: archive.files,
        });
        rows += 1;
    }
    println!("{what}: {rows} rows");
    assert_eq!(rows, expected, "{what}");
}

/// The report as the vectors print it; `path` says how a path of the lists is shown.
fn render(checked: &Checked, path: impl Fn(&str) -> String) -> String {
    let valid = checked.valid.iter().map(|valid| path(valid)).collect();
    let with_reason =
        |of: &BString, reason: &dyn Display| format!("{}: {reason}", path(&of.to_string()));
    let omitted = checked
        .omitted
        .iter()
        .map(|file| with_reason(&file.path, &file.reason))
        .collect();
    let invalid = checked
        .invalid
        .iter()
        .map(|file| with_reason(&file.path, &file.reason))
        .collect();
    let lists: [(_, Vec<String>); 3] =
        [("valid", valid), ("omitted", omitted), ("invalid", invalid)];
    let list = |(title, lines): (&str, Vec<String>)| {
        let lines: Vec<_> = std::iter::once(format!("{title}:")).chain(lines).collect();
        lines.join("\n") + "\n"
    };
    lists.map(list).join("\n")
}

#[test]
fn check_files_finds_what_go_finds() {
    each_vector("check_files", 4, |mut vector| {
        let want = vector.take_want();
        let checked = modzip::check_files(&vector.memory_files());
        assert_eq!(render(&checked, str::to_owned), want, "{}", vector.name);
    });
}

#[test]
fn check_dir_finds_what_go_finds() {
    each_vector("check_dir", 4, |mut vector| {
        let want = vector.take_want();
        let scratch = tempfile::tempdir().unwrap();
        vector.write_to(scratch.path());
        let checked = dir::check_dir(scratch.path()).unwrap();
        assert_eq!(
            render(&checked, |path| format!("$work/{path}")),
            want,
            "{}",
            vector.name
        );
    });
}

#[test]
fn check_zip_finds_what_go_finds() {
    each_vector("check_zip", 2, |mut vector| {
        let want = vector.take_want();
        let zip = vector.raw_zip();
        let module = vector.module().unwrap();
        let checked = modzip::check_zip(&zip, zip.len() as u64, &module).unwrap();
        assert_eq!(render(&checked, str::to_owned), want, "{}", vector.name);
    });
}

#[test]
fn create_gives_the_hash_or_error_of_go() {
    each_vector("create", 16, |vector| {
        let create = |module: &ModuleVersion| {
            let mut zip = Vec::new();
            let created = modzip::create(&mut zip, module, &vector.memory_files())?;
            assert_eq!(created.size, zip.len() as u64);
            assert_eq!(
                modzip::hash_zip(&zip, created.size, &Workers::calling_thread())?,
                created.hash
            );
            Ok(created.hash)
        };
        let result = vector
            .module()
            .and_then(|module| create(&module).map_err(|error: Error| error.to_string()));
        vector.judge(result);
    });
}

#[test]
fn create_from_dir_gives_the_hash_or_error_of_go() {
    each_vector("create_from_dir", 13, |vector| {
        let scratch = tempfile::tempdir().unwrap();
        vector.write_to(scratch.path());
        let result = vector.module().and_then(|module| {
            dir::create_from_dir(std::io::sink(), &module, scratch.path())
                .map_err(|error| error.to_string())
        });
        vector.judge(result.map(|created| created.hash));
    });
}

#[test]
fn unzip_gives_the_files_or_error_of_go() {
    each_vector("unzip", 15, |vector| {
        let zip = vector.raw_zip();
        let scratch = tempfile::tempdir().unwrap();
        let unzip = |module: &ModuleVersion| {
            dir::unzip(&zip, zip.len() as u64, module, scratch.path())?;
            dir::hash_dir(scratch.path(), module, &Workers::calling_thread())
        };
        let result = vector
            .module()
            .and_then(|module| unzip(&module).map_err(|error: Error| error.to_string()));
        vector.judge(result);
    });
}

#[test]
fn vendored_files_are_told_apart_as_go_does() {
    let Some(table) = crate::conformance("x-mod/tables/zip_vendor.json", "vendor rule table")
    else {
        return;
    };
    let table: serde_json::Value = serde_json::from_slice(&fs::read(table).unwrap()).unwrap();
    let rows = table["TestIsVendoredPackage.tc"].as_array().unwrap();
    println!("vendor rule table: {} rows", rows.len());
    assert!(!rows.is_empty());
    let before = ["", "go 1.14", "go 1.21.0", "go 1.22.4", "go 1.23"];
    let since = ["go 1.24.0", "go 1.24", "go 1.99.0"];
    for row in rows {
        let path = row["path"].as_str().unwrap();
        let lines = match row["versions"]["$id"].as_str().unwrap() {
            "allVers" => [&before[..], &since[..]].concat(),
            "pre124" => before.to_vec(),
            "after124" => since.to_vec(),
            other => panic!("{other}"),
        };
        for line in lines {
            let omits = VendorRule::of_go_mod(line.as_bytes()).omits(path);
            assert_eq!(omits, row["want"].as_bool().unwrap(), "{path} {line}");
        }
    }
}

#[test]
fn published_hashes_parse_and_print() {
    let Some(table) = crate::conformance("x-mod/tables/zip_zip.json", "published hashes") else {
        return;
    };
    let table: serde_json::Value = serde_json::from_slice(&fs::read(table).unwrap()).unwrap();
    let rows = table["TestVCS.test"].as_array().unwrap();
    println!("published hashes: {} rows", rows.len());
    assert!(!rows.is_empty());
    for row in rows {
        let text = row["wantContentHash"].as_str().unwrap();
        assert_eq!(text.parse::<H1>().unwrap().to_string(), text);
    }
}
