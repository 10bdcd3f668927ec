use std::time::Duration;

use fault::Label;
use testkit::{Answer, Fault};

use crate::scene::{INFO, MOD, Scene, absence, assert_says, failure, zip_failure};

#[tokio::test]
async fn only_404_and_410_mean_that_there_is_no_such_thing() {
    let scene = Scene::new();
    let chain = scene.chain();
    for status in [404, 410] {
        scene.upstream.fail("*", Fault::status(status));
        let absence = absence(&chain, INFO).await;
        assert_eq!(absence.gone, status == 410);
        assert_eq!(absence.reason, format!("simulated status {status}"));
        assert_eq!(absence.source, scene.upstream.url());
    }
    for (status, label) in [
        (201, Label::GoproxyCorrupt),
        (204, Label::GoproxyCorrupt),
        (206, Label::GoproxyCorrupt),
        (300, Label::GoproxyCorrupt),
        (304, Label::GoproxyCorrupt),
        (400, Label::Goproxy4xx),
        (401, Label::Goproxy401),
        (402, Label::Goproxy4xx),
        (403, Label::Goproxy403),
        (405, Label::Goproxy4xx),
        (406, Label::Goproxy4xx),
        (407, Label::Httpproxy407),
        (418, Label::Goproxy4xx),
        (429, Label::Goproxy429),
        (451, Label::Goproxy4xx),
        (500, Label::Goproxy5xx),
        (501, Label::Goproxy5xx),
        (502, Label::Goproxy5xx),
        (503, Label::Goproxy5xx),
        (504, Label::Goproxy5xx),
        (599, Label::Goproxy5xx),
    ] {
        scene.upstream.fail("*", Fault::status(status));
        for failure in [failure(&chain, INFO).await, zip_failure(&chain).await] {
            assert_says(&failure, label, &format!(": {status}"));
            assert!(!failure.label.means_absent());
        }
    }
}

#[tokio::test]
async fn what_an_upstream_says_is_passed_on_within_limits() {
    let scene = Scene::new();
    let chain = scene.chain();
    let say = |kind: &str, body: &str| {
        scene.upstream.fail(
            "*",
            Fault::Answer(Answer::status(404).header("Content-Type", kind).body(body)),
        );
    };
    say(
        "text/plain",
        "not found: example.com/m@v1.0.0: unknown revision\n",
    );
    assert_eq!(
        absence(&chain, INFO).await.reason,
        "example.com/m@v1.0.0: unknown revision"
    );
    say(
        "Text/Plain; charset=utf-8",
        "\n\n  first \r\n\n\tsecond\x07\n",
    );
    assert_eq!(absence(&chain, INFO).await.reason, "first\nsecond");
    let url = scene.upstream.url();
    for (kind, body) in [
        ("text/html", "<html>no</html>"),
        ("text/plain", " \n"),
        ("application/json", "{}"),
    ] {
        say(kind, body);
        assert_eq!(
            absence(&chain, INFO).await.reason,
            format!("{url} says 404 Not Found")
        );
    }
    say("text/plain", &"line\n".repeat(100));
    assert_eq!(absence(&chain, INFO).await.reason.lines().count(), 8);
    say("text/plain", &"x".repeat(1_000_000));
    assert_eq!(absence(&chain, INFO).await.reason.len(), 1024);
    say("text/plain", &"\u{20ac}".repeat(1000));
    assert!(absence(&chain, INFO).await.reason.starts_with('\u{20ac}'));

    scene.upstream.fail(
        "*",
        Fault::Answer(
            Answer::status(500)
                .header("Content-Type", "text/plain")
                .body("fetch timed out\n"),
        ),
    );
    assert_says(
        &failure(&chain, MOD).await,
        Label::Goproxy5xx,
        "500 Internal Server Error (server response: fetch timed out)",
    );
}

#[tokio::test]
async fn a_reason_that_does_not_come_is_not_waited_for() {
    let scene = Scene::new();
    scene
        .upstream
        .fail("*", Fault::All(vec![Fault::status(404), Fault::StallAt(3)]));
    let absence = absence(&scene.chain(), INFO).await;
    let says = format!("{} says 404 Not Found", scene.upstream.url());
    assert_eq!(absence.reason, says);
}

#[tokio::test]
async fn how_long_to_wait_is_passed_on() {
    let scene = Scene::new();
    let chain = scene.chain();
    for status in [429, 503] {
        scene.upstream.fail("*", Fault::retry_after(status, 7));
        assert_eq!(
            failure(&chain, INFO).await.retry_after,
            Some(Duration::from_secs(7))
        );
    }
    scene.upstream.fail(
        "*",
        Fault::Answer(Answer::status(503).header("Retry-After", "soon")),
    );
    assert_eq!(failure(&chain, INFO).await.retry_after, None);
}
