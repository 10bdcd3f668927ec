//! The real `go` command is asked for the same, and must say the same: versions, times, origins, go.mod files, and
//! what does not exist.
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

use bench::Bench;
use support::{Forge, Pages};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn major_versions_are_where_go_looks_for_them() {
    let forge = Forge::new();
    let old = forge.repository("old");
    old.write("a.go", "package a\n").commit();
    for tag in [
        "v1.0.0",
        "v1.1.0-rc.1",
        "v2.0.0",
        "v2.1.0",
        "v1",
        "v1.2",
        "1.0.0",
        "v3.0.0+meta",
        "v0.0.0-20200102000005-abcdefabcdef",
    ] {
        old.tag(tag);
    }
    old.write("v3/go.mod", "module git.example/old.git/v3\n")
        .commit();
    old.tag("v3.0.0").annotate("v3.1.0");
    let tip = old.write("b.go", "package a\n").commit();
    let mixed = forge.repository("mixed");
    mixed.write("a.go", "package a\n").commit();
    mixed.tag("v1.0.0").tag("v2.0.0");
    mixed
        .write("go.mod", "module git.example/mixed.git\n")
        .commit();
    mixed.tag("v1.1.0").tag("v2.1.0").tag("v3.0.0");
    mixed.git(&["checkout", "-q", "-b", "v4"]);
    mixed
        .write(
            "go.mod",
            "module git.example/mixed.git/v4\n\nretract v4.1.0\n",
        )
        .commit();
    mixed.tag("v4.0.0").tag("v4.1.0");
    mixed.write("c.go", "package a\n").commit();
    mixed.git(&["checkout", "-q", "main"]);
    let go4 = mixed
        .write("v4/go.mod", "module git.example/mixed.git/v4\n")
        .commit();
    mixed.tag("v4.2.0");
    let both = forge.repository("both");
    both.write("go.mod", "module git.example/both.git/v2\n")
        .write("v2/go.mod", "module git.example/both.git/v2\n")
        .commit();
    both.tag("v2.0.0");
    both.write("v2/go.mod", "// nothing\n").commit();
    both.tag("v2.0.1");
    both.write("v2/go.mod", "module git.example/both.git/v3\n")
        .commit();
    both.tag("v2.0.2");
    let odd = forge.repository("odd");
    odd.write("go.mod", "// no module\n").commit();
    odd.tag("v1.0.0");
    odd.write("go.mod", "module git.example/odd.git/v1\n")
        .commit();
    odd.tag("v1.1.0");
    odd.write("go.mod", "module other.example/path\n").commit();
    odd.tag("v1.2.0");
    odd.write("go.mod", "module \"gopkg.in/odd.v7\"\n").commit();
    odd.tag("v1.3.0");
    let mut bench = Bench::new(forge, Pages::default());
    let cases: [(&str, &[&str]); 9] = [
        (
            "old.git",
            &[
                "latest",
                "main",
                "v1.0.0",
                "v2.0.0",
                "v2.0.0+incompatible",
                "v1.0.0+incompatible",
                "v3.0.0",
                "v3.0.0+incompatible",
                "v1",
                "v1.2",
                "1.0.0",
                "v3.0.0+meta",
                "v9.0.0",
                "nosuch",
                "v0.0.0-20200102000005-abcdefabcdef",
            ],
        ),
        (
            "old.git/v3",
            &["latest", "v3.0.0", "v3.1.0", "v2.0.0", "main"],
        ),
        ("old.git/v2", &["v2.0.0", "latest"]),
        (
            "mixed.git",
            &[
                "latest",
                "v2.0.0+incompatible",
                "v2.0.0",
                "v2.1.0+incompatible",
                "v2.1.0",
                "v4",
                "v4.0.0",
            ],
        ),
        (
            "mixed.git/v4",
            &["latest", "v4", "v4.0.0", "v4.2.0", "main"],
        ),
        ("both.git/v2", &["v2.0.0", "v2.0.1", "v2.0.2"]),
        (
            "odd.git",
            &["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0", "latest"],
        ),
        ("old.git/nosuch", &["latest", "v1.0.0"]),
        ("mixed.git/v3", &["v3.0.0"]),
    ];
    for (module, revisions) in cases {
        let module = format!("git.example/{module}");
        bench.list(&module).await;
        bench.revisions(&module, revisions).await;
    }
    bench
        .revisions("git.example/old.git", &[&tip, &tip[..7], &tip[..6]])
        .await;
    bench.revisions("git.example/mixed.git/v4", &[&go4]).await;
    bench.finish("majors");
}

