use std::collections::BTreeSet;
use std::path::PathBuf;

use goenv::report::work_file;
use goenv::{Environment, GoEnv, Key};
use gomod::ModuleVersion;
use modcache::{
    ModuleCache, Problem, Project, Unverifiable, Unvouched, UnvouchedReason, VendorProblem,
    VendorReport, Verdict, verify, verify_vendor,
};
use serde::Serialize;

use super::verify_sumdb::{SumReport, check};
use super::{CannotDo, Status, load};
use crate::args::{Format, Settings, VerifyArguments};
use crate::output;

#[derive(Serialize)]
struct Report<'a> {
    cache: String,
    /// Versions of which something is in the cache.
    verified: usize,
    problems: Vec<Found<'a>>,
    unverifiable: Vec<Replaced<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<Vendor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sumdb: Option<SumReport>,
}

#[derive(Serialize)]
struct Vendor {
    /// Files that were compared.
    files: usize,
    problems: Vec<VendorFound>,
    unverifiable: Vec<NotVerified>,
}

#[derive(Serialize)]
struct VendorFound {
    problem: &'static str,
    text: String,
}

#[derive(Serialize)]
struct NotVerified {
    module: String,
    cause: &'static str,
    text: String,
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
    let cache = match &arguments.store {
        Some(store) => ModuleCache::of_store(store_directory(environment, store.as_ref())?),
        None => ModuleCache::new(directory(environment, arguments)?),
    };
    let mut report = Report {
        cache: cache.root().display().to_string(),
        verified: 0,
        problems: Vec::new(),
        unverifiable: Vec::new(),
        vendor: None,
        sumdb: None,
    };
    let (verdicts, project) = if arguments.all || arguments.store.is_some() {
        (
            verify(&cache, &all_versions(&cache, arguments)?, None, 0),
            None,
        )
    } else {
        let project = project(environment, arguments)?.with_build_list(&cache);
        let vendored = verify_vendor(&cache, &project.directory, project.go_mod.as_ref());
        let vendored = vendored.map_err(|error| {
            let directory = project.directory.join("vendor");
            CannotDo::new(format!("cannot read {}: {error}", directory.display()))
        })?;
        // A vendor directory is worth what the zips are worth that it is compared with.
        let vouching = vendored.iter().flat_map(|vendored| &vendored.modules);
        let modules = with(&project.modules, vouching);
        report.vendor = vendored.map(Vendor::from);
        if arguments.sumdb {
            report.sumdb = Some(check(environment, &project.sums.all())?);
        }
        (
            verify(&cache, &modules, Some(&project.sums), 0),
            Some(project),
        )
    };
    report.verified = verdicts.iter().filter(|verdict| verdict.in_cache).count();
    report.problems = verdicts.iter().flat_map(found).collect();
    report.unverifiable = project
        .iter()
        .flat_map(|project| &project.unverifiable)
        .map(replaced)
        .collect();
    output::result(match arguments.format {
        Format::Json => serde_json::to_string_pretty(&report).map_err(CannotDo::new)?,
        Format::Human => render(&report),
    });
    Ok(report.status())
}

impl Report<'_> {
    fn has_problems(&self) -> bool {
        let vendor = self.vendor.iter().flat_map(|vendor| &vendor.problems);
        let sumdb = self.sumdb.iter().flat_map(|sumdb| &sumdb.problems);
        !self.problems.is_empty() || vendor.count() + sumdb.count() > 0
    }

    fn status(&self) -> Status {
        let is_told = self.sumdb.iter().all(|sumdb| sumdb.unanswered.is_empty())
            && self.vendor.iter().all(Vendor::is_told);
        match (self.has_problems(), is_told) {
            (true, _) => Status::Findings,
            (false, false) => Status::Undetermined,
            (false, true) => Status::Done,
        }
    }
}

impl Vendor {
    /// Whether nothing was left out but what nobody can vouch for.
    fn is_told(&self) -> bool {
        self.unverifiable
            .iter()
            .all(|not_verified| not_verified.cause == REPLACED)
    }
}

