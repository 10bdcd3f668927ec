//! What is fetched ahead for several clients, seen by the upstream.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use depot::Depot;
use goenv::Environment;
use goenv::goproxy::ProxyList;
use goenv::http_proxy::HttpProxyRules;
use goenv::netrc::Netrc;
use gomod::{ModulePath, Version};
use prefetch::{Prefetch, Settings};
use store::{FileKey, FileKind, Store};
use testkit::{Module, Tree, UpstreamServer};
use upstream::{Chain, ChainOptions, Limits, Observer, Outcome};

struct Nobody;

impl Observer for Nobody {
    fn exchange(&self, _source: &str, _outcome: Outcome, _elapsed: Duration) {}
}

struct Scene {
    upstream: UpstreamServer,
    depot: Depot,
    _tree: Tree,
    _folder: tempfile::TempDir,
}

/// For each of these names a module that requires so many others, which are named after it.
fn scene(projects: &[(&str, usize)]) -> Scene {
    scene_with(projects, depot::Settings::default())
}

fn scene_with(projects: &[(&str, usize)], settings: depot::Settings) -> Scene {
    let tree = Tree::temporary();
    for (name, count) in projects {
        tree.add(
            &Module::new(&format!("example.com/{name}"), "v1.0.0").go_mod(&go_mod(name, *count)),
        );
        for number in 0..*count {
            tree.add(&Module::new(
                &format!("example.com/{name}/d{number}"),
                "v1.0.0",
            ));
        }
    }
    let upstream = UpstreamServer::serve(tree.root());
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::new(ChainOptions {
        list: ProxyList::parse(&upstream.url()).unwrap(),
        http_proxies: HttpProxyRules::from_environment(&Environment::from_pairs([("", ""); 0])),
        netrc: Netrc::default(),
        names: upstream::NameServers::default(),
        limits: Limits {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(10),
            idle: Duration::from_secs(10),
            low_speed: 1,
            small: Duration::from_secs(10),
            deadline: Duration::from_secs(10),
            outage: Duration::ZERO,
        },
        first_is_authoritative: false,
        order: upstream::Order::Configured,
        probe_interval: Duration::from_mins(5),
        observer: Arc::new(Nobody),
    });
    let store = Store::open(&folder.path().join("data")).unwrap();
    let depot = Depot::new(store, chain.unwrap(), settings);
    Scene {
        upstream,
        depot,
        _tree: tree,
        _folder: folder,
    }
}

/// From before graph pruning: whoever reads it reads what it requires, too.
fn go_mod(name: &str, count: usize) -> String {
    let mut text = format!("module example.com/{name}\n");
    for number in 0..count {
        writeln!(text, "require example.com/{name}/d{number} v1.0.0").unwrap();
    }
    text
}

impl Scene {
    /// The go.mod files of which modules the upstream was asked for, in order.
    fn asked(&self) -> Vec<String> {
        let requests = self.upstream.requests().into_iter();
        let paths = requests.map(|request| request.path);
        let mut asked: Vec<String> = paths.filter(|path| path.ends_with(".mod")).collect();
        // What is long in coming is asked for twice.
        asked.dedup();
        asked
    }

    fn count(&self, name: &str) -> usize {
        let prefix = format!("/example.com/{name}/");
        self.asked()
            .iter()
            .filter(|path| path.starts_with(&prefix))
            .count()
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(Duration::from_mins(1), async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "{what}: {:?}", self.asked());
    }
}

/// A client asks for the go.mod file of its module, and is given it.
fn begin(prefetch: &Prefetch, client: u8, name: &str, count: usize) {
    let key = FileKey {
        module: ModulePath::new(format!("example.com/{name}").as_str()).unwrap(),
        version: Version::new("v1.0.0").unwrap(),
        kind: FileKind::Mod,
    };
    let client = address(client);
    prefetch.asked(client, &key);
    prefetch.passed(client, &key, &go_mod(name, count).into());
}

fn address(number: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, number])
}

fn one_at_a_time() -> Settings {
    Settings {
        fetches: 1,
        ..Settings::default()
    }
}

#[tokio::test]
async fn each_client_has_its_share_of_what_is_fetched_ahead() {
    let scene = scene(&[("large", 60), ("small", 4)]);
    let prefetch = Prefetch::start(scene.depot.clone(), one_at_a_time());
    let _here = [prefetch.present(address(1)), prefetch.present(address(2))];
    begin(&prefetch, 1, "large", 60);
    begin(&prefetch, 2, "small", 4);
    scene
        .until("the small one is fetched", |scene| {
            scene.count("small") >= 4
        })
        .await;
    let asked = scene.asked();
    let last = asked
        .iter()
        .rposition(|path| path.starts_with("/example.com/small/"));
    assert!(last.unwrap() <= 8, "{asked:?}");
    scene
        .until("the large one is fetched, too", |scene| {
            scene.count("large") >= 60
        })
        .await;
}

#[tokio::test]
async fn nothing_more_is_fetched_for_a_client_that_has_left_until_it_comes_back() {
    let scene = scene(&[("left", 30), ("stays", 10)]);
    scene.upstream.set_delay(Duration::from_millis(20));
    let settings = Settings {
        away: Duration::ZERO,
        ..one_at_a_time()
    };
    let prefetch = Prefetch::start(scene.depot.clone(), settings);
    let leaves = prefetch.present(address(1));
    begin(&prefetch, 1, "left", 30);
    scene
        .until("something is fetched", |scene| scene.count("left") > 0)
        .await;
    drop(leaves);
    let before = scene.count("left");
    let _stays = prefetch.present(address(2));
    begin(&prefetch, 2, "stays", 10);
    scene
        .until("the other is served", |scene| scene.count("stays") >= 10)
        .await;
    // What had begun came to its end.
    assert!(scene.count("left") <= before + 1, "{:?}", scene.asked());
    let _back = prefetch.present(address(1));
    scene
        .until("the rest is fetched", |scene| scene.count("left") >= 30)
        .await;
}

#[tokio::test]
async fn clients_go_before_what_is_fetched_ahead_for_others() {
    let settings = depot::Settings {
        admission: depot::Admission {
            fetches: 1,
            ahead: 1,
            ..depot::Admission::default()
        },
        ..depot::Settings::default()
    };
    let scene = scene_with(&[("ahead", 20), ("wanted", 1)], settings);
    scene.upstream.hold();
    let prefetch = Prefetch::start(scene.depot.clone(), one_at_a_time());
    let _here = prefetch.present(address(1));
    begin(&prefetch, 1, "ahead", 20);
    scene
        .until("something is fetched ahead", |scene| {
            scene.count("ahead") > 0
        })
        .await;
    let key = FileKey {
        module: ModulePath::new("example.com/wanted/d0").unwrap(),
        version: Version::new("v1.0.0").unwrap(),
        kind: FileKind::Mod,
    };
    let context = depot::Context {
        party: depot::Party::Client(address(2)),
        ..depot::Context::default()
    };
    let wanted = scene.depot.file(&key, depot::FetchMode::Allowed, &context);
    let released = async {
        scene
            .until("the client waits for its turn", |scene| {
                scene.depot.waiting() > 0
            })
            .await;
        scene.upstream.release();
    };
    assert!(tokio::join!(wanted, released).0.is_ok());
    // What was under way came to its end, and nothing else before it.
    let asked = scene.asked();
    let turn = asked
        .iter()
        .position(|path| path.contains("/wanted/d0/"))
        .unwrap();
    assert!(turn <= 1, "{asked:?}");
}
