//! Every mistake is named by its rule, in words that are safe to print.

use std::collections::BTreeSet;

use fault::{Lang, Rule, forbidden_remedies};
use goenv::{Finding, Shell};

use crate::rows::rows;
use crate::world::world;

#[test]
fn every_mistake_is_named_by_its_rule() {
    let mut seen = BTreeSet::new();
    for (what, rule, steps) in rows() {
        let world = world(steps);
        let found = world.findings();
        let rules: Vec<Rule> = found.iter().map(|finding| finding.rule).collect();
        assert!(rules.contains(rule), "{what}: {rules:?}");
        seen.insert(*rule);
        for finding in &found {
            check_texts(what, finding);
        }
    }
    // Those of projects and the module cache stand in project.rs. These need a full disk, another user, another mount or another clock; see below and the unit
    // tests of the report.
    let elsewhere = [
        Rule::DiskFull,
        Rule::DiskLow,
        Rule::DiskInodes,
        Rule::CacheNotWritable,
        Rule::CacheForeign,
        Rule::CacheReadOnly,
        Rule::CacheNoexec,
        Rule::ClockBehind,
    ];
    for rule in Rule::ALL {
        assert!(
            seen.contains(rule) || elsewhere.contains(rule) || *rule >= Rule::GomodSyntax,
            "no row for {rule}"
        );
    }
    println!("{} rows for {} rules", rows().count(), seen.len());
}

fn check_texts(what: &str, finding: &Finding) {
    for lang in Lang::ALL {
        let (problem, remedy) = (finding.sentence(lang), finding.remedy(lang));
        for text in [&problem, &remedy] {
            for fact in fault::RULE_FACTS {
                assert!(!text.contains(&format!("{{{fact}}}")), "{what}: {text}");
            }
            assert!(
                !text.contains("secret99") && !text.contains("tok99"),
                "{what}: {text}"
            );
        }
        assert!(
            !problem.contains("(?)") && !problem.contains(" ? "),
            "{what}: {problem}"
        );
        assert_eq!(forbidden_remedies(&remedy), [], "{what}: {remedy}");
    }
    // Taking a variable away names it.
    let sets = finding.rule != Rule::UnknownVariable;
    for fix in finding.fixes.iter().filter(|_| sets) {
        for shell in [Shell::Posix, Shell::Fish, Shell::PowerShell, Shell::Cmd] {
            let command = fix.command(shell);
            assert!(
                !command.contains("secret99") && !command.contains("tok99"),
                "{what}: {command}"
            );
            assert_eq!(forbidden_remedies(&command), [], "{what}: {command}");
        }
    }
}
