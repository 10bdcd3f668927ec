use std::path::Path;

use sumdb::log::LogReader as _;
use sumdb::note::{CosignerKey, KeyName, Note, VerifierKey, Verifiers};
use sumlog::{CosignatureError, KeyRing, Log, LogOptions, SumlogError, Witness, Witnesses};

use crate::support::{copy, entry, files, new_keys, options, sound_size};

fn witness(name: &str) -> CosignerKey {
    CosignerKey::generate(KeyName::parse(name).unwrap()).unwrap()
}

fn open_with(data: &Path, keys: &KeyRing, witnesses: &[&CosignerKey]) -> Log {
    let keys_text: Vec<String> = witnesses
        .iter()
        .map(|key| key.verifier().to_string())
        .collect();
    let with = LogOptions {
        witnesses: Witnesses::parse(&keys_text.join(",")).unwrap(),
        ..options(data)
    };
    Log::open(with, copy(keys)).unwrap()
}

fn text_of(note: &str) -> String {
    Note::parse(note.as_bytes()).unwrap().text().to_owned()
}

/// How many signatures of these keys the note has; all of them good.
fn verified(note: &str, keys: impl IntoIterator<Item = VerifierKey>) -> usize {
    let note = Note::parse(note.as_bytes()).unwrap();
    note.verify(&Verifiers::new(keys).unwrap())
        .unwrap()
        .verified()
        .len()
}

#[tokio::test]
async fn cosignatures_are_shown_below_the_text_they_sign_and_survive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let keys = new_keys();
    let (one, two) = (witness("one.example.org"), witness("two.example.org"));
    let log = open_with(data.path(), &keys, &[&one, &two]);
    log.append(entry(0)).await.unwrap();
    let heads = log.published().unwrap().unwrap();
    let of_checkpoint = one
        .cosign(&text_of(&heads.checkpoint), 1_700_000_000)
        .unwrap();
    let of_go = two.cosign(&text_of(&heads.go), 1_700_000_001).unwrap();
    assert_eq!(
        log.cosign(format!("{of_checkpoint}\n{of_go}\n"))
            .await
            .unwrap(),
        2
    );

    let all = || {
        [
            keys.verifier().clone(),
            one.verifier().clone(),
            two.verifier().clone(),
        ]
    };
    let check = |log: &Log| {
        let heads = log.published().unwrap().unwrap();
        assert_eq!(verified(&heads.checkpoint, all()), 2);
        assert_eq!(verified(&heads.go, all()), 2);
    };
    check(&log);
    log.close().await;
    let log = open_with(data.path(), &keys, &[&one, &two]);
    check(&log);
    assert_eq!(sound_size(data.path(), keys.verifier()).await, 1);
    let kept = files(data.path()).cosignatures(1).unwrap();
    assert_eq!(
        kept.iter().map(|kept| kept.time).collect::<Vec<_>>(),
        [1_700_000_000, 1_700_000_001]
    );
    log.close().await;

    // A new key of the log signs the same texts, so what witnesses said about them still holds.
    let rotated = copy(&keys).rotate().unwrap();
    let log = open_with(data.path(), &rotated, &[&one, &two]);
    check(&log);
    log.close().await;

    // The next head has not been seen by anybody.
    let log = open_with(data.path(), &rotated, &[&one, &two]);
    log.append(entry(1)).await.unwrap();
    let heads = files(data.path()).published().unwrap().unwrap();
    assert_eq!(verified(&heads.checkpoint, all()), 1);
}

#[tokio::test]
async fn what_is_no_cosignature_of_the_head_by_a_witness_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let keys = new_keys();
    let (known, stranger) = (witness("one.example.org"), witness("two.example.org"));
    let log = open_with(data.path(), &keys, &[&known]);
    let old = text_of(&log.published().unwrap().unwrap().checkpoint);
    log.append(entry(0)).await.unwrap();
    let before = log.published().unwrap();
    let now = text_of(&before.as_ref().unwrap().checkpoint);
    let good = known.cosign(&now, 5).unwrap();
    let refused = [
        (String::new(), "no signature line"),
        ("hello\n".to_owned(), "malformed cosignature"),
        (
            stranger.cosign(&now, 5).unwrap().to_string(),
            "is no witness",
        ),
        (
            known.cosign(&old, 5).unwrap().to_string(),
            "none of the head of 1 records",
        ),
        (
            format!("{good}\n{}\n", stranger.cosign(&now, 5).unwrap()),
            "is no witness",
        ),
    ];
    for (lines, reason) in refused {
        let error = log.cosign(lines).await.unwrap_err();
        assert!(matches!(error, SumlogError::Cosignature(_)), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(log.published().unwrap(), before);
    }
    assert_eq!(files(data.path()).cosignatures(1).unwrap(), []);
    assert!(matches!(
        log.cosign("\n\n".to_owned()).await,
        Err(SumlogError::Cosignature(CosignatureError::Empty))
    ));
}

#[test]
fn a_key_that_signs_notes_is_no_witness() {
    let error = Witness::parse(&new_keys().verifier().to_string()).unwrap_err();
    assert!(error.to_string().contains("signature type 4"), "{error}");
    assert!(Witness::parse("x").is_err());
    assert_eq!(Witnesses::parse(" , ").unwrap().iter().count(), 0);
}
