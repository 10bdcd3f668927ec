//! Nobody ends up with a module that is not what the checksum database says.

use std::thread;

use testkit::{Answer, ChecksumDatabase, Module};

use crate::scene::{
    Ask as _, MOD, MODULE, SOON, Scene, ZIP, assert_nothing_unfinished, class_of, files_below,
};

/// The scene's module, in a size that is streamed.
fn module() -> Module {
    Module::big(MODULE, "v1.2.3", 300_000)
}

fn evil() -> Module {
    module().file("evil.go", "package big\n")
}

fn database() -> ChecksumDatabase {
    let database = ChecksumDatabase::new("sum.example.com", 1);
    database.add(&module());
    database
}

#[test]
fn changed_bytes_reach_no_one_of_many_clients_whole() {
    let scene = Scene::new();
    let database = database();
    let modkeep = scene.start_with(&[("sumdb", &database.setting())]);
    for (path, body) in [
        (ZIP, evil().zip()),
        (MOD, b"module example.com/Acme // changed\n".to_vec()),
    ] {
        scene
            .upstream
            .answer(path, Answer::status(200).body(body.clone()));
        thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| {
                    let bytes = modkeep.get_cut(path);
                    assert!(!bytes.windows(4).any(|four| four == b"PK\x05\x06"));
                    assert!(bytes.len() < body.len());
                });
            }
        });
        modkeep.settle();
        assert!(!scene.stored(path).exists(), "{path}");
    }
    assert!(files_below(&scene.data().join("tree")).is_empty());
    assert_nothing_unfinished(&scene);
    assert!(modkeep.metric("modkeep_verification_refusals_total") >= 2);
    for part in ["sumdb-mismatch", "SECURITY ERROR", &module().zip_h1()] {
        let is_said = modkeep.says_within(part, SOON);
        assert!(is_said, "no {part} in\n{}", modkeep.stderr());
    }
}

#[test]
fn a_refusal_names_both_hashes_and_is_no_absence() {
    let scene = Scene::new();
    let database = database();
    let small = Module::new("example.com/small", "v1.0.0");
    database.add(&small);
    let changed = small.clone().file("x.go", "package x\n");
    scene.tree.add(&changed);
    let modkeep = scene.start_with(&[("sumdb", &database.setting())]);
    let reply = modkeep.get(&format!("/{}.zip", small.stem()));
    assert_eq!(
        (reply.status, class_of(&reply).as_str()),
        (502, "sumdb-mismatch")
    );
    let text = reply.text();
    for part in [&small.zip_h1(), &changed.zip_h1(), &scene.upstream.url()] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[test]
fn what_cannot_be_verified_is_refused_until_it_can_be() {
    let scene = Scene::new();
    let mut database = database();
    let settings = [("sumdb", database.setting())];
    let settings = settings
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    database.server.stop();
    let modkeep = scene.start_with(&settings);
    for path in [MOD, ZIP] {
        match modkeep.begin(path).reply(false) {
            Ok(reply) if reply.status == 503 => assert_eq!(class_of(&reply), "sumdb-unreachable"),
            Ok(reply) => assert!(reply.status == 200 && !reply.complete, "{}", reply.status),
            Err(_) => {}
        }
        modkeep.settle();
        assert!(!scene.stored(path).exists(), "{path}");
    }
    database.server.start();
    for path in [MOD, ZIP] {
        assert_eq!(modkeep.get_stored(path).body, scene.source(path));
    }
    database.server.stop();
    assert_eq!(modkeep.get(ZIP).status, 200, "a hit asks nobody");
}

#[test]
fn when_reachable_serves_on_and_counts_what_is_unverified() {
    let scene = Scene::new();
    let mut database = database();
    database.server.stop();
    let setting = database.setting();
    let modkeep = scene.start_with(&[("sumdb", &setting), ("verify", "when-reachable")]);
    assert_eq!(modkeep.get(MOD).body, scene.source(MOD));
    assert_eq!(modkeep.metric("modkeep_unverified_files_total"), 1);
}

#[test]
fn a_version_that_is_unknown_to_the_database_is_told_so() {
    let scene = Scene::new();
    let database = ChecksumDatabase::new("sum.example.com", 1);
    database.add(&Module::new("example.com/known", "v1.0.0"));
    let setting = database.setting();
    let modkeep = scene.start_with(&[("sumdb", &setting)]);
    let reply = modkeep.get(MOD);
    assert_eq!(
        (reply.status, class_of(&reply).as_str()),
        (502, "sumdb-404")
    );
    modkeep.terminate();
    let modkeep = scene.start_with(&[("sumdb", &setting), ("no-sumdb", "example.com/*")]);
    assert_eq!(modkeep.get(MOD).status, 200);
}
