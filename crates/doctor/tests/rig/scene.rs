//! A machine and a network of its own, on loopback, broken in one place.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use doctor::diagnose::{Breadth, Diagnosis, Request, Unwatched, diagnose, diagnose_project};
use doctor::probe::{Ground, HostsFile, Limits, Other, ResolvConf};
use goenv::Environment;
use gomod::{ModulePath, Revision};
use modzip::hash_go_mod;
use sumdb::note::{KeyName, Note, SignerKey};
use sumdb::tlog::Hash;
use tempfile::TempDir;
use testkit::{Answer, Module, Tree, UpstreamServer};

use crate::dns::{self, Dns};
use crate::servers::{Authority, Flaw, tls};

/// The module that everything is asked for, unless a scene says another.
pub(crate) const MODULE: &str = "example.com/sample";
pub(crate) const VERSION: &str = "v1.2.3";
/// The host of the module proxy.
pub(crate) const PROXY: &str = "goproxy.rig.test";

/// A network that works; scenes break it.
pub(crate) struct Scene {
    pub(crate) home: TempDir,
    pub(crate) variables: HashMap<String, String>,
    pub(crate) names: HashMap<String, Dns>,
    pub(crate) resolvers: Option<Vec<SocketAddr>>,
    pub(crate) resolv_conf: String,
    pub(crate) hosts: String,
    pub(crate) upstream: UpstreamServer,
    pub(crate) authority: Authority,
    pub(crate) module: String,
    pub(crate) revision: Option<String>,
    pub(crate) clock_shift: i64,
    pub(crate) repeat: usize,
    pub(crate) others: Vec<Other>,
    pub(crate) auto_configs: Vec<String>,
    signer: SignerKey,
    tree: Tree,
}

impl Scene {
    /// All well: one proxy over TLS, which relays the checksum database too.
    pub(crate) async fn well() -> Self {
        let tree = Tree::temporary();
        let module = Module::new(MODULE, VERSION);
        tree.add(&module);
        let upstream = UpstreamServer::serve(tree.root());
        let authority = Authority::new("Rig");
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("roots.pem"), authority.pem()).unwrap();
        std::fs::create_dir(home.path().join("no-roots")).unwrap();
        let signer = SignerKey::generate(KeyName::parse("sum.rig.test").unwrap()).unwrap();
        let mut scene = Self {
            variables: HashMap::new(),
            names: HashMap::from([(PROXY.to_owned(), Dns::here())]),
            resolvers: None,
            resolv_conf: String::new(),
            hosts: "127.0.0.1 localhost\n".to_owned(),
            upstream,
            authority,
            module: MODULE.to_owned(),
            revision: Some(VERSION.to_owned()),
            clock_shift: 0,
            repeat: 1,
            others: Vec::new(),
            auto_configs: Vec::new(),
            signer,
            home,
            tree,
        };
        let home = scene.home.path().display().to_string();
        scene.set("HOME", &home);
        scene.set("PATH", Environment::from_process().get("PATH").unwrap());
        scene.set("GOENV", "off");
        scene.set("GIT_CONFIG_NOSYSTEM", "1");
        scene.set("SSL_CERT_FILE", &format!("{home}/roots.pem"));
        scene.set("SSL_CERT_DIR", &format!("{home}/no-roots"));
        scene.set("GOSUMDB", &scene.signer.verifier().to_string());
        scene
            .upstream
            .answer("/sumdb/sum.rig.test/supported", Answer::text(""));
        scene.record(
            &module.zip_h1(),
            &hash_go_mod(module.go_mod_text().as_bytes()).to_string(),
        );
        let front = tls(
            &scene.authority,
            PROXY,
            Flaw::None,
            scene.upstream.address(),
        )
        .await;
        scene.set("GOPROXY", &format!("https://{PROXY}:{}", front.port()));
        scene
    }

    /// What the database says of the module.
    pub(crate) fn record(&self, zip: &str, go_mod: &str) {
        let record = format!("{MODULE} {VERSION} {zip}\n{MODULE} {VERSION}/go.mod {go_mod}\n");
        let root = Hash::of_record(record.as_bytes());
        let mut note = Note::new(format!("go.sum database tree\n1\n{root}\n")).unwrap();
        note.sign(&self.signer).unwrap();
        let answer = Answer::text(&format!("0\n{record}\n{note}"));
        self.upstream.answer(
            "/sumdb/sum.rig.test/tile/8/0/000.p/1",
            Answer::status(200).body(root.as_bytes().to_vec()),
        );
        self.upstream.answer(
            format!("/sumdb/sum.rig.test/lookup/{MODULE}@{VERSION}").as_str(),
            answer,
        );
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        &self.variables[name]
    }

    /// The proxy's URL, with more behind it.
    pub(crate) fn chain(&mut self, chain: &str) {
        let proxy = self.get("GOPROXY").to_owned();
        self.set("GOPROXY", &chain.replace("PROXY", &proxy));
    }

    pub(crate) fn name(&mut self, host: &str, says: Dns) {
        self.names.insert(host.to_owned(), says);
    }

    /// Puts another server in place of the proxy, spoken to with TLS.
    pub(crate) fn proxy_at(&mut self, host: &str, server: SocketAddr) {
        self.name(host, Dns::here());
        self.set("GOPROXY", &format!("https://{host}:{}", server.port()));
    }

    /// Gives the module server one more module.
    pub(crate) fn add(&self, module: &Module) {
        self.tree.add(module);
    }

    pub(crate) async fn diagnose(&self, limit: Duration) -> Diagnosis {
        diagnose(&self.ground().await, &self.request(limit), &Unwatched).await
    }

    pub(crate) async fn diagnose_project(&self, limit: Duration) -> Diagnosis {
        diagnose_project(&self.ground().await, &self.request(limit), &Unwatched).await
    }

    async fn ground(&self) -> Ground {
        let server = dns::serve(self.names.clone()).await;
        let conf = ResolvConf::parse(&self.resolv_conf);
        Ground {
            environment: Environment::from_pairs(self.variables.clone()),
            directory: self.home.path().to_owned(),
            root: self.home.path().to_owned(),
            process: None,
            resolv_conf: match &self.resolvers {
                Some(resolvers) if resolvers.is_empty() => conf,
                Some(resolvers) => {
                    // Port 0 stands for the name server of the scene.
                    let own = |address: &SocketAddr| {
                        if address.port() == 0 {
                            server
                        } else {
                            *address
                        }
                    };
                    conf.asking(resolvers.iter().map(own).collect())
                }
                None => conf.asking(vec![server]),
            },
            hosts: HostsFile::parse(Path::new("/etc/hosts"), &self.hosts),
            pins: HashMap::<String, IpAddr>::new(),
            clock_shift: self.clock_shift,
        }
    }

    fn request(&self, limit: Duration) -> Request {
        Request {
            module: ModulePath::new(&self.module).unwrap(),
            revision: self
                .revision
                .as_deref()
                .map(|revision| Revision::new(revision).unwrap()),
            limits: Limits::within(limit),
            repeat: self.repeat,
            breadth: Breadth::Everything,
            others: self.others.clone(),
            auto_configs: self.auto_configs.clone(),
        }
    }
}
