use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;

use super::*;

/// Made-up hosts: pages by URL without query.
#[derive(Default)]
struct Net {
    pages: Mutex<HashMap<String, (u16, String)>>,
    asked: Mutex<Vec<String>>,
    down: AtomicBool,
}

impl Net {
    fn says(&self, url: &str, tag: &str) {
        let page = format!("<meta name=go-import content=\"{tag}\">");
        self.pages
            .lock()
            .unwrap()
            .insert(url.to_owned(), (200, page));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Web for Net {
    fn get<'a>(&'a self, url: &'a Url, trust: Trust) -> BoxFuture<'a, Result<Page, WebError>> {
        async move {
            assert_eq!(url.query(), Some("go-get=1"));
            let mut plain = url.clone();
            plain.set_query(None);
            self.asked
                .lock()
                .unwrap()
                .push(format!("{plain} {trust:?}"));
            tokio::task::yield_now().await;
            let page = self.pages.lock().unwrap().get(plain.as_str()).cloned();
            let down = self.down.load(Ordering::Relaxed);
            match page {
                Some((status, body)) if !down => Ok(Page {
                    url: url.clone(),
                    status,
                    body: body.into_bytes(),
                }),
                None if !down && url.scheme() == "https" && !plain.path().ends_with("plain") => {
                    Ok(Page {
                        url: url.clone(),
                        status: 404,
                        body: Vec::new(),
                    })
                }
                _ => Err(WebError {
                    label: Label::TcpRefused,
                    detail: "connection refused".to_owned(),
                }),
            }
        }
        .boxed()
    }
}

/// Repositories that answer at these addresses only.
struct Answers(&'static [&'static str]);

impl Probe for Answers {
    fn probe<'a>(
        &'a self,
        _: VersionControl,
        url: &'a str,
        _: bool,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let answer = if self.0.contains(&url) {
            Ok(())
        } else {
            Err(Error::from(ToolFault::Failed {
                what: "git ls-remote".to_owned(),
                status: "exit status 128".to_owned(),
                label: if url.starts_with("https") {
                    Label::ModRepoGone
                } else {
                    Label::TcpRefused
                },
                stderr: String::new(),
            }))
        };
        async move { answer }.boxed()
    }
}

fn discovery(rules: Rules) -> (Arc<Net>, Discovery) {
    let net = Arc::new(Net::default());
    let web: Arc<dyn Web> = Arc::<Net>::clone(&net);
    let probe = Arc::new(Answers(&["ssh://s.example/x", "http://p.example/x"]));
    (net, Discovery::new(rules, web, probe))
}

fn row(root: &Root) -> (&str, &str, &str, &str) {
    (
        &root.root,
        root.system.command(),
        &root.repository,
        &root.subdir,
    )
}

#[tokio::test]
async fn well_known_hosts_and_configured_roots_need_no_request() {
    let (net, discovery) = discovery(Rules {
        roots: vec![RootRule {
            pattern: "git.corp.example/*/*".to_owned(),
            system: VersionControl::Git,
            repository: UrlTemplate::new("ssh://git@git.corp.example/{path}.git").unwrap(),
        }],
        ..Rules::default()
    });
    let root = discovery.root("github.com/a/b/c").await.unwrap();
    assert_eq!(
        row(&root),
        ("github.com/a/b", "git", "https://github.com/a/b", "")
    );
    let root = discovery
        .root("git.corp.example/team/app/v2")
        .await
        .unwrap();
    assert_eq!(
        row(&root),
        (
            "git.corp.example/team/app",
            "git",
            "ssh://git@git.corp.example/team/app.git",
            ""
        )
    );
    assert!(net.asked().is_empty());
    assert!(
        discovery
            .root("git.corp.example/team")
            .await
            .unwrap_err()
            .is_absence()
    );
}

