//! Signed notes: text with signature lines below it (C2SP signed-note; Go's `sumdb/note`).
//!
//! ```text
//! go.sum database tree
//! 4
//! /7Aw5jVSMM9sFjQhaMg+iiDYPMk6decH7QLOGrL9Lx0=
//!
//! — sum.example.com AAAMZ4p0U2imiESToQIu…
//! ```
//!
//! A [`Note`] is only well formed; nothing about it is true yet. [`Note::verify`] turns it into a [`VerifiedNote`], and
//! only that one gives its text to be believed.

use std::fmt;

mod cosignature;
mod key;
pub(crate) mod name;
#[cfg(test)]
mod tests;

pub use cosignature::CosignerKey;
pub use key::{Algorithm, SignerKey, VerifierKey};
pub use name::{KeyId, KeyName};

use crate::base64;
use crate::error::Error;
use crate::text;

/// The most signature lines a note may have (Go's limit), so that a hostile note cannot cost much work.
pub const MAX_SIGNATURES: usize = 100;

const SIGNATURE_PREFIX: &str = "— ";

/// A signature line, not verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    key: KeyId,
    bytes: Vec<u8>,
}

impl Signature {
    pub(crate) fn new(key: KeyId, bytes: Vec<u8>) -> Self {
        Self { key, bytes }
    }

    /// The key that is said to have made the signature.
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// The signature itself, without the hash of the key.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads one line of a note, without its newline.
    pub fn parse(line: &str) -> Result<Self, Error> {
        let line = line
            .strip_prefix(SIGNATURE_PREFIX)
            .ok_or(Error::MalformedNote("signature line without em dash"))?;
        let (name, encoded) = line
            .split_once(' ')
            .ok_or(Error::MalformedNote("signature line without signature"))?;
        let name = KeyName::parse(name).ok_or(Error::MalformedNote("unusable key name"))?;
        let decoded =
            base64::decode(encoded).ok_or(Error::MalformedNote("signature is not base 64"))?;
        match decoded.split_first_chunk() {
            Some((hash, bytes)) if !bytes.is_empty() => {
                let hash = u32::from_be_bytes(*hash);
                Ok(Self::new(KeyId { name, hash }, bytes.to_vec()))
            }
            _ => Err(Error::MalformedNote("signature too short")),
        }
    }
}

/// The line [`Signature::parse`] reads.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.key.hash.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.bytes);
        write!(
            f,
            "{SIGNATURE_PREFIX}{} {}",
            self.key.name,
            base64::encode(&bytes)
        )
    }
}

