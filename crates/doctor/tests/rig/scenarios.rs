//! One fault each: scenario, and the label the verdict must name (its hop follows from it).

use std::net::SocketAddr;
use std::time::Duration;

use doctor::diagnose::Health;
use fault::Label;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{StreamExt as _, iter};
use testkit::{Answer, Fault};

use crate::dns::Dns;
use crate::scene::{MODULE, PROXY, Scene, VERSION};
use crate::servers::{Authority, Flaw, Rude, closed, http_proxy, rude, tls};

type Build = for<'a> fn(&'a mut Scene) -> BoxFuture<'a, ()>;

/// Scenarios that end by themselves have plenty of time: the machine may be busy.
const PLENTY: f64 = 20.0;
/// Scenarios that wait for what never comes have little.
const LITTLE: f64 = 3.0;

macro_rules! scenario {
    ($name:literal, $label:ident, $limit:expr, |$scene:ident| $body:block) => {
        (
            $name,
            Label::$label,
            $limit,
            (|$scene| async move { $body }.boxed()) as Build,
        )
    };
}

/// A fault of the module server for paths.
fn fails(scene: &Scene, paths: &str, fault: Fault) {
    scene.upstream.fail(paths, fault);
}

fn answers(scene: &Scene, status: u16) {
    fails(scene, "/example.com/*", Fault::status(status));
}

const PAGE: &str = "<!DOCTYPE html><html><body>Please log in</body></html>";

fn page(status: u16) -> Fault {
    Fault::Answer(
        Answer::status(status)
            .header("Content-Type", "text/html")
            .body(PAGE),
    )
}

async fn flawed(scene: &mut Scene, flaw: Flaw) {
    let front = tls(&scene.authority, PROXY, flaw, scene.upstream.address()).await;
    scene.proxy_at(PROXY, front);
}

fn through(scene: &mut Scene, scheme: &str, proxy: SocketAddr) {
    scene.set("HTTPS_PROXY", &format!("{scheme}://{proxy}"));
}

/// A module in a repository that only git is asked for, through an ssh that says so and fails.
fn ssh_says(scene: &mut Scene, words: &str) {
    "git.rig.test/team/lib.git".clone_into(&mut scene.module);
    scene.set("GOPROXY", "direct");
    scene.set("GONOSUMDB", "git.rig.test");
    scene.set("GIT_CONFIG_COUNT", "1");
    scene.set("GIT_CONFIG_KEY_0", "url.ssh://git@git.rig.test/.insteadOf");
    scene.set("GIT_CONFIG_VALUE_0", "https://git.rig.test/");
    scene.set(
        "GIT_SSH_COMMAND",
        &format!("sh -c 'printf \"%s\\n\" \"{words}\" >&2; exit 255'"),
    );
}

/// A module in a repository behind a web server that answers so.
async fn git_over_http(scene: &mut Scene, answer: &'static [u8]) {
    let server = rude(Rude::Says(answer)).await;
    "git.rig.test/team/lib.git".clone_into(&mut scene.module);
    scene.set("GOPROXY", "direct");
    scene.set("GONOSUMDB", "git.rig.test");
    scene.set("GIT_CONFIG_COUNT", "1");
    scene.set(
        "GIT_CONFIG_KEY_0",
        &format!("url.http://{server}/.insteadOf"),
    );
    scene.set("GIT_CONFIG_VALUE_0", "https://git.rig.test/");
}

