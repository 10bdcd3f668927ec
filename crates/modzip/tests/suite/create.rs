//! Making zips from lists of files.

use std::collections::BTreeMap;
use std::io;

use bstr::BStr;
use modzip::{
    Archive, Blame, Error, FileKind, H1, MAX_GO_MOD, MAX_LICENSE, MAX_ZIP, MemoryFile, Metadata,
    OmitReason, SizeError, SourceFile, check_files, create,
};

use crate::{entry_name, hash, module};

fn zip_of(files: &[MemoryFile]) -> Vec<u8> {
    let mut zip = Vec::new();
    let created = create(&mut zip, &module(), files).unwrap();
    assert_eq!(hash(&zip).unwrap(), created.hash);
    assert_eq!(created.size, zip.len() as u64);
    zip
}

fn contents(zip: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let archive = Archive::open(zip, zip.len() as u64).unwrap();
    let content = |entry: modzip::Entry<'_>| {
        let mut content = Vec::new();
        archive.copy(entry, &mut content).unwrap();
        (entry.name().to_string(), content)
    };
    archive.entries().map(content).collect()
}

#[test]
fn the_same_files_in_any_order_give_the_same_bytes() {
    let mut files = vec![
        MemoryFile::regular("go.mod", "module example.com/m\n"),
        MemoryFile::regular("a/b.go", "package a\n"),
        MemoryFile::regular("a.go", ""),
        MemoryFile::regular("Été.txt", vec![7; 100_000]),
    ];
    let zip = zip_of(&files);
    files.reverse();
    assert_eq!(zip_of(&files), zip);

    let archive = Archive::open(&zip, zip.len() as u64).unwrap();
    let names: Vec<_> = archive
        .entries()
        .map(|entry| entry.name().to_string())
        .collect();
    assert_eq!(
        names,
        ["a.go", "a/b.go", "go.mod", "Été.txt"].map(entry_name)
    );
    for file in files {
        assert_eq!(
            contents(&zip)[&entry_name(&file.path.to_string())],
            file.content
        );
    }
}

#[test]
fn times_and_attributes_are_zero_and_non_ascii_names_are_marked() {
    let zip = zip_of(&[MemoryFile::regular("é", "x")]);
    assert_eq!(
        &zip[6..14],
        [0, 8, 8, 0, 0, 0, 0, 0],
        "flags, method, time, date"
    );
    let directory = zip
        .windows(4)
        .position(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    assert_eq!(
        &zip[directory + 8..directory + 16],
        [0, 8, 8, 0, 0, 0, 0, 0]
    );
    assert_eq!(
        &zip[directory + 34..directory + 46],
        [0; 12],
        "disk, attributes, offset"
    );
}

#[test]
fn a_large_file_is_streamed_and_reads_back() {
    let big: Vec<u8> = (0..9_000_000_u32).map(|n| (n / 1000 % 251) as u8).collect();
    let zip = zip_of(&[
        MemoryFile::regular("big", big.clone()),
        MemoryFile::regular("small", "x"),
    ]);
    assert_eq!(zip[6] & 8, 8, "has a data descriptor");
    assert_eq!(contents(&zip)[&entry_name("big")], big);
}

#[test]
fn more_than_65534_files_need_zip64() {
    for count in [65_534, 65_535, 65_536] {
        let files: Vec<_> = (0..count)
            .map(|n| MemoryFile::regular(format!("{n}"), ""))
            .collect();
        let zip = zip_of(&files);
        let end64 = zip.windows(4).any(|bytes| bytes == b"PK\x06\x06");
        assert_eq!(end64, count > 65_534, "{count}");
        assert_eq!(
            Archive::open(&zip, zip.len() as u64)
                .unwrap()
                .entries()
                .len(),
            count
        );
    }
}

#[test]
fn omitted_files_are_reported_and_not_in_the_zip() {
    let mut link = MemoryFile::regular("link", "");
    link.kind = FileKind::Symlink;
    let files = [
        MemoryFile::regular("a.go", "package a\n"),
        link,
        MemoryFile::regular("sub/go.mod", "module example.com/m/sub\n"),
        MemoryFile::regular(b"vendor/x/\xff.go".as_slice(), ""),
    ];
    let mut zip = Vec::new();
    let created = create(&mut zip, &module(), &files).unwrap();
    let omitted: Vec<_> = created
        .omitted
        .iter()
        .map(|omitted| omitted.reason)
        .collect();
    assert_eq!(
        omitted,
        [
            OmitReason::Symlink,
            OmitReason::FileInOtherModule,
            OmitReason::Vendored
        ]
    );
    assert_eq!(
        contents(&zip).into_keys().collect::<Vec<_>>(),
        [entry_name("a.go")]
    );
}

#[test]
fn an_unfit_module_is_refused_before_anything_is_written() {
    let mut zip = Vec::new();
    let files = [
        MemoryFile::regular("ok", ""),
        MemoryFile::regular("a:b", ""),
        MemoryFile::regular("x/../y", ""),
    ];
    let error = create(&mut zip, &module(), &files).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a:b: malformed file path \"a:b\": invalid char ':'\nx/../y: file path is not clean"
    );
    assert_eq!(error.blame(), Blame::Content);
    assert!(zip.is_empty());
}

