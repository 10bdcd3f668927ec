//! `GET /api/v1/doctor`: the probes of `modkeep doctor`, made from where the server stands.
//!
//! They take the server's own chain, checksum database and private names in place of those of a `go` command, so that the
//! answer is about what the server's fetches meet. One run at a time; who asks meanwhile shares it, and a result that is a
//! few seconds old is given again, so that nobody can make the server probe its upstreams all the time.

mod answer;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ::doctor::diagnose::{Breadth, Cause, Diagnosis, Health, Request, Unwatched, diagnose};
use ::doctor::probe::report::{Check, Failure, Probe};
use ::doctor::probe::{Ground, Limits};
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use depot::{Depot, DepotError};
use fault::{Hop, Label, Lang};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use goenv::{Environment, Shell};
use gomod::{ModulePath, Revision};
use serde_json::{Value, json};

use crate::ops::Failed;
use crate::state::State;

pub(crate) use answer::Diagnosed;

/// The most time a run takes.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a result is given again.
const RECENT: Duration = Duration::from_secs(5);
/// How many entries of the index are looked through for a module to ask for.
const LOOKED_THROUGH: u32 = 100;
/// Room that must be left on the disk, in bytes: that of a module of usual size.
const ROOM: u64 = 1 << 20;
/// How long the disk may take.
const DISK_LIMIT: Duration = Duration::from_secs(2);

/// What is asked for while the server has nothing of its own: small, public and unchanged for years.
const SAMPLE: (&str, &str) = ("rsc.io/quote", "v1.5.2");

/// A setting as the document shows it.
#[derive(Clone, Debug)]
pub struct ShownSetting {
    /// Its name in the server's configuration.
    pub name: String,
    /// Its value, without secrets.
    pub value: String,
    /// Where it comes from.
    pub origin: String,
}

/// From where the probes look: the server's settings, in the words of `go`.
#[derive(Clone, Debug)]
pub struct Standpoint {
    /// The process's variables, with GOPROXY, GOSUMDB, GOPRIVATE and GOMODCACHE replaced by what the server uses.
    pub environment: Environment,
    /// The settings that decide, for the document.
    pub settings: Vec<ShownSetting>,
}

type Run = Shared<BoxFuture<'static, Option<Arc<Done>>>>;

/// A run that is over.
struct Done {
    at: SystemTime,
    ended: Instant,
    diagnosis: Diagnosis,
    settings: Vec<ShownSetting>,
}

/// Runs one diagnosis at a time.
#[derive(Default)]
pub(crate) struct Doctor {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    standpoint: Option<Arc<Standpoint>>,
    run: Option<Run>,
}

impl Doctor {
    /// Looks from somewhere else from now on.
    pub(crate) fn stand(&self, standpoint: Standpoint) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.standpoint = Some(Arc::new(standpoint));
        inner.run = None;
    }

    /// The run under way, the one that ended a moment ago, or a new one.
    fn run(&self, depot: &Depot) -> Option<Run> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let standpoint = inner.standpoint.clone()?;
        if let Some(run) = &inner.run {
            let is_recent = match run.peek() {
                None => true,
                Some(done) => done
                    .as_ref()
                    .is_some_and(|done| done.ended.elapsed() < RECENT),
            };
            if is_recent {
                return Some(run.clone());
            }
        }
        // A task of its own, so that it outlives the client that asked first.
        let task = tokio::spawn(probe(depot.clone(), standpoint));
        let run = task.map(Result::ok).boxed().shared();
        inner.run = Some(run.clone());
        Some(run)
    }
}

async fn probe(depot: Depot, standpoint: Arc<Standpoint>) -> Arc<Done> {
    let at = SystemTime::now();
    let sample = sample(&depot).await;
    let request = Request {
        module: sample.module,
        revision: sample.revision,
        limits: Limits::within(LIMIT),
        repeat: 1,
        breadth: Breadth::Requests,
        others: Vec::new(),
        auto_configs: Vec::new(),
    };
    let ground = Ground::of_machine(standpoint.environment.clone());
    let probes = diagnose(&ground, &request, &Unwatched);
    let (mut diagnosis, disk) = futures_util::future::join(probes, disk(&depot)).await;
    if !sample.is_known {
        forgive_absence(&mut diagnosis);
    }
    let failure = disk.failure().cloned();
    diagnosis.hops.push(disk);
    if let Some(failure) = failure {
        // What is stored is still served.
        if diagnosis.verdict.health == Health::Healthy {
            diagnosis.verdict.health = Health::Degraded;
        }
        diagnosis.verdict.causes.push(Cause {
            failure,
            is_fatal: false,
            findings: Vec::new(),
            chain: None,
            proxy: None,
        });
    }
    Arc::new(Done {
        at,
        ended: Instant::now(),
        diagnosis,
        settings: standpoint.settings.clone(),
    })
}

/// What is asked for.
struct Sample {
    module: ModulePath,
    revision: Option<Revision>,
    /// The server has fetched it before, so that the upstreams are known to have it.
    is_known: bool,
}

