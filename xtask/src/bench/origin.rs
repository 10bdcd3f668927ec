//! Modules straight from git repositories, against the `go` command that does the same itself.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use testkit::{GitManner, GitServer, Go, Modkeep, http};

use super::Context;
use super::report::{Table, figure, median};

/// How long every connection, and every answer, is on its way.
const DELAY: Duration = Duration::from_millis(50);
const HOST: &str = "git.bench.test";
/// Commits before the first tag.
const COMMITS: usize = 30;
const FILES: usize = 20;
const FILE_BYTES: usize = 8_000;

struct Scene {
    repositories: usize,
    tags: usize,
    server: GitServer,
    folder: TempDir,
}

pub(super) fn run(context: &Context) -> Result<Vec<Table>> {
    let scene = Scene::new(context)?;
    let (mut cold, mut second) = (Sides::default(), Sides::default());
    for turn in 0..context.turns() {
        let (modkeep, _data) = scene.modkeep(context)?;
        let sides = [through(&modkeep), scene.straight()];
        let next = format!("v1.{}.0", turn + 1);
        for (go, is_through) in sides.iter().zip([true, false]) {
            cold.add(is_through, scene.download(go, "v1.0.0")?);
        }
        scene.tag_all(&next)?;
        for (go, is_through) in sides.iter().zip([true, false]) {
            second.add(is_through, scene.download(go, &next)?);
        }
        eprintln!("cold {cold:?}, second version {second:?}");
    }
    let downloads = Table {
        intro: format!(
            "{} git repositories with {COMMITS} commits each, over HTTP; every connection and every answer takes {} ms. \
             Cold: module cache and store are empty. Second version: the first was downloaded before, and one commit was \
             pushed and tagged since. {} runs each in turns.",
            scene.repositories,
            DELAY.as_millis(),
            context.turns()
        ),
        head: vec![
            "`go mod download`, s",
            "through modkeep",
            "`GOPROXY=direct`",
            "times as fast",
        ],
        rows: vec![
            cold.row(&format!("cold, {} repositories", scene.repositories)),
            second.row("a second version of each"),
        ],
    };
    Ok(vec![downloads, scene.listing(context)?])
}

/// Seconds of both sides.
#[derive(Debug, Default)]
struct Sides {
    through: Vec<f64>,
    straight: Vec<f64>,
}

impl Sides {
    fn add(&mut self, is_through: bool, seconds: f64) {
        if is_through {
            self.through.push(seconds);
        } else {
            self.straight.push(seconds);
        }
    }

    fn row(&self, what: &str) -> Vec<String> {
        let (through, straight) = (median(&self.through), median(&self.straight));
        vec![
            what.to_owned(),
            figure(through),
            figure(straight),
            format!("{:.1}", straight / through),
        ]
    }
}

impl Scene {
    fn new(context: &Context) -> Result<Self> {
        let folder = context.data()?;
        let repositories = if context.quick { 6 } else { 40 };
        let tags = if context.quick { 500 } else { 5_000 };
        let root = folder.path().join("repositories");
        std::fs::create_dir(&root)?;
        for index in 0..repositories {
            make(&root, &name(index))?;
        }
        let many = make(&root, "many")?;
        let head = git(&many, &["rev-parse", "HEAD"])?;
        let mut packed = String::new();
        for tag in 0..tags {
            writeln!(packed, "{head} refs/tags/v1.{}.{}", tag / 100, tag % 100)?;
        }
        std::fs::write(many.join(".git/packed-refs"), packed)?;
        Ok(Self {
            repositories,
            tags,
            server: GitServer::start(
                &root,
                GitManner {
                    delay: DELAY,
                    ..GitManner::default()
                },
            ),
            folder,
        })
    }

    /// A modkeep that knows nothing yet.
    fn modkeep(&self, context: &Context) -> Result<(Modkeep, TempDir)> {
        let data = context.data()?;
        let config = data.path().join("modkeep.toml");
        let text = format!(
            "insecure = \"{HOST}\"\n\n[outbound]\nallow = \"127.0.0.0/8\"\n\n[cache]\nttl = \"1s\"\n\n\
             [[origin]]\npattern = \"{HOST}/*\"\nremote = \"http://{}/{{path}}\"\n",
            self.server.address()
        );
        std::fs::write(&config, text)?;
        let modkeep = context
            .modkeep()
            .data(data.path().join("data"))
            .upstream("off")
            .config(config)
            .env("GOENV", "off")
            .start();
        Ok((modkeep, data))
    }

