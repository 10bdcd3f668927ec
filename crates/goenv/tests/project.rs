//! What is found in a project's files and in the module cache, beside what the real `go` says.
#![cfg(unix)]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fault::{Lang, Rule, forbidden_remedies};
use goenv::cache::ModuleCache;
use goenv::fix::Plan;
use goenv::report::{Machine, Report};
use goenv::{Environment, Finding, project};
use gomod::gosum::GoSum;
use gomod::{ModulePath, ModuleVersion, Version};
use support::go_command;

struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for (name, text) in files {
            project.file(name, text);
        }
        project
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        fs::write(self.at(name), text).unwrap();
    }

    fn findings(&self, below: &str, variables: &[(&str, &str)]) -> Vec<Finding> {
        let home = self.at("").to_str().unwrap().to_owned();
        let path = Environment::from_process().get("PATH").unwrap().to_owned();
        let base = [("HOME".to_owned(), home), ("PATH".to_owned(), path)];
        let more = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let report = Report::collect(Machine {
            environment: Environment::from_pairs(base.into_iter().chain(more)),
            directory: self.at(below),
            root: self.at("root"),
            process: None,
            patience: Duration::from_mins(1),
        });
        let found = project::findings(&report);
        for finding in &found {
            for lang in Lang::ALL {
                let (problem, remedy) = (finding.sentence(lang), finding.remedy(lang));
                assert!(
                    !problem.contains('?') && !remedy.contains('?'),
                    "{problem} {remedy}"
                );
                assert_eq!(forbidden_remedies(&remedy), []);
            }
        }
        found
    }

    fn rules(&self, below: &str) -> Vec<(Rule, Option<usize>)> {
        let found = self.findings(below, &[]);
        found
            .iter()
            .map(|finding| {
                (
                    finding.rule,
                    finding.place.as_ref().and_then(|place| place.line),
                )
            })
            .collect()
    }

    /// What go says, run in a directory of the project.
    fn go(&self, below: &str, arguments: &[&str]) -> (bool, String) {
        let output = go_command()
            .args(arguments)
            .env("HOME", self.at(""))
            .env("GOENV", "off")
            .env("GOFLAGS", "-modcacherw")
            .env("GOPROXY", format!("file://{}", self.at("proxy").display()))
            .env("GOSUMDB", "off")
            .env("GOTOOLCHAIN", "local")
            .current_dir(self.at(below))
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }
}

const LIB: &str = "module example.test/lib\n\ngo 1.24\n";

/// A module in a tree that serves as GOPROXY.
fn publish(project: &Project, version: &str) {
    let source = project.at(&format!("source-{version}"));
    fs::create_dir_all(source.join("sub")).unwrap();
    fs::write(source.join("go.mod"), LIB).unwrap();
    fs::write(source.join("lib.go"), "package lib\n").unwrap();
    fs::write(source.join("sub/sub.go"), "package sub\n").unwrap();
    let base = project.at("proxy/example.test/lib/@v");
    fs::create_dir_all(&base).unwrap();
    let module = ModuleVersion::new(
        ModulePath::new("example.test/lib").unwrap(),
        Version::new(version).unwrap(),
    )
    .unwrap();
    let zip = fs::File::create(base.join(format!("{version}.zip"))).unwrap();
    modzip::dir::create_from_dir(zip, &module, &source).unwrap();
    fs::write(base.join(format!("{version}.mod")), LIB).unwrap();
    fs::write(
        base.join(format!("{version}.info")),
        format!("{{\"Version\":\"{version}\"}}"),
    )
    .unwrap();
}

/// A project that requires the module, tidied by go.
fn tidy() -> Project {
    let project = Project::new(&[
        (
            "p/go.mod",
            "module example.test/p\n\ngo 1.24\n\nrequire example.test/lib v1.0.0\n",
        ),
        ("p/p.go", "package p\n\nimport _ \"example.test/lib\"\n"),
    ]);
    publish(&project, "v1.0.0");
    let (done, said) = project.go("p", &["mod", "tidy"]);
    assert!(done, "{said}");
    project
}

