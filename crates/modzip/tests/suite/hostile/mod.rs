//! Zips that are made to lie, each refused with the reason, and with the entry's name where there is one.

mod ends;
mod entries;
mod layouts;

use modzip::{Blame, Error, Workers};

use crate::raw_zip::{End, RawEntry, RawZip, put_end};
use crate::{entry_name, hash};

/// A hostile zip.
pub(crate) struct Case {
    /// Name of its file in the corpus.
    pub(crate) name: &'static str,
    pub(crate) zip: Vec<u8>,
    /// Part of the error.
    says: &'static str,
}

pub(crate) fn cases() -> Vec<Case> {
    let groups = [
        ends::end_cases(),
        ends::directory_cases(),
        ends::zip64_cases(),
        layouts::cases(),
        entries::local_header_cases(),
        entries::header_cases(),
        entries::zip64_cases(),
        entries::descriptor_cases(),
        entries::size_cases(),
        entries::data_cases(),
    ];
    groups.into_iter().flatten().collect()
}

fn case(name: &'static str, zip: Vec<u8>, says: &'static str) -> Case {
    Case { name, zip, says }
}

fn a() -> RawEntry {
    RawEntry::deflated(entry_name("a.go"), "package a\n")
}

fn b() -> RawEntry {
    RawEntry::stored(entry_name("b.go"), "package b\n")
}

fn only(entry: RawEntry) -> Vec<u8> {
    RawZip::of([entry]).build()
}

fn first(entry: RawEntry) -> Vec<u8> {
    RawZip::of([entry, b()]).build()
}

#[test]
fn each_lie_is_refused_with_its_reason() {
    for Case { name, zip, says } in cases() {
        let error = hash(&zip).expect_err(name);
        assert!(
            error.to_string().contains(says),
            "{name}: {error}\nwant: {says}"
        );
        let content = matches!(error, Error::ContentTooLarge | Error::NewlineInName);
        assert_eq!(
            error.blame(),
            if content {
                Blame::Content
            } else {
                Blame::Archive
            },
            "{name}: {error}"
        );
    }
}

#[test]
fn lies_in_a_large_entry_are_refused_as_in_a_small_one() {
    // Not compressible, so that the entry is streamed in several pieces.
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(3 << 20)
    .collect();
    for entry in [
        RawEntry::stored(entry_name("big"), &noise),
        RawEntry::deflated(entry_name("big"), &noise),
    ] {
        let good = only(entry.clone().streamed(true, false));
        hash(&good).unwrap();
        for (change, says) in [
            (
                entry.clone().both(|header| header.crc ^= 1),
                "big\": zip: checksum error",
            ),
            (
                entry.clone().local(|local| local.name[22] = b'x'),
                "big\": local header and central directory disagree",
            ),
            (
                entry.clone().with(|big| big.descriptor = vec![0; 40]),
                "40 bytes at offset",
            ),
            (
                entry
                    .clone()
                    .streamed(true, true)
                    .with(|big| big.descriptor[20] = 1),
                "big\": data descriptor",
            ),
            (
                entry.clone().with(|big| big.data.truncate(2 << 20)),
                "big\": overlaps",
            ),
            (entry.clone().with(|big| big.data[1 << 20] ^= 1), "big\": "),
        ] {
            let error = hash(&RawZip::of([change, b()]).build()).unwrap_err();
            assert!(error.to_string().contains(says), "{error}\nwant: {says}");
        }
    }
}

#[test]
fn a_lie_is_found_by_any_number_of_threads() {
    let entries =
        (0..2000).map(|index| RawEntry::stored(entry_name(&format!("{index:04}")), vec![7; 3000]));
    let zip = RawZip::of(entries.chain([a().both(|header| header.crc ^= 1)])).build();
    for threads in [1, 2, 5] {
        let workers = Workers::new(threads.try_into().unwrap()).unwrap();
        let error = modzip::hash_zip(&zip, zip.len() as u64, &workers).unwrap_err();
        assert!(
            error.to_string().contains("a.go\": zip: checksum error"),
            "{error}"
        );
    }
}

#[test]
fn an_end_record_among_the_data_is_no_lie() {
    // A stored test archive in the last entry is a common thing to have.
    let inner = only(b());
    hash(&only(RawEntry::stored(
        entry_name("testdata/x.zip"),
        &inner,
    )))
    .unwrap();
    let mut with_end = b"data ".to_vec();
    put_end(
        &mut with_end,
        &End {
            disks: [0; 2],
            entries: [0; 2],
            size: 0,
            offset: 0,
            comment: vec![],
            comment_len: 0,
        },
    );
    hash(&only(RawEntry::stored(entry_name("testdata/y"), &with_end))).unwrap();
}
