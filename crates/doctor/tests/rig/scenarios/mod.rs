//! One fault each: scenario, and the label the verdict must name (its hop follows from it).

mod config;
mod disk;
mod goproxy;
mod http_proxy;
mod network;
mod sumdb;
mod tls;
mod vcs;

use std::net::SocketAddr;
use std::time::Duration;

use doctor::diagnose::Health;
use fault::Label;
use futures_util::future::BoxFuture;
use futures_util::stream::{StreamExt as _, iter};
use goenv::Shell;
use testkit::{Answer, Fault};

use crate::dns::Dns;
use crate::scene::{MODULE, PROXY, Scene, VERSION};
use crate::servers::{Flaw, Rude, closed, rude, tls};

pub(crate) type Build = for<'a> fn(&'a mut Scene) -> BoxFuture<'a, ()>;

/// Scenarios that end by themselves have plenty of time: the machine may be busy.
const PLENTY: f64 = 20.0;
/// Scenarios that wait for what never comes have little.
const LITTLE: f64 = 8.0;

/// A scenario: its name, the label its verdict names, how many seconds it has, what breaks it.
pub(crate) type Scenario = (&'static str, Label, f64, Build);

macro_rules! scenario {
    ($name:literal, $label:ident, $limit:expr, |$scene:ident| $body:block) => {
        (
            $name,
            Label::$label,
            $limit,
            (|$scene| async move { $body }.boxed()) as Build,
        )
    };
}
use scenario;

/// A fault of the module server for paths.
fn fails(scene: &Scene, paths: &str, fault: Fault) {
    scene.upstream.fail(paths, fault);
}

fn answers(scene: &Scene, status: u16) {
    fails(scene, "/example.com/*", Fault::status(status));
}

const PAGE: &str = "<!DOCTYPE html><html><body>Please log in</body></html>";

fn page(status: u16) -> Fault {
    Fault::Answer(
        Answer::status(status)
            .header("Content-Type", "text/html")
            .body(PAGE),
    )
}

async fn flawed(scene: &mut Scene, flaw: Flaw) {
    let front = tls(&scene.authority, PROXY, flaw, scene.upstream.address()).await;
    scene.proxy_at(PROXY, front);
}

fn through(scene: &mut Scene, scheme: &str, proxy: SocketAddr) {
    scene.set("HTTPS_PROXY", &format!("{scheme}://{proxy}"));
}

/// A module in a repository that only git is asked for, through an ssh that says so and fails.
fn ssh_says(scene: &mut Scene, words: &str) {
    "git.rig.test/team/lib.git".clone_into(&mut scene.module);
    scene.set("GOPROXY", "direct");
    scene.set("GONOSUMDB", "git.rig.test");
    scene.set("GIT_CONFIG_COUNT", "1");
    scene.set("GIT_CONFIG_KEY_0", "url.ssh://git@git.rig.test/.insteadOf");
    scene.set("GIT_CONFIG_VALUE_0", "https://git.rig.test/");
    scene.set(
        "GIT_SSH_COMMAND",
        &format!("sh -c 'printf \"%s\\n\" \"{words}\" >&2; exit 255'"),
    );
}

/// A module in a repository behind a web server that answers so.
async fn git_over_http(scene: &mut Scene, answer: &'static [u8]) {
    let server = rude(Rude::Says(answer)).await;
    "git.rig.test/team/lib.git".clone_into(&mut scene.module);
    scene.set("GOPROXY", "direct");
    scene.set("GONOSUMDB", "git.rig.test");
    scene.set("GIT_CONFIG_COUNT", "1");
    scene.set(
        "GIT_CONFIG_KEY_0",
        &format!("url.http://{server}/.insteadOf"),
    );
    scene.set("GIT_CONFIG_VALUE_0", "https://git.rig.test/");
}

fn table() -> Vec<Scenario> {
    [
        config::table(),
        network::table(),
        tls::table(),
        http_proxy::table(),
        goproxy::table(),
        sumdb::table(),
        vcs::table(),
        disk::table(),
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_verdict_names_the_broken_hop() {
    let table = table();
    let count = table.len();
    assert!(count >= 40, "{count}");
    let results: Vec<(&str, Label, Option<Label>, Health)> = iter(table)
        .map(|(name, expected, limit, build)| async move {
            let mut scene = Scene::well().await;
            build(&mut scene).await;
            let diagnosis = scene.diagnose(Duration::from_secs_f64(limit)).await;
            let named = diagnosis
                .verdict
                .causes
                .first()
                .map(doctor::diagnose::Cause::label);
            (name, expected, named, diagnosis.verdict.health)
        })
        .buffer_unordered(8)
        .collect()
        .await;
    let wrong: Vec<String> = results
        .iter()
        .filter(|(_, expected, named, health)| *named != Some(*expected) || health.is_healthy())
        .map(|(name, expected, named, _)| {
            let named = named.map_or("nothing", Label::as_str);
            format!("{name}: {named} instead of {expected}")
        })
        .collect();
    println!(
        "{} of {count} scenarios are named rightly",
        count - wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_entry_that_answers_means_degraded_and_not_broken() {
    let mut scene = Scene::well().await;
    let dead = closed();
    scene.name("dead.rig.test", Dns::here());
    scene.chain(&format!("https://dead.rig.test:{}|PROXY", dead.port()));
    let diagnosis = scene.diagnose(Duration::from_secs(20)).await;
    assert_eq!(diagnosis.verdict.health, Health::Degraded);
    assert_eq!(diagnosis.verdict.causes[0].label(), Label::TcpRefused);

    // A comma is passed by 404 and 410 only.
    let chain = scene.get("GOPROXY").replace('|', ",");
    scene.set("GOPROXY", &chain);
    let diagnosis = scene.diagnose(Duration::from_secs(20)).await;
    assert_eq!(diagnosis.verdict.health, Health::Broken);
    assert!(!diagnosis.route[1].is_reached);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_nowhere_in_a_diagnosis() {
    let mut scene = Scene::well().await;
    let with_password = scene
        .get("GOPROXY")
        .replace("https://", "https://me:hunter2secret@");
    scene.set("GOPROXY", &with_password);
    answers(&scene, 401);
    let diagnosis = scene.diagnose(Duration::from_secs(20)).await;
    let json = diagnosis.to_json(fault::Lang::En, Shell::Posix).to_string();
    assert!(json.contains("goproxy-401"));
    assert!(!json.contains("hunter2secret"), "{json}");
    assert!(!format!("{diagnosis:?}").contains("hunter2secret"));
    let asked = scene.upstream.requests();
    assert!(
        asked
            .iter()
            .any(|request| request.header("authorization").is_some()),
        "the password is used all the same"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_json_has_the_shape_of_the_interface() {
    let mut scene = Scene::well().await;
    scene.name(PROXY, Dns::ServFail);
    let json = scene
        .diagnose(Duration::from_secs(20))
        .await
        .to_json(fault::Lang::Zh, Shell::Posix);
    assert_eq!(json["verdict"]["label"], "dns-servfail");
    assert_eq!(json["verdict"]["hop"], "dns");
    assert_eq!(json["causes"][0]["hop"], "dns");
    assert!(json["causes"][0]["fixes"][0]["text"].is_string());
    assert!(json["settings"].as_array().unwrap().len() > 10);
    let hops = json["hops"].as_array().unwrap();
    assert!(
        hops.iter()
            .any(|hop| hop["check"] == "resolver" && hop["timings"]["dns_ms"].is_number())
    );
    assert_eq!(json["module"], MODULE);
    assert!(VERSION.starts_with('v'));
}