/// A version that came from the upstreams before, or else one that most upstreams have.
async fn sample(depot: &Depot) -> Sample {
    let private = depot.settings().private.clone();
    let records = depot.records();
    let entries = tokio::time::timeout(DISK_LIMIT, async {
        // What was stored a moment ago counts.
        records.flush().await;
        records
            .index(jiff::Timestamp::UNIX_EPOCH, LOOKED_THROUGH)
            .await
    });
    let entries = entries.await.ok().and_then(Result::ok).unwrap_or_default();
    let stored = entries.into_iter().find_map(|entry| {
        let module = ModulePath::new(&entry.path).ok()?;
        let revision = Revision::new(&entry.version).ok()?;
        (!private.matches(&module)).then_some((module, Some(revision)))
    });
    if let Some((module, revision)) = stored {
        return Sample {
            module,
            revision,
            is_known: true,
        };
    }
    // The sample is a module path; a test reads it.
    let module =
        ModulePath::new(SAMPLE.0).unwrap_or_else(|_| unreachable!("{} is a module path", SAMPLE.0));
    Sample {
        module,
        revision: Revision::new(SAMPLE.1).ok(),
        is_known: false,
    }
}

/// That an upstream does not have a module which nobody said it has is an answer, and no fault.
fn forgive_absence(diagnosis: &mut Diagnosis) {
    let verdict = &mut diagnosis.verdict;
    verdict.causes.retain(|cause| !cause.failure.is_absence());
    if verdict.causes.is_empty() {
        verdict.health = Health::Healthy;
    }
}

/// Whether the store can be written to.
async fn disk(depot: &Depot) -> Probe {
    let store = depot.store().clone();
    let probe = Probe::new(Check::Disk, Hop::Disk, store.root().display().to_string());
    let write = tokio::task::spawn_blocking(move || store.create_draft()?.reserve(ROOM));
    let failure = match tokio::time::timeout(DISK_LIMIT, write).await {
        Ok(Ok(Ok(()))) => return probe,
        Ok(Ok(Err(error))) => {
            let error = DepotError::from(error);
            Failure::new(
                error.label().unwrap_or(Label::DiskPermission),
                error.to_string(),
            )
        }
        Ok(Err(error)) => Failure::new(Label::DiskPermission, error.to_string()),
        Err(_) => Failure::new(
            Label::DiskPermission,
            format!("the disk did not answer within {DISK_LIMIT:?}"),
        ),
    };
    probe.failed(failure)
}

/// Answers the request.
pub(crate) async fn answer(
    Extract(state): Extract<Arc<State>>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let unavailable = |line: &str| {
        Failed::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("unavailable: {line}"),
        )
    };
    let run = state
        .doctor
        .run(&state.depot)
        .ok_or_else(|| unavailable("the server is not set up for it"))?;
    let done = run
        .await
        .ok_or_else(|| unavailable("the probes ended before their time"))?;
    let document: Diagnosed = serde_json::from_value(document(&done, lang(&headers)))
        .map_err(|error| unavailable(&format!("the diagnosis is not as described: {error}")))?;
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(document)).into_response())
}

/// The document of `modkeep doctor --format json`, with the server's own settings.
fn document(done: &Done, lang: Lang) -> Value {
    let mut document = done.diagnosis.to_json(lang, Shell::Posix);
    let settings = done.settings.iter().map(|setting| {
        json!({"name": setting.name, "value": setting.value, "origin": setting.origin, "shadowed": []})
    });
    document["settings"] = settings.collect();
    document["time"] = json!(
        jiff::Timestamp::try_from(done.at)
            .ok()
            .map(|at| format!("{at:.0}"))
    );
    let causes = document.get_mut("causes").and_then(Value::as_array_mut);
    for cause in causes.into_iter().flatten() {
        // Seen from the clients, all of it is behind the proxy; and commands that change the settings of a go command
        // change nothing here.
        cause["side"] = json!("server");
        let fixes = cause.get_mut("fixes").and_then(Value::as_array_mut);
        for fix in fixes.into_iter().flatten() {
            let is_for_go = fix["command"].as_str().is_some_and(is_for_go);
            fix["safe"] = json!(false);
            if is_for_go {
                fix["command"] = Value::Null;
                fix["undo"] = Value::Null;
            }
        }
    }
    document
}

fn is_for_go(command: &str) -> bool {
    command.starts_with("go ") || command.contains("export GO") || command.starts_with("GO")
}

/// The language that the client prefers, of those there are.
fn lang(headers: &HeaderMap) -> Lang {
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    let first = accepted.and_then(|accepted| accepted.split([',', ';']).next());
    first.map_or(Lang::En, |language| Lang::from_locale(language.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_a_version_of_a_module() {
        assert!(ModulePath::new(SAMPLE.0).is_ok() && Revision::new(SAMPLE.1).is_ok());
    }

    #[test]
    fn the_language_is_the_first_that_the_client_accepts() {
        let of = |accepted: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, accepted.parse().unwrap());
            lang(&headers)
        };
        assert_eq!(of("zh-CN,zh;q=0.9,en;q=0.8"), Lang::Zh);
        assert_eq!(of("en-GB,en;q=0.9,zh;q=0.8"), Lang::En);
        assert_eq!(of("*"), Lang::En);
        assert_eq!(lang(&HeaderMap::new()), Lang::En);
    }

    #[test]
    fn commands_for_the_settings_of_go_are_told_from_others() {
        for command in [
            "go env -w GOPROXY=x",
            "export GOPROXY=x",
            "GOFLAGS= go build",
        ] {
            assert!(is_for_go(command), "{command}");
        }
        for command in ["dig proxy.golang.org", "chown -R me /srv/modkeep"] {
            assert!(!is_for_go(command), "{command}");
        }
    }
}