#[tokio::test]
async fn pseudo_versions_are_made_and_judged_as_go_does() {
    let forge = Forge::new();
    let history = forge.repository("history");
    let mut hashes = Vec::new();
    history.write("go.mod", "module git.example/history.git\n");
    for (step, tags) in [
        (0, &[][..]),
        (1, &["v0.1.0"]),
        (2, &[]),
        (3, &["v0.2.0-beta"]),
        (4, &["v1.0.0+meta"]),
        (5, &[]),
        (6, &["v1.2.0", "v1.3.0"]),
    ] {
        if step == 6 {
            history.write(
                "go.mod",
                "module git.example/history.git\n\nretract [v1.2.0, v1.3.0]\n",
            );
        }
        hashes.push(history.write("step", step.to_string()).commit());
        for tag in tags {
            history.tag(tag);
        }
    }
    hashes.push(history.write("step", "7").commit());
    history.git(&["checkout", "-q", "-b", "side", &hashes[2]]);
    let side = history.write("side", "x").commit();
    history.git(&["checkout", "-q", "main"]);
    let stamp = |index: usize| format!("202001020{index:03}05");
    let mut wanted: Vec<String> = [
        "latest",
        "side",
        "v1.0.0+meta",
        "v1.0.0",
        "v0.2.0-beta",
        "v1.3.0",
    ]
    .map(str::to_owned)
    .to_vec();
    wanted.push(side.clone());
    wanted.extend(hashes.iter().map(|hash| hash[..12].to_owned()));
    let (h2, t2) = (&hashes[2][..12], stamp(2));
    for version in [
        format!("v0.1.1-0.{t2}-{h2}"),
        format!("v0.0.0-{t2}-{h2}"),
        format!("v1.0.0-{t2}-{h2}"),
        format!("v0.2.0-beta.0.{t2}-{h2}"),
        format!("v0.9.1-0.{t2}-{h2}"),
        format!("v0.1.1-0.20200102000305-{h2}"),
        format!("v0.1.1-0.{t2}-{}", &hashes[2][..11]),
        format!("v0.1.1-0.{t2}-{}", &hashes[2][..13]),
        format!("v0.1.1-0.{t2}-{}", "0".repeat(12)),
        format!("v0.1.1-0.{}-{}", stamp(1), &hashes[1][..12]),
        format!("v1.0.1-0.{}-{}", stamp(4), &hashes[4][..12]),
        format!("v1.3.1-0.{}-{}", stamp(7), &hashes[7][..12]),
        format!("v2.0.0-{t2}-{h2}"),
        format!("v2.0.1-0.{t2}-{h2}+incompatible"),
        format!("v0.1.1-0.20201302000205-{h2}"),
    ] {
        wanted.push(version);
    }
    // A commit that no branch and no tag leads to.
    let tree = history.git(&["rev-parse", "HEAD^{tree}"]);
    let lost = history.git(&["commit-tree", "-m", "lost", tree.trim()]);
    wanted.push(lost.trim().to_owned());
    let mut bench = Bench::new(forge, Pages::default());
    bench.retracted = vec!["v1.2.0", "v1.3.0"];
    bench.list("git.example/history.git").await;
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    bench.revisions("git.example/history.git", &wanted).await;
    bench.finish("pseudo-versions");
}

#[tokio::test]
async fn names_of_every_kind_lead_to_the_same_commits() {
    let forge = Forge::new();
    let names = forge.repository("names");
    let first = names
        .write("go.mod", "module git.example/names.git\n")
        .commit();
    names.tag("same").annotate("note");
    names.git(&["tag", "-a", "-m", "x", "noteofnote", "note"]);
    names.tag("v1.0.0");
    let second = names.write("a", "a").commit();
    names.git(&["branch", "same"]);
    names.git(&["branch", "v1.0.0"]);
    names.git(&["branch", "v1.5.0"]);
    names.git(&["tag", "tree", "HEAD^{tree}"]);
    names.git(&["tag", "blob", "HEAD:a"]);
    names.git(&["tag", "deadbeefcafe"]);
    names.git(&["tag", "v0.9.0-tree", "HEAD^{tree}"]);
    names.git(&["update-ref", "refs/tags/-dash", "HEAD"]);
    names.tag("v1.1.0-é");
    let tag_object = names
        .git(&["rev-parse", "refs/tags/note"])
        .trim()
        .to_owned();
    let detached = forge.repository("detached");
    detached
        .write("go.mod", "module git.example/detached.git\n")
        .commit();
    detached.git(&["checkout", "-q", "--detach"]);
    detached.write("b", "b").commit();
    let empty = forge.repository("empty");
    empty.git(&["config", "core.bare", "false"]);
    let sha = forge.repository_with("sha256", &["--object-format=sha256"]);
    let long = sha
        .write("go.mod", "module git.example/sha256.git\n")
        .commit();
    sha.tag("v1.0.0");
    let newer = sha.write("a", "a").commit();
    let mut bench = Bench::new(forge, Pages::default());
    bench.list("git.example/names.git").await;
    bench
        .revisions(
            "git.example/names.git",
            &[
                "same",
                "note",
                "noteofnote",
                "v1.0.0",
                "v1.5.0",
                "HEAD",
                "tree",
                "blob",
                "deadbeefcafe",
                "v0.9.0-tree",
                &first,
                &second,
                &second[..9],
                &tag_object,
                "main",
            ],
        )
        .await;
    bench.list("git.example/detached.git").await;
    bench
        .revisions("git.example/detached.git", &["latest", "main"])
        .await;
    bench.list("git.example/sha256.git").await;
    bench
        .revisions(
            "git.example/sha256.git",
            &["v1.0.0", "latest", "main", &long[..12], &newer],
        )
        .await;
    bench.revision("git.example/empty.git", "latest").await;
    bench.finish("names");
}
