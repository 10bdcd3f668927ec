//! Module servers.

use testkit::{Answer, Fault};

use super::{Build, LITTLE, PLENTY, Scenario, answers, fails, page, scenario};
use crate::dns::Dns;
use crate::servers::closed;
use fault::Label;
use futures_util::FutureExt as _;

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario!("401", Goproxy401, PLENTY, |scene| {
            answers(scene, 401);
        }),
        scenario!("403", Goproxy403, PLENTY, |scene| {
            answers(scene, 403);
        }),
        scenario!("404 for all", Goproxy404, PLENTY, |scene| {
            answers(scene, 404);
        }),
        scenario!("410 for all", Goproxy410, PLENTY, |scene| {
            answers(scene, 410);
        }),
        scenario!("429", Goproxy429, PLENTY, |scene| {
            fails(scene, "/example.com/*", Fault::retry_after(429, 7));
        }),
        scenario!("418", Goproxy4xx, PLENTY, |scene| {
            answers(scene, 418);
        }),
        scenario!("500", Goproxy5xx, PLENTY, |scene| {
            answers(scene, 500);
        }),
        scenario!("502 with a web page", Goproxy5xx, PLENTY, |scene| {
            fails(scene, "/example.com/*", page(502));
        }),
        scenario!("a web page for all", GoproxyHtml, PLENTY, |scene| {
            fails(scene, "/example.com/*", page(200));
        }),
        scenario!("no answer", GoproxySlow, LITTLE, |scene| {
            fails(scene, "/example.com/*", Fault::Hang);
        }),
        scenario!("the zip stands still", GoproxySlow, LITTLE, |scene| {
            fails(scene, "*.zip", Fault::StallAt(100));
        }),
        scenario!("the zip is cut", GoproxyTruncated, PLENTY, |scene| {
            fails(scene, "*.zip", Fault::TruncateAt(100));
        }),
        scenario!("the zip is no zip", GoproxyCorrupt, PLENTY, |scene| {
            fails(scene, "*.zip", Fault::Answer(Answer::text("no zip")));
        }),
        scenario!(
            "info about another version",
            GoproxyCorrupt,
            PLENTY,
            |scene| {
                fails(scene, "*.info", Fault::OtherVersion("v9.9.9".to_owned()));
            }
        ),
        scenario!("a list without versions", GoproxyCorrupt, PLENTY, |scene| {
            scene.revision = None;
            fails(
                scene,
                "*/@v/list",
                Fault::Answer(Answer::text("none of\nthese is one\n")),
            );
        }),
        scenario!("redirected to a dead host", TcpRefused, PLENTY, |scene| {
            let dead = closed();
            scene.name("storage.rig.test", Dns::here());
            fails(
                scene,
                "*.zip",
                Fault::Redirect(format!("https://storage.rig.test:{}/x", dead.port())),
            );
        }),
        scenario!(
            "redirected to an unknown host",
            DnsNxdomain,
            PLENTY,
            |scene| {
                fails(
                    scene,
                    "*.zip",
                    Fault::Redirect("https://nowhere.rig.test/x".to_owned()),
                );
            }
        ),
    ]
}
