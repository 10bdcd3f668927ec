//! From judged errors to what is told: grouped by label, ordered, with evidence, advice and subjects.

use std::collections::BTreeMap;

use fault::{Hop, Label, Lang, Party, Side, Subjects};

use super::case::{Case, Part};
use super::clean::Line;
use super::redact::redact;
use super::verdict::Verdict;
use super::{Cause, Evidence, Options, Remedy};

/// Evidence lines shown for one cause.
const EVIDENCE_LIMIT: usize = 5;
/// Longest evidence text, in characters.
const TEXT_LIMIT: usize = 600;

/// What several errors say of one label.
#[derive(Debug)]
struct Group {
    confidence: f32,
    first_line: usize,
    errors: u32,
    side: Side,
    evidence: Vec<Evidence>,
    subjects: Subjects,
}

/// Collects the verdicts on all errors of a log.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    groups: BTreeMap<Label, Group>,
}

impl Collector {
    /// Takes in what was said of one error; only the first verdict counts as the cause of it.
    pub(crate) fn add(&mut self, case: &Case, verdicts: &[Verdict]) {
        for (rank, verdict) in verdicts.iter().enumerate() {
            let Some(evidence) = evidence(case, verdict) else {
                continue;
            };
            let group = self.groups.entry(verdict.label).or_insert_with(|| Group {
                confidence: 0.0,
                first_line: evidence.line,
                errors: 0,
                side: verdict.side,
                evidence: Vec::new(),
                subjects: subjects(case, verdict),
            });
            group.errors += u32::from(rank == 0);
            if verdict.confidence > group.confidence {
                group.confidence = verdict.confidence;
                group.side = verdict.side;
            }
            let known = group
                .evidence
                .iter()
                .any(|other| other.text == evidence.text);
            if !known && group.evidence.len() < EVIDENCE_LIMIT {
                group.evidence.push(evidence);
            }
        }
    }

    /// The causes, most likely first: sure ones before doubtful ones, and among equally sure ones the earliest hop, as
    /// it explains the rest.
    pub(crate) fn causes(self, options: &Options) -> Vec<Cause> {
        let exhausted = self
            .groups
            .get(&Label::OsResourceLimit)
            .is_some_and(|group| group.errors > 0);
        let failing = self
            .groups
            .iter()
            .any(|(label, group)| group.errors > 0 && !is_warning(*label));
        let mut groups: Vec<(Label, Group)> = self.groups.into_iter().collect();
        for (label, group) in &mut groups {
            if failing && is_warning(*label) {
                group.confidence *= 0.5;
            }
        }
        groups.sort_by(|(a, left), (b, right)| {
            let key = |label: Label, group: &Group| {
                (
                    std::cmp::Reverse(bucket(group)),
                    symptom(label) || (exhausted && label.hop() == Hop::Dns),
                    label.hop(),
                    group.first_line,
                )
            };
            key(*a, left)
                .cmp(&key(*b, right))
                .then(right.confidence.total_cmp(&left.confidence))
        });
        groups
            .into_iter()
            .take(options.limit)
            .map(|(label, group)| cause(label, group, options.lang))
            .collect()
    }
}

/// Notes that stand beside failures without being one.
fn is_warning(label: Label) -> bool {
    matches!(label, Label::ModRetracted | Label::GoproxySlow)
}

/// How sure a cause is, in steps: small differences between rules do not outweigh the order of the hops.
fn bucket(group: &Group) -> u8 {
    match (group.errors, group.confidence) {
        (0, confidence) => u8::from(confidence >= 0.3),
        (_, confidence) if confidence >= 0.7 => 4,
        (_, confidence) if confidence >= 0.5 => 3,
        _ => 2,
    }
}

/// Faults of the project that often follow from a failed download, however early or late they are printed.
fn symptom(label: Label) -> bool {
    matches!(
        label,
        Label::ProjUpdatesNeeded
            | Label::GosumMissing
            | Label::ModNoPackage
            | Label::ProjStdMissing
    )
}

fn evidence(case: &Case, verdict: &Verdict) -> Option<Evidence> {
    let part: &Part = if verdict.quoted {
        &case.server
    } else {
        &case.client
    };
    let line: &Line = part.lines.get(verdict.at).or_else(|| part.lines.first())?;
    let text: String = redact(&line.text).chars().take(TEXT_LIMIT).collect();
    let span = find_words(&text, &verdict.words);
    Some(Evidence {
        line: line.number,
        text,
        span,
    })
}

