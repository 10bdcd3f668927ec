//! Zips whose transfer breaks off: the rest is asked for, at the same or another upstream, and whoever reads along does
//! not notice.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fault::Label;
use futures_util::future::BoxFuture;
use futures_util::stream::unfold;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;

use crate::backoff::pause;
use crate::campaign::{Entrant, run};
use crate::chain::Inner;
use crate::health::{Health, Kind};
use crate::observe::{Event, Outcome};
use crate::part::Cut;
use crate::{BodyStream, Failure, Request, ZipReply};

/// How often in a row a transfer is taken up without any new byte having come.
const MOST_BARREN: u32 = 3;
/// When nothing has come for so long, the rest is asked for elsewhere, beside the transfer that stands still. Earlier if
/// the upstream usually takes far less, and as long as that is the exception.
const STALL: Duration = Duration::from_secs(2);
/// When less than this comes in a second of waiting, somebody else is asked for the rest, too.
const CRAWL: u64 = 8 << 10;
/// Of so long a time of waiting at least.
const LEAST_CRAWL: Duration = Duration::from_millis(500);
/// What came since then is kept to compare it, up to so many bytes. Who sends more no longer crawls.
const MOST_COMPARED: usize = 1 << 20;
/// How many bytes before the cut are asked for again. If they differ, it is another file.
const OVERLAP: usize = 16 << 10;

/// The rest of a body, and who sends it.
pub(crate) struct Rest {
    pub(crate) source: String,
    pub(crate) body: BodyStream,
}

/// What stands behind a transfer: who may have the rest, and what is known of them.
struct Behind {
    chain: Arc<Inner>,
    request: Request,
}

impl Behind {
    /// The way to the rest of the file; `None` when nobody has it.
    fn open(&self, cut: Cut) -> BoxFuture<'static, Option<Rest>> {
        let (chain, request) = (self.chain.clone(), self.request.clone());
        async move { take_up(&chain, &request, &cut).await }.boxed()
    }

    fn health(&self, source: &str) -> Option<&Health> {
        let upstream = (self.chain.upstreams.iter()).find(|upstream| upstream.source() == source);
        upstream.map(|upstream| &upstream.health)
    }

    fn blame(&self, failure: &Failure, began: Instant) {
        if let Some(health) = self.health(&failure.source) {
            health.blame(failure, began);
        }
    }

    /// How long nothing must come for an upstream to look as if nothing came any more.
    fn patience(&self, source: &str) -> Duration {
        let usual = self.health(source).and_then(Health::usual_patience);
        usual.map_or(STALL, |usual| usual.min(STALL))
    }

    fn may_hedge(&self, source: &str) -> bool {
        let health = self.health(source);
        health.is_some_and(|health| health.may_hedge(Instant::now()))
    }
}

/// Asks for the rest: those who began first, then the others; those who are too slow not at all.
async fn take_up(chain: &Inner, request: &Request, cut: &Cut) -> Option<Rest> {
    let mut entrants: Vec<Entrant<'_, Rest>> = chain
        .http_upstreams()
        .filter(|(upstream, _)| request.may_ask(upstream.source()))
        .filter(|(upstream, _)| cut.too_slow.as_deref() != Some(upstream.source()))
        .map(|(upstream, http)| Entrant {
            health: &upstream.health,
            is_authority: false,
            ask: Box::new(move || {
                async move {
                    let body = http.fetch_rest(request, cut).await?;
                    Ok(Rest {
                        source: http.source().to_owned(),
                        body,
                    })
                }
                .boxed()
            }),
        })
        .collect();
    entrants.sort_by_key(|entrant| entrant.health.source() != cut.begun_by);
    let rest = run(&entrants, chain.terms(Kind::Zip), |_| Outcome::Answered)
        .await
        .ok()?;
    if let Some(entrant) = entrants
        .iter()
        .find(|entrant| entrant.health.source() == rest.source)
    {
        entrant.health.count(Event::Resumed);
    }
    Some(rest)
}

