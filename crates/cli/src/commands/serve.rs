use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use depot::Depot;
use goenv::netrc::Secret;
use goenv::{Environment, SecretRef};
use prefetch::Prefetch;
use rustix::process::{Resource, getrlimit, setrlimit};
use server::{Access, App, Listener, Metrics, OperatorToken, OwnLog};
use store::Store;
use sumlog::{Log, LogOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::cleaning::RegularCleaning;
use super::standpoint::standpoint;
use super::store_scrub::RegularScrub;
use super::{CannotDo, Status, chain, key, load, repositories, service_manager, spans, warm};
use crate::args::Settings;
use crate::config::{Effective, Resolved, SumlogSettings};
use crate::logging::{self, LogControl};
use crate::output;

/// Threads that may wait for the disk at a time.
const DISK_THREADS: usize = 32;
/// How long fetches that outlived their clients may go on after the last request has ended.
const LAST_FETCHES: Duration = Duration::from_secs(5);

/// How long the last spans may take to the collector.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// How long after its announcement a start is over.
const START: Duration = Duration::from_secs(1);

/// Runs the server until SIGTERM or SIGINT.
pub(super) fn serve(environment: &Environment, settings: &Settings) -> Result<Status, CannotDo> {
    let (resolved, effective) = load(environment, settings)?;
    let no_color = environment.non_empty("NO_COLOR").is_some();
    let log =
        logging::start(&effective.log, no_color).map_err(|error| log_file(&effective, &error))?;
    let _provider_was_set = rustls::crypto::aws_lc_rs::default_provider().install_default();
    raise_descriptor_limit();
    let store = Store::open(&effective.data).map_err(CannotDo::new)?;
    let own_log = match &effective.sumlog {
        Some(settings) => Some(open_log(environment, &effective, settings)?),
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(DISK_THREADS)
        .build()
        .map_err(CannotDo::new)?;
    let server = Server {
        environment,
        settings,
        log,
        offline: Cell::new(effective.offline),
    };
    let result = runtime.block_on(server.run(store, own_log, &resolved, &effective));
    // Work that still waits for a disk or resolver is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

struct Server<'a> {
    environment: &'a Environment,
    settings: &'a Settings,
    log: LogControl,
    /// What the configuration said last.
    offline: Cell<bool>,
}

impl Server<'_> {
    async fn run(
        &self,
        store: Store,
        own_log: Option<Opened>,
        resolved: &Resolved,
        effective: &Effective,
    ) -> Result<Status, CannotDo> {
        let mut signals = Signals::listen().map_err(CannotDo::new)?;
        let listener = listener(effective)?;
        let metrics = Arc::new(Metrics::new());
        let chain = chain::open(effective, self.environment, metrics.clone())?;
        let depot = Depot::new(
            store,
            chain,
            repositories::depot_settings(effective, self.environment)?,
        );
        let (log, key) = own_log.map(|opened| (opened.log, opened.key)).unzip();
        let own_log = log.clone().map(|log| OwnLog::new(log, depot.clone()));
        depot.set_offline(effective.offline);
        let token = operator_token(self.environment, effective)?;
        let app = App::new(
            depot.clone(),
            metrics.clone(),
            effective.hot_bytes,
            own_log,
            token,
        );
        app.stand(standpoint(self.environment, resolved, effective));
        app.grant(self.access(effective)?);
        let telling = spans::tell(&app, effective, self.environment)?;
        if effective.prefetch.enabled {
            app.fetch_ahead(Prefetch::start(depot.clone(), effective.prefetch.limits));
        }
        announce(&listener, resolved, effective, key.as_deref());
        service_manager::tell(self.environment, "READY=1");
        tokio::spawn(give_back_the_start());
        let certificate = listener.certificate();
        let catching_up = {
            let depot = depot.clone();
            tokio::spawn(async move { depot.catch_up().await })
        };
        let mut scrubbing = RegularScrub::default();
        scrubbing.follow(&depot, effective.scrub());
        let warming = tokio::spawn(warm::by_the_clock(depot.clone(), effective.warm.clone()));
        let mut cleaning = RegularCleaning::default();
        cleaning.follow(&depot, effective.cleaning());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(listener.serve(app.clone(), async move {
            let _gone = stopped.await;
        }));
        loop {
            match signals.next().await {
                Order::Stop(name) => {
                    tracing::info!(signal = name, "finishing requests under way, then stopping");
                    service_manager::tell(self.environment, "STOPPING=1");
                    break;
                }
                Order::Reload => {
                    if let Some(certificate) = &certificate {
                        certificate.refresh();
                    }
                    if let Some(now) = self.reload(&depot, &app, &metrics, effective) {
                        scrubbing.follow(&depot, now.scrub());
                        cleaning.follow(&depot, now.cleaning());
                    }
                }
            }
        }
        let _not_waiting = stop.send(());
        let _ended = serving.await;
        catching_up.abort();
        scrubbing.stop();
        warming.abort();
        cleaning.stop();
        depot.close(LAST_FETCHES).await;
        if let Some(log) = log {
            log.close().await;
        }
        if let Some(telling) = telling {
            telling.close(LAST_SPANS).await;
        }
        tracing::info!("stopped");
        Ok(Status::Done)
    }

    /// The secrets of those who may tell this server something.
    fn access(&self, effective: &Effective) -> Result<Access, CannotDo> {
        let read = |name: &str, place: &Option<SecretRef>| {
            let Some(place) = place else {
                return Ok(None);
            };
            let secret = place
                .read(self.environment)
                .map_err(|error| CannotDo::new(format!("{name}: {error}")))?;
            match secret.trim_end() {
                "" => Err(CannotDo::new(format!("{name}: {place} is empty"))),
                secret => Ok(Some(Secret::new(secret))),
            }
        };
        Ok(Access {
            hooks: read("hooks.secret", &effective.hooks_secret)?,
            publish: read("publish.token", &effective.publish_token)?,
        })
    }

    /// Uses the configuration as it is now, or goes on with the old one if it is bad.
    fn reload(
        &self,
        depot: &Depot,
        app: &App,
        metrics: &Arc<Metrics>,
        started_with: &Effective,
    ) -> Option<Effective> {
        let reloaded = load(self.environment, self.settings).and_then(|(resolved, effective)| {
            let chain = chain::open(&effective, self.environment, metrics.clone())?;
            let settings = repositories::depot_settings(&effective, self.environment)?;
            let access = self.access(&effective)?;
            Ok((resolved, effective, chain, settings, access))
        });
        match reloaded {
            Ok((resolved, effective, chain, settings, access)) => {
                if let Err(error) = self.log.follow(&effective.log) {
                    let CannotDo(lines) = log_file(&effective, &error);
                    tracing::error!(problem = ?lines, "the log stays where it is");
                }
                depot.reconfigure(chain, settings);
                app.grant(access);
                // What an operator has switched stays, unless the setting itself has changed.
                if effective.offline != self.offline.replace(effective.offline) {
                    depot.set_offline(effective.offline);
                }
                app.forget_hot_answers();
                app.stand(standpoint(self.environment, &resolved, &effective));
                tracing::info!("the configuration was read again");
                if needs_restart(started_with, &effective) {
                    tracing::warn!(
                        "settings other than those of upstreams, repositories, cache times, scrubbing, cleaning and log take effect after a restart"
                    );
                }
                Some(effective)
            }
            Err(CannotDo(lines)) => {
                for line in lines {
                    tracing::error!(
                        problem = line,
                        "the configuration is bad; the old one stays in use"
                    );
                }
                None
            }
        }
    }
}

/// Most of the code that is in memory by now runs no more.
async fn give_back_the_start() {
    tokio::time::sleep(START).await;
    let given = tokio::task::spawn_blocking(resident::give_back_code).await;
    if let Ok(Err(error)) = given {
        tracing::debug!(%error, "the code of the start stays in memory");
    }
}

fn log_file(effective: &Effective, error: &std::io::Error) -> CannotDo {
    let file = effective.log.file.as_ref();
    let path = file.map(|file| file.path.display().to_string());
    CannotDo::new(format!("log.file: {}: {error}", path.unwrap_or_default()))
}

/// On the socket that a service manager holds for this process, else on one of its own.
fn listener(effective: &Effective) -> Result<Listener, CannotDo> {
    let (tls, limits) = (effective.tls.clone(), effective.limits);
    match service_manager::held_socket()? {
        Some(socket) => Listener::adopt(socket, tls, limits),
        None => Listener::bind(effective.listen, tls, limits),
    }
    .map_err(CannotDo::new)
}

/// A log that is open, and the verifier key for its clients.
struct Opened {
    log: Log,
    key: String,
}

fn open_log(
    environment: &Environment,
    effective: &Effective,
    settings: &SumlogSettings,
) -> Result<Opened, CannotDo> {
    let place = match &settings.key {
        Some(place) => place.clone(),
        None => SecretRef::File(
            key::default_file(environment, &settings.name)
                .map_err(|reason| CannotDo::new(format!("sumlog.key: {reason}")))?,
        ),
    };
    let keys = key::read(environment, &place).map_err(|CannotDo(lines)| {
        CannotDo::new(format!(
            "sumlog.key: {}; make a key with `modkeep key generate {}`",
            lines.join("; "),
            settings.name
        ))
    })?;
    let key = keys.verifier().to_string();
    let options = LogOptions {
        signed: settings.signed.clone(),
        witnesses: settings.witnesses.clone(),
        ..LogOptions::new(&effective.data, settings.name.clone())
    };
    let log =
        Log::open(options, keys).map_err(|error| CannotDo::new(format!("sumlog: {error}")))?;
    Ok(Opened { log, key })
}

/// Who may give orders, if anybody may.
fn operator_token(
    environment: &Environment,
    effective: &Effective,
) -> Result<Option<OperatorToken>, CannotDo> {
    let Some(place) = &effective.api_token else {
        return Ok(None);
    };
    let text = place
        .read(environment)
        .map_err(|error| CannotDo::new(format!("api.token: {error}")))?;
    OperatorToken::new(&text)
        .map(Some)
        .ok_or_else(|| CannotDo::new(format!("api.token: {place} is empty")))
}

fn needs_restart(old: &Effective, new: &Effective) -> bool {
    old.listen != new.listen
        || old.data != new.data
        || old.tls != new.tls
        || old.limits != new.limits
        || old.hot_bytes != new.hot_bytes
        || old.sumlog != new.sumlog
        || old.api_token != new.api_token
        || old.warm != new.warm
        || old.prefetch != new.prefetch
        || old.log.needs_restart(&new.log)
        || old.otlp != new.otlp
}

/// The first line is the base URL; scripts read it.
fn announce(
    listener: &Listener,
    resolved: &Resolved,
    effective: &Effective,
    log_key: Option<&str>,
) {
    let url = listener.base_url();
    output::result(&url);
    output::result(format!(
        "  upstream  {}  ({})",
        effective.chain,
        resolved.get("upstream").origin
    ));
    for own in &effective.left_out {
        output::result(format!(
            "            {own} was left out: it is this server's own address"
        ));
    }
    for name in ["private", "sumdb", "data"] {
        let setting = resolved.get(name);
        let value = if setting.value.is_empty() {
            "(none)".to_owned()
        } else {
            setting.redacted_value()
        };
        output::result(format!("  {name:8}  {value}  ({})", setting.origin));
    }
    if let Some(file) = &resolved.file {
        output::result(format!("  config    {}", file.display()));
    }
    output::result(format!(
        "  use it:   go env -w GOPROXY={}",
        client_url(&url, listener)
    ));
    if let Some(key) = log_key {
        output::result(format!("            go env -w GOSUMDB='{key}'"));
    }
    tracing::info!(url, upstream = %effective.chain, "serving");
}

/// The URL for clients on this machine, where the listener takes every address.
fn client_url(url: &str, listener: &Listener) -> String {
    if listener.address().ip().is_unspecified() {
        let scheme = url.split(':').next().unwrap_or("http");
        return format!("{scheme}://localhost:{}", listener.address().port());
    }
    url.to_owned()
}

/// Many clients with many streams need more descriptors than some systems give by default.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _as_many_as_we_get = setrlimit(Resource::Nofile, limit);
}

enum Order {
    Stop(&'static str),
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Held so that writing beyond a file size limit is an error, and does not end the process.
    _file_size: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.terminate.recv() => Order::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Order::Stop("SIGINT"),
            _ = self.hangup.recv() => Order::Reload,
        }
    }
}
