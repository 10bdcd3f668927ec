//! Verifier keys of checksum databases: `name+hash+key` (sumdb/note `NewVerifier`).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

const ED25519: u8 = 1;
const ED25519_KEY_BYTES: usize = 32;

/// Go does not look at the unused bits behind the last byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Checks that `key` is a well-formed Ed25519 verifier key whose hash is right, and returns its
/// name.
pub(crate) fn verified_name(key: &str) -> Result<&str, Error> {
    let (name, rest) = key.split_once('+').unwrap_or((key, ""));
    let (hash, encoded) = rest.split_once('+').unwrap_or((rest, ""));

    let hash = parse_hash(hash).ok_or(Error::GosumdbMalformedKey)?;
    let public = BASE64
        .decode(encoded)
        .map_err(|_| Error::GosumdbMalformedKey)?;
    let (&algorithm, bytes) = public.split_first().ok_or(Error::GosumdbMalformedKey)?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(Error::GosumdbMalformedKey);
    }
    if hash != key_hash(name, &public) {
        return Err(Error::GosumdbKeyHash);
    }
    match algorithm {
        ED25519 if bytes.len() == ED25519_KEY_BYTES => Ok(name),
        ED25519 => Err(Error::GosumdbMalformedKey),
        _ => Err(Error::GosumdbKeyAlgorithm),
    }
}

fn parse_hash(text: &str) -> Option<u32> {
    let well_formed = text.len() == 8 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    u32::from_str_radix(text, 16).ok().filter(|_| well_formed)
}

/// The first four bytes of SHA-256 over name, line feed and public key.
fn key_hash(name: &str, public: &[u8]) -> u32 {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update("\n")
        .chain_update(public)
        .finalize();
    digest
        .iter()
        .take(4)
        .fold(0, |hash, &byte| hash << 8 | u32::from(byte))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key of the given name around the given public key bytes.
    pub(crate) fn key(name: &str, public: &[u8]) -> String {
        format!(
            "{name}+{:08x}+{}",
            key_hash(name, public),
            BASE64.encode(public)
        )
    }

    fn public() -> Vec<u8> {
        let mut public = vec![ED25519];
        public.extend([7; ED25519_KEY_BYTES]);
        public
    }

    #[test]
    fn a_whole_key_tells_its_name() {
        assert_eq!(
            verified_name(&key("sum.example.com/db", &public())).unwrap(),
            "sum.example.com/db"
        );
    }

    #[test]
    fn broken_keys_are_told_apart() {
        let good = key("sum.example.com", &public());
        let malformed = "invalid GOSUMDB: malformed verifier id";
        let mut short = public();
        short.pop();
        let mut other_algorithm = public();
        other_algorithm[0] = 9;
        let rows = [
            (String::new(), malformed),
            ("sum.example.com".to_owned(), malformed),
            ("sum.example.com+033de0ae".to_owned(), malformed),
            (
                good.replace("sum.example.com", "sum.example.org"),
                "invalid GOSUMDB: invalid verifier hash",
            ),
            (good.replacen("sum.example.com", "", 1), malformed),
            (format!("{good}="), malformed),
            (format!("{good}*"), malformed),
            (good.trim_end_matches('=').to_owned() + "A", malformed),
            (good.replacen('+', "+0", 1), malformed),
            (good.replacen('+', "++", 1), malformed),
            (key("n", &short), malformed),
            (
                key("n", &other_algorithm),
                "invalid GOSUMDB: unknown verifier algorithm",
            ),
            (key("n", b""), malformed),
        ];
        for (key, expected) in rows {
            assert_eq!(
                verified_name(&key).unwrap_err().to_string(),
                expected,
                "{key}"
            );
        }
    }
}
