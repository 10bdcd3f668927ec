//! Whatever is cut off, wherever: no second head for a size, no head without its records.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use gomod::ModuleVersion;
use sumdb::BoxError;
use sumdb::log::{Heads, LogReader, LogRecord, LogStore, LogWriter, Sizes};
use sumdb::tlog::{Hash, RecordText};
use sumlog::{KeyRing, LogDisk};

use crate::support::{Promises, copy, entries, files, name, new_keys, open, sound_size};

/// How a step is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Nothing of it was done.
    Before,
    /// Half of what it writes is there.
    Half,
    /// It is done, but nobody learned of it.
    After,
}

/// A store that fails at one of its writes, as if the machine had lost power there.
struct CutOff {
    disk: LogDisk,
    steps_left: usize,
    cut: Cut,
    signed: Vec<Heads>,
}

impl CutOff {
    /// The cut, if it is the turn of this step.
    fn turn(&mut self) -> Option<Cut> {
        if self.steps_left == 0 {
            return Some(self.cut);
        }
        self.steps_left -= 1;
        None
    }
}

fn power_cut<T>() -> Result<T, BoxError> {
    Err("power cut".into())
}

impl LogReader for CutOff {
    fn published(&self) -> Result<Option<Heads>, BoxError> {
        self.disk.published()
    }
    fn find(&self, modules: &[ModuleVersion]) -> Result<Vec<Option<u64>>, BoxError> {
        self.disk.find(modules)
    }
    fn read_records(&self, first: u64, count: usize) -> Result<Vec<RecordText>, BoxError> {
        self.disk.read_records(first, count)
    }
    fn read_hashes(&self, positions: &[u64]) -> Result<Vec<Hash>, BoxError> {
        self.disk.read_hashes(positions)
    }
}

impl LogStore for CutOff {
    fn sizes(&self) -> Result<Sizes, BoxError> {
        self.disk.sizes()
    }

    fn append_records(&mut self, first: u64, records: &[LogRecord]) -> Result<(), BoxError> {
        let written = match self.turn() {
            None => return self.disk.append_records(first, records),
            Some(Cut::Before) => return power_cut(),
            Some(Cut::Half) => records.get(..records.len() / 2).unwrap_or_default(),
            Some(Cut::After) => records,
        };
        self.disk.append_records(first, written)?;
        power_cut()
    }

    fn write_hashes(&mut self, first: u64, hashes: &[Hash]) -> Result<(), BoxError> {
        match self.turn() {
            None => return self.disk.write_hashes(first, hashes),
            Some(Cut::Before) => {}
            // A file that has grown before its bytes came: zeros where hashes should be.
            Some(Cut::Half) => {
                let half = hashes.get(..hashes.len() / 2).unwrap_or_default();
                let mut torn = half.to_vec();
                torn.resize(hashes.len(), Hash::from_bytes([0; 32]));
                self.disk.write_hashes(first, &torn)?;
            }
            Some(Cut::After) => self.disk.write_hashes(first, hashes)?,
        }
        power_cut()
    }

    fn signed(&self) -> Result<Option<Heads>, BoxError> {
        self.disk.signed()
    }

    fn swap_signed(&mut self, old: Option<&Heads>, new: &Heads) -> Result<bool, BoxError> {
        // It was signed: whatever happens now, somebody might have seen it.
        self.signed.push(new.clone());
        match self.turn() {
            None => return self.disk.swap_signed(old, new),
            Some(Cut::Before | Cut::Half) => {}
            Some(Cut::After) => {
                self.disk.swap_signed(old, new)?;
            }
        }
        power_cut()
    }

    fn publish(&mut self, heads: &Heads) -> Result<(), BoxError> {
        match self.turn() {
            None => return self.disk.publish(heads),
            Some(Cut::Before | Cut::Half) => {}
            Some(Cut::After) => self.disk.publish(heads)?,
        }
        power_cut()
    }
}

/// Runs until the cut. True if there was one.
fn run_until_cut(
    data: &Path,
    keys: &KeyRing,
    steps: usize,
    cut: Cut,
    promises: &mut Promises,
) -> bool {
    let directory = name().directory(data);
    let mut store = CutOff {
        disk: LogDisk::open(&directory, None).unwrap(),
        steps_left: steps,
        cut,
        signed: Vec::new(),
    };
    let ran = (|| {
        let mut writer = LogWriter::open(copy(keys).into_log_keys(), &mut store)?;
        for batch in [0..1, 1..4, 4..9, 9..30] {
            writer.append(&entries(batch), &mut store)?;
        }
        Ok::<_, sumdb::Error>(())
    })();
    for heads in &store.signed {
        promises.note_heads(heads);
    }
    ran.is_err()
}

