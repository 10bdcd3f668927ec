//! What one request went through, for those who look at it beside what their other programs did: spans, told to a
//! collector by the OpenTelemetry protocol.
//!
//! - [`Traceparent`] is a place in a trace, as it comes in and goes out in a header (W3C trace context);
//! - [`Tracer`] begins the span of a request, [`Traceparent::child`] one within it; an [`OpenSpan`] tells of itself when it ends;
//! - [`Exporter`] sends what was told in batches. Between the two is a queue of limited length: whoever tells never waits,
//!   and what finds no room is counted and lost.
//!
//! There are libraries for this, and none of them is used: of the OpenTelemetry SDK it would take the queue (which does not say
//! how much it has lost), the thread behind it (a second HTTP client, blocking) and a compiler of protocol buffers, for the
//! encoding of one message. OTLP has a JSON form, which every collector takes.

mod context;
mod export;
mod json;
mod queue;
mod span;
mod tracer;

pub use context::{Malformed, OpenSpan, Traceparent};
pub use export::{Collector, Exporter};
pub use queue::{Spans, Totals};
pub use span::{Kind, Span, Value};
pub use tracer::{Tracer, channel, instance_id};
