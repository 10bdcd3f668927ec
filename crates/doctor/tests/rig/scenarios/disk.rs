//! Disks.

use super::{Build, PLENTY, Scenario, scenario};
use fault::Label;
use futures_util::FutureExt as _;

pub(super) fn table() -> Vec<Scenario> {
    vec![scenario!(
        "a file where the cache should be",
        DiskPermission,
        PLENTY,
        |scene| {
            let file = scene.home.path().join("go");
            std::fs::write(&file, "").unwrap();
        }
    )]
}
