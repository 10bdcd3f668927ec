use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use sumlog::KeyRing;

use crate::scene::{NAME, modkeep};

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap()
}

#[test]
fn a_key_is_made_shown_rotated_and_retired_without_ever_being_printed() {
    let home = tempfile::tempdir().unwrap();
    let file = home
        .path()
        .join(".config/modkeep")
        .join(format!("{NAME}.key"));
    let run = |arguments: &[&str]| {
        let ended = modkeep(home.path(), arguments, &[]);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stdout.contains("PRIVATE") && !ended.stderr.contains("PRIVATE"));
        ended.stdout
    };
    let generated = run(&["key", "generate", NAME]);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let first = first_line(&generated).to_owned();
    assert!(
        generated.contains(&format!("GOSUMDB='{first}'")),
        "{generated}"
    );
    assert_eq!(first_line(&run(&["key", "show", NAME])), first);

    let rotated = run(&["key", "rotate", NAME]);
    let second = first_line(&rotated).to_owned();
    assert_ne!(second, first);
    assert!(
        rotated.contains(&format!("still signs  {first}")),
        "{rotated}"
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let finished = run(&["key", "rotate", "--finish", file.to_str().unwrap()]);
    assert_eq!(first_line(&finished), second);
    assert!(!finished.contains(&first), "{finished}");

    let json = run(&["key", "show", NAME, "--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["verifier_key"], second.as_str());
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(
        KeyRing::parse(&text).unwrap().verifier().to_string(),
        second
    );
    let shown = modkeep(
        home.path(),
        &["key", "show", "env:KEY"],
        &[("KEY", text.trim())],
    );
    assert_eq!(first_line(&shown.stdout), second);
}

#[test]
fn a_key_is_never_overwritten_and_never_used_where_others_can_read_it() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("log.key");
    let file = file.to_str().unwrap();
    let generate = ["key", "generate", NAME, "--out", file];
    assert_eq!(modkeep(home.path(), &generate, &[]).code, Some(0));
    let before = fs::read(file).unwrap();
    let again = modkeep(home.path(), &generate, &[]);
    assert_eq!(again.code, Some(2));
    assert!(
        again.stderr.contains("never overwritten"),
        "{}",
        again.stderr
    );
    assert_eq!(fs::read(file).unwrap(), before);

    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    for command in [&["key", "show", file][..], &["key", "rotate", file]] {
        let ended = modkeep(home.path(), command, &[]);
        assert_eq!(ended.code, Some(2), "{}", ended.stdout);
        assert!(ended.stderr.contains("chmod 600"), "{}", ended.stderr);
    }
    assert_eq!(fs::read(file).unwrap(), before);
}

#[test]
fn what_is_no_name_and_what_is_no_key_is_refused() {
    let home = tempfile::tempdir().unwrap();
    for name in ["", "a b", "../x", "sum.golang.org"] {
        let ended = modkeep(home.path(), &["key", "generate", name], &[]);
        assert_eq!(ended.code, Some(2), "{name:?}: {}", ended.stdout);
    }
    let ended = modkeep(
        home.path(),
        &["key", "show", "env:KEY"],
        &[("KEY", "topsecret")],
    );
    assert_eq!(ended.code, Some(2));
    assert!(!ended.stderr.contains("topsecret"), "{}", ended.stderr);
    let ended = modkeep(home.path(), &["key", "show", "PRIVATE+KEY+topsecret"], &[]);
    assert!(!ended.stderr.contains("topsecret"), "{}", ended.stderr);
    let ended = modkeep(home.path(), &["key", "rotate", "env:KEY"], &[("KEY", "x")]);
    assert!(ended.stderr.contains("in a file"), "{}", ended.stderr);
}
