//! The way of a request through several instances of this program, so that none asks in a circle.

use std::fmt;
use std::sync::LazyLock;

use http::header::{HeaderMap, HeaderValue, VIA};

/// What the names of instances begin with.
const PREFIX: &str = "modkeep-";
/// A request that has passed through more instances than these is taken for one that goes in a circle.
const MOST: usize = 8;

/// The name of this instance, made anew by every process: it tells nothing but that it is the same.
static OWN: LazyLock<String> = LazyLock::new(|| format!("{PREFIX}{:016x}", fastrand::u64(..)));

/// The instances of this program that a request has passed through, first to last, as the header `Via` has them (RFC
/// 9110, 7.6.3). Other proxies are left out: their names are nobody's business further on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Via(Vec<String>);

impl Via {
    /// Reads the `Via` headers of a request.
    pub fn of(headers: &HeaderMap) -> Self {
        let names = headers
            .get_all(VIA)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|hop| hop.split_whitespace().nth(1))
            .filter(|name| is_instance(name));
        Self(names.take(MOST + 1).map(str::to_owned).collect())
    }

    /// Whether it comes from no other instance.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has passed through this instance before, or through so many that it must be going in a circle.
    pub fn is_circle(&self) -> bool {
        self.0.len() > MOST || self.0.contains(&*OWN)
    }

    /// What an answer carries to say that it comes from this instance.
    pub fn own() -> HeaderValue {
        HeaderValue::try_from(format!("1.1 {}", *OWN))
            .unwrap_or(HeaderValue::from_static("1.1 modkeep"))
    }

    /// The value to send on, with this instance at the end.
    pub(crate) fn with_this_instance(&self) -> String {
        let mut value = String::new();
        for name in self.0.iter().chain([&*OWN]) {
            if !value.is_empty() {
                value.push_str(", ");
            }
            value.push_str("1.1 ");
            value.push_str(name);
        }
        value
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

fn is_instance(name: &str) -> bool {
    let digits = name.strip_prefix(PREFIX);
    digits.is_some_and(|digits| {
        digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = "modkeep-0123456789abcdef";

    fn via(value: &str) -> Via {
        Via::of(&HeaderMap::from_iter([(VIA, value.parse().unwrap())]))
    }

    #[test]
    fn only_instances_are_read_and_sent_on() {
        let mut headers = HeaderMap::new();
        for value in [
            "1.1 vegur, 1.0 proxy.corp.example.com (squid)",
            "HTTP/1.1 modkeep-0123456789abcdef (edge), 1.1 modkeep-short,, 2",
        ] {
            headers.append(VIA, HeaderValue::from_static(value));
        }
        let read = Via::of(&headers);
        assert_eq!(read.to_string(), OTHER);
        assert!(!read.is_circle() && !read.is_empty());
        let sent = read.with_this_instance();
        assert_eq!(sent, format!("1.1 {OTHER}, 1.1 {}", *OWN));
        assert!(via(&sent).is_circle());
        assert!(!Via::default().is_circle() && Via::default().is_empty());
        assert_eq!(Via::default().with_this_instance(), format!("1.1 {}", *OWN));
    }

    #[test]
    fn a_way_without_end_is_a_circle() {
        let hops = |count| vec![format!("1.1 {OTHER}"); count].join(", ");
        assert!(!via(&hops(MOST)).is_circle());
        assert!(via(&hops(MOST + 1)).is_circle());
        assert!(via(&hops(10_000)).0.len() <= MOST + 1);
    }
}
