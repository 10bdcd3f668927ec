//! Secrets that let somebody in: compared in a time that does not depend on where they differ.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goenv::netrc::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Who may tell this server something. What is `None` nobody may.
#[derive(Clone, Default)]
pub struct Access {
    /// What webhooks are signed with, or send along.
    pub hooks: Option<Secret>,
    /// The token of those who publish modules.
    pub publish: Option<Secret>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("hooks", &self.hooks.is_some())
            .field("publish", &self.publish.is_some())
            .finish()
    }
}

/// Whether two secrets are the same.
pub(crate) fn is_secret(given: &[u8], secret: &Secret) -> bool {
    // Of the same length, so that not even the length shows.
    let (given, secret) = (Sha256::digest(given), Sha256::digest(secret.expose()));
    given.as_slice().ct_eq(secret.as_slice()).into()
}

/// Whether `given`, in hexadecimal digits, is the HMAC-SHA256 of the parts put together.
pub(crate) fn is_signature(given: &str, secret: &Secret, parts: &[&[u8]]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
        return false;
    };
    for part in parts {
        mac.update(part);
    }
    hex(given).is_some_and(|given| mac.verify_slice(&given).is_ok())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .chunks(2)
        .map(|pair| {
            let value = digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?;
            u8::try_from(value).ok()
        })
        .collect()
}

/// The token of a request: `Bearer`, or the password of `Basic` (what `.netrc` and git have).
pub(crate) fn token(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let at = value.iter().position(|&byte| byte == b' ')?;
    let (scheme, rest) = (value.get(..at)?, value.get(at + 1..)?.trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let decoded = STANDARD.decode(rest).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    decoded.get(colon + 1..).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_counts_for_its_text_and_secret_only() {
        // RFC 4231, test case 2.
        let secret = Secret::new("Jefe");
        let good = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert!(is_signature(
            good,
            &secret,
            &[b"what do ya want ", b"for nothing?"]
        ));
        assert!(is_signature(
            &good.to_uppercase(),
            &secret,
            &[b"what do ya want for nothing?"]
        ));
        assert!(!is_signature(
            good,
            &secret,
            &[b"what do ya want for nothing"]
        ));
        assert!(!is_signature(
            good,
            &Secret::new("jefe"),
            &[b"what do ya want for nothing?"]
        ));
        for bad in ["", "5bdc", &good[1..], &format!("{}x", &good[1..])] {
            assert!(
                !is_signature(bad, &secret, &[b"what do ya want for nothing?"]),
                "{bad}"
            );
        }
    }

    #[test]
    fn tokens_come_as_bearer_or_as_a_password() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            token(&headers)
        };
        assert_eq!(of("Bearer abc").as_deref(), Some(&b"abc"[..]));
        assert_eq!(of("bearer  abc ").as_deref(), Some(&b"abc"[..]));
        assert_eq!(of("Basic eDphYmM=").as_deref(), Some(&b"abc"[..]));
        for nothing in ["abc", "Digest x", "Basic !", "Basic eA=="] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
        assert!(is_secret(b"abc", &Secret::new("abc")));
        assert!(!is_secret(b"abcd", &Secret::new("abc")) && !is_secret(b"", &Secret::new("abc")));
    }
}
