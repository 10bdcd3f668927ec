//! Mirrors with names of their own, all on loopback.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use doctor::diagnose::Unwatched;
use doctor::mirrors::{
    Advice, Comparison, Database, Kind, Mirror, Request, Sample, Surroundings, candidates, compare,
    read_url,
};
use doctor::probe::{Ground, HostsFile, ResolvConf};
use goenv::goproxy::ProxyList;
use goenv::gosumdb::SumdbSetting;
use goenv::{Environment, GoEnv, Key};
use tempfile::TempDir;
use testkit::{ChecksumDatabase, Module, Tree, UpstreamServer};

/// The module everything is measured with.
pub(crate) const MODULE: &str = "example.com/sample";
/// Another one, big enough to say something about throughput.
pub(crate) const BIG: &str = "example.com/big";
pub(crate) const DATABASE: &str = "sum.mirrors.test";
/// Much longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn sample(version: &str) -> Module {
    Module::new(MODULE, version).file("sample.go", "package sample\n")
}

/// A mirror.
pub(crate) struct Place {
    /// Kept, so that its directory stays.
    _tree: Tree,
    pub(crate) server: UpstreamServer,
    pub(crate) url: String,
}

/// Mirrors, a database, and a machine that knows no other host.
pub(crate) struct Scene {
    pub(crate) home: TempDir,
    pub(crate) database: ChecksumDatabase,
    pub(crate) variables: HashMap<String, String>,
    pub(crate) places: Vec<Place>,
    pub(crate) samples: Vec<&'static str>,
    pub(crate) added: Vec<String>,
    pub(crate) goproxy_only: bool,
    pub(crate) repeat: usize,
    pub(crate) total: Duration,
}

impl Scene {
    /// A database that knows three versions of the sample, and no mirror yet.
    pub(crate) fn new() -> Self {
        let database = ChecksumDatabase::new(DATABASE, 1);
        for version in ["v1.0.0", "v1.1.0", "v1.2.0"] {
            database.add(&sample(version));
        }
        database.add(&Module::big(BIG, "v1.0.0", 200_000));
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().display().to_string();
        let variables = [
            ("HOME", directory.as_str()),
            ("PATH", "/usr/bin:/bin"),
            ("GOENV", &format!("{directory}/go.env")),
            ("GOMODCACHE", &format!("{directory}/cache")),
            ("GOSUMDB", &database.key()),
            ("GOROOT", "/nowhere"),
        ];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        std::fs::write(home.path().join("go.env"), "GOPROXY=direct\n").unwrap();
        Self {
            home,
            database,
            variables,
            places: Vec::new(),
            samples: vec!["example.com/sample@v1.0.0", "example.com/big@v1.0.0"],
            added: Vec::new(),
            goproxy_only: false,
            repeat: 5,
            total: PATIENCE,
        }
    }

    /// Adds a mirror that has everything and relays the database.
    pub(crate) fn mirror(&mut self, name: &str) -> &Place {
        self.mirror_with(name, &["v1.0.0", "v1.1.0", "v1.2.0"])
    }

    /// Adds a mirror that knows these versions of the sample.
    pub(crate) fn mirror_with(&mut self, name: &str, versions: &[&str]) -> &Place {
        let tree = Tree::temporary();
        for version in versions {
            tree.add(&sample(version));
        }
        tree.add(&Module::big(BIG, "v1.0.0", 200_000));
        self.database.be_relayed_in(&tree);
        self.mirror_of(name, tree)
    }

    /// Adds a mirror that serves a tree.
    pub(crate) fn mirror_of(&mut self, name: &str, tree: Tree) -> &Place {
        let server = UpstreamServer::serve(tree.root());
        let url = format!("http://{name}.mirrors.test:{}", server.address().port());
        self.added.push(url.clone());
        self.places.push(Place {
            _tree: tree,
            server,
            url,
        });
        self.places.last().unwrap()
    }