/// What is wrong, the files, the directory to look from, the rule, and the line.
type Mistake = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    Rule,
    Option<usize>,
);

const MISTAKES: &[Mistake] = &[
    (
        "a version with four numbers",
        &[("go.mod", "module m\n\ngo 1.24\n\nrequire a.b/c v1.2.3.4\n")],
        "",
        Rule::GomodSyntax,
        Some(5),
    ),
    (
        "a require without version",
        &[("go.mod", "module m\n\nrequire a.b/c\n")],
        "",
        Rule::GomodSyntax,
        Some(3),
    ),
    (
        "a stray symbol",
        &[("go.mod", "module m\n}\n")],
        "",
        Rule::GomodSyntax,
        Some(2),
    ),
    (
        "a bad major version",
        &[("go.mod", "module m\n\nrequire a.b/c v2.0.0\n")],
        "",
        Rule::GomodSyntax,
        Some(3),
    ),
    ("no go.mod", &[("x", "")], "", Rule::GomodMissing, None),
    (
        "a missing directory",
        &[(
            "go.mod",
            "module m\n\ngo 1.24\n\nrequire a.b/c v1.0.0\n\nreplace a.b/c => ../nowhere\n",
        )],
        "",
        Rule::ReplaceMissing,
        Some(7),
    ),
    (
        "a directory without go.mod",
        &[
            (
                "go.mod",
                "module m\n\ngo 1.24\n\nrequire a.b/c v1.0.0\n\nreplace a.b/c => ./c\n",
            ),
            ("c/c.go", "package c\n"),
        ],
        "",
        Rule::ReplaceMissing,
        Some(7),
    ),
    (
        "a local directory",
        &[
            ("go.mod", "module m\n\ngo 1.24\n\nreplace a.b/c => ./c\n"),
            ("c/go.mod", "module a.b/c\n"),
        ],
        "",
        Rule::ReplaceLocal,
        Some(5),
    ),
    (
        "a conflict in go.sum",
        &[
            ("go.mod", "module m\n\ngo 1.24\n"),
            ("go.sum", "a.b/c v1.0.0 h1:x=\n<<<<<<< HEAD\n"),
        ],
        "",
        Rule::GosumMalformed,
        Some(2),
    ),
    (
        "a hash that is missing",
        &[("go.mod", "module m\n\ngo 1.24\n\nrequire a.b/c v1.0.0\n")],
        "",
        Rule::GosumMissing,
        None,
    ),
    (
        "a workspace with a syntax error",
        &[("go.work", "go 1.24\n\nusing ./a\n")],
        "",
        Rule::GomodSyntax,
        Some(3),
    ),
    (
        "a workspace without a module",
        &[("go.work", "go 1.24\n\nuse ./a\n")],
        "",
        Rule::WorkspaceUse,
        Some(3),
    ),
    (
        "a module outside of the workspace",
        &[
            ("go.work", "go 1.24\n\nuse ./a\n"),
            ("a/go.mod", "module a\n"),
            ("b/go.mod", "module b\n\ngo 1.24\n"),
        ],
        "b",
        Rule::WorkspaceShadows,
        None,
    ),
];

#[test]
fn mistakes_in_files_are_found_by_line() {
    for (what, files, below, rule, line) in MISTAKES {
        let project = Project::new(files);
        let found = project.rules(below);
        assert!(found.contains(&(*rule, *line)), "{what}: {found:?}");
        // What is no mere remark stops go, too.
        if rule.severity() == fault::Severity::Fault && *rule != Rule::GosumMalformed {
            let (done, said) = project.go(below, &["list", "-m", "all"]);
            assert!(!done, "{what}: {said}");
        }
    }
}

