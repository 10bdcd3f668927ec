use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quick_cache::sync::Cache;
use sumdb::BoxError;
use sumdb::tlog::Hash;

use crate::SumlogError;

/// Up to how many times the bytes asked for are read in one piece rather than each on its own.
const WORTHWHILE_SPAN: u64 = 8;
/// How many groups of hashes that lie far apart are kept in memory: the upper tiles, of which every proof needs some, in
/// a log of some 16 million records; some 3 MiB.
const KEPT: usize = 256;
/// The most hashes of a group that is kept: those of a tile.
const GROUP: usize = 256;

/// The hashes of all complete subtrees, each at 32 times its position in the linear order of storage.
#[derive(Debug)]
pub(crate) struct HashFile {
    path: PathBuf,
    file: File,
    /// By the first position. What is written at a position never changes.
    kept: Cache<u64, Arc<Group>>,
}

/// Hashes that were asked for together, such as those of a tile.
#[derive(Debug, Default)]
struct Group {
    positions: Vec<u64>,
    hashes: Vec<Hash>,
}

impl HashFile {
    /// Opens the file for its writer; makes it if there is none.
    pub(crate) fn create(path: &Path) -> Result<Self, SumlogError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(SumlogError::io("open", path))?;
        Ok(Self::new(path, file))
    }

    /// Opens the file for reading.
    pub(crate) fn open(path: &Path) -> Result<Self, SumlogError> {
        let file = File::open(path).map_err(SumlogError::io("open", path))?;
        Ok(Self::new(path, file))
    }

    fn new(path: &Path, file: File) -> Self {
        Self {
            path: path.to_path_buf(),
            file,
            kept: Cache::new(KEPT),
        }
    }

    /// The number of whole hashes in the file.
    pub(crate) fn len(&self) -> Result<u64, BoxError> {
        let metadata = self
            .file
            .metadata()
            .map_err(SumlogError::io("read", &self.path))?;
        Ok(metadata.len() / Hash::SIZE as u64)
    }

    pub(crate) fn read(&self, positions: &[u64]) -> Result<Vec<Hash>, BoxError> {
        let (Some(&first), Some(&last)) = (positions.iter().min(), positions.iter().max()) else {
            return Ok(Vec::new());
        };
        let span = last - first + 1;
        if span <= WORTHWHILE_SPAN.saturating_mul(positions.len() as u64) {
            return self.read_span(first, span, positions);
        }
        let key = positions.first().copied().unwrap_or_default();
        let known = self.kept.get(&key).unwrap_or_default();
        if known.positions.starts_with(positions) {
            let hashes = known.hashes.get(..positions.len());
            return Ok(hashes.unwrap_or_default().to_vec());
        }
        // A tile at the edge of the tree is asked for again and again while it grows.
        let (mut hashes, new) = match positions.strip_prefix(known.positions.as_slice()) {
            Some(new) => (known.hashes.clone(), new),
            None => (Vec::new(), positions),
        };
        for position in new {
            let mut bytes = [0; Hash::SIZE];
            self.read_at(&mut bytes, *position)?;
            hashes.push(Hash::from_bytes(bytes));
        }
        if positions.len() <= GROUP {
            let positions = positions.to_vec();
            let hashes = hashes.clone();
            self.kept.insert(key, Arc::new(Group { positions, hashes }));
        }
        Ok(hashes)
    }

    /// Reads neighbours at once and picks those that are asked for.
    fn read_span(&self, first: u64, span: u64, positions: &[u64]) -> Result<Vec<Hash>, BoxError> {
        let length = usize::try_from(span)?
            .checked_mul(Hash::SIZE)
            .ok_or("more hashes than fit into memory")?;
        let mut bytes = vec![0; length];
        self.read_at(&mut bytes, first)?;
        let (hashes, _) = bytes.as_chunks::<{ Hash::SIZE }>();
        positions
            .iter()
            .map(|position| {
                let hash = hashes.get(usize::try_from(position - first)?);
                Ok(Hash::from_bytes(*hash.ok_or("no such hash")?))
            })
            .collect()
    }

    fn read_at(&self, bytes: &mut [u8], position: u64) -> Result<(), BoxError> {
        self.file
            .read_exact_at(bytes, offset(position)?)
            .map_err(SumlogError::io("read", &self.path))?;
        Ok(())
    }

    /// Writes hashes from a position on, and waits for the disk.
    pub(crate) fn write(&self, first: u64, hashes: &[Hash]) -> Result<(), BoxError> {
        let bytes: Vec<_> = hashes.iter().map(|hash| *hash.as_bytes()).collect();
        let write = || -> io::Result<()> {
            self.file
                .write_all_at(bytes.as_flattened(), offset(first)?)?;
            self.file.sync_data()
        };
        write().map_err(SumlogError::io("write", &self.path))?;
        Ok(())
    }
}

fn offset(position: u64) -> io::Result<u64> {
    position
        .checked_mul(Hash::SIZE as u64)
        .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The positions of the upper tiles' hashes are at least so far apart.
    const APART: u64 = 511;

    fn scattered(count: u64) -> (HashFile, tempfile::TempDir, Vec<u64>) {
        let folder = tempfile::tempdir().unwrap();
        let file = HashFile::create(&folder.path().join("hashes")).unwrap();
        let positions: Vec<u64> = (0..count).map(|n| n * APART).collect();
        for &position in &positions {
            file.file
                .write_all_at(hash(position).as_bytes(), offset(position).unwrap())
                .unwrap();
        }
        (file, folder, positions)
    }

    fn hash(position: u64) -> Hash {
        Hash::of_record(&position.to_le_bytes())
    }

    fn hashes(positions: &[u64]) -> Vec<Hash> {
        positions.iter().copied().map(hash).collect()
    }

    #[test]
    fn an_upper_tile_is_read_from_the_disk_once_and_on_from_its_end_when_it_has_grown() {
        let (file, _folder, positions) = scattered(256);
        let (known, all) = (&positions[..100], &positions[..]);
        assert_eq!(file.read(known).unwrap(), hashes(known));

        // What was read is not read again: the file does not have it any more.
        let unread = offset(100 * APART).unwrap();
        file.file
            .write_all_at(&vec![0; usize::try_from(unread).unwrap()], 0)
            .unwrap();
        assert_eq!(file.read(known).unwrap(), hashes(known));
        assert_eq!(file.read(&known[..40]).unwrap(), hashes(&known[..40]));
        assert_eq!(file.read(all).unwrap(), hashes(all));
        file.file.set_len(0).unwrap();
        assert_eq!(file.read(all).unwrap(), hashes(all));
        assert!(file.read(&positions[1..]).is_err(), "another group");
    }

    #[test]
    fn what_is_kept_in_memory_has_a_bound() {
        let (file, _folder, positions) = scattered(20 * KEPT as u64);
        for group in positions.chunks(10) {
            assert_eq!(file.read(group).unwrap(), hashes(group));
        }
        assert!(file.kept.len() <= KEPT, "{} groups", file.kept.len());
        assert!(file.kept.len() > KEPT / 2, "{} groups", file.kept.len());

        let many = &positions[..=GROUP];
        assert_eq!(file.read(many).unwrap(), hashes(many));
        file.file.set_len(0).unwrap();
        assert!(
            file.read(many).is_err(),
            "a group of more than a tile is not kept"
        );
    }
}
