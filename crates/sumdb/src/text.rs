//! The rules of text that notes, tree heads and records share.

/// The greatest number Go's databases count with: sizes and record numbers are `int64`.
pub(crate) const MAX_NUMBER: u64 = i64::MAX.cast_unsigned();

/// The bytes as text, if they are valid UTF-8 without control characters below U+0020 other than newline.
pub(crate) fn clean(data: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(data).ok()?;
    let is_control = |byte: u8| byte < 0x20 && byte != b'\n';
    (!text.bytes().any(is_control)).then_some(text)
}

/// A decimal number in its one canonical form: digits only, no leading zero, at most 2⁶³−1.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !canonical || !digits {
        return None;
    }
    text.parse().ok().filter(|&number| number <= MAX_NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_decimals_are_numbers() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("120"), Some(120));
        assert_eq!(decimal("9223372036854775807"), Some(MAX_NUMBER));
        let refused = [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "0x1",
            "1_0",
            "١",
            "9223372036854775808",
        ];
        for text in refused {
            assert_eq!(decimal(text), None, "{text:?}");
        }
    }

    #[test]
    fn text_is_utf8_without_control_characters() {
        assert_eq!(clean("é\nx\u{7f}".as_bytes()), Some("é\nx\u{7f}"));
        assert_eq!(clean(b"a\tb"), None);
        assert_eq!(clean(b"a\rb"), None);
        assert_eq!(clean(b"a\0b"), None);
        assert_eq!(clean(b"a\xffb"), None);
    }
}
