//! What is told to the prefetcher of each request: who asks, for what, and which go.mod files pass through.

use std::net::IpAddr;
use std::time::Instant;

use depot::FileReply;
use prefetch::Prefetch;
use store::{FileKey, FileKind};

use crate::hot::HotAnswer;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Tells the prefetcher, if there is one, of the requests of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch<'a> {
    watching: Option<(&'a Prefetch, IpAddr)>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(prefetch: Option<&'a Prefetch>, peer: Option<Peer>) -> Self {
        Self {
            watching: prefetch.zip(peer.map(|peer| peer.0)),
        }
    }

    /// A file is asked for.
    pub(crate) fn asked(self, key: &FileKey) {
        if let Some((prefetch, client)) = self.watching {
            prefetch.asked(client, key);
        }
    }

    /// A file is given.
    pub(crate) fn given(self, key: &FileKey, reply: &FileReply) {
        if let (Some((prefetch, client)), FileKind::Mod, FileReply::Small(small, _)) =
            (self.watching, key.kind, reply)
        {
            prefetch.passed(client, key, &small.body);
        }
    }

    /// A file that was given a moment ago is given again. It matters only beside what had to be looked for: a client
    /// all of whose files are hot needs nothing fetched.
    pub(crate) fn hot(self, hot: &HotAnswer, now: Instant) {
        let Some((prefetch, client)) = self.watching.filter(|(prefetch, _)| prefetch.is_active())
        else {
            return;
        };
        if let Some(key) = hot.file.as_ref().filter(|_| hot.told.is_new(client, now)) {
            prefetch.asked(client, key);
            if key.kind == FileKind::Mod {
                prefetch.passed(client, key, &hot.body);
            }
        }
    }
}
