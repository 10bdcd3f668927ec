//! Who is ranked, where, and why not.

use std::time::{Duration, Instant};

use doctor::mirrors::{Kind, Relay, Standing};
use testkit::{Answer, ChecksumDatabase, Fault, Module, Tree};

use crate::scene::{DATABASE, MODULE, Scene, kinds, names, of, sample};
use crate::servers::{Authority, Flaw, closed, tls};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mirrors_without_a_flaw_are_ranked_by_speed() {
    let mut scene = Scene::new();
    scene
        .mirror("a")
        .server
        .set_delay(Duration::from_millis(500));
    scene.mirror("b");
    let comparison = scene.compare().await;
    assert_eq!(names(&comparison), ["b", "a"]);
    for (rank, name) in [(1, "b"), (2, "a")] {
        let mirror = of(&comparison, name);
        assert_eq!(
            mirror.standing,
            Standing::Ranked(rank),
            "{:?}",
            mirror.remarks
        );
        assert_eq!(mirror.failures(), []);
        assert_eq!(mirror.behind(), Some(0));
        assert_eq!(mirror.latency.unwrap().count, 5);
        assert!(mirror.bytes_per_second.unwrap() > 1000);
        assert_eq!(mirror.relay, Relay::Yes);
        assert!(kinds(mirror).contains(&Kind::Relays));
    }
    assert!(of(&comparison, "a").latency.unwrap().median >= Duration::from_millis(500));
    assert!(kinds(of(&comparison, "b")).contains(&Kind::Faster));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_lags_comes_after_those_that_do_not_however_fast() {
    let mut scene = Scene::new();
    scene
        .mirror("a")
        .server
        .set_delay(Duration::from_millis(500));
    scene.mirror_with("b", &["v1.0.0"]);
    scene
        .mirror("c")
        .server
        .set_delay(Duration::from_millis(500));
    let comparison = scene.compare().await;
    let lagging = of(&comparison, "b");
    assert_eq!(lagging.standing, Standing::Ranked(3));
    assert_eq!(lagging.behind(), Some(2));
    let remark = lagging
        .remarks
        .iter()
        .find(|remark| remark.kind == Kind::Lags)
        .unwrap();
    let facts = ["module", "count", "newest", "best"].map(|name| {
        remark
            .facts
            .iter()
            .find(|(fact, _)| *fact == name)
            .unwrap()
            .1
            .as_str()
    });
    assert_eq!(facts, [MODULE, "2", "v1.0.0", "v1.2.0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_mirror_that_is_ahead_and_right_makes_the_others_lag() {
    let mut scene = Scene::new();
    scene.mirror_with("a", &["v1.0.0", "v1.1.0", "v1.2.0"]);
    scene.mirror_with("b", &["v1.0.0", "v1.1.0"]);
    scene.mirror_with("c", &["v1.0.0", "v1.1.0"]);
    let comparison = scene.compare().await;
    let behind = ["a", "b", "c"].map(|name| of(&comparison, name).behind());
    assert_eq!(behind, [Some(0), Some(1), Some(1)]);
    assert_eq!(names(&comparison)[0], "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_latest_that_nobody_knows_is_a_lie_and_nobody_lags_behind_it() {
    // The second cannot exist at all: the path of the module does not end in /v9.
    for (version, in_list) in [("v1.9.9", false), ("v9.9.9", false), ("v1.9.9", true)] {
        let mut scene = Scene::new();
        let bad = scene.mirror("bad");
        let invented = sample(version).info();
        bad.server.answer(
            format!("/{MODULE}/@latest").as_str(),
            Answer::text(&invented),
        );
        if in_list {
            let list = format!("v1.0.0\nv1.1.0\nv1.2.0\n{version}\n");
            bad.server
                .answer(format!("/{MODULE}/@v/list").as_str(), Answer::text(&list));
        }
        scene.mirror("a");
        let comparison = scene.compare().await;
        let bad = of(&comparison, "bad");
        assert_eq!(bad.standing, Standing::Refused, "{version} {in_list}");
        assert!(kinds(bad).contains(&Kind::Invented), "{:?}", bad.remarks);
        assert_eq!(of(&comparison, "a").behind(), Some(0), "{version}");
        assert_eq!(of(&comparison, "a").standing, Standing::Ranked(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_serves_other_bytes_is_never_ranked() {
    let mut scene = Scene::new();
    let tree = Tree::temporary();
    tree.add(&Module::new(MODULE, "v1.0.0").file("sample.go", "package sample // not the same\n"));
    tree.add(&Module::big("example.com/big", "v1.0.0", 200_000));
    scene.database.be_relayed_in(&tree);
    scene.mirror_of("bad", tree);
    scene
        .mirror("a")
        .server
        .set_delay(Duration::from_millis(500));
    let comparison = scene.compare().await;
    let bad = of(&comparison, "bad");
    assert_eq!(bad.standing, Standing::Refused);
    assert_eq!(kinds(bad).first(), Some(&Kind::Contradicted));
    assert!(!scene.advice(&comparison).value.unwrap().contains("//bad."));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_forges_the_database_is_never_ranked() {
    let mut scene = Scene::new();
    let evil = sample("v1.0.0").file("evil.go", "package sample\n");
    let forged = ChecksumDatabase::new(DATABASE, 2);
    forged.add(&evil);
    let tree = Tree::temporary();
    tree.add(&evil);
    tree.add(&Module::big("example.com/big", "v1.0.0", 200_000));
    forged.be_relayed_in(&tree);
    scene.mirror_of("bad", tree);
    // A true head over records that are not its own.
    let tree = Tree::temporary();
    tree.add(&evil);
    tree.add(&Module::big("example.com/big", "v1.0.0", 200_000));
    scene.database.be_relayed_in(&tree);
    let lookup = tree.file(&format!(
        "sumdb/{DATABASE}{}",
        ChecksumDatabase::lookup_path(&evil)
    ));
    let truth = std::fs::read_to_string(&lookup).unwrap();
    let honest = sample("v1.0.0");
    std::fs::write(&lookup, truth.replace(&honest.zip_h1(), &evil.zip_h1())).unwrap();
    scene.mirror_of("b", tree);
    let comparison = scene.compare().await;
    for name in ["bad", "b"] {
        let mirror = of(&comparison, name);
        assert_eq!(mirror.standing, Standing::Refused, "{name}");
        let remark = &mirror.remarks[0];
        assert!(
            remark
                .facts
                .contains(&("label", "sumdb-mismatch".to_owned())),
            "{name}: {remark:?}"
        );
    }
    assert_eq!(scene.advice(&comparison).value, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_way_to_the_database_there_is_no_rank() {
    let mut scene = Scene::new();
    let tree = Tree::temporary();
    tree.add(&sample("v1.0.0"));
    tree.add(&Module::big("example.com/big", "v1.0.0", 200_000));
    scene.mirror_of("a", tree);
    let comparison = scene.compare().await;
    let mirror = of(&comparison, "a");
    assert_eq!(
        (mirror.standing, &mirror.relay),
        (Standing::Refused, &Relay::No)
    );
    assert_eq!(kinds(mirror), [Kind::Unprotected]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_at_an_address_of_its_own_protects_mirrors_that_do_not_relay_it() {
    let mut scene = Scene::new();
    let setting = scene.database.setting();
    scene.set("GOSUMDB", &setting);
    let tree = Tree::temporary();
    tree.add(&sample("v1.0.0"));
    tree.add(&Module::big("example.com/big", "v1.0.0", 200_000));
    scene.mirror_of("a", tree);
    let comparison = scene.compare().await;
    let mirror = of(&comparison, "a");
    assert_eq!(mirror.standing, Standing::Ranked(1), "{:?}", mirror.remarks);
    assert_eq!(mirror.relay, Relay::NotAsked);
    assert!(kinds(mirror).contains(&Kind::NoRelay));
    assert_eq!(mirror.behind(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_fails_when_asked_stops_go_and_is_not_ranked() {
    let mut scene = Scene::new();
    scene
        .mirror("a")
        .server
        .fail("*/supported", Fault::status(503));
    let comparison = scene.compare().await;
    let mirror = of(&comparison, "a");
    assert_eq!(mirror.standing, Standing::Refused);
    assert_eq!(kinds(mirror), [Kind::RelayBroken]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_fails_now_and_then_comes_after_a_slow_one() {
    let mut scene = Scene::new();
    scene.repeat = 10;
    let flaky = scene.mirror("a");
    for _ in 0..3 {
        flaky
            .server
            .fail_once("/example.com/sample/@v/v1.0.0.info", Fault::status(502));
    }
    scene
        .mirror("b")
        .server
        .set_delay(Duration::from_millis(500));
    let comparison = scene.compare().await;
    let flaky = of(&comparison, "a");
    assert_eq!(flaky.standing, Standing::Ranked(2), "{:?}", flaky.remarks);
    assert_eq!(flaky.failures().len(), 3);
    assert!(
        flaky
            .failures()
            .iter()
            .all(|failure| failure.label.as_str() == "goproxy-5xx")
    );
    assert_eq!(kinds(flaky)[0], Kind::Flaky);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_mirror_is_named_by_its_hop() {
    let mut scene = Scene::new();
    let authority = Authority::new("Mirrors");
    std::fs::write(scene.home.path().join("roots.pem"), authority.pem()).unwrap();
    let home = scene.home.path().display().to_string();
    scene.set("SSL_CERT_FILE", &format!("{home}/roots.pem"));
    scene.set("SSL_CERT_DIR", &format!("{home}/none"));
    let backend = scene.mirror("a").server.address();
    let expired = tls(&authority, "b.mirrors.test", Flaw::Expired, backend).await;
    let other = tls(&authority, "c.mirrors.test", Flaw::OtherName, backend).await;
    let good = tls(&authority, "d.mirrors.test", Flaw::None, backend).await;
    let refused = closed();
    scene.server_at(&format!("https://b.mirrors.test:{}", expired.port()));
    scene.server_at(&format!("https://c.mirrors.test:{}", other.port()));
    scene.server_at(&format!("https://d.mirrors.test:{}", good.port()));
    scene.server_at(&format!("http://e.mirrors.test:{}", refused.port()));
    let portal = scene.mirror("bad");
    portal.server.fail("*", Fault::Html);
    let comparison = scene.compare().await;
    let label = |name: &str| {
        let mirror = of(&comparison, name);
        assert_eq!(mirror.standing, Standing::Refused, "{name}");
        assert_eq!(
            mirror.remarks[0].kind,
            Kind::Unreachable,
            "{name}: {:?}",
            mirror.remarks
        );
        mirror.remarks[0].facts[0].1.clone()
    };
    assert_eq!(label("b"), "tls-cert-expired");
    assert_eq!(label("c"), "tls-hostname-mismatch");
    assert_eq!(label("e"), "tcp-refused");
    assert_eq!(label("bad"), "goproxy-html");
    for good in ["a", "d"] {
        assert!(
            matches!(of(&comparison, good).standing, Standing::Ranked(_)),
            "{good}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mirrors_that_say_nothing_do_not_hold_the_run_up() {
    let mut scene = Scene::new();
    scene.total = Duration::from_secs(4);
    for name in ["a", "b", "c"] {
        scene.mirror(name).server.fail("*", Fault::Hang);
    }
    scene.server_at("https://nowhere.mirrors.test");
    let start = Instant::now();
    let comparison = scene.compare().await;
    println!(
        "four dead mirrors with a limit of 4 s: {:.1} s",
        start.elapsed().as_secs_f64()
    );
    // The limit, and as much again for a machine that is busy with other things.
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(
        comparison
            .mirrors
            .iter()
            .all(|mirror| mirror.standing == Standing::Refused)
    );
    assert_eq!(scene.advice(&comparison).value, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_lacks_a_sample_is_told_from_one_that_fails() {
    let mut scene = Scene::new();
    let tree = Tree::temporary();
    tree.add(&sample("v1.0.0"));
    scene.database.be_relayed_in(&tree);
    scene.mirror_of("a", tree);
    let empty = Tree::temporary();
    scene.database.be_relayed_in(&empty);
    scene.mirror_of("b", empty);
    scene.mirror("c");
    let comparison = scene.compare().await;
    assert!(kinds(of(&comparison, "a")).contains(&Kind::Lacks));
    assert!(
        matches!(of(&comparison, "a").standing, Standing::Ranked(2)),
        "{:?}",
        of(&comparison, "a").remarks
    );
    assert_eq!(kinds(of(&comparison, "b")), [Kind::LacksAll]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_version_the_newest_that_all_have_is_fetched() {
    let mut scene = Scene::new();
    scene.samples = vec![MODULE];
    scene.mirror("a");
    scene.mirror_with("b", &["v1.0.0", "v1.1.0"]);
    let comparison = scene.compare().await;
    assert_eq!(
        comparison.samples[0].to_string(),
        format!("{MODULE}@v1.1.0")
    );
    assert_eq!(
        scene.places[0]
            .server
            .count(format!("/{MODULE}/@v/v1.1.0.zip").as_str()),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_the_samples_is_asked_for_and_dead_hosts_are_not_asked_at_all() {
    let mut scene = Scene::new();
    scene.set("GOPRIVATE", "*.corp.example.com");
    scene.mirror("a");
    let dead = scene
        .mirror("b")
        .url
        .replace("b.mirrors.test", "goproxy.qiniu.com");
    scene.added.pop();
    scene.added.push(dead);
    let comparison = scene.compare().await;
    let asked = scene.places[0].server.requests();
    let stranger = asked.iter().find(|request| {
        let path = request.path.trim_start_matches('/');
        !path.starts_with(MODULE)
            && !path.starts_with("example.com/big")
            && !path.starts_with("sumdb/")
    });
    assert!(stranger.is_none(), "{stranger:?}");
    // Polite: a bounded number of requests, which say who asks.
    assert!(asked.len() < 60, "{}", asked.len());
    assert!(
        asked
            .iter()
            .all(|request| request.header("user-agent").unwrap().contains("modkeep"))
    );
    assert_eq!(scene.places[1].server.connections(), 0);
    assert_eq!(kinds(comparison.mirrors.last().unwrap()), [Kind::Dead]);
    assert!(!scene.advice(&comparison).value.unwrap().contains("qiniu"));
}
