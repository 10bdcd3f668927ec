use std::fmt::Write as _;

use goenv::Environment;
use gomod::{ModulePath, ModuleVersion, Version};
use store::{EventProvenance, PinProvenance, Provenance, Records, Store};

use super::attached::{attach, runtime};
use super::{CannotDo, Status};
use crate::args::{Format, Settings};
use crate::output;

/// Prints what is on record about a version.
pub(super) fn run(
    environment: &Environment,
    settings: &Settings,
    name: &str,
    format: Format,
) -> Result<Status, CannotDo> {
    let module = parse(name)?;
    let store: std::sync::Arc<Store> = attach(environment, settings)?;
    let found = runtime()?.block_on(async {
        let records = Records::start(store.root());
        let found = records.provenance(&module).await.map_err(CannotDo::new);
        records.close().await;
        found
    })?;
    let Some(provenance) = found else {
        return Err(CannotDo::new(format!(
            "nothing is on record about {module} in {}; `modkeep store rebuild` brings records in line with the files",
            store.root().display()
        )));
    };
    output::result(match format {
        Format::Json => serde_json::to_string_pretty(&provenance).map_err(CannotDo::new)?,
        Format::Human => render(&provenance),
    });
    Ok(if provenance.warnings.is_empty() {
        Status::Done
    } else {
        Status::Findings
    })
}

fn parse(name: &str) -> Result<ModuleVersion, CannotDo> {
    let (path, version) = name.rsplit_once('@').ok_or_else(|| {
        CannotDo::new(format!(
            "{name:?} is no MODULE@VERSION, such as example.com/m@v1.2.3"
        ))
    })?;
    let path = ModulePath::new(path).map_err(CannotDo::new)?;
    let version = Version::new(version).map_err(CannotDo::new)?;
    ModuleVersion::new(path, version).map_err(CannotDo::new)
}

fn render(provenance: &Provenance) -> String {
    let mut text = format!("{}@{}", provenance.module, provenance.version);
    if let Some(time) = provenance.first_seen {
        let _infallible = write!(text, "\n  first seen  {time}");
    }
    for file in &provenance.files {
        let source = file
            .source
            .as_ref()
            .map_or("found in the tree".to_owned(), ToString::to_string);
        let _infallible = write!(
            text,
            "\n  {:10}  {} bytes, stored {}\n              from {source}\n              sha256 {}",
            file.kind.extension(),
            file.size,
            file.stored,
            file.sha256
        );
        if let Some(url) = &file.url {
            let _infallible = write!(text, "\n              at {url}");
        }
        if let Some(etag) = &file.etag {
            let _infallible = write!(text, "\n              etag {etag}");
        }
    }
    for (name, pin) in [
        ("go.mod hash", &provenance.go_mod),
        ("zip hash", &provenance.zip),
    ] {
        if let Some(PinProvenance { hash, verification }) = pin {
            let _infallible = write!(text, "\n  {name:11} {hash}\n              {verification}");
        }
    }
    for (name, events) in [
        ("checks", &provenance.checks),
        ("warnings", &provenance.warnings),
        ("events", &provenance.events),
    ] {
        if !events.is_empty() {
            let _infallible = write!(text, "\n  {name}");
        }
        for EventProvenance { time, what } in events {
            let _infallible = write!(text, "\n    {time}  {what}");
        }
    }
    text
}
