//! A client, an upstream and the time between them, simulated: how much sooner a client is done, and what is wasted.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

use gomod::ModuleVersion;
use gomod::modfile::ModFile;
use gomod::mvs::{Limits, Loader, MainModules, Scope, Source, Summary};
use gomod::{ModulePath, Version};
use store::{FileKey, FileKind};
use testkit::{Project, ProjectShape, Tree};

use super::Session;

/// Milliseconds that the upstream takes for a file, and modkeep for one that is stored.
const HIT: u64 = 2;
/// Fetches under way at a time.
const SLOTS: usize = 24;
/// What `go` does at a time on a small machine.
const WORKERS: usize = 2;

/// What is published, and how large it is.
struct World {
    tree: Tree,
    project: Project,
    mains: MainModules,
}

impl World {
    fn new(seed: u64, modules: usize) -> Self {
        let tree = Tree::temporary();
        let project = Project::generate(ProjectShape {
            seed,
            modules,
            padding: 20_000,
        });
        project.publish(&tree);
        let file = ModFile::parse("go.mod", project.go_mod().as_bytes()).unwrap();
        let mains = MainModules::single(&file).unwrap();
        Self {
            tree,
            project,
            mains,
        }
    }

    fn summary(&self, module: &ModuleVersion) -> Arc<Summary> {
        let key = FileKey::of(module, FileKind::Mod);
        let text = std::fs::read(self.tree.file(&key.url_path())).unwrap();
        Arc::new(Summary::parse(&text).unwrap())
    }

    fn size(&self, key: &FileKey) -> u64 {
        std::fs::metadata(self.tree.file(&key.url_path()))
            .unwrap()
            .len()
    }

    /// What the main module requires, in the order of its go.mod file.
    fn required(&self) -> Vec<ModuleVersion> {
        let file = ModFile::parse("go.mod", self.project.go_mod().as_bytes()).unwrap();
        let requires = file.require().iter();
        requires
            .map(|r| {
                ModuleVersion::new(ModulePath::new(&r.path).unwrap(), r.version.clone()).unwrap()
            })
            .collect()
    }
}

/// What there is between client and upstream.
struct Run<'a> {
    world: &'a World,
    delay: u64,
    /// `None`: the client asks the upstream itself.
    session: Option<Session>,
    now: u64,
    /// When a file is stored that is, or is being, fetched.
    stored: HashMap<FileKey, u64>,
    ahead: BTreeMap<(u64, usize), FileKey>,
    count: usize,
    fetched: u64,
}

