//! Whether a checksum log on disk gets slower when it grows.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gomod::{ModulePath, ModuleVersion, Version};
use sumdb::BoxError;
use sumdb::client::{Client, Driver, RemoteError, Swap, run as ask};
use sumdb::log::{LogWriter, Resource, serve};
use sumdb::record::ModuleHashes;
use sumdb::tlog::Hash;
use sumlog::{KeyRing, LogDisk, LogFiles, LogName};

use super::Context;
use super::report::{Table, figure, median};

/// Records in one batch while a log is filled.
const BATCH: u64 = 10_000;
/// Appends and look-ups of one turn.
const REPEATS: u64 = 100;

pub(super) fn run(context: &Context) -> Result<Vec<Table>> {
    let sizes = if context.quick {
        [1_000, 20_000]
    } else {
        [1_000, 1_000_000]
    };
    let mut logs = Vec::new();
    for size in sizes {
        eprintln!("writing a log of {size} records");
        logs.push(Filled::new(context, size)?);
    }
    let mut runs: [Vec<Turn>; 2] = Default::default();
    for _ in 0..context.turns() {
        for (log, runs) in logs.iter_mut().zip(&mut runs) {
            runs.push(log.turn()?);
        }
    }
    let rows = [
        (
            "append of one record, ms",
            (|turn: &Turn| turn.append) as fn(&Turn) -> Duration,
        ),
        ("look-up with proof, ms", |turn| turn.lookup),
        ("start of the writer, ms", |turn| turn.open),
    ]
    .into_iter()
    .map(|(name, value)| {
        let [few, many] = [0, 1].map(|side| {
            let times: Vec<f64> = runs[side]
                .iter()
                .map(|turn| value(turn).as_secs_f64() * 1000.0)
                .collect();
            median(&times)
        });
        vec![
            name.to_owned(),
            figure(few),
            figure(many),
            format!("{:.2}", many / few),
        ]
    })
    .collect();
    Ok(vec![Table {
        intro: format!(
            "A log of {} against one of {} records on the same disk, in the process of the benchmark itself (not optimised but \
             for its hashes). An append is one record in a batch of its own, durable and published; a look-up is one of a \
             client without a cache, head, record and all tiles of the proof, verified. Medians of {REPEATS} in each of {} \
             turns.",
            sizes[0],
            sizes[1],
            context.turns()
        ),
        head: vec!["what", "few", "many", "ratio"],
        rows,
    }])
}

#[derive(Default)]
struct Turn {
    append: Duration,
    lookup: Duration,
    open: Duration,
}

/// A log, and what is needed to work on it.
struct Filled {
    _data: tempfile::TempDir,
    directory: PathBuf,
    keys: KeyRing,
    size: u64,
}

impl Filled {
    fn new(context: &Context, size: u64) -> Result<Self> {
        let name = LogName::parse("sum.example.com").map_err(anyhow::Error::msg)?;
        let data = context.data()?;
        let log = Self {
            directory: name.directory(data.path()),
            _data: data,
            keys: KeyRing::generate(&name)?,
            size,
        };
        let (mut writer, mut disk) = log.open()?;
        for first in (0..size).step_by(usize::try_from(BATCH)?) {
            let entries: Vec<_> = (first..size.min(first + BATCH))
                .map(hashes)
                .collect::<Result<_>>()?;
            writer.append(&entries, &mut disk)?;
        }
        Ok(log)
    }

    fn open(&self) -> Result<(LogWriter, LogDisk)> {
        let keys = KeyRing::parse(&self.keys.reveal()?)?.into_log_keys();
        let mut disk = LogDisk::open(&self.directory, None)?;
        Ok((LogWriter::open(keys, &mut disk)?, disk))
    }

    fn turn(&mut self) -> Result<Turn> {
        let began = Instant::now();
        let (mut writer, mut disk) = self.open()?;
        let open = began.elapsed();

        let mut appends = Vec::new();
        for _ in 0..REPEATS {
            let entry = hashes(self.size)?;
            let began = Instant::now();
            writer.append(&[entry], &mut disk)?;
            appends.push(began.elapsed());
            self.size += 1;
        }
        let server = Server(disk.files().clone());
        let mut lookups = Vec::new();
        for n in 0..REPEATS {
            // Spread over the whole log, and never the same twice in a turn.
            let module = module(n * (self.size / REPEATS) + n % 7)?;
            let client = Client::new(self.keys.verifier().clone())?;
            let began = Instant::now();
            let record = ask(client.lookup(module), &server)?;
            lookups.push(began.elapsed());
            ensure!(record.tree().size() == self.size, "an old head");
        }
        Ok(Turn {
            append: middle(appends)?,
            lookup: middle(lookups)?,
            open,
        })
    }
}

fn middle(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied().context("no times")
}

fn module(n: u64) -> Result<ModuleVersion> {
    let path = ModulePath::new(&format!(
        "example.com/team{:03}/module{:05}",
        n % 997,
        n / 10
    ))?;
    let version = Version::new(&format!("v1.{}.0", n % 10))?;
    Ok(ModuleVersion::new(path, version)?)
}

fn hashes(n: u64) -> Result<ModuleHashes> {
    let h1 = |part: &str| format!("h1:{}", Hash::of_record(format!("{part} {n}").as_bytes()));
    Ok(ModuleHashes::new(module(n)?, &h1("zip"), &h1("mod"))?)
}

/// What a client sees that knows nothing yet and keeps nothing.
struct Server(LogFiles);

impl Driver for Server {
    fn read_latest(&self) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(None)
    }

    fn swap_latest(&self, _old: &[u8], _new: &[u8]) -> Result<Swap, BoxError> {
        Ok(Swap::Done)
    }

    fn read_cache(&self, _key: &str) -> Option<Vec<u8>> {
        None
    }

    fn write_cache(&self, _key: &str, _data: &[u8]) {}

    fn read_remote(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        let served = Resource::parse(path).and_then(|resource| serve(&resource, &self.0));
        match served {
            Ok(served) => Ok(served.body),
            Err(error) if error.is_absent() => Err(RemoteError::Absent(error.to_string())),
            Err(error) => Err(RemoteError::Failed(error.into())),
        }
    }
}
