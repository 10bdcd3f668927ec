use goenv::Environment;
use serde::Serialize;
use store::{Evidence, QuarantineEntry, QuarantineId, Records, drop_quarantined, release};

use super::attached::{attach, runtime};
use super::{CannotDo, Status};
use crate::args::{Format, QuarantineCommand};
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
            let id: QuarantineId = id.parse().map_err(CannotDo::new)?;
            let store = attach(environment, settings)?;
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
            let id: QuarantineId = id.parse().map_err(CannotDo::new)?;
            let store = attach(environment, settings)?;
            let released = runtime()?.block_on(async {
                let records = Records::start(store.root());
                let released = release(&store, &records, &id).await;
                records.close().await;
                released.map_err(CannotDo::new)
            })?;
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
            let id: QuarantineId = id.parse().map_err(CannotDo::new)?;
            let store = attach(environment, settings)?;
            let entry = runtime()?.block_on(async {
                let records = Records::start(store.root());
                let dropped = drop_quarantined(&store, &records, &id).await;
                records.close().await;
                dropped.map_err(CannotDo::new)
            })?;
            let words = format!("the bytes of {} are gone", entry.evidence.key);
            decided(&id, &entry.evidence, None, words, *format)
        }
    }
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
