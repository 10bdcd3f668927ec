//! `modkeep doctor`: which hop between `go` and a module is broken, and the one thing to do about it.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use ::doctor::diagnose::{
    Diagnosis, Layout, Request, Shell, TraceForm, Unwatched, Watcher, diagnose,
};
use ::doctor::probe::report::Probe;
use ::doctor::probe::{Ground, Limits};
use fault::Lang;
use goenv::Environment;
use gomod::{ModulePath, Revision};

use super::{CannotDo, Status};
use crate::args::{DoctorArguments, Format, Trace};
use crate::output;

/// What is asked for when nobody names a module: small, public and unchanged for years.
const SAMPLE: (&str, &str) = ("rsc.io/quote", "v1.5.2");

/// Columns where nobody says how many there are.
const WIDTH: usize = 100;

/// Runs the probes and prints what they come to.
pub(super) fn run(
    environment: &Environment,
    arguments: &DoctorArguments,
) -> Result<Status, CannotDo> {
    let lang = arguments
        .lang
        .map_or_else(|| language(environment), Lang::from);
    let request = request(arguments)?;
    let ground = ground(environment, arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CannotDo::new(format!("cannot start: {error}")))?;
    let shows_progress = std::io::stderr().is_terminal() && environment.non_empty("CI").is_none();
    let watcher: &dyn Watcher = if shows_progress {
        &Progress
    } else {
        &Unwatched
    };
    let diagnosis = runtime.block_on(diagnose(&ground, &request, watcher));
    // Programs that do not answer are left behind.
    runtime.shutdown_background();
    if shows_progress {
        eprint_line("");
    }
    let text = render(&diagnosis, environment, arguments, lang);
    if let Some(path) = &arguments.report {
        write_report(path, &diagnosis, &text, environment, lang)?;
    }
    output::result(text);
    Ok(if diagnosis.verdict.health.is_healthy() {
        Status::Done
    } else {
        Status::Findings
    })
}

fn language(environment: &Environment) -> Lang {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| environment.non_empty(name));
    Lang::from_locale(locale.unwrap_or_default())
}

fn request(arguments: &DoctorArguments) -> Result<Request, CannotDo> {
    let (path, version) = match arguments.module.as_deref() {
        Some(module) => match module.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (module, None),
        },
        None => (SAMPLE.0, Some(SAMPLE.1)),
    };
    let module = ModulePath::new(path).map_err(CannotDo::new)?;
    let revision = version
        .filter(|version| *version != "latest")
        .map(Revision::new)
        .transpose()
        .map_err(CannotDo::new)?;
    if !(arguments.timeout.is_finite() && (0.1..=600.0).contains(&arguments.timeout)) {
        return Err(CannotDo::new("--timeout takes seconds from 0.1 to 600"));
    }
    Ok(Request {
        module,
        revision,
        limits: Limits::within(Duration::from_secs_f64(arguments.timeout)),
        repeat: arguments.repeat,
    })
}

fn ground(environment: &Environment, arguments: &DoctorArguments) -> Result<Ground, CannotDo> {
    let mut ground = Ground::of_machine(environment.clone());
    if !arguments.resolver.is_empty() {
        ground.resolv_conf = ground.resolv_conf.asking(arguments.resolver.clone());
    }
    for pin in &arguments.resolve {
        let pinned = pin
            .split_once('=')
            .and_then(|(host, ip)| Some((host.to_lowercase(), ip.parse().ok()?)));
        let Some((host, ip)) = pinned else {
            return Err(CannotDo::new(format!(
                "--resolve {pin}: HOST=ADDRESS is expected"
            )));
        };
        ground.pins.insert(host, ip);
    }
    Ok(ground)
}

fn render(
    diagnosis: &Diagnosis,
    environment: &Environment,
    arguments: &DoctorArguments,
    lang: Lang,
) -> String {
    if let Some(trace) = arguments.trace {
        return diagnosis.trace(match trace {
            Trace::Tree => TraceForm::Tree,
            Trace::Mermaid => TraceForm::Mermaid,
        });
    }
    match arguments.format {
        Format::Json => format!("{:#}", diagnosis.to_json(lang)),
        Format::Human => diagnosis.to_text(&Layout {
            lang,
            shell: Shell::of(environment.non_empty("SHELL")),
            width: columns(environment),
            all_settings: arguments.all_settings,
        }),
    }
}

fn columns(environment: &Environment) -> usize {
    environment
        .non_empty("COLUMNS")
        .and_then(|columns| columns.parse().ok())
        .unwrap_or(WIDTH)
}

/// A report to attach to a ticket: the home directory and the user's name are taken out.
fn write_report(
    path: &Path,
    diagnosis: &Diagnosis,
    text: &str,
    environment: &Environment,
    lang: Lang,
) -> Result<(), CannotDo> {
    let is_json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    let report = if is_json {
        format!("{:#}\n", diagnosis.to_json(lang))
    } else {
        format!(
            "# modkeep doctor\n\n{}\n\n```\n{text}\n```\n",
            diagnosis.sentence(lang)
        )
    };
    let report = anonymous(&report, environment);
    std::fs::write(path, report)
        .map_err(|error| CannotDo::new(format!("cannot write {}: {error}", path.display())))
}

fn anonymous(report: &str, environment: &Environment) -> String {
    let mut report = report.to_owned();
    if let Ok(home) = environment.home_dir() {
        let home = home.display().to_string();
        if home.len() > 1 {
            report = report.replace(&home, "~");
        }
    }
    for name in ["USER", "LOGNAME", "USERNAME"] {
        // Short or common names would take words apart that are no names.
        if let Some(user) = environment
            .non_empty(name)
            .filter(|user| user.len() > 2 && *user != "root")
        {
            report = report.replace(&format!("/{user}"), "/USER");
        }
    }
    report
}

/// Tells what has ended while the rest goes on.
struct Progress;

impl Watcher for Progress {
    fn ended(&self, probe: &Probe) {
        let mark = if probe.failure().is_some() { "x" } else { "." };
        eprint_line(&format!("{mark} {} {}", probe.hop, probe.target));
    }
}

/// Overwrites the line on the terminal.
fn eprint_line(text: &str) {
    use std::io::Write as _;
    let shown: String = text.chars().take(78).collect();
    let mut err = std::io::stderr().lock();
    let _nobody_reads = write!(err, "\r\x1b[K{shown}").and_then(|()| err.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_neither_home_nor_user() {
        let environment =
            Environment::from_pairs([("HOME", "/home/somebody"), ("USER", "somebody")]);
        let report = anonymous("/home/somebody/go/pkg /srv/somebody/x", &environment);
        assert_eq!(report, "~/go/pkg /srv/USER/x");
    }
}