impl From<VendorReport> for Vendor {
    fn from(report: VendorReport) -> Self {
        Self {
            files: report.files,
            problems: report.problems.iter().map(vendor_found).collect(),
            unverifiable: report.unverifiable.into_iter().map(not_verified).collect(),
        }
    }
}

fn all_versions(
    cache: &ModuleCache,
    arguments: &VerifyArguments,
) -> Result<Vec<ModuleVersion>, CannotDo> {
    cache.versions().map_err(|error| {
        let directory = cache.root().display();
        CannotDo::new(match arguments.store {
            Some(_) => format!("cannot read the store {directory}: {error}; name it with --store"),
            None => {
                format!("cannot read the module cache {directory}: {error}; name it with --cache")
            }
        })
    })
}

fn project(environment: &Environment, arguments: &VerifyArguments) -> Result<Project, CannotDo> {
    let start = match &arguments.project {
        Some(directory) => std::path::absolute(directory),
        None => std::env::current_dir(),
    };
    // What is above `a/..` is not `a`.
    let start = goenv::clean(&start.map_err(CannotDo::new)?);
    let work_file = work_file(&start, &GoEnv::load(environment));
    if let Some(file) = work_file.as_ref().filter(|file| file.is_relative()) {
        return Err(CannotDo::new(format!(
            "invalid GOWORK: not an absolute path: {}",
            file.display()
        )));
    }
    Project::find(&start, work_file.as_deref()).map_err(CannotDo::new)
}

/// Both lists as one, sorted.
fn with<'m>(
    modules: &'m [ModuleVersion],
    others: impl Iterator<Item = &'m ModuleVersion>,
) -> Vec<ModuleVersion> {
    let all: BTreeSet<&ModuleVersion> = modules.iter().chain(others).collect();
    all.into_iter().cloned().collect()
}

fn store_directory(
    environment: &Environment,
    named: Option<&PathBuf>,
) -> Result<PathBuf, CannotDo> {
    match named {
        Some(directory) => Ok(directory.clone()),
        None => Ok(load(environment, &Settings::default())?.1.data),
    }
}

fn vendor_found(problem: &VendorProblem) -> VendorFound {
    VendorFound {
        problem: problem.name(),
        text: problem.describe(),
    }
}

/// The cause of what is not verified because a directory replaces it.
const REPLACED: &str = "replaced-by-directory";

fn not_verified(unvouched: Unvouched) -> NotVerified {
    NotVerified {
        cause: match unvouched.reason {
            UnvouchedReason::Directory(_) => REPLACED,
            UnvouchedReason::NotInCache(_) => "not-in-cache",
            UnvouchedReason::Malformed(_) => "malformed",
        },
        text: unvouched.reason.to_string(),
        module: unvouched.module,
    }
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
    if let Some(vendor) = &report.vendor {
        lines.extend(vendor.problems.iter().map(|found| found.text.clone()));
    }
    if let Some(sumdb) = &report.sumdb {
        lines.extend(sumdb.problems.iter().map(|found| found.text.clone()));
    }
    if !report.has_problems() {
        lines.push("all modules verified".to_owned());
        if let Some(vendor) = &report.vendor {
            lines.push(format!(
                "{} in vendor verified",
                output::counted(vendor.files, "file")
            ));
        }
        if let Some(sumdb) = &report.sumdb {
            lines.push(format!(
                "go.sum: {} proven by the checksum database, {} covered by none",
                output::counted(sumdb.proven, "version"),
                sumdb.uncovered
            ));
        }
    }
    for module in &report.unverifiable {
        lines.push(format!(
            "not verified: {} comes from the directory {}",
            module.module, module.directory
        ));
    }
    for left_out in report.vendor.iter().flat_map(|vendor| &vendor.unverifiable) {
        lines.push(format!(
            "not verified in vendor: {}: {}",
            left_out.module, left_out.text
        ));
    }
    for unanswered in report.sumdb.iter().flat_map(|sumdb| &sumdb.unanswered) {
        lines.push(format!("not verified: {}", unanswered.text));
    }
    lines.join("\n")
}
