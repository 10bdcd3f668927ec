//! Two sites: a central instance, and one at the edge that has it as its upstream and a small disk.

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use testkit::{ChecksumDatabase, Modkeep, Module};

use crate::disk::{can_mount, inside, on_tmpfs};
use crate::scene::{Ask as _, HIT, LIST, MOD, SOON, STALE, Scene, ZIP, within};

/// Versions of one megabyte each, of which the disk at the edge holds a few.
const VERSIONS: u64 = 10;

fn path(number: u64, file: &str) -> String {
    format!("/example.com/big{number}/@v/{file}")
}

fn zip(number: u64) -> String {
    path(number, "v1.0.0.zip")
}

fn signal(modkeep: &Modkeep, signal: Signal) {
    let pid = Pid::from_raw(modkeep.pid().try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn the_edge_works_on_with_its_small_disk_while_the_uplink_is_cut_and_catches_up_after() {
    if !can_mount("an edge with a small disk (no right to mount a file system)") {
        return;
    }
    let (central_site, edge_site) = (Scene::new(), Scene::empty());
    let database = ChecksumDatabase::new("sum.example.com", 1);
    database.add(&Module::big("example.com/Acme", "v1.2.3", 300_000));
    for number in 0..VERSIONS {
        let module = Module::big(
            &format!("example.com/big{number}"),
            "v1.0.0",
            (1 << 20) + number,
        );
        central_site.tree.add(&module);
        central_site.write(&path(number, "list"), "v1.0.0\n");
        database.add(&module);
    }
    let central = central_site.start_with(&[("sumdb", &database.setting())]);
    // The edge knows no other server: records of the database come through the central instance, too.
    let edge = on_tmpfs(&edge_site, "size=8m")
        .env("MODKEEP_UPSTREAM", central.url())
        .env("MODKEEP_SUMDB", database.key())
        .env("MODKEEP_CLEAN_MIN_FREE", "3MiB")
        .env("MODKEEP_CLEAN_MIN_AGE", "0s")
        .env("MODKEEP_CACHE_TTL", "0s")
        .env("MODKEEP_UPSTREAMS_FIRST_BYTE_TIMEOUT", "3s")
        .env("MODKEEP_UPSTREAMS_DEADLINE", "8s")
        .start();
    // More than its disk holds.
    for number in 0..VERSIONS {
        for wanted in [
            path(number, "list"),
            path(number, "v1.0.0.mod"),
            zip(number),
        ] {
            let reply = edge.get_anew(&wanted);
            assert_eq!((reply.status, reply.complete), (200, true), "{wanted}");
            assert!(reply.body == central_site.source(&wanted), "{wanted}");
        }
    }
    within(SOON, "room is made at the edge", || {
        edge.metric("modkeep_cleaned_files_total") > 0
    });
    edge.settle();
    let tree = inside(&edge_site, &edge).join("tree");
    let is_kept = |number: &u64| tree.join(&zip(*number)[1..]).exists();

    // Cut without a word: packets go nowhere, and no connection ends.
    signal(&central, Signal::STOP);
    for number in 0..VERSIONS {
        let list = edge.get(&path(number, "list"));
        assert_eq!(list.header("Cache-Status"), STALE, "{}", list.text());
        assert_eq!(list.text(), "v1.0.0\n");
        assert_eq!(
            edge.get(&path(number, "v1.0.0.mod")).header("Cache-Status"),
            HIT
        );
    }
    // By now, what was to be removed is.
    let kept: Vec<u64> = (0..VERSIONS).filter(is_kept).collect();
    assert!(
        !kept.is_empty() && kept.len() < usize::try_from(VERSIONS).unwrap(),
        "{kept:?}"
    );
    for number in &kept {
        let reply = edge.get(&zip(*number));
        assert_eq!(reply.header("Cache-Status"), HIT, "{number}");
        assert!(reply.body == central_site.source(&zip(*number)), "{number}");
    }
    // What it has not is trouble, and no absence.
    for wanted in [MOD, LIST, ZIP] {
        let reply = edge.get(wanted);
        assert!(reply.status >= 500, "{wanted}: {}", reply.text());
    }
    // Published meanwhile.
    let news = Module::big("example.com/big0", "v1.1.0", 1 << 20);
    central_site.tree.add(&news);
    central_site.write(&path(0, "list"), "v1.0.0\nv1.1.0\n");
    database.add(&news);
    // While nobody can give anything back, nothing is removed.
    assert_eq!((0..VERSIONS).filter(is_kept).collect::<Vec<_>>(), kept);

    signal(&central, Signal::CONT);
    within(Duration::from_mins(2), "the edge has caught up", || {
        let list = edge.get(&path(0, "list"));
        thread::sleep(Duration::from_millis(50));
        list.text() == "v1.0.0\nv1.1.0\n" && list.header("Cache-Status") != STALE
    });
    let newest = path(0, "v1.1.0.zip");
    for wanted in [MOD, LIST, ZIP, newest.as_str()] {
        let reply = edge.get_anew(wanted);
        assert_eq!(
            (reply.status, reply.complete),
            (200, true),
            "{wanted}: {}",
            reply.text()
        );
        assert!(reply.body == central_site.source(wanted), "{wanted}");
    }
    // And what its disk could not keep comes again, as it was.
    for number in 0..VERSIONS {
        let reply = edge.get_anew(&zip(number));
        assert!(
            reply.complete && reply.body == central_site.source(&zip(number)),
            "{number}"
        );
    }
    assert_eq!(edge.terminate().code, Some(0));
    assert_eq!(central.terminate().code, Some(0));
}
