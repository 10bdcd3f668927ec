//! `modkeep verify` against `go mod verify` over the same module cache.

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use rustix::fs::{Advice, fadvise};
use testkit::{Go, Module, Tree, UpstreamServer};

use super::Context;
use super::report::{Table, figure, median};

/// A project whose modules are in a module cache, zipped and unpacked.
struct Scene {
    go: Go,
    project: tempfile::TempDir,
    modules: usize,
    files: usize,
    bytes: u64,
}

/// Seconds of each.
#[derive(Default)]
struct Pair {
    go: Vec<f64>,
    modkeep: Vec<f64>,
}

impl Pair {
    fn row(&self, what: &str) -> Vec<String> {
        let (go, modkeep) = (median(&self.go), median(&self.modkeep));
        let ratio = format!("{:.2}", go / modkeep);
        vec![what.to_owned(), figure(modkeep), figure(go), ratio]
    }
}

pub(super) fn run(context: &Context) -> Result<Vec<Table>> {
    let scene = Scene::new(context)?;
    let (mut warm, mut cold) = (Pair::default(), Pair::default());
    let turns = context.turns() * 2;
    // Whoever goes first does not find everything in memory because of the other.
    scene.go_verify()?;
    for turn in 0..turns {
        for is_go in [turn % 2 == 0, turn % 2 != 0] {
            scene.time(context, is_go, &mut warm)?;
        }
    }
    for turn in 0..turns {
        for is_go in [turn % 2 == 0, turn % 2 != 0] {
            scene.forget()?;
            scene.time(context, is_go, &mut cold)?;
        }
    }
    scene.both_find_a_changed_byte(context)?;
    let table = Table {
        intro: format!(
            "A module cache of {} modules, which have {} files and {} MB of Go's own source text together, zipped and unpacked, \
             and a project that requires them; both programs verify zips and directories, modkeep also go.sum. {turns} runs \
             each in turns, the whole process each time. Cold: the files are no longer in the page cache (their names are, \
             and whatever the disk itself remembers).",
            scene.modules,
            scene.files,
            scene.bytes / 1_000_000,
        ),
        head: vec![
            "what",
            "modkeep verify, s",
            "go mod verify, s",
            "go / modkeep",
        ],
        rows: vec![warm.row("files in the page cache"), cold.row("cold")],
    };
    Ok(vec![table])
}

impl Scene {
    fn new(context: &Context) -> Result<Self> {
        let (modules, files) = if context.quick { (8, 50) } else { (120, 50) };
        let go = Go::find();
        let sources = sources(&go, context.folder.path())?;
        ensure!(
            sources.len() >= modules * files,
            "{} files of Go's source text are too few",
            sources.len()
        );
        let tree = Tree::temporary();
        let (mut requires, mut sums, mut bytes) = (String::new(), String::new(), 0);
        for (number, sources) in sources.chunks_exact(files).take(modules).enumerate() {
            let mut module = Module::new(&format!("example.com/made/m{number}"), "v1.2.3");
            for (file, text) in sources.iter().enumerate() {
                bytes += text.len() as u64;
                module = module.file(&format!("p{}/f{file}.go", file % 7), text);
            }
            tree.add(&module);
            let (path, version) = (module.path(), module.version());
            writeln!(requires, "\t{path} {version}")?;
            writeln!(sums, "{path} {version} {}", module.zip_h1())?;
            writeln!(sums, "{path} {version}/go.mod {}", module.go_mod_h1())?;
        }
        let project = tempfile::tempdir_in(context.folder.path())?;
        let text = format!("module example.com/main\n\ngo 1.20\n\nrequire (\n{requires})\n");
        fs::write(project.path().join("go.mod"), text)?;
        fs::write(project.path().join("go.sum"), sums)?;
        let upstream = UpstreamServer::serve(tree.root());
        let go = go.proxy(&upstream.url()).sumdb("off");
        let output = go.run(project.path(), &["mod", "download"]);
        ensure!(output.success, "go mod download: {}", output.stderr);
        // Pages that were not written yet cannot be forgotten.
        rustix::fs::sync();
        Ok(Self {
            go,
            project,
            modules,
            files: modules * files,
            bytes,
        })
    }

    fn time(&self, context: &Context, is_go: bool, pair: &mut Pair) -> Result<()> {
        let began = Instant::now();
        if is_go {
            self.go_verify()?;
            pair.go.push(began.elapsed().as_secs_f64());
        } else {
            let output = self.modkeep_verify(context)?;
            let seconds = began.elapsed().as_secs_f64();
            ensure!(output.stdout == b"all modules verified\n", "{output:?}");
            pair.modkeep.push(seconds);
        }
        Ok(())
    }

    fn go_verify(&self) -> Result<()> {
        let output = self.go.run(self.project.path(), &["mod", "verify"]);
        ensure!(output.success, "go mod verify: {}", output.stderr);
        Ok(())
    }

    fn modkeep_verify(&self, context: &Context) -> Result<Output> {
        Command::new(&context.binary)
            .arg("verify")
            .current_dir(self.project.path())
            .env("GOENV", "off")
            .env("GOMODCACHE", self.go.module_cache())
            .stdin(Stdio::null())
            .output()
            .context("starting modkeep")
    }

    /// Takes the files of the cache out of memory.
    fn forget(&self) -> Result<()> {
        for path in files_below(&self.go.module_cache())? {
            let file = File::open(&path).with_context(|| path.display().to_string())?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
        Ok(())
    }

    /// That both have looked: one byte of one file is not what it was.
    fn both_find_a_changed_byte(&self, context: &Context) -> Result<()> {
        let unpacked = self
            .go
            .module_cache()
            .join("example.com/made/m5@v1.2.3/p0/f0.go");
        let mut text = fs::read(&unpacked)?;
        let last = text.last_mut().context("an empty file")?;
        *last ^= 1;
        fs::set_permissions(&unpacked, Permissions::from_mode(0o644))?;
        fs::write(&unpacked, text)?;
        let go = self.go.run(self.project.path(), &["mod", "verify"]);
        ensure!(!go.success, "go mod verify overlooks a changed byte");
        let modkeep = self.modkeep_verify(context)?;
        ensure!(
            modkeep.status.code() == Some(1),
            "modkeep verify overlooks a changed byte"
        );
        Ok(())
    }
}

/// The source text of Go itself, in an order that has nothing to do with the names: what real modules are like, and how
/// it compresses, no generated text has.
fn sources(go: &Go, folder: &Path) -> Result<Vec<String>> {
    let output = go.run(folder, &["env", "GOROOT"]);
    ensure!(output.success, "go env GOROOT: {}", output.stderr);
    let root = PathBuf::from(output.stdout.trim()).join("src");
    let mut paths = files_below(&root)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "go"));
    paths.sort_unstable();
    Rng::with_seed(7).shuffle(&mut paths);
    // Test data among them need not be text.
    let texts = paths.iter().map(fs::read_to_string);
    Ok(texts.filter_map(Result::ok).collect())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    Ok(files)
}
