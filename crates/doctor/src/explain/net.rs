//! Network errors in the words of Go, libc, Windows and curl, read by their grammar.

/// How a network operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    NoSuchHost,
    Misbehaving,
    TemporaryName,
    Timeout,
    Refused,
    Reset,
    NoRoute,
    Unreachable,
    InvalidArgument,
    Denied,
    Eof,
    Unknown,
}

impl Failure {
    /// The failure that the last part of an error chain names.
    pub(crate) fn read(text: &str) -> Self {
        const WORDS: &[(&str, Failure)] = &[
            ("no such host", Failure::NoSuchHost),
            ("name or service not known", Failure::NoSuchHost),
            ("nodename nor servname provided", Failure::NoSuchHost),
            ("host not found", Failure::NoSuchHost),
            (
                "a non-recoverable error occurred during a database lookup",
                Failure::Misbehaving,
            ),
            ("no address associated with hostname", Failure::NoSuchHost),
            ("name does not resolve", Failure::NoSuchHost),
            (
                "no data of the requested type was found",
                Failure::NoSuchHost,
            ),
            ("server misbehaving", Failure::Misbehaving),
            (
                "non-recoverable failure in name resolution",
                Failure::Misbehaving,
            ),
            ("cannot unmarshal dns message", Failure::Misbehaving),
            ("dns message", Failure::Misbehaving),
            ("invalid dns response", Failure::Misbehaving),
            ("no answer from dns server", Failure::Timeout),
            (
                "temporary failure in name resolution",
                Failure::TemporaryName,
            ),
            (
                "temporary error during hostname resolution",
                Failure::TemporaryName,
            ),
            ("try again", Failure::TemporaryName),
            ("connection refused", Failure::Refused),
            ("actively refused", Failure::Refused),
            ("no route to host", Failure::NoRoute),
            ("host is unreachable", Failure::NoRoute),
            ("host is down", Failure::NoRoute),
            ("host unreachable", Failure::NoRoute),
            ("unreachable host", Failure::NoRoute),
            ("network is unreachable", Failure::Unreachable),
            ("unreachable network", Failure::Unreachable),
            ("network is down", Failure::Unreachable),
            ("cannot assign requested address", Failure::Unreachable),
            ("can't assign requested address", Failure::Unreachable),
            (
                "requested address is not valid in its context",
                Failure::Unreachable,
            ),
            ("no suitable address found", Failure::Unreachable),
            ("invalid argument", Failure::InvalidArgument),
            ("invalid zone", Failure::InvalidArgument),
            ("address family not supported", Failure::InvalidArgument),
            ("an invalid argument was supplied", Failure::InvalidArgument),
            ("connection reset", Failure::Reset),
            ("connection was reset", Failure::Reset),
            ("forcibly closed", Failure::Reset),
            ("connection was aborted", Failure::Reset),
            ("connection aborted", Failure::Reset),
            ("broken pipe", Failure::Reset),
            ("software caused connection abort", Failure::Reset),
            ("errno 10054", Failure::Reset),
            ("errno 104", Failure::Reset),
            ("i/o timeout", Failure::Timeout),
            ("connection timed out", Failure::Timeout),
            ("operation timed out", Failure::Timeout),
            ("connect timed out", Failure::Timeout),
            ("timed out", Failure::Timeout),
            ("did not properly respond", Failure::Timeout),
            ("context deadline exceeded", Failure::Timeout),
            ("deadline exceeded", Failure::Timeout),
            ("timeout", Failure::Timeout),
            ("permission denied", Failure::Denied),
            ("operation not permitted", Failure::Denied),
            ("forbidden by its access permissions", Failure::Denied),
            ("unexpected eof", Failure::Eof),
        ];
        if let Some((_, failure)) = WORDS.iter().find(|(word, _)| text.contains(word)) {
            return *failure;
        }
        if text.trim_end().ends_with(": eof") || text.trim() == "eof" {
            Self::Eof
        } else {
            Self::Unknown
        }
    }
}

/// A name look-up: `lookup HOST[ on RESOLVER]: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    pub(crate) host: String,
    pub(crate) resolver: Option<String>,
    pub(crate) failure: Failure,
    /// The look-up was for the HTTP proxy.
    pub(crate) of_proxy: bool,
}

