//! Writes a zip to a stream: the plain form of the format that Go's writer uses for modules.

use std::io::Write;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::directory::Method;
use crate::error::Error;
use crate::fields::{
    CENTRAL, DESCRIPTOR, END, END64, END64_LEN, IN_ZIP64_16, IN_ZIP64_32, LOCAL, LOCATOR64, flag,
};
use crate::limits::MAX_ZIP;

/// zlib's own default: 9 is half as fast and saves 1 %.
const LEVEL: u32 = 6;

/// Entries up to this size are held back until their compressed size is known, so that it can be written in
/// front of them. Larger ones are streamed, with a data descriptor behind.
const IN_MEMORY: u64 = 8 << 20;

/// Bytes compressed at once.
const OUT: usize = 64 << 10;

/// Version 2.0 of the format (deflate), on a system without file attributes.
const VERSION: u16 = 20;

/// Version 4.5 of the format (zip64).
const VERSION_ZIP64: u16 = 45;

/// Zip of at most [`MAX_ZIP`] bytes on its way to `sink`, so that only the number of entries ever asks for zip64.
pub(crate) struct ZipWriter<W> {
    sink: W,
    written: u64,
    directory: Vec<u8>,
    entries: u64,
    compress: Compress,
    out: Vec<u8>,
}

/// The entry that is being written.
pub(crate) struct EntryWriter<'a, W> {
    zip: &'a mut ZipWriter<W>,
    name: &'a str,
    flags: u16,
    offset: u64,
    /// Compressed data that waits for its header; `None` when it is streamed.
    held: Option<Vec<u8>>,
    crc: Crc,
    size: u64,
    compressed: u64,
}

impl<W: Write> ZipWriter<W> {
    pub(crate) fn new(sink: W) -> Self {
        Self {
            sink,
            written: 0,
            directory: Vec::new(),
            entries: 0,
            compress: Compress::new(Compression::new(LEVEL), false),
            out: vec![0; OUT],
        }
    }

    /// Starts an entry whose content will be `size` bytes.
    pub(crate) fn start_entry<'a>(
        &'a mut self,
        name: &'a str,
        size: u64,
    ) -> Result<EntryWriter<'a, W>, Error> {
        self.compress.reset();
        let streamed = size > IN_MEMORY;
        let mut flags = if name.is_ascii() { 0 } else { flag::UTF8 };
        if streamed {
            flags |= flag::DESCRIPTOR;
        }
        let entry = EntryWriter {
            name,
            flags,
            offset: self.written,
            held: (!streamed).then(Vec::new),
            crc: Crc::new(),
            size: 0,
            compressed: 0,
            zip: self,
        };
        if streamed {
            let header = entry.local_header([0; 3])?;
            entry.zip.emit(&header)?;
        }
        Ok(entry)
    }

    /// Writes the central directory and the end; returns the bytes of the whole zip.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        let offset = self.written;
        let directory = std::mem::take(&mut self.directory);
        self.emit(&directory)?;
        let end = end_records(self.entries, directory.len() as u64, offset)?;
        self.emit(&end)?;
        self.sink.flush().map_err(Error::io("write zip"))?;
        Ok(self.written)
    }

    fn emit(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.written = self.written.saturating_add(bytes.len() as u64);
        if self.written > MAX_ZIP {
            return Err(Error::ZipTooLarge { size: self.written });
        }
        self.sink.write_all(bytes).map_err(Error::io("write zip"))
    }
}

