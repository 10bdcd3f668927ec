//! Whatever is cut off, wherever: no second head for a size, no head without its records.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
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
    /// Whether the process is killed there: then it tells what it has signed while it can.
    kills: bool,
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

    fn power_cut<T>(&self) -> Result<T, BoxError> {
        if self.kills {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL)?;
        }
        Err("power cut".into())
    }

    /// Appends four batches, or as much of them as there is time for.
    fn run(&mut self, keys: &KeyRing) -> Result<(), sumdb::Error> {
        let mut writer = LogWriter::open(copy(keys).into_log_keys(), self)?;
        for batch in [0..1, 1..4, 4..9, 9..30] {
            writer.append(&entries(batch), self)?;
        }
        Ok(())
    }
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
            Some(Cut::Before) => return self.power_cut(),
            Some(Cut::Half) => records.get(..records.len() / 2).unwrap_or_default(),
            Some(Cut::After) => records,
        };
        self.disk.append_records(first, written)?;
        self.power_cut()
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
        self.power_cut()
    }

    fn signed(&self) -> Result<Option<Heads>, BoxError> {
        self.disk.signed()
    }

    fn swap_signed(&mut self, old: Option<&Heads>, new: &Heads) -> Result<bool, BoxError> {
        // It was signed: whatever happens now, somebody might have seen it.
        self.signed.push(new.clone());
        if self.kills {
            tell(new);
        }
        match self.turn() {
            None => return self.disk.swap_signed(old, new),
            Some(Cut::Before | Cut::Half) => {}
            Some(Cut::After) => {
                self.disk.swap_signed(old, new)?;
            }
        }
        self.power_cut()
    }

    fn publish(&mut self, heads: &Heads) -> Result<(), BoxError> {
        match self.turn() {
            None => return self.disk.publish(heads),
            Some(Cut::Before | Cut::Half) => {}
            Some(Cut::After) => self.disk.publish(heads)?,
        }
        self.power_cut()
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
        kills: false,
        signed: Vec::new(),
    };
    let ran = store.run(keys);
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
            let size = runtime.block_on(complete(data.path(), &keys, &promises));
            assert_eq!(size, 30, "{cut:?} after {steps} steps");
        }
    }
    assert!(cuts >= 54, "{cuts}");
}

/// Appends what is missing, and checks that the log keeps what was promised. Gives its size.
async fn complete(data: &Path, keys: &KeyRing, promises: &Promises) -> u64 {
    let log = open(data, keys);
    for entry in entries(0..30) {
        log.append(entry).await.unwrap();
    }
    log.close().await;
    promises.are_kept_by(&files(data));
    sound_size(data, keys.verifier()).await
}

#[test]
fn a_process_killed_at_every_step_loses_no_promise() {
    let runtime = testing_runtime();
    let mut kills = 0;
    for cut in [Cut::Before, Cut::Half, Cut::After] {
        for steps in 0.. {
            let data = tempfile::tempdir().unwrap();
            let keys = new_keys();
            let output = child("child_that_is_killed_at_a_step", data.path(), &keys)
                .env(CHILD_STEP, format!("{cut:?} {steps}"))
                .output()
                .unwrap();
            if output.status.success() {
                assert!(steps >= 18, "only {steps} steps");
                break;
            }
            assert_eq!(output.status.signal(), Some(9), "{output:?}");
            kills += 1;
            let mut promises = Promises::default();
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                note_line(line, &mut promises);
            }
            let size = runtime.block_on(complete(data.path(), &keys, &promises));
            assert_eq!(size, 30, "{cut:?} after {steps} steps");
        }
    }
    assert!(kills >= 54, "{kills}");
}

fn testing_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

const CHILD_DATA: &str = "MODKEEP_TEST_SUMLOG_DATA";
const CHILD_KEYS: &str = "MODKEEP_TEST_SUMLOG_KEYS";
const CHILD_STEP: &str = "MODKEEP_TEST_SUMLOG_STEP";

/// This program, to run one of its tests.
fn child(test: &str, data: &Path, keys: &KeyRing) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = format!("crashes::{test}");
    command
        .args(["--exact", &test, "--ignored", "--nocapture"])
        .env(CHILD_DATA, data)
        .env(CHILD_KEYS, keys.reveal().unwrap().as_str())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// What its parent asked the child of a test to do.
#[expect(
    clippy::disallowed_methods,
    reason = "the child of a test learns from its environment what to do"
)]
fn asked(name: &str) -> String {
    std::env::var(name).unwrap()
}

/// Says that a head was shown, so that the process that reads along can hold the log to it.
#[expect(clippy::print_stdout, reason = "what the parent of a child reads")]
fn tell(heads: &Heads) {
    let tree = heads.tree().unwrap();
    println!("\nHEAD {} {}", tree.size(), tree.root());
}

/// What the killed process does: appends until the step at which it kills itself.
#[test]
#[ignore = "run by the test whose child it is"]
fn child_that_is_killed_at_a_step() {
    let keys = KeyRing::parse(&asked(CHILD_KEYS)).unwrap();
    let step = asked(CHILD_STEP);
    let (cut, steps) = step.split_once(' ').unwrap();
    let cuts = [Cut::Before, Cut::Half, Cut::After];
    let cut = cuts.into_iter().find(|known| format!("{known:?}") == cut);
    let directory = name().directory(Path::new(&asked(CHILD_DATA)));
    let mut store = CutOff {
        disk: LogDisk::open(&directory, None).unwrap(),
        steps_left: steps.parse().unwrap(),
        cut: cut.unwrap(),
        kills: true,
        signed: Vec::new(),
    };
    store.run(&keys).unwrap();
}

/// What the killed process does: appends for as long as it lives, and tells every head it has seen published.
#[test]
#[ignore = "run by the test that kills it"]
fn child_that_appends_until_it_is_killed() {
    let data = PathBuf::from(asked(CHILD_DATA));
    let keys = KeyRing::parse(&asked(CHILD_KEYS)).unwrap();
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
            tell(&log.published().unwrap().unwrap());
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
        let mut child = child("child_that_appends_until_it_is_killed", data.path(), &keys)
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
