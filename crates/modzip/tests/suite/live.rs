//! Real modules from the public proxy. Only with `MODKEEP_LIVE=1`.

use std::fmt::Display;
use std::fs::{self, File};
use std::path::Path;

use bstr::BStr;
use modzip::{FileKind, MemoryFile, Workers, check_files, check_zip, dir};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::{go, module_version, properties};

/// Modules that came to be in different ways: old and new Go, nested, with suffix, with odd names.
const MODULES: [(&str, &str); 8] = [
    ("rsc.io/quote", "v1.5.2"),
    ("rsc.io/quote/v3", "v3.0.0"),
    ("golang.org/x/text", "v0.3.0"),
    ("golang.org/x/mod", "v0.24.0"),
    ("github.com/BurntSushi/toml", "v0.3.1"),
    ("gopkg.in/yaml.v3", "v3.0.1"),
    ("github.com/golang-jwt/jwt", "v3.2.2+incompatible"),
    ("github.com/aws/aws-sdk-go-v2", "v1.30.0"),
];

fn is_live() -> bool {
    let live = std::env::var_os("MODKEEP_LIVE").is_some_and(|value| value == "1");
    if !live {
        println!("skipped: real modules (MODKEEP_LIVE is not 1)");
    }
    live
}

/// Lets go download the module; its sum, if the proxy has it, after comparing zip and directory with ours.
fn compare(scratch: &Path, path: &str, version: &str) -> Option<String> {
    let module = module_version(path, version);
    let download = go::download_from(scratch, "https://proxy.golang.org", &module);
    if let Some(error) = download.error {
        println!("skipped: {module}: {error}");
        return None;
    }
    let sum = download.sum.unwrap();
    let zip = File::open(download.zip.unwrap()).unwrap();
    let size = zip.metadata().unwrap().len();
    let workers = Workers::new(2.try_into().unwrap()).unwrap();
    let checked = check_zip(&zip, size, &module).unwrap();
    assert!(checked.is_fit(), "{module}: {checked}");
    assert_eq!(
        modzip::hash_zip(&zip, size, &workers).unwrap().to_string(),
        sum,
        "{module}"
    );
    let unpacked = download.dir.unwrap();
    assert_eq!(
        dir::hash_dir(Path::new(&unpacked), &module, &workers)
            .unwrap()
            .to_string(),
        sum,
        "{module}"
    );
    Some(sum)
}

#[test]
fn real_modules_have_the_hashes_that_go_computes() {
    if !is_live() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let compared = MODULES
        .iter()
        .filter_map(|(path, version)| compare(scratch.path(), path, version))
        .count();
    assert_eq!(compared, MODULES.len());
}

#[test]
fn real_modules_have_the_hashes_of_the_vectors() {
    if !is_live() {
        return;
    }
    let Some(table) = crate::conformance("x-mod/tables/zip_zip.json", "hashes of real modules")
    else {
        return;
    };
    let table: Value = serde_json::from_slice(&fs::read(table).unwrap()).unwrap();
    let rows = table["TestVCS.test"].as_array().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for row in rows {
        let field = |key: &str| row["m"][key].as_str().unwrap();
        if let Some(sum) = compare(scratch.path(), field("Path"), field("Version")) {
            assert_eq!(sum, row["wantContentHash"].as_str().unwrap());
            compared += 1;
        }
    }
    println!("hashes of real modules: {compared} of {} rows", rows.len());
    assert!(compared > 0);
}

/// Reads lists of files as JSON and prints what x/mod says of each.
const CHECK_FILES: &str = r#"package main

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/mod/zip"
)

type file struct {
	Name    []byte
	Kind    fs.FileMode
	Content []byte
}

func (f file) Path() string                 { return string(f.Name) }
func (f file) Lstat() (os.FileInfo, error)  { return info{f}, nil }
func (f file) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.Content)), nil }

type info struct{ file }

func (i info) Name() string       { return i.Path() }
func (i info) Size() int64        { return int64(len(i.Content)) }
func (i info) Mode() fs.FileMode  { return i.Kind }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.Kind.IsDir() }
func (i info) Sys() any           { return nil }

type line struct {
	List   string
	Path   []byte
	Reason string
}

func main() {
	var cases [][]file
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	reports := [][]line{}
	for _, files := range cases {
		var list []zip.File
		for _, f := range files {
			list = append(list, f)
		}
		checked, _ := zip.CheckFiles(list)
		report := []line{}
		for _, path := range checked.Valid {
			report = append(report, line{"valid", []byte(path), ""})
		}
		for _, bad := range checked.Omitted {
			report = append(report, line{"omitted", []byte(bad.Path), bad.Err.Error()})
		}
		for _, bad := range checked.Invalid {
			report = append(report, line{"invalid", []byte(bad.Path), bad.Err.Error()})
		}
		reports = append(reports, report)
	}
	json.NewEncoder(os.Stdout).Encode(reports)
}
"#;

#[test]
fn random_files_are_judged_as_by_x_mod() {
    if !is_live() {
        return;
    }
    let mut runner = TestRunner::default();
    let files = proptest::collection::vec(properties::any_file(), 0..12);
    let cases: Vec<Vec<MemoryFile>> =
        std::iter::repeat_with(|| files.new_tree(&mut runner).unwrap().current())
            .take(20_000)
            .collect();
    let theirs = ask_x_mod(&cases);
    assert_eq!(theirs.len(), cases.len());
    for (files, theirs) in cases.iter().zip(theirs) {
        assert_eq!(report(files), theirs, "{files:?}");
    }
}

fn ask_x_mod(cases: &[Vec<MemoryFile>]) -> Vec<Value> {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("main.go"), CHECK_FILES).unwrap();
    fs::write(scratch.path().join("go.mod"), "module check\n\ngo 1.25\n").unwrap();
    let go = |args: &[&str], input: Option<&Path>| {
        let mut command = go::command();
        command.args(args).current_dir(scratch.path());
        if let Some(input) = input {
            command.stdin(File::open(input).unwrap());
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    go(&["get", "golang.org/x/mod@latest"], None);
    let input = scratch.path().join("input.json");
    let file = |file: &MemoryFile| {
        // As in Go's fs.FileMode.
        let kind: u32 = match file.kind {
            FileKind::Regular => 0o644,
            FileKind::Directory => 1 << 31,
            FileKind::Symlink => 1 << 27,
            FileKind::Other => 1 << 25,
        };
        json!({ "Name": base64(&file.path), "Kind": kind, "Content": base64(&file.content) })
    };
    let cases: Vec<Vec<Value>> = cases
        .iter()
        .map(|files| files.iter().map(file).collect())
        .collect();
    fs::write(&input, serde_json::to_vec(&cases).unwrap()).unwrap();
    serde_json::from_slice(&go(&["run", "."], Some(&input))).unwrap()
}

/// What we say of the files, in the form of [`CHECK_FILES`].
fn report(files: &[MemoryFile]) -> Value {
    let checked = check_files(files);
    let line = |list: &str, path: &BStr, reason: &dyn Display| json!({ "List": list, "Path": base64(path), "Reason": reason.to_string() });
    let valid = checked
        .valid
        .iter()
        .map(|path| line("valid", path.as_str().into(), &""));
    let omitted = checked
        .omitted
        .iter()
        .map(|file| line("omitted", file.path.as_ref(), &file.reason));
    let invalid = checked
        .invalid
        .iter()
        .map(|file| line("invalid", file.path.as_ref(), &file.reason));
    valid.chain(omitted).chain(invalid).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