#[test]
fn a_replacement_that_is_not_needed_may_lead_nowhere() {
    let project = Project::new(&[(
        "go.mod",
        "module m\n\ngo 1.24\n\nreplace a.b/c => ../nowhere\n",
    )]);
    let found = project.findings("", &[]);
    assert_eq!(found.len(), 1);
    assert!(found[0].rule == Rule::ReplaceMissing && !found[0].severity.is_warning());
    let (done, said) = project.go("", &["list", "-m", "all"]);
    assert!(done, "{said}");
}

#[test]
fn an_old_go_is_told_that_it_cannot_read_the_go_line() {
    let project = Project::new(&[
        ("go.mod", "module m\n\ngo 1.23.1\n"),
        ("old/VERSION", "go1.20.5"),
        ("old/bin/go", ""),
        ("old/go.env", ""),
    ]);
    fs::set_permissions(project.at("old/bin/go"), fs::Permissions::from_mode(0o755)).unwrap();
    let found = project.findings("", &[("PATH", project.at("old/bin").to_str().unwrap())]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].rule, Rule::GoLineFormat);
}

#[test]
fn a_tidy_project_has_no_finding() {
    let project = tidy();
    assert_eq!(project.rules("p"), []);
    let (done, said) = project.go("p", &["mod", "vendor"]);
    assert!(done, "{said}");
    assert_eq!(project.rules("p"), [], "vendored");
    project.file("w/go.work", "go 1.24\n\nuse (\n\t../p\n)\n");
    let work = project.at("w/go.work");
    assert_eq!(
        project.findings("p", &[("GOWORK", work.to_str().unwrap())]),
        []
    );
}

#[test]
fn a_vendor_directory_that_drifted_is_found_as_go_finds_it() {
    let changes: [(&str, &str, &str); 4] = [
        ("p/vendor/modules.txt", "## explicit; go 1.24\n", ""),
        ("p/vendor/modules.txt", "lib v1.0.0", "lib v1.1.0"),
        (
            "p/go.mod",
            "require example.test/lib v1.0.0",
            "require example.test/lib v1.0.0\n\nreplace example.test/lib => example.test/lib v1.1.0",
        ),
        ("p/go.mod", "require example.test/lib v1.0.0", ""),
    ];
    for (file, old, new) in changes {
        let project = tidy();
        publish(&project, "v1.1.0");
        assert!(project.go("p", &["mod", "vendor"]).0);
        let text = fs::read_to_string(project.at(file)).unwrap();
        assert!(text.contains(old), "{text}");
        project.file(file, &text.replace(old, new));
        let (done, said) = project.go("p", &["list", "./..."]);
        assert!(!done && said.contains("inconsistent vendoring"), "{said}");
        let found = project.findings("p", &[]);
        let drift: Vec<&Finding> = found
            .iter()
            .filter(|finding| finding.rule == Rule::VendorDrift)
            .collect();
        assert!(!drift.is_empty(), "{file} {new}");
        for finding in drift {
            let line = format!(
                "{}: {}",
                finding.fact("module").unwrap(),
                finding.fact("detail").unwrap()
            );
            assert!(said.contains(&line), "{line} in {said}");
        }
    }
}

/// Scans the cache of a tidy project after something was done to it.
fn scan(project: &Project) -> Vec<Finding> {
    let sums = GoSum::parse("go.sum", &fs::read(project.at("p/go.sum")).unwrap()).unwrap();
    let cache = ModuleCache::new(project.at("go/pkg/mod"));
    let deadline = Instant::now() + Duration::from_mins(5);
    let modules = ModuleCache::of_project(&sums);
    assert_eq!(
        modules,
        cache.all(deadline),
        "the same modules by go.sum and by the files"
    );
    let scan = cache.scan(&modules, &sums, deadline);
    assert!(scan.is_complete && scan.looked_at == 1);
    scan.findings
}

type Damage = fn(&Path, &Path);

