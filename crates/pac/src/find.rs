//! Asks a file once.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use url::Url;

use crate::directive::{Directive, directives};
use crate::engine::{Ran, World, run};

/// Stack of the engine's thread, in bytes.
pub(crate) const THREAD_STACK: usize = 4 << 20;
/// How often a file is run anew because it wants one more name resolved.
pub(crate) const MOST_ROUNDS: usize = 16;

/// Asks `script` for the proxies of a URL, resolving names with `resolve` as it wants them.
///
/// # Errors
///
/// The words of the engine: a syntax error, an exception, a limit.
pub async fn find_proxy<R, F>(
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

/// The address of this machine towards the rest of the world. Nothing is sent for it.
pub fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect(SocketAddr::from(([192, 0, 2, 1], 9))).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

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
}
