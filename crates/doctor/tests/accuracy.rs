//! Holds `explain` against labelled excerpts of real tools' output.
//!
//! `testdata/explain/manifest.tsv` names for each excerpt its label and the tool that wrote it; `produce/` beside it makes
//! the produced ones again. Excerpts labelled `none` must not be recognised.
#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "prints its figures, the counts are small, and helpers of tests may fail loudly"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use doctor::{Explanation, Options, explain};
use fault::{Label, Lang, Side, forbidden_remedies};

struct Excerpt {
    name: String,
    label: Option<Label>,
    produced: bool,
    text: Vec<u8>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/explain")
}

fn excerpts() -> Vec<Excerpt> {
    let manifest = fs::read_to_string(root().join("manifest.tsv")).unwrap();
    let rows = manifest
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    rows.map(|row| {
        let fields: Vec<&str> = row.split('\t').collect();
        let [name, label, _tool, origin] = fields[..] else {
            panic!("four fields: {row}")
        };
        let label =
            (label != "none").then(|| label.parse().unwrap_or_else(|e| panic!("{name}: {e}")));
        let text = fs::read(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        Excerpt {
            name: name.to_owned(),
            label,
            produced: origin == "produced",
            text,
        }
    })
    .collect()
}

/// Labels and hops right, over one set.
#[derive(Default)]
struct Score {
    all: usize,
    first: usize,
    second: usize,
    hop: usize,
}

impl Score {
    fn add(&mut self, expected: Label, said: &Explanation) -> bool {
        let labels: Vec<Label> = said.causes.iter().map(|cause| cause.label).collect();
        self.all += 1;
        self.first += usize::from(labels.first() == Some(&expected));
        self.second += usize::from(labels.iter().take(2).any(|label| *label == expected));
        self.hop += usize::from(
            labels
                .first()
                .is_some_and(|label| label.hop() == expected.hop()),
        );
        labels.first() == Some(&expected)
    }

    fn shares(&self) -> [f64; 3] {
        [self.first, self.second, self.hop]
            .map(|right| right as f64 * 100.0 / self.all.max(1) as f64)
    }
}

#[test]
fn excerpts_of_real_tools_are_explained() {
    let mut score = Score::default();
    let mut produced = Score::default();
    let mut confusions: BTreeMap<(Label, String), Vec<String>> = BTreeMap::new();
    for excerpt in excerpts() {
        let Some(expected) = excerpt.label else {
            continue;
        };
        let said = explain(&excerpt.text, &Options::default());
        if excerpt.produced {
            produced.add(expected, &said);
        }
        if !score.add(expected, &said) {
            let labels: Vec<String> = said
                .causes
                .iter()
                .take(2)
                .map(|c| format!("{} {:.2}", c.label, c.confidence))
                .collect();
            confusions
                .entry((expected, labels.join(", ")))
                .or_default()
                .push(excerpt.name);
        }
    }
    for ((expected, said), names) in &confusions {
        println!("{expected}: said [{said}] for {}", names.join(" "));
    }
    let [first, second, hop] = score.shares();
    println!(
        "{} excerpts ({} produced by tools): top label {first:.1} %, first two {second:.1} %, hop {hop:.1} %",
        score.all, produced.all
    );
    assert!(score.all >= 250, "{} excerpts", score.all);
    assert!(
        first >= 95.0 && second >= 99.0 && hop >= 98.0,
        "top {first:.1} %, two {second:.1} %, hop {hop:.1} %"
    );
}

#[test]
fn every_label_has_excerpts() {
    let covered: BTreeSet<Label> = excerpts()
        .into_iter()
        .filter_map(|excerpt| excerpt.label)
        .collect();
    let missing: Vec<&Label> = Label::ALL
        .iter()
        .filter(|label| !covered.contains(label))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn logs_without_a_download_fault_are_not_recognised() {
    let mut wrong = Vec::new();
    let mut all = 0;
    for excerpt in excerpts()
        .into_iter()
        .filter(|excerpt| excerpt.label.is_none())
    {
        all += 1;
        let said = explain(&excerpt.text, &Options::default());
        if said.recognised {
            wrong.push(format!(
                "{}: {} {:?}",
                excerpt.name, said.causes[0].label, said.causes[0].evidence
            ));
        }
    }
    println!("{all} logs without a fault");
    assert!(all >= 30, "{all} logs");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_answer_advises_a_forbidden_remedy() {
    for excerpt in excerpts() {
        for lang in Lang::ALL {
            let said = explain(
                &excerpt.text,
                &Options {
                    lang,
                    ..Options::default()
                },
            );
            for cause in &said.causes {
                let commands = cause
                    .fixes
                    .iter()
                    .chain([&cause.probe])
                    .filter_map(|remedy| remedy.command.as_ref());
                let texts = cause
                    .fixes
                    .iter()
                    .chain([&cause.probe])
                    .map(|remedy| &remedy.text);
                for advice in commands.chain(texts).chain([&cause.summary]) {
                    assert_eq!(
                        forbidden_remedies(advice),
                        [],
                        "{}: {}: {advice}",
                        excerpt.name,
                        cause.label
                    );
                }
                assert!(
                    !cause.fixes.is_empty() && !cause.evidence.is_empty(),
                    "{}",
                    excerpt.name
                );
            }
        }
    }
}

#[test]
fn evidence_names_lines_that_exist_and_spans_that_fit() {
    for excerpt in excerpts() {
        let lines = excerpt.text.split(|b| *b == b'\n').count();
        for cause in explain(&excerpt.text, &Options::default()).causes {
            for evidence in &cause.evidence {
                assert!((1..=lines).contains(&evidence.line), "{}", excerpt.name);
                if let Some((start, end)) = evidence.span {
                    assert!(
                        evidence
                            .text
                            .get(start..end)
                            .is_some_and(|words| !words.is_empty()),
                        "{}",
                        excerpt.name
                    );
                }
            }
        }
    }
}

#[test]
fn what_a_server_quotes_is_not_blamed_on_the_client() {
    for excerpt in excerpts() {
        if excerpt.label == Some(Label::SumdbUpstreamFetch) {
            let said = explain(&excerpt.text, &Options::default());
            assert_eq!(said.causes[0].side, Side::Server, "{}", excerpt.name);
        }
    }
}
