//! The files for operations (`deploy/`, `docs/runbooks/`) name only what there is.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use server::METRICS;
use testkit::workspace_root;

fn read(path: &str) -> String {
    let file = workspace_root().join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

const RULES: &str = "deploy/prometheus/modkeep.rules.yml";
const DASHBOARD: &str = "deploy/grafana/modkeep.json";

/// Every word that begins as the metrics do.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    text.split(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'))
        .filter(|word| word.starts_with("modkeep_"))
        .collect()
}

fn alerts() -> Vec<String> {
    read(RULES)
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .map(str::to_owned)
        .collect()
}

fn runbooks() -> Vec<PathBuf> {
    let folder = workspace_root().join("docs/runbooks");
    let files = fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

/// As it is scraped: a histogram has three series for each.
fn is_known(word: &str) -> bool {
    METRICS.iter().any(|metric| {
        let ending = word.strip_prefix(metric.name);
        match metric.kind {
            "histogram" => matches!(ending, Some("_bucket" | "_sum" | "_count")),
            _ => ending == Some(""),
        }
    })
}

#[test]
fn rules_and_dashboard_name_only_metrics_that_there_are() {
    let mut named = 0;
    let mut texts = vec![(RULES.to_owned(), read(RULES))];
    texts.push((DASHBOARD.to_owned(), read(DASHBOARD)));
    for file in runbooks() {
        texts.push((
            file.display().to_string(),
            fs::read_to_string(&file).unwrap(),
        ));
    }
    for (file, text) in &texts {
        for word in metrics_in(text) {
            assert!(is_known(word), "{file}: there is no metric {word}");
            named += 1;
        }
    }
    assert!(named > 30, "{named}");
    assert!(!is_known("modkeep_requests") && !is_known("modkeep_upstream_seconds"));
}

#[test]
fn the_dashboard_is_json_and_each_panel_asks_for_something() {
    let dashboard: serde_json::Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 10);
    for panel in panels {
        let queries = panel["targets"].as_array().unwrap();
        assert!(!queries.is_empty(), "{}", panel["title"]);
        for query in queries {
            let text = query["expr"].as_str().unwrap();
            assert!(!metrics_in(text).is_empty(), "{text}");
        }
    }
}

#[test]
fn each_alert_has_a_runbook_and_each_runbook_an_alert() {
    let alerts = alerts();
    assert!(alerts.len() > 10);
    let rules = read(RULES);
    for alert in &alerts {
        assert!(
            rules.contains(&format!("runbook: docs/runbooks/{alert}.md")),
            "{alert}"
        );
        let text = read(&format!("docs/runbooks/{alert}.md"));
        assert!(text.starts_with(&format!("# {alert}\n")), "{alert}");
        for part in ["## What it means", "## What to look at", "## What to do"] {
            assert!(text.contains(part), "{alert}: {part}");
        }
    }
    let named: BTreeSet<String> = runbooks()
        .iter()
        .map(|file| file.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(named, alerts.into_iter().collect());
}
