//! Names and connections.

use super::{Build, LITTLE, PLENTY, Scenario, scenario};
use crate::dns::Dns;
use crate::scene::PROXY;
use crate::servers::{Flaw, Rude, closed, rude, tls};
use fault::Label;
use futures_util::FutureExt as _;

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario!("SERVFAIL", DnsServfail, PLENTY, |scene| {
            scene.name(PROXY, Dns::ServFail);
        }),
        scenario!("REFUSED by the resolver", DnsServfail, PLENTY, |scene| {
            scene.name(PROXY, Dns::Refused);
        }),
        scenario!("malformed answer", DnsServfail, PLENTY, |scene| {
            scene.name(PROXY, Dns::Garbage);
        }),
        scenario!("no such name", DnsNxdomain, PLENTY, |scene| {
            scene.name(PROXY, Dns::NoSuchName);
        }),
        scenario!("the resolver is silent", DnsTimeout, LITTLE, |scene| {
            scene.name(PROXY, Dns::Silence);
        }),
        scenario!(
            "a stub that is not running",
            DnsNoResolver,
            PLENTY,
            |scene| {
                scene.resolvers = Some(vec![closed()]);
            }
        ),
        scenario!(
            "poisoned: another address first",
            DnsPoisoned,
            PLENTY,
            |scene| {
                let front = tls(
                    &scene.authority,
                    "other.rig.test",
                    Flaw::None,
                    scene.upstream.address(),
                )
                .await;
                scene.proxy_at(PROXY, front);
                scene.name(
                    PROXY,
                    Dns::TwoAnswers([127, 0, 0, 1].into(), [127, 0, 0, 9].into()),
                );
            }
        ),
        scenario!(
            "poisoned: a public host at a private address",
            DnsPoisoned,
            PLENTY,
            |scene| {
                let dead = closed();
                scene.proxy_at("proxy.golang.org", dead);
            }
        ),
        scenario!(
            "the hosts file sends a public host nowhere",
            DnsPoisoned,
            PLENTY,
            |scene| {
                let dead = closed();
                scene.proxy_at("goproxy.cn", dead);
                scene.names.clear();
                "127.0.0.1 goproxy.cn\n".clone_into(&mut scene.hosts);
            }
        ),
        scenario!("refused", TcpRefused, PLENTY, |scene| {
            let dead = closed();
            scene.proxy_at(PROXY, dead);
        }),
        scenario!("reset in the handshake", TcpReset, PLENTY, |scene| {
            let server = rude(Rude::Resets).await;
            scene.proxy_at(PROXY, server);
        }),
        scenario!("closed in the handshake", TcpReset, PLENTY, |scene| {
            let server = rude(Rude::Closes).await;
            scene.proxy_at(PROXY, server);
        }),
    ]
}
