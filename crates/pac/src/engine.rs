//! Runs the files.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rquickjs::{CatchResultExt as _, Context, Ctx, Function, Runtime};
use serde::{Deserialize, Serialize};
use url::Url;

/// The functions of such files that need nothing of the program.
const PRELUDE: &str = include_str!("prelude.js");
/// Memory of the engine, in bytes.
const MEMORY: usize = 32 << 20;
/// Stack of the engine, in bytes; that of its thread must be larger.
const STACK: usize = 512 << 10;

/// What is known of the world while a file runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct World {
    /// Names that were resolved; those without an address have none.
    pub(crate) names: BTreeMap<String, Option<IpAddr>>,
    /// The address of this machine.
    pub(crate) own: Option<IpAddr>,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ran {
    /// It has answered.
    Answered(String),
    /// It wants these names resolved first.
    Wants(BTreeSet<String>),
}

/// Asks `script` for the proxies of a URL. An error is in the words of the engine: about the syntax, an exception, a limit.
pub(crate) fn run(
    script: &str,
    url: &Url,
    world: World,
    patience: Duration,
) -> Result<Ran, String> {
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
        // The engine's own word for it would be that it was interrupted.
        found.catch(&ctx).map_err(|error| match error {
            _ if Instant::now() >= end => "it does not end".to_owned(),
            error => error.to_string().trim().to_owned(),
        })
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
        let ran = run(endless, &url, World::default(), short);
        assert_eq!(ran.unwrap_err(), "it does not end");
        let greedy = "function FindProxyForURL() { let a = []; for (;;) a.push('x'.repeat(1 << 20) + a.length); }";
        assert!(run(greedy, &url, World::default(), PATIENCE).is_err());
        let deep = "function FindProxyForURL() { return FindProxyForURL() + 1 }";
        assert!(run(deep, &url, World::default(), PATIENCE).is_err());
    }
}
