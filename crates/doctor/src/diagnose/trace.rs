//! The way through the chain, drawn.

use std::fmt::Write as _;

use super::{Diagnosis, Step};

/// How to draw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceForm {
    /// Lines for a terminal.
    Tree,
    /// A Mermaid flow chart.
    Mermaid,
}

impl Diagnosis {
    /// The entries in the order `go` asks them, with the way taken.
    pub fn trace(&self, form: TraceForm) -> String {
        match form {
            TraceForm::Tree => tree(self),
            TraceForm::Mermaid => mermaid(self),
        }
    }
}

fn outcome(step: &Step) -> &'static str {
    match &step.failure {
        _ if !step.is_reached => "not asked",
        None => "answers",
        Some(failure) => failure.label.as_str(),
    }
}

fn passes(step: &Step) -> &'static str {
    if step.falls_through {
        "on any failure"
    } else {
        "only on 404/410"
    }
}

fn tree(diagnosis: &Diagnosis) -> String {
    let mut text = diagnosis.module.to_string();
    for (index, step) in diagnosis.route.iter().enumerate() {
        let branch = if index + 1 == diagnosis.route.len() {
            "`-"
        } else {
            "|-"
        };
        let next = if index + 1 == diagnosis.route.len() {
            String::new()
        } else {
            format!(" (next {})", passes(step))
        };
        let _infallible = write!(text, "\n{branch} {}: {}{next}", step.entry, outcome(step));
    }
    text
}

fn mermaid(diagnosis: &Diagnosis) -> String {
    // Quotes would end a label of Mermaid.
    let label = |text: &str| text.replace('"', "'");
    let mut text = format!(
        "flowchart TD\n  m[\"{}\"]",
        label(diagnosis.module.as_str())
    );
    let mut before = "m".to_owned();
    for (index, step) in diagnosis.route.iter().enumerate() {
        let edge = match index
            .checked_sub(1)
            .and_then(|index| diagnosis.route.get(index))
        {
            Some(previous) => format!("-->|{}|", passes(previous)),
            None => "-->".to_owned(),
        };
        let edge = if step.is_reached {
            edge
        } else {
            edge.replace("-->", "-.->")
        };
        let _infallible = write!(
            text,
            "\n  {before} {edge} e{index}[\"{}: {}\"]",
            label(&step.entry),
            outcome(step)
        );
        before = format!("e{index}");
    }
    text
}
