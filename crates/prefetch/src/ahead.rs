//! [`Prefetch`]: files are fetched while a client is still on its way to asking for them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use depot::{Degraded, Depot, Party};
use gomod::ModulePath;
use gomod::mvs::Summary;
use store::{FileKey, FileKind};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Client, Fetched};
use crate::source::{Got, from_depot};

/// Requests that were seen and not looked at yet; more are passed over.
const QUEUE: usize = 8_192;
/// A client that asks for nothing for so long is forgotten.
const GONE: Duration = Duration::from_mins(1);
/// The most clients at a time; whoever was quiet longest gives way.
const CLIENTS: usize = 256;
/// Memory for what is known of all clients, in bytes, about; whoever was quiet longest gives way.
const MEMORY: usize = 64 << 20;
/// How often it is looked whether there is room again.
const TICK: Duration = Duration::from_millis(50);
/// After so many failures in a row the upstreams are left alone for a while.
const FAILURES: usize = 8;
/// For so long.
const PAUSE: Duration = Duration::from_secs(10);

/// How much may be fetched ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The most files that are fetched ahead at a time, for all clients together.
    pub fetches: usize,
    /// Bytes of zips that may be there for a client that has not asked for them.
    pub ahead: u64,
    /// Nothing more is fetched for a client that has no connection and asked for nothing for so long. It may come back:
    /// what stands between it and this server may open a connection for each request.
    pub away: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fetches: 24,
            ahead: 64 << 20,
            away: Duration::from_secs(2),
        }
    }
}

/// What was fetched ahead since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files fetched ahead.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files of these that the client asked for.
    pub used_files: u64,
    /// Their bytes.
    pub used_bytes: u64,
    /// Bytes that the client went away without.
    pub wasted_bytes: u64,
}

#[derive(Debug, Default)]
struct Counters {
    files: AtomicU64,
    bytes: AtomicU64,
    used_files: AtomicU64,
    used_bytes: AtomicU64,
    wasted_bytes: AtomicU64,
}

/// Fetches ahead for the clients it is told of. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prefetch {
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
}

#[derive(Debug, Default)]
struct Shared {
    counters: Counters,
    /// How many connections each client has.
    present: Mutex<HashMap<IpAddr, usize>>,
    is_active: AtomicBool,
}

#[derive(Debug)]
enum Event {
    Asked(IpAddr, FileKey),
    Passed(IpAddr, FileKey, Bytes),
}

impl Prefetch {
    /// Begins to listen. Must be called within a tokio runtime; ends when the last clone is dropped.
    pub fn start(depot: Depot, settings: Settings) -> Self {
        let (events, received) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let work = Work {
            depot,
            settings,
            shared: shared.clone(),
            clients: HashMap::new(),
            turns: VecDeque::new(),
            fetches: JoinSet::new(),
            failures: 0,
            paused_until: None,
        };
        tokio::spawn(work.run(received));
        Self { shared, events }
    }

    /// A client has a connection until what is returned is dropped.
    pub fn present(&self, client: IpAddr) -> Presence {
        *self.shared.present().entry(client).or_default() += 1;
        Presence {
            shared: self.shared.clone(),
            client,
        }
    }

    /// A client asks for a file. Does not wait.
    pub fn asked(&self, client: IpAddr, key: &FileKey) {
        let _passed_over = self.events.try_send(Event::Asked(client, key.clone()));
    }

    /// A go.mod file is given to a client. Does not wait.
    pub fn passed(&self, client: IpAddr, key: &FileKey, go_mod: &Bytes) {
        let _passed_over = self
            .events
            .try_send(Event::Passed(client, key.clone(), go_mod.clone()));
    }

    /// Whether some client is served of whom more is to be expected than what is in memory anyway.
    pub fn is_active(&self) -> bool {
        self.shared.is_active.load(Ordering::Relaxed)
    }

    /// What was fetched ahead since the start.
    pub fn counts(&self) -> Counts {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            files: read(&counters.files),
            bytes: read(&counters.bytes),
            used_files: read(&counters.used_files),
            used_bytes: read(&counters.used_bytes),
            wasted_bytes: read(&counters.wasted_bytes),
        }
    }
}

/// A connection of a client.
#[derive(Debug)]
pub struct Presence {
    shared: Arc<Shared>,
    client: IpAddr,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut present = self.shared.present();
        if let Entry::Occupied(mut connections) = present.entry(self.client) {
            *connections.get_mut() -= 1;
            if *connections.get() == 0 {
                connections.remove();
            }
        }
    }
}

