//! `modkeep doctor --repair-cache`: one module of the module cache, removed and downloaded anew.

use std::time::Duration;

use ::doctor::diagnose::word;
use ::doctor::repair::{Repair, Workshop};
use fault::Lang;
use goenv::Environment;
use gomod::{ModulePath, Version};

use super::fix::{interrupted, is_agreed};
use crate::args::DoctorArguments;
use crate::commands::{CannotDo, Status};
use crate::output;

/// Says what will be removed, asks, does it.
pub(super) async fn run(
    environment: &Environment,
    arguments: &DoctorArguments,
    target: &str,
    lang: Lang,
) -> Result<Status, CannotDo> {
    let say = |key| output::note(word(lang, "repair", key));
    let (module, version) = match target.split_once('@') {
        Some((module, version)) => (module, Some(Version::new(version).map_err(CannotDo::new)?)),
        None => (target, None),
    };
    let module = ModulePath::new(module).map_err(CannotDo::new)?;
    let directory = std::env::current_dir().unwrap_or_default();
    let workshop = Workshop::new(environment, &directory).map_err(CannotDo::new)?;
    let repairs = workshop.repairs(&module, version.as_ref());
    if repairs.is_empty() {
        output::result(word(lang, "repair", "whole").replace("{}", module.as_str()));
        return Ok(Status::Done);
    }
    for repair in &repairs {
        show(repair, lang);
    }
    if !arguments.yes {
        say("question");
        if !is_agreed() {
            output::note(word(lang, "mend", "declined"));
            return Ok(Status::Findings);
        }
    }
    let patience = Duration::from_secs_f64(arguments.timeout);
    for repair in &repairs {
        let stop = interrupted()?;
        Box::pin(workshop.carry_out(repair, patience, stop))
            .await
            .map_err(|error| {
                CannotDo::new(format!("{error}\n{}", word(lang, "repair", "as-before")))
            })?;
        let module = repair.module.to_string();
        output::result(word(lang, "repair", "done").replace("{}", &module));
    }
    Ok(Status::Done)
}

fn show(repair: &Repair, lang: Lang) {
    output::note(format!("{}:", repair.module));
    for finding in &repair.damage {
        output::note(format!("  {} [{}]", finding.sentence(lang), finding.rule));
    }
    output::note(format!("  {}:", word(lang, "repair", "removes")));
    for path in &repair.paths {
        output::note(format!("    {}", path.display()));
    }
}