/// A well-formed note. Its text must not be believed before [`Note::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// A note without signatures. The text must end in a newline and have no other control character.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        if !text.ends_with('\n') || text::clean(text.as_bytes()).is_none() {
            return Err(Error::MalformedNote(
                "text without final newline or with a control character",
            ));
        }
        let signatures = Vec::new();
        Ok(Self { text, signatures })
    }

    /// Reads a note with at least one and at most [`MAX_SIGNATURES`] signature lines.
    pub fn parse(message: &[u8]) -> Result<Self, Error> {
        let message = text::clean(message).ok_or(Error::MalformedNote(
            "not UTF-8, or with a control character",
        ))?;
        let blank = message
            .rfind("\n\n")
            .ok_or(Error::MalformedNote("no blank line"))?;
        let (text, signatures) = message.split_at(blank + 1);
        let lines = signatures
            .strip_prefix('\n')
            .and_then(|lines| lines.strip_suffix('\n'))
            .ok_or(Error::MalformedNote("no signatures, or no final newline"))?;

        if lines.split('\n').count() > MAX_SIGNATURES {
            return Err(Error::MalformedNote("too many signatures"));
        }
        let signatures = lines
            .split('\n')
            .map(Signature::parse)
            .collect::<Result<_, _>>()?;
        let text = text.to_owned();
        Ok(Self { text, signatures })
    }

    /// The text, with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in their order, none of them verified.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Signs the text. A signature the same key made before is replaced; the new one is the last line.
    pub fn sign(&mut self, key: &SignerKey) -> Result<(), Error> {
        let bytes = key.sign(&self.text)?;
        self.attach(Signature::new(key.verifier().id().clone(), bytes))
    }

    /// Adds a signature made elsewhere, such as a cosignature. One of the same key is replaced.
    pub fn attach(&mut self, signature: Signature) -> Result<(), Error> {
        self.signatures.retain(|other| other.key != signature.key);
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(Error::MalformedNote("too many signatures"));
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// Checks the signatures of known keys. Of several signatures by one key the first counts. One bad signature of a
    /// known key makes the whole note invalid; signatures of unknown keys are kept apart and mean nothing; without a
    /// good signature of a known key the note is refused.
    pub fn verify(self, known: &Verifiers) -> Result<VerifiedNote, Error> {
        let mut verified: Vec<VerifiedSignature> = Vec::new();
        let mut unverified = Vec::new();
        for signature in self.signatures {
            let Some(key) = known.find(signature.key()) else {
                if !unverified.contains(&signature) {
                    unverified.push(signature);
                }
                continue;
            };
            if verified
                .iter()
                .any(|done| done.signature.key == signature.key)
            {
                continue;
            }
            let time = verify_signature(key, &self.text, &signature)?;
            verified.push(VerifiedSignature { signature, time });
        }
        if verified.is_empty() {
            return Err(Error::UnverifiedNote);
        }
        let text = self.text;
        Ok(VerifiedNote {
            text,
            verified,
            unverified,
        })
    }
}

fn verify_signature(
    key: &VerifierKey,
    text: &str,
    signature: &Signature,
) -> Result<Option<u64>, Error> {
    let verified = match key.algorithm() {
        Algorithm::Ed25519 => key
            .verify_ed25519(text.as_bytes(), signature.bytes())
            .then_some(None),
        Algorithm::Cosignature => cosignature::verify(key, text, signature.bytes()).map(Some),
    };
    verified.ok_or_else(|| Error::InvalidSignature(key.id().clone()))
}

/// The form [`Note::parse`] reads.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

/// A note at least one known key has signed and no known key disowns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedNote {
    text: String,
    verified: Vec<VerifiedSignature>,
    unverified: Vec<Signature>,
}

impl VerifiedNote {
    /// The text, with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The good signatures of known keys, one for each key, in their order.
    pub fn verified(&self) -> &[VerifiedSignature] {
        &self.verified
    }

    /// The signatures of unknown keys, without exact repetitions.
    pub fn unverified(&self) -> &[Signature] {
        &self.unverified
    }
}

/// A signature that a known key made over the text of its note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSignature {
    signature: Signature,
    time: Option<u64>,
}

impl VerifiedSignature {
    /// The signature line.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// When a witness cosigned, in seconds since 1970; `None` for signatures of type 1, which have no time.
    pub fn time(&self) -> Option<u64> {
        self.time
    }
}

/// The keys a reader of notes trusts.
#[derive(Clone, Debug, Default)]
pub struct Verifiers(Vec<VerifierKey>);

impl Verifiers {
    /// A set of keys. Two different keys with the same name and hash are refused, because a signature line could not
    /// tell them apart.
    pub fn new(keys: impl IntoIterator<Item = VerifierKey>) -> Result<Self, Error> {
        let mut set = Self::default();
        for key in keys {
            match set.find(key.id()) {
                None => set.0.push(key),
                Some(same) if *same == key => {}
                Some(_) => return Err(Error::AmbiguousKey(key.id().clone())),
            }
        }
        Ok(set)
    }

    fn find(&self, id: &KeyId) -> Option<&VerifierKey> {
        self.0.iter().find(|key| key.id() == id)
    }
}

impl From<VerifierKey> for Verifiers {
    fn from(key: VerifierKey) -> Self {
        Self(vec![key])
    }
}
