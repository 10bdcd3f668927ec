//! A file that says how a server reaches others.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use goenv::RedactedUrl;
use goenv::http_proxy::{AutoProxy, AutoRoute, ProxyUrl};
use tokio::runtime::{Handle, RuntimeFlavor};
use url::Url;

use crate::directive::Directive;
use crate::evaluate::{PATIENCE, Program};
use crate::find::own_address;

/// Largest file that is read, in bytes.
pub const LARGEST: usize = 1 << 20;
/// How long an answer counts.
const FRESH: Duration = Duration::from_mins(1);
/// How long an answer counts while it is asked for again.
const STALE: Duration = Duration::from_mins(10);
/// How long a proxy may take to accept a connection when another one would do as well.
const REACH: Duration = Duration::from_secs(2);
/// Servers whose answers are kept.
const MOST: usize = 1024;

/// A file that says how a server reaches others. It is read again for each answer, and an answer counts for a minute.
/// Of several proxies the first that accepts connections is taken.
#[derive(Clone)]
pub struct PacFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    program: Program,
    answers: Mutex<HashMap<String, Arc<Slot>>>,
    /// Whether the last run failed.
    is_failing: AtomicBool,
}

/// What is known about one server.
#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// `None` in it: the file gave no answer.
    known: Option<(Option<AutoRoute>, Instant)>,
    is_being_asked: bool,
}

impl fmt::Debug for PacFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PacFile").field(&self.0.path).finish()
    }
}

impl PacFile {
    /// Will ask the file at `path` by means of `program`.
    pub fn new(path: PathBuf, program: Program) -> Self {
        Self(Arc::new(Inner {
            path,
            program,
            answers: Mutex::default(),
            is_failing: AtomicBool::new(false),
        }))
    }

    /// Whether the file can be read, and is a program that answers.
    ///
    /// # Errors
    ///
    /// With what is wrong with it.
    pub fn check(path: &Path, program: &Program) -> Result<(), String> {
        program.check(&read(path)?)
    }

    fn slot(&self, server: &str) -> Arc<Slot> {
        let mut answers = lock(&self.0.answers);
        if answers.len() >= MOST && !answers.contains_key(server) {
            answers.clear();
        }
        Arc::clone(answers.entry(server.to_owned()).or_default())
    }

    /// Asks the file in a thread of its own, unless there can be none.
    fn begin(&self, slot: &Arc<Slot>, url: Url) -> bool {
        let (inner, asked) = (Arc::clone(&self.0), Arc::clone(slot));
        let ask = move || {
            let answer = inner.ask(&url);
            asked.learn(answer);
        };
        let begun = std::thread::Builder::new()
            .name("pac".to_owned())
            .spawn(ask);
        if let Err(error) = &begun {
            self.0.tell(Some(&error.to_string()));
        }
        begun.is_ok()
    }
}

impl AutoProxy for PacFile {
    fn ask(&self, url: &Url) -> Option<AutoRoute> {
        let server = format!(
            "{}://{}",
            url.scheme(),
            &url[url::Position::BeforeHost..url::Position::AfterPort]
        );
        let slot = self.slot(&server);
        let mut state = lock(&slot.state);
        let now = Instant::now();
        let is_older = |state: &State, age: Duration| {
            let known = state.known.as_ref();
            known.is_none_or(|(_, since)| now.saturating_duration_since(*since) >= age)
        };
        if is_older(&state, FRESH) && !state.is_being_asked {
            // The file is told neither path nor password.
            let url = Url::parse(&format!("{server}/"));
            state.is_being_asked = url.is_ok_and(|url| self.begin(&slot, url));
        }
        if is_older(&state, STALE) {
            drop(state);
            state = patiently(|| slot.wait());
        }
        state.known.as_ref().and_then(|(answer, _)| answer.clone())
    }
}

impl Slot {
    fn learn(&self, answer: Option<AutoRoute>) {
        let mut state = lock(&self.state);
        state.known = Some((answer, Instant::now()));
        state.is_being_asked = false;
        self.changed.notify_all();
    }

