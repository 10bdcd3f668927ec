//! Reads the tar archives that `git archive` writes: POSIX ustar, with pax headers for what does not fit.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bstr::{BStr, BString, ByteSlice as _};
use modzip::{FileKind, Metadata, ReadAt, SourceFile};

use crate::error::Error;

const BLOCK: usize = 512;

/// Most bytes of a pax header: a path of git has fewer.
const PAX_LIMIT: u64 = 1 << 20;

/// A file in the archive.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: BString,
    kind: FileKind,
    offset: u64,
    size: u64,
    /// Where a symbolic link leads.
    target: BString,
    archive: Arc<File>,
}

impl Entry {
    /// The same file under another path.
    pub(super) fn at(self, path: BString) -> Self {
        Self { path, ..self }
    }

    /// A symbolic link as Bazaar has it in its zip archives: a file with another name that says where the link leads.
    pub(super) fn spelled_out(mut self) -> Self {
        if self.kind == FileKind::Symlink {
            self.path.extend_from_slice(b".lnk");
            self.kind = FileKind::Regular;
            self.size = self.target.len() as u64;
        }
        self
    }
}

impl SourceFile for Entry {
    fn path(&self) -> &BStr {
        self.path.as_bstr()
    }

    fn metadata(&self) -> io::Result<Metadata> {
        Ok(Metadata {
            kind: self.kind,
            size: if self.kind == FileKind::Regular {
                self.size
            } else {
                0
            },
        })
    }

    fn open(&self) -> io::Result<Box<dyn io::Read + '_>> {
        if !self.target.is_empty() {
            return Ok(Box::new(self.target.as_slice()));
        }
        Ok(Box::new(Content {
            archive: &self.archive,
            at: self.offset,
            left: self.size,
        }))
    }
}

struct Content<'a> {
    archive: &'a File,
    at: u64,
    left: u64,
}

