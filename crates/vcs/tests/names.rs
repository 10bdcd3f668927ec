//! Where repositories are, by the word of resolvers of the caller's choice.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

#[path = "support/harm.rs"]
mod harm;
mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use fault::Label;
use futures_util::future::BoxFuture;
use goenv::private::Patterns;
use harm::{large, logging_git, zip};
use support::{Forge, Pages};
use testkit::{GitManner, GitServer};
use vcs::{Lookup, LookupFault, Outbound, RemoteOptions};

/// Of all hosts it knows one, whose name nobody else does.
const HOST: &str = "forge.names.example";

#[derive(Debug, Default)]
struct Names {
    asked: Mutex<Vec<String>>,
}

impl Lookup for Names {
    fn lookup<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, LookupFault>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let found = if host == HOST {
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        } else {
            Err(LookupFault {
                what: host.to_owned(),
                reason: "server misbehaving".to_owned(),
                label: Label::DnsServfail,
            })
        };
        Box::pin(std::future::ready(found))
    }
}

/// What comes of a module whose repository is at this host, where only [`Names`] can say where that is.
async fn zip_from(
    host: &str,
    manner: GitManner,
) -> (Result<String, vcs::Error>, Vec<String>, String) {
    let forge = Forge::new();
    large(&forge, "one", 1000);
    let server = GitServer::start(forge.root.path(), manner);
    let tools = tempfile::tempdir().unwrap();
    let (git, log) = logging_git(tools.path());
    let names = Arc::new(Names::default());
    let outbound = Outbound::new(vec!["127.0.0.0/8".parse().unwrap()]).asking(names.clone());
    let outbound = Arc::new(outbound);
    let base = format!("http://{host}:{}", server.address().port());
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        settings.runner.git = git;
        settings.rules.insecure = Patterns::parse("*");
        settings.configuration = Arc::new(move |url, _| RemoteOptions {
            url: Some(format!(
                "{base}/{}/.git",
                url.rsplit('/').next().unwrap_or_default()
            )),
            outbound: Some(Arc::clone(&outbound)),
            ..RemoteOptions::default()
        });
    });
    let zip = zip(&workplace, "one", "v1.0.0").await;
    let asked = names.asked.lock().unwrap().clone();
    (zip, asked, std::fs::read_to_string(log).unwrap_or_default())
}

#[tokio::test]
async fn repositories_are_where_the_chosen_resolver_says() {
    // Without git in between, and by git itself, which is told the address.
    for (manner, by_git) in [
        (GitManner::default(), false),
        (
            GitManner {
                old: true,
                ..GitManner::default()
            },
            true,
        ),
    ] {
        let (zip, asked, ran) = zip_from(HOST, manner).await;
        zip.unwrap();
        assert!(
            !asked.is_empty() && asked.iter().all(|name| name == HOST),
            "{asked:?}"
        );
        assert_eq!(ran.contains("fetch"), by_git, "{ran}");
    }
}

#[tokio::test]
async fn what_the_chosen_resolver_does_not_say_is_asked_of_nobody_else() {
    // The system knows this one.
    let (zip, asked, _) = zip_from("localhost", GitManner::default()).await;
    let error = zip.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("lookup localhost: server misbehaving"),
        "{error}"
    );
    assert!(!error.is_absence());
    assert!(asked.iter().all(|name| name == "localhost"), "{asked:?}");
}
