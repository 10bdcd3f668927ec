//! Rows to a table, and the table to the documentation.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Result;

use super::rig::{ROUND_TRIP, Rig, Row};
use super::scenarios::Scenario;
use super::trouble::GATEWAY_PATIENCE;
use crate::bench::report::{Section, machine, write_section};

const PREFACE: &str = "# Availability\n\nWritten by `cargo xtask chaos`: each section by the scenario it names. The same real `go mod download` goes through\nmodkeep and straight to the same upstreams, with each of the two separators of `GOPROXY`. The conditions are those of\nthe last run; a scenario that was not in it has kept its section from an earlier one.\n";

/// What a scenario has shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) rows: Vec<Row>,
    /// What is no row.
    pub(super) notes: Vec<String>,
}

/// All that was shown.
pub(super) struct Report {
    intro: String,
    sections: Vec<Section>,
}

impl Report {
    pub(super) fn new(rig: &Rig) -> Self {
        let quick = if rig.quick { " --quick" } else { "" };
        Self {
            intro: format!(
                "`cargo xtask chaos{quick}` on {}; load average {} when it began.\n\nA project of {} modules; an upstream takes {ROUND_TRIP} ms for each \
                 request unless something else is said, and ends a connection that hangs after {} s. Every client starts \
                 with an empty module cache; modkeep starts with an empty store unless it is called warm, and verifies \
                 against a checksum database. No origin can be reached, so `direct` is the end of the chain. A build that \
                 fails is repeated at once, without a pause, until it succeeds or was tried {} times (fewer where nothing \
                 changes): during an outage all tries may be over before it is.\n\n\
                 *first try*: builds that succeeded at once. *requests*: share answered with 200, as the client saw \
                 them. *p50*, *p99*: to the head of an answer. *wait*: mean over all files from the first request for it \
                 to the answer that counted, repeated builds included. *build*: mean until success, or until given up \
                 (**never**). *again*: requests for a file that had been asked for before, per build.\n",
                machine(),
                load_average(),
                rig.modules,
                GATEWAY_PATIENCE.as_secs(),
                rig.attempts()
            ),
            sections: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, scenario: &Scenario, shown: &Shown) {
        let mut text = format!(
            "## {}\n\n{}\n\n{}; load average {} afterwards.\n",
            scenario.title,
            scenario.story,
            httpdate::fmt_http_date(SystemTime::now()),
            load_average(),
        );
        if !shown.rows.is_empty() {
            text.push_str(
                "\n| case | way | first try | requests | p50 | p99 | wait | build | again |\n|---|---|---|---|---|---|---|---|---|\n",
            );
            shown.rows.iter().for_each(|row| text.push_str(&line(row)));
        }
        for note in &shown.notes {
            text.extend(["\n", note.as_str(), "\n"]);
        }
        self.push(scenario, text);
    }

    pub(super) fn leave_out(&mut self, scenario: &Scenario, why: &str) {
        self.push(
            scenario,
            format!(
                "## {}\n\n{}\n\nLeft out: {why}.\n",
                scenario.title, scenario.story
            ),
        );
    }

    fn push(&mut self, scenario: &Scenario, text: String) {
        self.sections.push(Section {
            name: scenario.name,
            text,
        });
    }

    pub(super) fn text(&self) -> String {
        self.sections
            .iter()
            .fold(self.intro.clone(), |text, section| {
                format!("{text}\n{}", section.text)
            })
    }

    pub(super) fn write_to(&self, file: &Path) -> Result<()> {
        let intro = Section {
            name: "conditions",
            text: self.intro.clone(),
        };
        for section in std::iter::once(&intro).chain(&self.sections) {
            write_section(file, PREFACE, "chaos", section)?;
        }
        Ok(())
    }
}

/// How busy the machine is with other things: a figure of time means little on a busy one.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

fn line(row: &Row) -> String {
    let figures = &row.figures;
    let share = if figures.requests == 0 {
        "–".to_owned()
    } else {
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts of requests are far below 2^52"
        )]
        let share = figures.good as f64 * 100.0 / figures.requests as f64;
        format!("{share:.1} %")
    };
    let build = if figures.succeeded == figures.builds {
        format!("{:.1} s", figures.took.as_secs_f64())
    } else {
        format!(
            "**never** ({} of {}), {:.1} s",
            figures.builds - figures.succeeded,
            figures.builds,
            figures.took.as_secs_f64()
        )
    };
    format!(
        "| {} | {} | {} of {} | {share} | {} | {} | {} | {build} | {} |\n",
        row.case,
        row.way.name(),
        figures.first_time_right,
        figures.builds,
        millis(figures.p50),
        millis(figures.p99),
        millis(figures.wait),
        figures.again / figures.builds.max(1),
    )
}

fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
