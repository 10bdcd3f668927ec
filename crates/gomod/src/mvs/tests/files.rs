use std::collections::BTreeMap;

use crate::modfile::{ModFile, WorkFile};
use crate::mvs::{Cause, Limits, Loader, MainError, MainModules, Member, Outcome, Scope, Source};

/// Answers with the files given, by `path@version` or directory.
fn finish(mains: MainModules, limits: Limits, files: &[(&str, &str)]) -> Outcome {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let mut loader = Loader::new(mains, Scope::All, limits);
    while !loader.is_done() {
        let wanted = loader.take_wanted();
        assert_ne!(wanted, []);
        for source in wanted {
            match files.get(source.to_string().as_str()) {
                Some(text) => loader.feed_text(&source, text.as_bytes()),
                None => loader.feed(&source, Err(Cause::Unavailable("410 Gone".to_owned()))),
            }
        }
    }
    loader.finish()
}

fn single(go_mod: &str, files: &[(&str, &str)]) -> Outcome {
    let file = ModFile::parse("go.mod", go_mod.as_bytes()).unwrap();
    finish(
        MainModules::single(&file).unwrap(),
        Limits::default(),
        files,
    )
}

fn workspace(work: &str, members: &[(&str, &str)]) -> Result<MainModules, MainError> {
    let work = WorkFile::parse("go.work", work.as_bytes()).unwrap();
    let files: Vec<ModFile> = members
        .iter()
        .map(|(_, text)| ModFile::parse("go.mod", text.as_bytes()).unwrap())
        .collect();
    let members: Vec<Member<'_>> = members
        .iter()
        .zip(&files)
        .map(|((directory, _), file)| Member { directory, file })
        .collect();
    MainModules::workspace(&work, &members)
}

fn list(outcome: &Outcome) -> Vec<String> {
    outcome
        .build_list()
        .iter()
        .map(ToString::to_string)
        .collect()
}

const B: &str = "module b.io/b\ngo 1.17\nrequire c.io/c v1.1.0\n";

#[test]
fn a_version_is_replaced_by_another_module_and_keeps_its_name() {
    let outcome = single(
        "module a\ngo 1.17\nrequire b.io/b v1.0.0\nreplace b.io/b v1.0.0 => fork.io/b v1.9.0\n",
        &[
            ("fork.io/b@v1.9.0", B),
            ("c.io/c@v1.1.0", "module c.io/c\n"),
        ],
    );
    assert_eq!(outcome.failures(), []);
    assert_eq!(
        list(&outcome),
        ["a", "b.io/b@v1.0.0", "c.io/c@v1.1.0", "go@1.17"]
    );
}

#[test]
fn a_replacement_of_one_version_goes_before_that_of_all() {
    let go_mod = "module a\nrequire b.io/b v1.0.0\nreplace b.io/b => ./all\nreplace b.io/b v1.0.0 => ./one\n";
    let one = ("./one", "module whatever\nrequire x.io/x v1.0.0\n");
    let outcome = single(go_mod, &[one, ("x.io/x@v1.0.0", "module x.io/x\n")]);
    assert_eq!(outcome.failures(), []);
    assert_eq!(
        list(&outcome),
        ["a", "b.io/b@v1.0.0", "go@1.16", "x.io/x@v1.0.0"]
    );
}

#[test]
fn a_module_in_a_directory_need_not_have_a_path_that_can_be_downloaded() {
    let go_mod = "module a\nrequire local v0.0.0\nreplace local => ../local\n";
    let outcome = single(go_mod, &[("../local", "require (\n)\n")]);
    assert_eq!(outcome.failures(), []);
    assert_eq!(list(&outcome), ["a", "go@1.16", "local@v0.0.0"]);
    let outcome = single("module a\nrequire local v0.0.0\n", &[]);
    assert_eq!(outcome.failures()[0].cause, Cause::NotAModule);
}

#[test]
fn a_requirement_on_an_excluded_version_counts_as_not_written() {
    let go_mod = "module a\nrequire b.io/b v1.0.0\nexclude c.io/c v1.1.0\n";
    let outcome = single(go_mod, &[("b.io/b@v1.0.0", B)]);
    assert_eq!(list(&outcome), ["a", "b.io/b@v1.0.0", "go@1.16"]);
    // Those of dependencies do not count.
    let b = format!("{B}exclude d.io/d v1.0.0\nreplace c.io/c => ./nowhere\n");
    let c = ("c.io/c@v1.1.0", "module c.io/c\nrequire d.io/d v1.0.0\n");
    let outcome = single(
        "module a\nrequire b.io/b v1.0.0\n",
        &[
            ("b.io/b@v1.0.0", &b),
            c,
            ("d.io/d@v1.0.0", "module d.io/d\n"),
        ],
    );
    assert_eq!(
        list(&outcome),
        [
            "a",
            "b.io/b@v1.0.0",
            "c.io/c@v1.1.0",
            "d.io/d@v1.0.0",
            "go@1.16"
        ]
    );
}

#[test]
fn go_lines_from_1_21_on_are_requirements() {
    let b = ("b.io/b@v1.0.0", "module b.io/b\ngo 1.22.1\n");
    let outcome = single("module a\ngo 1.21.0\nrequire b.io/b v1.0.0\n", &[b]);
    assert_eq!(
        list(&outcome),
        ["a", "b.io/b@v1.0.0", "go@1.22.1", "toolchain@go1.22.1"]
    );
    let raised: Vec<String> = outcome
        .raised()
        .iter()
        .map(|(a, b)| format!("{a} {b}"))
        .collect();
    assert_eq!(raised, ["go@1.21.0 go@1.22.1"]);
    // Before, they only tell how to read the file.
    let b = ("b.io/b@v1.0.0", "module b.io/b\ngo 1.20\n");
    let outcome = single("module a\ngo 1.17\nrequire b.io/b v1.0.0\n", &[b]);
    assert_eq!(list(&outcome), ["a", "b.io/b@v1.0.0", "go@1.17"]);
}

