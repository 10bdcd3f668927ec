//! Names for requests: an id of our own, and the trace that a request belongs to (W3C trace context).

use http::{HeaderMap, HeaderValue};

/// The name of the header that carries a request's id.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The names of one request.
#[derive(Clone, Debug)]
pub(crate) struct RequestId {
    id: HeaderValue,
}

impl RequestId {
    /// Takes the client's id if it is harmless, else makes one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get(REQUEST_ID)
            .filter(|value| is_harmless(value.as_bytes()))
            .cloned();
        Self {
            id: given.unwrap_or_else(fresh),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    pub(crate) fn into_header(self) -> HeaderValue {
        self.id
    }
}

/// Ids end up in logs: no control characters, no quotes, no essays.
fn is_harmless(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte))
}

fn fresh() -> HeaderValue {
    let mut text = [0; 16];
    write_hex(fastrand::u64(..), &mut text);
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

fn write_hex(mut number: u64, text: &mut [u8]) {
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

/// The `traceparent` to give to upstreams: a child of the one that came in, or the first of a new trace.
pub(crate) fn traceparent(headers: &HeaderMap) -> String {
    let given = headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok())
        .and_then(parse);
    let (trace_id, flags) = given.unwrap_or_else(|| {
        (
            format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(1..)),
            "00",
        )
    });
    format!("00-{trace_id}-{:016x}-{flags}", fastrand::u64(1..))
}

/// Trace id and flags of a `traceparent` header (W3C trace context, section 3.2).
fn parse(header: &str) -> Option<(String, &str)> {
    let mut fields = header.trim().split('-');
    let (version, trace, parent, flags) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let is_hex = |text: &str, len: usize| {
        text.len() == len
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let well_formed = is_hex(version, 2)
        && version != "ff"
        && (version != "00" || fields.next().is_none())
        && is_hex(trace, 32)
        && is_hex(parent, 16)
        && is_hex(flags, 2)
        && trace.bytes().any(|byte| byte != b'0')
        && parent.bytes().any(|byte| byte != b'0');
    well_formed.then(|| (trace.to_owned(), flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_goes_on_and_the_parent_changes() {
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers =
            HeaderMap::from_iter([("traceparent".parse().unwrap(), given.parse().unwrap())]);
        let passed_on = traceparent(&headers);
        assert!(passed_on.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert!(passed_on.ends_with("-01"));
        assert_ne!(passed_on, given);
        assert!(parse(&passed_on).is_some());
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
        ] {
            assert_eq!(parse(given), None, "{given}");
        }
        assert!(parse(&traceparent(&HeaderMap::new())).is_some());
    }

    #[test]
    fn a_client_may_name_its_request_but_not_write_into_the_log() {
        let named = |id: &str| {
            let headers =
                HeaderMap::from_iter([(REQUEST_ID.parse().unwrap(), id.parse().unwrap())]);
            RequestId::of(&headers).as_str().to_owned()
        };
        assert_eq!(named("build-42.7"), "build-42.7");
        assert_ne!(named("a b"), "a b");
        assert_ne!(named("\"}"), "\"}");
        assert_eq!(named(&"x".repeat(129)).len(), 16);
    }
}
