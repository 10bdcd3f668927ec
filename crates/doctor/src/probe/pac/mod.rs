//! Proxy auto-configuration files: what browsers do with them. `go` and `git` read none, so that what one of them says
//! is a hint at the settings that are missing, never a way that `go` takes.
//!
//! The files are programs in JavaScript, from whoever runs the network. They are run by an engine of their own with
//! nothing but the functions such files may call, with limits for memory, stack and time, in a thread that nobody waits
//! for when it does not end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rquickjs::{CatchResultExt as _, Context, Ctx, Function, Runtime};
use url::Url;

/// The functions of such files that need nothing of the program.
const PRELUDE: &str = include_str!("prelude.js");
/// Memory of the engine, in bytes.
const MEMORY: usize = 32 << 20;
/// Stack of the engine, in bytes; that of its thread is larger.
const STACK: usize = 512 << 10;
/// Stack of the thread, in bytes.
const THREAD_STACK: usize = 4 << 20;
/// How often a file is run anew because it wants one more name resolved.
const MOST_ROUNDS: usize = 16;

/// One element of what such a file answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Directive {
    /// Straight to the host.
    Direct,
    /// Through a proxy, as a URL that `HTTPS_PROXY` takes.
    Proxy(String),
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("DIRECT"),
            Self::Proxy(url) => f.write_str(url),
        }
    }
}

/// Reads `PROXY a:1; SOCKS b:2; DIRECT`. What nobody knows is passed over.
pub(crate) fn directives(answer: &str) -> Vec<Directive> {
    let elements = answer.split(';').map(str::trim);
    let read = |element: &str| {
        let (kind, address) = element
            .split_once(char::is_whitespace)
            .unwrap_or((element, ""));
        let scheme = match kind.to_ascii_uppercase().as_str() {
            "DIRECT" => return Some(Directive::Direct),
            "PROXY" | "HTTP" => "http",
            "HTTPS" => "https",
            "SOCKS" | "SOCKS4" | "SOCKS5" => "socks5",
            _ => return None,
        };
        let url = format!("{scheme}://{}", address.trim());
        let has_host = Url::parse(&url).is_ok_and(|url| url.host_str().is_some());
        has_host.then_some(Directive::Proxy(url))
    };
    elements.filter_map(read).collect()
}

/// What is known of the world while a file runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// Names that were resolved; those without an address have none.
    pub(crate) names: BTreeMap<String, Option<IpAddr>>,
    /// The address of this machine.
    pub(crate) own: Option<IpAddr>,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It has answered.
    Answered(String),
    /// It wants these names resolved first.
    Wants(BTreeSet<String>),
}

/// Asks `script` for the proxies of a URL, resolving names with `resolve` as it wants them.
///
/// # Errors
///
/// The words of the engine: a syntax error, an exception, a limit.
pub(crate) async fn find_proxy<R, F>(
    script: &Arc<str>,
    url: &Url,
    own: Option<IpAddr>,
    patience: Duration,
    resolve: R,
) -> Result<Vec<Directive>, String>
where
    R: Fn(String) -> F,
    F: Future<Output = Option<IpAddr>>,
{
    let start = Instant::now();
    let mut world = World {
        own,
        ..World::default()
    };
    for _ in 0..MOST_ROUNDS {
        let left = patience.saturating_sub(start.elapsed());
        match aside(script, url, &world, left).await? {
            Ran::Answered(answer) => return Ok(directives(&answer)),
            Ran::Wants(names) => {
                for name in names {
                    let address = resolve(name.clone()).await;
                    world.names.insert(name, address);
                }
            }
        }
    }
    Err("it wants ever more names resolved".to_owned())
}

/// Runs the file in a thread of its own.
async fn aside(
    script: &Arc<str>,
    url: &Url,
    world: &World,
    patience: Duration,
) -> Result<Ran, String> {
    let (script, url, world) = (Arc::clone(script), url.clone(), world.clone());
    let (done, answer) = tokio::sync::oneshot::channel();
    let work = move || {
        // Nobody may wait for it any more.
        let _ = done.send(run(&script, &url, world, patience));
    };
    std::thread::Builder::new()
        .name("pac".to_owned())
        .stack_size(THREAD_STACK)
        .spawn(work)
        .map_err(|error| error.to_string())?;
    // Built-in functions of the engine do not look at the clock.
    match tokio::time::timeout(patience + Duration::from_millis(200), answer).await {
        Ok(Ok(ran)) => ran,
        Ok(Err(_)) => Err("the engine broke down".to_owned()),
        Err(_) => Err("it does not end".to_owned()),
    }
}

