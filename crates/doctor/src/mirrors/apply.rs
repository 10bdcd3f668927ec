//! Writing a recommendation, trying it, and taking it back if it does not work.

use std::path::Path;

use goenv::fix::{ApplyError, Change, Fix, Plan};
use goenv::{GoEnv, Key};
use gomod::Revision;

use super::Request;
use super::sample::Sample;
use crate::diagnose::{self, Diagnosis, Health, Watcher, diagnose};
use crate::probe::{Ground, Limits};

/// Why a recommendation is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyFailure {
    /// It could not be written. Nothing has changed.
    #[error(transparent)]
    Plan(#[from] ApplyError),
    /// An environment variable or another setting wins over the file of `go env -w`. Everything is as it was.
    #[error("GOPROXY comes from {0}, which wins over the file of 'go env -w'; nothing was changed")]
    Shadowed(String),
    /// With it, the sample could not be downloaded. Everything is as it was.
    #[error("with it, {} could not be downloaded; it was taken back", .0.module)]
    DoesNotWork(Box<Diagnosis>),
    /// It does not work, or was interrupted, and could not be taken back either.
    #[error("it could not be taken back: {0}")]
    NotTakenBack(#[source] ApplyError),
    /// The run was interrupted before the trial was over. Everything is as it was.
    #[error("interrupted; it was taken back")]
    Interrupted,
}

/// Carries `fix` out, downloads `sample` the way `go` would with the new settings, and takes the change back if that
/// fails, or when `interrupted` ends first.
pub async fn apply(
    ground: &Ground,
    fix: &Fix,
    directory: &Path,
    sample: &Sample,
    request: &Request,
    watcher: &dyn Watcher,
    interrupted: impl Future<Output = ()>,
) -> Result<Diagnosis, ApplyFailure> {
    let before = GoEnv::load(&ground.environment);
    let origin = &before.get(Key::GOPROXY).origin;
    if matches!(origin, goenv::Origin::Environment { .. }) {
        return Err(ApplyFailure::Shadowed(origin.to_string()));
    }
    let applied = Plan::of(fix, &ground.environment, directory)?.apply()?;
    let wanted = fix.changes.iter().find_map(|change| match change {
        Change::GoEnv { name, value, .. } if name == "GOPROXY" => value.clone(),
        _ => None,
    });
    let after = GoEnv::load(&ground.environment);
    let setting = after.get(Key::GOPROXY);
    if wanted.is_some_and(|wanted| wanted != setting.value) {
        let origin = setting.origin.to_string();
        applied.roll_back().map_err(ApplyFailure::NotTakenBack)?;
        return Err(ApplyFailure::Shadowed(origin));
    }
    let trial = diagnose::Request {
        module: sample.module.clone(),
        revision: sample
            .version
            .as_ref()
            .and_then(|version| Revision::new(version.as_str()).ok()),
        limits: Limits::within(request.total),
        repeat: 1,
        breadth: diagnose::Breadth::Requests,
        others: Vec::new(),
        auto_configs: Vec::new(),
    };
    let diagnosis = tokio::select! {
        diagnosis = diagnose(ground, &trial, watcher) => diagnosis,
        () = interrupted => {
            applied.roll_back().map_err(ApplyFailure::NotTakenBack)?;
            return Err(ApplyFailure::Interrupted);
        }
    };
    if diagnosis.verdict.health == Health::Broken {
        applied.roll_back().map_err(ApplyFailure::NotTakenBack)?;
        return Err(ApplyFailure::DoesNotWork(Box::new(diagnosis)));
    }
    applied.keep()?;
    Ok(diagnosis)
}
