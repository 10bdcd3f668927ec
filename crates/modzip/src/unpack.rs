//! One entry, unpacked and verified while its bytes pass by: local header, data, data descriptor.

use std::io;
use std::ops::Range;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::directory::{Method, Record};
use crate::entry::Entry;
use crate::error::{EntryFlaw, Error};
use crate::fields::{DESCRIPTOR, Fields, LOCAL, LOCAL_LEN, flag};
use crate::zip64::widen;

/// Takes the content of an entry, a part at a time.
pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// Bytes inflated at once.
const OUT: usize = 64 << 10;

/// Longest data descriptor: signature, CRC-32, two sizes of 64 bits.
const MAX_DESCRIPTOR: usize = 24;

/// Flags on which the two headers of an entry must agree.
const COMMON_FLAGS: u16 = flag::ENCRYPTED
    | flag::DESCRIPTOR
    | flag::STRONG_ENCRYPTION
    | flag::UTF8
    | flag::MASKED_HEADERS;

/// The buffers that unpacking needs, to be used for one entry after the other.
pub(crate) struct Unpacker {
    inflate: Decompress,
    out: Vec<u8>,
}

/// An entry on its way through an [`Unpacker`].
pub(crate) struct Unpacking<'a> {
    unpacker: &'a mut Unpacker,
    entry: Entry<'a>,
    /// Position of the data in the entry's span.
    data: Range<u64>,
    /// Bytes of the span that have passed.
    passed: u64,
    /// What followed the data.
    descriptor: Vec<u8>,
    produced: u64,
    crc: Crc,
    /// The deflate stream has come to its end.
    ended: bool,
}

impl Unpacker {
    pub(crate) fn new() -> Self {
        Self {
            inflate: Decompress::new(false),
            out: vec![0; OUT],
        }
    }

    /// Starts with `entry`. `head` is the beginning of its span with the whole local header.
    pub(crate) fn begin<'a>(
        &'a mut self,
        entry: Entry<'a>,
        head: &[u8],
    ) -> Result<Unpacking<'a>, Error> {
        let data = place_data(entry, head).map_err(|flaw| entry.error(flaw))?;
        self.inflate.reset(false);
        Ok(Unpacking {
            unpacker: self,
            entry,
            data,
            passed: 0,
            descriptor: Vec::new(),
            produced: 0,
            crc: Crc::new(),
            ended: false,
        })
    }
}

impl Unpacking<'_> {
    /// Takes the next bytes of the span (the first ones being those that [`Unpacker::begin`] looked at).
    pub(crate) fn push(&mut self, chunk: &[u8], sink: &mut Sink<'_>) -> Result<(), Error> {
        let (data, behind) = self.split(chunk);
        self.passed += chunk.len() as u64;
        if !data.is_empty() {
            match self.entry.record.method {
                Method::Stored => self.emit(data, sink)?,
                Method::Deflated => self.inflate(data, sink)?,
            }
        }
        if self.descriptor.len() + behind.len() > MAX_DESCRIPTOR {
            return Err(self.stray_data());
        }
        self.descriptor.extend_from_slice(behind);
        Ok(())
    }

    /// Says whether all of the entry was as declared.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let record = self.entry.record;
        let flaw = if record.method == Method::Deflated && !self.ended && !self.is_empty_dir() {
            EntryFlaw::CorruptData
        } else if self.produced != record.size {
            EntryFlaw::SmallerThanDeclared {
                declared: record.size,
            }
        } else if self.crc.sum() != record.crc {
            EntryFlaw::Checksum
        } else if self.entry.is_dir() && record.size != 0 {
            EntryFlaw::ImpossibleSize
        } else if is_described(&self.descriptor, record) {
            return Ok(());
        } else if record.has_descriptor() {
            EntryFlaw::DescriptorDisagrees
        } else {
            return Err(self.stray_data());
        };
        Err(self.entry.error(flaw))
    }

    /// Writers differ in what they call the method of a directory, which has no data.
    fn is_empty_dir(&self) -> bool {
        self.entry.is_dir() && self.entry.record.compressed == 0
    }

    /// The part of `chunk` that is data, and the part behind the data.
    fn split<'c>(&self, chunk: &'c [u8]) -> (&'c [u8], &'c [u8]) {
        let len = chunk.len() as u64;
        let place = |position: u64| {
            usize::try_from(position.saturating_sub(self.passed).min(len)).unwrap_or(chunk.len())
        };
        let (up_to_end, behind) = chunk.split_at(place(self.data.end));
        let data = up_to_end.get(place(self.data.start)..).unwrap_or_default();
        (data, behind)
    }

    fn inflate(&mut self, mut input: &[u8], sink: &mut Sink<'_>) -> Result<(), Error> {
        if self.ended {
            return Err(self.entry.error(EntryFlaw::TrailingData));
        }
        // Whoever is told that this is all need not keep what would be referred to later.
        let is_all = input.len() as u64 == self.entry.record.compressed;
        let flush = if is_all {
            FlushDecompress::Finish
        } else {
            FlushDecompress::None
        };
        loop {
            let mut out = std::mem::take(&mut self.unpacker.out);
            let inflate = &mut self.unpacker.inflate;
            let before = (inflate.total_in(), inflate.total_out());
            let status = inflate
                .decompress(input, &mut out, flush)
                .map_err(|_| self.entry.error(EntryFlaw::CorruptData))?;
            // Both are bounded by the lengths of the two slices.
            let read = usize::try_from(inflate.total_in() - before.0).unwrap_or(usize::MAX);
            let written = usize::try_from(inflate.total_out() - before.1).unwrap_or(usize::MAX);
            self.emit(out.get(..written).unwrap_or_default(), sink)?;
            let out_is_full = written == out.len();
            self.unpacker.out = out;
            input = input.get(read..).unwrap_or_default();

            if status == Status::StreamEnd {
                self.ended = true;
                if !input.is_empty() {
                    return Err(self.entry.error(EntryFlaw::TrailingData));
                }
                return Ok(());
            }
            if input.is_empty() && !out_is_full {
                return Ok(());
            }
            if read == 0 && written == 0 {
                return Err(self.entry.error(EntryFlaw::CorruptData));
            }
        }
    }

    fn emit(&mut self, content: &[u8], sink: &mut Sink<'_>) -> Result<(), Error> {
        let declared = self.entry.record.size;
        self.produced = self.produced.saturating_add(content.len() as u64);
        if self.produced > declared {
            return Err(self.entry.error(EntryFlaw::LargerThanDeclared { declared }));
        }
        self.crc.update(content);
        sink(content).map_err(Error::io("write content of a zip"))
    }

    fn stray_data(&self) -> Error {
        let span = &self.entry.record.span;
        let offset = span.start.saturating_add(self.data.end);
        Error::StrayData {
            offset,
            bytes: span.end.saturating_sub(offset),
        }
    }
}

