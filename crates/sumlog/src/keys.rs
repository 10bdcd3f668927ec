use std::fmt::Write as _;

use sumdb::log::LogKeys;
use sumdb::note::{KeyName, SignerKey, VerifierKey};
use zeroize::Zeroizing;

use crate::LogName;

/// The private keys of a log: the one it is known by, and those that are being replaced and go on signing until every
/// client has the new one. As text: one key a line, the current one first; lines that begin with `#` are for people.
pub struct KeyRing {
    current: SignerKey,
    former: Vec<SignerKey>,
}

/// Why a text is no key ring. It never repeats the text, which is a secret.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// There is no key in it.
    #[error("there is no key; make one with `modkeep key generate`")]
    Empty,
    /// A line is no private key.
    #[error("line {line} is no private key of a log: {source}")]
    Malformed {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        source: sumdb::Error,
    },
    /// The keys have different names.
    #[error("line {line} is a key of {other}; all keys must be of {name}")]
    OtherName {
        /// The number of the line, from 1.
        line: usize,
        /// The name of that key.
        other: String,
        /// The name of the first key.
        name: String,
    },
    /// Making or writing down a key failed.
    #[error(transparent)]
    Key(#[from] sumdb::Error),
    /// A log cannot have the name.
    #[error("{0}")]
    Name(String),
}

impl KeyRing {
    /// A new key from the system's entropy.
    pub fn generate(name: &LogName) -> Result<Self, KeyRingError> {
        let key_name =
            KeyName::parse(name.as_str()).ok_or_else(|| KeyRingError::Name(name.to_string()))?;
        Ok(Self {
            current: SignerKey::generate(key_name)?,
            former: Vec::new(),
        })
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<SignerKey> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let key = SignerKey::parse(text)
                .map_err(|source| KeyRingError::Malformed { line, source })?;
            if let Some(first) = keys.first()
                && first.verifier().id().name != key.verifier().id().name
            {
                return Err(KeyRingError::OtherName {
                    line,
                    other: key.verifier().id().name.to_string(),
                    name: first.verifier().id().name.to_string(),
                });
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(KeyRingError::Empty);
        }
        let current = keys.remove(0);
        LogName::parse(current.verifier().id().name.as_str()).map_err(KeyRingError::Name)?;
        Ok(Self {
            current,
            former: keys,
        })
    }

    /// A new key in front; the one that was current goes on signing. One that was former already ends.
    pub fn rotate(self) -> Result<Self, KeyRingError> {
        let current = SignerKey::generate(self.current.verifier().id().name.clone())?;
        Ok(Self {
            current,
            former: vec![self.current],
        })
    }

    /// The end of a transition: only the current key is left.
    #[must_use]
    pub fn finish(self) -> Self {
        Self {
            current: self.current,
            former: Vec::new(),
        }
    }

    /// The name of the log.
    pub fn name(&self) -> &str {
        self.current.verifier().id().name.as_str()
    }

    /// The key clients are to be configured with.
    pub fn verifier(&self) -> &VerifierKey {
        self.current.verifier()
    }

    /// The keys that clients may still be configured with.
    pub fn former(&self) -> impl Iterator<Item = &VerifierKey> {
        self.former.iter().map(SignerKey::verifier)
    }

    /// The secret text that [`Self::parse`] reads; wiped from memory when dropped.
    pub fn reveal(&self) -> Result<Zeroizing<String>, KeyRingError> {
        let mut text = Zeroizing::new(String::with_capacity(4096));
        for key in std::iter::once(&self.current).chain(&self.former) {
            let line = Zeroizing::new(key.reveal()?);
            let _infallible = writeln!(text, "{}", *line);
        }
        Ok(text)
    }

    /// What the log signs with.
    pub fn into_log_keys(self) -> LogKeys {
        self.former
            .into_iter()
            .fold(LogKeys::of_one(self.current), LogKeys::and_former)
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({})", self.verifier())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> KeyRing {
        KeyRing::generate(&LogName::parse("sum.example.com").unwrap()).unwrap()
    }

    #[test]
    fn a_ring_reads_back_after_every_rotation() {
        let first = ring();
        let old = first.verifier().clone();
        let rotated = first.rotate().unwrap();
        let text = rotated.reveal().unwrap();
        let again = KeyRing::parse(&format!("# a comment\n\n{}", *text)).unwrap();
        assert_eq!(again.verifier(), rotated.verifier());
        assert_eq!(again.former().collect::<Vec<_>>(), [&old]);
        assert_ne!(again.verifier(), &old);
        assert_eq!(again.finish().former().count(), 0);
    }

    #[test]
    fn what_is_no_ring_is_refused_without_being_repeated() {
        let secret = ring().reveal().unwrap();
        let torn = secret
            .trim_end()
            .strip_suffix('=')
            .unwrap_or(&secret[..secret.len() - 5])
            .to_owned()
            + "!";
        let error = KeyRing::parse(&torn).unwrap_err().to_string();
        assert!(
            error.starts_with("line 1 ") && !error.contains("PRIVATE"),
            "{error}"
        );
        assert!(matches!(
            KeyRing::parse("# only\n"),
            Err(KeyRingError::Empty)
        ));
        let other = KeyRing::generate(&LogName::parse("other.example.com").unwrap()).unwrap();
        let mixed = format!("{}{}", *secret, *other.reveal().unwrap());
        assert!(matches!(
            KeyRing::parse(&mixed),
            Err(KeyRingError::OtherName { line: 2, .. })
        ));
    }

    #[test]
    fn no_debug_form_shows_a_secret() {
        let ring = ring();
        let secret = ring.reveal().unwrap();
        // Base64 may have a plus, too.
        let material = secret.trim_end().splitn(5, '+').nth(4).unwrap();
        assert!(!format!("{ring:?}").contains(material));
    }
}