fn table() -> Vec<(&'static str, Label, f64, Build)> {
    vec![
        // Settings.
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
        // Names.
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
                scene.resolvers = Some(vec![closed().await]);
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
                let dead = closed().await;
                scene.proxy_at("proxy.golang.org", dead);
            }
        ),
        scenario!(
            "the hosts file sends a public host nowhere",
            DnsPoisoned,
            PLENTY,
            |scene| {
                let dead = closed().await;
                scene.proxy_at("goproxy.cn", dead);
                scene.names.clear();
                "127.0.0.1 goproxy.cn\n".clone_into(&mut scene.hosts);
            }
        ),
        // Connections.
        scenario!("refused", TcpRefused, PLENTY, |scene| {
            let dead = closed().await;
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
        // TLS.
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
        // HTTP proxies.
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
                let proxy = closed().await;
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
        // Module servers.
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
            let dead = closed().await;
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
        // The checksum database.
        scenario!("the database is dead", SumdbUnreachable, PLENTY, |scene| {
            let dead = closed().await;
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
        // Repositories.
        scenario!("no git", VcsGitMissing, PLENTY, |scene| {
            ssh_says(scene, "");
            scene.set("PATH", "/nonexistent");
        }),
        scenario!(
            "git wants a password",
            AuthHttpsNoCredential,
            PLENTY,
            |scene| {
                git_over_http(scene, b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\n\r\n").await;
            }
        ),
        scenario!("ssh: key refused", AuthSshPublickey, PLENTY, |scene| {
            ssh_says(scene, "git@git.rig.test: Permission denied (publickey).");
        }),
        scenario!("ssh: host key unknown", AuthSshHostkey, PLENTY, |scene| {
            ssh_says(scene, "Host key verification failed.");
        }),
        scenario!("ssh: port filtered", VcsSshBlocked, PLENTY, |scene| {
            ssh_says(
                scene,
                "ssh: connect to host git.rig.test port 22: Connection timed out",
            );
        }),
        scenario!(
            "ssh: no such repository",
            AuthRepoNotFound,
            PLENTY,
            |scene| {
                ssh_says(scene, "ERROR: Repository not found.");
            }
        ),
        scenario!(
            "the import path has no page",
            ModImportHostGone,
            PLENTY,
            |scene| {
                "gone.rig.test/m".clone_into(&mut scene.module);
                scene.set("GOPROXY", "direct");
                scene.set("GONOSUMDB", "gone.rig.test");
            }
        ),
        // Disk.
        scenario!(
            "a file where the cache should be",
            DiskPermission,
            PLENTY,
            |scene| {
                let file = scene.home.path().join("go");
                std::fs::write(&file, "").unwrap();
            }
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_verdict_names_the_broken_hop() {
    let table = table();
    let count = table.len();
    assert!(count >= 40, "{count}");
    let results: Vec<(&str, Label, Option<Label>, Health)> = iter(table)
        .map(|(name, expected, limit, build)| async move {
            let mut scene = Scene::well().await;
            build(&mut scene).await;
            let diagnosis = scene.diagnose(Duration::from_secs_f64(limit)).await;
            let named = diagnosis
                .verdict
                .causes
                .first()
                .map(doctor::diagnose::Finding::label);
            (name, expected, named, diagnosis.verdict.health)
        })
        .buffer_unordered(8)
        .collect()
        .await;
    let wrong: Vec<String> = results
        .iter()
        .filter(|(_, expected, named, health)| *named != Some(*expected) || health.is_healthy())
        .map(|(name, expected, named, _)| {
            let named = named.map_or("nothing", Label::as_str);
            format!("{name}: {named} instead of {expected}")
        })
        .collect();
    println!(
        "{} of {count} scenarios are named rightly",
        count - wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_entry_that_answers_means_degraded_and_not_broken() {
    let mut scene = Scene::well().await;
    let dead = closed().await;
    scene.name("dead.rig.test", Dns::here());
    scene.chain(&format!("https://dead.rig.test:{}|PROXY", dead.port()));
    let diagnosis = scene.diagnose(Duration::from_secs(20)).await;
    assert_eq!(diagnosis.verdict.health, Health::Degraded);
    assert_eq!(diagnosis.verdict.causes[0].label(), Label::TcpRefused);

    // A comma is passed by 404 and 410 only.
    let chain = scene.get("GOPROXY").replace('|', ",");
    scene.set("GOPROXY", &chain);
    let diagnosis = scene.diagnose(Duration::from_secs(20)).await;
    assert_eq!(diagnosis.verdict.health, Health::Broken);
    assert!(!diagnosis.route[1].is_reached);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_nowhere_in_a_diagnosis() {
    let mut scene = Scene::well().await;
    let with_password = scene
        .get("GOPROXY")
        .replace("https://", "https://me:hunter2secret@");
    scene.set("GOPROXY", &with_password);
    answers(&scene, 401);
    let diagnosis = scene.diagnose(Duration::from_secs(20)).await;
    let json = diagnosis.to_json(fault::Lang::En).to_string();
    assert!(json.contains("goproxy-401"));
    assert!(!json.contains("hunter2secret"), "{json}");
    assert!(!format!("{diagnosis:?}").contains("hunter2secret"));
    let asked = scene.upstream.requests();
    assert!(
        asked
            .iter()
            .any(|request| request.header("authorization").is_some()),
        "the password is used all the same"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_json_has_the_shape_of_the_interface() {
    let mut scene = Scene::well().await;
    scene.name(PROXY, Dns::ServFail);
    let json = scene
        .diagnose(Duration::from_secs(20))
        .await
        .to_json(fault::Lang::Zh);
    assert_eq!(json["verdict"]["label"], "dns-servfail");
    assert_eq!(json["verdict"]["hop"], "dns");
    assert_eq!(json["causes"][0]["hop"], "dns");
    assert!(json["causes"][0]["fixes"][0]["text"].is_string());
    assert!(json["settings"].as_array().unwrap().len() > 10);
    let hops = json["hops"].as_array().unwrap();
    assert!(
        hops.iter()
            .any(|hop| hop["check"] == "resolver" && hop["timings"]["dns_ms"].is_number())
    );
    assert_eq!(json["module"], MODULE);
    assert!(VERSION.starts_with('v'));
}