/// Compares the local header at the start of `head` with the central directory and says where in the
/// entry's span its data is.
pub(crate) fn place_data(entry: Entry<'_>, head: &[u8]) -> Result<Range<u64>, EntryFlaw> {
    let (local, header_len) = LocalHeader::parse(head).ok_or(EntryFlaw::NoLocalHeader)?;
    let record = entry.record;
    local.compare(entry).map_err(EntryFlaw::HeadersDisagree)?;
    let start = header_len as u64;
    let end = start.saturating_add(record.compressed);
    if end > record.span.end - record.span.start {
        return Err(EntryFlaw::Overlap);
    }
    Ok(start..end)
}

struct LocalHeader<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u32,
    size: u32,
    name: &'a [u8],
    extra: &'a [u8],
}

impl<'a> LocalHeader<'a> {
    /// The header and its length.
    fn parse(head: &'a [u8]) -> Option<(Self, usize)> {
        let mut fields = Fields(head);
        fields.signature(LOCAL)?;
        let _version = fields.u16()?;
        let flags = fields.u16()?;
        let method = fields.u16()?;
        let _modified = fields.u32()?;
        let crc = fields.u32()?;
        let compressed = fields.u32()?;
        let size = fields.u32()?;
        let [name_len, extra_len] = [fields.u16()?, fields.u16()?].map(usize::from);
        let name = fields.bytes(name_len)?;
        let extra = fields.bytes(extra_len)?;
        let header = Self {
            flags,
            method,
            crc,
            compressed,
            size,
            name,
            extra,
        };
        Some((header, LOCAL_LEN + name_len + extra_len))
    }

    /// Says about what the two headers disagree. Behind a streaming writer, which knows CRC and sizes only
    /// after the data, the local header may have zeros for them.
    fn compare(&self, entry: Entry<'_>) -> Result<(), &'static str> {
        let record = entry.record;
        if self.name != entry.name() {
            return Err("name");
        }
        if self.method != record.method.number() {
            return Err("compression method");
        }
        if self.flags & COMMON_FLAGS != record.flags & COMMON_FLAGS {
            return Err("flags");
        }
        let later = record.has_descriptor();
        if self.crc != record.crc && !(later && self.crc == 0) {
            return Err("CRC-32");
        }
        let [size, compressed] =
            widen([self.size, self.compressed], self.extra).ok_or("zip64 sizes")?;
        let agrees = |local: u64, central: u64| local == central || (later && local == 0);
        if !agrees(size, record.size) || !agrees(compressed, record.compressed) {
            return Err("size");
        }
        Ok(())
    }
}

/// Whether behind the data is what must be there: a descriptor that agrees, or nothing.
pub(crate) fn is_described(behind: &[u8], record: &Record) -> bool {
    if record.has_descriptor() {
        describes(behind, record)
    } else {
        behind.is_empty()
    }
}

/// Whether `descriptor` is one in any of its four forms (with or without signature, sizes of 32 or 64
/// bits; APPNOTE 4.3.9) and says the same as the central directory.
fn describes(descriptor: &[u8], record: &Record) -> bool {
    let has_signature = matches!(descriptor.len(), 16 | 24);
    let has_wide_sizes = matches!(descriptor.len(), 20 | 24);
    let mut fields = Fields(descriptor);
    let parsed = (|| {
        if has_signature {
            fields.signature(DESCRIPTOR)?;
        }
        let crc = fields.u32()?;
        let mut size = || {
            if has_wide_sizes {
                fields.u64()
            } else {
                fields.u32().map(u64::from)
            }
        };
        Some((crc, size()?, size()?))
    })();
    parsed == Some((record.crc, record.compressed, record.size)) && fields.0.is_empty()
}
