//! Bundles that were altered on their way, or made to deceive.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bundle::{Applied, Bundle, BundleError, apply};
use depot::SumdbRoute;
use goenv::private::Patterns;
use modzip::Workers;
use store::{Records, Store};
use sumdb::note::VerifierKey;
use testkit::{ChecksumDatabase, Module};

use crate::forging::{Entry, archive, change_manifest, digest, entries, header, place, replace};
use crate::scene::{
    DATABASE, PRIVATE, Scene, command, expect_done, expect_refused, library, secret,
};

/// Places at which a byte is changed, and lengths at which a bundle is cut.
const PLACES: usize = 150;

/// A good bundle, and what a server with the usual settings makes of others.
struct Stage {
    scene: Scene,
    bundle: Vec<u8>,
    settings: Arc<depot::Settings>,
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    fn new() -> Self {
        let scene = Scene::new();
        scene.create_from_project("app.bundle", &[]);
        let settings = depot::Settings {
            private: Patterns::parse(PRIVATE),
            sumdbs: vec![SumdbRoute {
                name: DATABASE.to_owned(),
                key: VerifierKey::parse(&scene.database.key()).unwrap(),
                base: "http://127.0.0.1:9".parse().unwrap(),
                through_upstreams: false,
            }],
            ..depot::Settings::default()
        };
        Self {
            bundle: fs::read(scene.file("app.bundle")).unwrap(),
            scene,
            settings: Arc::new(settings),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    fn apply_to(&self, bytes: &[u8], data: &Path) -> Result<Applied, BundleError> {
        let file = self.scene.file("hostile.bundle");
        fs::write(&file, bytes).unwrap();
        self.runtime.block_on(async {
            let bundle = Arc::new(Bundle::open(&file)?);
            let store = Arc::new(Store::open(data)?);
            let records = Records::start(store.root());
            let settings = self.settings.clone();
            let applied = apply(bundle, store, &records, settings, Workers::calling_thread()).await;
            records.close().await;
            applied
        })
    }

    /// Applies to an empty store, where it must leave nothing, and gives the words of the refusal.
    fn refused(&self, bytes: &[u8], what: &str) -> String {
        let data = tempfile::tempdir().unwrap();
        let applied = self.apply_to(bytes, data.path());
        let Err(error) = applied else {
            panic!("{what}: applied")
        };
        for folder in ["tree", "answers", "heads"] {
            let folder = data.path().join(folder);
            let left = fs::read_dir(&folder).map_or(0, Iterator::count);
            assert_eq!(left, 0, "{what}: {} is not empty", folder.display());
        }
        error.to_string()
    }

    fn entries(&self) -> Vec<Entry> {
        entries(&self.bundle)
    }

    /// As [`Self::refused`], with other entries.
    fn refused_with(&self, what: &str, change: impl FnOnce(&mut Vec<Entry>)) -> String {
        let mut entries = self.entries();
        change(&mut entries);
        self.refused(&archive(&entries), what)
    }
}

/// Changes a text in the manifest.
fn restate(entries: &mut [Entry], old: &str, new: &str) {
    change_manifest(entries, |json| json.replace(old, new));
}

#[test]
fn the_good_bundle_is_applied_once_and_again() {
    let stage = Stage::new();
    let data = tempfile::tempdir().unwrap();
    let first = stage.apply_to(&stage.bundle, data.path()).unwrap();
    assert_eq!(
        (first.new_files, first.known_files, first.unproven),
        (10, 0, 1)
    );
    assert_eq!(
        (first.databases[0].before, first.databases[0].now),
        (0, 303)
    );
    let again = stage.apply_to(&stage.bundle, data.path()).unwrap();
    assert_eq!((again.new_files, again.known_files), (0, 10));
    assert_eq!(
        (again.databases[0].before, again.databases[0].now),
        (303, 303)
    );
    assert_eq!(
        archive(&stage.entries()),
        stage.bundle,
        "the tests write what modkeep writes"
    );
}

#[test]
fn a_changed_byte_and_a_cut_are_noticed_wherever_they_are() {
    let stage = Stage::new();
    let step = stage.bundle.len() / PLACES;
    for number in 0..PLACES {
        let at = number * step + number % 512;
        let mut changed = stage.bundle.clone();
        changed[at] ^= 1 << (number % 8);
        stage.refused(&changed, &format!("byte {at}"));
        stage.refused(&stage.bundle[..at], &format!("cut at {at}"));
    }
    for more in [1, 512, 1024] {
        let mut longer = stage.bundle.clone();
        longer.resize(longer.len() + more, 0);
        stage.refused(&longer, &format!("{more} zeros more"));
    }
}

#[test]
fn entries_that_are_not_in_the_manifest_or_not_in_their_place_are_named() {
    let stage = Stage::new();
    let with = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = stage.entries();
        change(&mut entries);
        archive(&entries)
    };
    let last = stage.entries().len() - 1;
    for (what, bytes, named) in [
        (
            "manifest last",
            with(&|entries| entries.rotate_left(1)),
            "manifest.json.sha256",
        ),
        (
            "an entry more",
            with(&|entries| entries.push(("modules/x/@v/v1.0.0.mod".to_owned(), b"x".to_vec()))),
            "modules/x/@v/v1.0.0.mod",
        ),
        (
            "an entry twice",
            with(&|entries| entries.insert(3, entries[2].clone())),
            ".info",
        ),
        (
            "an entry missing",
            with(&|entries| drop(entries.remove(4))),
            ".zip",
        ),
        (
            "the last entry missing",
            with(&|entries| drop(entries.pop())),
            stage.entries()[last].0.as_str(),
        ),
        (
            "two entries swapped",
            with(&|entries| entries.swap(3, 4)),
            ".mod",
        ),
        (
            "a name that leads out",
            with(&|entries| entries[3].0 = "../../etc/passwd".to_owned()),
            "../../etc/passwd",
        ),
        (
            "a rooted name",
            with(&|entries| entries[3].0 = "/etc/passwd".to_owned()),
            "/etc/passwd",
        ),
        (
            "a longer entry",
            with(&|entries| entries[3].1.push(b'\n')),
            ".mod",
        ),
    ] {
        let reason = stage.refused(&bytes, what);
        assert!(reason.contains(named), "{what}: {reason}");
    }
    for (kind, name) in [
        (tar::EntryType::Symlink, "symbolic link"),
        (tar::EntryType::Link, "hard link"),
        (tar::EntryType::Directory, "folder"),
        (tar::EntryType::XHeader, "another kind"),
    ] {
        let entries = stage.entries();
        let mut bytes = stage.bundle.clone();
        let offset: usize = entries[..3]
            .iter()
            .map(|(_, content)| 512 + content.len().next_multiple_of(512))
            .sum();
        let forged = header(&entries[3].0, entries[3].1.len() as u64, kind);
        bytes[offset..offset + 512].copy_from_slice(forged.as_bytes());
        let reason = stage.refused(&bytes, name);
        assert!(
            reason.contains(name) && reason.contains(&entries[3].0),
            "{reason}"
        );
    }
}

#[test]
fn names_in_the_manifest_lead_nowhere() {
    let stage = Stage::new();
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "modules/../../x/@v/v1.0.0.mod",
        "modules/example.com/base/@v/../v1.1.0.mod",
        "sumdb/../../heads/latest",
        "modules/example.com/stranger/@v/v1.0.0.mod",
    ] {
        let reason = stage.refused_with(name, |entries| {
            let at = place(entries, "base/@v/v1.1.0.mod");
            let old = std::mem::replace(&mut entries[at].0, name.to_owned());
            restate(entries, &old, name);
        });
        assert!(reason.starts_with("manifest.json: "), "{name}: {reason}");
    }
}

