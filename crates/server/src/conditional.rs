//! `If-None-Match` and `If-Range` (RFC 9110, section 13). modkeep's entity tags are strong, and it sends no dates.

use http::HeaderMap;
use http::header::{IF_NONE_MATCH, IF_RANGE};

/// Whether the client already has what the tag names (weak comparison).
pub(crate) fn is_known_to_client(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value.trim() == "*"
                || value
                    .split(',')
                    .map(str::trim)
                    .any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
        })
}

/// Whether a `Range` header holds: there is no `If-Range`, or it names this very body (strong comparison).
pub(crate) fn range_holds(headers: &HeaderMap, etag: Option<&str>) -> bool {
    match headers.get(IF_RANGE) {
        None => true,
        Some(value) => value.to_str().is_ok_and(|value| Some(value.trim()) == etag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_in_any_of_the_lists_is_known() {
        for (value, known) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().unwrap())]);
            assert_eq!(is_known_to_client(&headers, "\"a\""), known, "{value}");
        }
        assert!(!is_known_to_client(&HeaderMap::new(), "\"a\""));
    }

    #[test]
    fn a_range_of_another_body_does_not_hold() {
        for (value, holds) in [
            ("\"a\"", true),
            ("W/\"a\"", false),
            ("\"b\"", false),
            ("Sat, 01 Jan 2022 00:00:00 GMT", false),
        ] {
            let headers = HeaderMap::from_iter([(IF_RANGE, value.parse().unwrap())]);
            assert_eq!(range_holds(&headers, Some("\"a\"")), holds, "{value}");
        }
        assert!(range_holds(&HeaderMap::new(), None));
    }
}
