use std::fmt;

use crate::context::{OpenSpan, Traceparent};
use crate::queue::{Sender, Spans, Totals, queue};
use crate::span::Kind;

/// Begins the spans of requests.
#[derive(Clone)]
pub struct Tracer {
    sender: Sender,
    /// Of a hundred traces that begin here, so many are recorded.
    percent: u8,
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer")
            .field("percent", &self.percent)
            .finish_non_exhaustive()
    }
}

/// Somebody who begins spans, and the spans as they end. Of a hundred traces that begin here `percent` are recorded; one
/// that began elsewhere is recorded if it says so.
pub fn channel(percent: u8) -> (Tracer, Spans) {
    let (sender, spans) = queue();
    (Tracer { sender, percent }, spans)
}

/// An id for this process: a UUID of version 4, as `service.instance.id` is to be.
pub fn instance_id() -> String {
    let (high, low) = (fastrand::u64(..), fastrand::u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

impl Tracer {
    /// Begins the span of a request that came with this `traceparent` header. `Err`: the place of a request that is not
    /// recorded.
    pub fn begin(&self, header: Option<&str>, name: &'static str) -> Result<OpenSpan, Traceparent> {
        let parent = header.and_then(|header| header.parse::<Traceparent>().ok());
        let sampled = match &parent {
            Some(parent) => parent.is_sampled(),
            None => fastrand::u8(..100) < self.percent,
        };
        let place = match &parent {
            Some(parent) => parent.next(),
            None => Traceparent::fresh().sampled(sampled),
        };
        if !sampled {
            return Err(place);
        }
        let place = Traceparent {
            sender: Some(self.sender.clone()),
            ..place
        };
        Ok(OpenSpan::begin(
            place,
            parent.map(|parent| parent.span),
            name.into(),
            Kind::Server,
            self.sender.clone(),
        ))
    }

    /// What became of spans since the start.
    pub fn totals(&self) -> &Totals {
        &self.sender.totals
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::queue::MOST_WAITING;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const NOT_SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    #[test]
    fn whoever_began_a_trace_decides_whether_it_is_recorded() {
        let (tracer, mut spans) = channel(100);
        let not_recorded = tracer.begin(Some(NOT_SAMPLED), "GET").unwrap_err();
        assert!(!not_recorded.is_sampled() && not_recorded.child("x").is_none());
        let (tracer_of_none, _spans) = channel(0);
        assert!(tracer_of_none.begin(None, "GET").is_err());
        assert!(tracer_of_none.begin(Some(SAMPLED), "GET").is_ok());

        let span = tracer.begin(Some(SAMPLED), "GET").unwrap();
        let mut child = span.place().child("attempt").unwrap();
        child.fail("tcp-refused");
        let passed_on = child.place().to_string();
        drop(child);
        drop(span);
        let child = spans.queue.try_recv().unwrap();
        let request = spans.queue.try_recv().unwrap();
        assert_eq!(request.parent, Some(0x00f0_67aa_0ba9_02b7));
        assert_eq!(
            (child.trace, child.parent),
            (request.trace, Some(request.id))
        );
        assert_eq!(child.error.as_deref(), Some("tcp-refused"));
        assert_eq!(
            passed_on,
            format!("00-{:032x}-{:016x}-01", child.trace, child.id)
        );
    }

    #[test]
    fn what_finds_no_room_is_counted_and_nobody_waits() {
        let (tracer, _spans) = channel(100);
        for _ in 0..MOST_WAITING + 7 {
            drop(tracer.begin(None, "GET"));
        }
        assert_eq!(tracer.totals().dropped.load(Ordering::Relaxed), 7);
    }
}
