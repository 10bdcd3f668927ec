//! Which bytes belong to which entry?

use super::{Case, a, b, case, only};
use crate::entry_name;
use crate::raw_zip::{RawEntry, RawZip};

pub(super) fn cases() -> Vec<Case> {
    let gap = |entry: RawEntry| entry.with(|entry| entry.gap = b"unseen".to_vec());
    let stray = |entries: [RawEntry; 2]| RawZip::of(entries).build();
    vec![
        case(
            "leading-data-counted",
            stray([gap(a()), b()]),
            "zip: 6 bytes at offset 0 belong to no entry",
        ),
        case(
            "gap",
            stray([a(), gap(b())]),
            "zip: 6 bytes at offset 67 belong to no entry",
        ),
        case(
            "long-gap",
            stray([a(), b().with(|b| b.gap = vec![0; 70_000])]),
            "70000 bytes at offset 67 belong to no",
        ),
        case(
            "gap-before-directory",
            gap_before_directory(),
            "zip: 6 bytes at offset 132 belong to no entry",
        ),
        case(
            "hidden-entry",
            stray([a(), b().with(|b| b.hidden = true)]),
            "65 bytes at offset 67 belong to no entry",
        ),
        case(
            "only-hidden-entry",
            only(b().with(|b| b.hidden = true)),
            "65 bytes at offset 0 belong to no entry",
        ),
        case("same-place", same_place(), "b.go\": overlaps another part"),
        case("overlap", overlapping(), "a.go\": overlaps another part"),
        case(
            "overlap-directory",
            only(b().both(|header| (header.compressed, header.size) = (999, 999))),
            "b.go\": overlaps",
        ),
        case(
            "offset-behind-end",
            stray([a(), b().with(|b| b.offset = Some(1 << 30))]),
            "b.go\": overlaps",
        ),
        case(
            "offset-in-absent-zip64-field",
            stray([a(), b().with(|b| b.offset = Some(u32::MAX))]),
            "b.go\": zip64 sizes",
        ),
        case(
            "entry-on-other-disk",
            stray([a(), b().with(|b| b.disk = 1)]),
            "b.go\": split archives",
        ),
    ]
}

fn gap_before_directory() -> Vec<u8> {
    RawZip {
        before_directory: b"unseen".to_vec(),
        ..RawZip::of([a(), b()])
    }
    .build()
}

/// Two names for the same bytes.
fn same_place() -> Vec<u8> {
    let mut twin = b().with(|b| b.offset = Some(0));
    twin.local.name = entry_name("a.go").into();
    RawZip::of([
        b().local(|header| header.name = entry_name("a.go").into()),
        twin,
    ])
    .build()
}

/// The first entry's data is the whole second entry, so that one small piece of data counts many times.
fn overlapping() -> Vec<u8> {
    let inner = only(b());
    let stolen = u32::try_from(inner.len()).unwrap();
    let outer = RawEntry::stored(entry_name("a.go"), "").both(|header| {
        header.size = stolen;
        header.compressed = stolen;
    });
    RawZip::of([outer, b()]).build()
}
