//! Clients that are slow, endless or many, and what they can do to the others: nothing.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use testkit::Modkeep;
use testkit::http::Connection;

use crate::scene::{Ask as _, LIST, MOD, PATHS, SOON, Scene, ZIP, within, write_hollow_zip};

/// Half a second for everything.
const STRICT: &str = "
[limits]
header-timeout = \"500ms\"
stall-timeout = \"500ms\"
header-bytes = \"8KiB\"
header-lines = 20
";

fn strict(scene: &Scene) -> Modkeep {
    let (command, _) = scene.command_with_file(STRICT);
    command.upstream(&scene.upstream.url()).sumdb("off").start()
}

#[test]
fn a_head_with_too_many_lines_is_refused() {
    let scene = Scene::new();
    let modkeep = strict(&scene);
    let names: Vec<String> = (0..40).map(|n| format!("X-Flood-{n}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(modkeep.ask("GET", MOD, &headers[..10]).status, 200);
    assert_eq!(modkeep.ask("GET", MOD, &headers).status, 431);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let scene = Scene::new();
    let modkeep = strict(&scene);
    let value = "x".repeat(20_000);
    assert_eq!(
        modkeep.ask("GET", MOD, &[("X", &value[..4000])]).status,
        200
    );
    assert_eq!(modkeep.ask("GET", MOD, &[("X", &value)]).status, 431);
    let mut connection = modkeep.connect();
    let target = format!("GET /{value} HTTP/1.1\r\nHost: a\r\n\r\n");
    // The answer may come before all was sent.
    let _cut = connection.send(target.as_bytes());
    if let Ok((status, _)) = connection.head() {
        assert!((400..500).contains(&status), "{status}");
    }
    assert_eq!(modkeep.get(MOD).status, 200);
}

/// How long the server bears a connection on which nothing sensible happens.
fn patience_with(modkeep: &Modkeep, first: &[u8], then: &[u8]) -> Duration {
    let mut connection = modkeep.connect();
    let began = Instant::now();
    let sent = connection.send(first);
    if sent.is_ok() && !then.is_empty() {
        let _cut = connection.send_slowly(then, 1, Duration::from_millis(50));
    }
    assert!(
        connection.is_closed_within(SOON),
        "{}",
        first.escape_ascii()
    );
    began.elapsed()
}

#[test]
fn a_head_that_does_not_come_to_an_end_is_not_waited_for() {
    let scene = Scene::new();
    let modkeep = strict(&scene);
    let slow = [b"X-Slow: ".as_slice(), &[b'a'; 400]].concat();
    let table: [(&str, &[u8], &[u8]); 6] = [
        ("nothing at all", b"", b""),
        ("one letter", b"G", b""),
        ("half a head", b"GET / HTTP/1.1\r\nHost: a\r\n", b""),
        ("a byte now and then", b"GET / HTTP/1.1\r\n", &slow),
        ("half of HTTP/2's first words", b"PRI * HTTP/2.0\r\n", b""),
        (
            "an idle connection",
            b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
            b"",
        ),
    ];
    thread::scope(|scope| {
        for (what, first, then) in table {
            let modkeep = &modkeep;
            scope.spawn(move || {
                let patience = patience_with(modkeep, first, then);
                let range = Duration::from_millis(400)..Duration::from_secs(8);
                assert!(range.contains(&patience), "{what}: {patience:?}");
            });
        }
        for _ in 0..10 {
            assert_eq!(modkeep.get(MOD).status, 200);
        }
    });
}

const HOLLOW: u64 = 64 << 20;

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    let scene = Scene::new();
    write_hollow_zip(&scene.stored(ZIP), HOLLOW);
    let modkeep = strict(&scene);
    let mut stalled: Vec<Connection> = (0..10).map(|_| modkeep.begin(ZIP)).collect();
    // Those who take what they get are served meanwhile.
    let (reply, len) = testkit::http::drain(&format!("{}{ZIP}", modkeep.url())).unwrap();
    assert!((reply.complete, len) == (true, HOLLOW));
    within(SOON, "the connections that stalled are closed", || {
        modkeep.metric("modkeep_connections") == 1
    });
    assert!(modkeep.metric("modkeep_connection_errors_total") >= 10);
    let connection = &mut stalled[0];
    let (status, _) = connection.head().unwrap();
    let taken = connection.rest().map_or(0, |bytes| bytes.len() as u64);
    assert!(status == 200 && taken < HOLLOW, "{status} {taken}");
}

#[test]
fn a_client_that_takes_a_little_now_and_then_gets_everything() {
    let scene = Scene::new();
    let len = 24 << 20;
    write_hollow_zip(&scene.stored(ZIP), len);
    let modkeep = scene.start_with(&[("limits.stall-timeout", "1500ms")]);
    let mut connection = modkeep.begin(ZIP);
    let (status, _) = connection.head().unwrap();
    assert_eq!(status, 200);
    let mut taken = 0;
    let mut rests = 0;
    while taken < len {
        let piece = connection.some(usize::MAX).unwrap();
        assert!(!piece.is_empty(), "cut after {taken} bytes");
        taken += piece.len() as u64;
        // Longer than the limit in all, far less than it at a time.
        if taken > rests << 20 && rests < 20 {
            rests += 1;
            thread::sleep(Duration::from_millis(100));
        }
    }
    assert_eq!((taken, rests), (len, 20));
}

pub(crate) fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn thousands_of_idle_connections_keep_nobody_from_being_served() {
    allow_many_files();
    let scene = Scene::new();
    // Nobody is let go before all of them have come: who is served is served beside them.
    let modkeep = scene.start_with(&[("limits.header-timeout", "10m")]);
    modkeep.get_stored(ZIP);
    let idle: Vec<Connection> = (0..3000)
        .map(|number| {
            let mut connection = modkeep.connect();
            if number % 2 == 0 {
                connection.send(b"GET /heal").unwrap();
            }
            connection
        })
        .collect();
    for path in PATHS {
        assert!(modkeep.get(path).body == scene.source(path), "{path}");
    }
    within(SOON, "all of them are open", || {
        modkeep.metric("modkeep_connections") > 3000
    });
    let memory = modkeep.memory().resident;
    assert!(memory < 300 << 20, "{memory} bytes");
    drop(idle);
}

#[test]
fn connections_beyond_the_limit_wait_for_their_turn() {
    let scene = Scene::new();
    let settings = [
        ("limits.connections", "4"),
        ("limits.header-timeout", "500ms"),
    ];
    let modkeep = scene.start_with(&settings);
    let began = Instant::now();
    let idle: Vec<Connection> = (0..4).map(|_| modkeep.connect()).collect();
    assert_eq!(modkeep.get(MOD).status, 200);
    let waited = began.elapsed();
    assert!(
        (Duration::from_millis(400)..Duration::from_secs(20)).contains(&waited),
        "{waited:?}"
    );
    drop(idle);
}

fn descriptors(modkeep: &Modkeep) -> usize {
    fs::read_dir(format!("/proc/{}/fd", modkeep.pid()))
        .unwrap()
        .count()
}

#[test]
fn answers_of_every_kind_leave_nothing_open() {
    let scene = Scene::new();
    let modkeep = scene.start_with(&[("cache.ttl", "0s"), ("cache.absent-ttl", "0s")]);
    let round = || {
        for path in PATHS {
            modkeep.get(path);
            modkeep.head(path);
            modkeep.ask("GET", path, &[("Range", "bytes=0-1,4-5")]);
            modkeep.begin(path);
        }
        for path in [
            "/example.com/none/@v/v1.0.0.zip",
            "/x",
            "/metrics",
            "/readyz",
        ] {
            modkeep.get(path);
        }
        modkeep.ask("POST", LIST, &[]);
    };
    round();
    modkeep.settle();
    let before = descriptors(&modkeep);
    for _ in 0..40 {
        round();
    }
    within(SOON, "no more files are open than before", || {
        descriptors(&modkeep) <= before + 2
    });
}
