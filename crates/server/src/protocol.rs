//! The GOPROXY protocol and the checksum database relay.

use std::time::{Duration, Instant};

use bytes::Bytes;
use depot::{Context, Depot, FetchMode, FileReply, Freshness, SmallFile};
use gomod::{ModulePath, Version};
use http::HeaderValue;
use jiff::Timestamp;
use store::{AnswerKey, FileKey, FileKind};

use crate::error::Refusal;
use crate::hot::{HotAnswer, HotAnswers, Moment, Stale};
use crate::metrics::{Endpoint, Served};
use crate::own_log::OwnLog;
use crate::respond::{
    self, Answer, Asked, FOR_EVER, Presentation, content_type, etag_header, number_header,
};
use crate::target::Target;
use crate::told::Told;
use crate::watch::Watch;

/// How long a stale answer is given again before a refresh is tried once more.
const REFRESH_PAUSE: Duration = Duration::from_secs(1);
/// The longest body kept among the hot answers.
const HOT_BODY: usize = 64 * 1024;

/// The endpoint a target belongs to.
pub(crate) fn endpoint_of(target: &Target) -> Endpoint {
    match target {
        Target::File(key) => match key.kind {
            FileKind::Info => Endpoint::Info,
            FileKind::Mod => Endpoint::Mod,
            FileKind::Zip => Endpoint::Zip,
        },
        Target::Answer(AnswerKey::List(_)) => Endpoint::List,
        Target::Answer(AnswerKey::Latest(_)) => Endpoint::Latest,
        Target::Answer(AnswerKey::Query(..)) => Endpoint::Query,
        Target::Answer(AnswerKey::Sumdb { .. }) | Target::Sumdb(_) => Endpoint::Sumdb,
        Target::Other => Endpoint::Operations,
    }
}

/// What is needed to answer, beside the request.
pub(crate) struct Responder<'a> {
    pub(crate) depot: &'a Depot,
    pub(crate) own_log: Option<&'a OwnLog>,
    pub(crate) hot: &'a HotAnswers,
    /// The request's path as it came, if the answer may be kept under it.
    pub(crate) hot_path: Option<&'a str>,
    /// When the request came.
    pub(crate) began: Moment,
    pub(crate) asked: Asked<'a>,
    pub(crate) mode: FetchMode,
    pub(crate) context: &'a Context,
    pub(crate) watch: Watch<'a>,
}