    /// Adds something that is no mirror of a tree.
    pub(crate) fn server_at(&mut self, url: &str) {
        self.added.push(url.to_owned());
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Sets GOPROXY where `go env -w` does.
    pub(crate) fn goproxy(&self, value: &str) {
        std::fs::write(self.go_env_file(), format!("GOPROXY={value}\n")).unwrap();
    }

    pub(crate) fn go_env_file(&self) -> std::path::PathBuf {
        self.home.path().join("go.env")
    }

    pub(crate) fn environment(&self) -> Environment {
        Environment::from_pairs(self.variables.clone())
    }

    pub(crate) fn settings(&self) -> GoEnv {
        GoEnv::load(&self.environment())
    }

    pub(crate) fn ground(&self) -> Ground {
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        let hosts =
            ["a", "b", "c", "d", "e", "bad", "own.corp"].map(|name| format!("{name}.mirrors.test"));
        let dead = ["goproxy.qiniu.com", "goproxy.corp.mirrors.internal"].map(str::to_owned);
        // Nobody answers there, so that no name leaves this machine.
        let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
        Ground {
            environment: self.environment(),
            directory: self.home.path().to_owned(),
            root: self.home.path().to_owned(),
            process: None,
            resolv_conf: ResolvConf::parse("").asking(vec![nobody]),
            hosts: HostsFile::parse(Path::new("/etc/hosts"), "127.0.0.1 localhost\n"),
            pins: hosts
                .into_iter()
                .chain(dead)
                .map(|host| (host, here))
                .collect(),
            clock_shift: 0,
        }
    }

    pub(crate) fn database(&self) -> Database {
        let setting = self.settings().value(Key::GOSUMDB).to_owned();
        let setting = if setting == "off" {
            self.database.key()
        } else {
            setting
        };
        Database::of(&SumdbSetting::parse(&setting).unwrap()).unwrap()
    }

    pub(crate) fn request(&self) -> Request {
        let settings = self.settings();
        let goproxy = ProxyList::parse(settings.value(Key::GOPROXY)).ok();
        let added: Vec<_> = self
            .added
            .iter()
            .map(|url| read_url(url).unwrap())
            .collect();
        let added = if self.goproxy_only { Vec::new() } else { added };
        Request {
            candidates: candidates(&added, goproxy.as_ref(), false),
            samples: self
                .samples
                .iter()
                .map(|text| Sample::parse(text).unwrap())
                .collect(),
            database: self.database(),
            total: self.total,
            repeat: self.repeat,
        }
    }

    pub(crate) async fn compare(&self) -> Comparison {
        compare(&self.ground(), &self.request(), &Unwatched).await
    }

    pub(crate) fn advice(&self, comparison: &Comparison) -> Advice {
        let (settings, environment) = (self.settings(), self.environment());
        comparison.advice(&Surroundings {
            settings: &settings,
            environment: &environment,
        })
    }
}

/// The mirror with this name in its host.
pub(crate) fn of<'a>(comparison: &'a Comparison, name: &str) -> &'a Mirror {
    let found = comparison
        .mirrors
        .iter()
        .find(|mirror| mirror.candidate.shown().contains(&format!("//{name}.")));
    found.unwrap_or_else(|| panic!("{name} is not among {:?}", names(comparison)))
}

/// The first letters of the hosts, in order.
pub(crate) fn names(comparison: &Comparison) -> Vec<String> {
    let first = |mirror: &Mirror| {
        let shown = mirror.candidate.shown();
        shown
            .split("//")
            .nth(1)
            .unwrap()
            .split('.')
            .next()
            .unwrap()
            .to_owned()
    };
    comparison.mirrors.iter().map(first).collect()
}

/// Which remarks are made.
pub(crate) fn kinds(mirror: &Mirror) -> Vec<Kind> {
    mirror.remarks.iter().map(|remark| remark.kind).collect()
}
