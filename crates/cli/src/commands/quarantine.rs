use std::sync::Arc;

use goenv::Environment;
use serde::Serialize;
use store::{
    Evidence, QuarantineEntry, QuarantineId, Records, ReleaseError, Store, drop_quarantined,
    release,
};

use super::attached::{attach, runtime};
use super::{CannotDo, Status};
use crate::args::{Format, QuarantineCommand, Settings};
use crate::output;

pub(super) fn run(
    environment: &Environment,
    command: &QuarantineCommand,
) -> Result<Status, CannotDo> {
    match command {
        QuarantineCommand::List { settings, format } => {
            let store = attach(environment, settings)?;
            list(&store.quarantine_entries().map_err(CannotDo::new)?, *format)
        }
        QuarantineCommand::Show {
            id,
            settings,
            format,
        } => {
            let (store, id) = named(environment, settings, id)?;
            let entry = store.quarantine_entry(&id).map_err(CannotDo::new)?;
            let entry = entry.ok_or_else(|| {
                CannotDo::new(format!("there is nothing in quarantine under {id}; `modkeep store quarantine list` shows what is"))
            })?;
            show(&entry, *format)
        }
        QuarantineCommand::Release {
            id,
            settings,
            format,
        } => {
            let (store, id) = named(environment, settings, id)?;
            let released = on_record(&store, async |records| release(&store, records, &id).await)?;
            let key = &released.entry.evidence.key;
            let hash = released.hash.map(|hash| hash.to_string());
            let words = match &hash {
                Some(hash) => format!("{key} is stored; from now on it must hash to {hash}"),
                None => format!("{key} is stored"),
            };
            decided(&id, &released.entry.evidence, hash, words, *format)
        }
        QuarantineCommand::Drop {
            id,
            settings,
            format,
        } => {
            let (store, id) = named(environment, settings, id)?;
            let entry = on_record(&store, async |records| {
                drop_quarantined(&store, records, &id).await
            })?;
            let words = format!("the bytes of {} are gone", entry.evidence.key);
            decided(&id, &entry.evidence, None, words, *format)
        }
    }
}

/// The store, and what somebody has named of its quarantine.
fn named(
    environment: &Environment,
    settings: &Settings,
    id: &str,
) -> Result<(Arc<Store>, QuarantineId), CannotDo> {
    let id: QuarantineId = id.parse().map_err(CannotDo::new)?;
    Ok((attach(environment, settings)?, id))
}

/// Carries out a decision, and has it on record when that is done.
fn on_record<T>(
    store: &Store,
    decision: impl AsyncFnOnce(&Records) -> Result<T, ReleaseError>,
) -> Result<T, CannotDo> {
    runtime()?.block_on(async {
        let records = Records::start(store.root());
        let outcome = decision(&records).await;
        records.close().await;
        outcome.map_err(CannotDo::new)
    })
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a QuarantineId,
    size: u64,
    path: String,
    #[serde(flatten)]
    evidence: &'a Evidence,
}

impl<'a> From<&'a QuarantineEntry> for Shown<'a> {
    fn from(entry: &'a QuarantineEntry) -> Self {
        Self {
            id: &entry.id,
            size: entry.size,
            path: entry.path.display().to_string(),
            evidence: &entry.evidence,
        }
    }
}

fn list(entries: &[QuarantineEntry], format: Format) -> Result<Status, CannotDo> {
    match format {
        Format::Json => {
            let shown: Vec<Shown<'_>> = entries.iter().map(Shown::from).collect();
            output::result(serde_json::to_string_pretty(&shown).map_err(CannotDo::new)?);
        }
        Format::Human if entries.is_empty() => output::result("nothing is in quarantine"),
        Format::Human => {
            for entry in entries {
                let Evidence { key, detail, .. } = &entry.evidence;
                output::result(format!("{}  {key}  {detail}", entry.id));
            }
        }
    }
    Ok(if entries.is_empty() {
        Status::Done
    } else {
        Status::Findings
    })
}

fn show(entry: &QuarantineEntry, format: Format) -> Result<Status, CannotDo> {
    if format == Format::Json {
        let shown = Shown::from(entry);
        output::result(serde_json::to_string_pretty(&shown).map_err(CannotDo::new)?);
        return Ok(Status::Done);
    }
    let evidence = &entry.evidence;
    let mut lines = vec![
        format!("{}  {}", entry.id, evidence.key),
        format!("  why       {}", evidence.detail),
        format!("  when      {}", evidence.time),
    ];
    for (name, claim) in [("found", &evidence.found), ("expected", &evidence.expected)] {
        if let Some(claim) = claim {
            lines.push(format!("  {name:8}  {} ({})", claim.hash, claim.from));
        }
    }
    if let Some(source) = &evidence.source {
        lines.push(format!("  source    {source}"));
    }
    if let Some(request) = &evidence.request_id {
        lines.push(format!("  request   {request}"));
    }
    lines.push(format!(
        "  bytes     {} in {}",
        entry.size,
        entry.path.display()
    ));
    output::result(lines.join("\n"));
    Ok(Status::Done)
}

fn decided(
    id: &QuarantineId,
    evidence: &Evidence,
    hash: Option<String>,
    words: String,
    format: Format,
) -> Result<Status, CannotDo> {
    #[derive(Serialize)]
    struct Decided<'a> {
        id: &'a QuarantineId,
        module: &'a str,
        version: &'a str,
        file: store::FileKind,
        #[serde(skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
    }
    output::result(match format {
        Format::Human => words,
        Format::Json => serde_json::to_string(&Decided {
            id,
            module: evidence.key.module.as_str(),
            version: evidence.key.version.as_str(),
            file: evidence.key.kind,
            hash,
        })
        .map_err(CannotDo::new)?,
    });
    Ok(Status::Done)
}
