//! Everything an upstream or a checksum database can do to get wrong bytes past this server. In every case nobody has the
//! whole of them, nothing is stored, and it is never called absence.

use std::thread;

use sumdb::record::ModuleHashes;
use sumdb::tlog::RecordText;
use testkit::{Answer, ChecksumDatabase, Fault, Modkeep, Module, Packing};

use crate::scene::{
    Ask as _, MOD, MODULE, Scene, ZIP, assert_nothing_unfinished, class_of, files_below,
};

const VERSION: &str = "v1.2.3";
const NAME: &str = "sum.example.com";
const LOOKUP: &str = "/lookup/example.com/!acme@v1.2.3";
/// The record in question lies in the first tile, which is full, so that it has a parent.
const RECORDS: usize = 300;
const LEAVES: &str = "/tile/8/0/000";
const EDGE: &str = "/tile/8/0/001.p/44";
const PARENT: &str = "/tile/8/1/000.p/1";

/// The module as it is, small.
fn small() -> Module {
    Module::new(MODULE, VERSION)
        .file("a.go", "package acme\n")
        .packing(Packing::Stored)
}

/// As it is, in a size that is streamed.
fn large() -> Module {
    Module::big(MODULE, VERSION, 300_000)
}

/// What somebody would like to have built.
fn evil(module: &Module) -> Module {
    module.clone().file("a.go", "package acme // evil\n")
}

fn record_of(module: &Module) -> RecordText {
    let path = gomod::ModulePath::new(module.path()).unwrap();
    let version = gomod::Version::new(module.version()).unwrap();
    let version = gomod::ModuleVersion::new(path, version).unwrap();
    let hashes = ModuleHashes::new(version, &module.zip_h1(), &module.go_mod_h1());
    hashes.unwrap().record().clone()
}

/// A database that knows the module as it is, and so many others.
fn database_of(module: &Module, records: usize) -> ChecksumDatabase {
    let database = ChecksumDatabase::new(NAME, 1);
    database.add(&Module::new("example.com/first", VERSION));
    database.add(module);
    for number in 2..records {
        database.add(&Module::new(&format!("example.com/more{number}"), VERSION));
    }
    database.answer_with_newest_head();
    database
}

/// An upstream, a database that knows the module as it is, and a server between them and the clients.
struct Stage {
    scene: Scene,
    database: ChecksumDatabase,
    module: Module,
    modkeep: Modkeep,
}

impl Stage {
    fn new(module: Module, known: &ChecksumDatabase) -> Self {
        let database = ChecksumDatabase::new(NAME, 1);
        database.become_like(known);
        let scene = Scene::empty();
        scene.tree.add(&module);
        let modkeep = scene.start_with(&[("sumdb", &database.setting())]);
        Self {
            scene,
            database,
            module,
            modkeep,
        }
    }

    /// Lets the upstream send something else.
    fn send(&self, path: &str, body: impl Into<Vec<u8>>) {
        let answer = Answer::status(200).body(body);
        self.scene.upstream.answer(path, answer);
    }

    /// Lets the upstream send wrong bytes, for which the database is to be made to vouch.
    fn send_evil(&self) -> Module {
        let evil = evil(&self.module);
        self.send(ZIP, evil.zip());
        evil
    }

    fn says(&self, path: &str) -> String {
        String::from_utf8(self.database.read(path)).unwrap()
    }

    /// Replaces the record in the answer to the look-up by that of another module, in place of the true one.
    fn forge_record(&self, record: &RecordText) {
        let answer = self.says(LOOKUP);
        let (number, rest) = answer.split_once('\n').unwrap();
        let (_, note) = rest.split_once("\n\n").unwrap();
        let forged = format!("{number}\n{record}\n{note}");
        self.database.write(LOOKUP, forged.as_bytes());
    }

    fn forge_hash(&self, tile: &str, position: usize, hash: &[u8]) {
        let mut bytes = self.database.read(tile);
        bytes[position * 32..][..32].copy_from_slice(hash);
        self.database.write(tile, &bytes);
    }

    /// Asks as many clients at once, and expects that none gets the file. Returns what they were told.
    fn assert_refused(&self, case: &str, path: &str) -> String {
        let told: Vec<String> = thread::scope(|scope| {
            let clients: Vec<_> = (0..6)
                .map(|_| scope.spawn(|| self.told_to_one(case, path)))
                .collect();
            let told = clients.into_iter().map(|client| client.join().unwrap());
            told.collect()
        });
        self.modkeep.settle();
        assert!(!self.scene.stored(path).exists(), "{case}: stored");
        assert_nothing_unfinished(&self.scene);
        // Whoever comes later fares no better.
        let later = self.told_to_one(case, path);
        self.modkeep.settle();
        assert!(!self.scene.stored(path).exists(), "{case}: stored later");
        let mut all: Vec<String> = told.into_iter().chain([later]).collect();
        all.sort();
        all.dedup();
        all.join(", ")
    }

