use sumdb::checkpoint::Checkpoint;
use sumdb::log::Heads;
use sumdb::note::{Note, Signature, Verifiers};

use crate::SumlogError;
use crate::witness::{CosignatureError, Witnesses};

/// Which of the two texts of a head a cosignature signs. One for the checkpoint does not verify on the text Go clients
/// read, and a verifier who knows the witness would refuse that note as forged; so each stays with its own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Go,
    Checkpoint,
}

impl Form {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Checkpoint => "checkpoint",
        }
    }

    pub(crate) fn from_word(word: &str) -> Self {
        if word == "go" {
            Self::Go
        } else {
            Self::Checkpoint
        }
    }
}

/// A cosignature that verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// The number of records of the head.
    pub size: u64,
    /// Name and hash of the key.
    pub key: String,
    pub(crate) form: Form,
    /// When the witness vouched for it, in seconds since the Unix epoch.
    pub time: u64,
    /// The signature line, without its newline.
    pub line: String,
}

/// Checks every line against the head it should be about, and returns the head with them and what is to be kept. All
/// lines must be good: one that is not is refused with the others, so that its sender learns of it.
pub(crate) fn cosign(
    heads: &Heads,
    lines: &str,
    witnesses: &Witnesses,
) -> Result<(Heads, Vec<Cosignature>), SumlogError> {
    let lines: Vec<&str> = lines.lines().filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return Err(CosignatureError::Empty.into());
    }
    let known = witnesses.verifiers()?;
    let size = heads.tree()?.size();
    let mut go = Note::parse(heads.go.as_bytes())?;
    let mut checkpoint = Note::parse(heads.checkpoint.as_bytes())?;
    let mut kept = Vec::new();
    for line in lines {
        let signature = Signature::parse(line)
            .map_err(|error| CosignatureError::Malformed(error.to_string()))?;
        let key = signature.key().to_string();
        if !witnesses.knows(signature.key()) {
            return Err(CosignatureError::UnknownWitness(key).into());
        }
        let (form, note, time) = if let Some(time) = verify(&checkpoint, &signature, &known)? {
            (Form::Checkpoint, &mut checkpoint, time)
        } else if let Some(time) = verify(&go, &signature, &known)? {
            (Form::Go, &mut go, time)
        } else {
            return Err(CosignatureError::NotThisHead { key, size }.into());
        };
        note.attach(signature)?;
        kept.push(Cosignature {
            size,
            key,
            form,
            time,
            line: line.to_owned(),
        });
    }
    let cosigned = Heads {
        go: go.to_string(),
        checkpoint: checkpoint.to_string(),
    };
    Ok((cosigned, kept))
}

/// The time of a cosignature of this text. `None` if it is of another text.
fn verify(
    note: &Note,
    signature: &Signature,
    known: &Verifiers,
) -> Result<Option<u64>, SumlogError> {
    Checkpoint::parse(note.text())?;
    let mut alone = Note::new(note.text())?;
    alone.attach(signature.clone())?;
    let verified = alone.verify(known).ok();
    Ok(verified.and_then(|note| {
        note.verified()
            .first()
            .and_then(sumdb::note::VerifiedSignature::time)
    }))
}