#[tokio::test]
async fn a_claim_about_a_parent_is_verified_there() {
    let (net, discovery) = discovery(Rules::default());
    let tag = "a.example git https://git.example/x sub/dir";
    net.says("https://a.example/y/z", tag);
    net.says("https://a.example/", tag);
    let root = discovery.root("a.example/y/z").await.unwrap();
    assert_eq!(
        row(&root),
        ("a.example", "git", "https://git.example/x", "sub/dir")
    );
    assert_eq!(
        net.asked(),
        [
            "https://a.example/y/z Verified",
            "https://a.example/ Verified"
        ]
    );
    discovery.root("a.example/y/z").await.unwrap();
    assert!(net.asked().is_empty(), "it is remembered");
    net.says(
        "https://b.example/y",
        "b.example git https://evil.example/x",
    );
    net.says("https://b.example/", "b.example git https://git.example/x");
    let error = discovery.root("b.example/y").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("disagree about go-import for b.example"),
        "{error}"
    );
    net.says(
        "https://c.example/y",
        "c.example/y git https://git.example/x",
    );
    net.says(
        "https://c.example/y/z",
        "c.example/y git https://git.example/x",
    );
    discovery.root("c.example/y/z").await.unwrap();
    assert_eq!(net.asked().len(), 4, "one more question only");
}

