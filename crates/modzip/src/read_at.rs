//! Positioned reads: what a zip is read from.

use std::fs::File;
use std::io;
use std::sync::Arc;

/// Bytes that can be read at any offset, by several threads at once.
///
/// A zip is read from its end, and its entries are hashed in parallel, so neither a stream nor a
/// shared file cursor would do.
pub trait ReadAt: Sync {
    /// Reads some bytes at `offset` (in bytes from the start) into `buf` and says how many.
    /// 0 means that `offset` is at or behind the end, or that `buf` is empty.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills `buf` with the bytes at `offset`; `UnexpectedEof` when there are fewer.
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    buf = buf.get_mut(read..).unwrap_or_default();
                    offset = offset.saturating_add(read as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.get(offset..))
            .unwrap_or_default();
        let read = rest.len().min(buf.len());
        let (head, _) = buf.split_at_mut(read);
        head.copy_from_slice(rest.split_at(read).0);
        Ok(read)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_at(buf, offset)
    }
}

impl ReadAt for File {
    #[cfg(unix)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buf, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, buf, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buf, offset)
    }
}

impl<T: ReadAt + Send + ?Sized> ReadAt for Arc<T> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buf, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_read_at_any_offset() {
        let mut buf = [0; 4];
        for (offset, expected) in [(0, &b"abcd"[..]), (3, b"de"), (5, b""), (u64::MAX, b"")] {
            let read = b"abcde"[..].read_at(&mut buf, offset).unwrap();
            assert_eq!(&buf[..read], expected, "{offset}");
        }
    }

    #[test]
    fn too_few_bytes_are_an_unexpected_end() {
        let error = b"abc"[..].read_exact_at(&mut [0; 4], 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_file_reads_like_its_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"abcde").unwrap();
        let mut buf = [0; 3];
        Arc::new(file).read_exact_at(&mut buf, 2).unwrap();
        assert_eq!(&buf, b"cde");
    }

    #[test]
    fn short_and_interrupted_reads_are_continued() {
        struct Stutter(std::sync::atomic::AtomicUsize);
        impl ReadAt for Stutter {
            fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
                let turn = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if turn.is_multiple_of(2) {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                let (head, _) = buf.split_at_mut(1);
                b"abcde"[..].read_at(head, offset)
            }
        }
        let mut buf = [0; 5];
        Stutter(0.into()).read_exact_at(&mut buf, 0).unwrap();
        assert_eq!(&buf, b"abcde");
    }
}