#[test]
fn damage_is_found_and_its_repair_makes_the_cache_whole() {
    let cut: Damage = |download, _| {
        let zip = download.join("v1.0.0.zip");
        let bytes = fs::read(&zip).unwrap();
        fs::write(&zip, &bytes[..bytes.len() / 2]).unwrap();
    };
    let rows: [(&str, Damage, Rule); 8] = [
        ("a zip that was cut", cut, Rule::CacheFileDamaged),
        (
            "an empty zip",
            |download, _| fs::write(download.join("v1.0.0.zip"), "").unwrap(),
            Rule::CacheFileDamaged,
        ),
        (
            "an empty go.mod",
            |download, _| fs::write(download.join("v1.0.0.mod"), "").unwrap(),
            Rule::CacheFileDamaged,
        ),
        (
            "another go.mod",
            |download, _| fs::write(download.join("v1.0.0.mod"), "module x\n").unwrap(),
            Rule::CacheHashMismatch,
        ),
        (
            "another hash",
            |download, _| fs::write(download.join("v1.0.0.ziphash"), "h1:AAAA=").unwrap(),
            Rule::CacheHashMismatch,
        ),
        (
            "a file that is missing",
            |_, directory| fs::remove_file(directory.join("sub/sub.go")).unwrap(),
            Rule::CacheDirChanged,
        ),
        (
            "a file that was edited",
            |_, directory| fs::write(directory.join("lib.go"), "package x\n").unwrap(),
            Rule::CacheDirChanged,
        ),
        (
            "a file too many",
            |_, directory| fs::write(directory.join("more.go"), "package x\n").unwrap(),
            Rule::CacheDirChanged,
        ),
    ];
    for (what, damage, rule) in rows {
        let project = tidy();
        assert_eq!(scan(&project), [], "healthy, with the lock files go leaves");
        let directory = project.at("go/pkg/mod/example.test/lib@v1.0.0");
        damage(
            &project.at("go/pkg/mod/cache/download/example.test/lib/@v"),
            &directory,
        );
        let found = scan(&project);
        let rules: Vec<Rule> = found.iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, [rule], "{what}");
        let plan = Plan::of(
            &found[0].fixes[0],
            &Environment::from_pairs([("HOME", "/")]),
            &project.at("p"),
        )
        .unwrap();
        plan.apply().unwrap().keep().unwrap();
        let (done, said) = project.go("p", &["mod", "download", "example.test/lib"]);
        assert!(done, "{what}: {said}");
        assert_eq!(scan(&project), [], "{what}: repaired");
        let (done, said) = project.go("p", &["mod", "verify"]);
        assert!(done, "{what}: {said}");
    }
}

#[test]
fn an_unpacking_that_was_cut_off_is_harmless() {
    let project = tidy();
    project.file(
        "go/pkg/mod/cache/download/example.test/lib/@v/v1.0.0.partial",
        "",
    );
    let found = scan(&project);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].rule, Rule::CacheLeftover);
    assert!(!found[0].severity.is_warning() && found[0].fixes.is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let project = tidy();
    let zip = project.at("go/pkg/mod/cache/download/example.test/lib/@v/v1.0.0.mod");
    fs::remove_file(&zip).unwrap();
    // Reading a directory fails for every user.
    fs::create_dir(&zip).unwrap();
    let found = scan(&project);
    assert_eq!(found[0].rule, Rule::CacheUnreadable);
}

#[test]
fn a_scan_ends_in_time() {
    let project = tidy();
    let module = ModuleVersion::new(
        ModulePath::new("example.test/lib").unwrap(),
        Version::new("v1.0.0").unwrap(),
    )
    .unwrap();
    let cache = ModuleCache::new(project.at("go/pkg/mod"));
    let scan = cache.scan(&[module], &GoSum::default(), Instant::now());
    assert!(!scan.is_complete && scan.looked_at == 0);
}