impl Lookup {
    /// The look-ups in a line of lower-case text.
    pub(crate) fn find_all(text: &str) -> Vec<Self> {
        let mut found = Vec::new();
        for (at, _) in text.match_indices("lookup ") {
            let starts_word = at == 0
                || text
                    .as_bytes()
                    .get(at - 1)
                    .is_some_and(|b| !b.is_ascii_alphanumeric() && *b != b'/');
            let after_module = text[..at].ends_with("module ") || text[..at].ends_with("import ");
            if !starts_word || after_module {
                continue;
            }
            if let Some(lookup) = Self::parse(&text[..at], &text[at + "lookup ".len()..]) {
                found.push(lookup);
            }
        }
        found
    }

    fn parse(before: &str, rest: &str) -> Option<Self> {
        let end = rest.find([' ', '\t']).map_or(rest.len(), |space| {
            rest.find(": ").map_or(space, |colon| colon.min(space))
        });
        let (host, rest) = rest.split_at(end);
        let host = host.trim_end_matches([':', '.', ',']).trim_matches('"');
        let (resolver, error) = match rest.strip_prefix(" on ") {
            Some(rest) => {
                let (resolver, error) = rest.split_once(": ").unwrap_or((rest, ""));
                (Some(resolver.trim().to_owned()), error)
            }
            None => (
                None,
                rest.strip_prefix(": ").or_else(|| rest.strip_prefix(':'))?,
            ),
        };
        let of_proxy = before.contains("proxyconnect") || before.contains("socks connect");
        (!host.is_empty()).then(|| Self {
            host: host.to_owned(),
            resolver,
            failure: Failure::read(error),
            of_proxy,
        })
    }
}

/// A connection attempt or transfer: `dial tcp ADDRESS: …`, `read tcp A->B: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    pub(crate) address: String,
    pub(crate) failure: Failure,
    /// False once the connection stood.
    pub(crate) dialling: bool,
    /// The connection was to the HTTP proxy.
    pub(crate) of_proxy: bool,
}

impl Socket {
    /// The socket operations in a line of lower-case text; UDP ones belong to look-ups and are left out.
    pub(crate) fn find_all(text: &str) -> Vec<Self> {
        let mut found = Vec::new();
        for (word, dialling) in [
            ("dial tcp", true),
            ("read tcp", false),
            ("write tcp", false),
        ] {
            for (at, _) in text.match_indices(word) {
                let (before, rest) = (&text[..at], &text[at + word.len()..]);
                let rest = rest.strip_prefix(['4', '6']).unwrap_or(rest);
                if let Some(socket) = rest
                    .strip_prefix(' ')
                    .and_then(|rest| Self::parse(before, rest, dialling))
                {
                    found.push(socket);
                }
            }
        }
        found
    }

    fn parse(before: &str, rest: &str, dialling: bool) -> Option<Self> {
        let (addresses, error) = rest.split_once(": ").unwrap_or((rest, ""));
        let address = addresses.rsplit("->").next().unwrap_or(addresses).trim();
        let plausible = address.contains(':') && !address.contains(' ');
        let of_proxy = before.contains("proxyconnect") || before.contains("socks connect");
        plausible.then(|| Self {
            address: address.to_owned(),
            failure: Failure::read(error),
            dialling,
            of_proxy,
        })
    }

    /// Whether the address is IPv6 (and not loopback).
    pub(crate) fn is_ipv6(&self) -> bool {
        self.address.starts_with('[')
            && !self.address.starts_with("[::1]")
            && !self.address.starts_with("[::ffff:")
    }
}

/// A status in `reading URL: 404 Not Found` or `error: 403`, from the text behind the URL.
pub(crate) fn status_after(text: &str) -> Option<u16> {
    let text = text.trim_start_matches(['"', '\'', ')', '/', ':', ' ']);
    let text = text
        .strip_prefix("http status ")
        .or_else(|| text.strip_prefix("status code "))
        .unwrap_or(text);
    let text = text.strip_prefix("server response: ").unwrap_or(text);
    let digits = text.get(..3)?;
    let ends = text
        .as_bytes()
        .get(3)
        .is_none_or(|b| !b.is_ascii_alphanumeric());
    let status = digits
        .parse()
        .ok()
        .filter(|status| (300..600).contains(status))?;
    ends.then_some(status)
}

