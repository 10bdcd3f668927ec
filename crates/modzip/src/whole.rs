//! Entries inflated in one piece: about twice as fast as a part at a time.

use libdeflater::Decompressor;
use memchr::memmem;

use crate::directory::Method;
use crate::entry::Entry;
use crate::unpack::{is_described, place_data};

/// The most bytes, packed or not, of an entry that is inflated in one piece.
const MAX: usize = 1 << 20;

/// What a gzip file begins with that has no name and no time.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The buffers for entries that are inflated in one piece, one after the other: at most 2 MiB.
///
/// It is for zips that `go` has unpacked before (those of a module cache): what nobody has verified yet is for
/// [`Unpacker`](crate::unpack::Unpacker), in which there is no line of C.
pub(crate) struct Whole {
    inflate: Decompressor,
    packed: Vec<u8>,
    content: Vec<u8>,
}

impl Whole {
    pub(crate) fn new() -> Self {
        Self {
            inflate: Decompressor::new(),
            packed: Vec::new(),
            content: Vec::new(),
        }
    }

    /// The content of `entry`, whose span of the file is `span`, verified as by the unpacker. `None`: it is too large or
    /// not deflated, or something is wrong with it. What that is, the unpacker can tell.
    pub(crate) fn content(&mut self, entry: Entry<'_>, span: &[u8]) -> Option<&[u8]> {
        let record = entry.record;
        let size = usize::try_from(record.size)
            .ok()
            .filter(|size| *size <= MAX)?;
        if record.method != Method::Deflated || span.len() > MAX || entry.is_dir() {
            return None;
        }
        let place = place_data(entry, span).ok()?;
        let data =
            span.get(usize::try_from(place.start).ok()?..usize::try_from(place.end).ok()?)?;
        let behind = span.get(usize::try_from(place.end).ok()?..)?;
        if !is_described(behind, record) {
            return None;
        }

        // As a gzip file, so that size and CRC-32 are compared on the way. The library passes over what follows the end:
        // where those two are read, which is where the deflate stream ends, must not be anywhere but behind the data.
        let mut trailer = [0; 8];
        let (crc, isize) = trailer.split_at_mut(4);
        crc.copy_from_slice(&record.crc.to_le_bytes());
        isize.copy_from_slice(&u32::try_from(size).ok()?.to_le_bytes());
        self.packed.clear();
        self.packed.extend_from_slice(&GZIP_HEADER);
        self.packed.extend_from_slice(data);
        self.packed.extend_from_slice(&trailer);
        let data_and_trailer = self.packed.get(GZIP_HEADER.len()..)?;
        if memmem::find(data_and_trailer, &trailer) != Some(data.len()) {
            return None;
        }

        if self.content.len() < size {
            self.content.resize(size, 0);
        }
        let content = self.content.get_mut(..size)?;
        let written = self.inflate.gzip_decompress(&self.packed, content).ok()?;
        (written == size).then_some(content)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::archive::Archive;
    use crate::unpack::Unpacker;

    /// A zip with one entry, whose deflated data is `data`.
    fn zip(data: &[u8], crc: u32, size: u32) -> Vec<u8> {
        let field = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let common = |zip: &mut Vec<u8>| {
            zip.extend([20, 0, 0, 0, 8, 0, 0, 0, 0, 0]);
            zip.extend(crc.to_le_bytes());
            zip.extend(field(data.len()));
            zip.extend(size.to_le_bytes());
            zip.extend([1, 0, 0, 0]);
        };
        let mut zip = b"PK\x03\x04".to_vec();
        common(&mut zip);
        zip.push(b'a');
        zip.extend(data);
        let directory = zip.len();
        zip.extend(b"PK\x01\x02\x14\x00");
        common(&mut zip);
        zip.extend([0; 14]);
        zip.push(b'a');
        let len = zip.len() - directory;
        zip.extend(b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00");
        zip.extend(field(len));
        zip.extend(field(directory));
        zip.extend([0, 0]);
        zip
    }

    /// What the two make of the entry.
    fn both(zip: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let archive = Archive::open(zip, zip.len() as u64).unwrap();
        let entry = archive.entries().next().unwrap();
        let mut span = Vec::new();
        archive.read(&entry.record.span, &mut span).unwrap();
        let whole = Whole::new().content(entry, &span).map(<[u8]>::to_vec);
        let mut parts = Vec::new();
        let mut sink = |bytes: &[u8]| {
            parts.extend_from_slice(bytes);
            Ok(())
        };
        let unpacked = archive.unpack(&mut Unpacker::new(), entry, &mut sink);
        (whole, unpacked.ok().map(|()| parts))
    }

    fn deflated(content: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn crc(content: &[u8]) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        crc.sum()
    }

    fn len(content: &[u8]) -> u32 {
        u32::try_from(content.len()).unwrap()
    }

    fn content() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..3_000),
            prop::collection::vec(prop::sample::select(vec![b'a', b'b', b'\n']), 0..90_000),
        ]
    }

    proptest! {
        #[test]
        fn what_is_sound_is_the_same_in_one_piece(content in content(), level in 0_u32..10) {
            let zip = zip(&deflated(&content, level), crc(&content), len(&content));
            let (whole, parts) = both(&zip);
            prop_assert_eq!(parts.as_ref(), Some(&content));
            prop_assert_eq!(whole.as_ref(), Some(&content));
        }

        #[test]
        fn what_is_damaged_is_never_taken_in_one_piece_alone(
            content in content(),
            level in 0_u32..10,
            at in any::<prop::sample::Index>(),
            bit in 0_u32..8,
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut data = deflated(&content, level);
            if let Some(cut) = cut {
                data.truncate(cut.index(data.len()));
            }
            if !data.is_empty() {
                let at = at.index(data.len());
                data[at] ^= 1_u8 << bit;
            }
            let (whole, parts) = both(&zip(&data, crc(&content), len(&content)));
            prop_assert!(whole.is_none() || whole == parts, "{:?} and not {:?}", whole, parts);
        }
    }

    #[test]
    fn what_follows_the_end_is_refused_whatever_it_looks_like() {
        let content = b"content ".repeat(40);
        let (crc, size) = (crc(&content), len(&content));
        let trailer = [crc.to_le_bytes(), size.to_le_bytes()].concat();
        for more in [
            &b"x"[..],
            &trailer,
            &trailer[..3],
            &[&trailer[..], b"more"].concat(),
        ] {
            let data = [&deflated(&content, 6), more].concat();
            assert_eq!(both(&zip(&data, crc, size)), (None, None), "{more:?}");
        }
    }

    #[test]
    fn another_size_and_another_checksum_are_refused() {
        let content = b"content ".repeat(40);
        let data = deflated(&content, 6);
        let (crc, size) = (crc(&content), len(&content));
        assert!(both(&zip(&data, crc, size)).0.is_some());
        for (crc, size) in [(crc ^ 1, size), (crc, size - 1), (crc, size + 1), (crc, 0)] {
            assert_eq!(both(&zip(&data, crc, size)), (None, None), "{crc} {size}");
        }
    }

    #[test]
    fn what_is_large_is_left_to_the_unpacker() {
        let content = vec![b'a'; MAX + 1];
        let zip = zip(&deflated(&content, 6), crc(&content), len(&content));
        let (whole, parts) = both(&zip);
        assert_eq!(whole, None);
        assert!(parts.is_some());
    }
}
