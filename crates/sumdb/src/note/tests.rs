use super::*;

const TEXT: &str = "first line\n\nlast line\n";

fn signer(name: &str, seed: u8) -> SignerKey {
    SignerKey::from_seed(KeyName::parse(name).expect("a name"), &[seed; 32]).expect("a seed")
}

fn known(keys: &[&SignerKey]) -> Verifiers {
    Verifiers::new(keys.iter().map(|key| key.verifier().clone())).expect("keys")
}

fn signed_by(keys: &[&SignerKey]) -> Note {
    let mut note = Note::new(TEXT).expect("text");
    for key in keys {
        note.sign(key).expect("a signature");
    }
    note
}

#[test]
fn a_signed_note_reads_back() {
    let (a, b) = (signer("a", 1), signer("b", 2));
    let note = signed_by(&[&a, &b]);
    let read = Note::parse(note.to_string().as_bytes()).expect("a note");
    assert_eq!(read, note);
    assert_eq!(read.text(), TEXT);
    let names: Vec<&str> = read
        .signatures()
        .iter()
        .map(|line| line.key().name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn signing_again_replaces_and_comes_last() {
    let (a, b) = (signer("a", 1), signer("b", 2));
    let mut note = signed_by(&[&a, &b]);
    note.sign(&a).expect("a signature");
    let names: Vec<&str> = note
        .signatures()
        .iter()
        .map(|line| line.key().name.as_str())
        .collect();
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn unknown_keys_are_kept_apart_and_repetitions_dropped() {
    let (a, b) = (signer("a", 1), signer("b", 2));
    let message = signed_by(&[&a, &b]).to_string();
    let (_, lines) = message.rsplit_once("\n\n").expect("a blank line");
    let repeated = Note::parse(format!("{TEXT}\n{lines}{lines}").as_bytes()).expect("a note");
    let verified = repeated.verify(&known(&[&a])).expect("a good signature");
    assert_eq!(verified.text(), TEXT);
    assert_eq!(verified.verified().len(), 1);
    assert_eq!(
        verified.verified().first().map(VerifiedSignature::time),
        Some(None)
    );
    assert_eq!(verified.unverified().len(), 1);
}

#[test]
fn one_bad_signature_of_a_known_key_spoils_the_note() {
    let (a, b) = (signer("a", 1), signer("b", 2));
    let good = signed_by(&[&a, &b]);
    for spoiled in 0..2 {
        for length in [1, 63, 64, 65] {
            let mut note = good.clone();
            note.signatures[spoiled].bytes = vec![7; length];
            let outcome = note.clone().verify(&known(&[&a, &b]));
            assert!(
                matches!(outcome, Err(Error::InvalidSignature(_))),
                "{length} bytes"
            );
            // Nobody judges a key he does not know.
            let other = [&b, &a][spoiled];
            assert!(note.verify(&known(&[other])).is_ok());
        }
    }
}

#[test]
fn of_several_signatures_by_one_key_the_first_counts() {
    let a = signer("a", 1);
    let good = signed_by(&[&a]);
    let bad = Signature::new(a.verifier().id().clone(), vec![7; 64]);
    let mut note = good.clone();
    note.signatures.push(bad.clone());
    assert!(note.verify(&known(&[&a])).is_ok());
    let mut note = good;
    note.signatures.insert(0, bad);
    assert!(matches!(
        note.verify(&known(&[&a])),
        Err(Error::InvalidSignature(_))
    ));
}

#[test]
fn every_changed_byte_of_the_text_is_noticed() {
    let a = signer("a", 1);
    let message = signed_by(&[&a]).to_string();
    for position in 0..TEXT.len() {
        let mut altered = message.clone().into_bytes();
        altered[position] ^= 1;
        let outcome = Note::parse(&altered).and_then(|note| note.verify(&known(&[&a])));
        assert!(outcome.is_err(), "byte {position}");
    }
}

#[test]
fn a_key_is_known_by_name_and_hash_together() {
    let (a, same_name, same_seed) = (signer("a", 1), signer("a", 2), signer("b", 1));
    let note = signed_by(&[&a]);
    for stranger in [&same_name, &same_seed] {
        assert!(matches!(
            note.clone().verify(&known(&[stranger])),
            Err(Error::UnverifiedNote)
        ));
    }
    assert!(matches!(
        note.verify(&Verifiers::default()),
        Err(Error::UnverifiedNote)
    ));
}

#[test]
fn keys_that_cannot_be_told_apart_are_refused() {
    let a = signer("a", 1);
    let twice = Verifiers::new([a.verifier().clone(), a.verifier().clone()]).expect("the same key");
    assert!(signed_by(&[&a]).verify(&twice).is_ok());
    // Searching a collision of 32 bits takes minutes; the hash of one key is put on another instead.
    let forged = signer("a", 2)
        .verifier()
        .clone()
        .colliding_with(a.verifier());
    let outcome = Verifiers::new([a.verifier().clone(), forged]);
    assert!(matches!(outcome, Err(Error::AmbiguousKey(_))));
}

#[test]
fn text_that_would_not_read_back_is_not_signed() {
    for text in ["", "no newline", "tab\t\n", "nul\0\n", "return\r\n"] {
        assert!(
            matches!(Note::new(text), Err(Error::MalformedNote(_))),
            "{text:?}"
        );
    }
    assert!(Note::new("\n").is_ok());
}

#[test]
fn the_hundredth_signature_is_the_last() {
    let mut note = Note::new(TEXT).expect("text");
    let line = |n: u32| {
        let name = KeyName::parse(&format!("k{n}")).expect("a name");
        Signature::new(KeyId { name, hash: n }, vec![1])
    };
    for n in 0..100 {
        note.attach(line(n)).expect("room");
    }
    assert!(note.attach(line(100)).is_err());
    assert!(note.attach(line(5)).is_ok(), "a replacement needs no room");
}