impl io::Read for Content<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        let Some(part) = buf.get_mut(..most) else {
            return Ok(0);
        };
        let read = ReadAt::read_at(self.archive, part, self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// What a pax header says about the next entry.
#[derive(Default)]
struct Pax {
    path: Option<BString>,
    target: Option<BString>,
    size: Option<u64>,
}

/// The files and symbolic links of `archive`; directories are not among them.
pub(super) fn entries(archive: &Arc<File>) -> Result<Vec<Entry>, Error> {
    let reading = || Error::io("reading an archive");
    let mut entries = Vec::new();
    let mut pax = Pax::default();
    let mut at = 0;
    loop {
        let mut header = [0; BLOCK];
        ReadAt::read_exact_at(archive.as_ref(), &mut header, at).map_err(reading())?;
        if header.iter().all(|&byte| byte == 0) {
            return Ok(entries);
        }
        let content = at + BLOCK as u64;
        let size = pax
            .size
            .take()
            .map_or_else(|| number(field(&header, 124, 12)), Ok)?;
        at = size
            .checked_next_multiple_of(BLOCK as u64)
            .and_then(|padded| content.checked_add(padded))
            .ok_or(Error::Archive("impossible size"))?;
        let kind = match field(&header, 156, 1).first() {
            Some(b'0' | 0) => FileKind::Regular,
            Some(b'2') => FileKind::Symlink,
            Some(b'5' | b'g') => {
                pax = Pax::default();
                continue;
            }
            Some(b'x') => {
                pax = read_pax(archive, content, size)?;
                continue;
            }
            _ => return Err(Error::Archive("unknown kind of entry")),
        };
        let target = pax.target.take();
        entries.push(Entry {
            path: pax.path.take().unwrap_or_else(|| name(&header)),
            kind,
            offset: content,
            size,
            target: match kind {
                FileKind::Symlink => {
                    target.unwrap_or_else(|| text(field(&header, 157, 100)).into())
                }
                _ => BString::default(),
            },
            archive: Arc::clone(archive),
        });
    }
}

fn field(header: &[u8], at: usize, length: usize) -> &[u8] {
    header.get(at..at + length).unwrap_or_default()
}

fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn name(header: &[u8]) -> BString {
    let (name, prefix) = (text(field(header, 0, 100)), text(field(header, 345, 155)));
    if prefix.is_empty() {
        name.into()
    } else {
        [prefix, name].join(&b'/').into()
    }
}

fn number(field: &[u8]) -> Result<u64, Error> {
    let digits = std::str::from_utf8(text(field)).unwrap_or_default();
    u64::from_str_radix(digits.trim(), 8).map_err(|_| Error::Archive("malformed number"))
}

fn read_pax(archive: &File, at: u64, size: u64) -> Result<Pax, Error> {
    const MALFORMED: Error = Error::Archive("malformed extended header");
    if size > PAX_LIMIT {
        return Err(Error::Archive("extended header is too large"));
    }
    let mut data = vec![0; usize::try_from(size).map_err(|_| MALFORMED)?];
    ReadAt::read_exact_at(archive, &mut data, at).map_err(Error::io("reading an archive"))?;
    let mut pax = Pax::default();
    let mut rest = data.as_slice();
    while !rest.is_empty() {
        // `<length of the record> <key>=<value>\n`
        let (length, _) = rest.split_once_str(" ").ok_or(MALFORMED)?;
        let total = length
            .to_str()
            .ok()
            .and_then(|text| text.parse::<usize>().ok());
        let (record, behind) = total
            .and_then(|total| rest.split_at_checked(total))
            .ok_or(MALFORMED)?;
        let body = record
            .get(length.len() + 1..)
            .and_then(|body| body.strip_suffix(b"\n"));
        let (key, value) = body
            .and_then(|body| body.split_once_str("="))
            .ok_or(MALFORMED)?;
        match key {
            b"path" => pax.path = Some(value.into()),
            b"linkpath" => pax.target = Some(value.into()),
            b"size" => {
                let size = value.to_str().ok().and_then(|text| text.parse().ok());
                pax.size = Some(size.ok_or(MALFORMED)?);
            }
            _ => {}
        }
        rest = behind;
    }
    Ok(pax)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use proptest::prelude::*;

    fn file(data: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(data).unwrap();
        Arc::new(file)
    }

    fn header(name: &str, prefix: &str, size: u64, kind: u8) -> Vec<u8> {
        let mut header = vec![0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        header[156] = kind;
        header[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
        header
    }

    fn padded(content: &[u8]) -> Vec<u8> {
        let mut padded = content.to_vec();
        padded.resize(content.len().next_multiple_of(512), 0);
        padded
    }

    #[test]
    fn files_and_links_are_found_with_long_names() {
        let long = format!("prefix/{}", "x".repeat(300));
        let record = format!(" path={long}\n");
        let record = format!("{}{record}", record.len() + 3);
        let archive = [
            header("pax_global_header", "", 52, b'g'),
            padded(&[b'g'; 52]),
            header("prefix/", "", 0, b'5'),
            header("a.txt", "prefix/dir", 3, b'0'),
            padded(b"abc"),
            header("prefix/link", "", 0, b'2'),
            header("x.paxheader", "", record.len() as u64, b'x'),
            padded(record.as_bytes()),
            header("x.data", "", 600, b'0'),
            padded(&[b'z'; 600]),
            vec![0; 1024],
        ]
        .concat();
        let entries = entries(&file(&archive)).unwrap();
        let names: Vec<_> = entries.iter().map(|e| e.path.to_string()).collect();
        assert_eq!(names, ["prefix/dir/a.txt", "prefix/link", long.as_str()]);
        let kinds: Vec<_> = entries.iter().map(|e| e.metadata().unwrap().kind).collect();
        assert_eq!(
            kinds,
            [FileKind::Regular, FileKind::Symlink, FileKind::Regular]
        );
        let mut content = Vec::new();
        entries[0]
            .open()
            .unwrap()
            .read_to_end(&mut content)
            .unwrap();
        assert_eq!(content, b"abc");
    }

    #[test]
    fn a_link_that_is_spelled_out_says_where_it_leads() {
        let mut short = header("prefix/short", "", 0, b'2');
        short[157..160].copy_from_slice(b"a.b");
        let long = "y".repeat(200);
        let record = format!(" linkpath={long}\n");
        let record = format!("{}{record}", record.len() + 3);
        let archive = [
            short,
            header("x.paxheader", "", record.len() as u64, b'x'),
            padded(record.as_bytes()),
            header("prefix/long", "", 0, b'2'),
            header("prefix/file", "", 3, b'0'),
            padded(b"abc"),
            vec![0; 1024],
        ]
        .concat();
        let entries = entries(&file(&archive)).unwrap().into_iter();
        let found: Vec<_> = entries
            .map(|entry| {
                let entry = entry.spelled_out();
                let metadata = entry.metadata().unwrap();
                let mut content = String::new();
                entry.open().unwrap().read_to_string(&mut content).unwrap();
                assert_eq!(metadata.kind, FileKind::Regular);
                assert_eq!(metadata.size, content.len() as u64);
                (entry.path.to_string(), content)
            })
            .collect();
        let expected = [
            ("prefix/short.lnk", "a.b"),
            ("prefix/long.lnk", long.as_str()),
            ("prefix/file", "abc"),
        ];
        assert_eq!(
            found,
            expected.map(|(name, text)| (name.to_owned(), text.to_owned()))
        );
    }

    #[test]
    fn cut_and_malformed_archives_are_refused() {
        for archive in [
            Vec::new(),
            vec![0; 100],
            header("a", "", 3, b'0'),
            header("a", "", 3, b'7'),
            [
                header("a", "", 9, b'x'),
                padded(b"9 path=a\n"),
                header("b", "", 1 << 32, b'0'),
            ]
            .concat(),
            [header("a", "", 3, b'x'), padded(b"99 ")].concat(),
            header("a", "", 1 << 30, b'x'),
        ] {
            assert!(entries(&file(&archive)).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_archive_panics(data in proptest::collection::vec(prop_oneof![Just(0_u8), Just(b'0'), Just(b'x'), any::<u8>()], 0..2048)) {
            let _ = entries(&file(&data));
        }

        #[test]
        fn no_extended_header_panics(pax in "[0-9 =path\n]{0,40}") {
            let archive = [header("x", "", pax.len() as u64, b'x'), padded(pax.as_bytes()), vec![0; 512]].concat();
            let _ = entries(&file(&archive));
        }
    }
}
