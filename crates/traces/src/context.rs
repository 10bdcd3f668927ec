use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

use crate::queue::Sender;
use crate::span::{Kind, Span, Value};

/// The flag of a trace that is recorded (W3C trace context, 3.2.2.5.1).
const SAMPLED: u8 = 1;

/// A place in a trace: what a request says of the one that it belongs to (W3C trace context, 3.2).
#[derive(Clone)]
pub struct Traceparent {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    pub(crate) flags: u8,
    /// Where spans below this place are told; `None`: nowhere.
    pub(crate) sender: Option<Sender>,
}

/// The header is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Traceparent {
    /// The beginning of a trace that nobody records.
    pub fn fresh() -> Self {
        Self {
            trace: u128::from(fastrand::u64(..)) << 64 | u128::from(fastrand::u64(1..)),
            span: fastrand::u64(1..),
            flags: 0,
            sender: None,
        }
    }

    /// A place below the one that a header names; without a header, or with a malformed one, the beginning of a trace.
    pub fn below(header: Option<&str>) -> Self {
        match header.and_then(|header| header.parse::<Self>().ok()) {
            Some(parent) => parent.next(),
            None => Self::fresh(),
        }
    }

    /// Whether the trace is recorded by those who take part in it.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Begins a span within this one. `None`: nobody wants to know.
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Option<OpenSpan> {
        let sender = self.sender.clone()?;
        Some(OpenSpan::begin(
            self.next(),
            Some(self.span),
            name.into(),
            Kind::Client,
            sender,
        ))
    }

    /// Another place in the same trace.
    pub(crate) fn next(&self) -> Self {
        Self {
            span: fastrand::u64(1..),
            ..self.clone()
        }
    }

    pub(crate) fn sampled(self, sampled: bool) -> Self {
        let flags = if sampled {
            self.flags | SAMPLED
        } else {
            self.flags & !SAMPLED
        };
        Self { flags, ..self }
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace, self.span, self.flags
        )
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traceparent({self})")
    }
}

impl FromStr for Traceparent {
    type Err = Malformed;

    fn from_str(header: &str) -> Result<Self, Malformed> {
        let mut fields = header.trim().split('-');
        let mut hex = |len: usize| {
            let field = fields.next().ok_or(Malformed)?;
            let is_hex = field.len() == len
                && field
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if !is_hex {
                return Err(Malformed);
            }
            u128::from_str_radix(field, 16).map_err(|_| Malformed)
        };
        let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        // Later versions may have more fields.
        if version == 0xff || trace == 0 || span == 0 || (version == 0 && fields.next().is_some()) {
            return Err(Malformed);
        }
        Ok(Self {
            trace,
            span: u64::try_from(span).map_err(|_| Malformed)?,
            // The others have no meaning yet, and are not passed on (3.2.2.5.2).
            flags: u8::try_from(flags).map_err(|_| Malformed)? & SAMPLED,
            sender: None,
        })
    }
}

/// A span that has not ended. It ends, and is told, when this is dropped.
pub struct OpenSpan {
    place: Traceparent,
    span: Option<Box<Span>>,
    clock: Instant,
    sender: Sender,
}

impl OpenSpan {
    pub(crate) fn begin(
        place: Traceparent,
        parent: Option<u64>,
        name: Cow<'static, str>,
        kind: Kind,
        sender: Sender,
    ) -> Self {
        let span = Span {
            trace: place.trace,
            id: place.span,
            parent,
            name,
            kind,
            began: SystemTime::now(),
            took: Duration::ZERO,
            attributes: Vec::new(),
            error: None,
        };
        Self {
            place,
            span: Some(Box::new(span)),
            clock: Instant::now(),
            sender,
        }
    }

    /// The place within this span.
    pub fn place(&self) -> &Traceparent {
        &self.place
    }

    /// Calls it by another name.
    pub fn rename(&mut self, name: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.span {
            span.name = name.into();
        }
    }

    /// Adds a particular, or replaces it.
    pub fn note(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.span {
            span.attributes.retain(|(known, _)| *known != name);
            span.attributes.push((name, value.into()));
        }
    }

    /// Says that it went wrong.
    pub fn fail(&mut self, why: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.span {
            span.error = Some(why.into());
        }
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.took = self.clock.elapsed();
            self.sender.tell(*span);
        }
    }
}

impl fmt::Debug for OpenSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenSpan").field(&self.place).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_trace_goes_on_and_the_parent_changes() {
        let parent: Traceparent = GIVEN.parse().unwrap();
        assert_eq!(parent.to_string(), GIVEN);
        let below = Traceparent::below(Some(GIVEN)).to_string();
        assert!(below.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert!(below.ends_with("-01") && below != GIVEN);
        assert!(parent.child("nobody listens").is_none());
    }

    #[test]
    fn a_malformed_trace_is_replaced() {
        for given in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(
                given.parse::<Traceparent>().err(),
                Some(Malformed),
                "{given}"
            );
        }
        let fresh = Traceparent::below(Some("nonsense"));
        assert!(!fresh.is_sampled());
        assert!(fresh.to_string().parse::<Traceparent>().is_ok());
    }

    #[test]
    fn a_later_version_may_say_more_and_flags_without_meaning_are_dropped() {
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-more";
        assert_eq!(later.parse::<Traceparent>().unwrap().to_string(), GIVEN);
    }
}
