//! Witnesses: others who saw that the log has only grown, and say so (C2SP tlog-cosignature, tlog-witness).

use sumdb::note::{Algorithm, KeyId, VerifierKey, Verifiers};

/// Someone whose cosignatures are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    key: VerifierKey,
}

impl Witness {
    /// Reads a key of signature type 4, `name+hash+base64(04‖public key)`.
    pub fn parse(text: &str) -> Result<Self, WitnessError> {
        let refused = |reason: String| WitnessError {
            text: text.to_owned(),
            reason,
        };
        let key = VerifierKey::parse(text).map_err(|error| refused(error.to_string()))?;
        if key.algorithm() != Algorithm::Cosignature {
            return Err(refused(
                "it is a key that signs notes, not one of a witness (signature type 4)".to_owned(),
            ));
        }
        Ok(Self { key })
    }

    /// The witness's key.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }
}

/// All witnesses whose cosignatures are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witnesses(Vec<Witness>);

impl Witnesses {
    /// Reads keys separated by commas or blanks; none is fine.
    pub fn parse(text: &str) -> Result<Self, WitnessError> {
        let words = text
            .split([',', ' ', '\t', '\n'])
            .filter(|word| !word.is_empty());
        let witnesses = Self(words.map(Witness::parse).collect::<Result<_, _>>()?);
        witnesses.verifiers().map_err(|error| WitnessError {
            text: text.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(witnesses)
    }

    /// Each witness.
    pub fn iter(&self) -> impl Iterator<Item = &Witness> {
        self.0.iter()
    }

    pub(crate) fn verifiers(&self) -> Result<Verifiers, sumdb::Error> {
        Verifiers::new(self.0.iter().map(|witness| witness.key.clone()))
    }

    pub(crate) fn knows(&self, id: &KeyId) -> bool {
        self.0.iter().any(|witness| witness.key.id() == id)
    }
}

/// A text that is no key of a witness.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no witness's key: {reason}")]
pub struct WitnessError {
    text: String,
    reason: String,
}

/// Why a cosignature was not taken: always its sender's affair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureError {
    /// Nothing was sent.
    #[error("no signature line; send one or more lines that begin with an em dash")]
    Empty,
    /// A line is no signature line.
    #[error("malformed cosignature: {0}")]
    Malformed(String),
    /// The key is none of the witnesses'.
    #[error("{0} is no witness of this log")]
    UnknownWitness(String),
    /// The signature is not one of the published head.
    #[error("the signature of {key} is none of the head of {size} records; read /checkpoint again")]
    NotThisHead {
        /// Name and hash of the key.
        key: String,
        /// The number of records of the head.
        size: u64,
    },
}
