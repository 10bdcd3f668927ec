//! Repositories of other systems than git, against what go makes of them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail the test, and say how much was tested"
)]

#[path = "support/bench.rs"]
mod bench;
#[path = "support/oracle.rs"]
mod oracle;
mod support;
#[path = "support/systems.rs"]
mod systems;

use std::path::Path;
use std::sync::Arc;

use bench::Bench;
use support::{Forge, Pages};
use systems::{Server, everything, has, hg_serve, listening, mercurial, run, write};
use vcs::RemoteOptions;

const MODULE: &str = "code.vanity.example/hello";
const SUB: &str = "code.vanity.example/hello/sub";

/// The module's pages, and those of what is below it at `below`.
fn pages(below: &[&str], content: &str) -> Pages {
    below.iter().fold(Pages::default(), |pages, below| {
        pages.import(&format!("{MODULE}{below}"), content)
    })
}

/// Where go finds the repository at `http://SYSTEM.vanity.example/hello`, and where this crate does.
fn bench(forge: Forge, system: &str, server: &Server) -> Bench {
    let content = format!("{MODULE} {system} http://{system}.vanity.example/hello");
    let pages = pages(&["", "/sub", "/v2"], &content);
    let behind = (format!("{system}.vanity.example/hello"), server.1);
    pages.servers.lock().unwrap().push(behind);
    let url = format!("http://{}/hello", server.1);
    Bench::with(forge, pages, |settings| {
        everything(settings);
        settings.configuration = Arc::new(move |_, _| RemoteOptions {
            url: Some(url.clone()),
            ..RemoteOptions::default()
        });
    })
}

