//! Repositories that are made to do harm by their shape.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

#[path = "support/harm.rs"]
mod harm;
mod support;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fault::Label;
use harm::{module, zip};
use support::{Forge, Pages, Repository};
use testkit::{GitManner, GitServer};

fn import(repository: &Repository, stream: &[u8]) {
    let mut child = Command::new("git")
        .args(["fast-import", "--quiet", "--force"])
        .current_dir(&repository.directory)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stream).unwrap();
    assert!(child.wait().unwrap().success());
}

fn made(repository: &Repository, kind: &str, text: &str) -> String {
    let mut child = Command::new("git")
        .arg(kind)
        .current_dir(&repository.directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_tree_that_holds_itself_many_times_over_ends_at_the_limit() {
    let forge = Forge::new();
    let repository = forge.repository("treebomb");
    repository
        .write("go.mod", "module git.example/treebomb.git\n")
        .write("leaf.go", "package x\n")
        .commit();
    let leaf = repository
        .git(&["rev-parse", "HEAD:leaf.go"])
        .trim()
        .to_owned();
    let mut tree = made(
        &repository,
        "mktree",
        &format!("100644 blob {leaf}\tf.go\n"),
    );
    // Ten to the tenth files in a few hundred bytes.
    for _ in 0..10 {
        let mut entries = String::new();
        for index in 0..10 {
            writeln!(entries, "040000 tree {tree}\td{index}").unwrap();
        }
        tree = made(&repository, "mktree", &entries);
    }
    let go_mod = repository
        .git(&["rev-parse", "HEAD:go.mod"])
        .trim()
        .to_owned();
    let root = format!("040000 tree {tree}\tdeep\n100644 blob {go_mod}\tgo.mod\n");
    let root = made(&repository, "mktree", &root);
    let commit = repository
        .git(&["commit-tree", "-m", "bomb", &root])
        .trim()
        .to_owned();
    repository.git(&["update-ref", "refs/heads/main", &commit]);
    repository.tag("v1.0.0");
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        settings.limits.archive = 8 << 20;
        settings.runner.memory = 512 << 20;
    });
    let error = zip(&workplace, "treebomb", "v1.0.0").await.unwrap_err();
    let limits = [Label::ModZipTooLarge, Label::OsResourceLimit];
    assert!(limits.contains(&error.label()), "{error}");
    // Its versions can be told without its files.
    let listed = workplace.vcs.versions(&module("treebomb")).await.unwrap();
    assert_eq!(listed.list.len(), 1);
}

#[tokio::test]
async fn forty_thousand_files_are_many_but_no_reason_to_fail() {
    let forge = Forge::new();
    let repository = forge.repository("wide");
    let mut stream = b"blob\nmark :1\ndata 10\npackage x\n\n".to_vec();
    let go_mod = "module git.example/wide.git\n";
    write!(stream, "blob\nmark :2\ndata {}\n{go_mod}\n", go_mod.len()).unwrap();
    write!(stream, "commit refs/heads/main\ncommitter A <a@example.com> 1700000000 +0000\ndata 1\nx\nM 100644 :2 go.mod\n").unwrap();
    for index in 0..40_000 {
        writeln!(stream, "M 100644 :1 d/f{index}.go").unwrap();
    }
    import(&repository, &stream);
    repository.tag("v1.0.0");
    let began = Instant::now();
    zip(&forge.vcs(), "wide", "v1.0.0").await.unwrap();
    assert!(began.elapsed() < Duration::from_mins(5));
}

