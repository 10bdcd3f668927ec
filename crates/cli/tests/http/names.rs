//! Resolvers of the operator's choice.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::scene::{Ask as _, LIST, Scene};

/// A resolver on loopback to which every name leads there. Ends with the test's process.
struct Resolver {
    address: String,
    /// Every name that was asked for.
    asked: Arc<Mutex<Vec<String>>>,
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
                let question = &question[..len];
                asked.lock().unwrap().push(name_in(question));
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

    fn was_asked_for(&self, name: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked == name)
    }
}

/// The name in a question: labels, each behind its length, up to an empty one.
fn name_in(question: &[u8]) -> String {
    let (mut rest, mut labels) = (&question[12..], Vec::new());
    while rest[0] > 0 {
        let (label, behind) = rest[1..].split_at(usize::from(rest[0]));
        labels.push(String::from_utf8_lossy(label));
        rest = behind;
    }
    labels.join(".")
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
    assert!(resolver.was_asked_for("modules.example.com"));

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
        let asked = resolver.asked.lock().unwrap().clone();
        assert!(asked.is_empty(), "{setting}: {asked:?}");
    }
}

#[test]
fn repositories_of_public_modules_are_where_the_chosen_resolver_says() {
    let scene = Scene::new();
    let resolver = Resolver::start();
    let servers = format!("udp://{}", resolver.address);
    let modkeep = scene
        .command_with(&[
            ("upstream", "direct"),
            ("dns.servers", servers.as_str()),
            ("private", "git.corp.example.com/team"),
        ])
        // Nothing leads there but the address, which is one of this machine: that ends it.
        .env("HTTPS_PROXY", "")
        .start();
    let reply = modkeep.get("/code.public.example.com/lib/@v/list");
    assert_eq!(reply.status, 502, "{}", reply.text());
    assert!(
        reply.text().contains("it leads to a private, loopback"),
        "{}",
        reply.text()
    );
    assert!(resolver.was_asked_for("code.public.example.com"));
    let reply = modkeep.get("/git.corp.example.com/team/lib/@v/list");
    assert!(reply.status >= 404, "{}", reply.text());
    assert!(!resolver.was_asked_for("git.corp.example.com"));
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
