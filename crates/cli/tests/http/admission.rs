//! More to fetch than can be borne: who waits, who is refused, and who notices nothing of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use testkit::http::Connection;
use testkit::{Modkeep, Module};

use crate::scene::{Ask as _, HIT, SOON, Scene, within};

/// Two clients.
const ONE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn go_mod(number: usize) -> String {
    format!("/example.com/m{number}/@v/v1.0.0.mod")
}

/// With this many modules.
fn scene(modules: usize) -> Scene {
    let scene = Scene::empty();
    for number in 0..modules {
        let path = format!("example.com/m{number}");
        scene.tree.add(&Module::new(&path, "v1.0.0"));
    }
    scene
}

/// Asks for a module's go.mod file from this address, and does not wait for the answer.
fn ask_from(client: Ipv4Addr, modkeep: &Modkeep, number: usize) -> Connection {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::new(IpAddr::V4(client), 0)).unwrap();
    let server: SocketAddr = modkeep.authority().parse().unwrap();
    connect(&socket, &server).unwrap();
    let mut connection = Connection::over(TcpStream::from(socket)).unwrap();
    let path = go_mod(number);
    connection.request("GET", "modkeep", &path, &[]).unwrap();
    connection
}

fn wait_until_waiting(modkeep: &Modkeep, count: u64) {
    within(SOON, &format!("{count} fetches wait"), || {
        modkeep.metric("modkeep_fetches_waiting") == count
    });
}

#[test]
fn what_is_too_much_is_refused_and_whoever_asks_for_little_or_for_what_is_stored_is_served() {
    let scene = scene(6);
    let modkeep = scene.start_with(&[("limits.fetches", "1"), ("limits.queue", "2")]);
    assert_eq!(modkeep.get_stored(&go_mod(0)).status, 200);
    modkeep.settle();
    // Nothing comes any more.
    scene.upstream.set_delay(Duration::from_mins(5));
    let _under_way = ask_from(ONE, &modkeep, 1);
    within(SOON, "the upstream is asked", || {
        scene.upstream.count(go_mod(1).as_str()) > 0
    });
    let _waits = ask_from(ONE, &modkeep, 2);
    wait_until_waiting(&modkeep, 1);
    let mut last = ask_from(ONE, &modkeep, 3);
    wait_until_waiting(&modkeep, 2);

    let refused = ask_from(ONE, &modkeep, 4).reply(false).unwrap();
    assert_eq!(refused.status, 503);
    let seconds: u64 = refused.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(
        refused.text().starts_with("busy: 2 fetches wait"),
        "{}",
        refused.text()
    );

    // What is stored waits for nothing.
    assert_eq!(modkeep.get(&go_mod(0)).header("Cache-Status"), HIT);

    // Another client has its place, at the cost of who has more of them.
    let _served = ask_from(OTHER, &modkeep, 5);
    assert_eq!(last.reply(false).unwrap().status, 503);
    wait_until_waiting(&modkeep, 2);
    assert_eq!(modkeep.metric("modkeep_fetches_turned_away_total"), 2);
    assert_eq!(scene.upstream.count(go_mod(4).as_str()), 0);
}

#[test]
fn a_client_that_asks_for_much_does_not_keep_another_waiting() {
    let scene = scene(31);
    let modkeep = scene.start_with(&[("limits.fetches", "1")]);
    scene.upstream.hold();
    let much: Vec<Connection> = (0..30).map(|n| ask_from(ONE, &modkeep, n)).collect();
    wait_until_waiting(&modkeep, 29);
    let mut other = ask_from(OTHER, &modkeep, 30);
    wait_until_waiting(&modkeep, 30);
    scene.upstream.release();
    let reply = other.reply(false).unwrap();
    assert_eq!(reply.status, 200);
    let requests = scene.upstream.requests().into_iter();
    let paths = requests.map(|request| request.path);
    let mut asked: Vec<String> = paths.filter(|path| path.ends_with(".mod")).collect();
    // What is long in coming is asked for twice.
    asked.dedup();
    let turn = asked.iter().position(|path| *path == go_mod(30)).unwrap();
    // One was under way, and one may have its turn first.
    assert!(turn <= 2, "{turn}: {asked:?}");
    for mut connection in much {
        assert_eq!(connection.reply(false).unwrap().status, 200);
    }
}

#[test]
fn a_fetch_that_has_no_turn_in_time_is_refused() {
    let scene = scene(2);
    let modkeep = scene.start_with(&[("limits.fetches", "1"), ("limits.queue-timeout", "200ms")]);
    scene.upstream.set_delay(Duration::from_mins(5));
    let _under_way = ask_from(ONE, &modkeep, 0);
    within(SOON, "the upstream is asked", || {
        scene.upstream.count(go_mod(0).as_str()) > 0
    });
    let refused = ask_from(OTHER, &modkeep, 1).reply(false).unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.header("Retry-After").is_some());
}
