//! Which HTTP proxy leads where.

use std::path::Path;
use std::sync::Arc;

use goenv::Environment;
use goenv::http_proxy::HttpProxyRules;
use pac::{PacFile, Program};

use super::CannotDo;
use crate::config::{ConfigError, Effective, Resolved};

/// What the environment says, unless a proxy auto-configuration file knows better.
pub(super) fn rules(
    effective: &Effective,
    environment: &Environment,
) -> Result<HttpProxyRules, CannotDo> {
    let rules = HttpProxyRules::from_environment(environment);
    let Some(path) = &effective.auto_config else {
        return Ok(rules);
    };
    let file = PacFile::new(path.clone(), program(path)?);
    Ok(rules.with_auto(Arc::new(file)))
}

/// Whether the file can be used, if there is one.
pub(super) fn check(resolved: &Resolved, effective: &Effective) -> Result<(), CannotDo> {
    let Some(path) = &effective.auto_config else {
        return Ok(());
    };
    PacFile::check(path, &program(path)?).map_err(|reason| {
        let error = ConfigError {
            origin: Some(resolved.get("outbound.pac").origin.clone()),
            reason: words(path, &reason),
        };
        vec![error].into()
    })
}

fn program(path: &Path) -> Result<Program, CannotDo> {
    Program::own().map_err(|error| CannotDo::new(words(path, &error.to_string())))
}

fn words(path: &Path, reason: &str) -> String {
    let first = reason.lines().next().unwrap_or_default();
    format!("outbound.pac: {}: {first}", path.display())
}
