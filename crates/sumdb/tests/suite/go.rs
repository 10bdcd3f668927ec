//! The go command as judge: it believes our logs, reads our cache and writes one we can read, and refuses what we
//! refuse in the same words.
#![expect(
    clippy::print_stdout,
    reason = "a test tells how much of the public database it has proven"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sumdb::Error;
use sumdb::client::{Client, RemoteError, run};
use sumdb::log::{LogReader as _, LogWriter};
use sumdb::note::VerifierKey;
use sumdb::record::{ModuleHashes, Part};
use sumdb::tile::{Height, new_tiles};
use testkit::{Go, Module, Tree};

use crate::support::{
    MemoryLog, NAME, World, client, entries, h1, keys, log_of, module, read_log, signer,
};

/// The number of entries in the logs that are about no real module.
const FILLERS: u64 = 600;

fn modules() -> Vec<Module> {
    let module = |n: u32| {
        Module::new(&format!("example.org/Real{n}"), "v1.2.3")
            .file("real.go", &format!("package real\n\nconst N = {n}\n"))
    };
    (0..4).map(module).collect()
}

fn add_all(modules: &[Module], tree: &Tree) {
    for made in modules {
        tree.add(made);
    }
}

fn hashes_of(made: &Module) -> ModuleHashes {
    let version = module(made.path(), made.version());
    ModuleHashes::new(version, &made.zip_h1(), &made.go_mod_h1()).expect("good hashes")
}

/// A log of fillers around the hashes of the modules.
fn log_with(modules: &[Module]) -> MemoryLog {
    let mut log = log_of(FILLERS / 2);
    let mut writer = LogWriter::open(keys(), &mut log).expect("a log");
    for made in modules {
        writer
            .append(&[hashes_of(made)], &mut log)
            .expect("an append");
    }
    writer
        .append(&entries(FILLERS / 2..FILLERS), &mut log)
        .expect("an append");
    log
}

/// Puts what the log serves into the tree, as a proxy for the database.
fn publish(log: &MemoryLog, modules: &[Module], tree: &Tree) {
    let base = tree.root().join("sumdb").join(NAME);
    let write = |path: &str, data: &[u8]| write(&base.join(path), data);
    write("supported", b"");
    let size = log
        .published()
        .expect("a store")
        .expect("heads")
        .tree()
        .expect("a head")
        .size();
    let tiles = new_tiles(Height::STANDARD, 0, size);
    let lookups = modules.iter().map(|made| {
        format!(
            "lookup/{}@{}",
            testkit::escaped(made.path()),
            made.version()
        )
    });
    let paths = tiles
        .iter()
        .map(|tile| tile.path())
        .chain(lookups)
        .chain(["latest".to_owned()]);
    for path in paths {
        write(&path, &read_log(log, &format!("/{path}")).expect("data"));
    }
}

fn write(file: &Path, data: &[u8]) {
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(file, data).expect("a file");
}

/// A go that believes the log's key only.
fn go_for(tree: &Tree) -> Go {
    let key = signer(NAME, 1).verifier().to_string();
    Go::find()
        .proxy(&format!("file://{}", tree.root().display()))
        .sumdb(&key)
}

fn download(go: &Go, made: &Module) -> testkit::GoOutput {
    let module = format!("{}@{}", made.path(), made.version());
    go.run(go.home(), &["mod", "download", &module])
}

fn cache_folder(go: &Go) -> PathBuf {
    go.module_cache().join("cache/download/sumdb")
}

fn kept_file(go: &Go, name: &str) -> PathBuf {
    go.home().join("gopath/pkg/sumdb").join(name).join("latest")
}

/// All files below a folder.
fn files_below(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .strip_prefix(root)
                .expect("below")
                .to_string_lossy()
                .into_owned();
            files.insert(name, fs::read(&path).expect("a file"));
        }
    }
    files
}

/// A world without a server, with what go has kept and cached.
fn world_of_go(go: &Go, name: &str) -> World<'static> {
    let world = World::new(|_| Err(RemoteError::Failed("no network".into())));
    *world.kept.borrow_mut() = Some(fs::read(kept_file(go, name)).expect("a kept head"));
    *world.cache.borrow_mut() = files_below(&cache_folder(go));
    world
}

#[test]
fn go_believes_the_log_and_leaves_a_cache_that_proves_it() {
    let (tree, made) = (Tree::temporary(), modules());
    let log = log_with(&made);
    publish(&log, &made, &tree);
    add_all(&made, &tree);
    let go = go_for(&tree);
    for made in &made {
        download(&go, made).expect_success();
    }

    let world = world_of_go(&go, NAME);
    let client = client(8);
    for (id, made) in (FILLERS / 2..).zip(&made) {
        let record = run(client.lookup(module(made.path(), made.version())), &world);
        let record = record.expect("a proven record");
        assert_eq!((record.id(), record.tree().size()), (id, FILLERS + 4));
        assert_eq!(record.h1(Part::Zip).expect("a hash"), made.zip_h1());
        assert_eq!(record.h1(Part::GoMod).expect("a hash"), made.go_mod_h1());
    }
    assert!(world.take_asked().is_empty());
}

#[test]
fn go_works_from_a_cache_this_client_wrote() {
    let (tree, made) = (Tree::temporary(), modules());
    let log = log_with(&made);
    add_all(&made, &tree);
    let world = World::of(&log);
    let client = client(8);
    for made in &made {
        run(client.lookup(module(made.path(), made.version())), &world).expect("a proven record");
    }

    // The proxy says that it has the database, but has nothing of it.
    write(&tree.root().join("sumdb").join(NAME).join("supported"), b"");
    let go = go_for(&tree);
    for (key, data) in world.cache.borrow().iter() {
        write(&cache_folder(&go).join(key), data);
    }
    write(
        &kept_file(&go, NAME),
        world.kept.borrow().as_ref().expect("a kept head"),
    );
    for made in &made {
        download(&go, made).expect_success();
    }
}

