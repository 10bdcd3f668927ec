use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// For how long a lock may still be held that this very process has let go: a child has copies of all open files until it
/// becomes the program that it is to run.
const CHILD_STARTS: Duration = Duration::from_secs(2);

/// Held for as long as a process has a directory to itself; the system lets it go when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a directory cannot be had.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it.
    Held {
        /// Its process number as it wrote it down, or `?`.
        holder: String,
    },
    /// The file of the lock could not be read or written.
    Io {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl Lock {
    /// Takes a directory, which must be there, by the file `lock` in it.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join("lock");
        let failed = |action| {
            let path = path.clone();
            move |source| LockError::Io {
                action,
                path,
                source,
            }
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open"))?;
        if let Some(holder) = try_for_a_while(&mut file).map_err(failed("lock"))? {
            return Err(LockError::Held { holder });
        }
        let note = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        note(&mut file).map_err(failed("write"))?;
        Ok(Self { _file: file })
    }
}

/// `None`: the lock is taken; else who has it.
fn try_for_a_while(file: &mut File) -> io::Result<Option<String>> {
    let began = Instant::now();
    loop {
        match rustix::fs::flock(&*file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(None),
            Err(Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
        let holder = holder(file);
        let is_own = holder == std::process::id().to_string();
        if !is_own || began.elapsed() > CHILD_STARTS {
            return Ok(Some(holder));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn holder(file: &mut File) -> String {
    let mut holder = String::new();
    let _unreadable = file
        .rewind()
        .and_then(|()| file.read_to_string(&mut holder));
    match holder.trim() {
        "" => "?".to_owned(),
        number => number.to_owned(),
    }
}
