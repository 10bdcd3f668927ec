//! `modkeep mirrors`: which mirror serves this place best, and the one line that makes go use it.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::doctor::diagnose::{Unwatched, Watcher, word};
use ::doctor::mirrors::{
    self, Advice, Blocked, Comparison, Database, History, Kind, Layout, Record, Remark, Request,
    Sample, State, Surroundings, Watch,
};
use ::doctor::probe::Ground;
use ::doctor::probe::report::Probe;
use fault::Lang;
use goenv::goproxy::ProxyList;
use goenv::gosumdb::SumdbSetting;
use goenv::{Environment, GoEnv, Key, RedactedUrl, Shell};
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use super::doctor::{is_agreed, pin};
use super::screen::columns;
use super::{CannotDo, Status};
use crate::args::{Format, MirrorsArguments};
use crate::output;

/// The checksum database that mirrors are held against where GOSUMDB is off.
const PUBLIC_DATABASE: &str = "sum.golang.org";

pub(super) fn run(
    environment: &Environment,
    arguments: &MirrorsArguments,
) -> Result<Status, CannotDo> {
    let settings = GoEnv::load(environment);
    let request = request(&settings, arguments)?;
    let ground = ground(environment, arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CannotDo::new)?;
    let run = Run {
        environment,
        arguments,
        settings: &settings,
        ground: &ground,
        request: &request,
    };
    let status = runtime.block_on(async {
        if arguments.watch {
            run.watch().await
        } else {
            run.compare().await
        }
    });
    // Connections that do not close are left behind.
    runtime.shutdown_background();
    status
}

struct Run<'a> {
    environment: &'a Environment,
    arguments: &'a MirrorsArguments,
    settings: &'a GoEnv,
    ground: &'a Ground,
    request: &'a Request,
}