#[test]
fn go_refuses_a_module_with_other_hashes_than_the_log() {
    let (tree, made) = (Tree::temporary(), modules());
    let log = log_with(&made);
    publish(&log, &made, &tree);
    let altered = Module::new(made[1].path(), made[1].version()).file("evil.go", "package real\n");
    tree.add(&altered);
    let complaint = download(&go_for(&tree), &altered).expect_failure();
    assert!(complaint.contains("SECURITY ERROR"), "{complaint}");
    assert!(
        complaint.contains(&made[1].zip_h1()) && complaint.contains(&altered.zip_h1()),
        "{complaint}"
    );
}

#[test]
fn go_and_this_client_report_a_fork_in_the_same_words() {
    let made = modules();
    // Two histories that part after the first fillers, and go on to sizes of which no partial tile is the same: go reads
    // the tiles of the head it has kept, too.
    let (seen, mut shown) = (log_with(&made), log_with(&made[1..]));
    let mut writer = LogWriter::open(keys(), &mut shown).expect("a log");
    let stranger = ModuleHashes::new(module("example.org/x", "v1.0.0"), &h1("zip"), &h1("mod"));
    writer
        .append(&[stranger.expect("good hashes")], &mut shown)
        .expect("an append");
    writer
        .append(&entries(FILLERS..FILLERS + 300), &mut shown)
        .expect("an append");

    let tree = Tree::temporary();
    add_all(&made, &tree);
    publish(&seen, &made, &tree);
    let go = go_for(&tree);
    download(&go, &made[1]).expect_success();
    publish(&shown, &made[1..], &tree);
    // What `go clean -modcache` does. With its old tiles, go would complain of them and never come to the fork.
    fs::remove_dir_all(cache_folder(&go)).expect("a cache");
    let complaint = download(&go, &made[2]).expect_failure();

    let client = client(8);
    let asked = |made: &Module| client.lookup(module(made.path(), made.version()));
    let world = World::of(&seen);
    run(asked(&made[1]), &world).expect("a proven record");
    let world = world.with_server(|path| read_log(&shown, path));
    let error = run(asked(&made[2]), &world).expect_err("a fork");
    let Error::Fork(fork) = &error else {
        panic!("{error}")
    };
    assert!(fork.proof.len() > 3);
    assert!(
        complaint.contains(&fork.to_string()),
        "go says\n{complaint}\nand we say\n{fork}"
    );
}

#[test]
fn go_and_this_client_refuse_the_same_altered_tiles() {
    let made = modules();
    let log = log_with(&made);
    let honest = World::of(&log);
    let asked = module(made[0].path(), made[0].version());
    run(client(8).lookup(asked.clone()), &honest).expect("a proven record");
    let paths = honest.take_asked();
    assert!(paths.len() > 3, "{paths:?}");
    for path in paths {
        let tree = Tree::temporary();
        add_all(&made, &tree);
        publish(&log, &made, &tree);
        let mut data = read_log(&log, &path).expect("data");
        let position = data.len() / 3;
        data[position] ^= 1;
        write(
            &tree
                .root()
                .join("sumdb")
                .join(NAME)
                .join(path.trim_start_matches('/')),
            &data,
        );
        download(&go_for(&tree), &made[0]).expect_failure();

        let altered = World::new(|other| {
            if other == path {
                Ok(data.clone())
            } else {
                read_log(&log, other)
            }
        });
        run(client(8).lookup(asked.clone()), &altered).expect_err(&path);
    }
}

/// The key of the public database, as the go command has it built in.
const PUBLIC_KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

#[test]
fn the_public_database_is_proven_from_what_go_has_cached() {
    if std::env::var_os("MODKEEP_LIVE").is_none_or(|live| live != "1") {
        println!("skipped: the public checksum database (MODKEEP_LIVE is not 1)");
        return;
    }
    let go = Go::find()
        .proxy("https://proxy.golang.org")
        .sumdb("sum.golang.org");
    let asked = [
        ("rsc.io/quote", "v1.5.2"),
        ("golang.org/x/text", "v0.3.0"),
        ("github.com/BurntSushi/toml", "v0.3.1"),
        ("gopkg.in/yaml.v3", "v3.0.1"),
        ("github.com/golang-jwt/jwt", "v3.2.2+incompatible"),
        ("golang.org/x/mod", "v0.24.0"),
    ];
    for (path, version) in asked {
        go.run(
            go.home(),
            &["mod", "download", &format!("{path}@{version}")],
        )
        .expect_success();
    }
    let client =
        Client::new(VerifierKey::parse(PUBLIC_KEY).expect("a key")).expect("a key for notes");
    let world = world_of_go(&go, "sum.golang.org");
    for (path, version) in asked {
        let module = module(path, version);
        let record = run(client.lookup(module.clone()), &world).expect("a proven record");
        let files = go
            .module_cache()
            .join("cache/download")
            .join(module.path().escaped());
        let sum = files
            .join("@v")
            .join(format!("{}.ziphash", module.version().escaped()));
        let downloaded = fs::read_to_string(sum).expect("a hash");
        assert_eq!(record.h1(Part::Zip).expect("a hash"), downloaded.trim());
        println!(
            "{module}: record {} of {}",
            record.id(),
            record.tree().size()
        );
    }
}
