use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::modfile::ModFile;
use crate::mvs::{Limits, Loader, MainModules, Outcome, Scope, Summary};

/// Modules are letters, versions are digits: `B2` is `example.com/B` at v1.2.0. A letter alone is version 0.
pub(crate) struct Letters {
    files: BTreeMap<String, String>,
}

fn split(name: &str) -> (&str, &str) {
    let letters = name
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(name.len());
    name.split_at(letters)
}

/// `B2.hidden` is a version like others as far as building goes.
fn version(digits: &str) -> String {
    match digits.split_once('.') {
        Some((number, pre)) => format!("v1.{number}.0-{pre}"),
        None if digits.is_empty() => "v1.0.0".to_owned(),
        None => format!("v1.{digits}.0"),
    }
}

impl Letters {
    /// Reads lines `B2: C1 D4` (what requires what). A `*` after the colon makes the module one that takes part in graph
    /// pruning. A requirement on version `none` is none.
    pub(crate) fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut files = BTreeMap::new();
        for line in lines {
            let (name, requires) = line.split_once(':').unwrap();
            let (path, _) = split(name);
            let mut text = format!("module example.com/{path}\n");
            for required in requires.split_whitespace() {
                if required == "*" {
                    text.push_str("go 1.17\n");
                } else if !required.ends_with("none") {
                    let (path, digits) = split(required);
                    let _ = writeln!(text, "require example.com/{path} {}", version(digits));
                }
            }
            files.insert(name.trim().to_owned(), text);
        }
        Self { files }
    }

    /// The text of the go.mod file of `name`; a module without a line requires nothing.
    fn text(&self, name: &str) -> String {
        let plain = || format!("module example.com/{}\n", split(name).0);
        self.files.get(name).cloned().unwrap_or_else(plain)
    }

    pub(crate) fn walk(&self, main: &str, scope: Scope) -> Outcome {
        let file = ModFile::parse("go.mod", self.text(main).as_bytes()).unwrap();
        let mut loader = Loader::new(
            MainModules::single(&file).unwrap(),
            scope,
            Limits::default(),
        );
        while !loader.is_done() {
            for source in loader.take_wanted() {
                let name = source.to_string();
                let name = name.strip_prefix("example.com/").unwrap();
                let name = letters(name);
                let summary = Summary::parse(self.text(&name).as_bytes()).unwrap();
                loader.feed(&source, Ok(Arc::new(summary)));
            }
        }
        let outcome = loader.finish();
        assert_eq!(outcome.failures(), []);
        outcome
    }

    /// The build list in letters, the main module first.
    pub(crate) fn build(&self, main: &str, scope: Scope) -> String {
        let outcome = self.walk(main, scope);
        let mut names = vec![main.to_owned()];
        for node in outcome.build_list().into_iter().skip(1) {
            if !node.is_toolchain() {
                let name = node.to_string();
                names.push(letters(name.strip_prefix("example.com/").unwrap()));
            }
        }
        names[1..].sort();
        names.join(" ")
    }
}

/// `B@v1.2.0` as `B2`; `B@v1.0.0` as `B`.
fn letters(name: &str) -> String {
    let (path, version) = name.split_once('@').unwrap();
    let minor = version.strip_prefix("v1.").unwrap();
    let (minor, rest) = minor.split_once('.').unwrap();
    let pre = rest.strip_prefix("0-").map(|pre| format!(".{pre}"));
    match (minor, pre) {
        ("0", None) => path.to_owned(),
        (minor, pre) => format!("{path}{minor}{}", pre.unwrap_or_default()),
    }
}

fn build(lines: &[&str], main: &str) -> String {
    Letters::read(lines.iter().copied()).build(main, Scope::All)
}

#[test]
fn the_highest_of_the_required_versions_is_selected() {
    assert_eq!(build(&["P: Q2 R1", "R1: Q5"], "P"), "P Q5 R1");
    assert_eq!(build(&["P: Q5 R1", "R1: Q2"], "P"), "P Q5 R1");
}

