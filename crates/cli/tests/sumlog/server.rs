//! A server with a log of its own, and the real `go` as its client.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sumdb::log::{Resource, serve};
use sumdb::note::{CosignerKey, KeyName, Note};
use sumlog::KeyRing;
use tempfile::TempDir;
use testkit::{Go, GoOutput, Modkeep, ModkeepCommand, Module, Tree, UpstreamServer, http};

use crate::scene::{NAME, modkeep};

const BINARY: &str = env!("CARGO_BIN_EXE_modkeep");
/// The database in which the public modules of the test are.
const PUBLIC: &str = "public.example.net";
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn module(path: &str, content: &str) -> Module {
    Module::new(path, "v1.2.3").file("m.go", &format!("package m\n\n// {content}\n"))
}

/// A server with private modules in its store, an upstream with public ones, and a database that has those.
pub(crate) struct Scene {
    folder: TempDir,
    pub(crate) public: Vec<Module>,
    pub(crate) private: Vec<Module>,
    /// In the database, and nowhere else.
    planted: Module,
    upstream: UpstreamServer,
    pub(crate) tree: Tree,
    pub(crate) database: Database,
    pub(crate) keys: KeyRing,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let public: Vec<_> = (0..3)
            .map(|n| module(&format!("example.org/Public{n}"), "public"))
            .collect();
        let private: Vec<_> = (0..2)
            .map(|n| module(&format!("corp.example.com/Private{n}"), "private"))
            .collect();
        let planted = module("example.org/Planted", "public");
        let tree = Tree::temporary();
        for module in &public {
            tree.add(module);
        }
        let scene = Self {
            folder: tempfile::tempdir().unwrap(),
            upstream: UpstreamServer::serve(tree.root()),
            tree,
            database: Database::of(public.iter().chain([&planted])),
            planted,
            public,
            private,
            keys: crate::scene::keys(),
        };
        scene.write_key(&scene.keys);
        scene.store_private(&scene.private);
        scene
    }

    fn key_file(&self) -> std::path::PathBuf {
        self.folder.path().join("log.key")
    }

    fn write_key(&self, keys: &KeyRing) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::write(self.key_file(), keys.reveal().unwrap().as_str()).unwrap();
        fs::set_permissions(self.key_file(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Puts modules into the store, as a copied tree would.
    fn store_private(&self, modules: &[Module]) {
        let tree = Tree::at(self.folder.path().join("data/tree"));
        for module in modules {
            tree.add(module);
        }
    }

    pub(crate) fn command(&self) -> ModkeepCommand {
        ModkeepCommand::new(BINARY)
            .data(self.folder.path().join("data"))
            .upstream(&self.upstream.url())
            .sumdb(&self.database.setting())
            .flag("--private", "corp.example.com")
            .flag("--sumlog", NAME)
            .env("MODKEEP_SUMLOG_KEY", self.key_file())
            .env("GOENV", "off")
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
    }

    fn modules(&self) -> impl Iterator<Item = &Module> {
        self.public.iter().chain(&self.private)
    }
}

/// A checksum database in a folder, on a server of its own.
pub(crate) struct Database {
    keys: KeyRing,
    _site: TempDir,
    pub(crate) server: UpstreamServer,
}

impl Database {
    fn of<'m>(modules: impl Iterator<Item = &'m Module>) -> Self {
        let modules: Vec<&Module> = modules.collect();
        let name = sumlog::LogName::parse(PUBLIC).unwrap();
        let keys = KeyRing::generate(&name).unwrap();
        let data = tempfile::tempdir().unwrap();
        let site = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let options = sumlog::LogOptions::new(data.path(), name.clone());
        let copy = KeyRing::parse(&keys.reveal().unwrap()).unwrap();
        let log = sumlog::Log::open(options, copy).unwrap();
        runtime.block_on(async {
            for made in &modules {
                let path = gomod::ModulePath::new(made.path()).unwrap();
                let version = gomod::Version::new(made.version()).unwrap();
                let about = gomod::ModuleVersion::new(path, version).unwrap();
                let hashes =
                    sumdb::record::ModuleHashes::new(about, &made.zip_h1(), &made.go_mod_h1());
                log.append(hashes.unwrap()).await.unwrap();
            }
            log.close().await;
        });
        let files = sumlog::LogFiles::open(&name.directory(data.path())).unwrap();
        let lookups = modules.iter().map(|made| {
            format!(
                "lookup/{}@{}",
                testkit::escaped(made.path()),
                made.version()
            )
        });
        let size = u64::try_from(modules.len()).unwrap();
        let tiles = sumdb::tile::new_tiles(sumdb::tile::Height::STANDARD, 0, size);
        let paths = lookups.chain(tiles.iter().map(|tile| tile.path()));
        for path in paths.chain(["latest".to_owned()]) {
            let body = serve(&Resource::parse(&format!("/{path}")).unwrap(), &files)
                .unwrap()
                .body;
            let file = site.path().join(&path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, body).unwrap();
        }
        let server = UpstreamServer::serve(site.path());
        Self {
            keys,
            _site: site,
            server,
        }
    }

    pub(crate) fn setting(&self) -> String {
        format!("{} {}", self.keys.verifier(), self.server.url())
    }
}