    fn wait(&self) -> MutexGuard<'_, State> {
        let waited = self
            .changed
            .wait_timeout_while(lock(&self.state), PATIENCE, |state| state.is_being_asked);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Inner {
    fn ask(&self, url: &Url) -> Option<AutoRoute> {
        let said = read(&self.path).and_then(|script| {
            self.program
                .find_proxy(&script, url, own_address(), first_address)
        });
        let route = said.and_then(|said| self.route(&said));
        self.tell(route.as_ref().err().map(String::as_str));
        route.ok()
    }

    /// The first that can be reached, else the first.
    fn route(&self, said: &[Directive]) -> Result<AutoRoute, String> {
        let is_reachable = |directive: &&Directive| match directive {
            Directive::Direct => true,
            Directive::Proxy(proxy) => said.len() == 1 || accepts(proxy),
        };
        match said.iter().find(is_reachable).or(said.first()) {
            None | Some(Directive::Direct) => Ok(AutoRoute::Direct),
            Some(Directive::Proxy(proxy)) => {
                let url = Url::parse(proxy).map_err(|error| error.to_string())?;
                let url = RedactedUrl::new(url);
                Ok(AutoRoute::Proxy(ProxyUrl::of_auto_config(
                    url,
                    self.path.clone(),
                )))
            }
        }
    }

    fn tell(&self, failure: Option<&str>) {
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        let file = self.path.display();
        match failure {
            Some(reason) if !was_failing => tracing::warn!(
                %file,
                reason,
                "the proxy auto-configuration file gives no answer: HTTP_PROXY, HTTPS_PROXY and NO_PROXY count"
            ),
            None if was_failing => {
                tracing::info!(%file, "the proxy auto-configuration file answers again");
            }
            _ => {}
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    let about = fs::metadata(path).map_err(failed)?;
    if !about.is_file() || about.len() > LARGEST as u64 {
        return Err(format!("it is no file of at most {LARGEST} bytes"));
    }
    let bytes = fs::read(path).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// As for browsers, IPv4 comes first.
fn first_address(name: &str) -> Option<IpAddr> {
    let found: Vec<IpAddr> = (name, 0)
        .to_socket_addrs()
        .ok()?
        .map(|address| address.ip())
        .collect();
    let first_of_four = found.iter().find(|address| address.is_ipv4());
    first_of_four.or(found.first()).copied()
}

/// Whether a proxy accepts connections.
fn accepts(proxy: &str) -> bool {
    let Ok(url) = Url::parse(proxy) else {
        return false;
    };
    let port = url.port_or_known_default().unwrap_or(1080);
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<SocketAddr> = (bare, port)
        .to_socket_addrs()
        .map(Iterator::collect)
        .unwrap_or_default();
    addresses
        .iter()
        .any(|address| TcpStream::connect_timeout(address, REACH).is_ok())
}

/// Waits without keeping other tasks of the runtime waiting.
fn patiently<T>(wait: impl FnOnce() -> T) -> T {
    let has_other_threads =
        Handle::try_current().is_ok_and(|it| it.runtime_flavor() == RuntimeFlavor::MultiThread);
    if has_other_threads {
        tokio::task::block_in_place(wait)
    } else {
        wait()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn file(path: &Path) -> PacFile {
        PacFile::new(path.to_owned(), Program::own().unwrap())
    }

    #[test]
    fn the_first_proxy_that_accepts_connections_is_taken() {
        let up = TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = |listener: &TcpListener, scheme: &str| {
            Directive::Proxy(format!("{scheme}://{}", listener.local_addr().unwrap()))
        };
        let (first, second) = (proxy(&gone, "http"), proxy(&up, "socks5"));
        drop(gone);
        let file = file(Path::new("/corp.pac"));
        let route = |said: &[Directive]| match file.0.route(said).unwrap() {
            AutoRoute::Direct => "direct".to_owned(),
            AutoRoute::Proxy(proxy) => proxy.as_url().scheme().to_owned(),
        };
        assert_eq!(route(&[first.clone(), second.clone()]), "socks5");
        assert_eq!(route(&[first.clone(), Directive::Direct]), "direct");
        assert_eq!(route(&[Directive::Direct, second]), "direct");
        assert_eq!(route(std::slice::from_ref(&first)), "http");
        assert_eq!(route(&[first.clone(), first]), "http");
        assert_eq!(route(&[]), "direct");
    }

    #[test]
    fn what_is_known_is_said_at_once_and_what_is_old_is_asked_for_again() {
        let file = file(Path::new("/nowhere/corp.pac"));
        let url = Url::parse("https://a.test/x").unwrap();
        let slot = file.slot("https://a.test");
        let known_since = |age: Duration| {
            let mut state = lock(&slot.state);
            state.known = Instant::now()
                .checked_sub(age)
                .map(|since| (Some(AutoRoute::Direct), since));
        };
        known_since(FRESH / 2);
        assert_eq!(file.ask(&url), Some(AutoRoute::Direct));
        assert!(!lock(&slot.state).is_being_asked);
        // The file does not exist, which is found out behind the answer.
        known_since(FRESH);
        assert_eq!(file.ask(&url), Some(AutoRoute::Direct));
        drop(slot.wait());
        assert_eq!(file.ask(&url), None);
        known_since(STALE);
        assert_eq!(file.ask(&url), None);
    }
}
