//! The machine-readable form: `causes`, `findings`, `settings`, `hops` and `verdict`.

use fault::{Lang, Side};
use goenv::report::{Row, Source};
use goenv::{Finding, Shell};
use serde_json::{Map, Value, json};

use super::{Cause, Diagnosis, Remedy, Requirement, State};
use crate::probe::report::{Failure, Outcome, Probe};

/// Version of the form; it grows with every change that is not an addition.
const SCHEMA: u32 = 1;

impl Diagnosis {
    /// The document, with texts in `lang` and commands for `shell`.
    pub fn to_json(&self, lang: Lang, shell: Shell) -> Value {
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
        let findings = self.findings.iter();
        let causes = self.verdict.causes.iter();
        let first = self.verdict.causes.first();
        json!({
            "schema": SCHEMA,
            "module": self.module.as_str(),
            "causes": causes.map(|cause| self.cause_json(cause, lang, shell)).collect::<Vec<_>>(),
            "findings": findings.map(|finding| self.finding_json(finding, lang, shell)).collect::<Vec<_>>(),
            "settings": self.report.rows.iter().map(row_json).collect::<Vec<_>>(),
            "route": route,
            "hops": self.hops.iter().map(probe_json).collect::<Vec<_>>(),
            "requirements": self.requirements.iter().map(requirement_json).collect::<Vec<_>>(),
            "verdict": {
                "health": self.verdict.health.as_str(),
                "label": first.map(|cause| cause.label().as_str()),
                "hop": first.map(|cause| cause.hop().as_str()),
                "answered_by": self.verdict.answered_by,
            },
        })
    }

    /// A cause in the form that `explain` uses too.
    fn cause_json(&self, cause: &Cause, lang: Lang, shell: Shell) -> Value {
        let Failure {
            label,
            evidence,
            subjects,
        } = &cause.failure;
        let advice = label.advice(lang);
        let evidence: Vec<Value> = evidence
            .iter()
            .enumerate()
            .map(|(index, text)| json!({"line": index + 1, "text": text}))
            .collect();
        let remedies = self.remedies(cause, shell, lang);
        json!({
            "label": label.as_str(),
            "hop": label.hop().as_str(),
            "party": label.party().as_str(),
            "confidence": 1.0,
            "fatal": cause.is_fatal,
            "side": Side::Client.as_str(),
            "evidence": evidence,
            "rules": cause.findings.iter().map(|finding| finding.rule.as_str()).collect::<Vec<_>>(),
            "summary": cause.sentence(lang),
            "fixes": remedies.iter().map(remedy_json).collect::<Vec<_>>(),
            "avoid": advice.avoid.iter().map(|text| subjects.fill_text(text, lang)).collect::<Vec<_>>(),
            "probe": subjects.fill_command(&advice.probe.command),
        })
    }

    fn finding_json(&self, finding: &Finding, lang: Lang, shell: Shell) -> Value {
        let remedies = self.remedies_of_finding(finding, shell, lang);
        json!({
            "rule": finding.rule.as_str(),
            "severity": finding.severity.as_str(),
            "label": finding.label().as_str(),
            "hop": finding.rule.hop().as_str(),
            "settings": finding.settings,
            "file": finding.place.as_ref().map(|place| place.path.to_string_lossy()),
            "line": finding.place.as_ref().and_then(|place| place.line),
            "summary": finding.sentence(lang),
            "fixes": remedies.iter().map(remedy_json).collect::<Vec<_>>(),
        })
    }
}

fn requirement_json(one: &Requirement) -> Value {
    let answered_by = match &one.state {
        State::Answered(entry) => Some(entry.as_str()),
        _ => None,
    };
    let failure = one.failure();
    json!({
        "module": one.module.path().as_str(),
        "version": one.module.version().as_str(),
        "state": one.state.as_str(),
        "answered_by": answered_by,
        "label": failure.map(|failure| failure.label.as_str()),
        "evidence": failure.map(|failure| failure.evidence.as_slice()),
        "ms": milliseconds(one.took),
    })
}

fn remedy_json(remedy: &Remedy) -> Value {
    json!({
        "text": remedy.text,
        "command": remedy.command,
        "undo": remedy.undo,
        "risk": remedy.risk.as_str(),
        "scope": remedy.scope.map(goenv::fix::Scope::as_str),
        "safe": remedy.is_safe,
    })
}

fn row_json(row: &Row) -> Value {
    let shadowed = row.shadowed.iter().map(ToString::to_string);
    let set_by = row.set_by.iter().map(|by| match &by.source {
        Source::File { path, line } => json!({"file": path.to_string_lossy(), "line": line}),
        Source::Process { id, name } => json!({"process": id, "name": name}),
        Source::Ci(name) => json!({"ci": name}),
        Source::Container => json!({"container": true}),
    });
    json!({
        "name": row.name,
        "value": row.redacted_value(),
        "origin": row.origin.to_string(),
        "set_by": set_by.collect::<Vec<_>>(),
        "shadowed": shadowed.collect::<Vec<_>>(),
        "ignored": row.is_ignored,
        "elsewhere": row.elsewhere.iter().map(|running| json!({
            "process": running.id,
            "name": running.program,
            "value": running.redacted_value(),
        })).collect::<Vec<_>>(),
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