fn download(go: &Go, module: &Module) -> GoOutput {
    let module = format!("{}@{}", module.path(), module.version());
    go.run(go.home(), &["mod", "download", &module])
}

fn lookup_path(module: &Module) -> String {
    format!(
        "/sumdb/{NAME}/lookup/{}@{}",
        testkit::escaped(module.path()),
        module.version()
    )
}

fn get(modkeep: &Modkeep, path: &str) -> http::Reply {
    http::get(&format!("{}{path}", modkeep.url())).unwrap()
}

fn size_of(modkeep: &Modkeep) -> u64 {
    let latest = get(modkeep, &format!("/sumdb/{NAME}/latest")).text();
    latest.lines().nth(1).unwrap().parse().unwrap()
}

/// Waits for an event.
fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn audit(modkeep_server: &Modkeep, key: &str) -> crate::scene::Ended {
    let home = tempfile::tempdir().unwrap();
    let url = format!("{}/sumdb/{NAME}", modkeep_server.url());
    modkeep(home.path(), &["log", "audit", &url, "--key", key], &[])
}

#[test]
fn go_verifies_public_and_private_modules_against_the_one_log() {
    let scene = Scene::new();
    let server = scene.command().start();
    let key = scene.keys.verifier().to_string();
    let through_the_proxy = key.clone();
    let straight = format!("{key} {}/sumdb/{NAME}", server.url());
    for setting in [through_the_proxy, straight] {
        // Twice, with nothing left of the first time.
        for _ in 0..2 {
            let go = Go::find().proxy(server.url()).sumdb(&setting);
            for module in scene.modules() {
                download(&go, module).expect_success();
            }
        }
    }
    assert_eq!(size_of(&server), 5);
    let audited = audit(&server, &key);
    assert_eq!(
        audited.code,
        Some(0),
        "{}{}",
        audited.stdout,
        audited.stderr
    );
    for asked in scene
        .database
        .server
        .requests()
        .iter()
        .chain(scene.upstream.requests().iter())
    {
        assert!(
            !asked.path.contains("corp.example.com"),
            "{} left",
            asked.path
        );
    }
}

#[test]
fn a_rewritten_private_version_is_caught_by_go_itself() {
    let scene = Scene::new();
    let key = scene.keys.verifier().to_string();
    let victim = &scene.private[0];
    {
        let server = scene.command().start();
        let go = Go::find().proxy(server.url()).sumdb(&key);
        download(&go, victim).expect_success();
    }
    // Somebody moves the tag, and the store is lost, but not the log.
    fs::remove_dir_all(scene.folder.path().join("data/tree")).unwrap();
    let rewritten = module(victim.path(), "with a back door");
    scene.store_private(std::slice::from_ref(&rewritten));
    let server = scene.command().start();
    let go = Go::find().proxy(server.url()).sumdb(&key);
    let complaint = download(&go, &rewritten).expect_failure();
    assert!(complaint.contains("SECURITY ERROR"), "{complaint}");
    assert!(complaint.contains(&victim.zip_h1()), "{complaint}");
    assert_eq!(size_of(&server), 1);
}

