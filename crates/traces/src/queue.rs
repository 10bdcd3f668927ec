use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::span::Span;

/// Spans that wait to be sent; OpenTelemetry's default for `OTEL_BSP_MAX_QUEUE_SIZE`.
pub(crate) const MOST_WAITING: usize = 2048;

/// What became of spans since the start.
#[derive(Debug, Default)]
pub struct Totals {
    /// A collector has taken them.
    pub sent: AtomicU64,
    /// They are lost: there were too many, or no collector took them.
    pub dropped: AtomicU64,
}

/// Where spans are told. Nobody waits here.
#[derive(Clone)]
pub(crate) struct Sender {
    queue: mpsc::Sender<Span>,
    pub(crate) totals: Arc<Totals>,
}

impl Sender {
    pub(crate) fn tell(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.totals.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Spans as they end, to be sent by an [`Exporter`](crate::Exporter).
#[derive(Debug)]
pub struct Spans {
    pub(crate) queue: mpsc::Receiver<Span>,
    pub(crate) totals: Arc<Totals>,
}

/// Both ends of a queue.
pub(crate) fn queue() -> (Sender, Spans) {
    let (sender, receiver) = mpsc::channel(MOST_WAITING);
    let totals = Arc::new(Totals::default());
    let sender = Sender {
        queue: sender,
        totals: totals.clone(),
    };
    let spans = Spans {
        queue: receiver,
        totals,
    };
    (sender, spans)
}
