//! Host and port of a URL (net/url `parseHost`).

use std::net::Ipv6Addr;

use gomod::quote;

use super::encoding::{Part, unescape};
use crate::url_fault::UrlFault;

/// Checks and decodes `host[:port]`.
pub(super) fn parse(scheme: &str, host: &str) -> Result<String, UrlFault> {
    match host.rfind('[') {
        Some(0) => return parse_literal(host),
        Some(_) => return Err(UrlFault::IpLiteral),
        None => {}
    }
    if let Some(port) = written_port(scheme, host)
        && !is_optional_port(port)
    {
        return Err(UrlFault::Port(quote(port)));
    }
    decode(host, Part::Host)
}

/// The port with its colon. Only for schemes other than HTTP the host may hold colons itself.
fn written_port<'a>(scheme: &str, host: &'a str) -> Option<&'a str> {
    let strict = scheme == "http" || scheme == "https";
    let colon = if strict {
        host.find(':')
    } else {
        host.rfind(':')
    };
    colon.and_then(|colon| host.get(colon..))
}

fn parse_literal(host: &str) -> Result<String, UrlFault> {
    let (address, port) = host.rsplit_once(']').ok_or(UrlFault::MissingBracket)?;
    let address = address.strip_prefix('[').unwrap_or(address);
    if !is_optional_port(port) {
        return Err(UrlFault::Port(quote(port)));
    }
    let address = match address.find("%25") {
        Some(zone) => {
            let (address, zone) = address.split_at(zone);
            decode(address, Part::Host)? + &decode(zone, Part::Zone)?
        }
        None => decode(address, Part::Host)?,
    };
    check_address(&address)?;
    Ok(format!("[{address}]{port}"))
}

fn check_address(address: &str) -> Result<(), UrlFault> {
    if address.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err(UrlFault::IpLiteral);
    }
    let (ip, zone) = address
        .split_once('%')
        .map_or((address, None), |(ip, zone)| (ip, Some(zone)));
    if ip.parse::<Ipv6Addr>().is_err() || zone == Some("") {
        return Err(UrlFault::IpAddress(quote(address)));
    }
    Ok(())
}

fn decode(text: &str, part: Part) -> Result<String, UrlFault> {
    String::from_utf8(unescape(text.as_bytes(), part)?).map_err(|_| UrlFault::HostEncoding)
}

fn is_optional_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Splits a checked host into name and port; brackets are taken off (net/url `splitHostPort`).
pub(super) fn split_port(host: &str) -> (&str, &str) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => (name, port),
        _ => (host, ""),
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    (bare.unwrap_or(name), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_port_are_split() {
        let rows = [
            ("h", ("h", "")),
            ("h:", ("h", "")),
            ("h:80", ("h", "80")),
            ("[::1]", ("::1", "")),
            ("[::1]:8080", ("::1", "8080")),
            ("a:b:1", ("a:b", "1")),
        ];
        for (host, expected) in rows {
            assert_eq!(split_port(host), expected, "{host}");
        }
    }

    #[test]
    fn colons_in_host_names_depend_on_the_scheme() {
        assert_eq!(
            parse("https", "a:1:2"),
            Err(UrlFault::Port("\":1:2\"".to_owned()))
        );
        assert_eq!(parse("db", "a:1,b:2"), Ok("a:1,b:2".to_owned()));
    }

    #[test]
    fn brackets_hold_ipv6_addresses_only() {
        assert_eq!(
            parse("https", "[::ffff:1.2.3.4]:1"),
            Ok("[::ffff:1.2.3.4]:1".to_owned())
        );
        assert_eq!(
            parse("https", "[fe80::1%25]"),
            Err(UrlFault::IpAddress("\"fe80::1%\"".to_owned()))
        );
        assert_eq!(
            parse("https", "[host]"),
            Err(UrlFault::IpAddress("\"host\"".to_owned()))
        );
    }
}