    fn told_to_one(&self, case: &str, path: &str) -> String {
        let (status, body, told) = match self.modkeep.begin(path).reply(false) {
            Ok(reply) if reply.status == 200 => {
                assert!(!reply.complete, "{case}: {path} came whole");
                (200, reply.body, "cut".to_owned())
            }
            Ok(reply) => (reply.status, Vec::new(), class_of(&reply)),
            Err(_) => (0, Vec::new(), "cut".to_owned()),
        };
        assert!(matches!(status, 0 | 200 | 500..=599), "{case}: {status}");
        let end = body.windows(4).any(|four| four == b"PK\x05\x06");
        assert!(!end, "{case}: what {} bytes hold can be opened", body.len());
        told
    }
}

/// One way to lie, and what clients may be told of it.
struct Case {
    name: &'static str,
    /// Which file is asked for.
    path: &'static str,
    /// Set up on a stage with a module of this size and a database of so many records.
    module: fn() -> Module,
    records: usize,
    lie: fn(&Stage),
    told: &'static str,
}

const fn bytes(
    name: &'static str,
    module: fn() -> Module,
    lie: fn(&Stage),
    told: &'static str,
) -> Case {
    Case {
        name,
        path: ZIP,
        module,
        records: 2,
        lie,
        told,
    }
}

const fn database(name: &'static str, lie: fn(&Stage), told: &'static str) -> Case {
    Case {
        name,
        path: ZIP,
        module: small,
        records: RECORDS,
        lie,
        told,
    }
}

