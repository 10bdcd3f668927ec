//! One client: what it is at, and since when that is known.

use std::time::Duration;

use gomod::ModuleVersion;
use store::FileKind;
use tokio::time::Instant;

use crate::session::Session;

/// An address that never rests is that of many clients, or of one that builds all day: what is known for so long is
/// forgotten when nothing is to be fetched for it,
const LONG: Duration = Duration::from_mins(5);
/// if it is more than this, in modules: more than most builds have.
const MANY: usize = 2_000;

/// What is known of a client.
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) last_seen: Instant,
    session_since: Instant,
}

/// Bytes that were fetched ahead.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// Of the file that is asked for, if it was.
    pub(crate) used: Option<u64>,
    /// Of files that nobody is expected to ask for any more.
    pub(crate) wasted: u64,
}

impl Client {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            session: Session::default(),
            last_seen: now,
            session_since: now,
        }
    }

    /// It asks for a file.
    pub(crate) fn asked(
        &mut self,
        module: &ModuleVersion,
        kind: FileKind,
        now: Instant,
    ) -> Fetched {
        self.last_seen = now;
        let wasted = if self.session.is_full() {
            self.renew(now)
        } else {
            0
        };
        Fetched {
            used: self.session.asked(module, kind),
            wasted,
        }
    }

    /// There is nothing to be fetched for it at the moment. Gives back bytes that were fetched for nothing.
    pub(crate) fn rests(&mut self, now: Instant) -> u64 {
        let is_long = now.duration_since(self.session_since) >= LONG;
        if is_long && self.session.len() > MANY {
            self.renew(now)
        } else {
            0
        }
    }

    fn renew(&mut self, now: Instant) -> u64 {
        self.session_since = now;
        self.session.renew()
    }
}

#[cfg(test)]
mod tests {
    use gomod::mvs::Summary;
    use gomod::{ModulePath, Version};
    use store::FileKey;

    use super::*;

    fn module(number: usize) -> ModuleVersion {
        let path = ModulePath::new(&format!("example.com/m{number}")).unwrap();
        ModuleVersion::new(path, Version::new("v1.0.0").unwrap()).unwrap()
    }

    /// The go.mod file of a module that requires the next.
    fn summary(number: usize) -> Summary {
        let next = module(number + 1);
        let text = format!(
            "module example.com/m{number}\ngo 1.16\nrequire {} {}\n",
            next.path(),
            next.version()
        );
        Summary::parse(text.as_bytes()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_asks_for_ever_new_modules_is_followed_for_ever_with_bounded_memory() {
        let mut client = Client::new(Instant::now());
        let (mut most, mut fetched) = (0, 0);
        // A new module in every tenth of a second: more than 20,000 before half an hour is over.
        for number in (0..60_000).step_by(2) {
            client.asked(&module(number), FileKind::Mod, Instant::now());
            client
                .session
                .learned(&module(number), &summary(number), |_| true);
            let next = client.session.next(1 << 20);
            assert_eq!(next, Some(FileKey::of(&module(number + 1), FileKind::Mod)));
            fetched += 1;
            while client.session.next(1 << 20).is_some() {}
            client.rests(Instant::now());
            most = most.max(client.session.memory());
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert_eq!(fetched, 30_000);
        // Five minutes, 3,000 of these with what they require.
        assert!(most < 6_100 * 708, "{most}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_modules_within_minutes_is_bounded_too() {
        let mut client = Client::new(Instant::now());
        for number in 0..50_000 {
            client.asked(&module(number), FileKind::Mod, Instant::now());
            assert!(client.session.len() <= 20_001);
        }
        assert!(!client.session.is_full());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_fetched_ahead_is_of_use_although_the_session_began_anew() {
        let mut client = Client::new(Instant::now());
        client.asked(&module(0), FileKind::Mod, Instant::now());
        client.session.learned(&module(0), &summary(0), |_| true);
        let ahead = client.session.next(1 << 20).unwrap();
        assert_eq!(client.renew(Instant::now()), 0);
        // It comes in only now.
        assert!(client.session.fetched(&ahead, 70));
        assert_eq!(client.session.unused_bytes(), 70);
        let used = client.asked(&module(1), FileKind::Mod, Instant::now()).used;
        assert_eq!(used, Some(70));

        client.session.learned(&module(1), &summary(1), |_| true);
        let ahead = client.session.next(1 << 20).unwrap();
        assert!(client.session.fetched(&ahead, 50));
        assert_eq!(client.renew(Instant::now()), 0);
        assert_eq!(client.renew(Instant::now()), 50, "nobody came for it");
        assert_eq!(client.session.unused_bytes(), 0);
    }
}
