use sumdb::log::LogReader as _;
use sumdb::note::{Note, Verifiers};
use sumlog::{KeyRing, Log, LogName, SumlogError};

use crate::support::{copy, entry, files, new_keys, open, options, sound_size};

#[tokio::test]
async fn through_a_rotation_clients_of_either_key_go_on_and_after_it_only_those_of_the_new_one() {
    let data = tempfile::tempdir().unwrap();
    let first = new_keys();
    let old_key = first.verifier().clone();
    let log = open(data.path(), &first);
    log.append(entry(0)).await.unwrap();
    log.close().await;

    let second = first.rotate().unwrap();
    let new_key = second.verifier().clone();
    let log = open(data.path(), &second);
    log.append(entry(1)).await.unwrap();
    log.close().await;
    for key in [&old_key, &new_key] {
        assert_eq!(sound_size(data.path(), key).await, 2);
    }

    let third = second.finish();
    open(data.path(), &third).close().await;
    assert_eq!(sound_size(data.path(), &new_key).await, 2);
    let heads = files(data.path()).published().unwrap().unwrap();
    for text in [heads.go, heads.checkpoint] {
        let note = Note::parse(text.as_bytes()).unwrap();
        assert!(note.verify(&Verifiers::from(old_key.clone())).is_err());
    }
}

#[tokio::test]
async fn a_key_that_never_signed_this_log_does_not_open_it() {
    let data = tempfile::tempdir().unwrap();
    let keys = new_keys();
    open(data.path(), &keys).close().await;
    let stranger = Log::open(options(data.path()), new_keys()).unwrap_err();
    assert!(matches!(stranger, SumlogError::Log(_)), "{stranger}");
    let other = KeyRing::generate(&LogName::parse("other.example.com").unwrap()).unwrap();
    let other = Log::open(options(data.path()), other).unwrap_err();
    assert!(matches!(other, SumlogError::KeyOfAnother { .. }), "{other}");
    Log::open(options(data.path()), copy(&keys)).unwrap();
}
