use futures_util::future::join_all;
use sumdb::audit::Finding;
use sumdb::log::LogReader as _;
use sumlog::{AuditOutcome, KeyRing};

use crate::support::{KeptHead, audit_of, copy, entries, files, new_keys, open};

async fn log_of(data: &std::path::Path, keys: &KeyRing, range: std::ops::Range<u64>) {
    let log = open(data, keys);
    join_all(entries(range).into_iter().map(|entry| log.append(entry))).await;
    log.close().await;
}

fn findings(outcome: &AuditOutcome) -> &[Finding] {
    match outcome {
        AuditOutcome::Complete(report) => &report.findings,
        _ => &[],
    }
}

#[tokio::test]
async fn a_changed_record_and_a_changed_tile_are_found() {
    let data = tempfile::tempdir().unwrap();
    let keys = new_keys();
    log_of(data.path(), &keys, 0..1000).await;
    let flip = |target: &'static str, at: usize| {
        move |path: &str, mut body: Vec<u8>| {
            if path == target {
                // Where this is text, it is base64, and stays so.
                body[at] = if body[at] == b'A' { b'B' } else { b'A' };
            }
            body
        }
    };
    let key = keys.verifier();
    let audit =
        async |target, at| audit_of(data.path(), key, &KeptHead::default(), flip(target, at)).await;

    let record = audit("/tile/8/data/001", 60).await;
    assert!(
        matches!(findings(&record), [Finding::Record { id: 256 }]),
        "{record}"
    );
    for (tile, at) in [
        ("/tile/8/0/002", 100),
        ("/tile/8/1/000.p/3", 5),
        ("/tile/8/0/003.p/232", 9),
    ] {
        let outcome = audit(tile, at).await;
        let found =
            !findings(&outcome).is_empty() || matches!(outcome, AuditOutcome::Misbehaviour(_));
        assert!(found, "{tile}: {outcome}");
    }
    let signature = audit("/latest", 120).await;
    assert!(
        !matches!(&signature, AuditOutcome::Complete(report) if report.is_sound()),
        "{signature}"
    );
}

#[tokio::test]
async fn a_second_history_is_a_fork_and_a_grown_log_is_not() {
    let keys = new_keys();
    let (honest, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let kept = KeptHead::default();
    log_of(honest.path(), &keys, 0..300).await;
    let sound = |outcome: &AuditOutcome| matches!(outcome, AuditOutcome::Complete(report) if report.is_sound());
    let first = audit_of(honest.path(), keys.verifier(), &kept, |_, body| body).await;
    assert!(sound(&first), "{first}");
    let head = kept.0.borrow().clone().unwrap();
    log_of(honest.path(), &keys, 300..600).await;
    let second = audit_of(honest.path(), keys.verifier(), &kept, |_, body| body).await;
    assert!(sound(&second), "{second}");
    assert_ne!(kept.0.borrow().clone().unwrap(), head);

    log_of(other.path(), &copy(&keys), 5..900).await;
    let fork = audit_of(other.path(), keys.verifier(), &kept, |_, body| body).await;
    let AuditOutcome::Fork(evidence) = &fork else {
        panic!("{fork}")
    };
    let published = files(honest.path()).published().unwrap().unwrap();
    assert_eq!(evidence.older, published.go);
    assert_eq!(
        *kept.0.borrow(),
        Some(published.go.into_bytes()),
        "the honest head is kept"
    );
}
