//! The machine-readable form of a comparison.

use std::time::{Duration, SystemTime};

use fault::Lang;
use goenv::Shell;
use serde_json::{Map, Value, json};

use super::{Advice, Comparison, Freshness, Mirror, Relay, Remark, Spread, Standing};
use crate::probe::report::Failure;

/// Version of the form; it grows with every change that is not an addition.
const SCHEMA: u32 = 1;

impl Comparison {
    /// The document, with texts in `lang` and commands for `shell`.
    pub fn to_json(&self, advice: &Advice, lang: Lang, shell: Shell) -> Value {
        json!({
            "schema": SCHEMA,
            "time": rfc3339(self.at),
            "samples": self.samples.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "repeat": self.repeat,
            "sumdb": self.database,
            "mirrors": self.mirrors.iter().map(|mirror| mirror_json(mirror, lang)).collect::<Vec<_>>(),
            "recommendation": {
                "goproxy": advice.value,
                "unchanged_because": advice.blocked.map(|blocked| blocked.kind().as_str()),
                "command": advice.fix.as_ref().map(|fix| fix.command(shell)),
                "undo": advice.fix.as_ref().and_then(|fix| fix.undo(shell)),
                "shell_command": advice.shell.as_ref().map(|fix| fix.command(shell)),
                "reasons": remarks(&advice.reasons, lang),
                "warnings": remarks(&advice.warnings, lang),
            },
        })
    }
}

fn remarks(remarks: &[Remark], lang: Lang) -> Vec<Value> {
    let one = |remark: &Remark| {
        let facts: Map<String, Value> = remark
            .facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        json!({"kind": remark.kind.as_str(), "text": remark.sentence(lang), "facts": facts})
    };
    remarks.iter().map(one).collect()
}

fn mirror_json(mirror: &Mirror, lang: Lang) -> Value {
    let listed = mirror.candidate.listed;
    json!({
        "url": mirror.candidate.shown(),
        "from": mirror.candidate.from.as_str(),
        "operator": listed.map(|listed| &listed.operator),
        "region": listed.map(|listed| listed.region.as_str()),
        "basis": listed.map(|listed| listed.basis.as_str()),
        "checked": listed.map(|listed| &listed.checked),
        "notes": listed.map(|listed| listed.notes(lang)),
        "rank": match mirror.standing { Standing::Ranked(rank) => Some(rank), Standing::Refused => None },
        "up": mirror.is_up(),
        "latency": mirror.latency.map(|spread| spread_json(&spread)),
        "served": mirror.served.map(|spread| spread_json(&spread)),
        "bytes_per_second": mirror.bytes_per_second,
        "protocol": mirror.protocol,
        "asked": mirror.asked(),
        "failed": mirror.failures().len(),
        "failures": mirror.failures().iter().map(failure_json).collect::<Vec<_>>(),
        "behind": mirror.behind(),
        "freshness": mirror.modules.iter().zip(&mirror.freshness).map(freshness_json).collect::<Vec<_>>(),
        "sumdb": match &mirror.relay {
            Relay::Yes => "relayed",
            Relay::No => "not-relayed",
            Relay::NotAsked => "not-asked",
            Relay::Broken(_) => "broken",
        },
        "remarks": remarks(&mirror.remarks, lang),
    })
}

fn freshness_json((module, freshness): (&String, &Freshness)) -> Value {
    json!({
        "module": module,
        "newest": freshness.newest.as_ref().map(ToString::to_string),
        "best": freshness.best.as_ref().map(ToString::to_string),
        "behind": freshness.behind,
    })
}

fn failure_json(failure: &Failure) -> Value {
    json!({
        "label": failure.label.as_str(),
        "hop": failure.label.hop().as_str(),
        "evidence": failure.evidence,
    })
}

fn spread_json(spread: &Spread) -> Value {
    json!({
        "n": spread.count,
        "p50_ms": milliseconds(spread.median),
        "p95_ms": milliseconds(spread.p95),
        "interval_ms": [milliseconds(spread.interval.0), milliseconds(spread.interval.1)],
    })
}

/// With one decimal.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// A time in UTC, to the second.
pub(super) fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| format!("{time:.0}"))
}
