use std::fs;
use std::io::ErrorKind;

use store::{FileKind, Store, StoreError};

use crate::scene::{key, names_in};

#[test]
fn a_store_is_used_by_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path()).unwrap();
    match Store::open(folder.path()) {
        Err(StoreError::InUse { path, holder }) => {
            assert_eq!(path, folder.path());
            assert_eq!(holder, std::process::id().to_string());
        }
        other => panic!("{other:?}"),
    }
    drop(first);
    Store::open(folder.path()).unwrap();
}

#[test]
fn who_is_refused_disturbs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path()).unwrap();
    let mut draft = first.create_draft().unwrap();
    draft.append(b"module m\n").unwrap();
    Store::open(folder.path()).unwrap_err();
    let published = first
        .publish(draft, &key("example.com/m", "v1.0.0", FileKind::Mod))
        .unwrap();
    assert!(published.is_new);
    assert!(!first.opened_after_crash());
}

#[test]
fn what_was_left_unfinished_is_removed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let temporary = folder.path().join("tmp");
    fs::create_dir_all(temporary.join("a/b")).unwrap();
    for name in ["draft-x", "answer-y", "a/b/c"] {
        fs::write(temporary.join(name), "half").unwrap();
    }
    let kept = key("example.com/m", "v1.0.0", FileKind::Mod);
    let tree = folder.path().join("tree").join(kept.url_path());
    fs::create_dir_all(tree.parent().unwrap()).unwrap();
    fs::write(&tree, "module m\n").unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert!(names_in(&temporary).is_empty());
    assert!(store.open_file(&kept).unwrap().is_some());
}

#[test]
fn a_store_that_was_not_closed_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(folder.path()).unwrap();
    let first = open();
    assert!(!first.opened_after_crash(), "a new store has no past");
    drop(first);
    let second = open();
    assert!(second.opened_after_crash());
    second.close();
    drop(second);
    let third = open();
    assert!(!third.opened_after_crash());
    third.close();
}

#[test]
fn a_place_that_cannot_be_a_store_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file).unwrap_err();
    assert_eq!(error.io_kind(), Some(ErrorKind::NotADirectory));
    assert!(
        error.to_string().contains(&file.display().to_string()),
        "{error}"
    );
}
