//! What one process found out about repositories, the next one knows.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gomod::ModulePath;
use support::{Forge, Pages, local};
use vcs::{RunnerSettings, Settings, Vcs};

fn vcs(forge: &Forge, pages: Pages, folder: &Path) -> Vcs {
    let mut settings = Settings::new(RunnerSettings::new(
        std::env::var_os("PATH").unwrap(),
        folder,
    ));
    let root = forge.root.path().to_path_buf();
    settings.configuration = Arc::new(move |url, _| local(&root, url));
    settings.rules.fresh = Duration::ZERO;
    settings.limits.listing_fresh = Duration::ZERO;
    Vcs::new(settings, Arc::new(pages)).unwrap()
}

fn pages(repository: &str) -> Pages {
    let tag = format!("vanity.example/m git https://code.example/{repository}");
    Pages::default().import("vanity.example/m", &tag)
}

async fn written(folder: &Path, text: &str) {
    let file = folder.join("memory.json");
    let is_written = || std::fs::read_to_string(&file).is_ok_and(|found| found.contains(text));
    tokio::time::timeout(Duration::from_mins(1), async {
        while !is_written() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_repository_is_found_after_a_restart_while_its_page_is_down() {
    let (forge, folder) = (Forge::new(), tempfile::tempdir().unwrap());
    let repository = forge.repository("m");
    repository
        .write("go.mod", "module vanity.example/m\n")
        .commit();
    repository.tag("v1.0.0");
    let module = ModulePath::new("vanity.example/m").unwrap();

    let first = vcs(&forge, pages("m"), folder.path());
    assert_eq!(first.versions(&module).await.unwrap().list.len(), 1);
    written(folder.path(), "https://code.example/m").await;
    drop(first);

    let down = Pages::default().page("vanity.example/m", 503, "");
    let later = vcs(&forge, down, folder.path());
    assert_eq!(later.versions(&module).await.unwrap().list.len(), 1);

    let nothing = tempfile::tempdir().unwrap();
    let down = Pages::default().page("vanity.example/m", 503, "");
    let stranger = vcs(&forge, down, nothing.path());
    assert!(stranger.versions(&module).await.is_err());
}

#[tokio::test]
async fn another_target_and_another_history_are_noticed_across_restarts() {
    let (forge, folder) = (Forge::new(), tempfile::tempdir().unwrap());
    let module = ModulePath::new("vanity.example/m").unwrap();
    for name in ["m", "other"] {
        let repository = forge.repository(name);
        repository
            .write("go.mod", "module vanity.example/m\n")
            .write("name.txt", name)
            .commit();
        repository.tag("v1.0.0").write("more.txt", name).commit();
    }
    // What comes after a tag needs the history.
    let head = gomod::Revision::new("main").unwrap();
    let first = vcs(&forge, pages("m"), folder.path());
    first.info(&module, &head).await.unwrap();
    first.versions(&module).await.unwrap();
    assert_eq!(first.take_changes(), []);
    written(folder.path(), "first_commits\":[\"").await;
    drop(first);

    let later = vcs(&forge, pages("other"), folder.path());
    later.info(&module, &head).await.unwrap();
    later.versions(&module).await.unwrap();
    let changes = later.take_changes();
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert_eq!(changes[0].old, "https://code.example/m");
    assert_eq!(changes[0].new, "https://code.example/other");
    assert!(changes[1].new.contains("begins with commit"), "{changes:?}");
    assert_eq!(later.take_changes(), []);
}
