//! The checksum database this server runs itself: its routes, and how versions get into it.

mod follow;
mod hashes;

use bytes::Bytes;
use depot::{Depot, FetchMode};
use http::HeaderValue;
use http_body_util::{BodyExt as _, Limited};
use store::FileKey;
use sumdb::log::{Lifetime, Resource};
use sumlog::{Log, LookupError, SumlogError};

use crate::error::Refusal;
use crate::metrics::Served;
use crate::respond::{self, Answer, Asked, Presentation, number_header};
use hashes::DepotHashes;
pub(crate) use hashes::HashError;

/// Where witnesses send their signature lines.
pub(crate) const COSIGNATURES: &str = "/api/v1/sumlog/cosignatures";
/// The most bytes of signature lines: a hundred of them, as many as a note may have.
const COSIGNATURE_BYTES: usize = 64 * 1024;

/// A log, and where the hashes come from that it is about.
#[derive(Clone, Debug)]
pub struct OwnLog {
    log: Log,
    hashes: DepotHashes,
    follower: follow::Follower,
}

impl OwnLog {
    /// Lets a log follow a depot: every version that is stored whole is added, those that the depot's first checksum
    /// database covers only as that database has them. Must be called within a tokio runtime.
    pub fn new(log: Log, depot: Depot) -> Self {
        let hashes = DepotHashes::new(depot.clone());
        let follower = follow::start(log.clone(), depot, hashes.of_stored());
        Self {
            log,
            hashes,
            follower,
        }
    }

    /// What was done since the log was opened.
    pub(crate) fn totals(&self) -> sumlog::LogTotals {
        self.log.totals()
    }

    /// What follows the log's name in `path`, which follows `/sumdb/`.
    pub(crate) fn route<'p>(&self, path: &'p str) -> Option<(&Self, &'p str)> {
        let rest = path.strip_prefix(self.log.name().as_str())?;
        rest.starts_with('/').then_some((self, rest))
    }

    /// A zip was asked for: its version belongs into the log.
    pub(crate) fn note(&self, zip: &FileKey) {
        self.follower.note(zip);
    }

    /// `path` begins with a slash.
    pub(crate) async fn answer(
        &self,
        path: &str,
        mode: FetchMode,
        asked: Asked<'_>,
    ) -> Result<Answer, Refusal> {
        if path == "/supported" {
            return Ok(bytes(asked, &Bytes::new(), TEXT, 60));
        }
        let resource = Resource::parse(path).map_err(SumlogError::from)?;
        let served = match resource {
            Resource::Lookup(module) if mode == FetchMode::Allowed => {
                match self.log.lookup(module, &self.hashes).await {
                    Ok(served) => served,
                    Err(LookupError::Source(error)) => return Err(error.into()),
                    Err(LookupError::Log(error)) => return Err(error.into()),
                }
            }
            resource => self.log.serve(resource).await?,
        };
        let seconds = match served.lifetime {
            Lifetime::Immutable | Lifetime::Long => 86_400,
            Lifetime::Short => 1,
        };
        Ok(bytes(
            asked,
            &served.body.into(),
            served.content_type,
            seconds,
        ))
    }
}

const TEXT: &str = "text/plain; charset=UTF-8";

fn bytes(asked: Asked<'_>, body: &Bytes, content_type: &'static str, seconds: u64) -> Answer {
    let how = Presentation {
        etag: None,
        cache_control: number_header("public, max-age=", seconds),
        served: Served::Hit,
    };
    respond::bytes(asked, body, HeaderValue::from_static(content_type), how)
}

/// Takes cosignatures of the published head: signature lines as C2SP tlog-witness returns them. They prove themselves,
/// so that whoever brings them needs no right to do so.
pub(crate) async fn cosign<B>(log: &OwnLog, asked: Asked<'_>, body: B) -> Result<Answer, Refusal>
where
    B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>>,
{
    let body = Limited::new(body, COSIGNATURE_BYTES).collect().await;
    let body = body.map_err(|error| Refusal::bad_request(format!("the body: {error}")))?;
    let lines = String::from_utf8(body.to_bytes().to_vec())
        .map_err(|_| Refusal::bad_request("the body is no text"))?;
    let taken = log.log.cosign(lines).await?;
    let mut answer = bytes(asked, &format!("{taken}\n").into(), TEXT, 0);
    answer.response.headers_mut().insert(
        http::header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    );
    Ok(answer)
}
