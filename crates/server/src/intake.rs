//! What programs tell this server: that something was pushed (webhooks), and new versions (publishing).

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use depot::{Depot, Published};
use futures_util::StreamExt as _;
use goenv::netrc::Secret;
use gomod::ModuleVersion;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::BodyDataStream;
use schemars::JsonSchema;
use serde::Serialize;
use store::{FileKey, FileKind};
use tokio::sync::Semaphore;

use crate::access::{self, Access};
use crate::body::Body;
use crate::error::Refusal;
use crate::hooks::{Hooks, Receipt};
use crate::metrics::Served;
use crate::own_log::OwnLog;
use crate::respond::Answer;

/// Zips that are taken at a time.
const AT_A_TIME: usize = 4;
/// How long a client may take for the next piece of a zip.
const PIECE_TIME: Duration = Duration::from_mins(1);

/// Everything that is told to this server goes through here.
#[derive(Debug)]
pub(crate) struct Intake {
    hooks: Hooks,
    receiving: Semaphore,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            hooks: Hooks::default(),
            receiving: Semaphore::new(AT_A_TIME),
        }
    }
}

/// What a publisher is told.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Accepted {
    module: String,
    version: String,
    /// The `h1:` hash of the zip.
    hash: String,
    /// False if it was there already, with the same files.
    new: bool,
}

impl Intake {
    /// Takes a webhook. `forget` is called when answers given so far count no more.
    pub(crate) async fn hook<B>(
        &self,
        depot: &Depot,
        access: &Access,
        parts: &Parts,
        body: B,
        forget: impl FnOnce(),
    ) -> Result<Answer, Refusal>
    where
        B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>>,
    {
        let path = parts.uri.path();
        let secret = access.hooks.as_ref();
        let delivery = self
            .hooks
            .receive(path, &parts.headers, secret, body)
            .await?;
        let mut receipt = Receipt {
            replayed: delivery.replayed,
            ..Receipt::default()
        };
        if !delivery.replayed {
            receipt.refreshed = depot.pushed(&delivery.push);
            forget();
        }
        tracing::info!(hook = path, refreshed = ?receipt.refreshed, replayed = receipt.replayed, "a repository has something new");
        json(StatusCode::OK, &receipt)
    }

    /// Takes the zip of a version.
    pub(crate) async fn publish<B>(
        &self,
        depot: &Depot,
        own_log: Option<&OwnLog>,
        token: &Secret,
        parts: &Parts,
        zip: &FileKey,
        body: B,
    ) -> Result<Answer, Refusal>
    where
        B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Send,
    {
        let given = access::token(&parts.headers);
        if !given.is_some_and(|given| access::is_secret(&given, token)) {
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized: publishing needs the token, as Authorization: Bearer, or as a password",
            ));
        }
        let version = ModuleVersion::new(zip.module.clone(), zip.version.clone())
            .map_err(Refusal::bad_request)?;
        let _turn = self.receiving.acquire().await;
        let mut pieces = pin!(BodyDataStream::new(body));
        let pieces = pin!(futures_util::stream::poll_fn(move |context| {
            pieces.as_mut().poll_next_unpin(context)
        }));
        let timed = futures_util::stream::unfold(pieces, async |mut pieces| {
            let piece = match tokio::time::timeout(PIECE_TIME, pieces.next()).await {
                Ok(piece) => piece?.map_err(|error| error.into().to_string()),
                Err(_) => Err(format!("nothing came for {PIECE_TIME:?}")),
            };
            Some((piece, pieces))
        });
        let published = depot.publish(&version, pin!(timed)).await?;
        if let Some(log) = own_log {
            log.note(zip);
        }
        let Published { hash, is_new } = published;
        tracing::info!(%version, %hash, is_new, "published");
        let accepted = Accepted {
            module: version.path().to_string(),
            version: version.version().to_string(),
            hash: hash.to_string(),
            new: is_new,
        };
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        json(status, &accepted)
    }
}

/// Whether a path is that of a zip, which is what can be published.
pub(crate) fn is_zip(key: &FileKey) -> bool {
    key.kind == FileKind::Zip
}

/// Says how to log in, where that is what is missing.
pub(crate) fn challenge(mut answer: Answer) -> Answer {
    if answer.response.status() == StatusCode::UNAUTHORIZED {
        answer.response.headers_mut().insert(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"modkeep\""),
        );
    }
    answer
}

fn json(status: StatusCode, document: &impl Serialize) -> Result<Answer, Refusal> {
    let mut text = serde_json::to_vec(document).map_err(|error| {
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("internal: {error}"),
        )
    })?;
    text.push(b'\n');
    let mut response = Response::new(Body::Full(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Answer {
        response,
        served: Served::Hit,
        reason: None,
    })
}
