//! What is not in go's own settings, and yet decides: the proxy that browsers find in a file, credentials that a program
//! prints.

use std::net::SocketAddr;
use std::time::Duration;

use doctor::diagnose::{Diagnosis, Health};
use doctor::probe::report::Check;
use fault::{Label, Lang};
use goenv::Shell;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::dns::Dns;
use crate::scene::{PROXY, Scene};
use crate::servers::{Flaw, closed, http_proxy, tls};

const LIMIT: Duration = Duration::from_secs(30);

fn facts<'a>(diagnosis: &'a Diagnosis, check: Check, name: &str) -> Vec<&'a str> {
    let probes = diagnosis.hops.iter().filter(|probe| probe.check == check);
    let facts = probes.flat_map(|probe| &probe.facts);
    let values = facts.filter(|(fact, _)| *fact == name);
    values.map(|(_, value)| value.as_str()).collect()
}

/// A proxy auto-configuration file that sends public names through a proxy.
fn auto_config(scene: &mut Scene, proxy: SocketAddr) {
    let file = scene.home.path().join("proxy.pac");
    let script = format!(
        "function FindProxyForURL(url, host) {{\n\
         if (isPlainHostName(host) || dnsDomainIs(host, '.inside.test')) return 'DIRECT';\n\
         if (isInNet(host, '10.0.0.0', '255.0.0.0')) return 'DIRECT';\n\
         return 'PROXY {proxy}; DIRECT';\n}}\n"
    );
    std::fs::write(&file, script).unwrap();
    scene.set("auto_proxy", &format!("file://{}", file.display()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_that_browsers_use_is_named_when_nothing_gets_out_without_it() {
    let mut scene = Scene::well().await;
    let proxy = http_proxy(None).await;
    auto_config(&mut scene, proxy);
    let inside = format!("https://in.inside.test:{}", closed().port());
    scene.proxy_at("proxy.golang.org", closed());
    scene.name("in.inside.test", Dns::here());
    let chain = format!("{}|{inside}", scene.get("GOPROXY"));
    scene.set("GOPROXY", &chain);
    let diagnosis = scene.diagnose(LIMIT).await;
    let cause = &diagnosis.verdict.causes[0];
    assert_eq!(cause.label(), Label::HttpproxyHttpsUnset, "{cause:?}");
    let evidence = cause.failure.evidence.join("\n");
    let expected = format!("sends proxy.golang.org through http://{proxy}");
    assert!(evidence.contains(&expected), "{evidence}");
    let remedies = diagnosis.remedies(cause, Shell::Posix, Lang::En);
    let command = remedies[0].command.as_deref().unwrap();
    assert!(
        command.contains(&format!("HTTPS_PROXY=http://{proxy}")),
        "{command}"
    );
    assert!(command.contains("NO_PROXY=in.inside.test"), "{command}");
    // Nothing that a program might do by itself.
    assert!(!remedies[0].is_safe);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_agrees_with_go_or_cannot_be_read_is_no_fault() {
    let mut scene = Scene::well().await;
    let proxy = http_proxy(None).await;
    auto_config(&mut scene, proxy);
    scene.set("HTTPS_PROXY", &format!("http://{proxy}"));
    scene.auto_configs = vec![
        "/nonexistent/proxy.pac".to_owned(),
        format!("http://{}/proxy.pac", closed()),
    ];
    let diagnosis = scene.diagnose(LIMIT).await;
    assert_eq!(
        diagnosis.verdict.health,
        Health::Healthy,
        "{:?}",
        diagnosis.verdict
    );
    let browsers = facts(&diagnosis, Check::AutoConfig, "browsers");
    assert_eq!(browsers, [format!("http://{proxy}, DIRECT")]);
    assert_eq!(facts(&diagnosis, Check::AutoConfig, "unreadable").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_read_from_a_server_and_may_resolve_names() {
    let mut scene = Scene::well().await;
    let script = "function FindProxyForURL(url, host) { return dnsResolve(host) == '127.0.0.1' ? 'DIRECT' : 'PROXY p:1' }";
    scene
        .upstream
        .answer("/proxy.pac", testkit::Answer::text(script));
    scene.auto_configs = vec![format!("{}/proxy.pac", scene.upstream.url())];
    let diagnosis = scene.diagnose(LIMIT).await;
    assert_eq!(diagnosis.verdict.health, Health::Healthy);
    assert_eq!(facts(&diagnosis, Check::AutoConfig, "browsers"), ["DIRECT"]);
}

/// A server that answers 401 to everybody who does not know the word.
async fn gate(word: &'static str, server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match client.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                let text = String::from_utf8_lossy(&head).to_lowercase();
                if text.contains(&format!("authorization: bearer {word}")) {
                    let mut inside = TcpStream::connect(server).await.unwrap();
                    inside.write_all(&head).await.unwrap();
                    let _ended = copy_bidirectional(&mut client, &mut inside).await;
                } else {
                    let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    let _gone = client.write_all(answer).await;
                }
            });
        }
    });
    address
}

async fn behind_a_gate() -> Scene {
    let mut scene = Scene::well().await;
    let gate = gate("hunter3", scene.upstream.address()).await;
    let front = tls(&scene.authority, PROXY, Flaw::None, gate).await;
    scene.proxy_at(PROXY, front);
    scene.set("GOSUMDB", "off");
    scene
}

/// A program of GOAUTH; it prints credentials once it is asked for a URL.
fn program(scene: &mut Scene, word: &str) {
    let file = scene.home.path().join("login");
    let url = scene.get("GOPROXY").to_owned();
    let script = format!(
        "[ -n \"$1\" ] || exit 0\nprintf '{url}\\n\\nAuthorization: Bearer {word}\\n\\n'\n"
    );
    std::fs::write(&file, script).unwrap();
    scene.set("GOAUTH", &format!("sh {}", file.display()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_a_program_prints_are_used_and_not_shown() {
    let mut scene = behind_a_gate().await;
    program(&mut scene, "hunter3");
    let diagnosis = scene.diagnose(LIMIT).await;
    assert_eq!(
        diagnosis.verdict.health,
        Health::Healthy,
        "{:?}",
        diagnosis.verdict
    );
    assert_eq!(facts(&diagnosis, Check::Zip, "credentials"), ["accepted"]);
    assert_eq!(
        facts(&diagnosis, Check::Zip, "credentials-from"),
        ["GOAUTH"]
    );
    let json = diagnosis.to_json(Lang::En, Shell::Posix).to_string();
    assert!(!json.contains("hunter3"), "{json}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_are_refused_or_missing_are_told_apart() {
    let mut scene = behind_a_gate().await;
    program(&mut scene, "wrong-word");
    let diagnosis = scene.diagnose(LIMIT).await;
    assert_eq!(diagnosis.verdict.causes[0].label(), Label::Goproxy401);
    assert_eq!(facts(&diagnosis, Check::Info, "credentials"), ["refused"]);
    assert!(!format!("{diagnosis:?}").contains("wrong-word"));

    let mut scene = behind_a_gate().await;
    scene.set("GOAUTH", "false");
    let diagnosis = scene.diagnose(LIMIT).await;
    let cause = &diagnosis.verdict.causes[0];
    assert_eq!(cause.label(), Label::Goproxy401);
    let evidence = cause.failure.evidence.join("\n");
    assert!(evidence.contains("GOAUTH command"), "{evidence}");
    assert!(facts(&diagnosis, Check::Info, "credentials").is_empty());
}