/// Where the decisive words stand in the shown text, in bytes.
fn find_words(text: &str, words: &str) -> Option<(usize, usize)> {
    let words = words.trim();
    let start = text
        .to_ascii_lowercase()
        .find(words)
        .filter(|_| !words.is_empty())?;
    text.is_char_boundary(start + words.len())
        .then_some((start, start + words.len()))
}

/// What the error is about, as far as this label has a use for it.
fn subjects(case: &Case, verdict: &Verdict) -> Subjects {
    let client = &case.client;
    let lookup = client.lookups.first().map(|(_, lookup)| lookup);
    let socket = client.sockets.first().map(|(_, socket)| socket);
    let url = case.url();
    let asked = lookup
        .map(|lookup| lookup.host.clone())
        .filter(|_| verdict.label.hop() == Hop::Dns || url.is_none());
    let host = asked
        .or_else(|| url.map(|url| url.host.clone()))
        .or_else(|| plain_host(client));
    let declared = after_word(client, "declares its path as:");
    let required = after_word(client, "but was required as:");
    Subjects {
        module: required.or_else(|| case.module()),
        version: case.version(),
        host: host.filter(|host| host.len() <= 255),
        address: socket.map(|socket| socket.address.clone()),
        resolver: lookup.and_then(|lookup| lookup.resolver.clone()),
        url: url.map(|url| redact(&original(client, &url.text))),
        path: path_in(client, verdict.at),
        declared,
    }
}

/// The URL as written, not in lower case.
fn original(part: &Part, lower: &str) -> String {
    let found = part.lines.iter().find_map(|line| {
        let at = line.text.to_ascii_lowercase().find(lower)?;
        line.text.get(at..at + lower.len())
    });
    found.unwrap_or(lower).to_owned()
}

/// The host in the words of curl and ssh.
fn plain_host(part: &Part) -> Option<String> {
    let starts = [
        "could not resolve host: ",
        "could not resolve hostname ",
        "failed to connect to ",
        "connect to host ",
        "connection to ",
        "git@",
    ];
    let rest = starts.iter().find_map(|start| part.after(start))?;
    let host = rest.split([' ', ':', '\'', '"', ',']).next()?;
    host.contains('.').then(|| host.to_owned())
}

fn after_word(part: &Part, words: &str) -> Option<String> {
    part.lines.iter().find_map(|line| {
        let at = line.text.to_ascii_lowercase().find(words)?;
        line.text
            .get(at + words.len()..)?
            .split_whitespace()
            .next()
            .map(str::to_owned)
    })
}

/// The first absolute path in the decisive line.
fn path_in(part: &Part, at: usize) -> Option<String> {
    let line = part.lines.get(at)?;
    let words = line.text.split([' ', '"', '\'', '`', '\t']);
    let path = words
        .map(|word| word.trim_end_matches([':', ',', ';']))
        .find(|word| {
            let unix = word.starts_with('/') && word.len() > 1 && !word.starts_with("//");
            unix || word.as_bytes().get(1..3) == Some(b":\\")
        })?;
    Some(path.to_owned())
}

fn cause(label: Label, group: Group, lang: Lang) -> Cause {
    let advice = label.advice(lang);
    let subjects = &group.subjects;
    let side = if label.hop() == Hop::Config
        || (label.party() == Party::User && group.side == Side::Client)
    {
        Side::Client
    } else {
        group.side
    };
    let fixes = advice.fixes.iter().map(|fix| Remedy {
        text: subjects.fill_text(&fix.text, lang),
        command: fix
            .command
            .as_deref()
            .map(|command| subjects.fill_command(command)),
        risk: fix.risk,
    });
    Cause {
        label,
        hop: label.hop(),
        party: label.party(),
        confidence: group.confidence.clamp(0.0, 0.99),
        side,
        summary: subjects.fill_text(&advice.cause, lang),
        fixes: fixes.collect(),
        avoid: advice
            .avoid
            .iter()
            .map(|text| subjects.fill_text(text, lang))
            .collect(),
        probe: Remedy {
            text: subjects.fill_text(&advice.probe.text, lang),
            command: Some(subjects.fill_command(&advice.probe.command)),
            risk: fault::Risk::None,
        },
        evidence: group.evidence,
        subjects: group.subjects,
    }
}