/// Reason phrases that stand alone when an HTTP proxy refuses CONNECT.
const PHRASES: &[(&str, u16)] = &[
    ("bad request", 400),
    ("unauthorized", 401),
    ("forbidden", 403),
    ("not found", 404),
    ("method not allowed", 405),
    ("authentication required", 407),
    ("authenticationrequired", 407),
    ("access denied", 403),
    ("blocked", 403),
    ("internal server error", 500),
    ("not implemented", 501),
    ("bad gateway", 502),
    ("service unavailable", 503),
    ("gateway timeout", 504),
    ("gateway time-out", 504),
];

/// The status of a bare reason phrase, which only an HTTP proxy's answer to CONNECT leaves behind.
pub(crate) fn bare_phrase(text: &str) -> Option<u16> {
    let text = text
        .trim_start_matches(['"', '\''])
        .strip_prefix(':')?
        .trim()
        // Old releases put the whole of it in parentheses.
        .trim_end_matches([')', '`', '\'']);
    let text = text.strip_prefix("proxyconnect tcp: ").unwrap_or(text);
    if text.starts_with("proxy authentication") {
        return Some(407);
    }
    PHRASES
        .iter()
        .find(|(phrase, _)| text == *phrase)
        .map(|(_, status)| *status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_are_read_with_their_resolver() {
        let found = Lookup::find_all(
            "dial tcp: lookup proxy.golang.org on [::1]:53: read udp [::1]:1->[::1]:53: connection refused",
        );
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].host.as_str(), found[0].resolver.as_deref()),
            ("proxy.golang.org", Some("[::1]:53"))
        );
        assert_eq!(found[0].failure, Failure::Refused);
        let found = Lookup::find_all("lookup proxy.golang.org: no such host");
        assert_eq!(
            (found[0].resolver.as_deref(), found[0].failure),
            (None, Failure::NoSuchHost)
        );
    }

    #[test]
    fn disabled_lookups_are_not_name_lookups() {
        assert!(Lookup::find_all("module lookup disabled by goproxy=off").is_empty());
        assert!(Lookup::find_all("https://sum.golang.org/lookup/a@v1: 404").is_empty());
        assert!(Lookup::find_all("import lookup disabled by -mod=vendor").is_empty());
    }

    #[test]
    fn sockets_are_read_with_their_address() {
        for (text, address, failure, dialling) in [
            (
                "dial tcp 1.2.3.4:443: i/o timeout",
                "1.2.3.4:443",
                Failure::Timeout,
                true,
            ),
            (
                "dial tcp [2404:6800::1]:443: connect: no route to host",
                "[2404:6800::1]:443",
                Failure::NoRoute,
                true,
            ),
            (
                "read tcp 10.0.0.2:5->1.2.3.4:443: read: connection reset by peer",
                "1.2.3.4:443",
                Failure::Reset,
                false,
            ),
            (
                "dial tcp4 1.2.3.4:443: connectex: no connection could be made because the target machine actively refused it.",
                "1.2.3.4:443",
                Failure::Refused,
                true,
            ),
        ] {
            let found = Socket::find_all(text);
            assert_eq!(
                (
                    found[0].address.as_str(),
                    found[0].failure,
                    found[0].dialling
                ),
                (address, failure, dialling),
                "{text}"
            );
        }
        assert!(Socket::find_all("dial tcp: lookup x: no such host").is_empty());
    }

    #[test]
    fn a_status_and_a_bare_phrase_are_told_apart() {
        assert_eq!(status_after(": 404 not found"), Some(404));
        assert_eq!(status_after(": forbidden"), None);
        assert_eq!(bare_phrase("\": forbidden"), Some(403));
        assert_eq!(
            bare_phrase("\": proxy authentication required ( the isa server …"),
            Some(407)
        );
        assert_eq!(bare_phrase(": 403 forbidden"), None);
    }
}
