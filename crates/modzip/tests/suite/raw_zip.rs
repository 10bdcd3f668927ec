//! Zips put together record by record, so that any of them can lie.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Fields that an entry has twice: in front of its data and in the central directory.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) compressed: u32,
    pub(crate) size: u32,
    pub(crate) name: Vec<u8>,
    pub(crate) extra: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct RawEntry {
    pub(crate) local: Header,
    pub(crate) central: Header,
    /// As it is in the file.
    pub(crate) data: Vec<u8>,
    pub(crate) descriptor: Vec<u8>,
    /// Bytes in front of the local header.
    pub(crate) gap: Vec<u8>,
    /// What the central directory gives for the offset, if not the true one.
    pub(crate) offset: Option<u32>,
    pub(crate) disk: u16,
    /// Left out of the central directory.
    pub(crate) hidden: bool,
}

impl RawEntry {
    pub(crate) fn stored(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self::new(
            name.as_ref(),
            0,
            content.as_ref().to_vec(),
            content.as_ref(),
        )
    }

    pub(crate) fn deflated(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self::new(
            name.as_ref(),
            8,
            deflate(content.as_ref()),
            content.as_ref(),
        )
    }

    fn new(name: &[u8], method: u16, data: Vec<u8>, content: &[u8]) -> Self {
        let header = Header {
            flags: 0,
            method,
            crc: crc(content),
            compressed: narrow(data.len()),
            size: narrow(content.len()),
            name: name.to_vec(),
            extra: Vec::new(),
        };
        Self {
            local: header.clone(),
            central: header,
            data,
            descriptor: Vec::new(),
            gap: Vec::new(),
            offset: None,
            disk: 0,
            hidden: false,
        }
    }

    /// As a streaming writer leaves it: zeros in front, the numbers behind the data.
    pub(crate) fn streamed(mut self, signature: bool, wide: bool) -> Self {
        self.central.flags |= 8;
        let numbers = [self.central.compressed, self.central.size];
        if signature {
            self.descriptor.extend(b"PK\x07\x08");
        }
        self.descriptor.extend(self.central.crc.to_le_bytes());
        for number in numbers {
            let bytes = u64::from(number).to_le_bytes();
            self.descriptor.extend(&bytes[..if wide { 8 } else { 4 }]);
        }
        self.local.flags |= 8;
        (self.local.crc, self.local.compressed, self.local.size) = (0, 0, 0);
        self
    }

    /// Changes the central directory only.
    pub(crate) fn central(mut self, change: impl FnOnce(&mut Header)) -> Self {
        change(&mut self.central);
        self
    }

    /// Changes the local header only.
    pub(crate) fn local(mut self, change: impl FnOnce(&mut Header)) -> Self {
        change(&mut self.local);
        self
    }

    /// Changes both headers alike.
    pub(crate) fn both(mut self, change: impl Fn(&mut Header)) -> Self {
        change(&mut self.central);
        change(&mut self.local);
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The end of central directory record.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) disks: [u16; 2],
    pub(crate) entries: [u16; 2],
    pub(crate) size: u32,
    pub(crate) offset: u32,
    pub(crate) comment: Vec<u8>,
    pub(crate) comment_len: u16,
}

/// The zip64 end record and its locator.
#[derive(Clone)]
pub(crate) struct End64 {
    pub(crate) record_size: u64,
    pub(crate) disks: [u32; 2],
    pub(crate) entries: [u64; 2],
    pub(crate) size: u64,
    pub(crate) offset: u64,
    pub(crate) locator_disk: u32,
    pub(crate) locator_offset: u64,
    pub(crate) total_disks: u32,
}

#[derive(Clone, Default)]
pub(crate) struct RawZip {
    pub(crate) entries: Vec<RawEntry>,
    /// Bytes between the last entry and the central directory.
    pub(crate) before_directory: Vec<u8>,
    /// Bytes at the end of the central directory, counted in its size.
    pub(crate) directory_end: Vec<u8>,
}

impl RawZip {
    pub(crate) fn of(entries: impl IntoIterator<Item = RawEntry>) -> Self {
        Self {
            entries: entries.into_iter().collect(),
            ..Self::default()
        }
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        self.build_with(|_| {})
    }

    /// With a changed end record.
    pub(crate) fn build_with(&self, change: impl FnOnce(&mut End)) -> Vec<u8> {
        let (mut zip, mut end) = self.body();
        change(&mut end);
        put_end(&mut zip, &end);
        zip
    }

