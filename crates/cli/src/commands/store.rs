use std::sync::Arc;

use goenv::Environment;
use serde::Serialize;
use store::{RebuildReport, Records, Scope, Store, rebuild_records};

use super::attached::runtime;
use super::{CannotDo, Status, load};
use crate::args::{Format, Settings, StoreCommand};
use crate::output;

pub(super) fn run(environment: &Environment, command: &StoreCommand) -> Result<Status, CannotDo> {
    match command {
        StoreCommand::Rebuild { settings, format } => rebuild(environment, settings, *format),
        StoreCommand::Show {
            version,
            settings,
            format,
        } => super::store_show::run(environment, settings, version, *format),
        StoreCommand::Scrub(arguments) => super::store_scrub::run(environment, arguments),
        StoreCommand::Quarantine(command) => super::quarantine::run(environment, command),
    }
}

#[derive(Serialize)]
struct Report {
    files: u64,
    bytes: u64,
    damaged: u64,
    records_replaced: bool,
}

fn rebuild(
    environment: &Environment,
    settings: &Settings,
    format: Format,
) -> Result<Status, CannotDo> {
    let (_, effective) = load(environment, settings)?;
    if !effective.data.is_dir() {
        return Err(CannotDo::new(format!(
            "there is no store at {}; name one with --data",
            effective.data.display()
        )));
    }
    let store = Arc::new(Store::open(&effective.data).map_err(CannotDo::new)?);
    let (
        RebuildReport {
            files,
            bytes,
            damaged,
        },
        records_replaced,
    ) = runtime()?.block_on(async {
        let records = Records::start(store.root());
        let replaced = records.was_replaced().await.map_err(CannotDo::new)?;
        let report = rebuild_records(&store, &records, Scope::All)
            .await
            .map_err(CannotDo::new)?;
        records.close().await;
        Ok::<_, CannotDo>((report, replaced))
    })?;
    store.close();
    match format {
        Format::Json => {
            let report = Report {
                files,
                bytes,
                damaged,
                records_replaced,
            };
            output::result(serde_json::to_string(&report).map_err(CannotDo::new)?);
        }
        Format::Human => {
            output::result(format!(
                "on record: {}, {bytes} bytes",
                output::counted(files, "file")
            ));
            if records_replaced {
                output::note(
                    "the old records could not be read; they were kept beside the new ones",
                );
            }
            if damaged > 0 {
                let quarantine = effective.data.join("quarantine");
                output::note(format!(
                    "{damaged} damaged files were set aside in {}",
                    quarantine.display()
                ));
            }
        }
    }
    Ok(if damaged > 0 {
        Status::Findings
    } else {
        Status::Done
    })
}
