use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::name::{KeyId, KeyName};
use crate::base64;
use crate::error::Error;
use crate::hash::Hash;

const KEY_LENGTH: usize = 32;
const SIGNATURE_LENGTH: usize = 64;

/// What a key signs, told by the signature type byte of C2SP signed-note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Type 1: Ed25519 over the note text.
    Ed25519,
    /// Type 4: Ed25519 over a time and the text of a checkpoint (C2SP tlog-cosignature, `cosignature/v1`).
    Cosignature,
}

impl Algorithm {
    const fn type_byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
        }
    }

    fn from_type_byte(byte: u8) -> Result<Self, Error> {
        match byte {
            1 => Ok(Self::Ed25519),
            4 => Ok(Self::Cosignature),
            other => Err(Error::UnknownAlgorithm(other)),
        }
    }
}

/// A public key that verifies signatures of notes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    id: KeyId,
    algorithm: Algorithm,
    public: [u8; KEY_LENGTH],
}

impl VerifierKey {
    /// Reads the form `name+hash+base64(type‖public key)`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (id, algorithm, public) = parse_parts(text)?;
        let key = Self::new(id.name, algorithm, public);
        if key.id.hash != id.hash {
            return Err(Error::KeyHashMismatch);
        }
        Ok(key)
    }

    pub(super) fn new(name: KeyName, algorithm: Algorithm, public: [u8; KEY_LENGTH]) -> Self {
        let hash = key_hash(&name, algorithm, &public);
        let id = KeyId { name, hash };
        Self {
            id,
            algorithm,
            public,
        }
    }

    /// Name and hash, as signature lines mention the key.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// What the key signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn verify_ed25519(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.public);
        signature.len() == SIGNATURE_LENGTH && key.verify(message, signature).is_ok()
    }
}

/// The form [`VerifierKey::parse`] reads.
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}+{}",
            self.id,
            encode_material(self.algorithm, &self.public)
        )
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A private key of either algorithm. What it may sign is decided by its two owners, [`SignerKey`] and
/// [`CosignerKey`](super::CosignerKey).
pub(super) struct PrivateKey {
    verifier: VerifierKey,
    pair: Ed25519KeyPair,
}

const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";

impl PrivateKey {
    pub(super) fn generate(name: KeyName, algorithm: Algorithm) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::generate().map_err(|_| Error::Crypto("key generation"))?;
        Self::new(name, algorithm, pair)
    }

    pub(super) fn from_seed(
        name: KeyName,
        algorithm: Algorithm,
        seed: &[u8; KEY_LENGTH],
    ) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| Error::MalformedKey("unusable seed"))?;
        Self::new(name, algorithm, pair)
    }

    pub(super) fn parse(text: &str, expected: Algorithm) -> Result<Self, Error> {
        let parts = text
            .strip_prefix(PRIVATE_PREFIX)
            .ok_or(Error::MalformedKey("does not begin with PRIVATE+KEY+"))?;
        let (id, algorithm, seed) = parse_parts(parts)?;
        if algorithm != expected {
            return Err(Error::MalformedKey("key of another signature type"));
        }
        let key = Self::from_seed(id.name, algorithm, &seed)?;
        if key.verifier.id.hash != id.hash {
            return Err(Error::KeyHashMismatch);
        }
        Ok(key)
    }

    fn new(name: KeyName, algorithm: Algorithm, pair: Ed25519KeyPair) -> Result<Self, Error> {
        let public = pair.public_key().as_ref();
        let public = public
            .try_into()
            .map_err(|_| Error::Crypto("public key length"))?;
        let verifier = VerifierKey::new(name, algorithm, public);
        Ok(Self { verifier, pair })
    }

    pub(super) fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self
            .pair
            .try_sign(message)
            .map_err(|_| Error::Crypto("signing"))?;
        Ok(signature.as_ref().to_vec())
    }

    pub(super) fn reveal(&self) -> Result<String, Error> {
        let seed = self
            .pair
            .seed()
            .map_err(|_| Error::Crypto("reading the seed"))?;
        let seed = aws_lc_rs::encoding::AsBigEndian::as_be_bytes(&seed)
            .map_err(|_| Error::Crypto("reading the seed"))?;
        let material = encode_material(self.verifier.algorithm, seed.as_ref());
        Ok(format!("{PRIVATE_PREFIX}{}+{material}", self.verifier.id))
    }
}

