use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use gomod::Revision;
use jiff::Timestamp;
use store::{Answer, AnswerKey, AnswerMeta, FileKey};

use crate::scene::{Scene, module};

fn keys() -> Vec<AnswerKey> {
    let acme = || module("example.com/Acme");
    let query = |revision: &str| AnswerKey::Query(acme(), Revision::new(revision).unwrap());
    let sumdb = |path: &str| AnswerKey::Sumdb {
        name: "sum.example.com/db".to_owned(),
        path: path.to_owned(),
    };
    vec![
        AnswerKey::List(acme()),
        AnswerKey::Latest(acme()),
        query("main"),
        query("Main"),
        query("release-1.x+y"),
        query("v1"),
        sumdb("latest"),
        sumdb("lookup/example.com/!acme@v1.0.0"),
        sumdb("tile/8/0/x001/234"),
        sumdb("tile/8/0/x001/234.p/7"),
    ]
}

fn answer(body: &[u8]) -> Answer {
    Answer {
        meta: AnswerMeta {
            confirmed: "2026-01-02T03:04:05.678901Z".parse::<Timestamp>().unwrap(),
            source: "https://proxy.example.com".to_owned(),
            etag: Some("W/\"a \\ b\"".to_owned()),
            last_modified: None,
        },
        body: body.to_vec(),
    }
}

/// Where the store keeps an answer.
fn place(scene: &Scene, key: &AnswerKey) -> PathBuf {
    scene.root().join("answers").join(key.url_path())
}

#[test]
fn an_answer_comes_back_as_it_was_given() {
    let scene = Scene::new();
    let bodies: [&[u8]; 5] = [
        b"",
        b"v1.0.0\nv1.1.0\n",
        b"\n\n{\"a\":1}\n",
        b"\0\xff\n\r\n",
        &vec![b'x'; 100_000],
    ];
    for key in keys() {
        assert_eq!(scene.store.read_answer(&key), None, "{key:?}");
    }
    for body in bodies {
        for (number, key) in keys().iter().enumerate() {
            let given = answer(&[body, &[u8::try_from(number).unwrap()]].concat());
            scene.store.write_answer(key, &given).unwrap();
        }
        for (number, key) in keys().iter().enumerate() {
            let expected = answer(&[body, &[u8::try_from(number).unwrap()]].concat());
            assert_eq!(scene.store.read_answer(key), Some(expected), "{key:?}");
        }
    }
    assert!(scene.names("tmp").is_empty());
}

#[test]
fn lists_and_latest_versions_are_copied_into_the_tree() {
    let scene = Scene::new();
    for key in keys() {
        scene
            .store
            .write_answer(&key, &answer(b"some text"))
            .unwrap();
        let in_tree = scene.store.tree_directory().join(key.url_path());
        match key {
            AnswerKey::List(_) | AnswerKey::Latest(_) => {
                assert_eq!(fs::read(in_tree).unwrap(), b"some text");
            }
            AnswerKey::Query(..) | AnswerKey::Sumdb { .. } => assert!(!in_tree.exists()),
        }
    }
}

#[test]
fn a_damaged_answer_counts_as_none() {
    let scene = Scene::new();
    let key = &keys()[2];
    scene
        .store
        .write_answer(key, &answer(b"v1.0.0\nv1.1.0\n"))
        .unwrap();
    let right = fs::read(place(&scene, key)).unwrap();
    let head = right.iter().position(|byte| *byte == b'\n').unwrap();
    let mut flipped = right.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let damages = [
        Vec::new(),
        b"\n".to_vec(),
        b"{}\nv1.0.0\n".to_vec(),
        b"no JSON\nv1.0.0\n".to_vec(),
        vec![0; right.len()],
        flipped,
        [&right[..], b"v9.9.9\n"].concat(),
    ];
    let cuts = (0..right.len()).map(|len| right[..len].to_vec());
    assert!(head > 40);
    for damaged in damages.into_iter().chain(cuts) {
        fs::write(place(&scene, key), &damaged).unwrap();
        assert_eq!(
            scene.store.read_answer(key),
            None,
            "{:?}",
            String::from_utf8_lossy(&damaged)
        );
    }
    fs::write(place(&scene, key), &right).unwrap();
    assert!(scene.store.read_answer(key).is_some());
}

#[test]
fn a_list_that_was_damaged_is_told_from_its_copy_in_the_tree() {
    let scene = Scene::new();
    let key = AnswerKey::List(module("example.com/Acme"));
    scene
        .store
        .write_answer(&key, &answer(b"v1.0.0\n"))
        .unwrap();
    fs::write(place(&scene, &key), b"torn").unwrap();
    let found = scene.store.read_answer(&key).unwrap();
    assert_eq!(found.body, b"v1.0.0\n");
    assert_eq!(found.meta.etag, None, "it cannot be revalidated");
}

#[test]
fn lists_of_a_tree_that_was_copied_in_are_as_old_as_their_files() {
    let scene = Scene::new();
    let list = scene.root().join("tree/example.com/!acme/@v/list");
    fs::create_dir_all(list.parent().unwrap()).unwrap();
    let key = AnswerKey::List(module("example.com/Acme"));
    fs::write(&list, "").unwrap();
    assert_eq!(
        scene.store.read_answer(&key),
        None,
        "an empty file tells nothing"
    );
    fs::write(&list, "v1.0.0\n").unwrap();
    let written: Timestamp = fs::metadata(&list)
        .unwrap()
        .modified()
        .unwrap()
        .try_into()
        .unwrap();
    let found = scene.store.read_answer(&key).unwrap();
    assert_eq!(
        (found.body, found.meta.confirmed),
        (b"v1.0.0\n".to_vec(), written)
    );
    let query = AnswerKey::Query(module("example.com/Acme"), Revision::new("list").unwrap());
    assert_eq!(scene.store.read_answer(&query), None);
}

#[test]
fn a_reader_sees_the_old_answer_or_the_new_one_and_never_a_mixture() {
    let scene = Scene::new();
    let key = AnswerKey::List(module("example.com/Acme"));
    let bodies = [vec![b'a'; 50_000], vec![b'b'; 90_000]];
    scene.store.write_answer(&key, &answer(&bodies[0])).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let found = scene.store.read_answer(&key).unwrap();
                    assert!(bodies.contains(&found.body), "{} bytes", found.body.len());
                }
            });
        }
        for round in 0..300 {
            scene
                .store
                .write_answer(&key, &answer(&bodies[round % 2]))
                .unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn no_two_names_lead_to_the_same_place() {
    let mut paths: Vec<String> = keys().iter().map(AnswerKey::url_path).collect();
    paths.push(
        FileKey {
            module: module("example.com/Acme"),
            version: gomod::Version::new("v1.0.0").unwrap(),
            kind: store::FileKind::Info,
        }
        .url_path(),
    );
    let count = paths.len();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), count);
}
