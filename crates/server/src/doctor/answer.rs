//! What `GET /api/v1/doctor` answers, in a form that can be described. The document itself is made by the engine, for the
//! command line, too; it goes through these types, so that it cannot differ from its description.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The diagnosis of this server.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Diagnosed {
    /// The version of this form.
    schema: u64,
    /// When the probes were made.
    time: Option<String>,
    /// The module that was asked for.
    module: String,
    verdict: Verdict,
    /// What is wrong, the worst first.
    causes: Vec<Cause>,
    /// Settings that are mistakes.
    findings: Vec<Finding>,
    settings: Vec<Setting>,
    /// The entries of the chain of upstreams, in their order.
    route: Vec<Step>,
    /// What was measured, hop by hop.
    hops: Vec<Probe>,
    /// Modules that were asked for beside the first.
    requirements: Vec<Requirement>,
}

/// The judgement.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Verdict {
    health: Health,
    /// The name of the first cause.
    label: Option<String>,
    /// Where on the way it lies.
    hop: Option<String>,
    /// The upstream that answered for the module.
    answered_by: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Health {
    /// Downloads succeed, and nothing is in their way.
    Healthy,
    /// They succeed, but something on the way is broken.
    Degraded,
    /// They fail.
    Broken,
}

/// Something that is wrong.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Cause {
    /// Its name.
    label: String,
    /// Where on the way it lies.
    hop: String,
    /// Who can repair it.
    party: String,
    /// Between 0 and 1.
    confidence: f64,
    /// Whether downloads fail because of it.
    fatal: bool,
    /// The side of modkeep on which it lies: always that of the server.
    side: String,
    evidence: Vec<Evidence>,
    /// The names of the rules that found mistaken settings behind it.
    rules: Vec<String>,
    /// A sentence for people.
    summary: String,
    fixes: Vec<Fix>,
    /// What does more harm than good.
    avoid: Vec<String>,
    /// A command that shows the same without modkeep.
    probe: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Evidence {
    line: u64,
    text: String,
}

/// What can be done about it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fix {
    /// A sentence for people.
    text: String,
    command: Option<String>,
    /// The command that takes it back.
    undo: Option<String>,
    /// What it can break.
    risk: String,
    /// What it changes.
    scope: Option<String>,
    /// Whether a program may do it unasked: never, on a server.
    safe: bool,
}

/// A setting that is a mistake.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Finding {
    /// The name of the rule that found it.
    rule: String,
    severity: String,
    /// What it leads to.
    label: Option<String>,
    hop: String,
    /// The settings that take part in it.
    settings: Vec<String>,
    file: Option<String>,
    line: Option<u64>,
    /// A sentence for people.
    summary: String,
    fixes: Vec<Fix>,
}

/// A setting of the server, without its secrets.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Setting {
    name: String,
    value: String,
    /// Where it was set.
    origin: String,
    /// Where it was set, too, without effect.
    shadowed: Vec<String>,
}

/// An entry of the chain of upstreams.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    entry: String,
    /// Whether it is asked at all.
    reached: bool,
    /// After what failure the next entry is asked: `absent` or `any`.
    falls_through: String,
    /// Why it does not answer.
    label: Option<String>,
}

/// A measurement.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Probe {
    /// What was tried.
    check: String,
    hop: String,
    /// With whom.
    target: String,
    /// `fine`, `failed`, or `skipped-` and why.
    outcome: String,
    /// Why it failed.
    label: Option<String>,
    evidence: Vec<String>,
    /// The time that each phase took, in milliseconds.
    timings: BTreeMap<String, f64>,
    /// What else was seen.
    facts: BTreeMap<String, String>,
}

/// A module that was asked for beside the first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Requirement {
    module: String,
    version: String,
    state: String,
    answered_by: Option<String>,
    label: Option<String>,
    evidence: Option<Vec<String>>,
    /// Milliseconds.
    ms: f64,
}
