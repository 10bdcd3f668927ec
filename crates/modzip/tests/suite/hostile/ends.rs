//! Where does the zip end, and where is its directory?

use super::{Case, a, b, case};
use crate::entry_name;
use crate::raw_zip::{End, End64, RawZip};

pub(super) fn end_cases() -> Vec<Case> {
    let zip = RawZip::of([a(), b()]);
    let good = zip.build();
    let with_comment = |comment: Vec<u8>| zip.build_with(|end| end.comment = comment);
    let end_of = |zip: &[u8]| zip[zip.len() - 22..].to_vec();
    let other = RawZip::of([b()]).build();
    vec![
        case("empty", Vec::new(), "no end of central directory record"),
        case(
            "text",
            b"<html>not found</html> and so on".to_vec(),
            "no end of central directory record",
        ),
        case(
            "cut-off",
            good[..good.len() - 1].to_vec(),
            "no end of central directory record",
        ),
        case(
            "trailing-data",
            [&good[..], b"and more"].concat(),
            "zip: 8 bytes after the end of the archive",
        ),
        case(
            "leading-data",
            [b"#!/bin/sh\n", &good[..]].concat(),
            "it is not where the end says",
        ),
        case(
            "comment-cut-off",
            zip.build_with(|end| end.comment_len = 5),
            "archive comment is cut off",
        ),
        case(
            "comment-too-long",
            with_comment(vec![b'x'; 33_000]),
            "comment is too long (33000 bytes)",
        ),
        case(
            "end-in-comment",
            with_comment(end_of(&good)),
            "inside the comment of another one",
        ),
        case(
            "archive-in-comment",
            with_comment(other.clone()),
            "inside the comment of another one",
        ),
        case(
            "short-end-in-comment",
            with_comment(b"see PK\x05\x06 there".to_vec()),
            "start of another end record",
        ),
        case(
            "archive-behind-archive",
            [&good[..], &other].concat(),
            "it is not where the end says",
        ),
        case(
            "split-archive",
            zip.build_with(|end| end.disks = [1, 1]),
            "split archives",
        ),
        case(
            "entries-on-other-disk",
            zip.build_with(|end| end.entries[0] = 1),
            "split archives",
        ),
    ]
}

/// Is the directory where the end says, and what it says?
pub(super) fn directory_cases() -> Vec<Case> {
    let zip = RawZip::of([a(), b()]);
    vec![
        case(
            "too-many-entries",
            zip.build_with(|end| end.entries = [3; 2]),
            "fewer entries than the end says",
        ),
        case(
            "far-too-many-entries",
            zip.build_with(|end| end.entries = [9999; 2]),
            "too short for its number",
        ),
        case(
            "too-few-entries",
            zip.build_with(|end| end.entries = [1; 2]),
            "more than the entries the end counts",
        ),
        case(
            "directory-moved",
            zip.build_with(|end| end.offset += 1),
            "it is not where the end says",
        ),
        case(
            "directory-before-start",
            zip.build_with(|end| end.size += 1000),
            "it is not where the end says",
        ),
        case(
            "directory-shortened",
            shortened_directory(),
            "too short for its number of entries",
        ),
        case(
            "directory-signature",
            signed_directory(),
            "more than the entries the end counts",
        ),
        case(
            "offset-in-absent-zip64",
            zip.build_with(|end| end.offset = u32::MAX),
            "there are none",
        ),
        case(
            "size-in-absent-zip64",
            zip.build_with(|end| end.size = u32::MAX),
            "there are none",
        ),
    ]
}

/// The end leaves out the first record of the directory, which then looks like data.
fn shortened_directory() -> Vec<u8> {
    let record = 46 + u32::try_from(entry_name("a.go").len()).unwrap();
    RawZip::of([a(), b()]).build_with(|end| {
        end.offset += record;
        end.size -= record;
    })
}

/// With a digital signature record in the directory.
fn signed_directory() -> Vec<u8> {
    RawZip {
        directory_end: b"PK\x05\x05\x02\x00xx".to_vec(),
        ..RawZip::of([a()])
    }
    .build()
}

pub(super) fn zip64_cases() -> Vec<Case> {
    let zip = RawZip::of([a(), b()]);
    vec![
        case(
            "zip64-entries-lie",
            zip.build_zip64(|end, _| end.entries = [3; 2]),
            "fewer entries",
        ),
        case(
            "zip64-huge-entries",
            zip.build_zip64(|end, _| end.entries = [u64::MAX; 2]),
            "too short for its number",
        ),
        case(
            "zip64-offset-lie",
            zip.build_zip64(|end, _| end.offset += 1),
            "it is not where the end says",
        ),
        case(
            "zip64-huge-offset",
            zip.build_zip64(|end, _| end.offset = u64::MAX),
            "it is not where the end says",
        ),
        case(
            "zip64-huge-size",
            zip.build_zip64(|end, _| end.size = u64::MAX),
            "central directory is too large",
        ),
        case(
            "zip64-ends-disagree",
            zip.build_zip64(|_, end| end.entries = [1; 2]),
            "the two end records disagree",
        ),
        case(
            "zip64-sizes-disagree",
            zip.build_zip64(|_, end| end.size = 1),
            "the two end records disagree",
        ),
        case(
            "zip64-locator-lie",
            zip.build_zip64(|end, _| end.locator_offset -= 1),
            "not in front of its locator",
        ),
        case(
            "zip64-locator-huge",
            zip.build_zip64(|end, _| end.locator_offset = u64::MAX),
            "not in front of its",
        ),
        case(
            "zip64-locator-disk",
            zip.build_zip64(|end, _| end.locator_disk = 1),
            "split archives",
        ),
        case(
            "zip64-two-disks",
            zip.build_zip64(|end, _| end.total_disks = 2),
            "split archives",
        ),
        case(
            "zip64-end-on-disk-1",
            zip.build_zip64(|end, _| end.disks = [1, 1]),
            "malformed",
        ),
        case(
            "zip64-record-size",
            zip.build_zip64(|end, _| end.record_size = 60),
            "malformed",
        ),
        case(
            "zip64-unused",
            zip.build_zip64(unmarked),
            "it is not where the end says",
        ),
    ]
}

/// The ordinary end has all the values, so that no reader asks for the zip64 records.
fn unmarked(end64: &mut End64, end: &mut End) {
    end.entries = end64.entries.map(|entries| u16::try_from(entries).unwrap());
    (end.size, end.offset) = (
        u32::try_from(end64.size).unwrap(),
        u32::try_from(end64.offset).unwrap(),
    );
}
