use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Modkeep, ModkeepCommand, Module, Tree, UpstreamServer, http};

use crate::builds::assert_fetched_once;
use crate::scene::{BINARY, Scene, go_through, isolated};

/// A `modkeep` that fetches ahead.
fn ahead(upstream: &str, data: &Path) -> ModkeepCommand {
    isolated(ModkeepCommand::new(BINARY))
        .data(data)
        .upstream(upstream)
        .env("MODKEEP_PREFETCH_ENABLED", "true")
}

/// The value of a metric without labels.
fn metric(modkeep: &Modkeep, name: &str) -> u64 {
    let reply = http::get(&format!("{}/metrics", modkeep.url())).unwrap();
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}"))
        .parse()
        .unwrap()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_mins(1), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_download_finds_most_files_fetched_ahead_and_little_is_wasted() {
    let scene = Scene::with_modules(41, 120);
    scene.upstream.set_delay(Duration::from_millis(30));
    let modkeep = ahead(&scene.upstream.url(), &scene.data()).start();
    let folder = scene.checkout("app");
    go_through(&modkeep)
        .run(&folder, &["mod", "download"])
        .expect_success();
    let (files, used) = (
        metric(&modkeep, "modkeep_prefetch_files_total"),
        metric(&modkeep, "modkeep_prefetch_used_files_total"),
    );
    // Nearly every .info and .zip, whatever the go.mod files came to.
    assert!(files > 200 && used * 10 >= files * 8, "{used} of {files}");
    assert_fetched_once(&scene, &modkeep, 120);
}

#[test]
fn nothing_is_fetched_ahead_where_that_is_switched_off() {
    let scene = Scene::with_modules(42, 20);
    let modkeep = isolated(ModkeepCommand::new(BINARY))
        .data(scene.data())
        .upstream(&scene.upstream.url())
        .env("MODKEEP_PREFETCH_ENABLED", "false")
        .start();
    let folder = scene.checkout("app");
    go_through(&modkeep)
        .run(&folder, &["mod", "download"])
        .expect_success();
    assert_eq!(metric(&modkeep, "modkeep_prefetch_files_total"), 0);
}

#[test]
fn names_that_are_private_or_known_to_private_modules_only_are_sent_nowhere() {
    let tree = Tree::temporary();
    // Unpruned, so that its requirements are fetched at once.
    let text = "module example.com/a\nrequire corp.example.com/secret v1.0.0\nrequire example.com/b v1.0.0\n";
    tree.add(&Module::new("example.com/a", "v1.0.0").go_mod(text));
    tree.add(&Module::new("example.com/b", "v1.0.0"));
    let upstream = UpstreamServer::serve(tree.root());
    let folder = tempfile::tempdir().unwrap();
    let modkeep = ahead(&upstream.url(), &folder.path().join("data"))
        .flag("--private", "corp.example.com")
        .start();
    let reply = http::get(&format!("{}/example.com/a/@v/v1.0.0.mod", modkeep.url())).unwrap();
    assert_eq!(reply.status, 200);
    wait_until("the public requirement is fetched ahead", || {
        upstream.count("/example.com/b/@v/v1.0.0.mod") > 0
    });
    let asked = upstream.requests();
    assert!(
        asked
            .iter()
            .all(|request| !request.path.contains("corp.example.com")),
        "{asked:?}"
    );
}
