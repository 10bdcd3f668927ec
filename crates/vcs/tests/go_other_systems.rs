//! Repositories of other systems than git, against what go makes of them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail the test, and say how much was tested"
)]

#[path = "support/bench.rs"]
mod bench;
#[path = "support/oracle.rs"]
mod oracle;
mod support;
#[path = "support/systems.rs"]
mod systems;

use bench::Bench;
use support::{Forge, Pages};
use systems::{everything, has, hg_serve, mercurial, run};

const MODULE: &str = "code.vanity.example/hello";

/// The module's pages, and those of what is below it at `below`.
fn pages(below: &[&str], content: &str) -> Pages {
    below.iter().fold(Pages::default(), |pages, below| {
        pages.import(&format!("{MODULE}{below}"), content)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn mercurial_is_what_go_makes_of_it() {
    if !has("hg", "mercurial") {
        return;
    }
    let forge = Forge::new();
    let module = MODULE;
    let folder = forge.root.path().join("hello");
    mercurial(&folder, module);
    let server = hg_serve(&folder);
    let content = format!("{module} hg http://hg.vanity.example/hello");
    let pages = pages(&["", "/sub", "/v2"], &content);
    let behind = ("hg.vanity.example/hello".to_owned(), server.1);
    pages.servers.lock().unwrap().push(behind);
    let log = |template: &str, revision: &str| {
        run(&folder, "hg", &["log", "-r", revision, "-T", template])
    };
    let (first, side) = (log("{node}", "0"), log("{node|short}", "side"));
    let third = log("{node|short}", "v1.0.0");
    let mut bench = Bench::with(forge, pages, everything);
    for path in [
        module.to_owned(),
        format!("{module}/sub"),
        format!("{module}/v2"),
    ] {
        bench.list(&path).await;
    }
    let revisions = [
        "v0.1.0",
        "v1.0.1-rc.1",
        "v9.9.9",
        "latest",
        "side",
        "tip",
        "v2.0.0",
        &first,
        &third,
    ];
    bench.revisions(module, &revisions).await;
    bench
        .revisions(&format!("{module}/sub"), &["v0.2.0", "default"])
        .await;
    bench.revisions(&format!("{module}/v2"), &["v2.0.0"]).await;
    let side = bench.oracle.download(module, &side);
    let version = side["Version"].as_str().unwrap().to_owned();
    bench.revision(module, &version).await;
    let later = version.replacen("v1.0.1-rc.1.0.", "v1.0.2-0.", 1);
    bench.revision(module, &later).await;
    bench.finish("mercurial");
}
