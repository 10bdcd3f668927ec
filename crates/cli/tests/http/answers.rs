//! Upstreams that answer 200 with something that is no module file: none of it reaches a client as if it were one, and
//! none of it is stored.

use std::time::Instant;

use testkit::http::Reply;
use testkit::{Answer, Fault, Modkeep};

use crate::scene::{Ask as _, BRANCH, INFO, LATEST, LIST, MOD, PATHS, SOON, Scene, ZIP, class_of};

fn forgetful(scene: &Scene) -> Modkeep {
    scene.start_with(&[("cache.ttl", "0s")])
}

/// Asks while the upstream does something wrong, and looks whether anything of it was kept.
fn while_wrong<T>(
    scene: &Scene,
    modkeep: &Modkeep,
    path: &str,
    fault: &Fault,
    ask: impl FnOnce() -> T,
) -> T {
    scene.upstream.heal();
    scene.upstream.fail(path, fault.clone());
    let answer = ask();
    modkeep.settle();
    assert!(!scene.stored(path).exists(), "{path} {fault:?}: stored");
    answer
}

/// What is wrong from the beginning is refused.
fn spoiled(scene: &Scene, modkeep: &Modkeep, path: &str, fault: &Fault) -> Reply {
    while_wrong(scene, modkeep, path, fault, || modkeep.get(path))
}

/// A zip that has begun can only be cut.
fn cut(scene: &Scene, modkeep: &Modkeep, fault: &Fault) {
    // Else the rest is asked for.
    scene.upstream.set_ranges(false);
    let came = while_wrong(scene, modkeep, ZIP, fault, || modkeep.get_cut(ZIP));
    let source = scene.source(ZIP);
    assert!(source.starts_with(&came), "{fault:?}");
    // Nobody can take what came for a zip: its directory's end is missing.
    assert!(came.len() + 22 <= source.len(), "{fault:?}");
}

fn assert_refused(reply: &Reply, class: &str, what: &str) {
    let status = if class == "goproxy-slow" { 504 } else { 502 };
    assert_eq!(reply.status, status, "{what}: {}", reply.text());
    assert_eq!(class_of(reply), class, "{what}: {}", reply.text());
}

fn assert_well(scene: &Scene, modkeep: &Modkeep) {
    scene.upstream.heal();
    for path in PATHS {
        let reply = modkeep.get(path);
        let is_right = reply.complete && reply.body == scene.source(path);
        assert!(is_right, "{path}: {} {}", reply.status, modkeep.stderr());
    }
}

fn with_body(content_type: &str, body: impl Into<Vec<u8>>) -> Fault {
    let answer = Answer::status(200).header("Content-Type", content_type);
    Fault::Answer(answer.body(body))
}

#[test]
fn a_web_page_is_no_module_file() {
    let scene = Scene::new();
    let modkeep = forgetful(&scene);
    let page = "<!DOCTYPE html><title>Log in</title>";
    for fault in [
        Fault::Html,
        with_body("text/html", "v1.0.0\n"),
        with_body("application/xhtml+xml", "v1.0.0\n"),
        with_body("text/plain", format!(" \r\n\t{page}")),
        with_body("text/plain", format!("\u{feff}{page}")),
        with_body("application/zip", "<html>"),
    ] {
        for path in PATHS {
            let reply = spoiled(&scene, &modkeep, path, &fault);
            assert_refused(&reply, "goproxy-html", &format!("{path} {fault:?}"));
        }
    }
    assert_well(&scene, &modkeep);
}

#[test]
fn an_answer_that_ends_early_is_refused_or_cut() {
    let scene = Scene::new();
    let modkeep = forgetful(&scene);
    for fault in [
        Fault::TruncateAt(3),
        Fault::ResetAt(3),
        Fault::WrongLength(9),
    ] {
        for path in [LIST, LATEST, BRANCH, INFO, MOD] {
            let reply = spoiled(&scene, &modkeep, path, &fault);
            assert_eq!(reply.status, 502, "{path} {fault:?}");
            let class = class_of(&reply);
            assert!(
                ["goproxy-truncated", "tcp-reset"].contains(&class.as_str()),
                "{path} {fault:?}: {}",
                reply.text()
            );
        }
    }
    for fault in [Fault::TruncateAt(3), Fault::ResetAt(3)] {
        assert_eq!(spoiled(&scene, &modkeep, ZIP, &fault).status, 502);
    }
    for fault in [
        Fault::TruncateAt(150_000),
        Fault::ResetAt(150_000),
        Fault::WrongLength(9),
        // Only the end is missing.
        Fault::WrongLength(-1),
        Fault::WrongLength(-9),
        Fault::WrongLength(-100_000),
    ] {
        cut(&scene, &modkeep, &fault);
    }
    assert_well(&scene, &modkeep);
}

#[test]
fn an_answer_that_stops_in_the_middle_is_not_waited_for_long() {
    let scene = Scene::new();
    // Longer than an upstream that is well is silent, on a busy machine either.
    let settings = [("upstreams.idle-timeout", "1500ms"), ("cache.ttl", "0s")];
    let modkeep = scene.start_with(&settings);
    let began = Instant::now();
    scene.upstream.fail("*", Fault::StallAt(3));
    for (path, mut connection) in PATHS.map(|path| (path, modkeep.begin(path))) {
        let reply = connection.reply(false).unwrap();
        assert_refused(&reply, "goproxy-slow", path);
        assert!(!scene.stored(path).exists(), "{path}");
    }
    cut(&scene, &modkeep, &Fault::StallAt(150_000));
    // With ten seconds, as by default, it would take longer.
    assert!(began.elapsed() < SOON * 2 / 3, "{:?}", began.elapsed());
    assert_well(&scene, &modkeep);
}

