//! Finds the central directory from the end of the zip.
//!
//! The end of central directory record is found by searching backwards, and an archive can be made so that
//! readers find different ones. Then one reader verifies what another does not see. So exactly one record
//! may qualify, and every byte from the central directory to the end of the file must have its place.

use memchr::memmem;

use crate::error::Error;
use crate::fields::{
    END, END_LEN, END64, END64_LEN, Fields, IN_ZIP64_16, IN_ZIP64_32, LOCATOR64, LOCATOR64_LEN,
};
use crate::hold::HELD_BACK;
use crate::limits::{MAX_DIRECTORY, MAX_ZIP};
use crate::read_at::ReadAt;

/// Where the central directory is, in bytes from the start of the file.
pub(crate) struct Directory {
    pub(crate) offset: u64,
    pub(crate) size: u64,
    /// How many entries it has.
    pub(crate) count: u64,
}

/// Longest possible end: the record with a comment of 65535 bytes.
const TAIL: u64 = END_LEN as u64 + u16::MAX as u64;

/// What the end of central directory record says.
struct End {
    entries: u16,
    size: u32,
    offset: u32,
    comment: u64,
}

/// Finds the central directory of the zip of `size` bytes.
pub(crate) fn locate<S: ReadAt + ?Sized>(source: &S, size: u64) -> Result<Directory, Error> {
    if size > MAX_ZIP {
        return Err(Error::ZipTooLarge { size });
    }
    let tail_at = size.saturating_sub(TAIL);
    let tail = read(source, tail_at, size - tail_at)?;
    let (end_in_tail, end) = find_end(&tail)?;
    let end_at = tail_at + end_in_tail as u64;

    let (directory, directory_end) = match find_locator(source, &end, end_at)? {
        Some((locator_at, end64_at)) => read_end64(source, &end, locator_at, end64_at)?,
        None => (end.plain()?, end_at),
    };
    if size - directory_end > HELD_BACK {
        return Err(Error::CommentTooLong { size: end.comment });
    }
    if directory.size > MAX_DIRECTORY {
        return Err(Error::DirectoryTooLarge {
            size: directory.size,
        });
    }
    if directory.offset.checked_add(directory.size) != Some(directory_end) {
        return Err(Error::DirectoryMismatch("it is not where the end says"));
    }
    Ok(directory)
}

/// The last end record in `tail` and its position there, if no other one could be meant.
fn find_end(tail: &[u8]) -> Result<(usize, End), Error> {
    let cut_off = Error::NotAZip("no end of central directory record (cut off?)");
    let Some(searchable) = tail.len().checked_sub(END_LEN - END.len()) else {
        return Err(cut_off);
    };
    let searchable = tail.get(..searchable).unwrap_or_default();
    let Some(at) = memmem::rfind(searchable, &END) else {
        return Err(cut_off);
    };
    let record = tail.get(at..).unwrap_or_default();
    let Some(end) = parse_end(record)? else {
        return Err(cut_off);
    };
    let rest = (record.len() - END_LEN) as u64;
    if rest < end.comment {
        return Err(Error::NotAZip("archive comment is cut off"));
    }
    if rest > end.comment {
        return Err(Error::TrailingData {
            bytes: rest - end.comment,
        });
    }
    let comment = record.get(END_LEN..).unwrap_or_default();
    if memmem::find(comment, &END).is_some() {
        return Err(Error::AmbiguousEnd(
            "its comment holds the start of another end record",
        ));
    }
    let earlier = searchable.get(..at).unwrap_or_default();
    if memmem::find_iter(earlier, &END).any(|other| reaches_the_end(tail, other)) {
        return Err(Error::AmbiguousEnd(
            "the end record is inside the comment of another one",
        ));
    }
    Ok((at, end))
}

/// Whether an end record at `at` would, with its comment, end exactly where the file ends.
fn reaches_the_end(tail: &[u8], at: usize) -> bool {
    let comment_at = at + END_LEN;
    let len = tail
        .get(comment_at - 2..comment_at)
        .and_then(|len| Fields(len).u16());
    len.is_some_and(|len| comment_at + usize::from(len) == tail.len())
}

