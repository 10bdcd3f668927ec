//! Growing and serving a log.

use sumdb::Error;
use sumdb::checkpoint::Checkpoint;
use sumdb::log::{Heads, LogKeys, LogReader, LogStore, LogWriter, Outcome, Staged};
use sumdb::note::{Note, Verifiers};
use sumdb::record::ModuleHashes;
use sumdb::tlog::{Frontier, Hash, TreeHead, stored_hash_count};

use crate::support::{
    MemoryLog, NAME, ORIGIN, entries, entry, h1, keys, log_of, nth_module, signer, text_of,
};

#[test]
fn a_new_log_publishes_the_empty_tree() {
    let log = log_of(0);
    let latest = text_of(&log, "/latest");
    assert!(latest.starts_with(
        "go.sum database tree\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— "
    ));
    assert!(text_of(&log, "/checkpoint").starts_with("sum.example.com/checkpoint\n0\n"));
}

#[test]
fn both_heads_are_signed_for_the_same_tree() {
    let log = log_of(300);
    let heads = log.published().expect("a store").expect("heads");
    let go = Note::parse(heads.go.as_bytes()).expect("a note");
    let go = go
        .verify(&Verifiers::from(signer(NAME, 1).verifier().clone()))
        .expect("signed");
    let checkpoint = Note::parse(heads.checkpoint.as_bytes()).expect("a note");
    let checkpoint = checkpoint
        .verify(&Verifiers::from(signer(ORIGIN, 2).verifier().clone()))
        .expect("signed");
    let checkpoint = Checkpoint::parse(checkpoint.text()).expect("a checkpoint");
    assert_eq!(checkpoint.origin(), ORIGIN);
    assert_eq!(
        *checkpoint.head(),
        TreeHead::parse(go.text()).expect("a head")
    );
    assert_eq!(checkpoint.head().size(), 300);
}

#[test]
fn batches_make_the_same_log_as_single_appends() {
    let whole = log_of(60);
    let mut single = MemoryLog::default();
    let mut writer = LogWriter::open(keys(), &mut single).expect("an empty log");
    for n in 0..60 {
        let outcomes = writer
            .append(&entries(n..n + 1), &mut single)
            .expect("an append");
        assert_eq!(outcomes, [Outcome::Appended { id: n }]);
    }
    assert_eq!(single.hashes, whole.hashes);
    assert_eq!(single.published, whole.published);
    assert_eq!(writer.signed(), single.published.as_ref());
    assert_eq!(single.hashes.len() as u64, stored_hash_count(60));
}

#[test]
fn one_module_version_has_one_record_for_ever() {
    let mut log = log_of(10);
    let mut writer = LogWriter::open(keys(), &mut log).expect("a log");
    let other = |n: u64| {
        ModuleHashes::new(nth_module(n), &h1("other"), &h1(&format!("mod {n}"))).expect("hashes")
    };
    let batch = [
        entry(3),
        other(3),
        entry(10),
        entry(10),
        other(10),
        entry(11),
    ];
    let before = log.published.clone();
    let outcomes = writer.append(&batch, &mut log).expect("an append");
    assert_eq!(outcomes[0], Outcome::Known { id: 3 });
    let Outcome::Rejected(rejection) = &outcomes[1] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(rejection.id, 3);
    assert_eq!(rejection.recorded, *entry(3).record());
    assert_eq!(rejection.offered, *other(3).record());
    assert_eq!(outcomes[2], Outcome::Appended { id: 10 });
    assert_eq!(outcomes[3], Outcome::Known { id: 10 });
    assert!(
        matches!(&outcomes[4], Outcome::Rejected(rejection) if rejection.id == 10),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[5], Outcome::Appended { id: 11 });
    assert_eq!(log.records.len(), 12);
    assert_ne!(log.published, before);

    // A batch without news changes nothing.
    let before = (log.hashes.len(), log.history.len(), log.published.clone());
    writer
        .append(&[entry(3), other(3)], &mut log)
        .expect("an append");
    writer.append(&[], &mut log).expect("an append");
    assert_eq!(
        (log.hashes.len(), log.history.len(), log.published.clone()),
        before
    );
}

#[test]
fn hashes_that_are_no_h1_hashes_are_not_recorded() {
    let good = h1("x");
    let refused = [
        "",
        "h1:",
        "h1:abc=",
        "h2:xyzzy",
        &good[3..],
        &format!("{good}="),
        &format!("{good}\n"),
        "H1:",
    ];
    for bad in refused {
        assert!(
            ModuleHashes::new(nth_module(0), bad, &good).is_err(),
            "{bad:?}"
        );
        assert!(
            ModuleHashes::new(nth_module(0), &good, bad).is_err(),
            "{bad:?}"
        );
    }
    // The last character of 32 bytes in base 64 has two unused bits, which must be zero.
    let unused = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=";
    assert!(ModuleHashes::new(nth_module(0), unused, &good).is_err());
}