impl<W: Write> EntryWriter<'_, W> {
    /// Adds to the content.
    pub(crate) fn write(&mut self, mut content: &[u8]) -> Result<(), Error> {
        self.crc.update(content);
        self.size = self.size.saturating_add(content.len() as u64);
        while !content.is_empty() {
            let (read, _) = self.compress(content, FlushCompress::None)?;
            content = content.get(read..).unwrap_or_default();
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<(), Error> {
        while self.compress(&[], FlushCompress::Finish)?.1 != Status::StreamEnd {}
        let numbers = [self.crc.sum(), narrow(self.compressed)?, narrow(self.size)?];
        if let Some(data) = self.held.take() {
            let header = self.local_header(numbers)?;
            self.zip.emit(&header)?;
            self.zip.emit(&data)?;
        } else {
            let descriptor = [&DESCRIPTOR[..], &numbers.map(u32::to_le_bytes).concat()].concat();
            self.zip.emit(&descriptor)?;
        }
        self.add_to_directory(numbers)
    }

    /// One step of compression: how many bytes of `content` were taken, and whether all is out.
    fn compress(&mut self, content: &[u8], flush: FlushCompress) -> Result<(usize, Status), Error> {
        let mut out = std::mem::take(&mut self.zip.out);
        let compress = &mut self.zip.compress;
        let before = (compress.total_in(), compress.total_out());
        let status = compress
            .compress(content, &mut out, flush)
            .map_err(|error| Error::io("compress")(error.into()))?;
        // Both are bounded by the lengths of the two slices.
        let read = usize::try_from(compress.total_in() - before.0).unwrap_or(usize::MAX);
        let written = usize::try_from(compress.total_out() - before.1).unwrap_or(usize::MAX);
        let data = out.get(..written).unwrap_or_default();
        self.compressed = self.compressed.saturating_add(data.len() as u64);
        match &mut self.held {
            Some(held) => held.extend_from_slice(data),
            None => self.zip.emit(data)?,
        }
        self.zip.out = out;
        Ok((read, status))
    }

    /// Header in front of the data, with the CRC and the two sizes in `numbers`.
    fn local_header(&self, numbers: [u32; 3]) -> Result<Vec<u8>, Error> {
        let mut header = Vec::from(LOCAL);
        header.extend(VERSION.to_le_bytes());
        self.extend_common(&mut header, numbers)?;
        header.extend(self.name.as_bytes());
        Ok(header)
    }

    fn add_to_directory(self, numbers: [u32; 3]) -> Result<(), Error> {
        let mut record = Vec::from(CENTRAL);
        record.extend([VERSION, VERSION].map(u16::to_le_bytes).concat());
        self.extend_common(&mut record, numbers)?;
        // No comment, first disk, no attributes.
        record.extend([0; 10]);
        record.extend(narrow(self.offset)?.to_le_bytes());
        record.extend(self.name.as_bytes());
        self.zip.directory.extend(record);
        self.zip.entries += 1;
        Ok(())
    }

    /// The fields that both headers have, from the flags to the length of the extra field.
    fn extend_common(&self, header: &mut Vec<u8>, numbers: [u32; 3]) -> Result<(), Error> {
        let name_len = u16::try_from(self.name.len())
            .map_err(|_| Error::io("write zip")(std::io::Error::other("file name is too long")))?;
        header.extend(
            [self.flags, Method::Deflated.number()]
                .map(u16::to_le_bytes)
                .concat(),
        );
        let (time, date) = ([0; 2], [0; 2]);
        header.extend([time, date].concat());
        header.extend(numbers.map(u32::to_le_bytes).concat());
        let extra_len = 0;
        header.extend([name_len, extra_len].map(u16::to_le_bytes).concat());
        Ok(())
    }
}

/// What follows the central directory.
fn end_records(entries: u64, size: u64, offset: u64) -> Result<Vec<u8>, Error> {
    let mut end = Vec::new();
    let short_entries = u16::try_from(entries)
        .ok()
        .filter(|&entries| entries != IN_ZIP64_16);
    if short_entries.is_none() {
        let end64_at = offset + size;
        end.extend(END64);
        end.extend((END64_LEN as u64 - 12).to_le_bytes());
        end.extend(
            [VERSION_ZIP64, VERSION_ZIP64]
                .map(u16::to_le_bytes)
                .concat(),
        );
        end.extend([0; 8]);
        end.extend(
            [entries, entries, size, offset]
                .map(u64::to_le_bytes)
                .concat(),
        );
        end.extend(LOCATOR64);
        end.extend([0; 4]);
        end.extend(end64_at.to_le_bytes());
        end.extend(1_u32.to_le_bytes());
    }
    end.extend(END);
    end.extend([0; 4]);
    end.extend(
        [short_entries.unwrap_or(IN_ZIP64_16); 2]
            .map(u16::to_le_bytes)
            .concat(),
    );
    let places = match short_entries {
        Some(_) => [narrow(size)?, narrow(offset)?],
        None => [IN_ZIP64_32; 2],
    };
    end.extend(places.map(u32::to_le_bytes).concat());
    end.extend([0; 2]);
    Ok(end)
}

/// Sizes and offsets are at most [`MAX_ZIP`], or writing has failed before.
fn narrow(number: u64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::ZipTooLarge { size: number })
}
