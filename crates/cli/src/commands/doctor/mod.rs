//! `modkeep doctor`: which hop between `go` and a module is broken, and the one thing to do about it.

mod fix;
mod repair;

pub(super) use fix::is_agreed;

use std::io::IsTerminal as _;
use std::time::Duration;

use ::doctor::diagnose::{
    Breadth, Diagnosis, Form, Layout, Request, Unwatched, Watcher, diagnose, diagnose_project,
    write_report,
};
use ::doctor::probe::report::Probe;
use ::doctor::probe::{Ground, Limits, Other};
use fault::Lang;
use goenv::{Environment, Shell};
use gomod::{ModulePath, Revision};

use super::screen::columns;
use super::{CannotDo, Status};
use crate::args::{DoctorArguments, Format, Trace};
use crate::output;

/// What is asked for when nobody names a module: small, public and unchanged for years.
const SAMPLE: (&str, &str) = ("rsc.io/quote", "v1.5.2");

/// Runs the probes and prints what they come to.
pub(super) fn run(
    environment: &Environment,
    arguments: &DoctorArguments,
) -> Result<Status, CannotDo> {
    let lang = arguments
        .lang
        .map_or_else(|| language(environment), Lang::from);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CannotDo::new(format!("cannot start: {error}")))?;
    if let Some(target) = &arguments.repair_cache {
        return runtime.block_on(repair::run(environment, arguments, target, lang));
    }
    let run = Run {
        environment,
        arguments,
        lang,
        shell: Shell::of(environment),
        request: request(arguments)?,
        ground: ground(environment, arguments)?,
    };
    let diagnosis = runtime.block_on(run.diagnose());
    run.show(&diagnosis)?;
    let diagnosis = if arguments.fix && !diagnosis.verdict.health.is_healthy() {
        runtime.block_on(fix::offer(&run, diagnosis))?
    } else {
        diagnosis
    };
    // Programs that do not answer are left behind.
    runtime.shutdown_background();
    Ok(if diagnosis.verdict.health.is_healthy() {
        Status::Done
    } else {
        Status::Findings
    })
}

/// One call of the command.
struct Run<'a> {
    environment: &'a Environment,
    arguments: &'a DoctorArguments,
    lang: Lang,
    shell: Shell,
    request: Request,
    ground: Ground,
}

impl Run<'_> {
    async fn diagnose(&self) -> Diagnosis {
        let shows_progress =
            std::io::stderr().is_terminal() && self.environment.non_empty("CI").is_none();
        let watcher: &dyn Watcher = if shows_progress {
            &Progress
        } else {
            &Unwatched
        };
        let diagnosis = if self.arguments.module.is_some() {
            diagnose(&self.ground, &self.request, watcher).await
        } else {
            Box::pin(diagnose_project(&self.ground, &self.request, watcher)).await
        };
        if shows_progress {
            eprint_line("");
        }
        diagnosis
    }

    fn show(&self, diagnosis: &Diagnosis) -> Result<(), CannotDo> {
        let layout = Layout {
            lang: self.lang,
            shell: self.shell,
            width: columns(self.environment),
            all_settings: self.arguments.all_settings,
        };
        if let Some(path) = &self.arguments.report {
            let is_json = path
                .extension()
                .is_some_and(|extension| extension == "json");
            let form = if is_json { Form::Json } else { Form::Markdown };
            std::fs::write(path, write_report(diagnosis, form, &layout)).map_err(|error| {
                CannotDo::new(format!("cannot write {}: {error}", path.display()))
            })?;
        }
        output::result(match (self.arguments.trace, self.arguments.format) {
            (Some(Trace::Tree), _) => diagnosis.trace.tree(self.lang).trim_end().to_owned(),
            (Some(Trace::Mermaid), _) => diagnosis.trace.mermaid(self.lang).trim_end().to_owned(),
            (None, Format::Json) => format!("{:#}", diagnosis.to_json(self.lang, self.shell)),
            (None, Format::Human) => diagnosis.to_text(&layout),
        });
        Ok(())
    }
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
        breadth: Breadth::Everything,
        others: others(&arguments.compare_dns)?,
        auto_configs: arguments.pac.clone(),
    })
}

/// Name servers to compare with.
fn others(asked: &[String]) -> Result<Vec<Other>, CannotDo> {
    let mut others = Vec::new();
    for text in asked {
        match text.as_str() {
            "public" => others.extend(Other::public()),
            text => others.push(text.parse().map_err(CannotDo::new)?),
        }
    }
    Ok(others)
}

fn ground(environment: &Environment, arguments: &DoctorArguments) -> Result<Ground, CannotDo> {
    let mut ground = Ground::of_machine(environment.clone());
    if !arguments.resolver.is_empty() {
        ground.resolv_conf = ground.resolv_conf.asking(arguments.resolver.clone());
    }
    pin(&mut ground, &arguments.resolve)?;
    Ok(ground)
}

/// Has hosts found at the addresses of `--resolve HOST=ADDRESS`.
pub(super) fn pin(ground: &mut Ground, pins: &[String]) -> Result<(), CannotDo> {
    for pin in pins {
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
    Ok(())
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
