//! Percent escapes, which each part of a URL may use in its own way (net/url `unescape`, `escape`).

use std::fmt::Write as _;

use gomod::quote;

use crate::url_fault::UrlFault;

/// The part of a URL a text belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Userinfo,
    Host,
    Zone,
    Path,
    Fragment,
}

impl Part {
    /// True when `byte` stands for itself in this part.
    fn keeps(self, byte: u8) -> bool {
        let extra: &[u8] = match self {
            Self::Userinfo => b"$&+,;=",
            Self::Host | Self::Zone => b"!\"$&'()*+,:;<=>[]",
            Self::Path => b"$&+,/:;=@",
            Self::Fragment => b"!$&()*+,/:;=?@",
        };
        byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || extra.contains(&byte)
    }

    /// True when Go leaves `byte` as it was written although it would escape it itself.
    fn tolerates(self, byte: u8) -> bool {
        self.keeps(byte) || b"!$&'()*+,;=:@[]%".contains(&byte)
    }

    fn is_host(self) -> bool {
        matches!(self, Self::Host | Self::Zone)
    }
}

/// Decodes `text`, or says which escape or character cannot stand there.
pub(super) fn unescape(text: &[u8], part: Part) -> Result<Vec<u8>, UrlFault> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let value = escaped_byte(rest)
                .filter(|&value| may_be_escaped(value, part))
                .ok_or_else(|| UrlFault::Escape(quote(head(rest, 3))))?;
            decoded.push(value);
            rest = rest.get(3..).unwrap_or_default();
        } else {
            if part.is_host() && byte.is_ascii() && !part.keeps(byte) {
                return Err(UrlFault::HostCharacter(quote([byte])));
            }
            decoded.push(byte);
            rest = after;
        }
    }
    Ok(decoded)
}

/// In a host only bytes that are not ASCII may be escaped, and the percent sign itself, which
/// introduces an IPv6 zone (RFC 6874). In a zone it may also be what could stand there anyway, and
/// blank, for Windows.
fn may_be_escaped(value: u8, part: Part) -> bool {
    match part {
        Part::Host => !value.is_ascii() || value == b'%',
        Part::Zone => value == b'%' || value == b' ' || Part::Host.keeps(value),
        Part::Userinfo | Part::Path | Part::Fragment => true,
    }
}

fn escaped_byte(text: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(text.get(1..3)?).ok()?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

fn head(text: &[u8], length: usize) -> &[u8] {
    text.get(..length).unwrap_or(text)
}

/// Escapes what cannot stand for itself.
pub(super) fn escape(text: &[u8], part: Part) -> String {
    let mut escaped = String::with_capacity(text.len());
    for &byte in text {
        if part.keeps(byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The text as Go will write it again, and whether that needs the original spelling as a hint
/// (URL.RawPath).
pub(super) fn normalize(text: &str, part: Part) -> Result<(String, bool), UrlFault> {
    let decoded = unescape(text.as_bytes(), part)?;
    let standard = escape(&decoded, part);
    let needs_hint = standard != text;
    let as_written = needs_hint && text.bytes().all(|byte| part.tolerates(byte));
    Ok((
        if as_written {
            text.to_owned()
        } else {
            standard
        },
        needs_hint,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_own_characters() {
        assert_eq!(escape(b"a b@c/d:e", Part::Path), "a%20b@c/d:e");
        assert_eq!(escape(b"a b@c/d:e", Part::Userinfo), "a%20b%40c%2Fd%3Ae");
        assert_eq!(escape("ü".as_bytes(), Part::Host), "%C3%BC");
    }

    #[test]
    fn spelling_is_kept_where_go_keeps_it() {
        assert_eq!(
            normalize("/a!(b)", Part::Path).unwrap(),
            ("/a!(b)".to_owned(), true)
        );
        assert_eq!(
            normalize("/%2e", Part::Path).unwrap(),
            ("/%2e".to_owned(), true)
        );
        assert_eq!(
            normalize("/a\"%2e", Part::Path).unwrap(),
            ("/a%22.".to_owned(), true)
        );
        assert_eq!(
            normalize("/plain", Part::Path).unwrap(),
            ("/plain".to_owned(), false)
        );
    }

    #[test]
    fn escapes_in_hosts_are_restricted() {
        assert_eq!(unescape(b"%C3%BC", Part::Host).unwrap(), "ü".as_bytes());
        assert!(unescape(b"%20", Part::Host).is_err());
        assert_eq!(unescape(b"%25a%20b", Part::Zone).unwrap(), b"%a b");
        assert!(unescape(b"%2f", Part::Zone).is_err());
        assert_eq!(
            unescape(b"%+1", Part::Path),
            Err(UrlFault::Escape("\"%+1\"".to_owned()))
        );
    }
}
