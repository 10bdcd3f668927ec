//! What was seen of each mirror over time: a file of JSON lines, rotated by size.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::remark::{Kind, Remark};

/// The file is rotated from this size on.
const LARGEST: u64 = 4 << 20;
/// So many rotated files are kept.
const KEPT: usize = 4;
/// Availability is told over so many days.
const DAYS: i64 = 30;

/// Whether a mirror can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It can.
    Up,
    /// It cannot.
    Down,
}

/// One check of one mirror.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When.
    pub time: Timestamp,
    /// Which; without secrets.
    pub mirror: String,
    /// How it stands, this check included.
    pub state: State,
    /// Whether this check went well. A single failure does not make a mirror count as down.
    pub ok: bool,
    /// Whether it stood otherwise before.
    pub changed: bool,
    /// Why the check failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How long the first answer took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
}

/// How often a mirror was up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Availability {
    /// How many checks there are.
    pub checks: u64,
    /// How many went well.
    pub ok: u64,
}

impl Availability {
    pub(super) fn remark(self) -> Remark {
        let tenths = self.ok.saturating_mul(1000) / self.checks.max(1);
        Remark::new(Kind::History)
            .with("percent", format!("{}.{}", tenths / 10, tenths % 10))
            .with("checks", self.checks.to_string())
            .with("days", DAYS.to_string())
    }
}

/// The file, and the states that it ends with.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    largest: u64,
    standing: HashMap<String, Standing>,
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    state: State,
    /// The last check failed, and was the first to.
    wavers: bool,
}

impl History {
    /// Opens the history at `path`, which need not exist. Lines that cannot be read, such as one cut off by a crash, are
    /// passed over.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut standing = HashMap::new();
        for record in records(path)? {
            let wavers = record.state == State::Up && !record.ok;
            standing.insert(
                record.mirror,
                Standing {
                    state: record.state,
                    wavers,
                },
            );
        }
        Ok(Self {
            path: path.to_owned(),
            largest: LARGEST,
            standing,
        })
    }

    /// The same, rotated from another size on.
    #[must_use]
    pub fn rotated_at(mut self, bytes: u64) -> Self {
        self.largest = bytes;
        self
    }

    /// Takes the result of a check down: `Ok` with the latency, or the label of the failure. A mirror is down from the
    /// second failure in a row on, and up again with the first success; the first check of all decides at once.
    pub fn add(
        &mut self,
        time: Timestamp,
        mirror: &str,
        result: Result<f64, &str>,
    ) -> io::Result<Record> {
        let before = self.standing.get(mirror).copied();
        let ok = result.is_ok();
        let state = match before {
            _ if ok => State::Up,
            Some(Standing {
                state: State::Up,
                wavers: false,
            }) => State::Up,
            _ => State::Down,
        };
        let record = Record {
            time,
            mirror: mirror.to_owned(),
            state,
            ok,
            changed: before.is_some_and(|before| before.state != state),
            label: result.err().map(str::to_owned),
            latency_ms: result.ok(),
        };
        self.write(&record)?;
        let wavers = state == State::Up && !ok;
        self.standing
            .insert(mirror.to_owned(), Standing { state, wavers });
        Ok(record)
    }

    fn write(&self, record: &Record) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() >= self.largest) {
            self.rotate()?;
        }
        if let Some(directory) = self
            .path
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty())
        {
            fs::create_dir_all(directory)?;
        }
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(&self.path)?;
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        if is_torn(&mut file)? {
            line.insert(0, b'\n');
        }
        file.write_all(&line)
    }

    fn rotate(&self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            let from = numbered(&self.path, number);
            if from.exists() {
                fs::rename(&from, numbered(&self.path, number + 1))?;
            }
        }
        fs::rename(&self.path, numbered(&self.path, 1))
    }

    /// How often each mirror was up in the 30 days before `now`, rotated files included.
    pub fn availability(path: &Path, now: Timestamp) -> HashMap<String, Availability> {
        let since = now
            .checked_sub(Span::new().hours(DAYS * 24))
            .unwrap_or(Timestamp::MIN);
        let mut found: HashMap<String, Availability> = HashMap::new();
        let files = (1..=KEPT)
            .rev()
            .map(|number| numbered(path, number))
            .chain([path.to_owned()]);
        for record in files.filter_map(|file| records(&file).ok()).flatten() {
            if record.time >= since && record.time <= now {
                let availability = found.entry(record.mirror).or_default();
                availability.checks += 1;
                availability.ok += u64::from(record.ok);
            }
        }
        found
    }
}

