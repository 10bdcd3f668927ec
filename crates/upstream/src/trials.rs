//! Which of the addresses of a host lead to it: a host with several is reached as long as one of them works.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long one address is tried before the next is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// How long an address that did not work comes last.
const FAILED_FOR: Duration = Duration::from_mins(10);
/// How long an address that worked is used without trying others.
const WORKS_FOR: Duration = Duration::from_mins(10);
/// Addresses of which anything is known.
const MOST: usize = 1024;

/// After so long the HTTP client tries an address of the other family, too, and does not say which it came to use.
const OTHER_FAMILY: Duration = Duration::from_millis(300);

/// What is known of addresses.
#[derive(Debug, Default)]
pub(crate) struct Trials(Mutex<HashMap<IpAddr, Found>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Works {
        since: Instant,
        /// How long it took to take a connection.
        took: Duration,
    },
    Failed(Instant),
}

impl Trials {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, address: IpAddr, found: Found) {
        let mut known = self.lock();
        if known.len() >= MOST && !known.contains_key(&address) {
            known.clear();
        }
        known.insert(address, found);
    }

    /// A connection that was to use this address first failed.
    pub(crate) fn failed(&self, address: IpAddr) {
        self.learn(address, Found::Failed(Instant::now()));
    }

    /// A connection that was to use this address first came about so long after it was offered. If that is much longer
    /// than such an address takes, another may have been used: it is tried again.
    pub(crate) fn came_about(&self, address: IpAddr, after: Duration) {
        let mut known = self.lock();
        let is_quick =
            |found: &Found| matches!(found, Found::Works { took, .. } if *took * 3 < OTHER_FAMILY);
        if after >= OTHER_FAMILY && known.get(&address).is_some_and(is_quick) {
            known.remove(&address);
        }
    }

    /// Addresses of one host in the order in which they are to be used. Where none is known to work, and the port is
    /// known, they are tried; each gets a head start before the next.
    pub(crate) async fn in_order(
        &self,
        mut addresses: Vec<SocketAddr>,
        port: Option<u16>,
    ) -> Vec<SocketAddr> {
        if addresses.len() < 2 {
            return addresses;
        }
        let works = self.sort(&mut addresses);
        if let (false, Some(port)) = (works, port)
            && let Some(winner) = self.race(&addresses, port).await
        {
            addresses.retain(|address| *address != winner);
            addresses.insert(0, winner);
        }
        addresses
    }

    /// Puts what works first and what failed last, the latest of them last of all. Says whether anything is known to work.
    fn sort(&self, addresses: &mut [SocketAddr]) -> bool {
        let now = Instant::now();
        let known = self.lock();
        let rank = |address: &SocketAddr| match known.get(&address.ip()) {
            Some(Found::Works { since, .. }) if now - *since < WORKS_FOR => (0, None),
            Some(Found::Failed(at)) if now - *at < FAILED_FOR => (2, Some(*at)),
            _ => (1, None),
        };
        addresses.sort_by_key(rank);
        addresses.first().is_some_and(|first| rank(first).0 == 0)
    }

    /// The first address at which somebody listens. Those that were begun with before it, and could not be reached, are
    /// remembered.
    async fn race(&self, addresses: &[SocketAddr], port: u16) -> Option<SocketAddr> {
        let mut under_way = FuturesUnordered::new();
        let mut begun: Vec<(SocketAddr, Instant)> = Vec::new();
        let mut waiting = addresses.iter().copied();
        let (winner, took) = loop {
            let next = waiting.next();
            if let Some(address) = next {
                begun.push((address, Instant::now()));
                under_way.push(try_out(address, port));
            }
            let tried = match next {
                Some(_) => tokio::time::timeout(HEAD_START, under_way.next()).await,
                None => Ok(under_way.next().await),
            };
            match tried {
                Ok(Some((address, Some(took)))) => break (address, took),
                Ok(Some((address, None))) => self.failed(address.ip()),
                Ok(None) if next.is_none() => return None,
                Ok(None) | Err(_) => {}
            }
        };
        let now = Instant::now();
        for (address, since) in begun {
            if address != winner && now - since >= HEAD_START {
                self.failed(address.ip());
            }
        }
        self.learn(winner.ip(), Found::Works { since: now, took });
        Some(winner)
    }
}

/// How long it takes to take a connection there; `None` if none is taken.
async fn try_out(address: SocketAddr, port: u16) -> (SocketAddr, Option<Duration>) {
    let began = Instant::now();
    let target = SocketAddr::new(address.ip(), port);
    let connection = TcpStream::connect(target).await;
    (address, connection.ok().map(|_| began.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 0))
    }

    fn works(trials: &Trials, last: u8, took: Duration) {
        let since = Instant::now();
        trials.learn(at(last).ip(), Found::Works { since, took });
    }

    async fn order(trials: &Trials, addresses: &[u8]) -> Vec<u8> {
        let addresses = addresses.iter().map(|last| at(*last)).collect();
        let ordered = trials.in_order(addresses, None).await;
        ordered
            .iter()
            .map(|address| match address.ip() {
                IpAddr::V4(v4) => v4.octets()[3],
                IpAddr::V6(_) => 0,
            })
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_works_comes_first_and_what_failed_last_until_it_is_forgiven() {
        let trials = Trials::default();
        assert_eq!(order(&trials, &[1, 2, 3, 4]).await, [1, 2, 3, 4]);
        trials.failed(at(2).ip());
        tokio::time::advance(Duration::from_secs(1)).await;
        trials.failed(at(1).ip());
        works(&trials, 4, Duration::from_millis(1));
        assert_eq!(order(&trials, &[1, 2, 3, 4]).await, [4, 3, 2, 1]);
        trials.failed(at(4).ip());
        assert_eq!(order(&trials, &[1, 2, 3, 4]).await, [3, 2, 1, 4]);
        tokio::time::advance(FAILED_FOR).await;
        assert_eq!(order(&trials, &[1, 2, 3, 4]).await, [1, 2, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_may_not_have_been_used_is_tried_again() {
        let trials = Trials::default();
        let quick = Duration::from_millis(5);
        works(&trials, 2, quick);
        trials.came_about(at(2).ip(), quick);
        assert_eq!(order(&trials, &[1, 2]).await, [2, 1]);
        trials.came_about(at(2).ip(), OTHER_FAMILY + quick);
        assert_eq!(order(&trials, &[1, 2]).await, [1, 2]);
        // At the end of a long line every connection takes so long.
        works(&trials, 2, Duration::from_millis(150));
        trials.came_about(at(2).ip(), Duration::from_millis(450));
        assert_eq!(order(&trials, &[1, 2]).await, [2, 1]);
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let trials = Trials::default();
        for number in 0..u32::try_from(3 * MOST).unwrap() {
            trials.failed(std::net::Ipv4Addr::from(number).into());
            assert!(trials.lock().len() <= MOST);
        }
    }
}
