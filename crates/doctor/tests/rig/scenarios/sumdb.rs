//! The checksum database.

use testkit::{Answer, Fault};

use super::{Build, PLENTY, Scenario, fails, scenario};
use crate::servers::closed;
use fault::Label;
use futures_util::FutureExt as _;

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario!("the database is dead", SumdbUnreachable, PLENTY, |scene| {
            let dead = closed();
            let setting = format!("{} https://127.0.0.1:{}", scene.get("GOSUMDB"), dead.port());
            scene.set("GOSUMDB", &setting);
        }),
        scenario!("the database fails", Sumdb5xx, PLENTY, |scene| {
            fails(scene, "/sumdb/sum.rig.test/lookup/*", Fault::status(500));
        }),
        scenario!("the database does not know it", Sumdb404, PLENTY, |scene| {
            fails(scene, "/sumdb/sum.rig.test/lookup/*", Fault::status(404));
        }),
        scenario!(
            "the proxy mishandles /sumdb/",
            SumdbProxyUnsupported,
            PLENTY,
            |scene| {
                fails(scene, "/sumdb/sum.rig.test/supported", Fault::status(500));
            }
        ),
        scenario!(
            "the zip is not the one in the database",
            SumdbMismatch,
            PLENTY,
            |scene| {
                let other = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
                scene.record(other, other);
            }
        ),
        scenario!(
            "the record is not in the log",
            SumdbMismatch,
            PLENTY,
            |scene| {
                let tile = Answer::status(200).body(vec![7; 32]);
                fails(scene, "*/tile/8/0/000.p/1", Fault::Answer(tile));
            }
        ),
        scenario!(
            "the proxy relays records without their proofs",
            SumdbProxyUnsupported,
            PLENTY,
            |scene| {
                fails(scene, "*/tile/8/0/000.p/1", Fault::status(404));
            }
        ),
    ]
}
