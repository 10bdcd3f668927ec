//! What the tests of this crate share: repositories made on the spot, pages of made-up hosts, and a [`Vcs`] that
//! reaches both without a network.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its part of it"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use vcs::discovery::{Page, Trust, Web, WebError};
use vcs::{RemoteOptions, RunnerSettings, Settings, Vcs};

/// A folder with repositories.
pub struct Forge {
    pub root: TempDir,
}

/// One of them, with a working tree.
pub struct Repository {
    pub directory: PathBuf,
    clock: AtomicUsize,
}

impl Forge {
    pub fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    pub fn repository(&self, name: &str) -> Repository {
        self.repository_with(name, &[])
    }

    pub fn repository_with(&self, name: &str, init: &[&str]) -> Repository {
        let directory = self.root.path().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let repository = Repository {
            directory,
            clock: AtomicUsize::new(0),
        };
        repository.git(&[&["init", "-q", "-b", "main"], init].concat());
        repository
    }

    /// A [`Vcs`] that finds a repository `NAME` where an address ends in `/NAME` (and perhaps `.git`).
    pub fn vcs(&self) -> Workplace {
        self.vcs_with(Pages::default(), |_| {})
    }

    pub fn vcs_with(&self, pages: Pages, change: impl FnOnce(&mut Settings)) -> Workplace {
        let directory = tempfile::tempdir().unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let mut settings = Settings::new(RunnerSettings::new(path, directory.path()));
        let root = self.root.path().to_path_buf();
        settings.configuration = Arc::new(move |url, _| local(&root, url));
        change(&mut settings);
        let vcs = Vcs::new(settings, Arc::new(pages)).unwrap();
        Workplace { vcs, directory }
    }
}

/// The repository of the forge for an address: its longest ending that exists.
pub fn local(root: &Path, url: &str) -> RemoteOptions {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let mut candidates = rest.match_indices('/').map(|(at, _)| &rest[at + 1..]);
    let found = candidates
        .find(|name| root.join(name).is_dir())
        .unwrap_or("nowhere");
    RemoteOptions {
        url: Some(format!("file://{}/{found}", root.display())),
        allow_file: true,
        ..RemoteOptions::default()
    }
}

/// A [`Vcs`] and its folder.
pub struct Workplace {
    pub vcs: Vcs,
    pub directory: TempDir,
}

impl Repository {
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let file = self.directory.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
        self
    }

    /// Commits everything, a minute after the last commit, and tells the hash.
    pub fn commit(&self) -> String {
        self.git(&["add", "-A", "-f", "."]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub fn tag(&self, name: &str) -> &Self {
        self.git(&["tag", "--", name]);
        self
    }

    pub fn annotate(&self, name: &str) -> &Self {
        self.git(&["tag", "-a", "-m", "x", "--", name]);
        self
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let minute = if arguments[0] == "commit" {
            self.clock.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        };
        let date = format!("2020-01-02T{:02}:{:02}:05Z", minute / 60, minute % 60);
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", "/nonexistent")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs([
                ("GIT_AUTHOR_NAME", "author"),
                ("GIT_AUTHOR_EMAIL", "author@example.com"),
                ("GIT_COMMITTER_NAME", "committer"),
                ("GIT_COMMITTER_EMAIL", "committer@example.com"),
                ("GIT_AUTHOR_DATE", &date),
                ("GIT_COMMITTER_DATE", &date),
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// Pages of hosts that do not exist, by `host/path`; the rest is 404.
#[derive(Clone, Default)]
pub struct Pages {
    pub by_path: Arc<Mutex<BTreeMap<String, (u16, String)>>>,
    pub asked: Arc<Mutex<Vec<String>>>,
    /// Servers that stand behind what begins so, for whoever asks for something else than a page.
    pub servers: Arc<Mutex<Vec<(String, std::net::SocketAddr)>>>,
    /// Whether every host is down.
    pub down: Arc<std::sync::atomic::AtomicBool>,
}

impl Pages {
    /// Has the page of `path` say that `prefix` is at `repository`.
    pub fn import(self, path: &str, content: &str) -> Self {
        let page = format!("<html><head><meta name=\"go-import\" content=\"{content}\"></head>");
        self.page(path, 200, &page)
    }

    pub fn page(self, path: &str, status: u16, page: &str) -> Self {
        let mut pages = self.by_path.lock().unwrap();
        pages.insert(path.to_owned(), (status, page.to_owned()));
        drop(pages);
        self
    }
}

impl Web for Pages {
    fn get<'a>(&'a self, url: &'a url::Url, _: Trust) -> BoxFuture<'a, Result<Page, WebError>> {
        let path = format!("{}{}", url.host_str().unwrap(), url.path());
        let path = path.trim_end_matches('/').to_owned();
        self.asked.lock().unwrap().push(path.clone());
        let answer = self.by_path.lock().unwrap().get(&path).cloned();
        let down = self.down.load(Ordering::Relaxed);
        async move {
            if down {
                return Err(WebError {
                    label: fault::Label::TcpRefused,
                    detail: "connection refused".to_owned(),
                });
            }
            let (status, body) = answer.unwrap_or((404, String::new()));
            Ok(Page {
                url: url.clone(),
                status,
                body: body.into_bytes(),
            })
        }
        .boxed()
    }
}
