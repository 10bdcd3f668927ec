use testkit::UpstreamServer;

use crate::scene::{Ended, NAME, Published, keys, modkeep};

/// Audits what a folder serves.
fn audit(published: &Published, key: &str, more: &[&str]) -> Ended {
    let home = tempfile::tempdir().unwrap();
    let server = UpstreamServer::serve(published.site.path());
    let url = format!("{}/sumdb/{NAME}", server.url());
    let arguments = [&["log", "audit", &url, "--key", key][..], more].concat();
    modkeep(home.path(), &arguments, &[])
}

#[test]
fn a_sound_log_is_said_to_be_sound_and_its_head_is_kept() {
    let keys = keys();
    let key = keys.verifier().to_string();
    let log = Published::new(&keys, 0..700);
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("head");
    let from = ["--from", state.to_str().unwrap()];
    let ended = audit(&log, &key, &from);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(
        ended.stdout.starts_with("700 records and 4 tiles agree"),
        "{}",
        ended.stdout
    );
    assert_eq!(
        std::fs::read(&state).unwrap(),
        std::fs::read(log.file("latest")).unwrap()
    );

    log.grow(700..900);
    let json = audit(
        &log,
        &key,
        &[&from[..], &["--format", "json", "--parallel", "1"]].concat(),
    );
    assert_eq!(json.code, Some(0), "{}", json.stderr);
    for part in [r#""sound":true"#, r#""records":900"#, r#""findings":[]"#] {
        assert!(json.stdout.contains(part), "{}", json.stdout);
    }
}

#[test]
fn what_was_altered_is_named_and_the_exit_status_tells() {
    let keys = keys();
    let key = keys.verifier().to_string();
    let table = [
        (
            "tile/8/data/001",
            40,
            "record 256 is not the one in the tree",
        ),
        ("tile/8/0/000", 7, ""),
        ("tile/8/1/000.p/2", 7, ""),
        ("latest", 30, ""),
    ];
    for (path, at, said) in table {
        let log = Published::new(&keys, 0..600);
        log.spoil(path, at);
        let ended = audit(&log, &key, &[]);
        assert_eq!(
            ended.code,
            Some(1),
            "{path}: {}{}",
            ended.stdout,
            ended.stderr
        );
        assert!(ended.stdout.contains(said), "{path}: {}", ended.stdout);
    }
}

#[test]
fn another_history_is_a_fork_with_both_heads() {
    let keys = keys();
    let key = keys.verifier().to_string();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("head");
    let from = ["--from", state.to_str().unwrap(), "--format", "json"];
    let honest = Published::new(&keys, 0..300);
    assert_eq!(audit(&honest, &key, &from).code, Some(0));
    let other = Published::new(&keys, 1..500);
    let ended = audit(&other, &key, &from);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let heads = [&honest, &other].map(|log| std::fs::read_to_string(log.file("latest")).unwrap());
    assert_eq!(told["fork"], serde_json::json!(heads));
    assert_eq!(
        std::fs::read_to_string(&state).unwrap(),
        heads[0],
        "the first head is kept"
    );
}

#[test]
fn what_cannot_be_read_or_believed_is_no_verdict() {
    let log_keys = keys();
    let log = Published::new(&log_keys, 0..10);
    let home = tempfile::tempdir().unwrap();
    let no_key = modkeep(home.path(), &["log", "audit", "http://127.0.0.1:9/x"], &[]);
    assert_eq!(no_key.code, Some(2));
    assert!(no_key.stderr.contains("--key"), "{}", no_key.stderr);
    let key = log_keys.verifier().to_string();
    let closed = modkeep(
        home.path(),
        &["log", "audit", "http://127.0.0.1:9/x", "--key", &key],
        &[],
    );
    assert_eq!(closed.code, Some(2), "{}", closed.stdout);
    let bad_key = audit(&log, "sum.example.com+1+2", &[]);
    assert_eq!(bad_key.code, Some(2), "{}", bad_key.stdout);
    // A good signature, but of somebody else: nothing here is what the key's owner has signed.
    let stranger = audit(&log, &keys().verifier().to_string(), &[]);
    assert_eq!(
        stranger.code,
        Some(1),
        "{}{}",
        stranger.stdout,
        stranger.stderr
    );
}
