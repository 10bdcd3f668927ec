//! Immutable files: from the store for ever, fetched once, and verified before anybody can have the whole.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::BoxFuture;
use store::{FileKey, FileKind, Found, StoredFile};
use upstream::{Expect, Request, Small};

use crate::origin::Wanted;
use crate::passed_over::PassedOver;
use crate::receive::{Fetching, FileLanding, Refused};
use crate::reply::{FileReply, SmallFile};
use crate::shared::{Shared, name_of};
use crate::{Context, Depot, DepotError, FetchMode};

/// Stored files up to this many bytes are handed out in memory.
pub(crate) const SMALL: u64 = 64 * 1024;

impl Depot {
    /// One of a version's files.
    pub async fn file(
        &self,
        key: &FileKey,
        mode: FetchMode,
        context: &Context,
    ) -> Result<FileReply, DepotError> {
        if let Some(reply) = self.shared.stored_file(key).await? {
            return Ok(reply);
        }
        let what = name_of(&key.module, key.version.as_str());
        if mode == FetchMode::CachedOnly {
            let (shared, path) = (&self.shared, key.url_path());
            shared
                .waits_for(&shared.files, key, &key.module, &path, &context.via)
                .await?;
            return Err(DepotError::NotCached { what: what.into() });
        }
        if let Some(absence) = self.shared.known_absence(&key.url_path()) {
            return Err(absence);
        }
        self.shared.check_online(&what)?;
        let (shared, path) = (&self.shared, key.url_path());
        let leads_back = shared.leads_back(&key.module, &path, &context.via);
        let begin = |landing| {
            let (key, context) = (key.clone(), context.clone());
            fetch(shared.clone(), key, context, PassedOver::default(), landing)
        };
        shared.files.join(key, context, leads_back, begin).await
    }
}

impl Shared {
    /// The file if it is stored and sound.
    async fn stored_file(self: &Arc<Self>, key: &FileKey) -> Result<Option<FileReply>, DepotError> {
        let key = key.clone();
        match self.store.try_open_file(&key)? {
            Found::Known(None) => Ok(None),
            // Just opened from memory: small bytes are there too, or arrive with one read.
            Found::Known(Some(stored)) if stored.len() <= SMALL => {
                Ok(load(&self.store, &key, stored)?)
            }
            Found::Known(Some(stored)) => {
                note_use(&stored);
                Ok(Some(FileReply::Stored(stored)))
            }
            Found::MustWait => {
                self.on_disk(move |store| match store.open_file(&key)? {
                    Some(stored) => load(store, &key, stored),
                    None => Ok(None),
                })
                .await
            }
        }
    }
}

/// Notes that a file is used, now and then, and where waiting for the disk is allowed.
fn note_use(stored: &StoredFile) {
    if stored.is_use_worth_noting() {
        let stored = stored.clone();
        tokio::task::spawn_blocking(move || stored.note_use());
    }
}

fn load(
    store: &store::Store,
    key: &FileKey,
    stored: StoredFile,
) -> Result<Option<FileReply>, store::StoreError> {
    if stored.len() > SMALL {
        note_use(&stored);
        return Ok(Some(FileReply::Stored(stored)));
    }
    let bytes = store.read_small(key, &stored)?;
    Ok(bytes.map(|bytes| {
        FileReply::Small(
            SmallFile {
                body: bytes.into(),
                etag: stored.etag().clone(),
            },
            true,
        )
    }))
}

/// Fetches a file. Upstreams whose bytes are refused are passed over, and the next ones asked.
async fn fetch(
    shared: Arc<Shared>,
    key: FileKey,
    context: Context,
    passed_over: PassedOver,
    mut landing: FileLanding,
) {
    let path = key.url_path();
    // Whoever looked into the store just before an earlier fetch was done comes too late to join it.
    let known = match shared.stored_file(&key).await {
        Ok(stored) => stored.map(Ok).or(shared.known_absence(&path).map(Err)),
        Err(error) => Some(Err(error)),
    };
    if let Some(known) = known {
        return landing.give(known);
    }
    let _turn = match landing.turn().await {
        Some(Ok(turn)) => turn,
        Some(Err(error)) => return landing.give(Err(error)),
        None => return,
    };
    // The look-up runs while the file is on its way.
    let judging = match shared.begin_judging(&key) {
        Ok(judging) => judging,
        Err(error) => return landing.give(Err(error)),
    };
    let request = Request {
        path,
        expect: match key.kind {
            FileKind::Info => Expect::Info(Some(key.version.clone())),
            FileKind::Mod => Expect::Mod,
            FileKind::Zip => Expect::Zip,
        },
        revalidate: None,
        without: Vec::new(),
        traceparent: context.traceparent.clone(),
        via: context.via.clone(),
    };
    let mut fetching = Fetching {
        shared: shared.clone(),
        key: key.clone(),
        landing,
        judging,
        request,
        passed_over,
        request_id: context.request_id.clone(),
    };
    match fetching.ask_all().await {
        Ok(()) => {}
        Err(Unserved::Failed(error)) => fetching.landing.give(Err(error)),
        Err(Unserved::Cut) => {
            let passed_over = std::mem::take(&mut fetching.passed_over);
            drop(fetching);
            fetch_for_the_next(&shared, key, context, passed_over);
        }
    }
}

/// Those who were cut off may ask again, and others will: asks the upstreams that are left.
fn fetch_for_the_next(
    shared: &Arc<Shared>,
    key: FileKey,
    context: Context,
    passed_over: PassedOver,
) {
    let (fetching, wanted, party) = (shared.clone(), key.clone(), context.party);
    let begun = move |landing| -> BoxFuture<'static, ()> {
        Box::pin(fetch(fetching, wanted, context, passed_over, landing))
    };
    let shared = shared.clone();
    tokio::spawn(async move { shared.files.shared().join(&key, party, begun).await });
}

