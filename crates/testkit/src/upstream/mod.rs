//! An HTTP/1.1 server on loopback that serves a folder, remembers what it was asked, and fails on demand.

mod connection;
mod plan;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::fault::{Answer, Fault, Paths};
use crate::port::Port;

/// How often it is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(5);

/// One request that reached the server.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// What stood on the request line, as it came.
    pub target: String,
    /// The path of `target`, percent-decoded, without the query.
    pub path: String,
    /// The headers in the order they came.
    pub headers: Vec<(String, String)>,
    /// When the head of the request had been read.
    pub received: Instant,
    /// When the first bytes of the body were handed to the system.
    pub first_byte: Option<Instant>,
    /// When the answer was over, in whatever way.
    pub finished: Option<Instant>,
    /// The status that is sent, if one is.
    pub status: Option<u16>,
    /// Bytes of the body that were handed to the system.
    pub body_bytes: u64,
}

impl Request {
    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A simulated upstream: a `GOPROXY` server for the tree it is given.
///
/// Serves `GET` and `HEAD` with ranges (`Range`, `If-Range`) and validators (`ETag`, `Last-Modified`, 304). Everything
/// can be changed while it runs. Dropping it closes every connection.
#[derive(Debug)]
pub struct UpstreamServer {
    shared: Arc<Shared>,
    /// Stays its own while it is stopped.
    port: Port,
    run: Option<Run>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rules: Vec<Rule>,
    answers: Vec<(Paths, Answer)>,
    is_held: bool,
    releases: usize,
    delay: Duration,
    bandwidth: Option<u64>,
    validators: bool,
    ranges: bool,
    patience: Option<Duration>,
    requests: Vec<Request>,
    forgotten: usize,
    connections: usize,
}

#[derive(Debug)]
struct Rule {
    paths: Paths,
    left: Option<usize>,
    what: What,
}

/// What a rule does to a request.
#[derive(Debug)]
enum What {
    /// Always this.
    This(Fault),
    /// To a share of the requests, one of these.
    OneOf {
        share: f64,
        faults: Vec<Fault>,
        random: fastrand::Rng,
    },
}

impl What {
    /// The fault for the next request; `None` if it is spared.
    fn next(&mut self) -> Option<Fault> {
        match self {
            Self::This(fault) => Some(fault.clone()),
            Self::OneOf {
                share,
                faults,
                random,
            } => {
                let is_hit = random.f64() < *share;
                is_hit.then(|| faults[random.usize(..faults.len())].clone())
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no thread of the simulator panicked")
    }
}

/// One stretch between start and stop.
#[derive(Debug)]
struct Run {
    line: Arc<Line>,
    accepting: JoinHandle<()>,
}

/// The open connections of one run, and the word to end them.
#[derive(Debug, Default)]
struct Line {
    stopped: Mutex<bool>,
    changed: Condvar,
    open: Mutex<BTreeMap<u64, Arc<TcpStream>>>,
}

impl Line {
    /// Waits, and says whether the server was stopped meanwhile.
    fn pause(&self, duration: Duration) -> bool {
        let stopped = self
            .stopped
            .lock()
            .expect("no thread of the simulator panicked");
        let (stopped, _) = self
            .changed
            .wait_timeout_while(stopped, duration, |stopped| !*stopped)
            .expect("no thread of the simulator panicked");
        *stopped
    }

    /// Waits while something is so, and says whether the server was stopped meanwhile.
    fn wait_while(&self, shared: &Shared, is_so: impl Fn(&State) -> bool) -> bool {
        while is_so(&shared.state()) {
            if self.pause(LOOK) {
                return true;
            }
        }
        false
    }

    fn is_stopped(&self) -> bool {
        *self
            .stopped
            .lock()
            .expect("no thread of the simulator panicked")
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<TcpStream>>> {
        self.open
            .lock()
            .expect("no thread of the simulator panicked")
    }
}

impl UpstreamServer {
    /// Serves `root` on a free port of 127.0.0.1.
    pub fn serve(root: impl AsRef<Path>) -> Self {
        let shared = Arc::new(Shared {
            root: root.as_ref().to_path_buf(),
            state: Mutex::new(State {
                rules: Vec::new(),
                answers: Vec::new(),
                is_held: false,
                releases: 0,
                delay: Duration::ZERO,
                bandwidth: None,
                validators: true,
                ranges: true,
                patience: None,
                requests: Vec::new(),
                forgotten: 0,
                connections: 0,
            }),
        });
        let mut server = Self {
            shared,
            port: Port::reserve(),
            run: None,
        };
        server.start();
        server
    }

    /// The base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The address it listens on, also while it is stopped.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Closes the port and every connection: from now on connections are refused.
    pub fn stop(&mut self) {
        if let Some(run) = self.run.take() {
            run.stop(self.address());
        }
    }

    /// Listens again, on the same port.
    pub fn start(&mut self) {
        if self.run.is_none() {
            let listener = TcpListener::bind(self.address()).expect("the port is its own");
            self.run = Some(Run::start(Arc::clone(&self.shared), listener));
        }
    }

    /// From now on nothing more is sent, neither answers nor the rest of those that have begun, until
    /// [`UpstreamServer::release`]. Requests are read and counted as ever.
    pub fn hold(&self) {
        self.shared.state().is_held = true;
    }

    /// What was held back is sent: by [`UpstreamServer::hold`], or by a fault that holds a body in its middle.
    pub fn release(&self) {
        let mut state = self.shared.state();
        state.is_held = false;
        state.releases += 1;
    }

    /// Every request waits so long before the first byte of its answer.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// Every connection gets at most so many bytes of bodies per second.
    pub fn set_bandwidth(&self, bytes_per_second: Option<u64>) {
        self.shared.state().bandwidth = bytes_per_second;
    }

    /// Whether answers have `ETag` and `Last-Modified`, and conditional requests are honoured. They are at first.
    pub fn set_validators(&self, on: bool) {
        self.shared.state().validators = on;
    }

    /// Whether `Range` is honoured. It is at first.
    pub fn set_ranges(&self, on: bool) {
        self.shared.state().ranges = on;
    }

    /// How long a connection that hangs or stalls stays open, as with a gateway that ends what is idle. At first it does
    /// so for as long as the client likes.
    pub fn set_patience(&self, patience: Option<Duration>) {
        self.shared.state().patience = patience;
    }

    /// From now on the requests for `paths` fail so. A fault set later goes before one set earlier.
    pub fn fail(&self, paths: impl Into<Paths>, fault: Fault) {
        self.add_rule(paths.into(), None, What::This(fault));
    }

    /// The next `times` requests for `paths` fail so; after that, what was there before is in force again.
    pub fn fail_times(&self, times: usize, paths: impl Into<Paths>, fault: Fault) {
        self.add_rule(paths.into(), Some(times), What::This(fault));
    }

    /// From now on a share of the requests for `paths` (0 to 1) fails in one of these ways, chosen by dice with this seed.
    pub fn fail_some(&self, share: f64, seed: u64, paths: impl Into<Paths>, faults: &[Fault]) {
        assert!(!faults.is_empty(), "a choice of faults has some");
        let what = What::OneOf {
            share,
            faults: faults.to_vec(),
            random: fastrand::Rng::with_seed(seed),
        };
        self.add_rule(paths.into(), None, what);
    }

    /// The next request for `paths` fails so.
    pub fn fail_once(&self, paths: impl Into<Paths>, fault: Fault) {
        self.fail_times(1, paths, fault);
    }

    /// Everything is well again. Delay, bandwidth and answers stay as they are.
    pub fn heal(&self) {
        self.shared.state().rules.clear();
    }

    /// Answers `paths` so, in place of the tree; for what is no file of a tree, such as `/sumdb/`.
    pub fn answer(&self, paths: impl Into<Paths>, answer: Answer) {
        self.shared
            .state()
            .answers
            .insert(0, (paths.into(), answer));
    }

    /// What was asked so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// How often `paths` was asked for, by any method.
    pub fn count(&self, paths: impl Into<Paths>) -> usize {
        let paths = paths.into();
        self.shared
            .state()
            .requests
            .iter()
            .filter(|request| paths.matches(&request.path))
            .count()
    }

    /// How often each path was asked for.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in &self.shared.state().requests {
            *counts.entry(request.path.clone()).or_default() += 1;
        }
        counts
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// Forgets the requests and connections counted so far.
    pub fn forget(&self) {
        let mut state = self.shared.state();
        state.forgotten += state.requests.len();
        state.requests.clear();
        state.connections = 0;
    }

    fn add_rule(&self, paths: Paths, left: Option<usize>, what: What) {
        self.shared
            .state()
            .rules
            .insert(0, Rule { paths, left, what });
    }
}

impl Drop for UpstreamServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Run {
    fn start(shared: Arc<Shared>, listener: TcpListener) -> Self {
        let line = Arc::new(Line::default());
        let accepting = {
            let line = Arc::clone(&line);
            thread::spawn(move || accept(&shared, &line, &listener))
        };
        Self { line, accepting }
    }

    fn stop(self, address: SocketAddr) {
        *self
            .line
            .stopped
            .lock()
            .expect("no thread of the simulator panicked") = true;
        self.line.changed.notify_all();
        // Wakes the thread that waits in `accept`.
        drop(TcpStream::connect(address));
        self.accepting
            .join()
            .expect("no thread of the simulator panicked");
        for connection in self.line.open().values() {
            drop(connection.shutdown(std::net::Shutdown::Both));
        }
    }
}

fn accept(shared: &Arc<Shared>, line: &Arc<Line>, listener: &TcpListener) {
    for number in 0.. {
        let Ok((stream, _)) = listener.accept() else {
            continue;
        };
        if line.is_stopped() {
            return;
        }
        let stream = Arc::new(stream);
        line.open().insert(number, Arc::clone(&stream));
        shared.state().connections += 1;
        let (shared, line) = (Arc::clone(shared), Arc::clone(line));
        thread::spawn(move || {
            let end = connection::serve(&shared, &line, &stream);
            line.open().remove(&number);
            connection::close(stream, end);
        });
    }
}