#[test]
fn incompatible_versions_are_versions_of_the_same_module() {
    let outcome = single(
        "module a\nrequire (\n\tb.io/b v1.0.0\n\tc.io/c v1.5.0\n)\n",
        &[
            (
                "b.io/b@v1.0.0",
                "module b.io/b\nrequire c.io/c v3.0.0+incompatible\n",
            ),
            ("c.io/c@v1.5.0", "module c.io/c\n"),
            ("c.io/c@v3.0.0+incompatible", "module c.io/c\n"),
        ],
    );
    assert_eq!(outcome.failures(), []);
    assert_eq!(list(&outcome)[2], "c.io/c@v3.0.0+incompatible");
}

#[test]
fn one_file_that_fails_does_not_stop_the_others() {
    let outcome = single(
        "module a\nrequire (\n\tb.io/b v1.0.0\n\td.io/d v1.0.0\n\te.io/e v1.0.0\n\tf.io/f v1.0.0\n)\n",
        &[
            ("b.io/b@v1.0.0", B),
            ("d.io/d@v1.0.0", "module other.io/d\n"),
            ("e.io/e@v1.0.0", "go 1.17\n"),
            ("f.io/f@v1.0.0", "module \"\nrequire\n"),
        ],
    );
    let failures: Vec<String> = outcome
        .failures()
        .iter()
        .map(|failure| {
            let chain: Vec<String> = failure.chain.iter().map(ToString::to_string).collect();
            format!("{}: {}", chain.join(" > "), failure.cause)
        })
        .collect();
    assert_eq!(
        failures,
        [
            "a > d.io/d@v1.0.0: module declares its path as: other.io/d but was required as: d.io/d",
            "a > e.io/e@v1.0.0: parsing go.mod: missing module line",
            "a > f.io/f@v1.0.0: parsing go.mod: go.mod:1:9: unexpected newline in string",
            "a > b.io/b@v1.0.0 > c.io/c@v1.1.0: 410 Gone",
        ]
    );
    assert_eq!(outcome.build_list().len(), 7);
}

#[test]
fn a_graph_above_the_limits_ends_with_a_failure() {
    let file = ModFile::parse("go.mod", b"module a\nrequire m.io/m0 v1.0.0\n").unwrap();
    let mut loader = Loader::new(
        MainModules::single(&file).unwrap(),
        Scope::All,
        Limits {
            nodes: 50,
            edges: 1_000,
        },
    );
    // Each file names another one: without limit there would be no end.
    let mut count = 0;
    while !loader.is_done() {
        for source in loader.take_wanted() {
            count += 1;
            let Source::Module(module) = &source else {
                panic!("{source}")
            };
            let text = format!("module {}\nrequire m.io/m{count} v1.0.0\n", module.path());
            loader.feed_text(&source, text.as_bytes());
        }
    }
    let outcome = loader.finish();
    assert!(count <= 50);
    assert_eq!(outcome.failures()[0].cause, Cause::TooLarge);
}

#[test]
fn a_workspace_joins_its_members() {
    let mains = workspace(
        "go 1.21\nuse ./x\nuse ./y\nreplace c.io/c => ./c\n",
        &[
            (
                "./x",
                "module x.io/x\ngo 1.17\nrequire b.io/b v1.0.0\nreplace c.io/c => ./mine\n",
            ),
            (
                "./y",
                "module y.io/y\ngo 1.17\nrequire (\n\tx.io/x v1.0.0\n\td.io/d v1.0.0\n)\nreplace d.io/d => ../d\n",
            ),
        ],
    );
    let outcome = finish(
        mains.unwrap(),
        Limits::default(),
        &[
            ("b.io/b@v1.0.0", B),
            ("x.io/x@v1.0.0", "module x.io/x\n"),
            ("./d", "module d.io/d\nrequire c.io/c v1.2.0\n"),
            ("./c", "module c.io/c\n"),
        ],
    );
    assert_eq!(outcome.failures(), []);
    assert_eq!(
        list(&outcome),
        [
            "go@1.21",
            "x.io/x",
            "y.io/y",
            "b.io/b@v1.0.0",
            "c.io/c@v1.2.0",
            "d.io/d@v1.0.0",
            "toolchain@go1.21"
        ]
    );
}

#[test]
fn members_that_contradict_each_other_are_refused() {
    let one = ("./x", "module x.io/x\nreplace c.io/c => ./c\n");
    let other = ("./y", "module y.io/y\nreplace c.io/c => ./c\n");
    let error = workspace("go 1.21\n", &[one, other]).unwrap_err();
    assert_eq!(error.to_string(), "conflicting replacements for c.io/c");
    let same = ("./y", "module y.io/y\nreplace c.io/c => ../x/c\n");
    assert!(workspace("go 1.21\n", &[one, same]).is_ok());
    assert!(workspace("go 1.21\nreplace c.io/c => ./c\n", &[one, other]).is_ok());
    for (work, members, error) in [
        (
            "go 1.21\n",
            vec![one, ("./z", "module x.io/x\n")],
            "module x.io/x appears multiple times in workspace",
        ),
        (
            "go 1.21\nreplace x.io/x => ./c\n",
            vec![one],
            "workspace module x.io/x is replaced at all versions in the go.work file",
        ),
        (
            "go 1.21\n",
            vec![("./x", "go 1.21\n")],
            "./x/go.mod has no module line",
        ),
    ] {
        assert_eq!(workspace(work, &members).unwrap_err().to_string(), error);
    }
}
