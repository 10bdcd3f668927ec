use std::time::{Duration, Instant};

use fault::Label;
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
use testkit::Fault;
use upstream::Limits;

use crate::scene::{INFO, LIST, MOD, Options, PATIENT, SHORT, Scene, assert_says, failure, get};

#[tokio::test]
async fn nobody_listens() {
    let mut scene = Scene::new();
    scene.upstream.stop();
    let failure = failure(&scene.chain(), LIST).await;
    assert_says(&failure, Label::TcpRefused, "connect: connection refused");
    let url = format!("Get \"{}/{LIST}\": dial tcp: ", scene.upstream.url());
    assert!(failure.detail.starts_with(&url), "{failure}");
    assert_eq!(failure.source, scene.upstream.url());
    assert!(!failure.is_timeout());
}

#[tokio::test]
async fn the_connection_ends_where_an_answer_should_be() {
    let scene = Scene::new();
    let chain = scene.chain();
    scene.upstream.fail(INFO_PATH, Fault::ResetWithoutAnswer);
    assert_says(
        &failure(&chain, INFO).await,
        Label::TcpReset,
        "connection reset by peer",
    );
    scene.upstream.fail(INFO_PATH, Fault::CloseWithoutAnswer);
    assert_says(&failure(&chain, INFO).await, Label::TcpReset, "closed");
    scene.upstream.fail(
        INFO_PATH,
        Fault::Garbage(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
    );
    assert_says(
        &failure(&chain, INFO).await,
        Label::GoproxyCorrupt,
        "malformed HTTP response",
    );
    // What TLS says to a client that speaks without it.
    scene.upstream.fail(
        INFO_PATH,
        Fault::Garbage(b"\x15\x03\x01\0\x02\x02\x16".to_vec()),
    );
    assert_says(
        &failure(&chain, INFO).await,
        Label::GoproxyCorrupt,
        "malformed HTTP response",
    );
    scene.upstream.heal();
    get(&chain, INFO).await.unwrap();
}

const INFO_PATH: &str = "/example.com/m/@v/v1.0.0.info";

#[tokio::test]
async fn a_kept_connection_that_the_server_has_closed_is_no_failure() {
    let scene = Scene::new();
    let chain = scene.chain();
    get(&chain, LIST).await.unwrap();
    // The kept connection ends just as it is used; a new one works.
    scene
        .upstream
        .fail_once(INFO_PATH, Fault::CloseWithoutAnswer);
    get(&chain, INFO).await.unwrap();
    assert_eq!(scene.upstream.count(INFO_PATH), 2);
}

#[tokio::test]
async fn each_limit_ends_what_it_is_for() {
    let scene = Scene::new();
    let url = scene.upstream.url();
    let chain = |limits| Options::new(&url).limits(limits).chain();
    let table: [(Fault, Limits, &str); 4] = [
        (
            Fault::Hang,
            Limits {
                first_byte: SHORT,
                ..PATIENT
            },
            "no answer within 300ms",
        ),
        (
            Fault::StallAt(5),
            Limits {
                idle: SHORT,
                ..PATIENT
            },
            "no bytes for 300ms",
        ),
        (
            Fault::StallAt(0),
            Limits {
                idle: SHORT,
                ..PATIENT
            },
            "no bytes for 300ms",
        ),
        (
            Fault::Drip {
                bytes: 1,
                every: Duration::from_millis(50),
            },
            Limits {
                small: SHORT,
                ..PATIENT
            },
            "the answer was not complete after 300ms",
        ),
    ];
    for (fault, limits, words) in table {
        scene.upstream.fail(INFO_PATH, fault.clone());
        let began = Instant::now();
        let failure = failure(&chain(limits), INFO).await;
        assert_says(&failure, Label::GoproxySlow, words);
        assert!(failure.is_timeout());
        assert!(began.elapsed() >= SHORT, "{fault:?}");
        // The others are longer than that.
        assert!(began.elapsed() < PATIENT.idle, "{fault:?}");
        scene.upstream.heal();
    }
    // Slow is not too slow, and each limit is for its own.
    for (fault, limits) in [
        (
            Fault::Drip {
                bytes: 5,
                every: Duration::from_millis(50),
            },
            Limits {
                first_byte: SHORT,
                ..PATIENT
            },
        ),
        (
            Fault::Delay(SHORT * 2),
            Limits {
                idle: SHORT,
                ..PATIENT
            },
        ),
    ] {
        scene.upstream.fail(INFO_PATH, fault.clone());
        let answer = get(&chain(limits), INFO).await;
        assert!(answer.is_ok(), "{fault:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_connection_that_never_comes_about_is_given_up() {
    // A queue of one that nobody empties: the system answers no further connection.
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    set_socket_reuseaddr(&listener, true).unwrap();
    bind(
        &listener,
        &"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap(),
    )
    .unwrap();
    listen(&listener, 0).unwrap();
    let address =
        std::net::SocketAddr::try_from(rustix::net::getsockname(&listener).unwrap()).unwrap();
    let attempts: Vec<_> = (0..4)
        .map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)))
        .collect();
    assert!(attempts.iter().any(Result::is_err), "the queue has no end");
    let limits = Limits {
        connect: SHORT,
        ..PATIENT
    };
    let chain = Options::new(&format!("http://{address}"))
        .limits(limits)
        .chain();
    let failure = failure(&chain, LIST).await;
    assert_says(&failure, Label::TcpTimeout, "dial tcp: i/o timeout");
    assert!(failure.is_timeout());
}

#[tokio::test]
async fn a_body_that_is_cut_is_not_taken_for_a_whole_one() {
    let scene = Scene::new();
    let chain = scene.chain();
    let table = [
        (
            Fault::TruncateAt(5),
            Label::GoproxyTruncated,
            "unexpected EOF",
        ),
        (
            Fault::TruncateAt(0),
            Label::GoproxyTruncated,
            "unexpected EOF",
        ),
        (
            Fault::All(vec![Fault::Chunked, Fault::TruncateAt(5)]),
            Label::GoproxyTruncated,
            "unexpected EOF",
        ),
        (
            Fault::WrongLength(7),
            Label::GoproxyTruncated,
            "unexpected EOF",
        ),
        (
            Fault::ResetAt(5),
            Label::TcpReset,
            "connection reset by peer",
        ),
    ];
    for path in [LIST, INFO, MOD] {
        for (fault, label, words) in table.clone() {
            scene.upstream.fail(format!("/{path}").as_str(), fault);
            assert_says(&failure(&chain, path).await, label, words);
            scene.upstream.heal();
        }
        assert_eq!(get(&chain, path).await.unwrap().body, scene.source(path));
    }
}

#[tokio::test]
async fn every_framing_of_a_body_is_understood() {
    let scene = Scene::new();
    let chain = scene.chain();
    for fault in [Fault::Chunked, Fault::UntilClose] {
        scene.upstream.fail("*", fault);
        for path in [LIST, INFO, MOD] {
            assert_eq!(get(&chain, path).await.unwrap().body, scene.source(path));
        }
    }
}
