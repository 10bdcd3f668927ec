//! The central directory: one record for each entry, and which bytes of the file belong to which entry.

use std::ops::Range;

use bstr::BStr;

use crate::error::{EntryFlaw, Error};
use crate::fields::{CENTRAL, CENTRAL_LEN, Fields, LOCAL_LEN, flag};
use crate::zip64::widen;

/// What the central directory says about an entry.
#[derive(Debug)]
pub(crate) struct Record {
    /// Where its name is in the directory.
    name: Range<usize>,
    pub(crate) flags: u16,
    pub(crate) method: Method,
    pub(crate) crc: u32,
    pub(crate) compressed: u64,
    pub(crate) size: u64,
    /// The bytes of the file that are this entry: local header, data and data descriptor.
    pub(crate) span: Range<u64>,
}

/// How the data of an entry is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Stored,
    Deflated,
}

impl Method {
    /// The format's number for it.
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Stored => 0,
            Self::Deflated => 8,
        }
    }

    fn of_number(number: u16) -> Option<Self> {
        [Self::Stored, Self::Deflated]
            .into_iter()
            .find(|method| method.number() == number)
    }
}

impl Record {
    pub(crate) fn name<'a>(&self, directory: &'a [u8]) -> &'a BStr {
        BStr::new(directory.get(self.name.clone()).unwrap_or_default())
    }

    pub(crate) fn has_descriptor(&self) -> bool {
        self.flags & flag::DESCRIPTOR != 0
    }

    /// Fewest bytes that the entry takes in the file, whatever its local header says.
    fn least_len(&self) -> u64 {
        self.compressed.saturating_add(LOCAL_LEN as u64)
    }
}

/// The `count` records that make up `directory`, in its order. Their spans start at the local header
/// and have no end yet.
pub(crate) fn parse(directory: &[u8], count: u64) -> Result<Vec<Record>, Error> {
    let count = usize::try_from(count)
        .ok()
        .filter(|count| {
            count
                .checked_mul(CENTRAL_LEN)
                .is_some_and(|least| least <= directory.len())
        })
        .ok_or(Error::DirectoryMismatch(
            "it is too short for its number of entries",
        ))?;
    let mut records = Vec::with_capacity(count);
    let mut fields = Fields(directory);
    for _ in 0..count {
        let raw = RawRecord::take(&mut fields, directory.len()).ok_or(Error::DirectoryMismatch(
            "it has fewer entries than the end says",
        ))?;
        let name = raw.name.clone();
        let record = raw.judge().map_err(|flaw| Error::Entry {
            name: directory.get(name).unwrap_or_default().into(),
            flaw,
        })?;
        records.push(record);
    }
    if !fields.0.is_empty() {
        return Err(Error::DirectoryMismatch(
            "it has more than the entries the end counts",
        ));
    }
    Ok(records)
}

struct RawRecord<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u32,
    size: u32,
    disk: u16,
    offset: u32,
    name: Range<usize>,
    extra: &'a [u8],
}

impl<'a> RawRecord<'a> {
    fn take(fields: &mut Fields<'a>, directory_len: usize) -> Option<Self> {
        fields.signature(CENTRAL)?;
        let _versions = fields.u32()?;
        let flags = fields.u16()?;
        let method = fields.u16()?;
        let _modified = fields.u32()?;
        let crc = fields.u32()?;
        let compressed = fields.u32()?;
        let size = fields.u32()?;
        let lens = [fields.u16()?, fields.u16()?, fields.u16()?];
        let [name_len, extra_len, comment_len] = lens.map(usize::from);
        let disk = fields.u16()?;
        let _attributes = (fields.u16()?, fields.u32()?);
        let offset = fields.u32()?;
        let name_at = directory_len - fields.0.len();
        fields.bytes(name_len)?;
        let extra = fields.bytes(extra_len)?;
        fields.bytes(comment_len)?;
        let name = name_at..name_at + name_len;
        Some(Self {
            flags,
            method,
            crc,
            compressed,
            size,
            disk,
            offset,
            name,
            extra,
        })
    }

    fn judge(self) -> Result<Record, EntryFlaw> {
        if self.flags & (flag::ENCRYPTED | flag::STRONG_ENCRYPTION | flag::MASKED_HEADERS) != 0 {
            return Err(EntryFlaw::Encrypted);
        }
        if self.disk != 0 {
            return Err(EntryFlaw::OtherDisk);
        }
        let method =
            Method::of_number(self.method).ok_or(EntryFlaw::UnsupportedMethod(self.method))?;
        let [size, compressed, offset] =
            widen([self.size, self.compressed, self.offset], self.extra).ok_or(EntryFlaw::Zip64)?;
        if method == Method::Stored && size != compressed {
            return Err(EntryFlaw::ImpossibleSize);
        }
        Ok(Record {
            name: self.name,
            flags: self.flags,
            method,
            crc: self.crc,
            compressed,
            size,
            span: offset..offset,
        })
    }
}

/// Gives each record the bytes up to the next one, and returns the order in which they fill the file.
pub(crate) fn assign_spans(
    directory: &[u8],
    records: &mut [Record],
    directory_at: u64,
) -> Result<Vec<usize>, Error> {
    let mut by_offset: Vec<_> = records
        .iter()
        .map(|record| record.span.start)
        .enumerate()
        .collect();
    by_offset.sort_unstable_by_key(|&(index, offset)| (offset, index));
    let first = by_offset
        .first()
        .map_or(directory_at, |&(_, offset)| offset);
    if first != 0 {
        return Err(Error::StrayData {
            offset: 0,
            bytes: first,
        });
    }
    let ends = by_offset
        .iter()
        .skip(1)
        .map(|&(_, offset)| offset)
        .chain([directory_at]);
    for (&(index, start), end) in by_offset.iter().zip(ends) {
        let Some(record) = records.get_mut(index) else {
            continue;
        };
        if end
            .checked_sub(start)
            .is_none_or(|len| len < record.least_len())
        {
            return Err(Error::Entry {
                name: record.name(directory).into(),
                flaw: EntryFlaw::Overlap,
            });
        }
        record.span = start..end;
    }
    Ok(by_offset.into_iter().map(|(index, _)| index).collect())
}
