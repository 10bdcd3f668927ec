//! Answers that change with time: fresh from the store, refreshed in time, stale in need.

use std::sync::Arc;

use bytes::Bytes;
use gomod::ModulePath;
use jiff::Timestamp;
use store::{Answer, AnswerKey, AnswerMeta};
use upstream::{Expect, Request, Small, Validators};

use crate::flight::Landing;
use crate::origin::Wanted;
use crate::reply::{AnswerReply, Freshness, Refreshed};
use crate::shared::{Shared, describe};
use crate::{Context, Depot, DepotError, FetchMode};

impl Depot {
    /// A list, the latest version, or what a branch or commit stands for.
    pub async fn answer(
        &self,
        key: &AnswerKey,
        mode: FetchMode,
        context: &Context,
    ) -> Result<AnswerReply, DepotError> {
        let settings = self.shared.settings.load_full();
        if module_of(key).is_some_and(|module| settings.published.matches(module)) {
            return self.shared.published_answer(key).await;
        }
        let stored = self.shared.stored_answer(key).await?;
        if mode == FetchMode::CachedOnly {
            if let Some(module) = module_of(key) {
                let (shared, path) = (&self.shared, key.url_path());
                shared
                    .waits_for(&shared.answers, key, module, &path, &context.via)
                    .await?;
            }
            return stored
                .map(|answer| answer.into_reply(settings.ttl, None))
                .ok_or_else(|| DepotError::NotCached {
                    what: describe(key).into(),
                });
        }
        if let Some(answer) = stored
            .as_ref()
            .filter(|answer| seconds_left(answer, settings.ttl) > 0)
            .filter(|answer| !self.shared.is_outdated(key, answer.meta.confirmed))
        {
            return Ok(answer.clone().into_reply(settings.ttl, None));
        }
        if let Err(offline) = self.shared.check_online(&describe(key)) {
            return match stored {
                Some(answer) => Ok(answer.into_reply(settings.ttl, Some(offline))),
                None => Err(offline),
            };
        }
        let refreshed = match &stored {
            Some(answer)
                if was_ever_confirmed(answer)
                    && !self.shared.is_outdated(key, answer.meta.confirmed) =>
            {
                let refresh = self.refresh(key, context);
                match tokio::time::timeout(settings.stale_wait, refresh).await {
                    Ok(refreshed) => refreshed,
                    Err(_) => return Ok(answer.clone().into_reply(settings.ttl, None)),
                }
            }
            // What was put together here may lack most of what there is: it is for need alone.
            Some(_) | None => self.refresh(key, context).await,
        };
        match (refreshed, stored) {
            (Ok(refreshed), _) => Ok(AnswerReply {
                body: refreshed.body,
                freshness: Freshness::Fresh {
                    for_seconds: settings.ttl.as_secs(),
                },
                fetched: true,
            }),
            // A branch or commit that is gone has no answer any more. Versions that were listed stay.
            (Err(error), Some(_)) if error.is_absence() && matches!(key, AnswerKey::Query(..)) => {
                Err(error)
            }
            // An old answer that goes round would look like a new one.
            (Err(error), Some(_)) if error.is_circle() && !context.via.is_empty() => Err(error),
            (Err(error), Some(answer)) => Ok(answer.into_reply(settings.ttl, Some(error))),
            (Err(error), None) => Err(error),
        }
    }

    async fn refresh(&self, key: &AnswerKey, context: &Context) -> Result<Refreshed, DepotError> {
        if let Some(absence) = self.shared.known_absence(&key.url_path()) {
            return Err(absence);
        }
        let refreshed = self.join_refresh(key, context).await;
        match &refreshed {
            // It was under way when something was pushed: it may be from before.
            Ok(answer) if self.shared.is_outdated(key, answer.asked) => {
                self.join_refresh(key, context).await
            }
            _ => refreshed,
        }
    }

    async fn join_refresh(
        &self,
        key: &AnswerKey,
        context: &Context,
    ) -> Result<Refreshed, DepotError> {
        let (shared, path) = (&self.shared, key.url_path());
        let leads_back = async {
            match module_of(key) {
                Some(module) => shared.leads_back(module, &path, &context.via).await,
                None => false,
            }
        };
        let begin = |landing| fetch(shared.clone(), key.clone(), context.clone(), landing);
        shared.answers.join(key, context, leads_back, begin).await
    }
}

impl Shared {
    /// Whether something new was announced since an answer was asked for.
    fn is_outdated(&self, key: &AnswerKey, asked: Timestamp) -> bool {
        let announced = module_of(key).and_then(|module| self.pushes.last(module));
        announced.is_some_and(|announced| asked <= announced)
    }

    /// What is kept, else what can be told from the stored files.
    async fn stored_answer(
        self: &Arc<Self>,
        key: &AnswerKey,
    ) -> Result<Option<Answer>, DepotError> {
        let key = key.clone();
        self.on_disk(move |store| {
            if let Some(answer) = store.read_answer(&key) {
                return Ok(Some(answer));
            }
            let AnswerKey::List(module) = &key else {
                return Ok(None);
            };
            let versions = store.versions(module)?;
            Ok(list_of(&versions))
        })
        .await
    }
}

