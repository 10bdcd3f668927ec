//! Repositories of other systems than git: what is made of them.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod support;
#[path = "support/systems.rs"]
mod systems;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gomod::{ModulePath, Revision, Version};
use support::{Forge, Pages, Workplace};
use systems::{everything, has, hg_serve, mercurial, run, write};
use vcs::{Outbound, RemoteOptions};

/// Names in a zip without the module's.
const LIST: &str = "import sys, zipfile\nfor name in zipfile.ZipFile(sys.argv[1]).namelist(): print(name.split('@')[1].split('/', 1)[1])";

async fn files(workplace: &Workplace, module: &ModulePath, version: &str) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let version = Version::new(version).unwrap();
    let zip = file.reopen().unwrap();
    workplace.vcs.zip(module, &version, zip).await.unwrap();
    let listed = run(
        Path::new("/"),
        "python3",
        &["-c", LIST, file.path().to_str().unwrap()],
    );
    let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// A workplace where the module `code.vanity.example/hello` is the repository `system` at `url`.
fn workplace(system: &str, url: &str) -> (Forge, Workplace, ModulePath) {
    let forge = Forge::new();
    let module = "code.vanity.example/hello";
    let content = format!("{module} {system} http://{system}.vanity.example/hello");
    let pages = Pages::default().import(module, &content);
    let url = url.to_owned();
    let workplace = forge.vcs_with(pages, |settings| {
        everything(settings);
        settings.configuration = Arc::new(move |_, _| RemoteOptions {
            url: Some(url.clone()),
            allow_file: true,
            ..RemoteOptions::default()
        });
    });
    (forge, workplace, ModulePath::new(module).unwrap())
}

#[tokio::test]
async fn subversion_gives_versions_for_its_revisions() {
    if !has("svnadmin", "subversion") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let svn = |arguments: &[&str]| run(folder.path(), "svn", arguments);
    run(folder.path(), "svnadmin", &["create", "s"]);
    let root = format!("file://{}/s", folder.path().display());
    svn(&[
        "mkdir",
        "-q",
        "-m",
        "x",
        &format!("{root}/trunk"),
        &format!("{root}/tags"),
    ]);
    svn(&["checkout", "-q", &format!("{root}/trunk"), "work"]);
    write(
        folder.path(),
        "work/go.mod",
        "module code.vanity.example/hello\n",
    );
    write(folder.path(), "work/dir/ä & b.txt", "x\n");
    std::os::unix::fs::symlink("go.mod", folder.path().join("work/link")).unwrap();
    svn(&["add", "-q", "work/go.mod", "work/dir", "work/link"]);
    svn(&["commit", "-q", "-m", "x", "work"]);
    svn(&[
        "copy",
        "-q",
        "-m",
        "x",
        &format!("{root}/trunk"),
        &format!("{root}/tags/v1.0.0"),
    ]);
    write(folder.path(), "work/new.go", "package x\n");
    svn(&["add", "-q", "work/new.go"]);
    svn(&["commit", "-q", "-m", "x", "work"]);
    let (_forge, workplace, module) = workplace("svn", &format!("{root}/trunk"));
    // As for go, nothing in `tags` is a version.
    assert!(
        workplace
            .vcs
            .versions(&module)
            .await
            .unwrap()
            .list
            .is_empty()
    );
    let latest = workplace.vcs.latest(&module).await.unwrap();
    assert!(
        latest.version.ends_with("-000000000004"),
        "{}",
        latest.version
    );
    let origin = latest.origin.unwrap();
    assert_eq!((origin.vcs.as_str(), origin.hash.as_str()), ("svn", ""));
    let second = Revision::new("2").unwrap();
    let second = workplace.vcs.info(&module, &second).await.unwrap();
    assert!(
        second.version.ends_with("-000000000002"),
        "{}",
        second.version
    );
    assert_eq!(
        files(&workplace, &module, &second.version).await,
        ["dir/ä & b.txt", "go.mod"]
    );
    assert_eq!(
        files(&workplace, &module, &latest.version).await,
        ["dir/ä & b.txt", "go.mod", "new.go"]
    );
    for unknown in ["99", "v1.0.0", "nothing"] {
        let revision = Revision::new(unknown).unwrap();
        let error = workplace.vcs.info(&module, &revision).await.unwrap_err();
        assert!(error.is_absence(), "{unknown}: {error}");
    }
}

