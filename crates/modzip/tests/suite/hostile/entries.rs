//! Is an entry what its headers say?

use super::{Case, a, b, case, first, only};
use crate::entry_name;
use crate::raw_zip::{RawEntry, RawZip, deflate, zip64_extra};

/// Do the two headers of an entry agree?
pub(super) fn local_header_cases() -> Vec<Case> {
    vec![
        case(
            "local-signature",
            patched(first(a()), 0, b"PK\x01\x02"),
            "a.go\": no local header",
        ),
        case(
            "local-name",
            first(a().local(|local| local.name[21] = b'x')),
            "a.go\": local header and central directory disagree about the name",
        ),
        case(
            "local-name-shorter",
            first(a().local(|local| local.name.truncate(22))),
            "disagree about the name",
        ),
        case(
            "local-method",
            first(a().local(|local| local.method = 0)),
            "disagree about the compression method",
        ),
        case(
            "local-crc",
            first(a().local(|local| local.crc ^= 1)),
            "disagree about the CRC-32",
        ),
        case(
            "local-size",
            first(a().local(|local| local.size += 1)),
            "disagree about the size",
        ),
        case(
            "local-compressed-size",
            first(a().local(|local| local.compressed -= 1)),
            "disagree about the size",
        ),
        case(
            "local-zero-sizes",
            first(a().local(|local| local.size = 0)),
            "disagree about the size",
        ),
        case(
            "local-encrypted",
            first(a().local(|local| local.flags |= 1)),
            "disagree about the flags",
        ),
        case(
            "local-streamed",
            first(a().local(|local| local.flags |= 8)),
            "disagree about the flags",
        ),
        case(
            "local-utf8",
            first(a().local(|local| local.flags |= 1 << 11)),
            "disagree about the flags",
        ),
        case(
            "local-extra-overlap",
            first(
                a().local(|local| local.extra = vec![0; 9])
                    .with(|a| a.data.truncate(3)),
            ),
            "overlaps",
        ),
    ]
}

/// What do both headers say?
pub(super) fn header_cases() -> Vec<Case> {
    vec![
        case(
            "encrypted",
            first(a().both(|header| header.flags |= 1)),
            "a.go\": encrypted",
        ),
        case(
            "strong-encryption",
            first(a().both(|header| header.flags |= 1 << 6)),
            "a.go\": encrypted",
        ),
        case(
            "masked-headers",
            first(a().both(|header| header.flags |= 1 << 13)),
            "a.go\": encrypted",
        ),
        case(
            "bzip2",
            first(a().both(|header| header.method = 12)),
            "a.go\": zip: unsupported compression algorithm (method 12)",
        ),
        case(
            "duplicate",
            RawZip::of([a(), b(), a()]).build(),
            "a.go\": multiple entries with this name",
        ),
        case(
            "newline-in-name",
            only(RawEntry::stored(entry_name("a\nb"), "")),
            "filenames with newlines",
        ),
    ]
}

/// Are the sizes those of the zip64 field?
pub(super) fn zip64_cases() -> Vec<Case> {
    const MARK: u32 = u32::MAX;
    vec![
        case(
            "zip64-size-absent",
            first(a().central(|central| central.size = MARK)),
            "a.go\": zip64 sizes",
        ),
        case(
            "zip64-size-lie",
            first(a().central(|central| {
                central.extra = zip64_extra(&[11, 12]);
            })),
            "a.go\": zip64 sizes",
        ),
        case(
            "zip64-size-huge",
            first(a().both(|header| {
                (header.size, header.extra) =
                    (MARK, zip64_extra(&[u64::MAX, header.compressed.into()]));
            })),
            "a.go\": zip64 sizes",
        ),
        case(
            "zip64-total-overflow",
            RawZip::of([wide(a(), u64::MAX), wide(a(), u64::MAX)]).build(),
            "total uncompressed size",
        ),
        case(
            "zip64-compressed-huge",
            first(a().central(|central| {
                (central.compressed, central.extra) = (MARK, zip64_extra(&[u64::MAX - 10]));
            })),
            "a.go\": overlaps",
        ),
        case(
            "zip64-offset-huge",
            first(
                a().central(|central| central.extra = zip64_extra(&[u64::MAX]))
                    .with(|a| {
                        a.offset = Some(MARK);
                    }),
            ),
            "belong to no entry",
        ),
        case(
            "zip64-local-lie",
            first(a().local(|local| {
                (local.size, local.extra) = (MARK, zip64_extra(&[11]));
            })),
            "disagree about the size",
        ),
        case(
            "zip64-local-absent",
            first(a().local(|local| local.size = MARK)),
            "disagree about the zip64 sizes",
        ),
    ]
}

fn wide(entry: RawEntry, size: u64) -> RawEntry {
    entry.both(|header| {
        header.extra = zip64_extra(&[size]);
        header.size = u32::MAX;
    })
}

fn patched(mut zip: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    zip[at..at + bytes.len()].copy_from_slice(bytes);
    zip
}