    /// A go command that goes to the repositories itself, with an empty module cache.
    fn straight(&self) -> Go {
        let config = self.folder.path().join("gitconfig");
        let text = format!(
            "[url \"http://{}/\"]\n\tinsteadOf = https://{HOST}/\n",
            self.server.address()
        );
        // It is the same text every time.
        let _written = std::fs::write(&config, text);
        Go::find()
            .proxy("direct")
            .sumdb("off")
            .env("GIT_CONFIG_GLOBAL", config)
    }

    /// Seconds that it takes to download a version of every repository's module.
    fn download(&self, go: &Go, version: &str) -> Result<f64> {
        let project = go.home().join(format!("project-{version}"));
        std::fs::create_dir_all(&project)?;
        let mut text = "module example.com/main\n\ngo 1.21\n\nrequire (\n".to_owned();
        for index in 0..self.repositories {
            writeln!(text, "\t{HOST}/{}.git {version}", name(index))?;
        }
        text.push_str(")\n");
        std::fs::write(project.join("go.mod"), text)?;
        let began = Instant::now();
        let output = go.run(&project, &["mod", "download"]);
        ensure!(output.success, "go mod download: {}", output.stderr);
        Ok(began.elapsed().as_secs_f64())
    }

    fn tag_all(&self, version: &str) -> Result<()> {
        for index in 0..self.repositories {
            let work = self.folder.path().join("repositories").join(name(index));
            std::fs::write(
                work.join("version.go"),
                format!("package m\n\n// {version}\n"),
            )?;
            commit(&work, version)?;
            git(&work, &["tag", version])?;
        }
        Ok(())
    }

    /// What a list takes beyond what the network takes.
    fn listing(&self, context: &Context) -> Result<Table> {
        let (mut whole, mut network) = (Vec::new(), Vec::new());
        let address = format!("http://{}/many.git", self.server.address());
        for _ in 0..context.turns() {
            let (modkeep, _data) = self.modkeep(context)?;
            // Once, so that both sides have git in memory.
            http::get(&format!("{}/{HOST}/{}.git/@v/list", modkeep.url(), name(0)))?;
            let began = Instant::now();
            let reply = http::get(&format!("{}/{HOST}/many.git/@v/list", modkeep.url()))?;
            whole.push(began.elapsed().as_secs_f64() * 1000.0);
            let lines = reply.text().lines().count();
            ensure!(lines == self.tags, "{lines} versions: {}", reply.status);
            let began = Instant::now();
            git(self.folder.path(), &["ls-remote", "--quiet", &address])?;
            network.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        let (whole, network) = (median(&whole), median(&network));
        Ok(Table {
            intro: format!(
                "The list of a repository with {} tags, asked for the first time.",
                self.tags
            ),
            head: vec!["what", "ms"],
            rows: vec![
                vec!["`@v/list` through modkeep".to_owned(), figure(whole)],
                vec!["`git ls-remote` alone".to_owned(), figure(network)],
                vec!["beyond the network".to_owned(), figure(whole - network)],
            ],
        })
    }
}

fn through(modkeep: &Modkeep) -> Go {
    Go::find().proxy(modkeep.url()).sumdb("off")
}

fn name(index: usize) -> String {
    format!("r{index:02}")
}

/// A repository with a module, some history and the tag v1.0.0. It is reached with `.git` behind its name and without.
fn make(root: &Path, name: &str) -> Result<PathBuf> {
    let work = root.join(name);
    std::fs::create_dir(&work)?;
    std::os::unix::fs::symlink(&work, root.join(format!("{name}.git")))?;
    git(&work, &["init", "-q", "-b", "main"])?;
    std::fs::write(
        work.join("go.mod"),
        format!("module {HOST}/{name}.git\n\ngo 1.21\n"),
    )?;
    let mut random = fastrand::Rng::with_seed(name.bytes().map(u64::from).sum());
    for file in 0..FILES {
        let letters: String = std::iter::repeat_with(|| random.alphanumeric())
            .take(FILE_BYTES)
            .collect();
        std::fs::write(
            work.join(format!("f{file}.go")),
            format!("package m\n\n// {letters}\n"),
        )?;
    }
    for step in 0..COMMITS {
        std::fs::write(
            work.join("step.go"),
            format!("package m\n\nconst Step = {step}\n"),
        )?;
        commit(&work, &step.to_string())?;
    }
    git(&work, &["tag", "v1.0.0"])?;
    Ok(work)
}

fn commit(work: &Path, message: &str) -> Result<()> {
    git(work, &["add", "-A"])?;
    git(work, &["commit", "-q", "-m", message]).map(drop)
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@example.com",
            "-c",
            "gc.auto=0",
        ])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .context("starting git")?;
    ensure!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