async fn fetch(
    shared: Arc<Shared>,
    key: AnswerKey,
    context: Context,
    mut landing: Landing<AnswerKey, Result<Refreshed, DepotError>>,
) {
    let path = key.url_path();
    // Whoever looked into the store just before an earlier fetch was done comes too late to join it.
    if let Some(absence) = shared.known_absence(&path) {
        return landing.give(Err(absence));
    }
    let stored = match shared.stored_answer(&key).await {
        Ok(stored) => stored,
        Err(error) => return landing.give(Err(error)),
    };
    let ttl = shared.settings.load().ttl;
    if let Some(answer) = stored
        .as_ref()
        .filter(|answer| seconds_left(answer, ttl) > 0)
        .filter(|answer| !shared.is_outdated(&key, answer.meta.confirmed))
    {
        return landing.give(Ok(Refreshed {
            body: Bytes::copy_from_slice(&answer.body),
            asked: answer.meta.confirmed,
        }));
    }
    let _turn = match landing.turn().await {
        Some(Ok(turn)) => turn,
        Some(Err(error)) => return landing.give(Err(error)),
        None => return,
    };
    // What is confirmed was true then; it may have changed while the answer was on its way.
    let asked_at = Timestamp::now();
    let request = Request {
        path,
        expect: if matches!(key, AnswerKey::List(_)) {
            Expect::List
        } else {
            Expect::Info(None)
        },
        revalidate: stored.as_ref().and_then(validators),
        without: Vec::new(),
        traceparent: context.traceparent,
        via: context.via,
    };
    let asked = shared.ask_small(Wanted::Answer(&key), &request).await;
    let answer = match (asked, stored) {
        (Ok(Small::Body(reply)), _) => Answer {
            meta: AnswerMeta {
                confirmed: asked_at,
                source: reply.source,
                etag: reply.validators.etag,
                last_modified: reply.validators.last_modified,
            },
            body: reply.body.to_vec(),
        },
        (Ok(Small::NotModified(_)), Some(mut answer)) => {
            answer.meta.confirmed = asked_at;
            answer
        }
        (Ok(Small::NotModified(_)), None) => return landing.give(Err(DepotError::Lost)),
        (Err(error), _) => {
            shared.learn_absence(&request.path, &error);
            return landing.give(Err(error));
        }
    };
    landing.give(Ok(Refreshed {
        body: Bytes::copy_from_slice(&answer.body),
        asked: asked_at,
    }));
    let store_key = key.clone();
    let written = shared
        .on_disk(move |store| store.write_answer(&store_key, &answer))
        .await;
    shared.note_write(&written);
    if let Err(error) = written {
        tracing::error!(answer = %describe(&key), %error, "served, but could not be stored");
    }
}

/// The module an answer is about; a checksum database is none.
fn module_of(key: &AnswerKey) -> Option<&ModulePath> {
    match key {
        AnswerKey::List(module) | AnswerKey::Latest(module) | AnswerKey::Query(module, _) => {
            Some(module)
        }
        AnswerKey::Sumdb { .. } => None,
    }
}

fn validators(answer: &Answer) -> Option<(String, Validators)> {
    let validators = Validators {
        etag: answer.meta.etag.clone(),
        last_modified: answer.meta.last_modified.clone(),
    };
    (validators != Validators::default()).then(|| (answer.meta.source.clone(), validators))
}

/// Whether an upstream gave an answer at some time.
fn was_ever_confirmed(answer: &Answer) -> bool {
    answer.meta.confirmed > Timestamp::UNIX_EPOCH
}

/// Seconds for which an answer still counts as fresh.
fn seconds_left(answer: &Answer, ttl: std::time::Duration) -> u64 {
    let age = Timestamp::now().duration_since(answer.meta.confirmed);
    // A confirmation from the future (the clock was set back) is not trusted to last.
    let Ok(age) = std::time::Duration::try_from(age) else {
        return 0;
    };
    ttl.checked_sub(age)
        .map_or(0, |left| left.as_secs().max(u64::from(!left.is_zero())))
}

trait IntoReply {
    fn into_reply(self, ttl: std::time::Duration, because: Option<DepotError>) -> AnswerReply;
}

impl IntoReply for Answer {
    fn into_reply(self, ttl: std::time::Duration, because: Option<DepotError>) -> AnswerReply {
        let left = seconds_left(&self, ttl);
        let freshness = if left > 0 && because.is_none() {
            Freshness::Fresh { for_seconds: left }
        } else {
            Freshness::Stale {
                confirmed: self.meta.confirmed,
                because,
            }
        };
        AnswerReply {
            body: self.body.into(),
            freshness,
            fetched: false,
        }
    }
}

/// The list of a module whose list was never fetched, or is lost: what is stored of it. Pseudo-versions are never
/// listed.
fn list_of(versions: &[gomod::Version]) -> Option<Answer> {
    let lines: Vec<&str> = versions
        .iter()
        .filter(|version| !version.is_pseudo())
        .map(gomod::Version::as_str)
        .collect();
    if lines.is_empty() {
        return None;
    }
    let meta = AnswerMeta {
        confirmed: Timestamp::UNIX_EPOCH,
        source: "the stored versions".to_owned(),
        etag: None,
        last_modified: None,
    };
    Some(Answer {
        meta,
        body: (lines.join("\n") + "\n").into_bytes(),
    })
}