#[tokio::test]
async fn tags_that_cannot_be_used_are_refused_with_a_reason() {
    let (net, discovery) = discovery(Rules {
        own_hosts: vec!["proxy.example:8080".to_owned()],
        ..Rules::default()
    });
    for (path, tag, reason) in [
        (
            "a.example/1",
            "a.example/1 git https://x /abs",
            "invalid subdirectory \"/abs\": leading slash",
        ),
        (
            "a.example/2",
            "a.example/2 git https://x -opt",
            "invalid subdirectory \"-opt\": leading hyphen",
        ),
        (
            "a.example/3",
            "a.example/3 git file:///etc",
            "file scheme disallowed",
        ),
        (
            "a.example/4",
            "a.example/4 git git@h:x",
            "invalid repo root",
        ),
        ("a.example/5", "a.example/5 git x/y", "no scheme"),
        (
            "a.example/6",
            "a.example/6 cvs https://x",
            "unknown vcs \"cvs\"",
        ),
        (
            "a.example/7",
            "a.example/7 mod http://x",
            "proxy address without https",
        ),
        (
            "a.example/8",
            "a.example/8 mod https://proxy.example:8080/x",
            "the module proxy it names is this server",
        ),
        (
            "a.example/9",
            "a.example git https://x",
            "reading https://a.example/",
        ),
        (
            "a.example/0",
            "b.example/0 git https://x",
            "no go-import meta tags (meta tag b.example/0 did not match import path a.example/0)",
        ),
    ] {
        net.says(&format!("https://{path}"), tag);
        let error = discovery.root(path).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{path}: {error}");
        assert!(error.is_absence(), "{path}: {error}");
    }
    for path in ["nohost/x", "x"] {
        let error = discovery.root(path).await.unwrap_err();
        assert!(
            error.to_string().contains("does not begin with hostname"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_module_proxy_goes_before_version_control() {
    let (net, discovery) = discovery(Rules::default());
    let page = "<meta name=go-import content='a.example/x git https://git.example/x'>\
        <meta name=go-import content='a.example/x mod https://proxy.example/base'>";
    net.pages
        .lock()
        .unwrap()
        .insert("https://a.example/x".to_owned(), (404, page.to_owned()));
    let root = discovery.root("a.example/x").await.unwrap();
    assert_eq!(
        row(&root),
        ("a.example/x", "mod", "https://proxy.example/base", "")
    );
}

#[tokio::test]
async fn plain_http_is_for_those_that_allow_it() {
    let (net, discovery) = discovery(Rules {
        insecure: Patterns::parse("i.example,p.example"),
        ..Rules::default()
    });
    for host in ["i.example", "s.example"] {
        net.says(
            &format!("http://{host}/plain"),
            &format!("{host}/plain git https://x"),
        );
    }
    discovery.root("i.example/plain").await.unwrap();
    assert_eq!(
        net.asked(),
        [
            "https://i.example/plain Unverified",
            "http://i.example/plain Unverified"
        ]
    );
    let error = discovery.root("s.example/plain").await.unwrap_err();
    assert!(!error.is_absence());
    assert_eq!(net.asked(), ["https://s.example/plain Verified"]);
    let root = discovery.root("s.example/x.git/y").await.unwrap();
    assert_eq!(
        row(&root),
        ("s.example/x.git", "git", "ssh://s.example/x", "")
    );
    let root = discovery.root("p.example/x.git").await.unwrap();
    assert_eq!(root.repository, "http://p.example/x");
    let error = discovery.root("q.example/x.git").await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no secure protocol found for repository"),
        "{error}"
    );
    assert_eq!(error.label(), Label::ModRepoGone);
}

#[tokio::test]
async fn govcs_decides_by_root() {
    let (net, discovery) = discovery(Rules {
        govcs: Govcs::parse("off.example:off").unwrap(),
        private: Patterns::parse("private.example"),
        ..Rules::default()
    });
    for host in ["public.example", "private.example"] {
        net.says(
            &format!("https://{host}/x"),
            &format!("{host}/x svn https://svn.example/x"),
        );
    }
    let error = discovery.root("public.example/x").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GOVCS disallows using svn for public public.example/x; see 'go help vcs'"
    );
    assert_eq!(error.label(), Label::VcsGovcsDisallowed);
    discovery.root("private.example/x").await.unwrap();
    assert!(discovery.root("off.example/x.git").await.is_err());
    assert!(discovery.root("public.example/x.svn").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_kept_when_the_host_is_down() {
    let (net, discovery) = discovery(Rules::default());
    net.says(
        "https://a.example/x",
        "a.example/x git https://git.example/x",
    );
    let root = discovery.root("a.example/x").await.unwrap();
    net.down.store(true, Ordering::Relaxed);
    tokio::time::advance(Duration::from_hours(24)).await;
    assert_eq!(discovery.root("a.example/x").await.unwrap(), root);
    assert!(
        !discovery
            .root("a.example/y")
            .await
            .unwrap_err()
            .is_absence()
    );
    let remembered = discovery.remembered();
    let (net, later) = self::discovery(Rules::default());
    net.down.store(true, Ordering::Relaxed);
    later.remember(remembered);
    assert_eq!(later.root("a.example/x").await.unwrap(), root);
    net.down.store(false, Ordering::Relaxed);
    net.says(
        "https://a.example/x",
        "a.example/x git https://moved.example/x",
    );
    assert_eq!(
        later.root("a.example/x").await.unwrap().repository,
        "https://moved.example/x"
    );
}

#[tokio::test(start_paused = true)]
async fn absence_is_believed_for_a_minute() {
    let (net, discovery) = discovery(Rules::default());
    assert!(
        discovery
            .root("a.example/x")
            .await
            .unwrap_err()
            .is_absence()
    );
    assert_eq!(net.asked().len(), 1);
    net.says(
        "https://a.example/x",
        "a.example/x git https://git.example/x",
    );
    assert!(discovery.root("a.example/x").await.is_err());
    assert!(net.asked().is_empty());
    tokio::time::advance(Duration::from_secs(61)).await;
    discovery.root("a.example/x").await.unwrap();
}

#[tokio::test]
async fn ten_callers_ask_once() {
    let (net, discovery) = discovery(Rules::default());
    net.says(
        "https://a.example/x",
        "a.example/x git https://git.example/x",
    );
    let callers = (0..10).map(|_| discovery.root("a.example/x"));
    for answer in futures_util::future::join_all(callers).await {
        answer.unwrap();
    }
    assert_eq!(net.asked().len(), 1);
}
