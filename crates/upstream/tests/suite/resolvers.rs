use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use fault::Label;
use goenv::private::Patterns;
use rustix::net::{AddressFamily, SocketType, bind, connect, listen, socket};
use testkit::Authority;
use upstream::{Chain, Limits, NameServers};

use crate::child;
use crate::name_server::{NameServer, Say};
use crate::scene::{LIST, Options, PATIENT, Scene, assert_says, failure, get};

const HOST: &str = "modules.example.com";

fn servers(text: &str) -> NameServers {
    NameServers::parse(text).unwrap()
}

/// The scene's upstream by a name that only our resolver knows.
fn url(scene: &Scene) -> String {
    format!("http://{HOST}:{}", scene.upstream.address().port())
}

fn here() -> Say {
    Say::Addresses(vec![Ipv4Addr::LOCALHOST])
}

#[tokio::test]
async fn a_name_leads_where_the_chosen_resolver_says() {
    let scene = Scene::new();
    let resolver = NameServer::start(&[(HOST, here())]);
    let options = Options::new(&url(&scene)).names(servers(&resolver.udp()));
    let reply = get(&options.chain(), LIST).await.unwrap();
    assert_eq!(reply.body, scene.source(LIST));
    assert!(resolver.asked().iter().all(|name| name == HOST));
    assert!(!resolver.asked().is_empty());
}

#[tokio::test]
async fn what_does_not_fit_into_a_packet_is_asked_for_again() {
    let scene = Scene::new();
    let resolver = NameServer::start(&[(HOST, Say::Truncated(Ipv4Addr::LOCALHOST))]);
    let chain = Options::new(&url(&scene))
        .names(servers(&resolver.udp()))
        .chain();
    assert_eq!(get(&chain, LIST).await.unwrap().body, scene.source(LIST));
}

#[tokio::test]
async fn who_answers_without_having_seen_the_question_is_not_believed() {
    let scene = Scene::new();
    let forged = Say::Forged(Ipv4Addr::new(127, 0, 0, 9), Ipv4Addr::LOCALHOST);
    let resolver = NameServer::start(&[(HOST, forged)]);
    let chain = Options::new(&url(&scene))
        .names(servers(&resolver.udp()))
        .chain();
    assert_eq!(get(&chain, LIST).await.unwrap().body, scene.source(LIST));
}

#[tokio::test]
async fn who_never_says_that_there_is_no_address_of_the_other_family_is_not_waited_for() {
    let scene = Scene::new();
    let resolver = NameServer::start(&[(HOST, Say::OnlyIpv4(Ipv4Addr::LOCALHOST))]);
    let limits = Limits {
        // Less than a resolver is waited for.
        connect: Duration::from_secs(4),
        ..PATIENT
    };
    let chain = Options::new(&url(&scene))
        .names(servers(&resolver.udp()))
        .limits(limits)
        .chain();
    assert_eq!(get(&chain, LIST).await.unwrap().body, scene.source(LIST));
    assert_eq!(retries_of(&chain), 0);
}

/// How often a chain's upstream failed and was asked again.
fn retries_of(chain: &Chain) -> u64 {
    chain.status()[0].counts.retries
}

#[tokio::test]
async fn an_answer_is_used_for_as_long_as_it_says_unless_it_leads_to_nobody() {
    let mut scene = Scene::new();
    let resolver = NameServer::start(&[(HOST, Say::ForLong(Ipv4Addr::LOCALHOST))]);
    let names = servers(&resolver.udp());
    let chain = Options::new(&url(&scene)).names(names.clone()).chain();
    get(&chain, LIST).await.unwrap();
    resolver.forget();
    // A new connection is made.
    scene.upstream.stop();
    scene.upstream.start();
    get(&chain, LIST).await.unwrap();
    assert_eq!(resolver.asked(), Vec::<String>::new());

    // A wrong address; the right one is known to the resolver only later.
    resolver.say(HOST, Say::ForLong(Ipv4Addr::new(127, 0, 0, 9)));
    let chain = Options::new(&url(&scene)).names(names).chain();
    assert_says(
        &failure(&chain, LIST).await,
        Label::TcpRefused,
        "connection refused",
    );
    resolver.say(HOST, Say::ForLong(Ipv4Addr::LOCALHOST));
    assert_eq!(get(&chain, LIST).await.unwrap().body, scene.source(LIST));
}

#[tokio::test]
async fn a_resolver_that_says_nothing_is_not_waited_for_when_there_is_another() {
    let scene = Scene::new();
    let (deaf, well) = (
        NameServer::start(&[(HOST, Say::Silence)]),
        NameServer::start(&[(HOST, here())]),
    );
    let limits = Limits {
        // Less than a resolver is waited for.
        connect: Duration::from_secs(4),
        ..PATIENT
    };
    let list = format!("{},{}", deaf.udp(), well.udp());
    let chain = Options::new(&url(&scene))
        .names(servers(&list))
        .limits(limits)
        .chain();
    assert_eq!(get(&chain, LIST).await.unwrap().body, scene.source(LIST));
    assert_eq!(retries_of(&chain), 0);
    assert!(!deaf.asked().is_empty());
}

#[tokio::test]
async fn a_resolver_that_fails_is_told_from_a_name_that_does_not_exist() {
    for (say, label, words) in [
        (Say::NoSuchName, Label::DnsNxdomain, "no such host"),
        (Say::ServFail, Label::DnsServfail, "server misbehaving"),
        (Say::Silence, Label::DnsTimeout, "i/o timeout"),
    ] {
        let resolver = NameServer::start(&[(HOST, say)]);
        let chain = Options::new(&format!("http://{HOST}"))
            .names(servers(&resolver.udp()))
            .chain();
        assert_says(&failure(&chain, LIST).await, label, words);
    }
}

