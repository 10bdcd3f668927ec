//! The real `go` command is asked for the same, and must say the same: which files a module has, and its hashes.
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
use gomod::ModulePath;
use support::{Forge, Pages};

#[tokio::test]
async fn files_are_archived_as_go_archives_them() {
    let forge = Forge::new();
    let repository = forge.repository("files");
    let long = format!("{}/{}.txt", "d".repeat(120), "n".repeat(150));
    repository
        .write("go.mod", "module git.example/files.git\n\ngo 1.20\n")
        .write(
            ".gitattributes",
            "*.txt text eol=crlf\n*.id ident\n*.u16 text working-tree-encoding=UTF-16LE\nsecret export-ignore\nsubst export-subst\n*.lfs filter=lfs diff=lfs merge=lfs -text\nauto* text=auto eol=crlf\nbin.txt -text\n",
        )
        .write("a.txt", "one\ntwo\n")
        .write("mixed.txt", "one\r\ntwo\n")
        .write("bin.txt", "one\ntwo\n")
        .write("auto", "one\ntwo\n")
        .write("auto.bin", "one\n\0two\n")
        .write("x.id", "$Id$ and $Id: old $\n")
        .write("secret", "not secret\n")
        .write("subst", "$Format:%H$\n")
        .write("big.lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
        .write("sub/.gitattributes", "*.go eol=crlf\n")
        .write("sub/x.go", "package x\n")
        .write("sub/y.txt", "one\n")
        .write(&long, "long\n")
        .write("испытание/世界.txt", "unicode\n")
        .write("with space/#!$%&()+,-.=@[]^_{}~", "odd\n")
        .write(".hg_archival.txt", "omitted\n")
        .write("deeper/.hg_archival.txt", "kept\n")
        .write("empty", "");
    let wide: Vec<u8> = "tëxt\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    repository.write("wide.u16", wide);
    repository.write("tool.sh", "#!/bin/sh\n");
    repository.git(&["add", "-A"]);
    repository.git(&["update-index", "--chmod=+x", "tool.sh"]);
    let gitlink = "160000,0123456789012345678901234567890123456789,submodule";
    repository.git(&["update-index", "--add", "--cacheinfo", gitlink]);
    repository.write(
        ".gitmodules",
        "[submodule \"submodule\"]\n\tpath = submodule\n\turl = ext::sh -c touch% /x\n",
    );
    std::os::unix::fs::symlink("a.txt", repository.directory.join("link.txt")).unwrap();
    std::os::unix::fs::symlink("nowhere", repository.directory.join("broken")).unwrap();
    std::fs::create_dir(repository.directory.join("linked")).unwrap();
    std::os::unix::fs::symlink("../go.mod", repository.directory.join("linked/go.mod")).unwrap();
    repository.write("linked/kept.txt", "kept: a link is no module\n");
    repository.git(&["add", "-A", "linked", "link.txt", "broken", ".gitmodules"]);
    repository.git(&["commit", "-q", "-m", "x"]);
    repository.tag("v1.0.0");
    let mut bench = Bench::new(forge, Pages::default());
    bench.list("git.example/files.git").await;
    bench
        .revisions("git.example/files.git", &["v1.0.0", "main"])
        .await;
    bench.finish("files");
}

#[tokio::test]
async fn modules_in_modules_licences_and_vendored_packages_are_cut_out_as_go_does() {
    let forge = Forge::new();
    let nested = forge.repository("nested");
    nested
        .write("go.mod", "module git.example/nested.git\n")
        .write("LICENSE", "root licence\r\n$Id$\n")
        .write(".gitattributes", "LICENSE text eol=crlf ident\n")
        .write("a.go", "package a\n")
        .write("sub/go.mod", "module git.example/nested.git/sub\n")
        .write("sub/s.go", "package s\n")
        .write(
            "sub/deep/go.mod",
            "module git.example/nested.git/sub/deep\n",
        )
        .write("sub/deep/LICENSE", "own licence\n")
        .write("sub/deep/d.go", "package d\n")
        .write("case/Go.Mod", "module nested\n")
        .write("case/c.go", "package c\n")
        .write("v2/go.mod", "module git.example/nested.git/v2\n")
        .write("v2/v.go", "package v\n")
        .write("v2/License", "other name\n")
        .write("linked/go.mod", "module git.example/nested.git/linked\n");
    std::os::unix::fs::symlink("../LICENSE", nested.directory.join("linked/LICENSE")).unwrap();
    nested.commit();
    for tag in [
        "v1.0.0",
        "sub/v0.1.0",
        "sub/deep/v0.1.0",
        "v2.0.0",
        "linked/v0.1.0",
    ] {
        nested.tag(tag);
    }
    let rootless = forge.repository("rootlink");
    rootless
        .write("sub/go.mod", "module git.example/rootlink.git/sub\n")
        .write("text", "licence text\n");
    std::os::unix::fs::symlink("text", rootless.directory.join("LICENSE")).unwrap();
    rootless.commit();
    rootless.tag("sub/v1.0.0");
    for (name, go) in [
        ("vendor123", "go 1.23\n"),
        ("vendor124", "go 1.24\n"),
        ("vendornone", ""),
    ] {
        let vendored = forge.repository(name);
        vendored
            .write("go.mod", format!("module git.example/{name}.git\n{go}"))
            .write("vendor/modules.txt", "# x\n")
            .write("vendor/x.go", "package x\n")
            .write("vendor/x.example/y/z.go", "package z\n")
            .write("vendor/x.example/bad:name", "may have any name\n")
            .write("pkg/vendor/x.go", "package x\n")
            .write("pkg/vendor/y/z.go", "package z\n")
            .write("pkg/vendor.go", "package pkg\n")
            .write("vendored/x.go", "package x\n");
        vendored.commit();
        vendored.tag("v1.0.0");
    }
    let mut bench = Bench::new(forge, Pages::default());
    for module in [
        "nested.git",
        "nested.git/sub",
        "nested.git/sub/deep",
        "nested.git/v2",
        "nested.git/linked",
        "rootlink.git/sub",
        "vendor123.git",
        "vendor124.git",
        "vendornone.git",
    ] {
        let module = format!("git.example/{module}");
        bench.list(&module).await;
        bench.revisions(&module, &["latest", "main"]).await;
    }
    bench.finish("nested");
}

#[tokio::test]
async fn modules_that_cannot_be_zipped_are_absent_for_both() {
    let forge = Forge::new();
    let bad: [(&str, &[&str]); 6] = [
        ("colon", &["a:b"]),
        ("case", &["README", "readme"]),
        ("foldedcase", &["ſ.txt", "S.txt"]),
        ("device", &["sub/aux.go"]),
        ("dot", &["x."]),
        ("upper", &["GO.MOD"]),
    ];
    for (name, files) in bad {
        let repository = forge.repository(name);
        for file in files {
            repository.write(file, *file);
        }
        if name != "upper" {
            repository.write("go.mod", format!("module git.example/{name}.git\n"));
        }
        repository.commit();
        repository.tag("v1.0.0");
    }
    let mut bench = Bench::new(forge, Pages::default());
    for (name, _) in bad {
        bench
            .revision(&format!("git.example/{name}.git"), "v1.0.0")
            .await;
    }
    bench.finish("bad names");
}

#[tokio::test]
async fn vanity_paths_subdirectories_and_gopkg_in_are_found() {
    let forge = Forge::new();
    let mono = forge.repository("mono");
    mono.write("LICENSE", "licence\n")
        .write("go.mod", "module root.example\n")
        .write("lib/go.mod", "module a.vanity.example/lib\n")
        .write("lib/l.go", "package l\n")
        .write("lib/v2/go.mod", "module a.vanity.example/lib/v2\n")
        .write("lib/sub/go.mod", "module a.vanity.example/lib/sub\n")
        .commit();
    for tag in ["v0.5.0", "lib/v1.0.0", "lib/v2.0.0", "lib/sub/v0.1.0"] {
        mono.tag(tag);
    }
    let yaml = forge.repository("yaml");
    yaml.write("y.go", "package yaml\n").commit();
    yaml.tag("v2.0.0").tag("v2.1").tag("v1.0.0");
    yaml.write("go.mod", "module \"gopkg.in/yaml.v2\"\n")
        .commit();
    yaml.tag("v2.2.0");
    yaml.write("z.go", "package yaml\n").commit();
    let check = forge.repository("check");
    check.write("c.go", "package check\n").commit();
    let lib = "a.vanity.example/lib git https://git.example/mono lib";
    let pages = Pages::default()
        .import("a.vanity.example/lib", lib)
        .import("a.vanity.example/lib/v2", lib)
        .import(
            "a.vanity.example/lib/sub",
            "a.vanity.example/lib git https://git.example/mono lib",
        )
        .import(
            "a.vanity.example/lie/x",
            "a.vanity.example/lie git https://git.example/mono",
        )
        .import(
            "a.vanity.example/lie",
            "a.vanity.example/lie git https://git.example/other",
        )
        .import(
            "b.vanity.example",
            "b.vanity.example git https://git.example/mono",
        )
        .page(
            "c.vanity.example/x",
            404,
            "<meta name=go-import content='c.vanity.example/x git https://git.example/check'>",
        )
        .import(
            "d.vanity.example/x",
            "d.vanity.example/x git https://git.example/mono /abs",
        )
        .import(
            "gopkg.in/yaml.v2",
            "gopkg.in/yaml.v2 git https://git.example/yaml",
        )
        .import(
            "gopkg.in/yaml.v2-unstable",
            "gopkg.in/yaml.v2-unstable git https://git.example/yaml",
        )
        .import(
            "gopkg.in/check.v1",
            "gopkg.in/check.v1 git https://git.example/check",
        );
    let mut bench = Bench::new(forge, pages);
    for (module, revisions) in [
        ("a.vanity.example/lib", &["latest", "v1.0.0", "main"][..]),
        ("a.vanity.example/lib/v2", &["latest", "v2.0.0", "main"]),
        ("a.vanity.example/lib/sub", &["latest"]),
        ("c.vanity.example/x", &["latest"]),
        (
            "gopkg.in/yaml.v2",
            &["latest", "v2.0.0", "v2.1", "main", "v1.0.0"],
        ),
        ("gopkg.in/check.v1", &["main", "latest"]),
        ("gopkg.in/yaml.v2-unstable", &["main"]),
    ] {
        bench.list(module).await;
        bench.revisions(module, revisions).await;
    }
    for missing in [
        "a.vanity.example/lie/x",
        "d.vanity.example/x",
        "e.vanity.example/none",
    ] {
        let refused = bench.oracle.download(missing, "latest");
        assert!(refused["Error"].is_string(), "{refused}");
        let module = ModulePath::new(missing).unwrap();
        let error = bench.workplace.vcs.latest(&module).await.unwrap_err();
        assert!(error.is_absence(), "{missing}: {error}");
    }
    bench.finish("vanity");
}