#[test]
fn no_higher_version_is_taken_than_somebody_requires() {
    assert_eq!(build(&["P: Q1", "Q1:", "Q9: S1"], "P"), "P Q1");
}

#[test]
fn versions_that_are_not_selected_count_as_well() {
    // Q1 loses against Q2, but what it requires stays in the graph.
    assert_eq!(
        build(&["P: Q1 R1", "Q1: S4", "Q2: S1", "R1: Q2"], "P"),
        "P Q2 R1 S4"
    );
}

#[test]
fn cycles_end() {
    assert_eq!(
        build(&["P: Q1", "Q1: R1", "R1: Q2", "Q2: R1 Q1"], "P"),
        "P Q2 R1"
    );
    // Around the main module: its version is above all others, what the old one required counts.
    assert_eq!(build(&["P: Q1", "Q1: P3", "P3: S2"], "P"), "P Q1 S2");
    assert_eq!(build(&["P: P1"], "P"), "P");
}

#[test]
fn the_same_requirement_may_be_written_twice() {
    assert_eq!(build(&["P: Q1 Q3 Q1", "Q1: R9", "Q3:"], "P"), "P Q3 R9");
}

#[test]
fn what_pruned_modules_require_is_not_followed() {
    let lines = ["P: * Q1", "Q1: * R1", "R1: * S1", "S1: T1"];
    assert_eq!(build(&lines, "P"), "P Q1 R1");
    // One from before graph pruning lists only what it imports itself.
    let lines = ["P: * Q1", "Q1: R1", "R1: * S1", "S1: * T1"];
    assert_eq!(build(&lines, "P"), "P Q1 R1 S1 T1");
    // Reached both ways, the module is followed.
    let lines = ["P: * Q1 R1", "Q1: * R1", "R1: S1", "S1: * T1"];
    assert_eq!(build(&lines, "P"), "P Q1 R1 S1 T1");
    // A main module from before follows everything.
    let lines = ["P: Q1", "Q1: * R1", "R1: * S1"];
    assert_eq!(build(&lines, "P"), "P Q1 R1 S1");
}

#[test]
fn a_requirement_that_is_out_of_date_is_raised_and_brings_its_own() {
    let letters = Letters::read(["P: * Q1 R1", "Q1: * R2", "R1: * S1", "R2: * S2 T1"]);
    let outcome = letters.walk("P", Scope::All);
    let raised: Vec<String> = outcome
        .raised()
        .iter()
        .map(|(a, b)| format!("{a} {b}"))
        .collect();
    assert_eq!(raised, ["example.com/R@v1.1.0 example.com/R@v1.2.0"]);
    assert_eq!(letters.build("P", Scope::All), "P Q1 R2 S2 T1");
}

#[test]
fn lazy_loading_takes_the_requirements_as_they_are_while_they_agree() {
    let letters = Letters::read(["P: * Q1 R1", "Q1: * R1 S1", "R1: T1", "T1: R1"]);
    let lazy = letters.walk("P", Scope::Build);
    assert!(lazy.only_roots());
    assert_eq!(letters.build("P", Scope::Build), "P Q1 R1");
    assert_eq!(letters.build("P", Scope::All), "P Q1 R1 S1 T1");
    // A requirement that is out of date makes go read everything.
    let letters = Letters::read(["P: * Q1 R1", "Q1: * R2 S1", "R1: * T1"]);
    assert!(!letters.walk("P", Scope::Build).only_roots());
    assert_eq!(
        letters.build("P", Scope::Build),
        letters.build("P", Scope::All)
    );
}

#[test]
fn a_chain_of_ten_thousand_modules_is_followed_without_depth() {
    let lines: Vec<String> = (0..10_000).map(|n| format!("M{n}: M{}", n + 1)).collect();
    let letters = Letters::read(lines.iter().map(String::as_str));
    let outcome = letters.walk("M0", Scope::All);
    let selected = outcome.graph().selected("example.com/M").unwrap();
    assert_eq!(
        outcome.graph().node(selected).unwrap().to_string(),
        "example.com/M"
    );
    assert!(outcome.graph().len() > 10_000);
}