pub(super) fn descriptor_cases() -> Vec<Case> {
    let streamed = || a().streamed(true, false);
    vec![
        case(
            "descriptor-crc",
            first(streamed().with(|a| a.descriptor[4] ^= 1)),
            "a.go\": data descriptor",
        ),
        case(
            "descriptor-compressed",
            first(streamed().with(|a| a.descriptor[8] ^= 1)),
            "a.go\": data descriptor",
        ),
        case(
            "descriptor-size",
            first(streamed().with(|a| a.descriptor[12] ^= 1)),
            "a.go\": data descriptor",
        ),
        case(
            "descriptor-signature",
            first(streamed().with(|a| a.descriptor[0] = 0)),
            "a.go\": data descriptor",
        ),
        case(
            "descriptor-absent",
            first(streamed().with(|a| a.descriptor.clear())),
            "a.go\": data descriptor",
        ),
        case(
            "descriptor-cut-off",
            first(streamed().with(|a| a.descriptor.truncate(14))),
            "a.go\": data descriptor",
        ),
        case(
            "descriptor-unannounced",
            first(a().with(|a| a.descriptor = vec![0; 16])),
            "16 bytes at offset 67 belong to no",
        ),
        case(
            "descriptor-then-gap",
            RawZip::of([streamed(), b().with(|b| b.gap = vec![0; 9])]).build(),
            "25 bytes at offset 67",
        ),
        case(
            "streamed-local-size",
            first(streamed().local(|local| local.size = 5)),
            "disagree about the size",
        ),
        case(
            "streamed-local-crc",
            first(streamed().local(|local| local.crc = 5)),
            "disagree about the CRC-32",
        ),
    ]
}

/// Has the content the declared size and checksum?
pub(super) fn size_cases() -> Vec<Case> {
    let bomb = |declared: u32| {
        RawEntry::deflated(entry_name("bomb"), vec![0; 1 << 20])
            .both(|header| header.size = declared)
    };
    vec![
        case(
            "bomb",
            only(bomb(1000)),
            "bomb\": uncompressed size is larger than declared size (1000 bytes)",
        ),
        case(
            "bomb-by-one",
            only(bomb((1 << 20) - 1)),
            "bomb\": uncompressed size is larger than declared",
        ),
        case(
            "bomb-declared-empty",
            only(bomb(0)),
            "bomb\": uncompressed size is larger than declared size (0 bytes)",
        ),
        case(
            "smaller-than-declared",
            only(bomb((1 << 20) + 1)),
            "bomb\": uncompressed size is smaller than declared",
        ),
        case(
            "bomb-in-sum",
            RawZip::of((0..6).map(|index| {
                RawEntry::stored(entry_name(&format!("{index}")), "").both(|header| {
                    (header.method, header.size) = (8, 100 << 20);
                })
            }))
            .build(),
            "total uncompressed size of module contents too large",
        ),
        case(
            "bomb-stored",
            only(b().both(|header| header.size = 1 << 20)),
            "b.go\": impossible size",
        ),
        case(
            "stored-sizes-zip64",
            only(b().both(|header| {
                (header.size, header.extra) = (u32::MAX, zip64_extra(&[100]));
            })),
            "b.go\": impossible size",
        ),
        case(
            "checksum",
            first(a().both(|header| header.crc ^= 1)),
            "a.go\": zip: checksum error",
        ),
        case(
            "checksum-zero",
            first(a().both(|header| header.crc = 0)),
            "a.go\": zip: checksum error",
        ),
        case(
            "data-flipped",
            RawZip::of([a(), b().with(|b| b.data[0] ^= 1)]).build(),
            "b.go\": zip: checksum error",
        ),
    ]
}

/// Is the data a deflate stream and nothing else?
pub(super) fn data_cases() -> Vec<Case> {
    let zeros = deflate(&vec![0; 1 << 20]);
    let data = |data: Vec<u8>| {
        a().with(|a| a.data.clone_from(&data))
            .both(|header| header.compressed = u32::try_from(data.len()).unwrap())
    };
    let good = a().data;
    vec![
        case(
            "deflate-cut-off",
            first(data(good[..good.len() - 1].to_vec())),
            "a.go\": corrupt compressed data",
        ),
        case(
            "deflate-without-data",
            first(data(Vec::new())),
            "a.go\": corrupt compressed data",
        ),
        case(
            "deflate-garbage",
            first(data(vec![0xff; 12])),
            "a.go\": corrupt compressed data",
        ),
        case(
            "deflate-then-data",
            first(data([&good[..], b"unseen"].concat())),
            "a.go\": data after the end",
        ),
        case(
            "two-deflate-streams",
            first(data([&good[..], &good].concat())),
            "a.go\": data after the end",
        ),
        case(
            "long-trailing-data",
            first(data([&good[..], &vec![1; 300_000]].concat())),
            "a.go\": data after the end",
        ),
        case(
            "far-distance",
            first(data(vec![0x4b, 0x84, 0xe1, 0x00])),
            "a.go\": corrupt compressed data",
        ),
        case(
            "directory-with-data",
            only(RawEntry::stored(entry_name("d/"), "x")),
            "d/\": impossible size",
        ),
        case(
            "directory-bomb",
            only(
                RawEntry::deflated(entry_name("d/"), "")
                    .with(|d| d.data = zeros)
                    .both(|header| {
                        header.compressed =
                            u32::try_from(deflate(&vec![0; 1 << 20]).len()).unwrap();
                    }),
            ),
            "d/\": uncompressed size is larger",
        ),
    ]
}