impl Shared {
    fn present(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_present(&self, client: IpAddr) -> bool {
        self.present().contains_key(&client)
    }
}

/// The one task that decides.
struct Work {
    depot: Depot,
    settings: Settings,
    shared: Arc<Shared>,
    clients: HashMap<IpAddr, Client>,
    /// Whose turn it is: each client in turn gets one fetch.
    turns: VecDeque<IpAddr>,
    fetches: JoinSet<(IpAddr, FileKey, Result<Got, String>)>,
    failures: usize,
    paused_until: Option<Instant>,
}

impl Work {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.take(event),
                    None => return,
                },
                Some(done) = self.fetches.join_next() => {
                    if let Ok((client, key, got)) = done {
                        self.arrive(client, &key, got);
                    }
                }
                _ = tick.tick(), if !self.clients.is_empty() => self.let_go(GONE),
            }
            self.fill();
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Asked(client, key) => {
                let Ok(module) = key.module_version() else {
                    return;
                };
                let now = Instant::now();
                let Fetched { used, wasted } =
                    self.client(client, now).asked(&module, key.kind, now);
                let counters = &self.shared.counters;
                counters.wasted_bytes.fetch_add(wasted, Ordering::Relaxed);
                if let Some(bytes) = used {
                    counters.used_files.fetch_add(1, Ordering::Relaxed);
                    counters.used_bytes.fetch_add(bytes, Ordering::Relaxed);
                }
            }
            Event::Passed(client, key, go_mod) => self.learn(client, &key, &go_mod),
        }
    }

    fn client(&mut self, address: IpAddr, now: Instant) -> &mut Client {
        if !self.clients.contains_key(&address) {
            if self.clients.len() >= CLIENTS {
                self.forget_quietest();
            }
            self.turns.push_back(address);
            self.shared.is_active.store(true, Ordering::Relaxed);
        }
        self.clients
            .entry(address)
            .or_insert_with(|| Client::new(now))
    }

    fn learn(&mut self, address: IpAddr, key: &FileKey, go_mod: &[u8]) {
        let Ok(module) = key.module_version() else {
            return;
        };
        // What does not parse fails at the client, too.
        let Ok(summary) = Summary::parse(go_mod) else {
            return;
        };
        let settings = self.depot.settings();
        let is_private =
            |path: &str| ModulePath::new(path).is_ok_and(|path| settings.private.matches(&path));
        // A name that only a private module knows may be private, too, without anybody having said so here.
        let from_private = is_private(module.path().as_str());
        if let Some(client) = self.clients.get_mut(&address) {
            client
                .session
                .learned(&module, &summary, |path| !from_private || is_private(path));
        }
    }

    fn arrive(&mut self, address: IpAddr, key: &FileKey, got: Result<Got, String>) {
        let counters = &self.shared.counters;
        let client = self.clients.get_mut(&address);
        match got {
            Ok(got) => {
                self.failures = 0;
                let body = got.body;
                if got.was_there {
                    if let Some(client) = client {
                        client.session.spared(key);
                    }
                } else {
                    counters.files.fetch_add(1, Ordering::Relaxed);
                    counters.bytes.fetch_add(got.len, Ordering::Relaxed);
                    match client {
                        Some(client) => {
                            if !client.session.fetched(key, got.len) {
                                // Asked for while it was on its way: that was noted without its length.
                                counters.used_bytes.fetch_add(got.len, Ordering::Relaxed);
                            }
                        }
                        None => {
                            counters.wasted_bytes.fetch_add(got.len, Ordering::Relaxed);
                        }
                    }
                }
                if let Some(body) = body.filter(|_| key.kind == FileKind::Mod) {
                    self.learn(address, key, &body);
                }
            }
            Err(error) => {
                tracing::debug!(file = %key, error, "could not be fetched ahead");
                if let Some(client) = client {
                    client.session.spared(key);
                }
                self.failures += 1;
                if self.failures >= FAILURES {
                    self.failures = 0;
                    self.paused_until = Some(Instant::now() + PAUSE);
                }
            }
        }
    }

    /// Begins fetches while there is room, one for each client in turn.
    fn fill(&mut self) {
        if self.is_paused() {
            return;
        }
        let mut idle = 0;
        while idle < self.turns.len() && self.has_room() {
            let Some(address) = self.turns.pop_front() else {
                return;
            };
            self.turns.push_back(address);
            let away = self.settings.away;
            let here = self.clients.get_mut(&address).filter(|client| {
                self.shared.is_present(address) || client.last_seen.elapsed() < away
            });
            let Some(client) = here else {
                idle += 1;
                continue;
            };
            let Some(key) = client.session.next(self.settings.ahead) else {
                idle += 1;
                let wasted = client.rests(Instant::now());
                let counter = &self.shared.counters.wasted_bytes;
                counter.fetch_add(wasted, Ordering::Relaxed);
                continue;
            };
            idle = 0;
            let depot = self.depot.clone();
            self.fetches.spawn(async move {
                let got = from_depot(&depot, &key, Party::Ahead).await;
                (address, key, got)
            });
        }
    }

    /// Whether it would be in vain: upstreams fail or are not to be asked, or nothing can be kept.
    fn is_paused(&self) -> bool {
        self.paused_until
            .is_some_and(|until| until > Instant::now())
            || self
                .depot
                .degraded()
                .any(|mode| matches!(mode, Degraded::Offline | Degraded::StoreReadOnly))
    }

    /// Clients go first.
    fn has_room(&self) -> bool {
        self.fetches.len() < self.settings.fetches && self.depot.has_room_ahead()
    }

    /// Forgets clients that were quiet for so long, and those for whom there is no memory.
    fn let_go(&mut self, quiet: Duration) {
        let now = Instant::now();
        let gone: Vec<IpAddr> = self
            .clients
            .iter()
            .filter(|(_, client)| now.duration_since(client.last_seen) >= quiet)
            .map(|(address, _)| *address)
            .collect();
        for address in gone {
            self.forget(address);
        }
        let memory = |client: &Client| client.session.memory();
        while self.clients.values().map(memory).sum::<usize>() > MEMORY {
            self.forget_quietest();
        }
        if self.clients.is_empty() {
            self.shared.is_active.store(false, Ordering::Relaxed);
        }
    }

    fn forget_quietest(&mut self) {
        let clients = self.clients.iter();
        let quiet = clients.min_by_key(|(_, client)| client.last_seen);
        if let Some(quiet) = quiet.map(|(address, _)| *address) {
            self.forget(quiet);
        }
    }

    fn forget(&mut self, address: IpAddr) {
        self.turns.retain(|turn| *turn != address);
        if let Some(client) = self.clients.remove(&address) {
            let wasted = client.session.unused_bytes();
            self.shared
                .counters
                .wasted_bytes
                .fetch_add(wasted, Ordering::Relaxed);
        }
    }
}