#[tokio::test]
async fn what_a_repository_says_to_borrow_from_elsewhere_is_not_fetched() {
    let (forge, elsewhere) = (Forge::new(), Forge::new());
    let secret = elsewhere.repository("secret");
    secret
        .write("go.mod", "module git.example/secret.git\n")
        .commit();
    let victim = GitServer::start(
        elsewhere.root.path(),
        GitManner {
            dumb: true,
            ..GitManner::default()
        },
    );
    let repository = forge.repository("borrower");
    repository
        .write("go.mod", "module git.example/borrower.git\n")
        .commit();
    repository.tag("v1.0.0");
    let objects = repository.directory.join(".git/objects");
    std::fs::create_dir_all(objects.join("info")).unwrap();
    let borrowed = format!("http://{}/secret/.git/objects\n", victim.address());
    std::fs::write(objects.join("info/http-alternates"), &borrowed).unwrap();
    std::fs::write(
        objects.join("info/alternates"),
        format!(
            "{borrowed}{}\n",
            elsewhere.root.path().join("secret/.git/objects").display()
        ),
    )
    .unwrap();
    // The commit is nowhere but in the other repository.
    for entry in std::fs::read_dir(&objects).unwrap().flatten() {
        if entry.file_name().len() == 2 {
            std::fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    std::fs::write(repository.directory.join(".git/info/refs"), {
        let commit = secret.git(&["rev-parse", "HEAD"]).trim().to_owned();
        format!("{commit}\trefs/heads/main\n{commit}\trefs/tags/v1.0.0\n")
    })
    .unwrap();
    let server = GitServer::start(
        forge.root.path(),
        GitManner {
            dumb: true,
            ..GitManner::default()
        },
    );
    let address = format!("http://{}/borrower/.git", server.address());
    let workplace = forge.vcs_with(Pages::default(), move |settings| {
        settings.rules.insecure = goenv::private::Patterns::parse("*");
        settings.configuration = std::sync::Arc::new(move |_, _| vcs::RemoteOptions {
            url: Some(address.clone()),
            ..vcs::RemoteOptions::default()
        });
    });
    let error = zip(&workplace, "borrower", "v1.0.0").await.unwrap_err();
    assert!(!error.to_string().is_empty());
    assert!(!server.requests().is_empty(), "{error}");
    let asked = victim.requests();
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_into_the_inside_is_followed_by_nobody() {
    let forge = Forge::new();
    let inside = TcpListener::bind(("127.0.0.2", 0)).unwrap();
    let to = format!("http://{}/secret", inside.local_addr().unwrap());
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/moved", outside.local_addr().unwrap());
    let (told, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut client in outside.incoming().flatten() {
            let mut request = [0; 4096];
            let length = client.read(&mut request).unwrap();
            let answer = format!(
                "HTTP/1.1 301 X\r\nLocation: {to}/info/refs?service=git-upload-pack\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _gone = client.write_all(answer.as_bytes());
            let head = String::from_utf8_lossy(&request[..length]).into_owned();
            let _nobody_listens = told.send(head);
        }
    });
    let outbound = vcs::Outbound::new(vec!["127.0.0.1/32".parse().unwrap()]);
    let outbound = std::sync::Arc::new(outbound);
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        settings.rules.insecure = goenv::private::Patterns::parse("*");
        // So that no scheme is tried first.
        settings.rules.roots.push(vcs::discovery::RootRule {
            pattern: "git.example/*".to_owned(),
            system: vcs::VersionControl::Git,
            repository: vcs::UrlTemplate::new("http://git.example/{1}").unwrap(),
        });
        settings.configuration = std::sync::Arc::new(move |_, _| vcs::RemoteOptions {
            url: Some(address.clone()),
            outbound: Some(std::sync::Arc::clone(&outbound)),
            ..vcs::RemoteOptions::default()
        });
    });
    let error = zip(&workplace, "moved", "v1.0.0").await.unwrap_err();
    assert!(!error.is_absence(), "{error}");
    // Both have been there: who speaks the protocol here, and git, which begins to fetch meanwhile.
    let mut agents = Vec::new();
    while !(agents
        .iter()
        .any(|head: &String| head.contains("git/2 (modkeep"))
        && agents.iter().any(|head| !head.contains("git/2 (modkeep")))
    {
        agents.push(asked.recv_timeout(Duration::from_mins(1)).unwrap());
    }
    inside.set_nonblocking(true).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let reached = inside.accept().unwrap_err();
    assert_eq!(reached.kind(), std::io::ErrorKind::WouldBlock);
}
