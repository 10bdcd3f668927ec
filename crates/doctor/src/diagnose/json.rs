//! The machine-readable form: `causes`, `settings`, `hops` and `verdict`.

use fault::{Lang, Side};
use serde_json::{Map, Value, json};

use super::{Diagnosis, Finding};
use crate::probe::report::{Failure, Outcome, Probe};

/// Version of the form; it grows with every change that is not an addition.
const SCHEMA: u32 = 1;

impl Diagnosis {
    /// The document, with texts in `lang`.
    pub fn to_json(&self, lang: Lang) -> Value {
        let settings: Vec<Value> = self
            .settings
            .settings()
            .iter()
            .map(|setting| {
                json!({
                    "name": setting.key.name(),
                    "value": setting.redacted_value(),
                    "origin": setting.origin.to_string(),
                    "shadowed": setting.shadowed.iter().map(ToString::to_string).collect::<Vec<_>>(),
                })
            })
            .collect();
        let route: Vec<Value> = self
            .route
            .iter()
            .map(|step| {
                json!({
                    "entry": step.entry,
                    "reached": step.is_reached,
                    "falls_through": if step.falls_through { "any" } else { "absent" },
                    "label": step.failure.as_ref().map(|failure| failure.label.as_str()),
                })
            })
            .collect();
        json!({
            "schema": SCHEMA,
            "module": self.module.as_str(),
            "causes": self.verdict.causes.iter().map(|cause| cause_json(cause, lang)).collect::<Vec<_>>(),
            "settings": settings,
            "route": route,
            "hops": self.hops.iter().map(probe_json).collect::<Vec<_>>(),
            "verdict": {
                "health": self.verdict.health.as_str(),
                "label": self.verdict.causes.first().map(|cause| cause.label().as_str()),
                "hop": self.verdict.causes.first().map(|cause| cause.hop().as_str()),
                "answered_by": self.verdict.answered_by,
            },
        })
    }
}

/// A cause in the form that `explain` uses too.
fn cause_json(cause: &Finding, lang: Lang) -> Value {
    let Failure {
        label,
        evidence,
        subjects,
    } = &cause.failure;
    let advice = label.advice(lang);
    let fixes: Vec<Value> = advice
        .fixes
        .iter()
        .map(|fix| {
            json!({
                "text": subjects.fill_text(&fix.text, lang),
                "command": fix.command.as_deref().map(|command| subjects.fill_command(command)),
                "risk": fix.risk.as_str(),
            })
        })
        .collect();
    let evidence: Vec<Value> = evidence
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"line": index + 1, "text": text}))
        .collect();
    json!({
        "label": label.as_str(),
        "hop": label.hop().as_str(),
        "party": label.party().as_str(),
        "confidence": 1.0,
        "fatal": cause.is_fatal,
        "side": Side::Client.as_str(),
        "evidence": evidence,
        "summary": subjects.fill_text(&advice.cause, lang),
        "fixes": fixes,
        "avoid": advice.avoid.iter().map(|text| subjects.fill_text(text, lang)).collect::<Vec<_>>(),
        "probe": subjects.fill_command(&advice.probe.command),
    })
}

fn probe_json(probe: &Probe) -> Value {
    let timings: Map<String, Value> = probe
        .phases
        .named()
        .into_iter()
        .filter_map(|(name, time)| Some((format!("{name}_ms"), json!(milliseconds(time?)))))
        .collect();
    let facts: Map<String, Value> = probe
        .facts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let (outcome, label, evidence) = match &probe.outcome {
        Outcome::Fine => ("fine".to_owned(), None, &[][..]),
        Outcome::Failed(failure) => (
            "failed".to_owned(),
            Some(failure.label.as_str()),
            failure.evidence.as_slice(),
        ),
        Outcome::Skipped(reason) => (format!("skipped-{}", reason.as_str()), None, &[][..]),
    };
    json!({
        "check": probe.check.as_str(),
        "hop": probe.hop.as_str(),
        "target": probe.target,
        "outcome": outcome,
        "label": label,
        "evidence": evidence,
        "timings": timings,
        "facts": facts,
    })
}

/// With one decimal.
fn milliseconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
