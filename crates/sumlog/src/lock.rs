use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use rustix::fs::FlockOperation;

use crate::SumlogError;

/// Held by the one process that writes a log; the system lets it go when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn acquire(log: &Path) -> Result<Self, SumlogError> {
        let path = log.join("lock");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(SumlogError::io("open", &path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let _unreadable = file.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "?".to_owned(),
                    number => number.to_owned(),
                };
                let path = log.to_path_buf();
                return Err(SumlogError::InUse { path, holder });
            }
            Err(error) => return Err(SumlogError::io("lock", &path)(error.into())),
        }
        let note = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        note(&mut file).map_err(SumlogError::io("write", &path))?;
        Ok(Self { _file: file })
    }
}