/// Files that versions are told from each other by.
fn files(folder: &Path) {
    write(folder, "go.mod", &format!("module {MODULE}\n"));
    write(folder, "a.go", "package a\n");
    write(folder, "LICENSE", "as you like\n");
    write(folder, "dir/ä & b.txt", "x\r\n");
    write(folder, "sub/go.mod", &format!("module {MODULE}/sub\n"));
    write(folder, "sub/s.go", "package sub\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn mercurial_is_what_go_makes_of_it() {
    if !has("hg", "mercurial") {
        return;
    }
    let forge = Forge::new();
    let module = MODULE;
    let folder = forge.root.path().join("hello");
    mercurial(&folder, module);
    let server = hg_serve(&folder);
    let content = format!("{module} hg http://hg.vanity.example/hello");
    let pages = pages(&["", "/sub", "/v2"], &content);
    let behind = ("hg.vanity.example/hello".to_owned(), server.1);
    pages.servers.lock().unwrap().push(behind);
    let log = |template: &str, revision: &str| {
        run(&folder, "hg", &["log", "-r", revision, "-T", template])
    };
    let (first, side) = (log("{node}", "0"), log("{node|short}", "side"));
    let third = log("{node|short}", "v1.0.0");
    let mut bench = Bench::with(forge, pages, everything);
    for path in [
        module.to_owned(),
        format!("{module}/sub"),
        format!("{module}/v2"),
    ] {
        bench.list(&path).await;
    }
    let revisions = [
        "v0.1.0",
        "v1.0.1-rc.1",
        "v9.9.9",
        "latest",
        "side",
        "tip",
        "v2.0.0",
        &first,
        &third,
    ];
    bench.revisions(module, &revisions).await;
    bench
        .revisions(&format!("{module}/sub"), &["v0.2.0", "default"])
        .await;
    bench.revisions(&format!("{module}/v2"), &["v2.0.0"]).await;
    let side = bench.oracle.download(module, &side);
    let version = side["Version"].as_str().unwrap().to_owned();
    bench.revision(module, &version).await;
    let later = version.replacen("v1.0.1-rc.1.0.", "v1.0.2-0.", 1);
    bench.revision(module, &later).await;
    bench.finish("mercurial");
}

#[tokio::test(flavor = "multi_thread")]
async fn subversion_is_what_go_makes_of_it() {
    if !has("svnadmin", "subversion") || !has("svnserve", "subversion") {
        return;
    }
    let forge = Forge::new();
    let root = &forge.root.path().to_path_buf();
    run(root, "svnadmin", &["create", "hello"]);
    let local = format!("file://{}/hello", root.display());
    let svn = |arguments: &[&str]| run(root, "svn", arguments);
    let (trunk, tags) = (format!("{local}/trunk"), format!("{local}/tags"));
    svn(&["mkdir", "-q", "-m", "x", &trunk, &tags]);
    svn(&["checkout", "-q", &trunk, "work"]);
    let work = root.join("work");
    files(&work);
    let names = ["go.mod", "a.go", "LICENSE", "dir", "sub"];
    let add = |names: &[&str]| run(&work, "svn", &[&["add", "-q"], names].concat());
    add(&names);
    run(
        &work,
        "svn",
        &["propset", "-q", "svn:eol-style", "native", "a.go"],
    );
    run(
        &work,
        "svn",
        &["propset", "-q", "svn:keywords", "Id", "LICENSE"],
    );
    svn(&["commit", "-q", "-m", "x", "work"]);
    svn(&["copy", "-q", "-m", "x", &trunk, &format!("{tags}/v1.0.0")]);
    write(&work, "new.go", "package a // $Id$\n");
    add(&["new.go"]);
    svn(&["commit", "-q", "-m", "x", "work"]);
    let server = listening(
        root,
        "svnserve",
        &[
            "--daemon",
            "--foreground",
            "--listen-host=127.0.0.1",
            "--listen-port={port}",
            "--root=.",
        ],
    );
    let content = format!("{MODULE} svn svn://{}/hello/trunk", server.1);
    let mut bench = Bench::with(forge, pages(&["", "/sub"], &content), |settings| {
        everything(settings);
        settings.configuration = Arc::new(|_, _| RemoteOptions::default());
    });
    bench.list(MODULE).await;
    bench
        .revisions(MODULE, &["latest", "2", "4", "99", "v1.0.0"])
        .await;
    bench.revisions(SUB, &["latest", "2"]).await;
    let latest = bench.oracle.download(MODULE, "latest");
    bench
        .revision(MODULE, latest["Version"].as_str().unwrap())
        .await;
    // A symbolic link is not as long as the file where it leads, which go takes for a damage. Here it is left out.
    std::os::unix::fs::symlink("a.go", work.join("link.go")).unwrap();
    add(&["link.go"]);
    svn(&["commit", "-q", "-m", "x", "work"]);
    let refused = bench.oracle.download(MODULE, "5");
    let words = refused["Error"].as_str().unwrap();
    assert!(words.contains("file size differs"), "{words}");
    let fifth = gomod::Revision::new("5").unwrap();
    let module = gomod::ModulePath::new(MODULE).unwrap();
    let linked = bench.workplace.vcs.info(&module, &fifth).await.unwrap();
    assert_eq!(
        bench.files(MODULE, &linked.version).await,
        ["LICENSE", "a.go", "dir/ä & b.txt", "go.mod", "new.go"]
    );
    bench.finish("subversion");
}

#[tokio::test(flavor = "multi_thread")]
async fn bazaar_is_what_go_makes_of_it() {
    if !has("bzr", "brz") || !has("python3", "python3") {
        return;
    }
    let forge = Forge::new();
    let root = forge.root.path();
    let work = root.join("hello");
    std::fs::create_dir(&work).unwrap();
    let bzr = |arguments: &[&str]| run(&work, "bzr", arguments);
    let commit = |minute: usize| {
        bzr(&["add", "-q"]);
        let time = format!("--commit-time=2020-01-02 03:{minute:02}:05 +0100");
        bzr(&["commit", "-q", "-m", "x", &time]);
    };
    bzr(&["init", "-q"]);
    files(&work);
    std::os::unix::fs::symlink("a.go", work.join("link.go")).unwrap();
    commit(1);
    bzr(&["tag", "v1.0.0"]);
    bzr(&["tag", "sub/v0.2.0"]);
    write(&work, "b.go", "package a\n");
    commit(2);
    bzr(&["tag", "v1.1.0-rc.1"]);
    write(&work, "go.mod", &format!("module {MODULE}/v2\n"));
    commit(3);
    bzr(&["tag", "v2.0.0"]);
    write(&work, "c.go", "package a\n");
    commit(4);
    let server = listening(
        root,
        "python3",
        &["-m", "http.server", "--bind=127.0.0.1", "{port}"],
    );
    let mut bench = bench(forge, "bzr", &server);
    bench.emptied_by_go = vec![SUB.to_owned()];
    for below in ["", "/sub", "/v2"] {
        bench.list(&format!("{MODULE}{below}")).await;
    }
    bench
        .revisions(
            MODULE,
            &["v1.0.0", "v1.1.0-rc.1", "v9.9.9", "1", "2", "99", "latest"],
        )
        .await;
    bench.revisions(SUB, &["v0.2.0", "latest"]).await;
    bench
        .revisions(&format!("{MODULE}/v2"), &["v2.0.0", "4", "latest"])
        .await;
    let fourth = bench.oracle.download(&format!("{MODULE}/v2"), "4");
    let version = fourth["Version"].as_str().unwrap().to_owned();
    bench.revision(&format!("{MODULE}/v2"), &version).await;
    assert_eq!(
        bench.files(SUB, "v0.2.0").await,
        ["LICENSE", "go.mod", "s.go"]
    );
    bench.finish("bazaar");
}

#[tokio::test(flavor = "multi_thread")]
async fn fossil_is_what_go_makes_of_it() {
    if !has("fossil", "fossil") {
        return;
    }
    let forge = Forge::new();
    let root = forge.root.path();
    let work = root.join("work");
    std::fs::create_dir(&work).unwrap();
    let fossil = |arguments: &[&str]| run(&work, "fossil", arguments);
    let commit = |minute: usize, tag: &str| {
        fossil(&["addremove"]);
        let time = format!("2020-01-02 03:{minute:02}:05");
        let more = [
            "--no-warnings",
            "--nosign",
            "--date-override",
            &time,
            "--tag",
            tag,
        ];
        fossil(&[&["commit", "-m", "x"][..], &more].concat());
        let told = fossil(&["info", "trunk"]);
        let hash = told.lines().find_map(|line| line.strip_prefix("hash:"));
        hash.unwrap().split_whitespace().next().unwrap().to_owned()
    };
    let beginning = ["--date-override", "2020-01-01 00:00:00"];
    fossil(&[&["init", "--sha1"][..], &beginning, &["../hello.fossil"]].concat());
    fossil(&["open", "--nested", "--force", "../hello.fossil"]);
    files(&work);
    let first = commit(1, "v1.0.0");
    write(&work, "b.go", "package a\n");
    let second = commit(2, "sub/v0.2.0");
    let server = listening(
        root,
        "fossil",
        &["server", "--localhost", "--port={port}", "--nojail", "."],
    );
    let mut bench = bench(forge, "fossil", &server);
    bench.emptied_by_go = vec![SUB.to_owned()];
    bench.list(MODULE).await;
    bench
        .revisions(
            MODULE,
            &[
                &first,
                &second[..12],
                "trunk",
                "latest",
                "v1.0.0",
                "nothing",
            ],
        )
        .await;
    bench.list(SUB).await;
    bench
        .revisions(SUB, &["latest", &first, "v0.2.0", "v0.3.0"])
        .await;
    assert_eq!(
        bench.files(SUB, "v0.2.0").await,
        ["LICENSE", "go.mod", "s.go"]
    );
    let latest = bench.oracle.download(MODULE, "latest");
    bench
        .revision(MODULE, latest["Version"].as_str().unwrap())
        .await;
    bench.finish("fossil");
}
