use std::path::PathBuf;

use goenv::{Environment, GoEnv, Key};
use modcache::{ModuleCache, Problem, Project, Unverifiable, Verdict, verify};
use serde::Serialize;

use super::{CannotDo, Status};
use crate::args::{Format, VerifyArguments};
use crate::output;

#[derive(Serialize)]
struct Report<'a> {
    cache: String,
    /// Versions of which something is in the cache.
    verified: usize,
    problems: Vec<Found<'a>>,
    unverifiable: Vec<Replaced<'a>>,
}

#[derive(Serialize)]
struct Found<'a> {
    module: &'a str,
    version: &'a str,
    problem: &'static str,
    text: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    differences: &'a [String],
}

#[derive(Serialize)]
struct Replaced<'a> {
    module: &'a str,
    directory: &'a str,
}

pub(super) fn run(
    environment: &Environment,
    arguments: &VerifyArguments,
) -> Result<Status, CannotDo> {
    let cache = ModuleCache::new(directory(environment, arguments)?);
    let (verdicts, unverifiable) = if arguments.all {
        let versions = cache.versions().map_err(|error| {
            let cache = cache.root().display();
            CannotDo::new(format!(
                "cannot read the module cache {cache}: {error}; name it with --cache"
            ))
        })?;
        (verify(&cache, &versions, None, 0), Vec::new())
    } else {
        let start = match &arguments.project {
            Some(directory) => std::path::absolute(directory),
            None => std::env::current_dir(),
        };
        let project = Project::find(&start.map_err(CannotDo::new)?).map_err(CannotDo::new)?;
        let verdicts = verify(&cache, &project.modules, Some(&project.sums), 0);
        (verdicts, project.unverifiable)
    };
    let report = Report {
        cache: cache.root().display().to_string(),
        verified: verdicts.iter().filter(|verdict| verdict.in_cache).count(),
        problems: verdicts.iter().flat_map(found).collect(),
        unverifiable: unverifiable.iter().map(replaced).collect(),
    };
    output::result(match arguments.format {
        Format::Json => serde_json::to_string_pretty(&report).map_err(CannotDo::new)?,
        Format::Human => render(&report),
    });
    Ok(if report.problems.is_empty() {
        Status::Done
    } else {
        Status::Findings
    })
}

fn directory(environment: &Environment, arguments: &VerifyArguments) -> Result<PathBuf, CannotDo> {
    if let Some(cache) = &arguments.cache {
        return Ok(cache.clone());
    }
    let settings = GoEnv::load(environment);
    let cache = settings.value(Key::GOMODCACHE);
    if cache.is_empty() {
        return Err(CannotDo::new(
            "there is no module cache: GOMODCACHE is not set, and neither is HOME; name it with --cache",
        ));
    }
    Ok(cache.into())
}

fn found(verdict: &Verdict) -> impl Iterator<Item = Found<'_>> {
    verdict.problems.iter().map(|problem| Found {
        module: verdict.module.path().as_str(),
        version: verdict.module.version().as_str(),
        problem: problem.name(),
        text: problem.describe(&verdict.module),
        differences: match problem {
            Problem::DirModified { differences, .. } => differences,
            _ => &[],
        },
    })
}

fn replaced(module: &Unverifiable) -> Replaced<'_> {
    Replaced {
        module: &module.module,
        directory: &module.directory,
    }
}

fn render(report: &Report<'_>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for found in &report.problems {
        lines.push(found.text.clone());
        lines.extend(found.differences.iter().map(|name| format!("\t{name}")));
    }
    if lines.is_empty() {
        lines.push("all modules verified".to_owned());
    }
    for module in &report.unverifiable {
        lines.push(format!(
            "not verified: {} comes from the directory {}",
            module.module, module.directory
        ));
    }
    lines.join("\n")
}