impl Run<'_> {
    /// Asks for a file; gives back when the client has it.
    fn ask(&mut self, key: &FileKey) -> u64 {
        let module = key.module_version().unwrap();
        if let Some(session) = &mut self.session {
            session.asked(&module, key.kind);
        }
        let size = self.world.size(key);
        let ready = *self.stored.entry(key.clone()).or_insert_with(|| {
            self.fetched += size;
            self.now + self.delay
        });
        self.fill();
        ready.max(self.now) + HIT
    }

    /// The client has a file.
    fn has(&mut self, key: &FileKey) {
        self.learn(key);
        self.fill();
    }

    fn learn(&mut self, key: &FileKey) {
        let module = key.module_version().unwrap();
        if let Some(session) = self.session.as_mut().filter(|_| key.kind == FileKind::Mod) {
            session.learned(&module, &self.world.summary(&module), |_| true);
        }
    }

    fn fill(&mut self) {
        while let Some(session) = self.session.as_mut().filter(|_| self.ahead.len() < SLOTS) {
            let Some(key) = session.next(u64::MAX) else {
                return;
            };
            if self.stored.contains_key(&key) {
                session.spared(&key);
                continue;
            }
            self.fetched += self.world.size(&key);
            let done = self.now + self.delay;
            self.stored.insert(key.clone(), done);
            self.count += 1;
            self.ahead.insert((done, self.count), key);
        }
    }

    /// Lets time pass, and what was fetched ahead arrive.
    fn pass_until(&mut self, until: u64) {
        while let Some((&(done, number), _)) = self
            .ahead
            .first_key_value()
            .filter(|((done, _), _)| *done <= until)
        {
            let key = self.ahead.remove(&(done, number)).unwrap();
            self.now = done;
            let size = self.world.size(&key);
            if let Some(session) = &mut self.session {
                session.fetched(&key, size);
            }
            self.learn(&key);
            self.fill();
        }
        self.now = self.now.max(until);
    }

    /// Asks for files, so many at a time; `next` is given each file that has come and says what is wanted then.
    fn all(
        &mut self,
        first: Vec<FileKey>,
        workers: usize,
        mut next: impl FnMut(&FileKey) -> Vec<FileKey>,
    ) {
        let mut open: VecDeque<FileKey> = first.into();
        let mut under_way: BTreeMap<(u64, usize), FileKey> = BTreeMap::new();
        let mut number = 0;
        loop {
            while let Some(key) = (under_way.len() < workers)
                .then(|| open.pop_front())
                .flatten()
            {
                number += 1;
                let ready = self.ask(&key);
                under_way.insert((ready, number), key);
            }
            let Some(((ready, _), key)) = under_way.pop_first() else {
                return;
            };
            self.pass_until(ready);
            self.has(&key);
            open.extend(next(&key));
        }
    }

    fn walk(&mut self) {
        let mut loader = Loader::new(self.world.mains.clone(), Scope::All, Limits::default());
        let keys = |wanted: Vec<Source>| -> Vec<FileKey> {
            let modules = wanted.into_iter().filter_map(|source| match source {
                Source::Module(module) => Some(FileKey::of(&module, FileKind::Mod)),
                Source::Directory(_) => None,
            });
            modules.collect()
        };
        let first = keys(loader.take_wanted());
        let world = self.world;
        self.all(first, WORKERS, |key| {
            let module = key.module_version().unwrap();
            loader.feed(&Source::Module(module.clone()), Ok(world.summary(&module)));
            keys(loader.take_wanted())
        });
    }

    /// `go mod download`: the graph, the `.info` of what is required one by one, its zips.
    fn download(&mut self) {
        self.walk();
        let required = self.world.required();
        let keys = |kind| {
            required
                .iter()
                .map(|module| FileKey::of(module, kind))
                .collect()
        };
        self.all(keys(FileKind::Info), 1, |_| Vec::new());
        self.all(keys(FileKind::Zip), WORKERS, |_| Vec::new());
    }

    /// `go build`: zips as imports lead to them, each followed by its go.mod file.
    fn build(&mut self) {
        let selected: HashMap<String, ModuleVersion> = self
            .world
            .required()
            .into_iter()
            .map(|module| (module.path().to_string(), module))
            .collect();
        let main = ModFile::parse("go.mod", self.world.project.go_mod().as_bytes()).unwrap();
        let direct = main.require().iter().filter(|require| !require.indirect);
        let mut seen: Vec<String> = direct.map(|require| require.path.clone()).collect();
        let zip = |path: &String| FileKey::of(&selected[path], FileKind::Zip);
        let first = seen.iter().map(zip).collect();
        let world = self.world;
        self.all(first, WORKERS, |key| {
            let module = key.module_version().unwrap();
            if key.kind == FileKind::Zip {
                return vec![FileKey::of(&module, FileKind::Mod)];
            }
            let mut more = Vec::new();
            for required in world.summary(&module).requires() {
                let path = required.path.to_string();
                if !required.indirect && selected.contains_key(&path) && !seen.contains(&path) {
                    more.push(zip(&path));
                    seen.push(path);
                }
            }
            more
        });
        let infos = selected
            .values()
            .map(|module| FileKey::of(module, FileKind::Info));
        let mut infos: Vec<FileKey> = infos.collect();
        infos.sort_by_key(FileKey::url_path);
        // In an order that follows from imports of packages, which nobody here knows.
        fastrand::Rng::with_seed(1).shuffle(&mut infos);
        self.all(infos, WORKERS, |_| Vec::new());
    }
}

#[derive(Clone, Copy)]
enum Client {
    Downloads,
    Builds,
}

/// How often as fast it is with a session, and which part of the fetched bytes was for nothing.
fn compare(world: &World, delay: u64, client: Client) -> (f64, f64) {
    let run = |session| {
        let mut run = Run {
            world,
            delay,
            session,
            now: 0,
            stored: HashMap::new(),
            ahead: BTreeMap::new(),
            count: 0,
            fetched: 0,
        };
        match client {
            Client::Downloads => run.download(),
            Client::Builds => run.build(),
        }
        run
    };
    let straight = run(None);
    let through = run(Some(Session::default()));
    let unused = through.session.as_ref().unwrap().unused_bytes();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let ratio = |a: u64, b: u64| a as f64 / b as f64;
    (
        ratio(straight.now, through.now),
        ratio(unused, through.fetched),
    )
}

#[test]
fn a_download_is_much_faster_and_wastes_little() {
    for (seed, modules) in [(1, 100), (42, 300)] {
        let world = World::new(seed, modules);
        for (delay, at_least) in [(50, 2.0), (150, 3.0)] {
            let (faster, wasted) = compare(&world, delay, Client::Downloads);
            assert!(faster >= at_least && wasted <= 0.1, "{faster} {wasted}");
        }
    }
}