/// Whether the last line has no end.
fn is_torn(file: &mut fs::File) -> io::Result<bool> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn records(path: &Path) -> io::Result<Vec<Record>> {
    match fs::read(path) {
        Ok(bytes) => {
            let lines = bytes.split(|byte| *byte == b'\n');
            Ok(lines
                .filter_map(|line| serde_json::from_slice(line).ok())
                .collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIRROR: &str = "https://mirror.example.com";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/mirrors.jsonl");
        (folder, path)
    }

    #[test]
    fn one_failure_makes_nobody_down_and_two_do() {
        let (_folder, path) = file();
        let mut history = History::open(&path).unwrap();
        let results = [
            Ok(1.0),
            Err("tcp-timeout"),
            Ok(2.0),
            Err("x"),
            Err("x"),
            Err("x"),
            Ok(1.0),
        ];
        let records: Vec<(State, bool)> = results
            .into_iter()
            .zip(0..)
            .map(|(result, second)| {
                let record = history.add(at(second), MIRROR, result).unwrap();
                (record.state, record.changed)
            })
            .collect();
        let (up, down) = (State::Up, State::Down);
        assert_eq!(
            records,
            [
                (up, false),
                (up, false),
                (up, false),
                (up, false),
                (down, true),
                (down, false),
                (up, true)
            ]
        );
    }

    #[test]
    fn a_mirror_first_seen_down_is_down() {
        let (_folder, path) = file();
        let mut history = History::open(&path).unwrap();
        let record = history.add(at(0), MIRROR, Err("dns-nxdomain")).unwrap();
        assert_eq!((record.state, record.changed), (State::Down, false));
    }

    #[test]
    fn the_state_outlives_the_program_and_a_torn_line() {
        let (_folder, path) = file();
        History::open(&path)
            .unwrap()
            .add(at(0), MIRROR, Ok(1.0))
            .unwrap();
        History::open(&path)
            .unwrap()
            .add(at(1), MIRROR, Err("tcp-reset"))
            .unwrap();
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"time\":\"2026-");
        fs::write(&path, text).unwrap();
        let record = History::open(&path)
            .unwrap()
            .add(at(2), MIRROR, Err("tcp-reset"))
            .unwrap();
        assert_eq!((record.state, record.changed), (State::Down, true));
        assert_eq!(records(&path).unwrap().len(), 3);
    }

    #[test]
    fn the_file_is_rotated_and_old_ones_are_dropped() {
        let (_folder, path) = file();
        let mut history = History::open(&path).unwrap().rotated_at(300);
        for second in 0..60 {
            history.add(at(second), MIRROR, Ok(1.0)).unwrap();
        }
        assert!(numbered(&path, KEPT).exists() && !numbered(&path, KEPT + 1).exists());
        let checks = History::availability(&path, at(60))[MIRROR].checks;
        assert!((5..60).contains(&checks), "{checks}");
        // What has gone to the rotated files is not forgotten.
        assert_eq!(
            History::open(&path)
                .unwrap()
                .add(at(61), MIRROR, Err("x"))
                .unwrap()
                .state,
            State::Up
        );
    }

    #[test]
    fn availability_is_that_of_the_last_thirty_days() {
        let (_folder, path) = file();
        let mut history = History::open(&path).unwrap();
        history.add(at(-31 * 86_400), MIRROR, Err("x")).unwrap();
        for second in 0..3 {
            history.add(at(second), MIRROR, Ok(1.0)).unwrap();
        }
        history.add(at(3), MIRROR, Err("x")).unwrap();
        let availability = History::availability(&path, at(10))[MIRROR];
        assert_eq!(availability, Availability { checks: 4, ok: 3 });
        assert_eq!(availability.remark().facts[0].1, "75.0");
    }
}
