use std::sync::{Arc, Mutex};
use std::time::Duration;

use fault::Label;
use futures_util::StreamExt as _;
use goenv::Environment;
use goenv::goproxy::ProxyList;
use goenv::http_proxy::HttpProxyRules;
use goenv::netrc::Netrc;
use gomod::Version;
use testkit::{Module, Tree, UpstreamServer};
use upstream::{
    Absence, Chain, ChainError, ChainOptions, Event, Expect, Failure, Limits, NameServers,
    Observer, Order, Outcome, Reply, Request, Small, ZipReply,
};

/// The paths of the module that [`Scene::new`] has, without a leading slash.
pub(crate) const LIST: &str = "example.com/m/@v/list";
pub(crate) const INFO: &str = "example.com/m/@v/v1.0.0.info";
pub(crate) const MOD: &str = "example.com/m/@v/v1.0.0.mod";
pub(crate) const ZIP: &str = "example.com/m/@v/v1.0.0.zip";

/// One upstream with one version of a module.
pub(crate) struct Scene {
    pub(crate) tree: Tree,
    pub(crate) upstream: UpstreamServer,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let tree = Tree::temporary();
        tree.add(&Module::big("example.com/m", "v1.0.0", 300_000));
        let upstream = UpstreamServer::serve(tree.root());
        Self { tree, upstream }
    }

    /// A chain of this upstream alone, which is not patient.
    pub(crate) fn chain(&self) -> Chain {
        Options::new(&self.upstream.url()).chain()
    }

    /// What the upstream has at a path.
    pub(crate) fn source(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.tree.file(path)).unwrap()
    }
}

/// What a chain is made from, changed one by one.
pub(crate) struct Options {
    list: String,
    environment: Vec<(String, String)>,
    netrc: String,
    names: NameServers,
    pub(crate) limits: Limits,
    pub(crate) first_is_authoritative: bool,
    pub(crate) order: Order,
    pub(crate) probe_interval: Duration,
    pub(crate) observed: Arc<Observed>,
}

impl Options {
    pub(crate) fn new(list: &str) -> Self {
        Self {
            list: list.to_owned(),
            environment: Vec::new(),
            netrc: String::new(),
            names: NameServers::default(),
            limits: PATIENT,
            first_is_authoritative: false,
            order: Order::Configured,
            probe_interval: Duration::from_secs(5),
            observed: Arc::default(),
        }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn netrc(mut self, text: &str) -> Self {
        text.clone_into(&mut self.netrc);
        self
    }

    pub(crate) fn names(mut self, names: NameServers) -> Self {
        self.names = names;
        self
    }

    pub(crate) fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    pub(crate) fn chain(&self) -> Chain {
        let environment = self
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        Chain::new(ChainOptions {
            list: ProxyList::parse(&self.list).unwrap(),
            http_proxies: HttpProxyRules::from_environment(&Environment::from_pairs(environment)),
            netrc: Netrc::parse(&self.netrc),
            names: self.names.clone(),
            limits: self.limits,
            first_is_authoritative: self.first_is_authoritative,
            order: self.order,
            probe_interval: self.probe_interval,
            observer: self.observed.clone(),
        })
        .unwrap()
    }
}

/// Far more than loopback needs.
pub(crate) const PATIENT: Limits = Limits {
    connect: Duration::from_secs(10),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(10),
    low_speed: 1,
    small: Duration::from_secs(20),
    deadline: Duration::from_secs(20),
    outage: Duration::ZERO,
};

/// So little that waiting for it is no burden; one of the limits is the one that a test is about.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// Writes down every exchange.
#[derive(Default)]
pub(crate) struct Observed {
    exchanges: Mutex<Vec<(String, Outcome)>>,
    events: Mutex<Vec<(String, Event)>>,
    received: Mutex<u64>,
}

impl Observed {
    pub(crate) fn exchanges(&self) -> Vec<(String, Outcome)> {
        self.exchanges.lock().unwrap().clone()
    }

    /// Bytes of bodies, from whomever.
    pub(crate) fn received(&self) -> u64 {
        *self.received.lock().unwrap()
    }

    pub(crate) fn events(&self) -> Vec<(String, Event)> {
        self.events.lock().unwrap().clone()
    }
}

impl Observer for Observed {
    fn exchange(&self, source: &str, outcome: Outcome, _elapsed: Duration) {
        self.exchanges
            .lock()
            .unwrap()
            .push((source.to_owned(), outcome));
    }

    fn received(&self, _source: &str, bytes: u64) {
        *self.received.lock().unwrap() += bytes;
    }

    fn event(&self, source: &str, event: Event) {
        self.events.lock().unwrap().push((source.to_owned(), event));
    }
}

/// The question for one of the scene's paths.
pub(crate) fn request(path: &str) -> Request {
    let expect = match path.rsplit(['.', '/']).next().unwrap() {
        "list" => Expect::List,
        "info" => Expect::Info(Some(Version::new("v1.0.0").unwrap())),
        "mod" => Expect::Mod,
        "zip" => Expect::Zip,
        _ => Expect::Opaque,
    };
    Request {
        path: path.to_owned(),
        expect,
        revalidate: None,
        without: Vec::new(),
        traceparent: None,
        via: upstream::Via::default(),
    }
}

/// Asks for a small file, and takes nothing but a body.
pub(crate) async fn get(chain: &Chain, path: &str) -> Result<Reply, ChainError> {
    match chain.fetch_small(&request(path)).await? {
        Small::Body(reply) => Ok(reply),
        Small::NotModified(source) => panic!("{source} was asked for a body"),
    }
}

/// Asks for a small file, which one upstream must fail to give.
pub(crate) async fn failure(chain: &Chain, path: &str) -> Failure {
    one_failure(get(chain, path).await)
}

/// As [`failure`], for the head of a zip.
pub(crate) async fn zip_failure(chain: &Chain) -> Failure {
    one_failure(chain.fetch_zip(&request(ZIP)).await)
}

fn one_failure<T: std::fmt::Debug>(answer: Result<T, ChainError>) -> Failure {
    match answer {
        Err(ChainError::Trouble(failures)) => {
            assert_eq!(failures.len(), 1, "{failures:?}");
            failures.into_iter().next().unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// The upstream's word that there is no such thing.
pub(crate) async fn absence(chain: &Chain, path: &str) -> Absence {
    match get(chain, path).await {
        Err(ChainError::Absent(absence)) => absence,
        other => panic!("{other:?}"),
    }
}

/// The whole of a zip, or what came of it and why there is no more.
pub(crate) async fn drain(mut reply: ZipReply) -> Result<Vec<u8>, (Vec<u8>, Failure)> {
    let mut bytes = Vec::new();
    while let Some(piece) = reply.body.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(failure) => return Err((bytes, failure)),
        }
    }
    Ok(bytes)
}

#[track_caller]
pub(crate) fn assert_says(failure: &Failure, label: Label, words: &str) {
    assert_eq!(failure.label, label, "{failure}");
    assert!(failure.detail.contains(words), "{failure}");
}
