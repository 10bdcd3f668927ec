//! HTTP and SOCKS proxies, and portals.

use super::{Build, LITTLE, PLENTY, Scenario, fails, page, scenario, through};
use crate::servers::{Flaw, Rude, closed, http_proxy, rude, tls};
use fault::Label;
use futures_util::FutureExt as _;

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario!("407", Httpproxy407, PLENTY, |scene| {
            let proxy = http_proxy(Some("407 Proxy Authentication Required")).await;
            through(scene, "http", proxy);
        }),
        scenario!("CONNECT 403", HttpproxyConnectForbidden, PLENTY, |scene| {
            let proxy = http_proxy(Some("403 Forbidden")).await;
            through(scene, "http", proxy);
        }),
        scenario!("CONNECT 502", HttpproxyConnectFailed, PLENTY, |scene| {
            let proxy = http_proxy(Some("502 Bad Gateway")).await;
            through(scene, "http", proxy);
        }),
        scenario!(
            "the HTTP proxy hangs up",
            HttpproxyConnectFailed,
            PLENTY,
            |scene| {
                let proxy = rude(Rude::Closes).await;
                through(scene, "http", proxy);
            }
        ),
        scenario!(
            "the HTTP proxy is silent",
            HttpproxyConnectFailed,
            LITTLE,
            |scene| {
                let proxy = rude(Rude::Silent).await;
                through(scene, "http", proxy);
            }
        ),
        scenario!(
            "the HTTP proxy is dead",
            HttpproxyRefused,
            PLENTY,
            |scene| {
                let proxy = closed();
                through(scene, "http", proxy);
            }
        ),
        scenario!(
            "https:// for a plain HTTP proxy",
            HttpproxyScheme,
            PLENTY,
            |scene| {
                let proxy = rude(Rude::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await;
                through(scene, "https", proxy);
            }
        ),
        scenario!(
            "a SOCKS proxy that refuses",
            HttpproxyConnectFailed,
            PLENTY,
            |scene| {
                let proxy = rude(Rude::Says(&[5, 0xff])).await;
                through(scene, "socks5", proxy);
            }
        ),
        scenario!(
            "a portal in place of a public mirror",
            CaptivePortalHtml,
            PLENTY,
            |scene| {
                let front = tls(
                    &scene.authority,
                    "goproxy.cn",
                    Flaw::None,
                    scene.upstream.address(),
                )
                .await;
                scene.proxy_at("goproxy.cn", front);
                fails(scene, "*", page(200));
            }
        ),
    ]
}
