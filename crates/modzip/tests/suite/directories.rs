//! Modules as directories.

use std::fs;
use std::path::Path;

use modzip::{Blame, Error, Workers, dir};

use crate::raw_zip::{RawEntry, RawZip};
use crate::{entry_name, hash, module};

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// The report for `dir`, a line each.
fn report(dir: &Path) -> Vec<String> {
    let checked = dir::check_dir(dir).unwrap();
    let valid = checked.valid.iter().map(|path| format!("+ {path}"));
    let omitted = checked.omitted.iter().map(|omitted| format!("- {omitted}"));
    let invalid = checked.invalid.iter().map(|invalid| format!("! {invalid}"));
    valid.chain(omitted).chain(invalid).collect()
}

#[test]
fn directories_are_walked_by_the_rules_of_go() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    for path in [
        "go.mod",
        "b.go",
        "a/x.go",
        "A.go",
        ".git/config",
        "a/.hg/store",
        "sub/go.mod",
        "sub/x.go",
        "sub2/GO.MOD",
        "sub2/y.go",
        "vendor/modules.txt",
        "vendor/p/p.go",
        "vendor/p/q/q.go",
        "a/vendor/z.go",
        ".gitignore",
    ] {
        write(root, path, "");
    }
    assert_eq!(
        report(root),
        [
            "+ .gitignore",
            "+ A.go",
            "+ a/x.go",
            "+ b.go",
            "+ go.mod",
            "+ vendor/modules.txt",
            "- sub2/GO.MOD: file is in another module",
            "- sub2/y.go: file is in another module",
            "- .git: directory is a version control repository",
            "- a/.hg: directory is a version control repository",
            "- a/vendor/z.go: file is in vendor directory",
            "- sub: directory is in another module",
            "- vendor/p/p.go: file is in vendor directory",
            "- vendor/p/q: file is in vendor directory",
            "- vendor/p/q/q.go: file is in vendor directory",
        ]
    );
    write(root, "go.mod", "module example.com/m\n\ngo 1.24\n");
    let since = report(root);
    assert!(since.contains(&"+ a/vendor/z.go".into()));
    assert!(since.contains(&"- vendor/modules.txt: file is in vendor directory".into()));
}

