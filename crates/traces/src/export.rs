use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::json::message;
use crate::queue::Spans;
use crate::span::Span;

/// OpenTelemetry's defaults for `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BSP_SCHEDULE_DELAY` and
/// `OTEL_EXPORTER_OTLP_TIMEOUT`.
const MOST_AT_ONCE: usize = 512;
const GATHER: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a batch is sent in all, and the first of the pauses between, each twice as long as the one before.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);
/// The longest wait that a collector asks for and gets.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The most that is read of an answer.
const LONGEST_ANSWER: u64 = 64 << 10;

/// Who is told of spans.
pub struct Collector {
    /// Where to send them, the whole of it.
    pub url: String,
    /// What to send along, credentials for one.
    pub headers: HeaderMap,
    /// What the spans are of: `service.name` and the like.
    pub resource: Vec<(String, String)>,
    /// Makes the HTTP client when there is something to send; reads the system's certificates.
    pub client: Box<dyn Fn() -> Result<reqwest::Client, String> + Send + Sync>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL and the headers may hold secrets.
        f.debug_struct("Collector")
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

/// Sends spans to a collector, from a task of its own.
#[derive(Debug)]
pub struct Exporter {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Exporter {
    /// Sends from now on. To be called within a runtime.
    pub fn start(spans: Spans, collector: Collector) -> Self {
        let (stop, stopped) = oneshot::channel();
        let sending = Sending {
            told: spans,
            collector,
            client: None,
            is_away: false,
            is_last: false,
            stopped,
        };
        Self {
            stop,
            task: tokio::spawn(sending.run()),
        }
    }

    /// Sends what is left, once, for so long.
    pub async fn close(self, limit: Duration) {
        let _gone = self.stop.send(());
        let mut task = self.task;
        if tokio::time::timeout(limit, &mut task).await.is_err() {
            task.abort();
        }
    }
}

struct Sending {
    told: Spans,
    collector: Collector,
    client: Option<reqwest::Client>,
    /// Whether the last batch was not taken: it is said once.
    is_away: bool,
    is_last: bool,
    stopped: oneshot::Receiver<()>,
}

/// Why a batch was not taken.
enum Refusal {
    /// Another try may succeed, after this long at the earliest.
    Later(String, Option<Duration>),
    Never(String),
}

impl Sending {
    async fn run(mut self) {
        loop {
            let batch = self.gather().await;
            if batch.is_empty() {
                return;
            }
            let count = batch.len() as u64;
            let body = message(&self.collector.resource, &batch);
            drop(batch);
            let rejected = self.deliver(body).await.unwrap_or(count).min(count);
            let totals = &self.told.totals;
            totals.dropped.fetch_add(rejected, Ordering::Relaxed);
            totals.sent.fetch_add(count - rejected, Ordering::Relaxed);
        }
    }

    /// The spans of some seconds; none at the end.
    async fn gather(&mut self) -> Vec<Span> {
        let mut batch = Vec::new();
        let mut until = None;
        while batch.len() < MOST_AT_ONCE {
            let room = MOST_AT_ONCE - batch.len();
            let deadline = until.unwrap_or_else(|| Instant::now() + Duration::from_hours(1));
            let count = tokio::select! {
                biased;
                _ = &mut self.stopped, if !self.is_last => {
                    self.is_last = true;
                    self.told.queue.close();
                    continue;
                }
                count = timeout_at(deadline, self.told.queue.recv_many(&mut batch, room)) => count,
            };
            match (count, until) {
                (Ok(0), _) | (Err(_), Some(_)) => break,
                (Ok(_), None) => until = Some(Instant::now() + GATHER),
                (Ok(_), Some(_)) | (Err(_), None) => {}
            }
        }
        batch
    }

    /// How many spans of the batch were rejected by a collector that has taken the others. `None`: all are lost.
    async fn deliver(&mut self, body: Vec<u8>) -> Option<u64> {
        let mut tries = 1;
        loop {
            let refusal = match self.send(body.clone()).await {
                Ok(rejected) => {
                    if std::mem::take(&mut self.is_away) {
                        tracing::info!("the collector takes spans again");
                    }
                    return Some(rejected);
                }
                Err(refusal) => refusal,
            };
            let (reason, pause) = match refusal {
                Refusal::Later(reason, pause) => (reason, Some(pause)),
                Refusal::Never(reason) => (reason, None),
            };
            if !std::mem::replace(&mut self.is_away, true) {
                tracing::warn!(reason, "spans are lost: the collector does not take them");
            }
            let pause = pause.filter(|_| tries < TRIES && !self.is_last)?;
            let usual = PAUSE * 2_u32.pow(tries - 1);
            let pause = pause.unwrap_or(usual).min(LONGEST_PAUSE);
            tries += 1;
            tokio::select! {
                _ = &mut self.stopped => {
                    self.is_last = true;
                    self.told.queue.close();
                }
                () = tokio::time::sleep(pause.mul_f64(0.8 + 0.4 * fastrand::f64())) => {}
            }
        }
    }

    async fn send(&mut self, body: Vec<u8>) -> Result<u64, Refusal> {
        let client = if let Some(client) = &self.client {
            client.clone()
        } else {
            let client = (self.collector.client)().map_err(Refusal::Never)?;
            self.client.insert(client).clone()
        };
        let failed = |error: reqwest::Error| {
            let error = error.without_url();
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            let reason = format!("{error}{}", cause.unwrap_or_default());
            if error.is_builder() {
                return Refusal::Never(reason);
            }
            Refusal::Later(reason, None)
        };
        let response = client
            .post(&self.collector.url)
            .timeout(PATIENCE)
            .headers(self.collector.headers.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await
            .map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            let is_short = response
                .content_length()
                .is_some_and(|len| len <= LONGEST_ANSWER);
            // The answer says something only when the collector did not take all.
            if !is_short {
                return Ok(0);
            }
            let answer = response.bytes().await.map_err(failed)?;
            return Ok(rejected(&answer));
        }
        let after = response.headers().get(RETRY_AFTER);
        let after = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let reason = format!("it answers {status}");
        // OTLP/HTTP, "retryable response codes".
        Err(match status.as_u16() {
            429 | 502 | 503 | 504 => Refusal::Later(reason, after.map(Duration::from_secs)),
            _ => Refusal::Never(reason),
        })
    }
}

/// Of an `ExportTraceServiceResponse` the number of spans that were not taken.
fn rejected(answer: &[u8]) -> u64 {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Response {
        partial_success: Option<Partial>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Partial {
        rejected_spans: Option<Number>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Text(String),
        Number(u64),
    }
    let response: Response = serde_json::from_slice(answer).unwrap_or_default();
    match response
        .partial_success
        .and_then(|partial| partial.rejected_spans)
    {
        Some(Number::Text(text)) => text.parse().unwrap_or(0),
        Some(Number::Number(number)) => number,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_says_how_many_it_has_not_taken() {
        for (answer, expected) in [
            ("", 0),
            ("{}", 0),
            (r#"{"partialSuccess":{}}"#, 0),
            (
                r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}}"#,
                3,
            ),
            (r#"{"partialSuccess":{"rejectedSpans":4}}"#, 4),
            (r#"{"partialSuccess":{"rejectedSpans":"-4"}}"#, 0),
            ("<html>", 0),
        ] {
            assert_eq!(rejected(answer.as_bytes()), expected, "{answer}");
        }
    }
}