const CASES: &[Case] = &[
    bytes(
        "changed byte in a file",
        small,
        |stage| {
            let zip = stage.module.zip();
            let at = zip.windows(12).position(|text| text == b"package acme");
            let position = at.unwrap() as u64;
            stage.scene.upstream.fail(ZIP, Fault::Corrupt(position));
        },
        "sumdb-mismatch|goproxy-corrupt",
    ),
    bytes(
        "changed byte in a name",
        small,
        |stage| {
            let mut zip = stage.module.zip();
            let places = zip.windows(4).enumerate();
            let names = places.filter(|(_, text)| text == b"a.go");
            for at in names.map(|(at, _)| at).collect::<Vec<_>>() {
                zip[at] = b'b';
            }
            stage.send(ZIP, zip);
        },
        "sumdb-mismatch",
    ),
    bytes(
        "changed byte in the middle of a stream",
        large,
        |stage| stage.scene.upstream.fail(ZIP, Fault::Corrupt(150_000)),
        // Who comes just after the others were cut off is told why.
        "cut|goproxy-corrupt",
    ),
    bytes(
        "changed file",
        large,
        |stage| drop(stage.send_evil()),
        "cut|sumdb-mismatch",
    ),
    Case {
        path: MOD,
        ..bytes(
            "changed go.mod",
            small,
            |stage| {
                stage.send(
                    MOD,
                    "module example.com/Acme\n\nrequire evil.example v1.0.0\n",
                );
            },
            "sumdb-mismatch",
        )
    },
    Case {
        path: MOD,
        ..bytes(
            "go.mod of another version",
            small,
            |stage| stage.send(MOD, "module example.com/Acme\n\ngo 1.20\n"),
            "sumdb-mismatch",
        )
    },
    bytes(
        "changed go.mod in the zip alone",
        small,
        |stage| {
            let changed = stage
                .module
                .clone()
                .go_mod("module example.com/Acme // x\n");
            stage.send(ZIP, changed.zip());
        },
        "sumdb-mismatch",
    ),
    bytes(
        "swapped version",
        small,
        |stage| stage.send(ZIP, Module::new(MODULE, "v1.2.4").zip()),
        "sumdb-mismatch",
    ),
    bytes(
        "swapped version, streamed",
        large,
        |stage| stage.send(ZIP, Module::big(MODULE, "v1.2.4", 300_000).zip()),
        "cut|sumdb-mismatch|goproxy-corrupt",
    ),
    bytes(
        "extra entry",
        small,
        |stage| {
            let more = stage.module.clone().file("extra.go", "package acme\n");
            stage.send(ZIP, more.zip());
        },
        "sumdb-mismatch",
    ),
    bytes(
        "missing entry",
        small,
        |stage| {
            let fewer = Module::new(MODULE, VERSION).packing(Packing::Stored);
            stage.send(ZIP, fewer.zip());
        },
        "sumdb-mismatch",
    ),
    bytes(
        "valid zip of another module",
        small,
        |stage| stage.send(ZIP, Module::new("example.com/other", VERSION).zip()),
        "sumdb-mismatch",
    ),
    bytes(
        "valid zip of another module, streamed",
        large,
        |stage| {
            let other = Module::big("example.com/other", VERSION, 300_000);
            stage.send(ZIP, other.zip());
        },
        "cut|sumdb-mismatch|goproxy-corrupt",
    ),
    bytes(
        "two archives, one behind the other",
        small,
        |stage| {
            let both = [stage.module.zip(), evil(&stage.module).zip()];
            stage.send(ZIP, both.concat());
        },
        "sumdb-mismatch|goproxy-corrupt",
    ),
    bytes(
        "small archive at the beginning of a large file",
        large,
        |stage| {
            let parts = [small().zip(), vec![b'x'; 200_000], large().zip()];
            stage.send(ZIP, parts.concat());
        },
        "cut|sumdb-mismatch|goproxy-corrupt",
    ),
    bytes(
        "web page",
        small,
        |stage| stage.scene.upstream.fail(ZIP, Fault::Html),
        "goproxy-html|goproxy-corrupt|network-captive-portal",
    ),
    database(
        "hash right, record absent",
        |stage| std::fs::remove_file(stage.database.tree().file(LOOKUP)).unwrap(),
        "sumdb-404",
    ),
    database(
        "empty answer",
        |stage| stage.database.write(LOOKUP, b""),
        "sumdb-mismatch|sumdb-unreachable",
    ),
    database(
        "proven record of another module",
        |stage| {
            stage.send_evil();
            let other = stage.says("/lookup/example.com/first@v1.2.3");
            stage.database.write(LOOKUP, other.as_bytes());
        },
        "sumdb-mismatch",
    ),
    database(
        "unproven hashes in a signed answer",
        |stage| stage.forge_record(&record_of(&stage.send_evil())),
        "sumdb-mismatch",
    ),
    database(
        "unproven hashes beside the proven ones",
        |stage| {
            let more = record_of(&stage.send_evil()).to_string();
            let both = format!("{more}{}", record_of(&stage.module));
            stage.forge_record(&RecordText::parse(both.as_bytes()).unwrap());
        },
        "sumdb-mismatch",
    ),
    database(
        "forged note",
        |stage| {
            let text = stage.says(LOOKUP);
            let (start, signature) = text.trim_end().rsplit_once(' ').unwrap();
            let mut signature = signature.as_bytes().to_vec();
            signature[20] = if signature[20] == b'A' { b'B' } else { b'A' };
            let forged = [start.as_bytes(), b" ", &signature, b"\n"].concat();
            stage.database.write(LOOKUP, &forged);
        },
        "sumdb-mismatch",
    ),
    database(
        "note of somebody else",
        |stage| {
            let stranger = ChecksumDatabase::new(NAME, 2);
            stranger.add(&stage.send_evil());
            stage.database.become_like(&stranger);
        },
        "sumdb-mismatch",
    ),
    database(
        "old head, without the record",
        |stage| {
            stage.send_evil();
            let answer = stage.says(LOOKUP);
            let young = ChecksumDatabase::new(NAME, 1);
            young.add(&Module::new("example.com/first", VERSION));
            let head = String::from_utf8(young.read("/latest")).unwrap();
            let (record, _) = answer.split_once("\n\n").unwrap();
            let old = format!("{record}\n\n{head}");
            stage.database.write(LOOKUP, old.as_bytes());
            stage.database.write("/latest", head.as_bytes());
        },
        "sumdb-mismatch",
    ),
    database(
        "forked head",
        |stage| {
            // The first history is seen before the second is shown.
            let first = format!("/sumdb/{NAME}/lookup/example.com/more2@v1.2.3");
            assert_eq!(stage.modkeep.get(&first).status, 200);
            let fork = ChecksumDatabase::new(NAME, 1);
            fork.add(&stage.send_evil());
            for number in 0..RECORDS {
                fork.add(&Module::new(&format!("example.com/fork{number}"), VERSION));
            }
            stage.database.become_like(&fork);
        },
        "sumdb-mismatch",
    ),
    database(
        "tile that disagrees with its parent",
        |stage| {
            let record = record_of(&stage.send_evil());
            stage.forge_record(&record);
            stage.forge_hash(LEAVES, 1, record.hash().as_bytes());
        },
        "sumdb-mismatch",
    ),
    database(
        "parent that disagrees with the head",
        |stage| {
            let record = record_of(&stage.send_evil());
            stage.forge_record(&record);
            stage.forge_hash(LEAVES, 1, record.hash().as_bytes());
            stage.forge_hash(PARENT, 0, &[7; 32]);
        },
        "sumdb-mismatch",
    ),
    database(
        "forged edge of the tree",
        |stage| {
            stage.forge_hash(EDGE, 3, &[7; 32]);
        },
        "sumdb-mismatch",
    ),
    database(
        "empty tile",
        |stage| {
            stage.database.write(LEAVES, b"");
        },
        "sumdb-mismatch|sumdb-unreachable",
    ),
    database(
        "short tile",
        |stage| {
            let tile = stage.database.read(LEAVES);
            stage.database.write(LEAVES, &tile[..tile.len() / 2]);
        },
        "sumdb-mismatch|sumdb-unreachable",
    ),
];