#[test]
fn a_manifest_that_claims_to_be_huge_is_not_read() {
    let stage = Stage::new();
    let mut bytes = header("manifest.json", 1 << 40, tar::EntryType::Regular)
        .as_bytes()
        .to_vec();
    bytes.extend_from_slice(&stage.bundle[512..]);
    let reason = stage.refused(&bytes, "a huge manifest");
    assert!(reason.contains("1099511627776 bytes"), "{reason}");
}

#[test]
fn files_that_agree_with_the_manifest_and_not_with_the_database_are_refused() {
    let stage = Stage::new();
    let base = library("example.com/base", "v1.1.0", &[]);
    let forged = base.clone().file("door.go", "package lib\n");
    let other = Module::new("example.com/other", "v1.1.0").file("lib.go", "package lib\n");
    // A zip with a back door, and its hash in the manifest.
    let reason = stage.refused_with("another zip", |entries| {
        replace(entries, "base/@v/v1.1.0.zip", &forged.zip());
    });
    assert!(reason.contains("SECURITY ERROR"), "{reason}");
    let reason = stage.refused_with("another zip and its hash", |entries| {
        replace(entries, "base/@v/v1.1.0.zip", &forged.zip());
        restate(entries, &base.zip_h1(), &forged.zip_h1());
    });
    for part in [&forged.zip_h1(), &base.zip_h1(), "record 301"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    // A sound zip of another module, and bytes that are no zip.
    for bytes in [other.zip(), b"no zip at all".to_vec()] {
        let reason = stage.refused_with("no zip of the module", |entries| {
            replace(entries, "base/@v/v1.1.0.zip", &bytes);
        });
        assert!(reason.contains("base/@v/v1.1.0.zip"), "{reason}");
    }
    // A go.mod file that requires something else.
    let changed = format!("{}\nrequire example.com/evil v1.0.0\n", base.go_mod_text());
    let new = modzip::hash_go_mod(changed.as_bytes()).to_string();
    let reason = stage.refused_with("another go.mod", |entries| {
        replace(entries, "base/@v/v1.1.0.mod", changed.as_bytes());
        restate(entries, &base.go_mod_h1(), &new);
    });
    for part in [&new, &base.go_mod_h1()] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    // An .info of another version.
    let reason = stage.refused_with("another .info", |entries| {
        let info = b"{\"Version\":\"v9.9.9\"}";
        replace(entries, "base/@v/v1.1.0.info", info);
    });
    assert!(reason.contains("v9.9.9"), "{reason}");
    // "It is private": not by the settings here.
    let trust = format!(
        "\"kind\": \"proven\",\n        \"database\": \"{DATABASE}\",\n        \"record\": 301\n"
    );
    let reason = stage.refused_with("said to be private", |entries| {
        restate(entries, &trust, "\"kind\": \"unproven\"\n");
    });
    assert!(
        reason.contains("example.com/base@v1.1.0 is not proven"),
        "{reason}"
    );
}

#[test]
fn proofs_that_do_not_prove_are_refused() {
    let stage = Stage::new();
    // The same name, signed by somebody else.
    let impostor = ChecksumDatabase::new(DATABASE, 8);
    impostor.add(&library("example.com/base", "v1.1.0", &[]));
    stage.refused_with("a forged head", |entries| {
        let forged = impostor.read("/latest");
        replace(entries, "sumdb/sum.example.com/latest", &forged);
    });
    let reason = stage.refused_with("another key", |entries| {
        restate(entries, &stage.scene.database.key(), &impostor.key());
    });
    assert!(reason.contains("another key"), "{reason}");
    for name in [
        "lookup/example.com/base@v1.1.0",
        "tile/8/0/000",
        "tile/8/0/001.p/47",
        "tile/8/1/000.p/1",
    ] {
        // Altered: a record states another hash, a tile has another one.
        stage.refused_with(name, |entries| {
            let mut content = entries[place(entries, name)].1.clone();
            let middle = content.len() / 4;
            content[middle] ^= 1;
            replace(entries, name, &content);
        });
        // Missing, in the manifest, too.
        let reason = stage.refused_with(name, |entries| {
            let at = place(entries, name);
            let (name, content) = entries.remove(at);
            let object = format!(
                "    {{\n      \"path\": \"{name}\",\n      \"size\": {},\n      \"sha256\": \"{}\"\n    }}",
                content.len(),
                digest(&content)
            );
            change_manifest(entries, |json| {
                let shorter = json.replace(&format!("{object},\n"), "");
                if shorter == json {
                    json.replace(&format!(",\n{object}"), "")
                } else {
                    shorter
                }
            });
        });
        assert!(reason.contains("missing"), "{name}: {reason}");
    }
}

#[test]
fn a_head_never_goes_back_and_never_aside() {
    let stage = Stage::new();
    let data = tempfile::tempdir().unwrap();
    stage.apply_to(&stage.bundle, data.path()).unwrap();
    let head = data.path().join("heads/sum.example.com.note");
    let known = fs::read(&head).unwrap();
    // A shorter history, which is no beginning of the known one.
    let earlier = Scene::new_with_less();
    expect_done(&earlier.create(
        "earlier.bundle",
        &[
            "--from",
            "example.com/base@v1.0.0",
            "--from",
            "example.com/aside@v1.0.0",
        ],
    ));
    let bytes = fs::read(earlier.file("earlier.bundle")).unwrap();
    let error = stage.apply_to(&bytes, data.path()).unwrap_err();
    assert!(matches!(error, BundleError::Forked { .. }), "{error}");
    assert_eq!(fs::read(&head).unwrap(), known);
    // The same key and another history, in which the proof begins at the known size.
    let aside = Scene::new_with_less();
    aside.fill(301);
    let version = ["--from", "example.com/aside@v1.0.0"];
    expect_done(&aside.create("first.bundle", &version));
    let first = entries(&fs::read(aside.file("first.bundle")).unwrap());
    let head_of_303 = aside.file("known");
    let at = place_of_head(&first);
    fs::write(&head_of_303, &first[at].1).unwrap();
    aside.fill(100);
    let known_head = ["--known-head", head_of_303.to_str().unwrap()];
    // A database that takes its time is not waited for, and the head that is known already does.
    let grown = (0..20).find_map(|attempt| {
        let name = format!("aside{attempt}.bundle");
        expect_done(&aside.create(&name, &[version, known_head].concat()));
        let bytes = fs::read(aside.file(&name)).unwrap();
        let shown = entries(&bytes);
        let at = place_of_head(&shown);
        let head = String::from_utf8_lossy(&shown[at].1);
        head.contains("\n403\n").then_some(name)
    });
    for name in [
        "first.bundle",
        &grown.expect("a bundle with the newest head"),
    ] {
        let bytes = fs::read(aside.file(name)).unwrap();
        let error = stage.apply_to(&bytes, data.path()).unwrap_err();
        assert!(
            matches!(error, BundleError::Forked { .. }),
            "{name}: {error}"
        );
        assert_eq!(fs::read(&head).unwrap(), known);
    }
    // Each pair of heads is kept.
    let evidence = trust::forks_on_file(data.path()).unwrap();
    assert_eq!(evidence.len(), 3, "{evidence:?}");
    for file in evidence {
        let report = fs::read_to_string(file).unwrap();
        assert!(report.contains("303\n"), "{report}");
    }
}

fn place_of_head(entries: &[Entry]) -> usize {
    place(entries, "sumdb/sum.example.com/latest")
}

impl Scene {
    /// The same database in another history: shorter, and with a version that the other has not.
    fn new_with_less() -> Self {
        let scene = Self::empty();
        scene.publish(&library("example.com/base", "v1.0.0", &[]));
        scene.publish(&library("example.com/aside", "v1.0.0", &[]));
        scene
    }
}

#[test]
fn what_is_stored_with_other_bytes_stops_everything() {
    let stage = Stage::new();
    let other = secret().file("more.go", "package lib\n");
    stage.scene.store_private("taken", &other);
    let data = stage.scene.data("taken");
    let error = stage
        .apply_to(&stage.bundle, &data)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&other.zip_h1()) && error.contains(&secret().zip_h1()),
        "{error}"
    );
    assert!(!data.join("heads").exists() && !data.join("tree/example.com").exists());
    // The same files in another zip are the same.
    let packed = tempfile::tempdir().unwrap();
    testkit::Tree::at(packed.path().join("tree")).add(&library("example.com/base", "v1.1.0", &[]));
    let applied = stage.apply_to(&stage.bundle, packed.path()).unwrap();
    assert_eq!((applied.new_files, applied.known_files), (7, 3));
}