#[test]
fn a_build_is_faster_and_wastes_little() {
    for (seed, modules) in [(2, 100), (42, 300)] {
        let world = World::new(seed, modules);
        for (delay, at_least) in [(50, 4.0), (150, 5.0)] {
            let (faster, wasted) = compare(&world, delay, Client::Builds);
            assert!(
                faster >= at_least && wasted <= 0.1,
                "{modules} modules at {delay} ms: {faster:.2} times, {wasted:.4} wasted"
            );
        }
    }
}

#[test]
fn a_walk_of_the_graph_moves_no_zip_and_no_info() {
    let world = World::new(7, 120);
    let mut run = Run {
        world: &world,
        delay: 50,
        session: Some(Session::default()),
        now: 0,
        stored: HashMap::new(),
        ahead: BTreeMap::new(),
        count: 0,
        fetched: 0,
    };
    run.walk();
    run.pass_until(u64::MAX);
    assert!(run.stored.keys().all(|key| key.kind == FileKind::Mod));
}

fn module(path: &str, version: &str) -> ModuleVersion {
    ModuleVersion::new(
        ModulePath::new(path).unwrap(),
        Version::new(version).unwrap(),
    )
    .unwrap()
}

fn summary(text: &str) -> Summary {
    Summary::parse(text.as_bytes()).unwrap()
}

fn drain(session: &mut Session) -> Vec<String> {
    std::iter::from_fn(|| session.next(u64::MAX))
        .map(|key| key.url_path())
        .collect()
}

#[test]
fn what_a_module_from_before_graph_pruning_requires_is_wanted_at_once() {
    let mut session = Session::default();
    let old = module("a.io/old", "v1.0.0");
    session.asked(&old, FileKind::Mod);
    session.learned(
        &old,
        &summary("module a.io/old\nrequire b.io/b v1.0.0\nrequire c.io/c v1.0.0\n"),
        |_| true,
    );
    assert_eq!(
        drain(&mut session),
        ["b.io/b/@v/v1.0.0.mod", "c.io/c/@v/v1.0.0.mod"]
    );
    // And what those lead to, whatever they are themselves.
    session.learned(
        &module("b.io/b", "v1.0.0"),
        &summary("module b.io/b\ngo 1.21\nrequire d.io/d v1.0.0\n"),
        |_| true,
    );
    assert_eq!(drain(&mut session), ["d.io/d/@v/v1.0.0.mod"]);
}

#[test]
fn a_guess_that_a_higher_version_overtakes_is_given_up() {
    let mut session = Session::default();
    for (path, version) in [("a.io/a", "v1.0.0"), ("a.io/b", "v1.1.0")] {
        let asked = module(path, "v1.0.0");
        session.asked(&asked, FileKind::Mod);
        let text = format!("module {path}\ngo 1.21\nrequire z.io/z {version}\n");
        session.learned(&asked, &summary(&text), |_| true);
    }
    assert_eq!(drain(&mut session), ["z.io/z/@v/v1.1.0.mod"]);
}

#[test]
fn zips_come_only_once_the_client_asks_for_zips() {
    let mut session = Session::default();
    let (a, b) = (module("a.io/a", "v1.0.0"), module("a.io/b", "v1.0.0"));
    for asked in [&a, &b] {
        session.asked(asked, FileKind::Mod);
        session.asked(asked, FileKind::Info);
    }
    assert_eq!(drain(&mut session), [""; 0]);
    session.asked(&a, FileKind::Zip);
    assert_eq!(drain(&mut session), ["a.io/b/@v/v1.0.0.zip"]);
    session.fetched(&FileKey::of(&b, FileKind::Zip), 100);
    assert_eq!(session.unused_bytes(), 100);
    assert_eq!(session.asked(&b, FileKind::Zip), Some(100));
    assert_eq!(session.unused_bytes(), 0);
}

#[test]
fn guesses_keep_within_their_window_and_names_that_must_not_leave_are_not_followed() {
    let mut session = Session::default();
    let asked = module("a.io/a", "v1.0.0");
    session.asked(&asked, FileKind::Mod);
    let mut text = "module a.io/a\ngo 1.21\n".to_owned();
    for number in 0..1_000 {
        let _ = writeln!(
            text,
            "require z.io/z{number} v1.0.0\nrequire corp.io/z{number} v1.0.0"
        );
    }
    session.learned(&asked, &summary(&text), |path| {
        !path.starts_with("corp.io/")
    });
    let wanted = drain(&mut session);
    assert_eq!(wanted.len(), 12);
    assert!(wanted.iter().all(|path| path.starts_with("z.io/")));
}