/// A file whose size is only said, or wrongly said.
struct Said {
    path: &'static str,
    size: u64,
    content: &'static [u8],
}

impl SourceFile for Said {
    fn path(&self) -> &BStr {
        self.path.into()
    }

    fn metadata(&self) -> io::Result<Metadata> {
        if self.path == "unreadable" {
            return Err(io::Error::other("gone"));
        }
        Ok(Metadata {
            kind: FileKind::Regular,
            size: self.size,
        })
    }

    fn open(&self) -> io::Result<Box<dyn io::Read + '_>> {
        if self.path == "locked" {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Box::new(self.content))
    }
}

fn said(path: &'static str, size: u64) -> Said {
    Said {
        path,
        size,
        content: b"content",
    }
}

#[test]
fn a_file_that_changes_its_size_is_refused() {
    for (size, says) in [
        (6, "file \"f\" is larger than declared size"),
        (8, "file \"f\" is smaller than declared size"),
    ] {
        let error = create(io::sink(), &module(), &[said("f", size)]).unwrap_err();
        assert_eq!(error.to_string(), says);
        assert_eq!(error.blame(), Blame::Host);
    }
    create(io::sink(), &module(), &[said("f", 7)]).unwrap();
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let error = create(io::sink(), &module(), &[said("locked", 7)]).unwrap_err();
    assert_eq!(error.to_string(), "read locked: permission denied");
    let checked = check_files(&[said("unreadable", 7)]);
    assert_eq!(checked.to_string(), "unreadable: gone");
}

#[test]
fn a_writer_that_fails_is_reported() {
    let mut full = [0; 10];
    let error = create(full.as_mut_slice(), &module(), &[said("f", 7)]).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn the_source_tree_is_limited() {
    let fits = [said("a", MAX_ZIP - 1), said("b", 1), said("c", 0)];
    assert!(check_files(&fits).is_fit());
    let checked = check_files(&[said("a", MAX_ZIP - 1), said("b", 2), said("c", 1)]);
    assert_eq!(checked.size_error, Some(SizeError::Source));
    assert_eq!(checked.valid.len(), 3);
    assert_eq!(
        checked.to_string(),
        "module source tree too large (max size is 524288000 bytes)"
    );
    assert!(
        check_files(&[said("vendor/x/y", MAX_ZIP + 1)]).is_fit(),
        "omitted files do not count"
    );
}

#[test]
fn go_mod_and_licence_of_the_root_are_limited() {
    let fits = [
        said("go.mod", MAX_GO_MOD),
        said("LICENSE", MAX_LICENSE),
        said("x/LICENSE", MAX_LICENSE + 1),
    ];
    assert!(check_files(&fits).is_fit());
    let checked = check_files(&[
        said("go.mod", MAX_GO_MOD + 1),
        said("LICENSE", MAX_LICENSE + 1),
    ]);
    assert_eq!(
        checked.to_string(),
        "go.mod: go.mod file too large (max size is 16777216 bytes)\n\
         LICENSE: LICENSE file too large (max size is 16777216 bytes)"
    );
}

#[test]
fn no_files_make_an_empty_zip() {
    let zip = zip_of(&[]);
    assert_eq!(zip.len(), 22);
    assert_eq!(
        hash(&zip).unwrap(),
        "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
            .parse::<H1>()
            .unwrap()
    );
}