impl Responder<'_> {
    pub(crate) async fn file(&self, key: &FileKey) -> Result<Answer, Refusal> {
        let endpoint = endpoint_of(&Target::File(key.clone()));
        let media_type = content_type(endpoint, "");
        let how = |etag: Option<HeaderValue>, served| Presentation {
            etag,
            cache_control: FOR_EVER,
            served,
        };
        self.watch.asked(key);
        let reply = self.depot.file(key, self.mode, self.context).await?;
        self.watch.given(key, &reply);
        if let Some(log) = self.own_log.filter(|_| key.kind == FileKind::Zip) {
            log.note(key);
        }
        match reply {
            FileReply::Small(SmallFile { body, etag }, from_store) => {
                let etag = etag_header(&etag);
                if let Some(etag) = etag.clone().filter(|_| from_store) {
                    self.keep_hot(HotAnswer {
                        told: Told::default(),
                        endpoint,
                        body: body.clone(),
                        etag,
                        content_type: media_type.clone(),
                        good_until: None,
                        stale: None,
                        file: Some(key.clone()),
                    });
                }
                let served = if from_store {
                    Served::Hit
                } else {
                    Served::Miss
                };
                Ok(respond::bytes(
                    self.asked,
                    &body,
                    media_type,
                    how(etag, served),
                ))
            }
            FileReply::Stored(stored) => Ok(respond::stored(
                self.asked,
                &stored,
                media_type,
                how(etag_header(stored.etag()), Served::Hit),
            )),
            FileReply::Growing(growing) => match growing.failure() {
                Some(error) => Err(error.into()),
                None => Ok(respond::growing(
                    self.asked,
                    growing,
                    media_type,
                    how(None, Served::Miss),
                )),
            },
        }
    }

    pub(crate) async fn answer(&self, key: &AnswerKey) -> Result<Answer, Refusal> {
        let endpoint = endpoint_of(&Target::Answer(key.clone()));
        let media_type = content_type(endpoint, "");
        let reply = self.depot.answer(key, self.mode, self.context).await?;
        let etag = etag_of(&reply.body);
        let (good_for, stale) = match reply.freshness {
            Freshness::Fresh { for_seconds } => (Duration::from_secs(for_seconds), None),
            Freshness::Stale { confirmed, because } => {
                let good_for = because.as_ref().map_or(Duration::ZERO, |_| REFRESH_PAUSE);
                let reason = because.map_or("refreshing".into(), |error| error.to_string().into());
                (good_for, Some(Stale { confirmed, reason }))
            }
        };
        let hot = HotAnswer {
            told: Told::default(),
            endpoint,
            body: reply.body,
            etag,
            content_type: media_type,
            good_until: Instant::now().checked_add(good_for),
            stale,
            file: None,
        };
        let served = if reply.fetched {
            Served::Miss
        } else {
            Served::Hit
        };
        let answer = respond_hot(self.asked, &hot, served);
        if !good_for.is_zero() {
            self.keep_hot(hot);
        }
        Ok(answer)
    }

    /// `path` is what follows `/sumdb/`.
    pub(crate) async fn sumdb(&self, path: &str) -> Result<Answer, Refusal> {
        if let Some((log, rest)) = self.own_log.and_then(|log| log.route(path)) {
            return log.answer(rest, self.mode, self.asked).await;
        }
        let Some((route, rest)) = self.depot.sumdb_route(path) else {
            return Err(Refusal::not_found(format!(
                "{path}: this server relays no checksum database of that name; see its sumdb setting"
            )));
        };
        let media_type = content_type(Endpoint::Sumdb, path);
        let how = |seconds: u64, served| Presentation {
            etag: None,
            cache_control: number_header("public, max-age=", seconds),
            served,
        };
        match rest.as_str() {
            // Answered here, whatever upstreams say: clients that are told "no" go to the database themselves.
            "supported" => {
                if route.through_upstreams && self.leads_back(&route.name).await {
                    return Err(Refusal::circle(&self.context.via));
                }
                return Ok(respond::bytes(
                    self.asked,
                    &Bytes::new(),
                    media_type,
                    how(60, Served::Hit),
                ));
            }
            "latest" => {}
            // What cannot be a question is passed on to nobody: it might name something private.
            _ if rest.starts_with("lookup/") && !is_lookup(&rest) => {
                return Err(Refusal::bad_request(format!(
                    "{path}: a look-up is written lookup/<module>@<version>, escaped as in every path"
                )));
            }
            _ if rest.starts_with("lookup/") || rest.starts_with("tile/") => {}
            _ => {
                return Err(Refusal::not_found(format!(
                    "{path}: below a checksum database there are supported, latest, lookup/ and tile/"
                )));
            }
        }
        let reply = self
            .depot
            .sumdb(&route, &rest, self.mode, self.context)
            .await?;
        let seconds = if reply.immutable { 86_400 } else { 60 };
        let served = if reply.fetched {
            Served::Miss
        } else {
            Served::Hit
        };
        let mut answer = respond::bytes(self.asked, &reply.body, media_type, how(seconds, served));
        if let Some(error) = reply.stale {
            respond::mark_stale(&mut answer, age_of(reply.confirmed), &error.to_string());
        }
        Ok(answer)
    }

    /// Whether this server would ask for the database where the question comes from.
    async fn leads_back(&self, name: &str) -> bool {
        let via = &self.context.via;
        !via.is_empty() && self.depot.chain().sumdb_leads_back(name, via).await
    }

    fn keep_hot(&self, answer: HotAnswer) {
        if let Some(path) = self.hot_path.filter(|_| answer.body.len() <= HOT_BODY) {
            self.hot.put(path, answer, self.began);
        }
    }
}

/// A hot answer as a response, counted as `served` unless it is stale.
pub(crate) fn respond_hot(asked: Asked<'_>, hot: &HotAnswer, served: Served) -> Answer {
    let cache_control = match (hot.good_until, &hot.stale) {
        (None, _) => FOR_EVER,
        (Some(_), Some(_)) => HeaderValue::from_static("public, max-age=0"),
        (Some(until), None) => {
            let left = until.saturating_duration_since(Instant::now());
            // Rounded up: what is good for the rest of this second is good for that long.
            number_header(
                "public, max-age=",
                left.as_secs() + u64::from(left.subsec_nanos() > 0),
            )
        }
    };
    let how = Presentation {
        etag: Some(hot.etag.clone()),
        cache_control,
        served,
    };
    let mut answer = respond::bytes(asked, &hot.body, hot.content_type.clone(), how);
    if let Some(stale) = &hot.stale {
        respond::mark_stale(&mut answer, age_of(stale.confirmed), &stale.reason);
    }
    answer
}

/// Seconds since an answer was confirmed; nothing for one that never was.
fn age_of(confirmed: Timestamp) -> Option<u64> {
    let age = Timestamp::now().duration_since(confirmed).as_secs();
    (confirmed > Timestamp::UNIX_EPOCH).then(|| u64::try_from(age).unwrap_or_default())
}

/// Whether the path below a checksum database asks for a module's version.
fn is_lookup(path: &str) -> bool {
    let asked = path
        .strip_prefix("lookup/")
        .and_then(|asked| asked.rsplit_once('@'));
    asked.is_some_and(|(module, version)| {
        ModulePath::unescape(module).is_ok() && Version::unescape(version).is_ok()
    })
}

/// The tag of a changeable answer: its bytes decide.
fn etag_of(body: &[u8]) -> HeaderValue {
    let digest = store::Digest::of(body).to_string();
    HeaderValue::try_from(format!("\"{}\"", &digest[..32]))
        .unwrap_or(HeaderValue::from_static("\"\""))
}
