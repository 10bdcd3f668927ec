use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use depot::{Context, Depot, DepotError, FetchMode, FileReply, Settings};
use fault::Label;
use goenv::Environment;
use goenv::goproxy::ProxyList;
use goenv::http_proxy::HttpProxyRules;
use goenv::netrc::Netrc;
use gomod::{ModulePath, Revision, Version};
use store::{AnswerKey, FileKey, FileKind, Store};
use tempfile::TempDir;
use testkit::{Module, Tree, UpstreamServer};
use upstream::{Chain, ChainOptions, Limits, Observer, Outcome};

/// An upstream with one module whose zip is large, and a folder for a store.
pub(crate) struct Scene {
    pub(crate) tree: Tree,
    pub(crate) upstream: UpstreamServer,
    pub(crate) settings: Settings,
    /// After so long without a byte an upstream is given up.
    pub(crate) idle: Duration,
    folder: TempDir,
}

/// The paths at which the upstream is asked.
pub(crate) const LIST: &str = "/example.com/m/@v/list";
pub(crate) const MOD: &str = "/example.com/m/@v/v1.0.0.mod";
pub(crate) const ZIP: &str = "/example.com/m/@v/v1.0.0.zip";

impl Scene {
    pub(crate) fn new() -> Self {
        let tree = Tree::temporary();
        tree.add(&Module::big("example.com/m", "v1.0.0", 300_000));
        let upstream = UpstreamServer::serve(tree.root());
        Self {
            tree,
            upstream,
            settings: Settings::default(),
            idle: PATIENCE,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A depot on the scene's store, in front of its upstream.
    pub(crate) fn depot(&self) -> Depot {
        self.depot_with(&self.upstream.url())
    }

    pub(crate) fn depot_with(&self, list: &str) -> Depot {
        let store = Store::open(&self.data()).unwrap();
        Depot::new(store, chain_with(list, self.idle), self.settings.clone())
    }

    /// A depot whose store is another one, in front of the same upstream.
    pub(crate) fn depot_in_another_folder(&self) -> Depot {
        let store = Store::open(&self.data().join("other")).unwrap();
        Depot::new(store, chain(&self.upstream.url()), self.settings.clone())
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// Where the store's tree has what is asked for at a path.
    pub(crate) fn stored(&self, path: &str) -> PathBuf {
        self.data().join("tree").join(path.trim_start_matches('/'))
    }

    /// What the upstream has at a path.
    pub(crate) fn source(&self, path: &str) -> Vec<u8> {
        fs::read(self.tree.file(path)).unwrap()
    }
}

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A chain that is patient.
pub(crate) fn chain(list: &str) -> Chain {
    chain_with(list, PATIENCE)
}

fn chain_with(list: &str, idle: Duration) -> Chain {
    Chain::new(ChainOptions {
        list: ProxyList::parse(list).unwrap(),
        http_proxies: HttpProxyRules::from_environment(&Environment::from_pairs([("", ""); 0])),
        netrc: Netrc::default(),
        names: upstream::NameServers::default(),
        limits: Limits {
            connect: PATIENCE,
            first_byte: PATIENCE,
            idle,
            low_speed: 1,
            small: PATIENCE,
            deadline: PATIENCE,
            outage: Duration::ZERO,
        },
        first_is_authoritative: false,
        order: upstream::Order::Configured,
        probe_interval: Duration::from_secs(5),
        observer: Arc::new(Nobody),
    })
    .unwrap()
}

struct Nobody;

impl Observer for Nobody {
    fn exchange(&self, _source: &str, _outcome: Outcome, _elapsed: Duration) {}
}

pub(crate) fn module(path: &str) -> ModulePath {
    ModulePath::new(path).unwrap()
}

/// A file of the scene's module.
pub(crate) fn file(kind: FileKind) -> FileKey {
    FileKey {
        module: module("example.com/m"),
        version: Version::new("v1.0.0").unwrap(),
        kind,
    }
}

pub(crate) fn list() -> AnswerKey {
    AnswerKey::List(module("example.com/m"))
}

pub(crate) fn query(revision: &str) -> AnswerKey {
    AnswerKey::Query(module("example.com/m"), Revision::new(revision).unwrap())
}

pub(crate) async fn get_file(depot: &Depot, key: &FileKey) -> Result<FileReply, DepotError> {
    depot
        .file(key, FetchMode::Allowed, &Context::default())
        .await
}

/// The bytes of a file that is small; `true` if they came from the store.
pub(crate) async fn get_small(
    depot: &Depot,
    kind: FileKind,
) -> Result<(Vec<u8>, bool), DepotError> {
    match get_file(depot, &file(kind)).await? {
        FileReply::Small(small, from_store) => Ok((small.body.to_vec(), from_store)),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn assert_trouble(error: &DepotError, label: Label) {
    assert!(!error.is_absence(), "{error}");
    assert_eq!(error.label(), Some(label), "{error}");
}

/// Waits until no fetch is under way: then everything that was to be stored is.
pub(crate) async fn settled(depot: &Depot) {
    let limit = tokio::time::Instant::now() + Duration::from_mins(1);
    while depot.in_flight() > 0 {
        assert!(
            tokio::time::Instant::now() < limit,
            "a fetch goes on and on"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until no file of the store is half written. What was proven is written down beside the answers.
pub(crate) async fn assert_nothing_unfinished(scene: &Scene) {
    let folder = scene.data().join("tmp");
    let limit = tokio::time::Instant::now() + Duration::from_mins(1);
    while fs::read_dir(&folder).unwrap().count() > 0 {
        assert!(
            tokio::time::Instant::now() < limit,
            "something was left behind"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
