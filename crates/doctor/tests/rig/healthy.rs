//! Setups in which nothing is wrong: not one warning.

use std::time::Duration;

use doctor::diagnose::Health;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{StreamExt as _, iter};
use testkit::{Answer, Fault, Module, Tree};

use crate::dns::Dns;
use crate::scene::{MODULE, PROXY, Scene, VERSION};
use crate::servers::{Flaw, closed, http_proxy, tls};

type Build = for<'a> fn(&'a mut Scene) -> BoxFuture<'a, ()>;

macro_rules! setup {
    ($name:literal, |$scene:ident| $body:block) => {
        ($name, (|$scene| async move { $body }.boxed()) as Build)
    };
}

fn table() -> Vec<(&'static str, Build)> {
    vec![
        setup!("one proxy over TLS", |scene| {
            scene.repeat = 1;
        }),
        setup!("no version asked for", |scene| {
            scene.revision = None;
        }),
        setup!("plain HTTP", |scene| {
            let url = scene.upstream.url();
            scene.set("GOPROXY", &url);
        }),
        setup!("plain HTTP through an HTTP proxy", |scene| {
            let url = format!("http://{PROXY}:{}", scene.upstream.address().port());
            let proxy = http_proxy(None).await;
            scene.set("GOPROXY", &url);
            scene.set("HTTP_PROXY", &format!("http://{proxy}"));
        }),
        setup!("TLS through an HTTP proxy", |scene| {
            let proxy = http_proxy(None).await;
            scene.set("HTTPS_PROXY", &format!("http://{proxy}"));
        }),
        setup!("TLS through an HTTP proxy in lower case", |scene| {
            let proxy = http_proxy(None).await;
            scene.set("https_proxy", &format!("{proxy}"));
        }),
        setup!("names only the HTTP proxy knows", |scene| {
            let proxy = http_proxy(None).await;
            scene.set("HTTPS_PROXY", &format!("http://{proxy}"));
            scene.names.clear();
        }),
        setup!("NO_PROXY keeps a dead proxy out", |scene| {
            let dead = closed();
            scene.set("HTTPS_PROXY", &format!("http://{dead}"));
            scene.set("NO_PROXY", ".rig.test");
        }),
        setup!("direct behind the proxy", |scene| {
            scene.chain("PROXY,direct");
        }),
        setup!("a dead mirror behind the proxy", |scene| {
            scene.chain("PROXY,https://dead.rig.test");
        }),
        setup!("a private proxy that has not got it first", |scene| {
            let empty = tls(
                &scene.authority,
                "private.rig.test",
                Flaw::None,
                scene.upstream.address(),
            )
            .await;
            scene.name("private.rig.test", Dns::here());
            scene.chain(&format!(
                "https://private.rig.test:{}/none,PROXY",
                empty.port()
            ));
        }),
        setup!("no checksum database", |scene| {
            scene.set("GOSUMDB", "off");
        }),
        setup!("a module the database is not asked about", |scene| {
            scene.set("GONOSUMDB", "example.com");
        }),
        setup!(
            "a database beside a proxy that does not relay it",
            |scene| {
                let front = tls(
                    &scene.authority,
                    "127.0.0.1",
                    Flaw::None,
                    scene.upstream.address(),
                )
                .await;
                let setting = format!(
                    "{} https://127.0.0.1:{}/sumdb/sum.rig.test",
                    scene.get("GOSUMDB"),
                    front.port()
                );
                scene.set("GOSUMDB", &setting);
            }
        ),
        setup!("a name in the hosts file", |scene| {
            scene.names.clear();
            scene.hosts = format!("127.0.0.1 {PROXY}\n");
        }),
        setup!("two resolvers", |scene| {
            scene.resolvers = Some(vec![
                "127.0.0.1:0".parse().unwrap(),
                "127.0.0.1:0".parse().unwrap(),
            ]);
        }),
        setup!("an answer too big for UDP", |scene| {
            scene.name(PROXY, Dns::Truncated([127, 0, 0, 1].into()));
        }),
        setup!("an HTTP proxy with a password", |scene| {
            let proxy = http_proxy(None).await;
            scene.set("HTTPS_PROXY", &format!("http://me:secret@{proxy}"));
        }),
        setup!("a search domain", |scene| {
            let url = format!("http://goproxy:{}", scene.upstream.address().port());
            scene.set("GOPROXY", &url);
            "search rig.test\n".clone_into(&mut scene.resolv_conf);
        }),
        setup!("a redirect to a store", |scene| {
            let front = tls(
                &scene.authority,
                "storage.rig.test",
                Flaw::None,
                scene.upstream.address(),
            )
            .await;
            scene.name("storage.rig.test", Dns::here());
            let go_mod = Module::new(MODULE, VERSION).go_mod_text().to_owned();
            scene.upstream.answer("/store/mod", Answer::text(&go_mod));
            let to = format!("https://storage.rig.test:{}/store/mod", front.port());
            scene.upstream.fail("*.mod", Fault::Redirect(to));
        }),
        setup!("chunked answers", |scene| {
            scene.upstream.fail("/example.com/*", Fault::Chunked);
        }),
        setup!("a password in the URL", |scene| {
            let url = scene
                .get("GOPROXY")
                .replace("https://", "https://me:secret@");
            scene.set("GOPROXY", &url);
        }),
        setup!("a password in the netrc file", |scene| {
            std::fs::write(
                scene.home.path().join(".netrc"),
                format!("machine {PROXY} login me password secret\n"),
            )
            .unwrap();
        }),
        setup!("a directory as GOPROXY", |scene| {
            let tree = Tree::at(scene.home.path().join("tree"));
            tree.add(&Module::new("example.com/sample", "v1.2.3"));
            scene.set(
                "GOPROXY",
                &format!("file://{}", scene.home.path().join("tree").display()),
            );
            scene.set("GOSUMDB", "off");
        }),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_healthy_setup_there_is_no_warning() {
    let table = table();
    let count = table.len();
    assert!(count >= 20, "{count}");
    let alarms: Vec<String> = iter(table)
        .map(|(name, build)| async move {
            let mut scene = Scene::well().await;
            build(&mut scene).await;
            let diagnosis = scene.diagnose(Duration::from_secs(30)).await;
            let causes = &diagnosis.verdict.causes;
            (diagnosis.verdict.health != Health::Healthy || !causes.is_empty())
                .then(|| format!("{name}: {causes:?}"))
        })
        .buffer_unordered(4)
        .filter_map(|alarm| async move { alarm })
        .collect()
        .await;
    println!(
        "{} of {count} healthy setups without a warning",
        count - alarms.len()
    );
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
}
