//! What the tests have in common: an upstream with one module, a `modkeep` in front of it, and words for asking.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testkit::http::{self, Connection, Reply};
use testkit::{Modkeep, ModkeepCommand, Module, Tree, UpstreamServer};

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_modkeep");

/// Far longer than anything here takes, so that only a fault is slower.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// The module of [`Scene::new`]: its zip is larger than what is kept in memory, its path has a letter to escape.
pub(crate) const MODULE: &str = "example.com/Acme";
/// The paths at which it is asked for.
pub(crate) const LIST: &str = "/example.com/!acme/@v/list";
pub(crate) const LATEST: &str = "/example.com/!acme/@latest";
pub(crate) const BRANCH: &str = "/example.com/!acme/@v/main.info";
pub(crate) const INFO: &str = "/example.com/!acme/@v/v1.2.3.info";
pub(crate) const MOD: &str = "/example.com/!acme/@v/v1.2.3.mod";
pub(crate) const ZIP: &str = "/example.com/!acme/@v/v1.2.3.zip";

/// All of them.
pub(crate) const PATHS: [&str; 6] = [LIST, LATEST, BRANCH, INFO, MOD, ZIP];

/// How a stored answer says that it is one (RFC 9211).
pub(crate) const HIT: Option<&str> = Some("modkeep; hit");
pub(crate) const MISS: Option<&str> = Some("modkeep; fwd=miss");
pub(crate) const STALE: Option<&str> = Some("modkeep; hit; detail=stale");

/// An upstream, and a folder for a store.
pub(crate) struct Scene {
    pub(crate) tree: Tree,
    pub(crate) upstream: UpstreamServer,
    folder: TempDir,
}

impl Scene {
    /// With one version of [`MODULE`], and a branch of it.
    pub(crate) fn new() -> Self {
        let scene = Self::empty();
        scene.tree.add(&Module::big(MODULE, "v1.2.3", 300_000));
        scene.write(
            BRANCH,
            r#"{"Version":"v1.2.4-0.20210304050607-abcdef123456","Time":"2021-03-04T05:06:07Z"}"#,
        );
        scene
    }