#[test]
fn what_is_served_enters_the_log_without_anybody_asking() {
    let scene = Scene::new();
    let server = scene.command().start();
    let go = Go::find().proxy(server.url()).sumdb("off");
    for module in scene.modules() {
        download(&go, module).expect_success();
    }
    eventually("five records", || size_of(&server) == 5);
    let metrics = || get(&server, "/metrics").text();
    eventually("counting five records", || {
        metrics().contains("modkeep_sumlog_records_total 5")
    });
    let metrics = metrics();
    assert!(
        metrics.contains("modkeep_sumlog_contradictions_total 0"),
        "{metrics}"
    );
}

#[test]
fn what_the_public_database_does_not_vouch_for_does_not_enter_the_log() {
    let mut scene = Scene::new();
    // In the upstream, but not in the database; and with other bytes than the database has.
    let stranger = module("example.org/Stranger", "unknown");
    let forged = module(scene.public[0].path(), "forged");
    let planted = module(scene.planted.path(), "forged");
    scene.store_private(std::slice::from_ref(&planted));
    scene.tree.add(&stranger);
    scene.tree.add(&forged);
    let server = scene.command().start();
    // What somebody put into the store is refused when it is looked up.
    let assert_both_are_named = |reply: &http::Reply, forged: &Module, honest: &Module| {
        assert_eq!(reply.status, 502, "{}", reply.text());
        for hash in [forged.zip_h1(), honest.zip_h1()] {
            assert!(reply.text().contains(&hash), "{}", reply.text());
        }
    };
    let refused = get(&server, &lookup_path(&planted));
    assert_both_are_named(&refused, &planted, &scene.planted);
    // Of what an upstream forged, the log says what the database says; the forged file is refused on its way in.
    let honest = &scene.public[0];
    let record = get(&server, &lookup_path(&forged)).text();
    assert!(record.contains(&honest.zip_h1()), "{record}");
    let refused = get(&server, &format!("/{}.zip", forged.stem()));
    assert_both_are_named(&refused, &forged, honest);
    assert_eq!(get(&server, &lookup_path(&stranger)).status, 403);
    // The database is gone: nothing new can be said about public modules, and what is known stays.
    assert_eq!(get(&server, &lookup_path(&scene.public[1])).status, 200);
    scene.database.server.stop();
    let unreachable = get(&server, &lookup_path(&scene.public[2]));
    assert!(
        unreachable.status >= 500,
        "{} {}",
        unreachable.status,
        unreachable.text()
    );
    assert_eq!(get(&server, &lookup_path(&scene.public[1])).status, 200);
    assert_eq!(size_of(&server), 2);
}

#[test]
fn for_a_look_up_of_a_public_version_no_file_of_it_is_fetched() {
    let scene = Scene::new();
    let server = scene.command().start();
    for module in &scene.public {
        let record = get(&server, &lookup_path(module)).text();
        for hash in [module.zip_h1(), module.go_mod_h1()] {
            assert!(record.contains(&hash), "{record}");
        }
    }
    let asked = scene.upstream.requests();
    let is_file = |path: &str| path.ends_with(".zip") || path.ends_with(".mod");
    assert!(
        !asked.iter().any(|request| is_file(&request.path)),
        "{asked:?}"
    );
    // Those of a private one have no other source.
    let record = get(&server, &lookup_path(&scene.private[0])).text();
    assert!(record.contains(&scene.private[0].zip_h1()), "{record}");
    assert_eq!(size_of(&server), 4);
}

#[test]
fn absence_is_404_and_nonsense_400() {
    let scene = Scene::new();
    let server = scene.command().start();
    let at = |rest: &str| get(&server, &format!("/sumdb/{NAME}/{rest}"));
    assert_eq!(at("supported").status, 200);
    assert_eq!(at("checkpoint").status, 200);
    let table = [
        ("tile/8/0/000", 404),
        ("tile/8/0/000.p/1", 404),
        ("other", 404),
        ("lookup/example.org/x", 400),
        ("lookup/Example.org/x@v1.0.0", 400),
        ("lookup/example.org/x@main", 400),
        ("tile/8/0/0", 400),
    ];
    for (path, status) in table {
        let reply = at(path);
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
    }
    assert_eq!(get(&server, "/sumdb/sum.example.comx/latest").status, 404);
    assert_eq!(
        get(
            &server,
            &format!("/cached-only/{}", &lookup_path(&scene.private[0])[1..])
        )
        .status,
        404
    );
    assert_eq!(size_of(&server), 0);
}