#[tokio::test]
async fn bazaar_gives_versions_for_its_tags() {
    if !has("bzr", "brz") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let bzr = |arguments: &[&str]| run(&work, "bzr", arguments);
    bzr(&["init", "-q"]);
    write(&work, "go.mod", "module code.vanity.example/hello\n");
    write(&work, "dir/a.go", "package dir\n");
    bzr(&["add", "-q"]);
    bzr(&[
        "commit",
        "-q",
        "-m",
        "one",
        "--commit-time=2020-01-02 03:04:05 +0100",
    ]);
    bzr(&["tag", "v1.0.0"]);
    let (_forge, workplace, module) = workplace("bzr", &format!("file://{}", work.display()));
    let listed = workplace.vcs.versions(&module).await.unwrap().list;
    assert_eq!(
        listed.iter().map(Version::as_str).collect::<Vec<_>>(),
        ["v1.0.0"]
    );
    let revision = Revision::new("v1.0.0").unwrap();
    let info = workplace.vcs.info(&module, &revision).await.unwrap();
    assert_eq!(
        info.time.unwrap().timestamp().to_string(),
        "2020-01-02T02:04:05Z"
    );
    assert_eq!(info.origin.unwrap().ref_name, "v1.0.0");
    assert_eq!(
        files(&workplace, &module, "v1.0.0").await,
        ["dir/a.go", "go.mod"]
    );
    write(&work, "b.go", "package x\n");
    bzr(&["add", "-q"]);
    bzr(&["commit", "-q", "-m", "two"]);
    bzr(&["tag", "v1.1.0"]);
    // How old a listing may be to say that something does not exist.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(
        files(&workplace, &module, "v1.1.0").await,
        ["b.go", "dir/a.go", "go.mod"]
    );
    let second = Revision::new("2").unwrap();
    let second = workplace.vcs.info(&module, &second).await.unwrap();
    assert_eq!(second.version, "v1.1.0");
}

#[tokio::test]
async fn fossil_gives_versions_for_its_check_ins() {
    if !has("fossil", "fossil") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let fossil = |arguments: &[&str]| run(folder.path(), "fossil", arguments);
    fossil(&["init", "--sha1", "f.fossil"]);
    fossil(&["open", "--nested", "--force", "f.fossil"]);
    write(
        folder.path(),
        "go.mod",
        "module code.vanity.example/hello\n",
    );
    write(folder.path(), "dir/a.go", "package dir\n");
    fossil(&["add", "go.mod", "dir/a.go"]);
    fossil(&[
        "commit",
        "-m",
        "one",
        "--no-warnings",
        "--tag",
        "v1.0.0",
        "--nosign",
    ]);
    let hash = fossil(&["info", "trunk"]);
    let hash = hash
        .lines()
        .find_map(|line| line.strip_prefix("hash:"))
        .unwrap();
    let hash = hash.split_whitespace().next().unwrap().to_owned();
    let repository: PathBuf = folder.path().join("f.fossil");
    let (_forge, workplace, module) =
        workplace("fossil", &format!("file://{}", repository.display()));
    // As for go, its tags are not listed, and found by their names.
    assert!(
        workplace
            .vcs
            .versions(&module)
            .await
            .unwrap()
            .list
            .is_empty()
    );
    let latest = workplace.vcs.latest(&module).await.unwrap();
    assert!(latest.version.ends_with(&hash[..12]), "{}", latest.version);
    assert_eq!(latest.origin.unwrap().hash, hash);
    for revision in [&hash[..12], "trunk"] {
        let revision = Revision::new(revision).unwrap();
        let found = workplace.vcs.info(&module, &revision).await.unwrap();
        assert_eq!(found.version, latest.version, "{revision}");
    }
    let tag = Revision::new("v1.0.0").unwrap();
    let tagged = workplace.vcs.info(&module, &tag).await.unwrap();
    assert_eq!(tagged.version, "v1.0.0");
    assert_eq!(tagged.origin.unwrap().hash, hash);
    let none = Revision::new("v1.0.1").unwrap();
    let error = workplace.vcs.info(&module, &none).await.unwrap_err();
    assert!(error.is_absence(), "{error}");
    assert_eq!(
        files(&workplace, &module, &latest.version).await,
        ["dir/a.go", "go.mod"]
    );
}

#[tokio::test]
async fn a_program_is_led_past_no_rule_and_a_missing_one_is_said() {
    let forge = Forge::new();
    let module = ModulePath::new("code.vanity.example/hello").unwrap();
    let pages = || {
        Pages::default().import(
            "code.vanity.example/hello",
            "code.vanity.example/hello hg http://hg.vanity.example/hello",
        )
    };
    let nowhere = tempfile::tempdir().unwrap();
    let workplace = forge.vcs_with(pages(), |settings| {
        everything(settings);
        settings.runner.path = nowhere.path().into();
    });
    let error = workplace.vcs.versions(&module).await.unwrap_err();
    assert!(error.is_absence(), "{error}");
    assert!(
        error
            .to_string()
            .contains("the program hg is not installed here"),
        "{error}"
    );
    if !has("hg", "mercurial") {
        return;
    }
    let folder = forge.root.path().join("hello");
    mercurial(&folder, module.as_str());
    let server = hg_serve(&folder);
    let reach = async |outbound: Outbound| {
        let (address, outbound) = (server.1, Arc::new(outbound));
        let workplace = forge.vcs_with(pages(), |settings| {
            everything(settings);
            settings.configuration = Arc::new(move |_, _| RemoteOptions {
                url: Some(format!("http://{address}/hello")),
                outbound: Some(Arc::clone(&outbound)),
                ..RemoteOptions::default()
            });
        });
        workplace.vcs.versions(&module).await
    };
    let listed = reach(Outbound::new(vec!["127.0.0.0/8".parse().unwrap()])).await;
    assert_eq!(listed.unwrap().list.len(), 3);
    let error = reach(Outbound::default()).await.unwrap_err();
    assert!(!error.is_absence(), "{error}");
}