#[tokio::test]
async fn the_next_resolver_is_asked_when_one_fails_and_not_when_it_denies() {
    let scene = Scene::new();
    let (ill, well) = (
        NameServer::start(&[(HOST, Say::ServFail)]),
        NameServer::start(&[(HOST, here())]),
    );
    let list = format!("{},{}", ill.udp(), well.udp());
    let chain = Options::new(&url(&scene)).names(servers(&list)).chain();
    assert_eq!(get(&chain, LIST).await.unwrap().body, scene.source(LIST));
    assert!(!ill.asked().is_empty());
    ill.say(HOST, Say::NoSuchName);
    let answered = well.asked().len();
    let chain = Options::new(&url(&scene)).names(servers(&list)).chain();
    assert_says(
        &failure(&chain, LIST).await,
        Label::DnsNxdomain,
        "no such host",
    );
    assert_eq!(well.asked().len(), answered);
}

#[tokio::test]
async fn a_name_leads_where_it_led_when_the_resolver_is_gone_and_its_answer_is_old() {
    let mut scene = Scene::new();
    let resolver = NameServer::start(&[(HOST, here())]);
    let chain = Options::new(&url(&scene))
        .names(servers(&resolver.udp()))
        .chain();
    get(&chain, LIST).await.unwrap();
    for say in [Say::ServFail, Say::Silence] {
        resolver.say(HOST, say);
        // A new connection is made, for which the name is asked again: answers are good for no time.
        scene.upstream.stop();
        scene.upstream.start();
        resolver.forget();
        assert_eq!(get(&chain, LIST).await.unwrap().body, scene.source(LIST));
        assert!(!resolver.asked().is_empty());
    }
}

#[tokio::test]
async fn names_of_the_own_network_and_of_http_proxies_are_not_sent_to_resolvers() {
    let resolver = NameServer::start(&[]);
    for host in ["goproxy", "goproxy.internal", "a.corp.example.com"] {
        let names = servers(&resolver.udp()).with_internal(Patterns::parse("*.corp.example.com"));
        let chain = Options::new(&format!("http://{host}")).names(names).chain();
        get(&chain, LIST).await.unwrap_err();
    }
    let chain = Options::new(&format!("http://{HOST}"))
        .env("HTTP_PROXY", "http://proxy.example.com:3128")
        .names(servers(&resolver.udp()))
        .chain();
    get(&chain, LIST).await.unwrap_err();
    assert_eq!(resolver.asked(), Vec::<String>::new());
}

/// What a process that trusts `authority` alone gets from `url`, with these resolvers.
fn ask(authority: &Authority, url: &str, list: &str) -> String {
    child::ask(authority, url, (child::RESOLVERS, list))
}

#[test]
fn over_tls_and_https_only_the_resolver_with_the_right_certificate_is_believed() {
    let scene = Scene::new();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let resolver = NameServer::start_with(&[(HOST, here())], Some(&authority));
    let expected = format!("body b{:?}", String::from_utf8(scene.source(LIST)).unwrap());
    for server in [
        resolver.tls("127.0.0.1"),
        resolver.tls("localhost"),
        resolver.https("127.0.0.1"),
        resolver.https("localhost"),
    ] {
        resolver.forget();
        assert_eq!(ask(&authority, &url(&scene), &server), expected, "{server}");
        assert!(!resolver.asked().is_empty(), "{server}");
        resolver.forget();
        let verdict = ask(&stranger, &url(&scene), &server);
        assert!(
            verdict.starts_with(Label::DnsServfail.as_str()),
            "{server}: {verdict}"
        );
        assert_eq!(resolver.asked(), Vec::<String>::new(), "{server}");
    }
}

/// A port of another address of loopback at which nobody takes connections: they are neither refused nor made.
fn black_hole(address: SocketAddr) -> impl Sized {
    let deaf = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&deaf, &address).unwrap();
    listen(&deaf, 0).unwrap();
    // What waits to be taken fills the queue.
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let socket = rustix::net::socket_with(
                AddressFamily::INET,
                SocketType::STREAM,
                rustix::net::SocketFlags::NONBLOCK,
                None,
            )
            .unwrap();
            let _under_way = connect(&socket, &address);
            socket
        })
        .collect();
    (deaf, waiting)
}

#[tokio::test]
async fn a_host_is_reached_at_the_one_of_its_addresses_that_works_and_that_is_remembered() {
    let mut scene = Scene::new();
    let port = scene.upstream.address().port();
    let _deaf = black_hole(([127, 0, 0, 2], port).into());
    // Nobody listens at the third.
    let addresses = [[127, 0, 0, 2], [127, 0, 0, 3], [127, 0, 0, 1]].map(Ipv4Addr::from);
    let resolver = NameServer::start(&[(HOST, Say::Addresses(addresses.to_vec()))]);
    let chain = Options::new(&url(&scene))
        .names(servers(&resolver.udp()))
        .chain();
    assert_eq!(get(&chain, LIST).await.unwrap().body, scene.source(LIST));
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        scene.upstream.stop();
        scene.upstream.start();
        let began = std::time::Instant::now();
        assert_eq!(get(&chain, LIST).await.unwrap().body, scene.source(LIST));
        quickest = quickest.min(began.elapsed());
    }
    // The head start of the address that is not tried any more.
    assert!(quickest < Duration::from_millis(250), "{quickest:?}");
}
