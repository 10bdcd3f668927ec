//! A zip file, opened: its entries, each with the bytes of the file that are its own.

use std::fmt;
use std::io;
use std::ops::Range;

use crate::directory::{self, Record};
use crate::end::locate;
use crate::entry::Entry;
use crate::error::Error;
use crate::limits::MAX_ZIP;
use crate::read_at::ReadAt;
use crate::unpack::{Sink, Unpacker};

/// How much of a large entry is read at once: more than a local header can be long (30 + 2 x 65535 bytes).
pub(crate) const CHUNK: usize = 256 << 10;

/// A zip whose central directory was read and found sound.
///
/// Sound means: there is one way only to find the directory; the entries, in the order of their offsets,
/// fill the file from its first byte to the directory, without gap or overlap; each is stored or deflated, not
/// encrypted. Go reads archives with gaps, leading or trailing data too, but nothing that makes module zips
/// writes them, and they are where two readers can see two different archives.
///
/// Names are not judged here ([`check_zip`](crate::check_zip()) does), local headers and data when they are read.
pub struct Archive<S> {
    source: S,
    directory: Vec<u8>,
    records: Vec<Record>,
    /// Indices of `records` in the order of their place in the file.
    by_offset: Vec<usize>,
}

impl<S> fmt::Debug for Archive<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("entries", &self.records.len())
            .finish_non_exhaustive()
    }
}

impl<S: ReadAt> Archive<S> {
    /// Reads the end and the central directory of the zip of `size` bytes.
    pub fn open(source: S, size: u64) -> Result<Self, Error> {
        let place = locate(&source, size)?;
        // MAX_DIRECTORY fits any usize.
        let mut directory = vec![0; usize::try_from(place.size).unwrap_or(usize::MAX)];
        source
            .read_exact_at(&mut directory, place.offset)
            .map_err(Error::reading_zip)?;
        let mut records = directory::parse(&directory, place.count)?;
        let by_offset = directory::assign_spans(&directory, &mut records, place.offset)?;
        Ok(Self {
            source,
            directory,
            records,
            by_offset,
        })
    }

    /// The entries in the order of the central directory.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.records.iter().map(|record| self.entry(record))
    }

    /// Writes the content of `entry` (one of [`Self::entries`]) to `sink`.
    ///
    /// Never writes more than the declared size. When it fails, `sink` may have got a part.
    pub fn copy(&self, entry: Entry<'_>, sink: &mut dyn io::Write) -> Result<(), Error> {
        let mut write = |bytes: &[u8]| sink.write_all(bytes);
        self.unpack(&mut Unpacker::new(), entry, &mut write)
    }

    /// The entries in the order of their place in the file.
    pub(crate) fn entries_by_offset(&self) -> impl Iterator<Item = Entry<'_>> {
        self.by_offset
            .iter()
            .filter_map(|&index| Some(self.entry(self.records.get(index)?)))
    }

    /// Fails when the declared sizes are more than the limit together.
    pub(crate) fn refuse_excess(&self) -> Result<(), Error> {
        let add =
            |sum: u64, record: &Record| sum.checked_add(record.size).filter(|&sum| sum <= MAX_ZIP);
        match self.records.iter().try_fold(0, add) {
            Some(_) => Ok(()),
            None => Err(Error::ContentTooLarge),
        }
    }

    /// Reads the bytes `span` of the file into `buf`.
    pub(crate) fn read(&self, span: &Range<u64>, buf: &mut Vec<u8>) -> Result<(), Error> {
        // Spans are within the zip, which is at most MAX_ZIP long.
        buf.resize(
            usize::try_from(span.end - span.start).unwrap_or(usize::MAX),
            0,
        );
        self.source
            .read_exact_at(buf, span.start)
            .map_err(Error::reading_zip)
    }

    /// Verifies `entry` while its content goes to `sink`, a part at a time.
    pub(crate) fn unpack(
        &self,
        unpacker: &mut Unpacker,
        entry: Entry<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let span = &entry.record.span;
        let mut at = span.start;
        let mut next_chunk = |buf: &mut Vec<u8>| {
            let end = span.end.min(at.saturating_add(CHUNK as u64));
            self.read(&(at..end), buf)?;
            at = end;
            Ok::<_, Error>(())
        };
        let mut chunk = Vec::new();
        next_chunk(&mut chunk)?;
        let mut unpacking = unpacker.begin(entry, &chunk)?;
        while !chunk.is_empty() {
            unpacking.push(&chunk, sink)?;
            next_chunk(&mut chunk)?;
        }
        unpacking.finish()
    }

    fn entry<'a>(&'a self, record: &'a Record) -> Entry<'a> {
        Entry::new(record.name(&self.directory), record)
    }
}