/// Why those who wait got nothing, or not the whole.
enum Unserved {
    /// They got nothing, for this reason.
    Failed(DepotError),
    /// They got a part of what one upstream sent, and were cut off.
    Cut,
}

impl Fetching {
    /// Asks one upstream after the other.
    async fn ask_all(&mut self) -> Result<(), Unserved> {
        loop {
            let received = match self.ask().await {
                Ok(received) => received,
                Err(_) if self.passed_over.forgive() => continue,
                // What was refused is told before what others said: it is no absence.
                Err(error) => {
                    let told = self.passed_over.reason().unwrap_or(error);
                    return Err(Unserved::Failed(told));
                }
            };
            let Err(refused) = received else {
                return Ok(());
            };
            self.report(&refused);
            if refused.is_given {
                return Err(Unserved::Cut);
            }
            if !is_fault_of_the_bytes(&refused.error) {
                return Err(Unserved::Failed(refused.error));
            }
        }
    }

    /// Asks the next upstream that answers.
    async fn ask(&mut self) -> Result<Result<(), Refused>, DepotError> {
        self.request.without = self.passed_over.sources();
        let error = if self.key.kind == FileKind::Zip {
            match self.shared.ask_zip(&self.key, &self.request).await {
                Ok(reply) => return Ok(self.receive_zip(reply).await),
                Err(error) => error,
            }
        } else {
            let wanted = Wanted::File(&self.key);
            match self.shared.ask_small(wanted, &self.request).await {
                Ok(Small::Body(reply)) => return Ok(self.receive_small(reply).await),
                // Cannot be: nothing was to be revalidated.
                Ok(Small::NotModified(_)) => return Err(DepotError::Lost),
                Err(error) => error,
            }
        };
        // Others may have said less than those that were not asked again.
        if self.passed_over.is_empty() {
            self.shared.learn_absence(&self.request.path, &error);
        }
        Err(error)
    }

    fn report(&mut self, refused: &Refused) {
        let error = refused.error.clone();
        if self.passed_over.knows(&error) {
            return self
                .passed_over
                .add(refused.source.clone(), self.key.kind, error);
        }
        let label = refused.error.label().map(tracing::field::display);
        if is_security_event(&refused.error) {
            self.shared.refused_files.fetch_add(1, Ordering::Relaxed);
        }
        tracing::error!(file = %self.key, source = refused.source, label, error = %refused.error, "what was fetched is refused; it is neither served nor stored");
        if refused.is_given || is_fault_of_the_bytes(&refused.error) {
            let source = refused.source.clone();
            self.passed_over.add(source, self.key.kind, error);
        }
    }
}

/// Whether another upstream may have better bytes.
fn is_fault_of_the_bytes(error: &DepotError) -> bool {
    matches!(error, DepotError::Mismatch(_) | DepotError::Upstream(_))
}

/// Whether somebody may be trying to get something past this server.
fn is_security_event(error: &DepotError) -> bool {
    match error {
        DepotError::Mismatch(_) => true,
        DepotError::Unverified { error, .. } => error.is_misbehaviour(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use store::Store;

    use super::*;
    use crate::Party;
    use crate::Settings;

    /// A depot that can ask nobody: whatever it answers, it has.
    fn depot(folder: &std::path::Path) -> Depot {
        let chain = upstream::Chain::new(upstream::ChainOptions {
            list: goenv::goproxy::ProxyList::parse("off").unwrap(),
            http_proxies: goenv::http_proxy::HttpProxyRules::from_environment(
                &goenv::Environment::from_pairs([("", ""); 0]),
            ),
            netrc: goenv::netrc::Netrc::default(),
            names: upstream::NameServers::default(),
            limits: upstream::Limits::default(),
            first_is_authoritative: false,
            order: upstream::Order::Configured,
            probe_interval: std::time::Duration::from_secs(5),
            observer: Arc::new(Nobody),
        });
        Depot::new(
            Store::open(folder).unwrap(),
            chain.unwrap(),
            Settings::default(),
        )
    }

    struct Nobody;

    impl upstream::Observer for Nobody {
        fn exchange(&self, _: &str, _: upstream::Outcome, _: std::time::Duration) {}
    }

    #[tokio::test]
    async fn a_fetch_that_begins_just_after_another_was_done_asks_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let shared = depot(folder.path()).shared;
        let key = FileKey {
            module: gomod::ModulePath::new("example.com/m").unwrap(),
            version: gomod::Version::new("v1.0.0").unwrap(),
            kind: FileKind::Mod,
        };
        let begin = async || {
            let (fetching, wanted) = (shared.clone(), key.clone());
            let begun = shared
                .files
                .shared()
                .join(&key, Party::Own, move |landing| {
                    let passed_over = PassedOver::default();
                    fetch(fetching, wanted, Context::default(), passed_over, landing)
                });
            begun.await.unwrap()
        };
        let error = begin().await.unwrap_err();
        assert!(matches!(error, DepotError::FetchOff { .. }), "{error}");

        let absent = DepotError::Absent {
            gone: false,
            reason: "no such module".into(),
        };
        shared.learn_absence(&key.url_path(), &absent);
        assert!(begin().await.unwrap_err().is_absence());

        shared.store.publish_bytes(b"module m\n", &key).unwrap();
        let stored = begin().await.unwrap();
        assert!(matches!(stored, FileReply::Small(_, true)), "{stored:?}");
    }
}
