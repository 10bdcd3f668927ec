//! Base 64 as Go's `encoding/base64.StdEncoding` reads and writes it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

/// Standard alphabet, padding required. Unused bits of the last character may be set, because Go's decoder allows it
/// and a note that Go accepts must not be refused here. Where the encoding itself matters (keys, record hashes) the
/// length leaves no unused bits, or the caller compares the text with its canonical form.
const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

pub(crate) fn encode(data: &[u8]) -> String {
    STANDARD.encode(data)
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_required_and_unused_bits_are_ignored() {
        assert_eq!(encode(b"\xff"), "/w==");
        assert_eq!(decode("/w=="), Some(vec![0xff]));
        assert_eq!(decode("/x=="), Some(vec![0xff]));
        for refused in ["/w", "/w=", "/w===", "_w==", "/w==\n", " /w=="] {
            assert_eq!(decode(refused), None, "{refused:?}");
        }
    }
}