/// Whether somebody else is asked for the rest because the transfer crawls. That is done once.
enum Overtaking {
    NotYet,
    /// What came since then is what the other will repeat.
    Asked(BoxFuture<'static, Option<Rest>>, BytesMut),
    Done,
}

/// One transfer, with what it takes to go on.
struct Transfer {
    body: BodyStream,
    source: String,
    began: Instant,
    /// Bytes handed on.
    offset: u64,
    /// The last of them.
    tail: BytesMut,
    /// Bytes that the body repeats, to see whether it is the same file.
    repeated: Bytes,
    len: Option<u64>,
    begun_by: String,
    etag: Option<String>,
    barren: u32,
    /// How long pieces were waited for, and how many bytes came in that time.
    window: (Duration, u64),
    overtaking: Overtaking,
    behind: Behind,
}

/// A zip that goes on when the transfer breaks off.
pub(crate) fn resumable(reply: ZipReply, chain: Arc<Inner>, request: Request) -> ZipReply {
    let transfer = Transfer {
        body: reply.body,
        source: reply.source.clone(),
        began: Instant::now(),
        offset: 0,
        tail: BytesMut::new(),
        repeated: Bytes::new(),
        len: reply.len,
        begun_by: reply.source.clone(),
        etag: reply.etag.clone(),
        barren: 0,
        window: (Duration::ZERO, 0),
        overtaking: Overtaking::NotYet,
        behind: Behind { chain, request },
    };
    let body = unfold(Some(transfer), |transfer| async move {
        let mut transfer = transfer?;
        match transfer.next().await? {
            Ok(piece) => Some((Ok(piece), Some(transfer))),
            Err(failure) => Some((Err(failure), None)),
        }
    });
    ZipReply {
        body: Box::pin(body),
        ..reply
    }
}

impl Transfer {
    async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        loop {
            let failure = match self.next_or_taken_up().await {
                Some(Ok(piece)) => match self.without_repetition(piece) {
                    Ok(piece) if piece.is_empty() => continue,
                    Ok(piece) => {
                        self.note(&piece);
                        return Some(Ok(piece));
                    }
                    // Not to be mended: what is handed on cannot be taken back.
                    Err(failure) => return Some(Err(failure)),
                },
                Some(Err(failure)) => failure,
                None => match self.len.filter(|len| *len > self.offset) {
                    Some(len) => self.failure(
                        Label::GoproxyTruncated,
                        &format!(
                            "unexpected EOF: {} of {len} bytes of the zip came",
                            self.offset
                        ),
                    ),
                    None => return None,
                },
            };
            self.behind.blame(&failure, self.began);
            if !self.take_up(&failure).await {
                return Some(Err(failure));
            }
        }
    }

    /// The next piece; if it is long in coming, of whoever is the first to have more.
    async fn next_or_taken_up(&mut self) -> Option<Result<Bytes, Failure>> {
        if let Some(piece) = self.next_in_time().await {
            return piece;
        }
        self.overtaking = Overtaking::Done;
        if self.barren >= MOST_BARREN {
            return self.body.next().await;
        }
        self.barren += 1;
        let elsewhere = self.behind.open(self.cut());
        tokio::select! {
            biased;
            piece = self.body.next() => return piece,
            Some(rest) = elsewhere => self.go_on_with(rest),
        }
        self.body.next().await
    }

    /// The next piece; `None` when the transfer stands still.
    async fn next_in_time(&mut self) -> Option<Option<Result<Bytes, Failure>>> {
        let asked = Instant::now();
        let patience = self.behind.patience(&self.source);
        for limit in [patience, STALL] {
            if let Ok(piece) =
                tokio::time::timeout_at(asked + limit, self.next_or_overtaken()).await
            {
                if let Some(Ok(bytes)) = &piece {
                    self.measure(asked.elapsed(), bytes.len() as u64, patience);
                }
                return Some(piece);
            }
            // A long pause may be nothing but a lost packet: early, somebody else is asked as often as requests are.
            if self.behind.may_hedge(&self.source) {
                break;
            }
        }
        None
    }