fn run(script: &str, url: &Url, world: World, patience: Duration) -> Result<Ran, String> {
    let engine = Runtime::new().map_err(|error| error.to_string())?;
    engine.set_memory_limit(MEMORY);
    engine.set_max_stack_size(STACK);
    let end = Instant::now() + patience;
    engine.set_interrupt_handler(Some(Box::new(move || Instant::now() >= end)));
    let context = Context::full(&engine).map_err(|error| error.to_string())?;
    let wanted = Arc::new(Mutex::new(BTreeSet::new()));
    let host = url.host_str().unwrap_or_default().to_owned();
    let answer = context.with(|ctx| {
        let found = offer(&ctx, world, Arc::clone(&wanted))
            .and_then(|()| ctx.eval::<(), _>(PRELUDE))
            .and_then(|()| ctx.eval::<(), _>(script))
            .and_then(|()| ctx.globals().get::<_, Function<'_>>("FindProxyForURL"))
            .and_then(|find| find.call::<_, Option<String>>((seen(url), host)));
        found
            .catch(&ctx)
            .map_err(|error| error.to_string().trim().to_owned())
    });
    let wanted = wanted.lock().map(|names| names.clone()).unwrap_or_default();
    if !wanted.is_empty() {
        return Ok(Ran::Wants(wanted));
    }
    Ok(Ran::Answered(answer?.unwrap_or_default()))
}

/// As browsers do it, of a URL with TLS the file sees the host only.
fn seen(url: &Url) -> String {
    if url.scheme() == "https" {
        return format!(
            "https://{}/",
            &url[url::Position::BeforeHost..url::Position::AfterPort]
        );
    }
    let mut plain = url.clone();
    let _no_host = (plain.set_username(""), plain.set_password(None));
    plain.to_string()
}

fn offer(
    ctx: &Ctx<'_>,
    world: World,
    wanted: Arc<Mutex<BTreeSet<String>>>,
) -> rquickjs::Result<()> {
    let globals = ctx.globals();
    let own = world.own.unwrap_or(IpAddr::from(Ipv4Addr::LOCALHOST));
    let names = world.names;
    let resolve = move |name: String| -> Option<String> {
        let name = name.to_ascii_lowercase();
        if let Ok(address) = name.parse::<IpAddr>() {
            return Some(address.to_string());
        }
        if let Some(address) = names.get(&name) {
            return address.map(|address| address.to_string());
        }
        if let Ok(mut wanted) = wanted.lock() {
            wanted.insert(name);
        }
        None
    };
    globals.set("modkeepResolve", Function::new(ctx.clone(), resolve)?)?;
    let own = move || own.to_string();
    globals.set("myIpAddress", Function::new(ctx.clone(), own)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn evaluate(body: &str, url: &str, names: &[(&str, [u8; 4])]) -> Result<Ran, String> {
        let script = format!("function FindProxyForURL(url, host) {{ {body} }}");
        let world = World {
            names: names
                .iter()
                .map(|(name, address)| ((*name).to_owned(), Some(IpAddr::from(*address))))
                .chain([("nowhere.corp.test".to_owned(), None)])
                .collect(),
            own: Some(IpAddr::from([10, 1, 2, 3])),
        };
        run(&script, &Url::parse(url).unwrap(), world, PATIENCE)
    }

    fn is_true(condition: &str) -> bool {
        let body = format!("return ({condition}) ? 'yes' : 'no'");
        let ran = evaluate(
            &body,
            "https://proxy.golang.org/x",
            &[("in.corp.test", [10, 9, 8, 7])],
        );
        match ran {
            Ok(Ran::Answered(answer)) => answer == "yes",
            other => panic!("{condition}: {other:?}"),
        }
    }

    #[test]
    fn the_functions_mean_what_they_mean_in_browsers() {
        for condition in [
            "isPlainHostName('www')",
            "dnsDomainIs('a.Corp.test', '.corp.TEST')",
            "localHostOrDomainIs('www', 'www.corp.test')",
            "localHostOrDomainIs('www.corp.test', 'www.corp.test')",
            "isInNet('10.1.2.3', '10.0.0.0', '255.0.0.0')",
            "isInNet('in.corp.test', '10.9.0.0', '255.255.0.0')",
            "isInNet(myIpAddress(), '10.1.2.0', '255.255.255.0')",
            "isResolvable('in.corp.test')",
            "dnsResolve('192.0.2.1') === '192.0.2.1'",
            "dnsResolve('nowhere.corp.test') === null && !isResolvable('nowhere.corp.test')",
            "dnsDomainLevels('a.b.c') === 2",
            "shExpMatch('proxy.golang.org', '*.golang.???')",
            "shExpMatch('a', '*')",
            "shExpMatch('', '**')",
            "convert_addr('1.2.3.4') === 16909060",
            "host === 'proxy.golang.org' && url === 'https://proxy.golang.org/'",
            "weekdayRange('SUN', 'SAT')",
            "weekdayRange('MON', 'SUN', 'GMT')",
            "timeRange(0, 24)",
            "timeRange(0, 0, 0, 23, 59, 59, 'GMT')",
            "dateRange(1, 31)",
            "dateRange('JAN', 'DEC')",
            "dateRange(1, 'JAN', 2000, 31, 'DEC', 2999)",
            "dateRange(new Date().getFullYear())",
        ] {
            assert!(is_true(condition), "{condition}");
        }
        for condition in [
            "isPlainHostName('www.corp.test')",
            "dnsDomainIs('corp.test', '.corp.test')",
            "localHostOrDomainIs('www.other.test', 'www.corp.test')",
            "isInNet('11.1.2.3', '10.0.0.0', '255.0.0.0')",
            "isInNet('10.1.2.3', '10.0.0.0', 'nonsense')",
            "shExpMatch('proxy.golang.org', '*.golang')",
            "shExpMatch('a.b', 'a+b')",
            "weekdayRange('nonsense')",
            "dateRange(1, 'JAN', 2000, 31, 'DEC', 2001)",
            "timeRange()",
            "typeof std !== 'undefined' || typeof os !== 'undefined' || typeof require !== 'undefined'",
        ] {
            assert!(!is_true(condition), "{condition}");
        }
    }

    #[test]
    fn names_are_asked_for_one_after_the_other() {
        let body = "return isInNet(host, '10.0.0.0', '255.0.0.0') ? 'DIRECT' : 'PROXY p:1'";
        let wants = evaluate(body, "https://x.test/", &[]);
        assert_eq!(wants, Ok(Ran::Wants(["x.test".to_owned()].into())));
        let answered = evaluate(body, "https://x.test/", &[("x.test", [10, 0, 0, 1])]);
        assert_eq!(answered, Ok(Ran::Answered("DIRECT".to_owned())));
    }

    #[tokio::test]
    async fn what_it_wants_is_resolved() {
        let script: Arc<str> =
            "function FindProxyForURL(u, h) { return dnsResolve('a.test') + dnsResolve('b.test') == '192.0.2.1null' ? 'SOCKS s:9' : 'DIRECT' }".into();
        let url = Url::parse("https://x.test/").unwrap();
        let found = find_proxy(&script, &url, None, PATIENCE, |name| async move {
            (name == "a.test").then_some(IpAddr::from([192, 0, 2, 1]))
        });
        assert_eq!(
            found.await,
            Ok(vec![Directive::Proxy("socks5://s:9".to_owned())])
        );
    }

    #[test]
    fn answers_are_read_whatever_their_spelling() {
        let proxy = |url: &str| Directive::Proxy(url.to_owned());
        assert_eq!(
            directives("PROXY a:1;proxy  b:2 ; HTTPS c; SOCKS5 d:3;direct; NONSENSE x; PROXY"),
            [
                proxy("http://a:1"),
                proxy("http://b:2"),
                proxy("https://c"),
                proxy("socks5://d:3"),
                Directive::Direct
            ]
        );
        assert!(directives("").is_empty());
    }

    #[test]
    fn a_file_that_is_broken_or_does_not_end_is_an_error() {
        for script in [
            "function FindProxyForURL(",
            "var x = 1",
            "function FindProxyForURL() { throw 1 }",
        ] {
            let url = Url::parse("https://x.test/").unwrap();
            let ran = run(script, &url, World::default(), PATIENCE);
            assert!(ran.is_err(), "{script}: {ran:?}");
        }
        let url = Url::parse("https://x.test/").unwrap();
        let endless = "function FindProxyForURL() { for (;;) {} }";
        let short = Duration::from_millis(50);
        assert!(run(endless, &url, World::default(), short).is_err());
        let greedy = "function FindProxyForURL() { let a = []; for (;;) a.push('x'.repeat(1 << 20) + a.length); }";
        assert!(run(greedy, &url, World::default(), PATIENCE).is_err());
        let deep = "function FindProxyForURL() { return FindProxyForURL() + 1 }";
        assert!(run(deep, &url, World::default(), PATIENCE).is_err());
    }
}