#[cfg(unix)]
#[test]
fn links_and_sockets_stay_out() {
    use std::os::unix::fs::symlink;
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    write(root, "a.go", "package a\n");
    write(root, "linked/x.go", "package linked\n");
    symlink("a.go", root.join("link.go")).unwrap();
    symlink("linked", root.join("dirlink")).unwrap();
    symlink("a.go", root.join("linked/go.mod")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    assert_eq!(
        report(root),
        [
            "+ a.go",
            "- dirlink: not a regular file",
            "- link.go: not a regular file",
            "- linked: directory is in another module",
            "- socket: not a regular file",
        ]
    );
    let error = dir::hash_dir(root, &module(), &Workers::calling_thread()).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

#[cfg(unix)]
#[test]
fn hashing_follows_links_to_files() {
    let hash_dir = |dir: &Path| dir::hash_dir(dir, &module(), &Workers::calling_thread());
    let scratch = tempfile::tempdir().unwrap();
    let (plain, linked) = (scratch.path().join("plain"), scratch.path().join("linked"));
    write(&plain, "a.go", "package a\n");
    write(&plain, "b.go", "package a\n");
    write(&linked, "a.go", "package a\n");
    std::os::unix::fs::symlink("a.go", linked.join("b.go")).unwrap();
    assert_eq!(hash_dir(&plain).unwrap(), hash_dir(&linked).unwrap());
    std::os::unix::fs::symlink("plain", scratch.path().join("link")).unwrap();
    assert!(matches!(
        hash_dir(&scratch.path().join("link")),
        Err(Error::NotADirectory(_))
    ));
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_are_invalid_unless_they_stay_out() {
    use std::os::unix::ffi::OsStrExt as _;
    let scratch = tempfile::tempdir().unwrap();
    let bad = std::ffi::OsStr::from_bytes(b"\xff.go");
    fs::create_dir_all(scratch.path().join("vendor/x")).unwrap();
    if fs::write(scratch.path().join("vendor/x").join(bad), "").is_err() {
        // A file system that takes UTF-8 only.
        return;
    }
    assert_eq!(
        report(scratch.path()),
        ["- vendor/x/\u{fffd}.go: file is in vendor directory"]
    );
    fs::write(scratch.path().join(bad), "").unwrap();
    assert!(
        report(scratch.path())
            .contains(&"! \u{fffd}.go: malformed file path \"\\xff.go\": invalid UTF-8".into())
    );
}

#[test]
fn a_zip_and_the_directory_it_came_from_and_goes_to_have_one_hash() {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    for index in 0..100 {
        write(
            &source,
            &format!("d{}/f{index}.txt", index % 7),
            &"x".repeat(index * 1000),
        );
    }
    let mut zip = Vec::new();
    let created = dir::create_from_dir(&mut zip, &module(), &source).unwrap();
    let workers = Workers::new(3.try_into().unwrap()).unwrap();
    assert_eq!(
        dir::hash_dir(&source, &module(), &workers).unwrap(),
        created.hash
    );
    assert_eq!(hash(&zip).unwrap(), created.hash);

    let target = scratch.path().join("some/where/target");
    dir::unzip(&zip, created.size, &module(), &target).unwrap();
    assert_eq!(
        dir::hash_dir(&target, &module(), &workers).unwrap(),
        created.hash
    );
    let file = fs::metadata(target.join("d1/f1.txt")).unwrap();
    assert!(file.permissions().readonly());
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777,
        0o444
    );

    write(&source, "one/more", "");
    assert_ne!(
        dir::hash_dir(&source, &module(), &workers).unwrap(),
        created.hash
    );
}

#[test]
fn a_directory_that_is_not_empty_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    write(scratch.path(), "mine", "");
    let zip = RawZip::of([RawEntry::stored(entry_name("a"), "")]).build();
    let error = dir::unzip(&zip, zip.len() as u64, &module(), scratch.path()).unwrap_err();
    assert!(
        error.to_string().ends_with("exists and is not empty"),
        "{error}"
    );
    assert_eq!(error.blame(), Blame::Caller);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
}

#[test]
fn nothing_is_extracted_from_an_unfit_zip() {
    for name in [
        entry_name("../../evil"),
        "/evil".into(),
        "../evil".into(),
        entry_name("a\\..\\b"),
        entry_name("sub/go.mod"),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        let target = scratch.path().join("target");
        let zip = RawZip::of([
            RawEntry::stored(entry_name("ok"), ""),
            RawEntry::stored(&name, ""),
        ])
        .build();
        let error = dir::unzip(&zip, zip.len() as u64, &module(), &target).unwrap_err();
        assert!(matches!(error, Error::Unfit(_)), "{name}: {error}");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_file_that_turns_out_wrong_is_removed_again() {
    let scratch = tempfile::tempdir().unwrap();
    let good = RawEntry::stored(entry_name("good"), "good");
    let bomb = RawEntry::deflated(entry_name("bomb"), vec![0; 1 << 20])
        .both(|header| header.size = 100_000);
    let zip = RawZip::of([good, bomb]).build();
    let error = dir::unzip(&zip, zip.len() as u64, &module(), scratch.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("bomb\": uncompressed size is larger"),
        "{error}"
    );
    assert!(scratch.path().join("good").exists());
    assert!(!scratch.path().join("bomb").exists());
}

#[test]
fn empty_directories_are_not_made() {
    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("target");
    let zip = RawZip::of([
        RawEntry::stored(entry_name("d/"), ""),
        RawEntry::stored(entry_name(""), ""),
    ])
    .build();
    dir::unzip(&zip, zip.len() as u64, &module(), &target).unwrap();
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
}

#[test]
fn what_is_no_directory_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    write(scratch.path(), "file", "");
    let file = scratch.path().join("file");
    assert!(matches!(
        dir::check_dir(&file),
        Err(Error::NotADirectory(_))
    ));
    assert!(matches!(
        dir::hash_dir(&file, &module(), &Workers::calling_thread()),
        Err(Error::NotADirectory(_))
    ));
    let error = dir::check_dir(&scratch.path().join("absent")).unwrap_err();
    assert_eq!(error.blame(), Blame::Host, "{error}");
}

#[test]
fn a_comparison_names_the_files_that_differ() {
    let scratch = tempfile::tempdir().unwrap();
    let names = [
        "same",
        "changed",
        "shorter",
        "missing",
        "deep/er/same",
        "empty",
    ];
    let big = "x".repeat(200_000);
    let entries = names
        .map(|name| RawEntry::deflated(entry_name(name), if name == "empty" { "" } else { &big }));
    let zip = RawZip::of(
        entries
            .into_iter()
            .chain([RawEntry::stored(entry_name("deep/"), "")]),
    )
    .build();
    let size = zip.len() as u64;
    dir::unzip(&zip, size, &module(), scratch.path()).unwrap();
    let workers = Workers::new(2.try_into().unwrap()).unwrap();
    let compare = || dir::compare(&zip, size, &module(), scratch.path(), &workers).unwrap();
    assert_eq!(compare().differences, []);
    assert_eq!(compare().hash, hash(&zip).unwrap());

    for name in ["changed", "shorter", "missing"] {
        fs::remove_file(scratch.path().join(name)).unwrap();
    }
    write(scratch.path(), "changed", &(big[1..].to_owned() + "y"));
    write(scratch.path(), "shorter", &big[1..]);
    write(scratch.path(), "deep/added", "");
    let differences: Vec<_> = compare()
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        differences,
        [
            "changed: changed",
            "deep/added: added",
            "missing: missing",
            "shorter: changed"
        ]
    );
    assert_eq!(compare().hash, hash(&zip).unwrap());
}

#[test]
fn a_comparison_with_a_broken_zip_or_an_unreadable_directory_fails() {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("module")).unwrap();
    let broken =
        RawZip::of([RawEntry::stored(entry_name("a"), "x").both(|header| header.crc ^= 1)]).build();
    let compare = |zip: &[u8], target: &str| {
        let target = scratch.path().join(target);
        dir::compare(
            zip,
            zip.len() as u64,
            &module(),
            &target,
            &Workers::calling_thread(),
        )
    };
    assert!(matches!(
        compare(&broken, "module"),
        Err(Error::Entry { .. })
    ));
    assert!(matches!(
        compare(&RawZip::default().build(), "absent"),
        Err(Error::Io { .. })
    ));
}

#[test]
fn an_entry_of_another_module_is_not_the_file_of_that_name() {
    let scratch = tempfile::tempdir().unwrap();
    write(scratch.path(), "a.go", "x");
    let zip = RawZip::of([RawEntry::stored("a.go", "x")]).build();
    let found = dir::compare(
        &zip,
        zip.len() as u64,
        &module(),
        scratch.path(),
        &Workers::calling_thread(),
    );
    let differences: Vec<_> = found
        .unwrap()
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(differences, ["a.go: added", "a.go: missing"]);
}