impl Run<'_> {
    async fn compare(&self) -> Result<Status, CannotDo> {
        let shows_progress =
            std::io::stderr().is_terminal() && self.environment.non_empty("CI").is_none();
        let watcher: &dyn Watcher = if shows_progress {
            &Progress
        } else {
            &Unwatched
        };
        let comparison = mirrors::compare(self.ground, self.request, watcher).await;
        if shows_progress {
            eprint_line("");
        }
        let advice = comparison.advice(&Surroundings {
            settings: self.settings,
            environment: self.environment,
        });
        self.print(&comparison, &advice);
        if self.arguments.apply {
            self.apply(&comparison, &advice, watcher).await?;
        }
        let is_fine = !comparison.has_findings() && advice.blocked != Some(Blocked::NoMirror);
        Ok(if is_fine {
            Status::Done
        } else {
            Status::Findings
        })
    }

    fn print(&self, comparison: &Comparison, advice: &Advice) {
        let lang = lang(self.environment, self.arguments);
        let shell = Shell::of(self.environment);
        if self.arguments.format() == Format::Json {
            output::result(format!("{:#}", comparison.to_json(advice, lang, shell)));
            return;
        }
        let layout = Layout {
            lang,
            shell,
            width: columns(self.environment),
        };
        let history = self
            .history_file()
            .map(|file| History::availability(&file, Timestamp::now()));
        let history = history.unwrap_or_default();
        output::result(comparison.to_text(advice, &layout, |mirror| {
            history.get(&mirror.candidate.shown()).copied()
        }));
    }

    async fn apply(
        &self,
        comparison: &Comparison,
        advice: &Advice,
        watcher: &dyn Watcher,
    ) -> Result<(), CannotDo> {
        let lang = lang(self.environment, self.arguments);
        let (Some(fix), Some(value)) = (&advice.fix, &advice.value) else {
            return match advice.blocked {
                Some(Blocked::AlreadySo) => Ok(()),
                _ => Err(CannotDo::new("--apply: there is nothing to apply")),
            };
        };
        let sample = comparison
            .samples
            .iter()
            .find(|sample| sample.version.is_some());
        let Some(sample) = sample else {
            return Err(CannotDo::new("--apply: there is no sample to try it with"));
        };
        if !self.arguments.yes {
            let shell = Shell::of(self.environment);
            output::note(format!("    $ {}", fix.command(shell)));
            output::note(word(lang, "mend", "question"));
            if !is_agreed() {
                output::note(word(lang, "mend", "declined"));
                return Ok(());
            }
        }
        let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        mirrors::apply(
            self.ground,
            fix,
            &directory,
            sample,
            self.request,
            watcher,
            interrupted(),
        )
        .await
        .map_err(|error| CannotDo::new(format!("--apply: {error}")))?;
        output::note(Remark::stating(Kind::Applied, [("value", value.as_str())]).sentence(lang));
        Ok(())
    }

    async fn watch(&self) -> Result<Status, CannotDo> {
        let lang = lang(self.environment, self.arguments);
        let file = self.history_file().ok_or_else(|| {
            CannotDo::new("--watch: no home directory; name the file with --history")
        })?;
        let trouble = |error: std::io::Error| CannotDo::new(format!("{}: {error}", file.display()));
        let mut history = History::open(&file).map_err(trouble)?;
        let sample = self.request.samples.first().cloned();
        let watch = Watch {
            candidates: self.request.candidates.clone(),
            sample: sample
                .ok_or_else(|| CannotDo::new("--watch: there is no sample to check with"))?,
            database: self.request.database.clone(),
            total: self.request.total,
            interval: seconds("--interval", self.arguments.interval, 1.0)?,
            rounds: self.arguments.rounds.map(std::num::NonZeroUsize::get),
        };
        let mut is_first = true;
        let mut has_down = false;
        let tell = |records: &[Record]| {
            has_down = records.iter().any(|record| record.state == State::Down);
            for record in records.iter().filter(|record| is_first || record.changed) {
                output::result(match self.arguments.format() {
                    Format::Json => serde_json::to_string(record).unwrap_or_default(),
                    Format::Human => change(record, lang),
                });
            }
            is_first = false;
        };
        mirrors::watch(self.ground, &watch, &mut history, tell, interrupted())
            .await
            .map_err(trouble)?;
        Ok(if has_down {
            Status::Findings
        } else {
            Status::Done
        })
    }

    fn history_file(&self) -> Option<PathBuf> {
        if let Some(file) = &self.arguments.history {
            return Some(file.clone());
        }
        let state = match self.environment.non_empty("XDG_STATE_HOME") {
            Some(directory) if Path::new(directory).is_absolute() => PathBuf::from(directory),
            _ => self.environment.home_dir().ok()?.join(".local/state"),
        };
        Some(state.join("modkeep/mirrors.jsonl"))
    }
}

fn change(record: &Record, lang: Lang) -> String {
    let word = |kind: Kind| Remark::stating(kind, []).sentence(lang);
    let state = word(match record.state {
        State::Up => Kind::Up,
        State::Down => Kind::Down,
    });
    let time = format!("{:.0}", record.time);
    let facts = [
        ("time", time.as_str()),
        ("state", state.as_str()),
        ("mirror", record.mirror.as_str()),
    ];
    let line = Remark::stating(Kind::Change, facts).sentence(lang);
    match &record.label {
        Some(label) => format!("{line} ({label})"),
        None => line,
    }
}

/// Ends when somebody wants the program to end.
async fn interrupted() {
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    if let (Ok(mut interrupt), Ok(mut terminate)) = signals {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    } else {
        std::future::pending::<()>().await;
    }
}