#[test]
fn an_apply_that_is_killed_is_repeated() {
    let stage = Stage::new();
    let scene = &stage.scene;
    let (file, data, setting) = (
        scene.file("app.bundle"),
        scene.data("killed"),
        scene.database.setting(),
    );
    let arguments = [
        "bundle",
        "apply",
        file.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
        "--upstream",
        "off",
        "--sumdb",
        &setting,
        "--private",
        PRIVATE,
    ];
    let home = tempfile::tempdir().unwrap();
    // Killed later each time, until it is through.
    let mut pause = std::time::Duration::from_millis(4);
    loop {
        let mut child = command(home.path(), &arguments)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(pause);
        let is_through = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        if is_through {
            break;
        }
        pause = pause * 5 / 4;
    }
    expect_done(&scene.apply("app.bundle", "killed"));
    let again = scene.apply("app.bundle", "killed");
    assert!(
        again
            .stdout
            .contains("0 files (0 bytes) new, 10 stored before"),
        "{}",
        again.stdout
    );
    let data = tempfile::tempdir().unwrap();
    stage.apply_to(&stage.bundle, data.path()).unwrap();
    for entry in stage.entries() {
        if let Some(path) = entry.0.strip_prefix("modules/") {
            let stored = fs::read(scene.data("killed").join("tree").join(path)).unwrap();
            assert_eq!(stored, entry.1, "{path}");
        }
    }
}

#[test]
fn the_digest_of_a_bundle_tells_it_from_every_other() {
    let scene = Scene::new();
    scene.create_from_project("app.bundle", &[]);
    let file = scene.file("app.bundle");
    let digest = Bundle::open(&file).unwrap().digest().to_owned();
    let apply = |digest: &str| {
        scene.bundle(
            "b",
            "off",
            &["apply", file.to_str().unwrap(), "--digest", digest],
        )
    };
    let refused = expect_refused(&apply(&"0".repeat(64)));
    assert!(refused.contains(&digest), "{refused}");
    expect_done(&apply(&digest));
    // A database whose key nobody here knows.
    let data = scene.data("c");
    let arguments = [
        "bundle",
        "apply",
        file.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
        "--sumdb",
        "off",
    ];
    let refused = expect_refused(&crate::scene::run(&arguments));
    assert!(refused.contains(DATABASE), "{refused}");
}