/// `None` when `record` is too short.
fn parse_end(record: &[u8]) -> Result<Option<End>, Error> {
    let mut fields = Fields(record);
    let parsed = (|| {
        fields.signature(END)?;
        let disks = [fields.u16()?, fields.u16()?];
        let entries = [fields.u16()?, fields.u16()?];
        Some((disks, entries, fields.u32()?, fields.u32()?, fields.u16()?))
    })();
    let Some((disks, [on_this_disk, entries], size, offset, comment)) = parsed else {
        return Ok(None);
    };
    let one_disk = disks.iter().all(|&disk| disk == 0 || disk == IN_ZIP64_16);
    if !one_disk || on_this_disk != entries {
        return Err(Error::NotAZip("split archives are not supported"));
    }
    Ok(Some(End {
        entries,
        size,
        offset,
        comment: comment.into(),
    }))
}

impl End {
    fn wants_zip64(&self) -> bool {
        self.entries == IN_ZIP64_16 || self.size == IN_ZIP64_32 || self.offset == IN_ZIP64_32
    }

    /// The directory according to this record alone. 65535 entries are a possible number of entries.
    fn plain(&self) -> Result<Directory, Error> {
        if self.size == IN_ZIP64_32 || self.offset == IN_ZIP64_32 {
            return Err(Error::Zip64Mismatch(
                "there are none, but the end refers to them",
            ));
        }
        Ok(Directory {
            offset: self.offset.into(),
            size: self.size.into(),
            count: self.entries.into(),
        })
    }

    /// Whether the zip64 values repeat every value that this record does have.
    fn agrees_with(&self, directory: &Directory) -> bool {
        (self.entries == IN_ZIP64_16 || u64::from(self.entries) == directory.count)
            && (self.size == IN_ZIP64_32 || u64::from(self.size) == directory.size)
            && (self.offset == IN_ZIP64_32 || u64::from(self.offset) == directory.offset)
    }
}

/// Position of the zip64 locator and the position it gives for the zip64 end record.
fn find_locator<S: ReadAt + ?Sized>(
    source: &S,
    end: &End,
    end_at: u64,
) -> Result<Option<(u64, u64)>, Error> {
    let Some(locator_at) = end_at
        .checked_sub(LOCATOR64_LEN as u64)
        .filter(|_| end.wants_zip64())
    else {
        return Ok(None);
    };
    let record = read(source, locator_at, LOCATOR64_LEN as u64)?;
    let mut fields = Fields(&record);
    if fields.signature(LOCATOR64).is_none() {
        return Ok(None);
    }
    match (fields.u32(), fields.u64(), fields.u32()) {
        (Some(0), Some(end64_at), Some(1)) => Ok(Some((locator_at, end64_at))),
        _ => Err(Error::Zip64Mismatch("split archives are not supported")),
    }
}

/// The directory according to the zip64 end record, and where that record starts.
fn read_end64<S: ReadAt + ?Sized>(
    source: &S,
    end: &End,
    locator_at: u64,
    end64_at: u64,
) -> Result<(Directory, u64), Error> {
    if end64_at.checked_add(END64_LEN as u64) != Some(locator_at) {
        return Err(Error::Zip64Mismatch(
            "the end record is not in front of its locator",
        ));
    }
    let record = read(source, end64_at, END64_LEN as u64)?;
    let directory =
        parse_end64(&record).ok_or(Error::Zip64Mismatch("the end record is malformed"))?;
    if !end.agrees_with(&directory) {
        return Err(Error::Zip64Mismatch("the two end records disagree"));
    }
    Ok((directory, end64_at))
}

fn parse_end64(record: &[u8]) -> Option<Directory> {
    let mut fields = Fields(record);
    fields.signature(END64)?;
    let rest_of_record = fields.u64()?;
    let _versions = fields.u32()?;
    let disks = [fields.u32()?, fields.u32()?];
    let entries = [fields.u64()?, fields.u64()?];
    let one_piece = disks == [0, 0] && entries[0] == entries[1];
    let expected_len = rest_of_record == (END64_LEN - 12) as u64;
    (one_piece && expected_len).then_some(())?;
    Some(Directory {
        count: entries[1],
        size: fields.u64()?,
        offset: fields.u64()?,
    })
}

fn read<S: ReadAt + ?Sized>(source: &S, offset: u64, len: u64) -> Result<Vec<u8>, Error> {
    // Callers ask for at most MAX_DIRECTORY bytes, which fits any usize.
    let mut buf = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    source
        .read_exact_at(&mut buf, offset)
        .map_err(Error::reading_zip)?;
    Ok(buf)
}
