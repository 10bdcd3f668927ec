use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use depot::{Context, Depot, DepotError, FetchMode, FileReply, Progress, Settings};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use gomod::info::RevInfo;
use gomod::{ModulePath, ModuleVersion, Revision, Version};
use store::{AnswerKey, EventKind, FileKey, FileKind, Store};
use tempfile::TempDir;
use vcs::discovery::{Page, RootRule, Trust, Web, WebError};
use vcs::{RemoteOptions, RunnerSettings, UrlTemplate, Vcs, VersionControl};

use crate::scene::chain;

/// A repository `git.example/m`, and a place for depots that make modules from it.
struct Forge {
    folder: TempDir,
}

struct Nothing;

impl Web for Nothing {
    fn get<'a>(&'a self, url: &'a url::Url, _: Trust) -> BoxFuture<'a, Result<Page, WebError>> {
        let error = WebError {
            label: fault::Label::TcpRefused,
            detail: format!("nobody answers at {url}"),
        };
        async move { Err(error) }.boxed()
    }
}

impl Forge {
    fn new() -> Self {
        let forge = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        forge.begin();
        forge
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("m")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn begin(&self) {
        std::fs::create_dir(self.repository()).unwrap();
        self.git(&["init", "-q", "-b", "main"]);
        std::fs::write(self.repository().join("go.mod"), "module git.example/m\n").unwrap();
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.com"])
            .args(arguments)
            .current_dir(self.repository())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A commit with this text in a file; the answer is its hash.
    fn commit(&self, text: &str) -> String {
        std::fs::write(self.repository().join("text.txt"), text).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn vcs(&self) -> Vcs {
        let work = self.data().join("vcs");
        std::fs::create_dir_all(&work).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let mut settings = vcs::Settings::new(RunnerSettings::new(path, work));
        settings.limits.listing_fresh = Duration::ZERO;
        let address = format!("file://{}/{{path}}", self.folder.path().display());
        settings.rules.roots = vec![RootRule {
            pattern: "git.example/*".to_owned(),
            system: VersionControl::Git,
            repository: UrlTemplate::new(address).unwrap(),
        }];
        settings.configuration = Arc::new(|_, _| RemoteOptions {
            allow_file: true,
            ..RemoteOptions::default()
        });
        Vcs::new(settings, Arc::new(Nothing)).unwrap()
    }

    fn depot(&self) -> Depot {
        let settings = Settings {
            ttl: Duration::ZERO,
            stale_wait: Duration::from_mins(1),
            repositories: Some(self.vcs()),
            ..Settings::default()
        };
        Depot::new(
            Store::open(&self.data()).unwrap(),
            chain("direct"),
            settings,
        )
    }
}

fn module() -> ModulePath {
    ModulePath::new("git.example/m").unwrap()
}

fn version(text: &str) -> ModuleVersion {
    ModuleVersion::new(module(), Version::new(text).unwrap()).unwrap()
}

async fn file(depot: &Depot, kind: FileKind) -> Result<Vec<u8>, DepotError> {
    let key = FileKey {
        module: module(),
        version: Version::new("v1.0.0").unwrap(),
        kind,
    };
    let reply = depot
        .file(&key, FetchMode::Allowed, &Context::default())
        .await?;
    let bytes = match reply {
        FileReply::Small(small, _) => small.body.to_vec(),
        FileReply::Stored(stored) => stored.read_small().unwrap().unwrap(),
        FileReply::Growing(mut growing) => match growing.wait_for(u64::MAX).await {
            Progress::Complete(len) => {
                let mut bytes = vec![0; usize::try_from(len).unwrap()];
                growing.file().read_exact_at(&mut bytes, 0).unwrap();
                bytes
            }
            Progress::Failed(error) => return Err(error),
            Progress::Growing(_) => unreachable!(),
        },
    };
    settled(depot, &key).await;
    Ok(bytes)
}

/// Waits until what was served is stored, too, and on record.
async fn settled(depot: &Depot, key: &FileKey) {
    let stored = async {
        // What the file must hash to is on record before the file is, so that a record alone tells nothing.
        while depot.in_flight() > 0
            || depot.store().open_file(key).unwrap().is_none()
            || depot
                .records()
                .provenance(&key.module_version().unwrap())
                .await
                .unwrap()
                .is_none()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), stored)
        .await
        .unwrap();
}

/// Waits until nothing is asked any more, behind the requests either.
async fn idle(depot: &Depot) {
    let nothing_under_way = async {
        while depot.in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), nothing_under_way)
        .await
        .unwrap();
}

async fn list(depot: &Depot) -> String {
    let key = AnswerKey::List(module());
    let reply = depot
        .answer(&key, FetchMode::Allowed, &Context::default())
        .await;
    String::from_utf8(reply.unwrap().body.to_vec()).unwrap()
}

/// What the file of the first commit says.
fn text_of(zip: &[u8]) -> String {
    let archive = modzip::Archive::open(zip, zip.len() as u64).unwrap();
    let mut entries = archive.entries();
    let entry = entries.find(|entry| entry.name().ends_with(b"/text.txt"));
    let mut text = Vec::new();
    archive.copy(entry.unwrap(), &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// What was noticed behind an answer.
async fn moved_tags(depot: &Depot, text: &str) -> Vec<EventKind> {
    let found = async {
        loop {
            let events = depot.records().events(&version(text)).await.unwrap();
            if !events.is_empty() {
                return events.into_iter().map(|event| event.what).collect();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), found)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_tag_that_moves_changes_nothing_that_was_served_and_is_told_once() {
    let forge = Forge::new();
    let first = forge.commit("first");
    forge.git(&["tag", "v1.0.0"]);
    let depot = forge.depot();
    file(&depot, FileKind::Info).await.unwrap();
    let zip = file(&depot, FileKind::Zip).await.unwrap();
    assert_eq!(list(&depot).await, "v1.0.0\n");
    assert_eq!(depot.moved_tags(), 0);

    let second = forge.commit("second");
    forge.git(&["tag", "-f", "v1.0.0"]);
    assert_eq!(list(&depot).await, "v1.0.0\n");
    let told = moved_tags(&depot, "v1.0.0").await;
    let EventKind::MovedTag {
        tag,
        old_commit,
        new_commit,
        ..
    } = &told[0]
    else {
        panic!("{told:?}");
    };
    assert_eq!(
        (tag.as_str(), old_commit, new_commit),
        ("v1.0.0", &first, &second)
    );
    assert_eq!(file(&depot, FileKind::Zip).await.unwrap(), zip);
    assert_eq!(text_of(&zip), "first");

    // Another tag makes it look again, and a restart forget; neither tells it again.
    forge.git(&["tag", "v1.0.1"]);
    list(&depot).await;
    assert_eq!(depot.moved_tags(), 1);
    depot.close(Duration::from_secs(5)).await;
    drop(depot);
    let depot = forge.depot();
    list(&depot).await;
    forge.git(&["tag", "-f", "v1.0.1", &first]);
    file_of(&depot, "v1.0.1").await;
    forge.git(&["tag", "-f", "v1.0.1", &second]);
    list(&depot).await;
    moved_tags(&depot, "v1.0.1").await;
    let told = depot.records().events(&version("v1.0.0")).await.unwrap();
    assert_eq!((told.len(), depot.moved_tags()), (1, 1));
}

async fn file_of(depot: &Depot, text: &str) {
    let key = FileKey {
        module: module(),
        version: Version::new(text).unwrap(),
        kind: FileKind::Info,
    };
    depot
        .file(&key, FetchMode::Allowed, &Context::default())
        .await
        .unwrap();
    settled(depot, &key).await;
}

#[tokio::test]
async fn all_files_of_a_version_are_made_from_one_commit() {
    let forge = Forge::new();
    let first = forge.commit("first");
    forge.git(&["tag", "v1.0.0"]);
    let depot = forge.depot();
    file(&depot, FileKind::Mod).await.unwrap();
    depot.records().flush().await;
    let of_mod = depot.records().revision(&version("v1.0.0")).await.unwrap();
    assert_eq!(of_mod.as_deref(), Some(first.as_str()));

    forge.commit("second");
    forge.git(&["tag", "-f", "v1.0.0"]);
    let zip = file(&depot, FileKind::Zip).await.unwrap();
    assert_eq!(text_of(&zip), "first");
    let info = RevInfo::parse(&file(&depot, FileKind::Info).await.unwrap()).unwrap();
    assert_eq!(info.origin.unwrap().hash, first);
    moved_tags(&depot, "v1.0.0").await;
    assert_eq!(depot.moved_tags(), 1);
}

#[tokio::test]
async fn a_version_whose_commit_is_gone_is_no_absence_and_takes_no_other_bytes() {
    let forge = Forge::new();
    forge.commit("first");
    forge.git(&["tag", "v1.0.0"]);
    let depot = forge.depot();
    file(&depot, FileKind::Mod).await.unwrap();
    depot.close(Duration::from_secs(5)).await;
    drop(depot);

    std::fs::remove_dir_all(forge.data().join("vcs")).unwrap();
    std::fs::remove_dir_all(forge.repository()).unwrap();
    forge.begin();
    forge.commit("second");
    forge.git(&["tag", "v1.0.0"]);
    let depot = forge.depot();
    let error = file(&depot, FileKind::Zip).await.unwrap_err();
    assert!(!error.is_absence(), "{error}");
    assert_eq!(error.label(), Some(fault::Label::ModRetagged), "{error}");
}

#[tokio::test]
async fn what_is_stored_goes_on_when_the_repository_is_gone() {
    let forge = Forge::new();
    forge.commit("first");
    forge.git(&["tag", "v1.0.0"]);
    let depot = forge.depot();
    let zip = file(&depot, FileKind::Zip).await.unwrap();
    file(&depot, FileKind::Info).await.unwrap();
    list(&depot).await;
    depot.close(Duration::from_secs(5)).await;
    drop(depot);

    std::fs::remove_dir_all(forge.repository()).unwrap();
    let depot = forge.depot();
    assert_eq!(list(&depot).await, "v1.0.0\n");
    assert_eq!(file(&depot, FileKind::Zip).await.unwrap(), zip);
    let error = file(&depot, FileKind::Mod).await.unwrap_err();
    assert!(error.is_absence(), "{error}");
}

#[tokio::test]
async fn another_repository_in_the_same_place_is_told() {
    let forge = Forge::new();
    forge.commit("first");
    forge.git(&["tag", "v1.0.0"]);
    forge.commit("second");
    let depot = forge.depot();
    let main = AnswerKey::Query(module(), Revision::new("main").unwrap());
    let ask = async |depot: &Depot| {
        depot
            .answer(&main, FetchMode::Allowed, &Context::default())
            .await
            .unwrap();
        list(depot).await;
    };
    file(&depot, FileKind::Info).await.unwrap();
    ask(&depot).await;

    // Who asked while there is no repository at all would be told so, and believed for a while.
    idle(&depot).await;
    std::fs::remove_dir_all(forge.repository()).unwrap();
    forge.begin();
    forge.commit("another beginning");
    forge.git(&["tag", "v1.1.0"]);
    forge.commit("and on");
    ask(&depot).await;
    let told = moved_tags(&depot, "v1.0.0").await;
    assert!(
        matches!(told[0], EventKind::MovedRepository { .. }),
        "{told:?}"
    );
    assert_eq!(depot.moved_repositories(), 1);
}