    /// With nothing to serve.
    pub(crate) fn empty() -> Self {
        let tree = Tree::temporary();
        let upstream = UpstreamServer::serve(tree.root());
        Self {
            tree,
            upstream,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A `modkeep` that knows this upstream and no other server.
    pub(crate) fn start(&self) -> Modkeep {
        self.start_with(&[])
    }

    /// With settings, by their names in the configuration file.
    pub(crate) fn start_with(&self, settings: &[(&str, &str)]) -> Modkeep {
        self.command_with(settings).start()
    }

    /// As [`Scene::start_with`], not started yet.
    pub(crate) fn command_with(&self, settings: &[(&str, &str)]) -> ModkeepCommand {
        let url = self.upstream.url();
        let ours = [("upstream", url.as_str()), ("sumdb", "off")];
        ours.iter()
            .chain(settings)
            .fold(self.bare_command(), |command, (name, value)| {
                command.env(&variable(name), value)
            })
    }

    /// With no setting but the store's folder.
    pub(crate) fn bare_command(&self) -> ModkeepCommand {
        isolated(ModkeepCommand::new(BINARY).data(self.data()))
    }

    /// With a configuration file of this content, beside the upstream's address. Gives the file, too.
    pub(crate) fn command_with_file(&self, text: &str) -> (ModkeepCommand, PathBuf) {
        let file = self.file("modkeep.toml");
        fs::write(&file, text).unwrap();
        (self.bare_command().config(&file), file)
    }

    /// The store's folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.file("data")
    }

    /// A file of the store's tree, by the path of its URL.
    pub(crate) fn stored(&self, path: &str) -> PathBuf {
        self.data().join("tree").join(path.trim_start_matches('/'))
    }

    /// A file beside the store.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the upstream has at a path.
    pub(crate) fn source(&self, path: &str) -> Vec<u8> {
        fs::read(self.tree.file(path)).unwrap()
    }

    /// The upstream was asked at a path so many times, not counted what a server asks again because an answer is long in
    /// coming.
    #[track_caller]
    pub(crate) fn assert_asked(&self, modkeep: &Modkeep, path: &str, times: usize) {
        let asked = self.upstream.count(path);
        let most = times + modkeep.second_questions();
        assert!(
            (times..=most).contains(&asked),
            "{path}: asked {asked} times, not {times}"
        );
    }

    /// Lets the upstream have something at a path.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.tree.file(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
}

/// A command that reaches no server outside this machine, whatever goes wrong: the HTTP proxy for everything that is
/// not on loopback is a port where nobody listens.
pub(crate) fn isolated(command: ModkeepCommand) -> ModkeepCommand {
    command
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        // What is down in a test stays down; a test that is about an outage says otherwise.
        .env(&variable("upstreams.outage-wait"), "0s")
        .env("GOENV", "off")
        // These tests count what reaches the upstream because of their own requests.
        .env("MODKEEP_PREFETCH_ENABLED", "false")
}

/// The environment variable of a setting.
pub(crate) fn variable(setting: &str) -> String {
    format!(
        "MODKEEP_{}",
        setting.to_uppercase().replace(['.', '-'], "_")
    )
}

/// Short ways to ask.
pub(crate) trait Ask {
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply;
    fn connect(&self) -> Connection;

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[])
    }

    fn head(&self, path: &str) -> Reply {
        self.ask("HEAD", path, &[])
    }

    /// A connection on which a GET was sent.
    fn begin(&self, path: &str) -> Connection {
        let mut connection = self.connect();
        connection.request("GET", "modkeep", path, &[]).unwrap();
        connection
    }

    /// What comes of a body that the upstream does not give whole: its beginning, and a client that can tell. The head
    /// may be a refusal already, or be lost with the connection.
    fn get_cut(&self, path: &str) -> Vec<u8> {
        match self.begin(path).reply(false) {
            Ok(reply) if reply.status == 200 => {
                assert!(!reply.complete, "{path} came whole");
                reply.body
            }
            Ok(reply) => {
                assert!(reply.status >= 500, "{path}: {}", reply.status);
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    /// The answer from the store: what is fetched is handed out before it is stored, which takes a moment.
    fn get_stored(&self, path: &str) -> Reply {
        let mut last = None;
        within(SOON, &format!("{path} is stored"), || {
            let reply = last.insert(self.get(path));
            reply.header("Cache-Status") == HIT
        });
        last.unwrap()
    }

    /// Waits until so many connections are open, beside the one that asks.
    fn wait_for_connections(&self, count: u64) {
        within(SOON, &format!("{count} connections are open"), || {
            self.metric("modkeep_connections") > count
        });
    }

    /// Waits for the end of all fetches. Until what was fetched is stored it is given to everyone who asks.
    fn settle(&self) {
        within(SOON, "no fetch is under way", || {
            self.metric("modkeep_fetches_in_flight") == 0
        });
    }

    /// A GET that joins no fetch begun before.
    fn get_anew(&self, path: &str) -> Reply {
        self.settle();
        self.get(path)
    }

    /// The value of a metric, named with its labels.
    fn metric(&self, series: &str) -> u64 {
        let text = self.get("/metrics").text();
        text.lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
            .unwrap_or_else(|| panic!("no {series} in\n{text}"))
            .parse()
            .unwrap()
    }
}

impl Ask for Modkeep {
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        http::request(method, &format!("{}{path}", self.url()), headers).unwrap()
    }

    fn connect(&self) -> Connection {
        Connection::open(self.authority()).unwrap()
    }
}

/// Waits until something is so, and fails when it does not become so in time.
pub(crate) fn within(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < until, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until no file of the store is half written. The server itself writes some beside what it is asked for.
pub(crate) fn assert_nothing_unfinished(scene: &Scene) {
    let folder = scene.data().join("tmp");
    within(SOON, "nothing is half written", || {
        files_below(&folder).is_empty()
    });
}

/// The class of an error answer: what stands before the first colon. Such an answer is plain text with a reason, and no
/// cache may keep it unless it says that something does not exist.
pub(crate) fn class_of(reply: &Reply) -> String {
    let text = reply.text();
    assert!(
        text.ends_with('\n') && text.len() > 10,
        "no reason: {text:?}"
    );
    assert_eq!(
        reply.header("Content-Type"),
        Some("text/plain; charset=utf-8"),
        "{text}"
    );
    let absent = matches!(reply.status, 404 | 410);
    let cache_control = reply.header("Cache-Control").unwrap_or_default();
    assert_eq!(
        cache_control == "no-store",
        !absent,
        "{cache_control} {text}"
    );
    text.split(':').next().unwrap_or_default().to_owned()
}

/// A zip of so many bytes that takes no room: a beginning, an end, and a hole between them.
pub(crate) fn write_hollow_zip(path: &Path, len: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = File::create(path).unwrap();
    file.write_all(b"PK\x03\x04").unwrap();
    file.seek(SeekFrom::Start(len - 22)).unwrap();
    let end = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
    file.write_all(&end).unwrap();
}

/// Every file below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}