#[test]
fn a_crash_at_any_write_loses_nothing_and_never_forks() {
    let reference = log_of(12);
    for writes in 0..20 {
        let mut log = MemoryLog {
            writes_left: Some(writes),
            ..MemoryLog::default()
        };
        let mut crashes = 0;
        'restart: loop {
            let Ok(mut writer) = LogWriter::open(keys(), &mut log) else {
                crashes += 1;
                log.writes_left = None;
                continue;
            };
            for batch in [0..1, 1..4, 4..7, 7..12] {
                if writer.append(&entries(batch), &mut log).is_err() {
                    crashes += 1;
                    log.writes_left = None;
                    continue 'restart;
                }
            }
            break;
        }
        assert!(crashes <= 1);
        assert!(
            crashes == 1 || writes >= 18,
            "no crash after {writes} writes"
        );
        assert_eq!(
            log.records, reference.records,
            "crash after {writes} writes"
        );
        assert_eq!(log.hashes, reference.hashes);
        assert_eq!(log.published, reference.published);
        assert_eq!(log.signed, reference.published);
        for heads in &log.history {
            let tree = heads.tree().expect("a head");
            let size = usize::try_from(stored_hash_count(tree.size())).expect("small");
            assert!(reference.hashes.get(..size).is_some());
            assert_eq!(
                tree,
                log_of(tree.size())
                    .published
                    .expect("heads")
                    .tree()
                    .expect("a head")
            );
        }
    }
}

#[test]
fn the_same_writer_goes_on_after_an_error() {
    let reference = log_of(9);
    for writes in 2..12 {
        let mut log = MemoryLog::default();
        let mut writer = LogWriter::open(keys(), &mut log).expect("an empty log");
        log.writes_left = Some(writes - 2);
        for batch in [0..4, 4..9] {
            if writer.append(&entries(batch.clone()), &mut log).is_err() {
                assert_eq!(writer.signed(), None);
                log.writes_left = None;
                let outcomes = writer.append(&entries(batch), &mut log).expect("an append");
                let known = |outcome: &Outcome| !matches!(outcome, Outcome::Rejected(_));
                assert!(outcomes.iter().all(known), "{outcomes:?}");
            }
        }
        assert_eq!(log.hashes, reference.hashes, "error after {writes} writes");
        assert_eq!(log.published, reference.published);
    }
}

#[test]
fn a_restored_backup_is_not_signed() {
    let mut log = log_of(100);
    let backup = log_of(60);
    log.records = backup.records;
    log.index = backup.index;
    log.hashes = backup.hashes;
    log.published = backup.published;
    let error = LogWriter::open(keys(), &mut log).expect_err("records are missing");
    assert!(
        matches!(
            error,
            Error::StoreBehindSigned {
                stored: 60,
                signed: 100
            }
        ),
        "{error}"
    );
}

#[test]
fn a_store_with_another_history_is_not_signed() {
    let mut log = log_of(100);
    let mut other = MemoryLog::default();
    let mut writer = LogWriter::open(keys(), &mut other).expect("an empty log");
    writer
        .append(&entries(1..120), &mut other)
        .expect("an append");
    other.signed = log.signed.clone();
    let error = LogWriter::open(keys(), &mut other).expect_err("another history");
    assert!(matches!(error, Error::InconsistentStore(_)), "{error}");

    // Damaged or missing hashes below the signed head.
    let position = log.hashes.len() - 1;
    log.hashes.truncate(position);
    let error = LogWriter::open(keys(), &mut log).expect_err("a hash is missing");
    assert!(matches!(error, Error::InconsistentStore(_)), "{error}");
    log.hashes.push(Hash::of_record(b"damage"));
    let error = LogWriter::open(keys(), &mut log).expect_err("a hash is wrong");
    assert!(matches!(error, Error::InconsistentStore(_)), "{error}");
}

#[test]
fn records_whose_signed_head_is_lost_are_not_signed_anew() {
    let mut log = log_of(5);
    log.signed = None;
    let error = LogWriter::open(keys(), &mut log).expect_err("the signed head is lost");
    assert!(matches!(error, Error::InconsistentStore(_)), "{error}");
    // Nor is the head of somebody else taken for one's own.
    let mut log = log_of(5);
    let stranger = LogKeys::new(signer(NAME, 7), signer(ORIGIN, 7));
    assert!(matches!(
        LogWriter::open(stranger, &mut log),
        Err(Error::UnverifiedNote)
    ));
}

