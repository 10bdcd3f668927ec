//! Resolvers of the operator's choice.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::scene::{Ask as _, LIST, Scene};

/// A resolver on loopback to which every name leads there. Ends with the test's process.
struct Resolver {
    address: String,
    asked: Arc<Mutex<usize>>,
}

impl Resolver {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let resolver = Self {
            address: socket.local_addr().unwrap().to_string(),
            asked: Arc::default(),
        };
        let asked = resolver.asked.clone();
        thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut question) {
                *asked.lock().unwrap() += 1;
                let question = &question[..len];
                let is_ipv4 = question[len - 4..len - 2] == [0, 1];
                let mut answer = question[..2].to_vec();
                answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
                answer.extend(&question[12..]);
                if is_ipv4 {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
                }
                socket.send_to(&answer, from).unwrap();
            }
        });
        resolver
    }
}

#[test]
fn upstreams_are_where_the_chosen_resolver_says_and_private_names_are_nobody_elses_business() {
    let scene = Scene::new();
    let resolver = Resolver::start();
    let port = scene.upstream.address().port();
    let servers = format!("udp://{}", resolver.address);
    let upstream = format!("http://modules.example.com:{port}");
    let modkeep = scene.start_with(&[
        ("upstream", upstream.as_str()),
        ("dns.servers", servers.as_str()),
    ]);
    let reply = modkeep.get(LIST);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(*resolver.asked.lock().unwrap() > 0);

    let scene = Scene::new();
    let resolver = Resolver::start();
    let servers = format!("udp://{}", resolver.address);
    for (setting, value) in [
        ("private", "*.corp.example.com/team"),
        ("dns.internal", "*.corp.example.com"),
    ] {
        let upstream = format!("http://modules.corp.example.com:{port}");
        let modkeep = scene.start_with(&[
            ("upstream", upstream.as_str()),
            ("dns.servers", servers.as_str()),
            (setting, value),
        ]);
        // The system's resolver knows no such name.
        assert_eq!(modkeep.get(LIST).status, 502);
        assert_eq!(*resolver.asked.lock().unwrap(), 0, "{setting}");
    }
}

#[test]
fn a_setting_that_names_no_resolver_is_told() {
    let scene = Scene::new();
    let exit = scene
        .command_with(&[("dns.servers", "dns.example.com")])
        .try_start()
        .unwrap_err();
    assert!(
        exit.stderr.contains("dns.servers") && exit.stderr.contains("tls://HOST"),
        "{}",
        exit.stderr
    );
}