#[test]
fn during_a_rotation_go_believes_either_key() {
    let scene = Scene::new();
    let old = scene.keys.verifier().to_string();
    let first = Go::find();
    let first = {
        let server = scene.command().start();
        let go = first.proxy(server.url()).sumdb(&old);
        download(&go, &scene.private[0]).expect_success();
        go
    };
    let rotated = KeyRing::parse(&scene.keys.reveal().unwrap())
        .unwrap()
        .rotate()
        .unwrap();
    scene.write_key(&rotated);
    let server = scene.command().start();
    // The old client keeps what it has seen of the log.
    let first = first.proxy(server.url());
    download(&first, &scene.private[1]).expect_success();
    let second = Go::find()
        .proxy(server.url())
        .sumdb(&rotated.verifier().to_string());
    download(&second, &scene.private[1]).expect_success();
}

#[test]
fn a_cosignature_is_taken_from_a_witness_and_from_nobody_else() {
    let scene = Scene::new();
    let witness = CosignerKey::generate(KeyName::parse("witness.example.org").unwrap()).unwrap();
    let stranger = CosignerKey::generate(KeyName::parse("other.example.org").unwrap()).unwrap();
    let server = scene
        .command()
        .env("MODKEEP_SUMLOG_WITNESSES", witness.verifier().to_string())
        .start();
    let key = scene.keys.verifier().to_string();
    download(
        &Go::find().proxy(server.url()).sumdb(&key),
        &scene.private[0],
    )
    .expect_success();
    let checkpoint = || get(&server, &format!("/sumdb/{NAME}/checkpoint")).text();
    let text = Note::parse(checkpoint().as_bytes())
        .unwrap()
        .text()
        .to_owned();
    let post = |body: &str| post(&server, "/api/v1/sumlog/cosignatures", body);
    let line = witness.cosign(&text, 1_700_000_000).unwrap().to_string();
    assert_eq!(post(&stranger.cosign(&text, 5).unwrap().to_string()), 403);
    assert_eq!(post("hello\n"), 400);
    assert_eq!(
        post(
            &witness
                .cosign(&text.replace("\n1\n", "\n2\n"), 5)
                .unwrap()
                .to_string()
        ),
        409
    );
    assert_eq!(post(&"x".repeat(70_000)), 400);
    assert!(!checkpoint().contains("witness.example.org"));
    assert_eq!(post(&format!("{line}\n")), 200);
    assert!(checkpoint().contains(&line), "{}", checkpoint());
    // Go takes the log as before.
    download(
        &Go::find().proxy(server.url()).sumdb(&key),
        &scene.private[0],
    )
    .expect_success();
}

/// POSTs by hand and returns the status.
fn post(server: &Modkeep, path: &str, body: &str) -> u16 {
    use std::io::{Read as _, Write as _};
    let address = server.url().strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let _refused_early = stream.write_all(body.as_bytes());
    let mut reply = Vec::new();
    let _reset_after_the_answer = stream.read_to_end(&mut reply);
    let reply = String::from_utf8_lossy(&reply);
    reply.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn without_a_usable_key_there_is_no_start() {
    let scene = Scene::new();
    let start = |command: ModkeepCommand| {
        let exit = command.try_start().unwrap_err();
        assert_eq!(exit.code, Some(2), "{}", exit.stderr);
        exit.stderr
    };
    let missing = start(
        scene
            .command()
            .env("MODKEEP_SUMLOG_KEY", scene.folder.path().join("none")),
    );
    assert!(missing.contains("modkeep key generate"), "{missing}");
    let other = KeyRing::generate(&sumlog::LogName::parse("other.example.com").unwrap()).unwrap();
    scene.write_key(&other);
    let other = start(scene.command());
    assert!(other.contains("other.example.com"), "{other}");
    scene.write_key(&scene.keys);
    drop(scene.command().start());
    assert!(
        Path::new(
            &scene
                .folder
                .path()
                .join("data/sumlog")
                .join(NAME)
                .join("signed")
        )
        .is_file()
    );
}