#[test]
#[expect(clippy::print_stdout, reason = "the table of cases is shown")]
fn whatever_a_hostile_upstream_or_database_sends_is_refused() {
    let small_one = database_of(&small(), 2);
    let of_large = database_of(&large(), 2);
    let big_one = database_of(&small(), RECORDS);
    for case in CASES {
        let module = (case.module)();
        let known = match case.records {
            RECORDS => &big_one,
            _ if module.zip().len() < 10_000 => &small_one,
            _ => &of_large,
        };
        let stage = Stage::new(module, known);
        (case.lie)(&stage);
        let told = stage.assert_refused(case.name, case.path);
        println!("refused: {:48} {}", case.name, told);
        let allowed: Vec<&str> = case.told.split('|').collect();
        for told in told.split(", ") {
            let is_expected = allowed.contains(&told);
            assert!(is_expected, "{}: {told}", case.name);
        }
        assert!(stage.modkeep.get("/healthz").status == 200);
        if case.records == RECORDS && case.name != "hash right, record absent" {
            // The relay passes on nothing of it either.
            let relayed = stage.modkeep.get(&format!("/sumdb/{NAME}{LOOKUP}"));
            assert!(relayed.status >= 500, "{}: {}", case.name, relayed.status);
        }
    }
    println!("{} of {} cases refused", CASES.len(), CASES.len());
}

#[test]
fn a_zip_cut_at_any_boundary_is_refused() {
    let stage = Stage::new(small(), &database_of(&small(), 2));
    let zip = small().zip();
    for len in 0..zip.len() {
        stage.send(ZIP, &zip[..len]);
        let case = format!("{len} of {} bytes", zip.len());
        stage.told_to_one(&case, ZIP);
        stage.modkeep.settle();
        assert!(!stage.scene.stored(ZIP).exists(), "{case}");
    }
    let stage = Stage::new(large(), &database_of(&large(), 2));
    let zip = large().zip();
    // Where its parts begin: entries, the table of them, its end.
    let signatures = zip.windows(4).enumerate();
    let parts = signatures.filter(|(_, bytes)| matches!(bytes, [b'P', b'K', 1 | 3 | 5, 2 | 4 | 6]));
    let parts: Vec<usize> = parts.map(|(at, _)| at).collect();
    assert!(parts.len() >= 7, "{parts:?}");
    let around = parts
        .iter()
        .flat_map(|at| [at.saturating_sub(1), *at, at + 1, at + 4]);
    let powers = (0..18).map(|power| zip.len() - (1 << power));
    for len in around.chain(powers).filter(|len| *len < zip.len()) {
        let case = format!("{len} of {} bytes", zip.len());
        for fault in [None, Some(Fault::Chunked), Some(Fault::UntilClose)] {
            stage.send(ZIP, &zip[..len]);
            stage.scene.upstream.heal();
            if let Some(fault) = fault {
                stage.scene.upstream.fail(ZIP, fault);
            }
            stage.told_to_one(&case, ZIP);
            stage.modkeep.settle();
            assert!(!stage.scene.stored(ZIP).exists(), "{case}");
        }
    }
    assert!(files_below(&stage.scene.data().join("tree")).is_empty());
}

#[test]
fn right_bytes_are_served_whoever_sends_them_later() {
    for module in [small(), large()] {
        let known = database_of(&module, 2);
        let stage = Stage::new(module, &known);
        stage.send_evil();
        stage.assert_refused("changed", ZIP);
        // The same upstream has come to reason; another would do as well.
        stage.send(ZIP, stage.module.zip());
        assert_eq!(stage.modkeep.get_stored(ZIP).body, stage.module.zip());
        assert!(stage.modkeep.metric("modkeep_verification_refusals_total") >= 1);
    }
}

#[test]
fn a_head_that_goes_back_is_not_passed_on_also_after_a_restart() {
    let stage = Stage::new(small(), &database_of(&small(), 3));
    let latest = format!("/sumdb/{NAME}/latest");
    let newest = stage.modkeep.get(&latest).body;
    let young = ChecksumDatabase::new(NAME, 1);
    young.add(&Module::new("example.com/first", VERSION));
    stage.database.write("/latest", &young.read("/latest"));
    assert_eq!(stage.modkeep.get(&latest).body, newest);
    stage.modkeep.kill();
    let setting = stage.database.setting();
    let modkeep = stage.scene.start_with(&[("sumdb", &setting)]);
    assert_eq!(modkeep.get(&latest).body, newest);
}
