//! Names for requests: an id of our own.

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

#[cfg(test)]
mod tests {
    use super::*;

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
