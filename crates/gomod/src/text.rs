//! Text as Go sees it: runes decoded from bytes that need not be UTF-8, and Go's quoted strings.
//!
//! Error messages and go.mod files both carry text in Go's quoted form, so this module knows both
//! directions (`strconv.Quote`, `strconv.Unquote`).

use std::fmt::Write as _;

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// First character of `bytes` and its length in bytes. A byte that starts no valid sequence counts
/// as U+FFFD of length 1, as in Go's `utf8.DecodeRune`; empty input gives length 0.
pub(crate) fn decode_rune(bytes: &[u8]) -> (char, usize) {
    let Some(&first) = bytes.first() else {
        return (char::REPLACEMENT_CHARACTER, 0);
    };
    let len = match first {
        0..=0x7f => return (char::from(first), 1),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return (char::REPLACEMENT_CHARACTER, 1),
    };
    bytes
        .get(..len)
        .and_then(|sequence| std::str::from_utf8(sequence).ok())
        .and_then(|text| text.chars().next())
        .map_or((char::REPLACEMENT_CHARACTER, 1), |rune| (rune, len))
}

/// The runes of `bytes`, each with the bytes it came from.
pub(crate) fn runes(mut bytes: &[u8]) -> impl Iterator<Item = (char, &[u8])> {
    std::iter::from_fn(move || {
        let (rune, len) = decode_rune(bytes);
        let (head, tail) = bytes.split_at(len);
        bytes = tail;
        (len > 0).then_some((rune, head))
    })
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(crate) fn is_print(rune: char) -> bool {
    if rune.is_ascii() {
        return matches!(rune, ' '..='~');
    }
    matches!(
        rune.general_category_group(),
        GeneralCategoryGroup::Letter
            | GeneralCategoryGroup::Mark
            | GeneralCategoryGroup::Number
            | GeneralCategoryGroup::Punctuation
            | GeneralCategoryGroup::Symbol
    )
}

/// Go's `unicode.IsLetter`: general category L.
pub(crate) fn is_letter(rune: char) -> bool {
    rune.is_ascii_alphabetic()
        || (!rune.is_ascii() && rune.general_category_group() == GeneralCategoryGroup::Letter)
}

/// Go's `unicode.IsDigit`: general category Nd.
pub(crate) fn is_digit(rune: char) -> bool {
    rune.is_ascii_digit()
        || (!rune.is_ascii() && rune.general_category() == GeneralCategory::DecimalNumber)
}

/// `text` as a Go string literal in double quotes (Go's `%q`).
pub fn quote(text: impl AsRef<[u8]>) -> String {
    quote_with(text.as_ref(), '"')
}

/// `rune` as a Go character literal in single quotes (Go's `%q` of a rune).
pub fn quote_rune(rune: char) -> String {
    quote_with(rune.encode_utf8(&mut [0; 4]).as_bytes(), '\'')
}

fn quote_with(text: &[u8], quote: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for (rune, bytes) in runes(text) {
        match bytes {
            [byte] if !byte.is_ascii() => push_hex(&mut out, "\\x", u32::from(*byte), 2),
            _ => push_escaped(&mut out, rune, quote),
        }
    }
    out.push(quote);
    out
}

fn push_escaped(out: &mut String, rune: char, quote: char) {
    match rune {
        '\\' => out.push_str("\\\\"),
        _ if rune == quote => out.extend(['\\', rune]),
        _ if is_print(rune) => out.push(rune),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        '\0'..' ' | '\x7f' => push_hex(out, "\\x", u32::from(rune), 2),
        '\u{0}'..='\u{ffff}' => push_hex(out, "\\u", u32::from(rune), 4),
        _ => push_hex(out, "\\U", u32::from(rune), 8),
    }
}

fn push_hex(out: &mut String, prefix: &str, value: u32, width: usize) {
    out.push_str(prefix);
    // Writing into a String cannot fail.
    let _ = write!(out, "{value:0width$x}");
}

/// The value of a Go string literal in double quotes or backquotes, or `None` when it is not one
/// (Go's `strconv.Unquote`, without character literals).
pub(crate) fn unquote(literal: &[u8]) -> Option<Vec<u8>> {
    let (&first, rest) = literal.split_first()?;
    let (&last, body) = rest.split_last()?;
    if first != last {
        return None;
    }
    match first {
        b'`' if !body.contains(&b'`') => {
            Some(body.iter().copied().filter(|&b| b != b'\r').collect())
        }
        b'"' if !body.contains(&b'\n') => unquote_interpreted(body),
        _ => None,
    }
}

fn unquote_interpreted(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(body.len());
    while let Some((&byte, rest)) = body.split_first() {
        match byte {
            b'"' => return None,
            b'\\' => body = unescape_one(rest, &mut value)?,
            _ => {
                let (rune, len) = decode_rune(body);
                value.extend_from_slice(rune.encode_utf8(&mut [0; 4]).as_bytes());
                body = body.get(len..)?;
            }
        }
    }
    Some(value)
}

/// Appends what the escape sequence after a backslash stands for; returns what follows it.
fn unescape_one<'a>(sequence: &'a [u8], value: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (&kind, rest) = sequence.split_first()?;
    let byte = match kind {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' | b'"' => kind,
        b'x' => {
            let (code, rest) = number(rest, 2, 16)?;
            value.push(u8::try_from(code).ok()?);
            return Some(rest);
        }
        b'0'..=b'7' => {
            let (code, rest) = number(sequence, 3, 8)?;
            value.push(u8::try_from(code).ok()?);
            return Some(rest);
        }
        b'u' | b'U' => {
            let (code, rest) = number(rest, if kind == b'u' { 4 } else { 8 }, 16)?;
            let rune = char::from_u32(code)?;
            value.extend_from_slice(rune.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(rest);
        }
        _ => return None,
    };
    value.push(byte);
    Some(rest)
}

fn number(bytes: &[u8], digits: usize, radix: u32) -> Option<(u32, &[u8])> {
    let (head, rest) = bytes.split_at_checked(digits)?;
    let code = head.iter().try_fold(0_u32, |code, &digit| {
        code.checked_mul(radix)?
            .checked_add(char::from(digit).to_digit(radix)?)
    })?;
    Some((code, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_follows_go() {
        for (text, quoted) in [
            (&b"plain"[..], r#""plain""#),
            (b"say \"hi\" \\o/", r#""say \"hi\" \\o/""#),
            (
                b"\x07\x08\x0c\n\r\t\x0b\x00\x7f",
                r#""\a\b\f\n\r\t\v\x00\x7f""#,
            ),
            (
                "é☺\u{a0}\u{200b}\u{e0001}".as_bytes(),
                r#""é☺\u00a0\u200b\U000e0001""#,
            ),
            (b"a\xffb\xc3", r#""a\xffb\xc3""#),
            ("\u{fffd}".as_bytes(), "\"\u{fffd}\""),
        ] {
            assert_eq!(quote(text), quoted);
        }
        assert_eq!(quote_rune('\''), r"'\''");
        assert_eq!(quote_rune('"'), "'\"'");
        assert_eq!(quote_rune('\0'), r"'\x00'");
    }

    #[test]
    fn unquoting_follows_go() {
        let value = |literal: &str| unquote(literal.as_bytes()).map(bstr::BString::from);
        assert_eq!(value(r#""a\tb\"\\""#), Some("a\tb\"\\".into()));
        assert_eq!(
            value(r#""\x41\102\u00e9\U0001f600""#),
            Some("AB\u{e9}\u{1f600}".into())
        );
        assert_eq!(value(r#""\xff""#), Some(b"\xff"[..].into()));
        assert_eq!(value("`a\\n\r`"), Some("a\\n".into()));
        for bad in [
            "",
            "\"",
            "a",
            "\"a",
            "\"a\"b\"",
            "\"\n\"",
            r#""\q""#,
            r#""\'""#,
            r#""\x4""#,
            r#""\400""#,
            r#""\ud800""#,
            r#""\U00110000""#,
            "`a`b`",
            "'a'",
        ] {
            assert_eq!(value(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_invalid_byte_is_one_replacement_character() {
        let decoded: Vec<_> = runes(b"a\xe2\x82\xe2\x82\xac")
            .map(|(rune, bytes)| (rune, bytes.len()))
            .collect();
        assert_eq!(
            decoded,
            [('a', 1), ('\u{fffd}', 1), ('\u{fffd}', 1), ('\u{20ac}', 3)]
        );
    }
}