    /// The next piece; of somebody faster, when one is found who was asked.
    async fn next_or_overtaken(&mut self) -> Option<Result<Bytes, Failure>> {
        let Overtaking::Asked(other, _) = &mut self.overtaking else {
            return self.body.next().await;
        };
        let rest = tokio::select! {
            biased;
            piece = self.body.next() => return piece,
            rest = other => rest,
        };
        let asked = std::mem::replace(&mut self.overtaking, Overtaking::Done);
        if let (Some(rest), Overtaking::Asked(_, since)) = (rest, asked) {
            let detail = format!("less than {CRAWL} bytes a second");
            self.behind
                .blame(&self.failure(Label::GoproxySlow, &detail), self.began);
            tracing::info!(from = %rest.source, offset = self.offset, "a slow transfer is overtaken");
            self.go_on_with(rest);
            self.repeated = since.freeze();
        }
        self.body.next().await
    }

    /// Takes note of the speed, and asks somebody else when it is too low.
    fn measure(&mut self, waited: Duration, bytes: u64, patience: Duration) {
        let (time, sum) = (self.window.0 + waited, self.window.1 + bytes);
        if time < patience.max(LEAST_CRAWL) {
            self.window = (time, sum);
            return;
        }
        self.window = (Duration::ZERO, 0);
        let crawls = u128::from(sum) * 1000 < u128::from(CRAWL) * time.as_millis();
        if crawls && matches!(self.overtaking, Overtaking::NotYet) {
            let cut = Cut {
                too_slow: Some(self.source.clone()),
                ..self.cut()
            };
            self.overtaking = Overtaking::Asked(self.behind.open(cut), self.tail.clone());
        }
    }

    /// Whether the transfer goes on after a failure.
    async fn take_up(&mut self, failure: &Failure) -> bool {
        let is_hopeless = matches!(failure.label, Label::ModZipTooLarge)
            || self.len.is_some_and(|len| len <= self.offset);
        if is_hopeless || self.barren >= MOST_BARREN {
            return false;
        }
        if self.barren > 0 {
            tokio::time::sleep(pause(self.barren, fastrand::f64())).await;
        }
        self.barren += 1;
        self.overtaking = Overtaking::Done;
        match self.behind.open(self.cut()).await {
            Some(rest) => {
                tracing::info!(from = %rest.source, offset = self.offset, cause = %failure, "a transfer is taken up");
                self.go_on_with(rest);
                true
            }
            None => false,
        }
    }

    fn cut(&self) -> Cut {
        Cut {
            offset: self.offset - self.tail.len() as u64,
            len: self.len,
            begun_by: self.begun_by.clone(),
            etag: self.etag.clone(),
            too_slow: None,
        }
    }

    fn go_on_with(&mut self, rest: Rest) {
        self.body = rest.body;
        self.source = rest.source;
        self.began = Instant::now();
        self.repeated = self.tail.clone().freeze();
        self.window = (Duration::ZERO, 0);
    }

    /// What of a piece was not handed on yet.
    fn without_repetition(&mut self, mut piece: Bytes) -> Result<Bytes, Failure> {
        let len = piece.len().min(self.repeated.len());
        let again = piece.split_to(len);
        let before = self.repeated.split_to(len);
        if again == before {
            return Ok(piece);
        }
        let detail = format!("it has another file than {} began to send", self.begun_by);
        Err(self.failure(Label::GoproxyCorrupt, &detail))
    }

    fn note(&mut self, piece: &Bytes) {
        self.barren = 0;
        self.offset += piece.len() as u64;
        if let Overtaking::Asked(_, since) = &mut self.overtaking {
            since.extend_from_slice(piece);
            if since.len() > MOST_COMPARED {
                self.overtaking = Overtaking::Done;
            }
        }
        let fresh = piece.len().min(OVERLAP);
        let stale = (self.tail.len() + fresh).saturating_sub(OVERLAP);
        let _dropped = self.tail.split_to(stale.min(self.tail.len()));
        if let Some(end) = piece.get(piece.len() - fresh..) {
            self.tail.extend_from_slice(end);
        }
    }

    fn failure(&self, label: Label, detail: &str) -> Failure {
        Failure {
            source: self.source.clone(),
            label,
            detail: format!("{}: {detail}", self.source),
            retry_after: None,
        }
    }
}