#[test]
fn a_second_writer_is_stopped() {
    let mut log = log_of(5);
    let mut first = LogWriter::open(keys(), &mut log).expect("a log");
    let mut second = LogWriter::open(keys(), &mut log).expect("a log");
    first.append(&entries(5..8), &mut log).expect("an append");
    let error = second
        .append(&entries(8..9), &mut log)
        .expect_err("another writer was faster");
    assert!(matches!(error, Error::Store(_)), "{error}");
    // Having learnt how things are, it goes on from there.
    let outcomes = second.append(&entries(8..9), &mut log).expect("an append");
    assert_eq!(outcomes, [Outcome::Appended { id: 8 }]);
    assert_eq!(
        log.published,
        log_of(9)
            .published
            .map(|_| log.published.clone().expect("heads"))
    );
}

#[test]
fn a_head_that_does_not_extend_the_last_signed_one_is_not_signed() {
    let log = log_of(5);
    let stage = |base: Frontier| {
        Staged::new(base, log.records.clone())
            .records_are_durable()
            .expect("hashes")
    };
    let last = log
        .published
        .as_ref()
        .expect("heads")
        .tree()
        .expect("a head");
    let signed = stage(Frontier::new())
        .hashes_are_durable(&keys(), &TreeHead::empty())
        .expect("a head");
    assert_eq!(signed.heads().tree().expect("a head"), last);
    // The same records after a head that covers them already, and after the same size with another root.
    let error = stage(Frontier::new())
        .hashes_are_durable(&keys(), &last)
        .expect_err("no extension");
    assert!(
        matches!(error, Error::NotAnExtension { size: 5, signed: 5 }),
        "{error}"
    );
    let false_empty = TreeHead::new(0, Hash::of_record(b"")).expect("a head");
    assert!(
        stage(Frontier::new())
            .hashes_are_durable(&keys(), &false_empty)
            .is_err()
    );
}

#[test]
fn a_new_checkpoint_key_signs_the_same_tree_again() {
    let mut log = log_of(5);
    let before = log.published.clone().expect("heads");
    let renewed = LogKeys::new(signer(NAME, 1), signer("new.example.com", 3));
    LogWriter::open(renewed, &mut log).expect("a log");
    let after = log.published.clone().expect("heads");
    assert_eq!(after.go, before.go);
    assert!(
        after.checkpoint.starts_with("new.example.com\n5\n"),
        "{}",
        after.checkpoint
    );
    assert_eq!(log.signed, Some(after));
}

#[test]
fn what_was_signed_but_not_published_is_published_by_the_next_start() {
    let signed = log_of(5).signed.expect("heads");
    let outdated = log_of(4).published.expect("heads");
    let half = |go: &Heads, checkpoint: &Heads| Heads {
        go: go.go.clone(),
        checkpoint: checkpoint.checkpoint.clone(),
    };
    let torn = [half(&outdated, &signed), half(&signed, &outdated)];
    for published in torn
        .map(Some)
        .into_iter()
        .chain([Some(outdated.clone()), None])
    {
        let mut log = log_of(5);
        log.published = published;
        LogWriter::open(keys(), &mut log).expect("a log");
        assert_eq!(log.published.as_ref(), Some(&signed));
    }
}

#[test]
fn published_cosignatures_survive_a_restart() {
    let mut log = log_of(5);
    let cosigned = |heads: &Heads| Heads {
        checkpoint: heads.checkpoint.clone() + "— w AAAAAAAA\n",
        ..heads.clone()
    };
    let heads = cosigned(log.published.as_ref().expect("heads"));
    log.publish(&heads).expect("a write");
    LogWriter::open(keys(), &mut log).expect("a log");
    assert_eq!(log.published, Some(heads));
}

#[test]
fn a_key_that_is_being_replaced_goes_on_signing_and_its_heads_still_count() {
    let mut log = log_of(5);
    let rotated = || LogKeys::of_one(signer(NAME, 7)).and_former(signer(NAME, 1));
    let mut writer = LogWriter::open(rotated(), &mut log).expect("a log");
    writer.append(&entries(5..6), &mut log).expect("an append");
    let heads = log.published.clone().expect("heads");
    for text in [&heads.go, &heads.checkpoint] {
        for seed in [7, 1] {
            let known = Verifiers::from(signer(NAME, seed).verifier().clone());
            let note = Note::parse(text.as_bytes()).expect("a note");
            note.verify(&known).expect("a signature of each key");
        }
    }

    // The end of the transition: the former key signs no more, and the tree stays.
    LogWriter::open(LogKeys::of_one(signer(NAME, 7)), &mut log).expect("a log");
    let after = log.published.clone().expect("heads");
    assert_eq!(after.tree().expect("a head"), heads.tree().expect("a head"));
    let note = Note::parse(after.go.as_bytes()).expect("a note");
    assert!(
        note.verify(&Verifiers::from(signer(NAME, 1).verifier().clone()))
            .is_err()
    );
    assert!(LogWriter::open(LogKeys::of_one(signer(NAME, 8)), &mut log).is_err());
}
