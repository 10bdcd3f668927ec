//! Whether a log on disk gets slower when it grows: logs of several sizes, which are opened, extended and asked in turns.
//!
//! `cargo bench -p sumlog --bench growth -- FOLDER TURNS SIZE...` writes a line for each log and turn: the size the log was
//! filled to, and the milliseconds for the start of its writer, for an append and for a look-up. `cargo xtask bench sumlog`
//! makes a table of them. Without arguments it shows that it works.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "it prints what it measures, and ends at the first trouble"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gomod::{ModulePath, ModuleVersion, Version};
use sumdb::BoxError;
use sumdb::client::{Client, Driver, RemoteError, Swap, run as ask};
use sumdb::log::{LogWriter, Resource, serve};
use sumdb::record::ModuleHashes;
use sumdb::tlog::Hash;
use sumlog::{KeyRing, LogDisk, LogFiles, LogName};

/// Records of one batch while a log is filled.
const BATCH: u64 = 20_000;
/// Appends and look-ups of one turn.
const REPEATS: u64 = 100;

fn main() {
    // Cargo adds an option of its own.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let scratch;
    let (folder, turns, sizes) = if let [folder, turns, sizes @ ..] = arguments.as_slice() {
        let sizes = sizes.iter().map(|size| size.parse().unwrap()).collect();
        (PathBuf::from(folder), turns.parse().unwrap(), sizes)
    } else {
        scratch = tempfile::tempdir().unwrap();
        (scratch.path().to_owned(), 1, vec![1_000, 10_000])
    };
    let mut logs: Vec<Filled> = sizes
        .into_iter()
        .map(|size: u64| Filled::new(&folder.join(size.to_string()), size))
        .collect();
    for turn in 0..turns {
        for log in &mut logs {
            let initial = log.initial;
            let [open, append, lookup] = log.turn(turn).map(|time| time.as_secs_f64() * 1000.0);
            println!("{initial} {open:.4} {append:.4} {lookup:.4}");
        }
    }
}

/// A log, and what is needed to work on it.
struct Filled {
    directory: PathBuf,
    keys: KeyRing,
    /// The records it was filled with; modules in the order of their names.
    initial: u64,
    size: u64,
}

impl Filled {
    fn new(data: &Path, size: u64) -> Self {
        let began = Instant::now();
        let name = LogName::parse("sum.example.com").unwrap();
        let log = Self {
            directory: name.directory(data),
            keys: KeyRing::generate(&name).unwrap(),
            initial: size,
            size,
        };
        let (mut writer, mut disk) = log.open();
        for first in (0..size).step_by(usize::try_from(BATCH).unwrap()) {
            let modules = (first..size.min(first + BATCH)).map(|n| nth(n, "module"));
            let entries: Vec<_> = modules.map(hashes).collect();
            writer.append(&entries, &mut disk).unwrap();
        }
        eprintln!("a log of {size} records in {:.1?}", began.elapsed());
        log
    }

    fn open(&self) -> (LogWriter, LogDisk) {
        let keys = KeyRing::parse(&self.keys.reveal().unwrap())
            .unwrap()
            .into_log_keys();
        let mut disk = LogDisk::open(&self.directory, None).unwrap();
        (LogWriter::open(keys, &mut disk).unwrap(), disk)
    }

    /// How long it takes to open the log for writing, and the medians for an append and for a look-up with proof.
    fn turn(&mut self, turn: u64) -> [Duration; 3] {
        let began = Instant::now();
        let (mut writer, mut disk) = self.open();
        let open = began.elapsed();

        let appends = (0..REPEATS)
            .map(|n| {
                // Somewhere among the others in the index of the modules, as new versions are.
                let place = (turn * REPEATS + n) * 7919 % self.initial;
                let entry = hashes(nth(place, &format!("new{turn}of{n}in")));
                let began = Instant::now();
                writer.append(&[entry], &mut disk).unwrap();
                self.size += 1;
                began.elapsed()
            })
            .collect();
        let server = Server(disk.files().clone());
        let lookups = (0..REPEATS)
            .map(|n| {
                // Spread over the whole log, others in every turn.
                let place = n * (self.initial / REPEATS) + turn % 10;
                let module = nth(place.min(self.initial - 1), "module");
                let client = Client::new(self.keys.verifier().clone()).unwrap();
                let began = Instant::now();
                let record = ask(client.lookup(module), &server).unwrap();
                let took = began.elapsed();
                assert_eq!(record.tree().size(), self.size, "an old head");
                took
            })
            .collect();
        [open, median(appends), median(lookups)]
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The n-th module version in the order of names: ten of a module, a thousand of a team.
fn nth(n: u64, module: &str) -> ModuleVersion {
    let path = format!(
        "example.com/team{:06}/{module}{:02}",
        n / 1000,
        n / 10 % 100
    );
    let version = Version::new(&format!("v1.{}.0", n % 10)).unwrap();
    ModuleVersion::new(ModulePath::new(&path).unwrap(), version).unwrap()
}

fn hashes(module: ModuleVersion) -> ModuleHashes {
    let h1 = |part: &str| {
        format!(
            "h1:{}",
            Hash::of_record(format!("{part} {module}").as_bytes())
        )
    };
    let (zip, go_mod) = (h1("zip"), h1("mod"));
    ModuleHashes::new(module, &zip, &go_mod).unwrap()
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