/// A private key that signs notes (signature type 1). Its `Debug` form shows the public key only.
pub struct SignerKey(PrivateKey);

impl SignerKey {
    /// Makes a new key with this name from the system's entropy.
    pub fn generate(name: KeyName) -> Result<Self, Error> {
        PrivateKey::generate(name, Algorithm::Ed25519).map(Self)
    }

    /// The key that belongs to an Ed25519 seed.
    pub fn from_seed(name: KeyName, seed: &[u8; KEY_LENGTH]) -> Result<Self, Error> {
        PrivateKey::from_seed(name, Algorithm::Ed25519, seed).map(Self)
    }

    /// Reads the form `PRIVATE+KEY+name+hash+base64(type‖seed)`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        PrivateKey::parse(text, Algorithm::Ed25519).map(Self)
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        self.0.verifier()
    }

    /// The secret form that [`Self::parse`] reads. It must not reach logs or messages.
    pub fn reveal(&self) -> Result<String, Error> {
        self.0.reveal()
    }

    pub(super) fn sign(&self, text: &str) -> Result<Vec<u8>, Error> {
        self.0.sign(text.as_bytes())
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({})", self.verifier())
    }
}

fn key_hash(name: &KeyName, algorithm: Algorithm, public: &[u8]) -> u32 {
    let mut input = format!("{name}\n").into_bytes();
    input.push(algorithm.type_byte());
    input.extend_from_slice(public);
    let [a, b, c, d, ..] = *Hash::sha256(&input).as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

fn encode_material(algorithm: Algorithm, material: &[u8]) -> String {
    let mut bytes = vec![algorithm.type_byte()];
    bytes.extend_from_slice(material);
    base64::encode(&bytes)
}

/// Splits `name+hash+base64(type‖material)`. The hash is not checked: it is always that of the public key.
fn parse_parts(text: &str) -> Result<(KeyId, Algorithm, [u8; KEY_LENGTH]), Error> {
    let mut parts = text.splitn(3, '+');
    let mut part = || {
        parts
            .next()
            .ok_or(Error::MalformedKey("fewer than three parts"))
    };
    let (name, hash, material) = (part()?, part()?, part()?);

    let name = KeyName::parse(name).ok_or(Error::MalformedKey("unusable name"))?;
    if hash.len() != 8 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::MalformedKey("hash is not eight hexadecimal digits"));
    }
    let hash = u32::from_str_radix(hash, 16).map_err(|_| Error::MalformedKey("unusable hash"))?;

    let material = base64::decode(material).ok_or(Error::MalformedKey("key is not base 64"))?;
    let (&type_byte, key) = material
        .split_first()
        .ok_or(Error::MalformedKey("empty key"))?;
    let algorithm = Algorithm::from_type_byte(type_byte)?;
    let key = key
        .try_into()
        .map_err(|_| Error::MalformedKey("key is not 32 bytes long"))?;
    Ok((KeyId { name, hash }, algorithm, key))
}