    /// With zip64 end records, which say what `change` makes of the truth, and an ordinary end full of marks.
    pub(crate) fn build_zip64(&self, change: impl FnOnce(&mut End64, &mut End)) -> Vec<u8> {
        let (mut zip, mut end) = self.body();
        let at = zip.len() as u64;
        let mut end64 = End64 {
            record_size: 44,
            disks: [0; 2],
            entries: end.entries.map(u64::from),
            size: end.size.into(),
            offset: end.offset.into(),
            locator_disk: 0,
            locator_offset: at,
            total_disks: 1,
        };
        (end.entries, end.size, end.offset) = ([u16::MAX; 2], u32::MAX, u32::MAX);
        change(&mut end64, &mut end);
        zip.extend(b"PK\x06\x06");
        zip.extend(end64.record_size.to_le_bytes());
        zip.extend([45, 0, 45, 0]);
        zip.extend(end64.disks.map(u32::to_le_bytes).concat());
        zip.extend(end64.entries.map(u64::to_le_bytes).concat());
        zip.extend([end64.size, end64.offset].map(u64::to_le_bytes).concat());
        zip.extend(b"PK\x06\x07");
        zip.extend(end64.locator_disk.to_le_bytes());
        zip.extend(end64.locator_offset.to_le_bytes());
        zip.extend(end64.total_disks.to_le_bytes());
        put_end(&mut zip, &end);
        zip
    }

    /// Entries and central directory, and a true end for them.
    fn body(&self) -> (Vec<u8>, End) {
        let mut zip = Vec::new();
        let mut directory = Vec::new();
        let mut count = 0;
        for entry in &self.entries {
            zip.extend(&entry.gap);
            let offset = entry.offset.unwrap_or(narrow(zip.len()));
            zip.extend(b"PK\x03\x04\x14\x00");
            put_common(&mut zip, &entry.local);
            zip.extend(&entry.local.name);
            zip.extend(&entry.local.extra);
            zip.extend(&entry.data);
            zip.extend(&entry.descriptor);
            if entry.hidden {
                continue;
            }
            count += 1;
            directory.extend(b"PK\x01\x02\x14\x00\x14\x00");
            put_common(&mut directory, &entry.central);
            directory.extend([0; 2]);
            directory.extend(entry.disk.to_le_bytes());
            directory.extend([0; 6]);
            directory.extend(offset.to_le_bytes());
            directory.extend(&entry.central.name);
            directory.extend(&entry.central.extra);
        }
        directory.extend(&self.directory_end);
        zip.extend(&self.before_directory);
        let end = End {
            disks: [0; 2],
            entries: [count; 2],
            size: narrow(directory.len()),
            offset: narrow(zip.len()),
            comment: Vec::new(),
            comment_len: 0,
        };
        zip.extend(directory);
        (zip, end)
    }
}

/// From the flags to the length of the extra field.
fn put_common(out: &mut Vec<u8>, header: &Header) {
    out.extend([header.flags, header.method].map(u16::to_le_bytes).concat());
    out.extend([0; 4]);
    out.extend(
        [header.crc, header.compressed, header.size]
            .map(u32::to_le_bytes)
            .concat(),
    );
    let lens = [header.name.len(), header.extra.len()].map(|len| u16::try_from(len).unwrap());
    out.extend(lens.map(u16::to_le_bytes).concat());
}

pub(crate) fn put_end(out: &mut Vec<u8>, end: &End) {
    out.extend(b"PK\x05\x06");
    out.extend(end.disks.map(u16::to_le_bytes).concat());
    out.extend(end.entries.map(u16::to_le_bytes).concat());
    out.extend([end.size, end.offset].map(u32::to_le_bytes).concat());
    let len = if end.comment_len == 0 {
        u16::try_from(end.comment.len()).unwrap()
    } else {
        end.comment_len
    };
    out.extend(len.to_le_bytes());
    out.extend(&end.comment);
}

/// A zip64 extra field with these numbers.
pub(crate) fn zip64_extra(numbers: &[u64]) -> Vec<u8> {
    let len = u16::try_from(numbers.len() * 8).unwrap();
    let mut extra = [1_u16, len].map(u16::to_le_bytes).concat();
    extra.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    extra
}

pub(crate) fn crc(content: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(content);
    crc.sum()
}

pub(crate) fn deflate(content: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::new(9), false);
    let mut out = Vec::with_capacity(content.len() + content.len() / 100 + 100);
    let status = compress
        .compress_vec(content, &mut out, FlushCompress::Finish)
        .unwrap();
    assert_eq!(status, Status::StreamEnd);
    out
}

fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap()
}
