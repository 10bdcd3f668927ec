//! Settings under which nothing can be downloaded.

use super::{Build, PLENTY, Scenario, scenario};
use fault::Label;
use futures_util::FutureExt as _;

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario!("GOPROXY is no URL", CfgGoproxySyntax, PLENTY, |scene| {
            scene.set("GOPROXY", "goproxy");
        }),
        scenario!(
            "GOPROXY is separators only",
            CfgGoproxyEmpty,
            PLENTY,
            |scene| {
                scene.set("GOPROXY", ",");
            }
        ),
        scenario!("GOPROXY=off", CfgGoproxyOff, PLENTY, |scene| {
            scene.set("GOPROXY", "off");
        }),
        scenario!("GOPATH mode", CfgGopathMode, PLENTY, |scene| {
            scene.set("GO111MODULE", "off");
        }),
        scenario!("no home", EnvHomeUnset, PLENTY, |scene| {
            scene.variables.remove("HOME");
        }),
        scenario!(
            "HTTPS_PROXY is no URL",
            HttpproxyMalformed,
            PLENTY,
            |scene| {
                scene.set("HTTPS_PROXY", "http://http://proxy.rig.test:3128");
            }
        ),
    ]
}
