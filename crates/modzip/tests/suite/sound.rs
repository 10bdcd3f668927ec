//! Zips of other makers that are unusual and sound, and the sizes and reports around them.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use modzip::{
    Archive, Blame, Error, HELD_BACK, InvalidReason, MAX_DIRECTORY, MAX_GO_MOD, MAX_LICENSE,
    MAX_ZIP, ReadAt, ReleaseGate, SizeError, Workers, check_zip,
};

use crate::raw_zip::{RawEntry, RawZip, zip64_extra};
use crate::{entry_name, hash, module};

fn a() -> RawEntry {
    RawEntry::deflated(entry_name("a.go"), "package a\n")
}

fn b() -> RawEntry {
    RawEntry::stored(entry_name("b.go"), "package b\n")
}

fn dir() -> RawEntry {
    RawEntry::stored(entry_name("d/"), "")
}

/// Unusual zips whose files are a.go and b.go, or also the directory d/.
pub(crate) fn cases() -> Vec<Case> {
    [plain_cases(), zip64_cases(), directory_cases()].concat()
}

type Case = (&'static str, Vec<u8>);

fn zip(entries: Vec<RawEntry>) -> Vec<u8> {
    RawZip::of(entries).build()
}

fn plain_cases() -> Vec<Case> {
    let both = || RawZip::of([a(), b()]);
    let extra = || {
        [0x5455_u16.to_le_bytes(), 5_u16.to_le_bytes()]
            .concat()
            .into_iter()
            .chain([1, 2, 3, 4, 5])
    };
    vec![
        ("plain", both().build()),
        (
            "comment",
            both().build_with(|end| end.comment = vec![b'c'; 40]),
        ),
        (
            "long comment",
            both().build_with(|end| end.comment = vec![b'P'; 30_000]),
        ),
        (
            "descriptor",
            zip(vec![a().streamed(true, false), b().streamed(true, false)]),
        ),
        (
            "descriptor without signature",
            zip(vec![a().streamed(false, false), b()]),
        ),
        ("wide descriptor", zip(vec![a().streamed(true, true), b()])),
        (
            "wide descriptor without signature",
            zip(vec![a().streamed(false, true), b()]),
        ),
        (
            "descriptor and sizes in front",
            zip(vec![
                a().streamed(true, false).local(|local| {
                    (local.crc, local.compressed, local.size) =
                        (a().local.crc, a().local.compressed, a().local.size);
                }),
                b(),
            ]),
        ),
        (
            "stored instead of deflated",
            zip(vec![
                RawEntry::stored(entry_name("a.go"), "package a\n"),
                b(),
            ]),
        ),
        (
            "extra fields",
            zip(vec![
                a().both(|header| header.extra.extend(extra())),
                b().local(|local| local.extra.extend(extra())),
            ]),
        ),
        (
            "UTF-8 flag",
            zip(vec![a().both(|header| header.flags |= 1 << 11), b()]),
        ),
        (
            "compression level flags",
            zip(vec![a().central(|central| central.flags |= 2), b()]),
        ),
        ("order of the directory", {
            // The directory's first record is for the second entry of the file.
            let at = u32::try_from(
                RawZip::of([b()]).build_with(|_| {}).len() - 22 - 46 - b().local.name.len(),
            )
            .unwrap();
            let (mut first, mut second) = (a(), b());
            (first.local, second.local) = (b().local, a().local);
            (first.data, second.data) = (b().data, a().data);
            (first.offset, second.offset) = (Some(at), Some(0));
            zip(vec![first, second])
        }),
    ]
}

fn zip64_cases() -> Vec<Case> {
    let both = || RawZip::of([a(), b()]);
    vec![
        ("zip64 end", both().build_zip64(|_, _| {})),
        (
            "zip64 end where only the count asks for it",
            both().build_zip64(|end64, end| {
                (end.size, end.offset) = (
                    u32::try_from(end64.size).unwrap(),
                    u32::try_from(end64.offset).unwrap(),
                );
            }),
        ),
        (
            "zip64 sizes",
            zip(vec![
                a().both(|header| {
                    header.extra = zip64_extra(&[header.size.into(), header.compressed.into()]);
                    (header.size, header.compressed) = (u32::MAX, u32::MAX);
                }),
                b(),
            ]),
        ),
        (
            "zip64 sizes in front only",
            zip(vec![
                a().local(|local| {
                    local.extra = zip64_extra(&[local.size.into(), local.compressed.into()]);
                    (local.size, local.compressed) = (u32::MAX, u32::MAX);
                }),
                b(),
            ]),
        ),
        (
            "zip64 sizes with the offset, as Go writes them",
            zip(vec![
                a().central(|central| {
                    central.extra =
                        zip64_extra(&[central.size.into(), central.compressed.into(), 0]);
                    (central.size, central.compressed) = (u32::MAX, u32::MAX);
                }),
                b(),
            ]),
        ),
        (
            "zip64 sizes that are not needed",
            zip(vec![
                a().both(|header| {
                    header.extra = zip64_extra(&[header.size.into(), header.compressed.into()]);
                }),
                b(),
            ]),
        ),
    ]
}

fn directory_cases() -> Vec<Case> {
    vec![
        ("directory", zip(vec![a(), dir(), b()])),
        (
            "directory with empty deflate data",
            zip(vec![a(), RawEntry::deflated(entry_name("d/"), ""), b()]),
        ),
        (
            "directory deflated without data",
            zip(vec![a(), dir().both(|header| header.method = 8), b()]),
        ),
    ]
}

#[test]
fn unusual_zips_are_read() {
    let plain = hash(&RawZip::of([a(), b()]).build()).unwrap();
    let with_dir = hash(&RawZip::of([a(), b(), dir()]).build()).unwrap();
    assert_ne!(
        plain, with_dir,
        "directories have a line in the hash of a zip"
    );
    for (name, zip) in cases() {
        let expected = if name.starts_with("directory") {
            with_dir
        } else {
            plain
        };
        assert_eq!(
            hash(&zip).unwrap_or_else(|error| panic!("{name}: {error}")),
            expected,
            "{name}"
        );
        let checked = check_zip(&zip, zip.len() as u64, &module()).unwrap();
        assert!(checked.is_fit(), "{name}: {checked}");
        assert_eq!(checked.valid.len(), 2, "{name}");
    }
}

#[test]
fn a_zip_without_entries_has_the_hash_of_nothing() {
    let zip = RawZip::default().build();
    assert_eq!(
        hash(&zip).unwrap().to_string(),
        "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    );
}

#[test]
fn entries_are_listed_and_copied() {
    let zip = RawZip::of([a(), dir(), b()]).build();
    let archive = Archive::open(&zip, zip.len() as u64).unwrap();
    let listed: Vec<_> = archive
        .entries()
        .map(|entry| (entry.name().to_string(), entry.size(), entry.is_dir()))
        .collect();
    assert_eq!(
        listed,
        [
            (entry_name("a.go"), 10, false),
            (entry_name("d/"), 0, true),
            (entry_name("b.go"), 10, false),
        ]
    );
    let mut content = Vec::new();
    archive
        .copy(archive.entries().next().unwrap(), &mut content)
        .unwrap();
    assert_eq!(content, b"package a\n");
}

#[test]
fn the_end_of_every_accepted_zip_is_held_back() {
    for (name, zip) in cases() {
        let mut gate = ReleaseGate::new(Some(zip.len() as u64));
        let free = usize::try_from(gate.receive(&zip)).unwrap();
        let end_at = zip
            .windows(4)
            .rposition(|bytes| bytes == b"PK\x05\x06")
            .unwrap();
        assert!(free <= end_at, "{name}");
        assert!(hash(&zip[..free]).is_err(), "{name}");
    }
    let longest = RawZip::of([a()])
        .build_with(|end| end.comment = vec![0; usize::try_from(HELD_BACK).unwrap() - 22]);
    hash(&longest).unwrap();
    let longer = RawZip::of([a()])
        .build_with(|end| end.comment = vec![0; usize::try_from(HELD_BACK).unwrap() - 21]);
    assert!(matches!(hash(&longer), Err(Error::CommentTooLong { .. })));
}

#[test]
fn a_complete_archive_in_front_of_padding_is_not_let_out() {
    let mut zip = RawZip::of([a(), b()]).build();
    let complete = zip.len() as u64;
    zip.extend(vec![0; 100_000]);
    let mut gate = ReleaseGate::new(Some(zip.len() as u64));
    assert!(zip.chunks(777).map(|bytes| gate.receive(bytes)).max() < Some(complete - 21));
}

/// Entry of `declared` bytes, most of which are not there.
fn declared(path: &str, declared: u64) -> RawEntry {
    RawEntry::deflated(entry_name(path), "")
        .both(|header| header.size = u32::try_from(declared).unwrap())
}

fn check(entries: impl IntoIterator<Item = RawEntry>) -> modzip::Checked {
    let zip = RawZip::of(entries).build();
    check_zip(&zip, zip.len() as u64, &module()).unwrap()
}

#[test]
fn all_files_together_are_limited() {
    let most = [declared("a", 200 << 20), declared("b", 300 << 20)];
    assert!(check(most.clone()).is_fit());
    let checked = check(most.into_iter().chain([declared("c", 1)]));
    assert_eq!(checked.size_error, Some(SizeError::Content));
    assert_eq!(checked.valid.len(), 3);
    let error = checked.fit().unwrap_err();
    assert_eq!(
        error.to_string(),
        "total uncompressed size of module contents too large (max size is 524288000 bytes)"
    );
}

#[test]
fn go_mod_and_licence_of_the_root_are_limited() {
    assert!(
        check([
            declared("go.mod", MAX_GO_MOD),
            declared("LICENSE", MAX_LICENSE)
        ])
        .is_fit()
    );
    let checked = check([
        declared("go.mod", MAX_GO_MOD + 1),
        declared("LICENSE", MAX_LICENSE + 1),
        declared("x/LICENSE", MAX_LICENSE + 1),
    ]);
    let reasons: Vec<_> = checked
        .invalid
        .iter()
        .map(|invalid| invalid.reason.clone())
        .collect();
    assert_eq!(
        reasons,
        [InvalidReason::GoModTooLarge, InvalidReason::LicenseTooLarge]
    );
    assert_eq!(checked.valid, [entry_name("x/LICENSE")]);
}

#[test]
fn entries_of_another_module_are_invalid() {
    for name in [
        "a.go",
        "example.com/m@v1.0.1/a.go",
        "example.com/m@v1.0.0",
        "example.com/M@v1.0.0/a.go",
        "/a",
        "",
    ] {
        let checked = check([RawEntry::stored(name, "")]);
        assert_eq!(
            checked.to_string(),
            format!("{name}: path does not have prefix \"example.com/m@v1.0.0/\"")
        );
    }
    assert!(
        check([RawEntry::stored(entry_name(""), "")]).is_fit(),
        "the module's own directory"
    );
}

#[test]
fn names_in_a_zip_follow_the_rules_of_files_in_modules() {
    for (name, reason) in [
        ("../x", "invalid path element \"..\""),
        ("a/../../x", "file path is not clean"),
        ("/etc/passwd", "empty path element"),
        ("a//b", "file path is not clean"),
        ("a\\b", "invalid char '\\\\'"),
        ("C:/x", "invalid char ':'"),
        (
            "aux.go",
            "\"aux\" disallowed as path element component on Windows",
        ),
        ("a.", "trailing dot in path element"),
        ("sub/go.mod", "go.mod file not in module root directory"),
        ("sub/Go.Mod", "go.mod file not in module root directory"),
        ("GO.mod", "go.mod files must have lowercase names"),
        ("a\0b", "invalid char '\\x00'"),
    ] {
        let checked = check([RawEntry::stored(entry_name(name), "")]);
        assert!(checked.to_string().ends_with(reason), "{name}: {checked}");
    }
    let not_utf8 = [entry_name("").as_bytes(), b"\xff.go"].concat();
    assert!(
        check([RawEntry::stored(not_utf8, "")])
            .to_string()
            .ends_with("invalid UTF-8")
    );
}

#[test]
fn names_in_a_zip_may_not_collide() {
    let checked =
        check(["d/x", "d/", "d", "D/y", "d/"].map(|name| RawEntry::stored(entry_name(name), "")));
    assert_eq!(
        checked.to_string(),
        "example.com/m@v1.0.0/d: entry \"d\" is both a file and a directory\n\
         example.com/m@v1.0.0/D/y: case-insensitive file name collision: \"d\" and \"D\""
    );
}

/// A file of `size` bytes: zeros, and `tail` at its end. Counts what it hands out at once.
struct Sparse {
    size: u64,
    tail: Vec<u8>,
    largest_read: AtomicUsize,
}

impl Sparse {
    fn new(size: u64, tail: Vec<u8>) -> Self {
        Self {
            size,
            tail,
            largest_read: AtomicUsize::new(0),
        }
    }
}

impl ReadAt for Sparse {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.largest_read.fetch_max(buf.len(), Ordering::Relaxed);
        let tail_at = self.size - self.tail.len() as u64;
        for (byte, at) in buf.iter_mut().zip(offset..) {
            *byte = at
                .checked_sub(tail_at)
                .and_then(|at| self.tail.get(usize::try_from(at).unwrap()))
                .map_or(0, |&tail| tail);
        }
        Ok(buf.len())
    }
}

#[test]
fn a_zip_file_that_is_too_large_is_not_read() {
    let source = Sparse::new(MAX_ZIP + 1, RawZip::default().build());
    let error = modzip::hash_zip(&source, source.size, &Workers::calling_thread()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "module zip file is too large (524288001 bytes; limit is 524288000 bytes)"
    );
    let checked = check_zip(&source, source.size, &module()).unwrap();
    assert_eq!(
        checked.size_error,
        Some(SizeError::ZipFile { size: MAX_ZIP + 1 })
    );
    assert_eq!(source.largest_read.into_inner(), 0);
}

#[test]
fn a_directory_that_is_too_large_is_not_read() {
    let size = 100 << 20;
    let directory = u32::try_from(MAX_DIRECTORY + 1).unwrap();
    let tail = RawZip::default()
        .build_with(|end| (end.size, end.offset) = (directory, (size - 22) - directory));
    let source = Sparse::new(size.into(), tail);
    let error = Archive::open(&source, source.size).unwrap_err();
    assert!(
        matches!(error, Error::DirectoryTooLarge { size } if size == MAX_DIRECTORY + 1),
        "{error}"
    );
    assert!(source.largest_read.into_inner() < 100_000);
}

#[test]
fn a_large_entry_is_read_in_pieces() {
    struct Counting<'a>(&'a [u8], AtomicUsize);
    impl ReadAt for Counting<'_> {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            self.1.fetch_max(buf.len(), Ordering::Relaxed);
            self.0.read_at(buf, offset)
        }
    }
    let zip = RawZip::of([RawEntry::stored(entry_name("big"), vec![1; 20 << 20]), a()]).build();
    let source = Counting(&zip, AtomicUsize::new(0));
    let workers = Workers::new(2.try_into().unwrap()).unwrap();
    modzip::hash_zip(&source, zip.len() as u64, &workers).unwrap();
    assert!(source.1.into_inner() <= 1 << 20);
}

#[test]
fn a_read_that_fails_is_not_the_fault_of_the_zip() {
    let zip = RawZip::of([a(), b()]).build();
    let error =
        modzip::hash_zip(&zip, zip.len() as u64 + 9, &Workers::calling_thread()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(error.blame(), Blame::Host);
}

#[test]
fn the_hash_does_not_depend_on_the_number_of_threads() {
    let entries = (0..500)
        .map(|index| RawEntry::deflated(entry_name(&format!("f{index}")), vec![7; 1000 * index]));
    let zip = RawZip::of(entries).build();
    let alone = hash(&zip).unwrap();
    let pool = std::sync::Arc::new(
        rayon::ThreadPoolBuilder::new()
            .num_threads(3)
            .build()
            .unwrap(),
    );
    for workers in [
        Workers::new(1.try_into().unwrap()).unwrap(),
        Workers::new(4.try_into().unwrap()).unwrap(),
        Workers::sharing(pool),
    ] {
        assert_eq!(
            modzip::hash_zip(&zip, zip.len() as u64, &workers).unwrap(),
            alone
        );
    }
}
