use std::fmt;

use super::Signature;
use super::key::{Algorithm, PrivateKey, VerifierKey};
use super::name::KeyName;
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::text::MAX_NUMBER;

/// A private key of a witness: it vouches, at a time, for the newest checkpoint it saw of a log (signature type 4 of
/// C2SP tlog-cosignature). It can sign nothing but checkpoints.
pub struct CosignerKey(PrivateKey);

impl CosignerKey {
    /// Makes a new key with this name from the system's entropy.
    pub fn generate(name: KeyName) -> Result<Self, Error> {
        PrivateKey::generate(name, Algorithm::Cosignature).map(Self)
    }

    /// The key that belongs to an Ed25519 seed.
    pub fn from_seed(name: KeyName, seed: &[u8; 32]) -> Result<Self, Error> {
        PrivateKey::from_seed(name, Algorithm::Cosignature, seed).map(Self)
    }

    /// Reads the form `PRIVATE+KEY+name+hash+base64(type‖seed)`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        PrivateKey::parse(text, Algorithm::Cosignature).map(Self)
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        self.0.verifier()
    }

    /// The secret form that [`Self::parse`] reads. It must not reach logs or messages.
    pub fn reveal(&self) -> Result<String, Error> {
        self.0.reveal()
    }

    /// Signs the text of a checkpoint as seen at `time`, in seconds since 1970. Text that is no checkpoint and times
    /// beyond 2⁶³−1 are refused.
    pub fn cosign(&self, text: &str, time: u64) -> Result<Signature, Error> {
        Checkpoint::parse(text)?;
        if time > MAX_NUMBER {
            return Err(Error::MalformedCosignature);
        }
        let signature = self.0.sign(&signed_message(text, time))?;
        let mut bytes = time.to_be_bytes().to_vec();
        bytes.extend_from_slice(&signature);
        Ok(Signature::new(self.verifier().id().clone(), bytes))
    }
}

impl fmt::Debug for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CosignerKey({})", self.verifier())
    }
}

/// The time of a cosignature that verifies for this text, `None` if it does not.
pub(super) fn verify(key: &VerifierKey, text: &str, signature: &[u8]) -> Option<u64> {
    let (time, signature) = signature.split_first_chunk()?;
    let time = u64::from_be_bytes(*time);
    let valid = time <= MAX_NUMBER && key.verify_ed25519(&signed_message(text, time), signature);
    valid.then_some(time)
}

fn signed_message(text: &str, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{Note, SignerKey, Verifiers};

    const TEXT: &str = "example.com/log\n5\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n";

    fn witness(seed: u8) -> CosignerKey {
        let name = KeyName::parse("witness.example.com").expect("a name");
        CosignerKey::from_seed(name, &[seed; 32]).expect("a seed")
    }

    fn known(key: &CosignerKey) -> Verifiers {
        key.verifier().clone().into()
    }

    #[test]
    fn a_cosigned_checkpoint_tells_the_time() {
        let (witness, stranger) = (witness(1), witness(2));
        let log =
            SignerKey::from_seed(KeyName::parse("example.com/log").expect("a name"), &[9; 32])
                .expect("a seed");
        let mut note = Note::new(TEXT).expect("text");
        note.sign(&log).expect("a signature");
        note.attach(witness.cosign(TEXT, 1_679_315_147).expect("a cosignature"))
            .expect("room");
        note.attach(stranger.cosign(TEXT, 5).expect("a cosignature"))
            .expect("room");

        let read = Note::parse(note.to_string().as_bytes()).expect("a note");
        let keys =
            Verifiers::new([log.verifier().clone(), witness.verifier().clone()]).expect("keys");
        let verified = read.verify(&keys).expect("good signatures");
        let times: Vec<_> = verified
            .verified()
            .iter()
            .map(super::super::VerifiedSignature::time)
            .collect();
        assert_eq!(times, [None, Some(1_679_315_147)]);
        assert_eq!(verified.unverified().len(), 1);
    }

    #[test]
    fn the_time_is_signed() {
        let witness = witness(1);
        let good = witness.cosign(TEXT, 100).expect("a cosignature");
        for position in 0..good.bytes().len() {
            let mut bytes = good.bytes().to_vec();
            bytes[position] ^= 1;
            let mut note = Note::new(TEXT).expect("text");
            note.attach(Signature::new(good.key().clone(), bytes))
                .expect("room");
            let outcome = note.verify(&known(&witness));
            assert!(
                matches!(outcome, Err(Error::InvalidSignature(_))),
                "byte {position}"
            );
        }
    }

    #[test]
    fn the_signed_message_is_that_of_the_specification() {
        let witness = witness(1);
        let message = format!("cosignature/v1\ntime 1679315147\n{TEXT}");
        let signature = witness.cosign(TEXT, 1_679_315_147).expect("a cosignature");
        let (time, raw) = signature.bytes().split_first_chunk::<8>().expect("a time");
        assert_eq!(*time, 1_679_315_147_u64.to_be_bytes());
        assert!(witness.verifier().verify_ed25519(message.as_bytes(), raw));
    }

    #[test]
    fn a_cosignature_is_no_signature_of_the_note_and_the_other_way_round() {
        let witness = witness(1);
        let name = KeyName::parse("witness.example.com").expect("a name");
        let signer = SignerKey::from_seed(name, &[1; 32]).expect("a seed");
        let mut signed = Note::new(TEXT).expect("text");
        signed.sign(&signer).expect("a signature");
        assert!(matches!(
            signed.clone().verify(&known(&witness)),
            Err(Error::UnverifiedNote)
        ));

        let raw = signed
            .signatures()
            .first()
            .expect("a signature")
            .bytes()
            .to_vec();
        let mut forged = Note::new(TEXT).expect("text");
        forged
            .attach(Signature::new(witness.verifier().id().clone(), raw))
            .expect("room");
        assert!(matches!(
            forged.verify(&known(&witness)),
            Err(Error::InvalidSignature(_))
        ));
    }

    #[test]
    fn only_checkpoints_are_cosigned_and_only_at_times_that_exist() {
        let witness = witness(1);
        assert!(matches!(
            witness.cosign("anything\n", 5),
            Err(Error::MalformedTreeHead)
        ));
        assert!(witness.cosign(TEXT, MAX_NUMBER).is_ok());
        assert!(matches!(
            witness.cosign(TEXT, MAX_NUMBER + 1),
            Err(Error::MalformedCosignature)
        ));
    }

    #[test]
    fn a_signed_time_that_does_not_exist_is_refused() {
        let witness = witness(1);
        let signed_at = |time: u64| {
            let signature = witness
                .0
                .sign(&signed_message(TEXT, time))
                .expect("a signature");
            let bytes = [&time.to_be_bytes()[..], &signature].concat();
            let mut note = Note::new(TEXT).expect("text");
            note.attach(Signature::new(witness.verifier().id().clone(), bytes))
                .expect("room");
            note.verify(&known(&witness))
        };
        assert!(signed_at(MAX_NUMBER).is_ok());
        assert!(matches!(
            signed_at(MAX_NUMBER + 1),
            Err(Error::InvalidSignature(_))
        ));
    }

    #[test]
    fn keys_of_witnesses_read_back() {
        let witness = CosignerKey::generate(KeyName::parse("w").expect("a name")).expect("entropy");
        let secret = witness.reveal().expect("a seed");
        assert_eq!(
            CosignerKey::parse(&secret).expect("a key").verifier(),
            witness.verifier()
        );
        assert!(SignerKey::parse(&secret).is_err());
        assert!(!format!("{witness:?}").contains("PRIVATE"));
    }
}
