use std::path::{Path, PathBuf};
use std::process::Command;

use gomod::{ModulePath, ModuleVersion, Version};
use sumdb::log::{LogReader as _, Resource, serve};
use sumdb::record::ModuleHashes;
use sumdb::tile::{Height, Tile, TileLevel, new_tiles};
use sumdb::tlog::Hash;
use sumlog::{KeyRing, Log, LogFiles, LogName, LogOptions};
use tempfile::TempDir;

pub(crate) const NAME: &str = "sum.example.com";

pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program in an environment without settings of this machine.
pub(crate) fn modkeep(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_modkeep"))
        .env_clear()
        .env("HOME", home)
        .envs(variables.iter().copied())
        .current_dir(home)
        .args(arguments)
        .output()
        .unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn keys() -> KeyRing {
    KeyRing::generate(&LogName::parse(NAME).unwrap()).unwrap()
}

fn hashes(n: u64) -> ModuleHashes {
    let path = ModulePath::new(&format!("example.com/m{n}")).unwrap();
    let module = ModuleVersion::new(path, Version::new("v1.0.0").unwrap()).unwrap();
    let h1 = |part: &str| format!("h1:{}", Hash::of_record(format!("{part} {n}").as_bytes()));
    ModuleHashes::new(module, &h1("zip"), &h1("mod")).unwrap()
}

/// A log, and a folder with all that it serves.
pub(crate) struct Published {
    data: TempDir,
    pub(crate) site: TempDir,
    keys: KeyRing,
}

impl Published {
    pub(crate) fn new(keys: &KeyRing, records: std::ops::Range<u64>) -> Self {
        let published = Self {
            data: tempfile::tempdir().unwrap(),
            site: tempfile::tempdir().unwrap(),
            keys: KeyRing::parse(&keys.reveal().unwrap()).unwrap(),
        };
        published.grow(records);
        published
    }

    pub(crate) fn grow(&self, records: std::ops::Range<u64>) {
        let name = LogName::parse(NAME).unwrap();
        let directory = name.directory(self.data.path());
        let keys = KeyRing::parse(&self.keys.reveal().unwrap()).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let log = Log::open(LogOptions::new(self.data.path(), name), keys).unwrap();
            let appends: Vec<_> = records
                .map(|n| {
                    let log = log.clone();
                    tokio::spawn(async move { log.append(hashes(n)).await.unwrap() })
                })
                .collect();
            for append in appends {
                append.await.unwrap();
            }
            log.close().await;
        });
        let files = LogFiles::open(&directory).unwrap();
        let size = files.published().unwrap().unwrap().tree().unwrap().size();
        let tiles = new_tiles(Height::STANDARD, 0, size);
        let data = tiles
            .iter()
            .filter(|tile| tile.level() == TileLevel::Hashes(0));
        let data = data.map(|tile| {
            Tile::new(tile.height(), TileLevel::Data, tile.index(), tile.width()).unwrap()
        });
        let paths = data.chain(tiles.iter().copied()).map(Tile::path);
        for path in paths.chain(["latest".to_owned()]) {
            let resource = Resource::parse(&format!("/{path}")).unwrap();
            let file = self.file(&path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, serve(&resource, &files).unwrap().body).unwrap();
        }
    }

    /// The file that is served at a path.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.site.path().join("sumdb").join(NAME).join(path)
    }

    /// Turns one bit of what is served at a path.
    pub(crate) fn spoil(&self, path: &str, at: usize) {
        let file = self.file(path);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[at] ^= 1;
        std::fs::write(file, bytes).unwrap();
    }
}
