//! The file of the log: no line is lost or torn, however often the file is moved away.
//!
//! It grows to a size, or to an age, and then becomes the first of the older ones, of which so many are kept. Another
//! program may move it away just as well: when it is told to, the log goes on in a new file of the same name; until then it
//! goes to the one that was moved.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tracing_subscriber::fmt::MakeWriter;

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// The file.
    pub path: PathBuf,
    /// It is moved away before it gets larger; 0: never.
    pub max_bytes: u64,
    /// It is moved away when it was begun so long ago; zero: never.
    pub max_age: Duration,
    /// How many that were moved away are kept.
    pub keep: usize,
}

impl LogFile {
    /// The name of the one that was moved away so many times.
    fn older(&self, number: usize) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }
}

/// Writes the lines of the log to the file, or to standard error where there is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogWriter(Arc<Mutex<Option<OpenFile>>>);

#[derive(Debug)]
struct OpenFile {
    file: File,
    settings: LogFile,
    bytes: u64,
    begun: SystemTime,
    /// After a failure nothing is tried again before.
    rotate_after: SystemTime,
}

/// For so long a file that could not be moved away is left alone.
const TRY_AGAIN: Duration = Duration::from_mins(1);

impl LogWriter {
    /// Writes there from now on; to be called again when the file was moved away. With an error, everything stays as it was.
    pub(crate) fn follow(&self, settings: Option<&LogFile>) -> io::Result<()> {
        // Nobody writes, or moves the file away, between the look at its size and the next line.
        let mut open = self.lock();
        *open = settings.map(OpenFile::open).transpose()?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<OpenFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

/// Takes whole lines.
pub(crate) struct Line<'a>(&'a LogWriter);

impl Write for Line<'_> {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.write_all(lines).map(|()| lines.len())
    }

    fn write_all(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut open = self.0.lock();
        match open.as_mut() {
            // What the disk does not take is still worth reading.
            Some(open) => open
                .write(lines, SystemTime::now())
                .or_else(|_| io::stderr().write_all(lines)),
            None => io::stderr().write_all(lines),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl OpenFile {
    fn open(settings: &LogFile) -> io::Result<Self> {
        let file = append(&settings.path)?;
        let known = file.metadata()?;
        // Where the system does not know when a file was made, its last line tells how old it is at least.
        let begun = known.created().or_else(|_| known.modified())?;
        Ok(Self {
            bytes: known.len(),
            begun,
            rotate_after: SystemTime::UNIX_EPOCH,
            settings: settings.clone(),
            file,
        })
    }

    fn write(&mut self, lines: &[u8], now: SystemTime) -> io::Result<()> {
        let len = lines.len() as u64;
        if self.is_due(len, now) && self.rotate(now).is_err() {
            self.rotate_after = now + TRY_AGAIN;
        }
        let written = write_whole(&mut self.file, lines);
        if written.is_ok() {
            self.bytes += len;
        }
        written
    }

    fn is_due(&self, more: u64, now: SystemTime) -> bool {
        let LogFile {
            max_bytes, max_age, ..
        } = self.settings;
        let is_full = max_bytes > 0 && self.bytes + more > max_bytes;
        let is_old = !max_age.is_zero()
            && now
                .duration_since(self.begun)
                .is_ok_and(|age| age >= max_age);
        self.bytes > 0 && now >= self.rotate_after && (is_full || is_old)
    }

    /// Each file gets the name of the one before it; the last one goes.
    fn rotate(&mut self, now: SystemTime) -> io::Result<()> {
        let settings = &self.settings;
        // Somebody else may have moved it already, or emptied it: then there is nothing to move.
        if is_there(&settings.path, &self.file)? {
            match settings.keep {
                0 => fs::remove_file(&settings.path)?,
                keep => {
                    for number in (1..keep).rev() {
                        move_if_there(&settings.older(number), &settings.older(number + 1))?;
                    }
                    fs::rename(&settings.path, settings.older(1))?;
                }
            }
        }
        self.file = append(&settings.path)?;
        self.bytes = self.file.metadata()?.len();
        self.begun = now;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    // Names of private modules are in it.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

/// A line that fits only in part is taken back, so that what is in the file is whole.
fn write_whole(file: &mut File, lines: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(lines).inspect_err(|_| {
        let _as_it_is = file.set_len(before);
    })
}

/// Whether the name still leads to this file.
fn is_there(path: &Path, file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let open = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn move_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use super::*;

    struct Scene {
        _folder: tempfile::TempDir,
        settings: LogFile,
        writer: LogWriter,
    }

    impl Scene {
        fn new(max_bytes: u64, max_age: Duration, keep: usize) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let settings = LogFile {
                path: folder.path().join("a.log"),
                max_bytes,
                max_age,
                keep,
            };
            let writer = LogWriter::default();
            writer.follow(Some(&settings)).unwrap();
            Self {
                _folder: folder,
                settings,
                writer,
            }
        }

        fn write(&self, line: &str) {
            let mut writer = self.writer.make_writer();
            writer.write_all(format!("{line}\n").as_bytes()).unwrap();
        }

        /// The files, the newest first.
        fn files(&self) -> Vec<String> {
            let older = (1..100).map(|number| self.settings.older(number));
            std::iter::once(self.settings.path.clone())
                .chain(older)
                .map_while(|file| fs::read_to_string(file).ok())
                .collect()
        }
    }

    #[test]
    fn a_full_file_is_moved_away_and_so_many_are_kept() {
        let scene = Scene::new(10, Duration::ZERO, 2);
        for line in [
            "one",
            "two",
            "three",
            "four",
            "a line longer than all",
            "six",
        ] {
            scene.write(line);
        }
        assert_eq!(
            scene.files(),
            ["six\n", "a line longer than all\n", "four\n"][..]
        );
        let scene = Scene::new(8, Duration::ZERO, 0);
        for line in ["one", "two", "three"] {
            scene.write(line);
        }
        assert_eq!(scene.files(), ["three\n"]);
    }

    #[test]
    fn an_old_file_is_moved_away_when_the_next_line_comes() {
        let scene = Scene::new(0, Duration::from_hours(24), 3);
        scene.write("yesterday");
        let tomorrow = SystemTime::now() + Duration::from_hours(25);
        {
            let mut open = scene.writer.lock();
            let open = open.as_mut().unwrap();
            open.write(b"today\n", tomorrow).unwrap();
            open.write(b"today too\n", tomorrow).unwrap();
        }
        assert_eq!(scene.files(), ["today\ntoday too\n", "yesterday\n"]);
    }

    #[test]
    fn when_told_the_log_goes_on_in_a_new_file_of_the_same_name() {
        let scene = Scene::new(0, Duration::ZERO, 3);
        scene.write("one");
        fs::rename(&scene.settings.path, scene.settings.older(1)).unwrap();
        scene.write("two");
        scene.writer.follow(Some(&scene.settings)).unwrap();
        scene.write("three");
        assert_eq!(scene.files(), ["three\n", "one\ntwo\n"]);
        // A file that cannot be opened changes nothing.
        let nowhere = LogFile {
            path: scene.settings.path.join("below a file"),
            ..scene.settings.clone()
        };
        scene.writer.follow(Some(&nowhere)).unwrap_err();
        scene.write("four");
        assert_eq!(scene.files(), ["three\nfour\n", "one\ntwo\n"]);
    }

    #[test]
    fn no_line_is_lost_or_torn_while_many_write_and_files_are_moved_away() {
        let scene = Scene::new(4000, Duration::ZERO, 90);
        thread::scope(|scope| {
            for writer in 0..8 {
                let scene = &scene;
                scope.spawn(move || {
                    for number in 0..500 {
                        scene.write(&format!("writer {writer} line {number} {}", "x".repeat(40)));
                        if number % 100 == 50 {
                            scene.writer.follow(Some(&scene.settings)).unwrap();
                        }
                    }
                });
            }
        });
        let files = scene.files();
        assert!(files.len() > 20, "{}", files.len());
        let lines: BTreeSet<&str> = files.iter().flat_map(|file| file.lines()).collect();
        assert_eq!(lines.len(), 4000);
        for writer in 0..8 {
            for number in 0..500 {
                let line = format!("writer {writer} line {number} {}", "x".repeat(40));
                assert!(lines.contains(line.as_str()), "{line}");
            }
        }
        assert!(files.iter().all(|file| file.len() <= 4000));
    }
}