#[cfg(test)]
impl VerifierKey {
    /// The key with the hash of another one, as if the two had collided.
    pub(super) fn colliding_with(mut self, other: &Self) -> Self {
        self.id.hash = other.id.hash;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> KeyName {
        KeyName::parse(text).expect("a name")
    }

    #[test]
    fn keys_read_back_from_their_text() {
        let key = SignerKey::generate(name("sum.example.com")).expect("entropy");
        let secret = key.reveal().expect("a seed");
        let again = SignerKey::parse(&secret).expect("a key");
        assert_eq!(again.verifier(), key.verifier());
        assert_eq!(again.reveal().expect("a seed"), secret);
        let public = key.verifier().to_string();
        assert_eq!(VerifierKey::parse(&public).expect("a key"), *key.verifier());
        assert!(public.starts_with("sum.example.com+"), "{public}");
        assert!(secret.starts_with("PRIVATE+KEY+sum.example.com+"));
    }

    #[test]
    fn two_generated_keys_differ() {
        let generate = || SignerKey::generate(name("a")).expect("entropy");
        assert_ne!(generate().verifier(), generate().verifier());
    }

    #[test]
    fn a_seed_has_the_public_key_of_rfc_8032() {
        // The seed and the public key of test 1 in RFC 8032, section 7.1.
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec,
            0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03,
            0x1c, 0xae, 0x7f, 0x60,
        ];
        let public = [
            0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64,
            0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68,
            0xf7, 0x07, 0x51, 0x1a,
        ];
        let key = SignerKey::from_seed(name("a"), &seed).expect("a key");
        assert_eq!(key.verifier().public, public);
    }

    #[test]
    fn no_debug_form_shows_a_secret() {
        let key = SignerKey::from_seed(name("a"), &[7; 32]).expect("a key");
        let secret = base64::encode(&[7; 32]);
        assert!(!format!("{key:?}").contains(secret.trim_end_matches('=')));
        assert!(format!("{key:?}").contains(&key.verifier().to_string()));
    }

    #[test]
    fn the_type_of_a_key_is_part_of_its_identity() {
        let key = |algorithm| VerifierKey::new(name("a"), algorithm, [7; 32]);
        let (notes, witness) = (key(Algorithm::Ed25519), key(Algorithm::Cosignature));
        assert_ne!(notes.id(), witness.id());
        let parsed = VerifierKey::parse(&witness.to_string()).expect("a key");
        assert_eq!(parsed.algorithm(), Algorithm::Cosignature);
    }

    #[test]
    fn every_altered_character_is_noticed() {
        let signer = SignerKey::from_seed(name("sum.example.com"), &[3; 32]).expect("a key");
        let (public, secret) = (
            signer.verifier().to_string(),
            signer.reveal().expect("a seed"),
        );
        for text in [&public, &secret] {
            for position in 0..text.len() {
                let mut altered = text.clone();
                altered.replace_range(position..=position, "!");
                assert!(VerifierKey::parse(&altered).is_err(), "{altered}");
                assert!(SignerKey::parse(&altered).is_err(), "{altered}");
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_reason() {
        let good = SignerKey::from_seed(name("a"), &[3; 32])
            .expect("a key")
            .verifier()
            .to_string();
        let (head, material) = good.rsplit_once('+').expect("parts");
        assert!(matches!(
            VerifierKey::parse("a"),
            Err(Error::MalformedKey(_))
        ));
        assert!(matches!(
            VerifierKey::parse(&format!("a+12345678+{material}")),
            Err(Error::KeyHashMismatch)
        ));
        assert!(matches!(
            VerifierKey::parse(&format!("{head}+AgAA")),
            Err(Error::UnknownAlgorithm(2))
        ));
        assert!(matches!(
            VerifierKey::parse(&format!("{head}+AQAA")),
            Err(Error::MalformedKey(_))
        ));
        assert!(matches!(
            SignerKey::parse(&good),
            Err(Error::MalformedKey(_))
        ));
    }

    #[test]
    fn names_have_no_space_and_no_plus() {
        for refused in [
            "", "a b", "a+b", "a\u{a0}b", "a\u{85}", "\u{3000}", "a\tb", "a\n",
        ] {
            assert_eq!(KeyName::parse(refused), None, "{refused:?}");
        }
        assert_eq!(name("sum.example.com/é").to_string(), "sum.example.com/é");
    }
}