#[test]
fn an_answer_longer_than_announced_is_no_json() {
    let scene = Scene::new();
    let modkeep = forgetful(&scene);
    for path in [INFO, LATEST, BRANCH] {
        let reply = spoiled(&scene, &modkeep, path, &Fault::WrongLength(-9));
        assert_refused(&reply, "goproxy-corrupt", path);
    }
    assert_well(&scene, &modkeep);
}

#[test]
fn an_endless_answer_ends_at_a_limit_that_is_named() {
    let scene = Scene::new();
    let modkeep = forgetful(&scene);
    let before = modkeep.memory().peak;
    for (path, limit) in [(LIST, "16 MiB"), (INFO, "4 MiB"), (MOD, "16 MiB")] {
        let reply = spoiled(&scene, &modkeep, path, &Fault::Endless);
        assert_refused(&reply, "goproxy-corrupt", path);
        assert!(reply.text().contains(limit), "{path}: {}", reply.text());
    }
    let zip = spoiled(&scene, &modkeep, ZIP, &Fault::Endless);
    assert_refused(&zip, "goproxy-corrupt", ZIP);
    let grown = modkeep.memory().peak - before;
    assert!(grown < 100 << 20, "{grown}");
    assert_well(&scene, &modkeep);
}

#[test]
fn a_zip_beyond_the_limit_is_refused_before_it_is_fetched() {
    let scene = Scene::new();
    let modkeep = forgetful(&scene);
    let huge = Fault::WrongLength(500 << 20);
    let reply = spoiled(&scene, &modkeep, ZIP, &huge);
    assert_refused(&reply, "mod-zip-too-large", ZIP);
    assert!(reply.text().contains("500 MiB"), "{}", reply.text());
    assert_well(&scene, &modkeep);
}

#[test]
fn an_encoding_that_was_not_asked_for_is_refused() {
    let scene = Scene::new();
    let modkeep = forgetful(&scene);
    for encoding in ["gzip", "br", "zstd", "x"] {
        let fault = Fault::ContentEncoding(encoding.to_owned());
        for path in PATHS {
            let reply = spoiled(&scene, &modkeep, path, &fault);
            assert_refused(&reply, "goproxy-corrupt", path);
            assert!(reply.text().contains(encoding), "{}", reply.text());
        }
    }
    assert_well(&scene, &modkeep);
}

#[test]
fn an_answer_about_another_version_is_refused() {
    let scene = Scene::new();
    let modkeep = forgetful(&scene);
    let other = Fault::OtherVersion("v1.2.4".to_owned());
    let reply = spoiled(&scene, &modkeep, INFO, &other);
    assert_refused(&reply, "goproxy-corrupt", INFO);
    assert!(reply.text().contains("v1.2.4"), "{}", reply.text());
    let no_version = Fault::OtherVersion("main".to_owned());
    for path in [INFO, LATEST, BRANCH] {
        let reply = spoiled(&scene, &modkeep, path, &no_version);
        assert_refused(&reply, "goproxy-corrupt", path);
    }
    assert_well(&scene, &modkeep);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let scene = Scene::new();
    let modkeep = forgetful(&scene);
    let table: [(&str, &[u8]); 12] = [
        (INFO, b""),
        (INFO, b"v1.2.3"),
        (INFO, b"{}"),
        (INFO, b"{\"Version\":\"v1.2.3\""),
        (INFO, b"[\"v1.2.3\"]"),
        (LATEST, b"null"),
        (BRANCH, b"{\"Version\":7}"),
        (MOD, b"module a\0b\n"),
        (LIST, b"v1.0.0\n\xff\xfe\n"),
        (LIST, b"v1.0.0\0\n"),
        (ZIP, b""),
        (ZIP, b"Rar!\x1a\x07\x01\x00"),
    ];
    for (path, body) in table {
        let fault = with_body("application/octet-stream", body);
        let reply = spoiled(&scene, &modkeep, path, &fault);
        let what = format!("{path} {}", body.escape_ascii());
        assert_refused(&reply, "goproxy-corrupt", &what);
    }
    assert_well(&scene, &modkeep);
}

#[test]
fn an_empty_list_is_a_list() {
    let scene = Scene::new();
    scene.write("/example.com/empty/@v/list", "");
    let modkeep = scene.start();
    for _ in 0..2 {
        let reply = modkeep.get("/example.com/empty/@v/list");
        assert_eq!((reply.status, reply.body.len()), (200, 0));
    }
}

#[test]
fn a_body_without_a_length_is_as_good_as_one_with() {
    for fault in [Fault::Chunked, Fault::UntilClose] {
        let scene = Scene::new();
        scene.upstream.fail("*", fault.clone());
        let modkeep = scene.start();
        for path in PATHS {
            let reply = modkeep.get(path);
            assert_eq!((reply.status, reply.complete), (200, true), "{path}");
            assert!(reply.body == scene.source(path), "{path} {fault:?}");
        }
    }
}
