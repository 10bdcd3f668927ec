//! Handshakes and certificates.

use testkit::{Answer, Fault};

use super::{Build, LITTLE, PLENTY, Scenario, fails, flawed, scenario};
use crate::scene::PROXY;
use crate::servers::{Authority, Flaw, Rude, rude, tls};
use fault::Label;
use futures_util::FutureExt as _;

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario!(
            "silent in the handshake",
            TlsHandshakeTimeout,
            LITTLE,
            |scene| {
                let server = rude(Rude::Silent).await;
                scene.proxy_at(PROXY, server);
            }
        ),
        scenario!(
            "plain HTTP on the TLS port",
            TlsPlainHttp,
            PLENTY,
            |scene| {
                let server = rude(Rude::Says(
                    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                ))
                .await;
                scene.proxy_at(PROXY, server);
            }
        ),
        scenario!(
            "a protocol that is too old",
            TlsHandshakeTimeout,
            PLENTY,
            |scene| {
                let server = rude(Rude::Says(&[0x15, 3, 1, 0, 2, 2, 0x46])).await;
                scene.proxy_at(PROXY, server);
            }
        ),
        scenario!("expired", TlsCertExpired, PLENTY, |scene| {
            flawed(scene, Flaw::Expired).await;
        }),
        scenario!("not yet valid", TlsClockSkew, PLENTY, |scene| {
            flawed(scene, Flaw::NotYetValid).await;
        }),
        scenario!("wrong name", TlsHostnameMismatch, PLENTY, |scene| {
            flawed(scene, Flaw::OtherName).await;
        }),
        scenario!("common name only", TlsLegacyCn, PLENTY, |scene| {
            flawed(scene, Flaw::CommonNameOnly).await;
        }),
        scenario!("signed by itself", TlsUnknownCaMitm, PLENTY, |scene| {
            flawed(scene, Flaw::SelfSigned).await;
        }),
        scenario!("company interception", TlsUnknownCaMitm, PLENTY, |scene| {
            let company = Authority::new("Example Corporation");
            let front = tls(&company, PROXY, Flaw::None, scene.upstream.address()).await;
            scene.proxy_at(PROXY, front);
        }),
        scenario!("no roots at all", TlsMissingCaBundle, PLENTY, |scene| {
            scene.set("SSL_CERT_FILE", "/nonexistent");
        }),
        scenario!(
            "the local clock is a day off",
            TlsClockSkew,
            PLENTY,
            |scene| {
                scene.clock_shift = 86_400;
                let now = httpdate::fmt_http_date(std::time::SystemTime::now());
                let list = Answer::text("v1.2.3\n").header("Date", &now);
                fails(scene, "*/@v/list", Fault::Answer(list));
            }
        ),
    ]
}