/// Whether a host, or one above it, is among those that are not to be contacted.
fn is_skipped(host: Option<&str>, skipped: &[String]) -> bool {
    let host = host.unwrap_or_default();
    skipped.iter().any(|skipped| {
        let skipped = skipped.trim_matches('.').to_ascii_lowercase();
        let rest = host.strip_suffix(skipped.as_str());
        !skipped.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn request(settings: &GoEnv, arguments: &MirrorsArguments) -> Result<Request, CannotDo> {
    let mut added: Vec<RedactedUrl> = Vec::new();
    for text in &arguments.add {
        added.extend(add(text)?);
    }
    let goproxy = ProxyList::parse(settings.value(Key::GOPROXY)).ok();
    let mut candidates = mirrors::candidates(&added, goproxy.as_ref(), !arguments.no_catalogue);
    candidates.retain(|candidate| !is_skipped(candidate.url.as_url().host_str(), &arguments.skip));
    if candidates.is_empty() {
        return Err(CannotDo::new(
            "there is no mirror to compare: GOPROXY names none; name some with --add",
        ));
    }
    Ok(Request {
        candidates,
        samples: samples(settings, arguments)?,
        database: database(settings)?,
        total: seconds("--timeout", arguments.timeout, 0.5)?,
        repeat: arguments.repeat.get(),
    })
}

/// `--add` takes a URL, or a file of URLs.
fn add(text: &str) -> Result<Vec<RedactedUrl>, CannotDo> {
    if text.contains("://") {
        let shown = goenv::redact::redact_text(text);
        return match mirrors::read_url(text) {
            Ok(url) => Ok(vec![url]),
            Err(why) => Err(CannotDo::new(format!("--add {shown}: {why}"))),
        };
    }
    let list = std::fs::read_to_string(text).map_err(|error| {
        CannotDo::new(format!(
            "--add {text}: {error} (a URL begins with https:// or http://)"
        ))
    })?;
    mirrors::read_list(&list).map_err(|(line, why)| CannotDo::new(format!("{text}:{line}: {why}")))
}

/// Private names are refused before anything is sent.
fn samples(settings: &GoEnv, arguments: &MirrorsArguments) -> Result<Vec<Sample>, CannotDo> {
    if arguments.module.is_empty() {
        let samples = mirrors::defaults(settings);
        return if samples.is_empty() {
            Err(CannotDo::new(
                "GOPRIVATE matches every sample; name a public module with --module",
            ))
        } else {
            Ok(samples)
        };
    }
    let parse = |text: &String| {
        let sample = Sample::parse(text)?;
        sample.check(settings)?;
        Ok(sample)
    };
    let samples: Result<Vec<Sample>, mirrors::SampleError> =
        arguments.module.iter().map(parse).collect();
    samples.map_err(|error| CannotDo::new(format!("--module: {error}")))
}

fn database(settings: &GoEnv) -> Result<Database, CannotDo> {
    let setting = settings.get(Key::GOSUMDB);
    let parsed = SumdbSetting::parse(&setting.value)
        .map_err(|error| CannotDo::new(format!("{setting}: {error}")))?;
    if let Some(database) = Database::of(&parsed) {
        return Ok(database);
    }
    // Switched off for go; mirrors are held against the public one all the same, with public names only.
    let public = SumdbSetting::parse(PUBLIC_DATABASE).map_err(CannotDo::new)?;
    Database::of(&public)
        .ok_or_else(|| CannotDo::new("there is no checksum database to check mirrors with"))
}

fn seconds(flag: &str, value: f64, least: f64) -> Result<Duration, CannotDo> {
    if value.is_finite() && (least..=86_400.0).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(CannotDo::new(format!(
            "{flag} takes seconds from {least} to 86400"
        )))
    }
}

fn ground(environment: &Environment, arguments: &MirrorsArguments) -> Result<Ground, CannotDo> {
    let mut ground = Ground::of_machine(environment.clone());
    pin(&mut ground, &arguments.resolve)?;
    Ok(ground)
}

fn lang(environment: &Environment, arguments: &MirrorsArguments) -> Lang {
    arguments.lang.map_or_else(
        || {
            let names = ["LC_ALL", "LC_MESSAGES", "LANG"];
            let locale = names
                .into_iter()
                .find_map(|name| environment.non_empty(name));
            Lang::from_locale(locale.unwrap_or_default())
        },
        Lang::from,
    )
}

/// Tells what has ended while the rest goes on.
struct Progress;

impl Watcher for Progress {
    fn ended(&self, probe: &Probe) {
        let mark = if probe.failure().is_some() { "x" } else { "." };
        eprint_line(&format!("{mark} {}", probe.target));
    }
}

/// Overwrites the line on the terminal.
fn eprint_line(text: &str) {
    use std::io::Write as _;
    let shown: String = text.chars().take(78).collect();
    let mut err = std::io::stderr().lock();
    let _nobody_reads = write!(err, "\r\x1b[K{shown}").and_then(|()| err.flush());
}
