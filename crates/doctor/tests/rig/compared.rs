//! Other resolvers, other ways: what is learned by comparing. Every other resolver is on loopback.

use std::collections::HashMap;
use std::time::Duration;

use doctor::diagnose::{Diagnosis, Health};
use doctor::probe::Other;
use doctor::probe::report::Check;
use fault::Label;

use crate::dns::{self, Dns};
use crate::scene::{PROXY, Scene};
use crate::servers::{Authority, Flaw, closed, http_proxy, tls};

const LIMIT: Duration = Duration::from_secs(30);

/// What is true of the host according to everybody else.
async fn others(host: &str, says: Dns) -> Vec<Other> {
    let server = dns::serve(HashMap::from([(host.to_owned(), says)])).await;
    vec![Other::Plain(server)]
}

fn fact<'a>(diagnosis: &'a Diagnosis, check: Check, name: &str) -> Option<&'a str> {
    let probes = diagnosis.hops.iter().filter(|probe| probe.check == check);
    let facts = probes.flat_map(|probe| &probe.facts);
    let mut values = facts
        .filter(|(fact, _)| *fact == name)
        .map(|(_, value)| value.as_str());
    values.next()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_only_this_resolver_gives_is_told() {
    let mut scene = Scene::well().await;
    let dead = closed();
    scene.proxy_at("proxy.golang.org", dead);
    scene.others = others(
        "proxy.golang.org",
        Dns::Addresses(vec![[142, 250, 1, 1].into()]),
    )
    .await;
    let diagnosis = scene.diagnose(LIMIT).await;
    let cause = &diagnosis.verdict.causes[0];
    assert_eq!(cause.label(), Label::DnsPoisoned);
    let evidence = cause.failure.evidence.join("\n");
    assert!(
        evidence.contains("other resolvers say that proxy.golang.org is 142.250.1.1"),
        "{evidence}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_only_this_resolver_does_not_know_is_told() {
    let mut scene = Scene::well().await;
    scene.set("GOPROXY", "https://goproxy.cn");
    scene.name("goproxy.cn", Dns::NoSuchName);
    scene.others = others("goproxy.cn", Dns::Addresses(vec![[142, 250, 1, 1].into()])).await;
    let diagnosis = scene.diagnose(LIMIT).await;
    let cause = &diagnosis.verdict.causes[0];
    assert_eq!(cause.label(), Label::DnsNxdomain);
    assert!(
        cause.failure.evidence.join("\n").contains("142.250.1.1"),
        "{cause:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_names_are_not_asked_of_others() {
    let mut scene = Scene::well().await;
    scene.others = others(PROXY, Dns::Addresses(vec![[142, 250, 1, 1].into()])).await;
    let Some(Other::Plain(server)) = scene.others.first().cloned() else {
        unreachable!("a plain resolver");
    };
    let diagnosis = scene.diagnose(LIMIT).await;
    assert_eq!(diagnosis.verdict.health, Health::Healthy);
    let asked = diagnosis
        .hops
        .iter()
        .any(|probe| probe.target.contains(&server.to_string()));
    assert!(!asked, "{:?}", diagnosis.hops);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_company_that_decrypts_is_named_though_it_is_trusted() {
    let mut scene = Scene::well().await;
    let company = Authority::new("Example Corporation");
    let roots = format!("{}{}", scene.authority.pem(), company.pem());
    std::fs::write(scene.home.path().join("roots.pem"), roots).unwrap();
    let front = tls(
        &company,
        "proxy.golang.org",
        Flaw::None,
        scene.upstream.address(),
    )
    .await;
    scene.proxy_at("proxy.golang.org", front);
    let diagnosis = scene.diagnose(LIMIT).await;
    assert_eq!(
        diagnosis.verdict.health,
        Health::Healthy,
        "{:?}",
        diagnosis.verdict
    );
    let by = fact(&diagnosis, Check::Info, "intercepted-by").unwrap();
    assert!(by.contains("Example Corporation"), "{by}");
    // Nobody is said to listen at a server of one's own.
    let own = Scene::well().await.diagnose(LIMIT).await;
    assert_eq!(fact(&own, Check::Info, "intercepted-by"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_proven_to_be_in_the_log() {
    let diagnosis = Scene::well().await.diagnose(LIMIT).await;
    assert_eq!(fact(&diagnosis, Check::SumdbLookup, "proof"), Some("0/1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_hop_that_fails_it_is_tried_again() {
    let mut scene = Scene::well().await;
    let proxy = http_proxy(Some("502 Bad Gateway")).await;
    scene.set("HTTPS_PROXY", &format!("http://{proxy}"));
    let diagnosis = scene.diagnose(LIMIT).await;
    let cause = &diagnosis.verdict.causes[0];
    assert_eq!(cause.label(), Label::HttpproxyConnectFailed);
    let evidence = cause.failure.evidence.join("\n");
    assert!(
        evidence.contains("without the HTTP proxy the module is found"),
        "{evidence}"
    );
    assert!(
        diagnosis
            .hops
            .iter()
            .any(|probe| probe.check == Check::Bypass)
    );
}