#[test]
fn a_cut_at_every_step_loses_no_promise() {
    let runtime = testing_runtime();
    let mut cuts = 0;
    for cut in [Cut::Before, Cut::Half, Cut::After] {
        for steps in 0.. {
            let data = tempfile::tempdir().unwrap();
            let keys = new_keys();
            let mut promises = Promises::default();
            if !run_until_cut(data.path(), &keys, steps, cut, &mut promises) {
                assert!(steps >= 18, "only {steps} steps");
                break;
            }
            cuts += 1;
            // A second crash while the first one is being repaired.
            run_until_cut(data.path(), &keys, steps / 3, cut, &mut promises);
            let log = open(data.path(), &keys);
            runtime.block_on(async {
                for entry in entries(0..30) {
                    log.append(entry).await.unwrap();
                }
                log.close().await;
            });
            promises.are_kept_by(&files(data.path()));
            let size = runtime.block_on(sound_size(data.path(), keys.verifier()));
            assert_eq!(size, 30, "{cut:?} after {steps} steps");
        }
    }
    assert!(cuts >= 54, "{cuts}");
}

fn testing_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

const CHILD_DATA: &str = "MODKEEP_TEST_SUMLOG_DATA";
const CHILD_KEYS: &str = "MODKEEP_TEST_SUMLOG_KEYS";

/// What the killed process does: appends for as long as it lives, and tells every head it has seen published.
#[test]
#[ignore = "run by the test that kills it"]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "the child of a test learns from its environment what to do, and tells its parent what it promised"
)]
fn child_that_appends_until_it_is_killed() {
    let data = PathBuf::from(std::env::var(CHILD_DATA).expect("run by its parent"));
    let keys = KeyRing::parse(&std::env::var(CHILD_KEYS).expect("run by its parent")).unwrap();
    let log = open(&data, &keys);
    testing_runtime().block_on(async {
        let first = files(&data).count().unwrap();
        for batch in (first..).step_by(5) {
            let appends = entries(batch..batch + 5)
                .into_iter()
                .map(|entry| log.append(entry));
            for appended in futures_util::future::join_all(appends).await {
                appended.unwrap();
            }
            let tree = log.published().unwrap().unwrap().tree().unwrap();
            println!("\nHEAD {} {}", tree.size(), tree.root());
        }
    });
}

#[test]
fn a_process_killed_at_any_time_forsakes_no_head_it_has_shown() {
    let data = tempfile::tempdir().unwrap();
    let keys = new_keys();
    let mut promises = Promises::default();
    let mut sizes = HashSet::new();
    for round in 0..25_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "crashes::child_that_appends_until_it_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(CHILD_DATA, data.path())
            .env(CHILD_KEYS, keys.reveal().unwrap().as_str())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Always after some head, so that every round has something to lose; then at a time of its own.
        let mut heads = 0;
        for line in lines.by_ref().map_while(Result::ok) {
            heads += usize::from(note_line(&line, &mut promises));
            if heads > usize::try_from(round % 4).unwrap() {
                break;
            }
        }
        assert!(heads > 0, "the child of round {round} has shown nothing");
        std::thread::sleep(Duration::from_micros(round * 977 % 9000));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            note_line(&line, &mut promises);
        }
        let published = files(data.path()).published().unwrap().unwrap();
        promises.note_heads(&published);
        promises.are_kept_by(&files(data.path()));
        sizes.insert(published.tree().unwrap().size());
    }
    let log = open(data.path(), &keys);
    let runtime = testing_runtime();
    runtime.block_on(log.close());
    promises.are_kept_by(&files(data.path()));
    let size = runtime.block_on(sound_size(data.path(), keys.verifier()));
    assert_eq!(files(data.path()).count().unwrap(), size);
    assert!(
        promises.len() > 25 && sizes.len() == 25,
        "{} heads",
        promises.len()
    );
}

/// A line that was cut off by the kill says nothing.
fn note_line(line: &str, promises: &mut Promises) -> bool {
    let mut words = line.split(' ');
    let (Some("HEAD"), Some(size), Some(root), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    let whole = root.len() == 44;
    if whole {
        promises.note(size.parse().unwrap(), root);
    }
    whole
}
