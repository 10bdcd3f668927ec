//! Heads that exclude each other.

use sumdb::client::{RemoteError, Timeline, run};
use sumdb::log::LogWriter;
use sumdb::note::Note;
use sumdb::record::ModuleHashes;
use sumdb::tlog::{ConsistencyProof, Hash, TreeHead};
use sumdb::{Error, Fork};

use crate::support::{
    MemoryLog, World, client, entries, h1, keys, log_of, module, nth_module, read_log, signer,
};

/// A log whose first `common` entries are those of all test logs.
fn fork_of(common: u64, size: u64) -> MemoryLog {
    let mut log = MemoryLog::default();
    let mut writer = LogWriter::open(keys(), &mut log).expect("an empty log");
    writer
        .append(&entries(0..common), &mut log)
        .expect("an append");
    let differs = |n: u64| {
        let module = module(&format!("fork.example/m{n}"), "v1.0.0");
        ModuleHashes::new(module, &h1("zip"), &h1("mod")).expect("good hashes")
    };
    writer
        .append(&(common..size).map(differs).collect::<Vec<_>>(), &mut log)
        .expect("an append");
    log
}

fn assert_proves_fork(fork: &Fork, old_size: u64, new_size: u64) {
    let tree = |note: &str| {
        TreeHead::parse(Note::parse(note.as_bytes()).expect("a note").text()).expect("a head")
    };
    let (older, newer) = (tree(&fork.older), tree(&fork.newer));
    assert_eq!((older.size(), newer.size()), (old_size, new_size));
    assert_ne!(fork.root, older.root());
    if old_size < new_size {
        let proven = TreeHead::new(old_size, fork.root).expect("a head");
        let proof = ConsistencyProof::from_hashes(fork.proof.clone());
        proof
            .verify(&proven, &newer)
            .expect("the proof shows what the newer tree really extends");
    }
    let report = fork.to_string();
    assert!(report.starts_with(
        "SECURITY ERROR\ngo.sum database server misbehavior detected!\n\nold database:\n\t"
    ));
    assert!(report.contains(&format!("proof of misbehavior:\n\t{}", fork.root)));
}

#[test]
fn a_forked_history_is_proven() {
    let cases = [
        (300, 300, 299),
        (300, 257, 256),
        (100, 300, 0),
        (256, 300, 255),
        (5, 300, 4),
        (4, 8, 3),
        (3, 4, 2),
    ];
    for (old_size, new_size, common) in cases {
        let (seen, shown) = (log_of(old_size), fork_of(common, new_size));
        let (smaller, bigger) = (old_size.min(new_size), old_size.max(new_size));
        for height in [2, 8] {
            let client = client(height);
            let world = World::of(&seen);
            run(client.update(), &world).expect("a first head");
            let kept = world.kept.borrow().clone();

            // Both histories stay readable, as a server would have it that shows each victim its own.
            let newer = if old_size > new_size { &seen } else { &shown };
            let world = world.with_server(|path| {
                if path.starts_with("/tile/") {
                    read_log(newer, path)
                } else {
                    read_log(&shown, path)
                }
            });
            let by_update = run(client.update(), &world).expect_err("a fork");
            let Error::Fork(fork) = &by_update else {
                panic!("{by_update}")
            };
            assert_proves_fork(fork, smaller, bigger);
            assert!(by_update.is_misbehaviour());

            let asked = if common == 0 {
                module("fork.example/m0", "v1.0.0")
            } else {
                nth_module(0)
            };
            let by_lookup = run(client.lookup(asked), &world).expect_err("a fork");
            assert!(matches!(by_lookup, Error::Fork(_)), "{by_lookup}");
            assert_eq!(*world.kept.borrow(), kept, "the kept head changed");
            assert_eq!(client.latest().expect("a head").tree().size(), old_size);
        }
    }
}

#[test]
fn a_fork_that_others_kept_is_proven() {
    let (ours, theirs) = (log_of(300), fork_of(50, 200));
    let client = client(2);
    let world = World::of(&log_of(40)).with_server(|path| read_log(&ours, path));
    run(client.update(), &World::of(&log_of(40))).expect("a first head");
    // Between reading and writing, somebody who was shown another history has kept its head.
    *world.kept.borrow_mut() = Some(theirs.published.clone().expect("a head").go.into_bytes());
    let error = run(client.update(), &world).expect_err("a fork");
    let Error::Fork(fork) = &error else {
        panic!("{error}")
    };
    assert_proves_fork(fork, 200, 300);
}

#[test]
fn a_signed_empty_tree_must_be_empty() {
    let false_head = TreeHead::new(0, Hash::of_record(b"")).expect("a head");
    let mut note = Note::new(false_head.to_string()).expect("text");
    note.sign(&signer("sum.example.com", 1))
        .expect("a signature");
    let world = World::new(|_| Err(RemoteError::Absent(String::new())));
    let error = run(client(8).observe(note.to_string().into_bytes()), &world)
        .expect_err("not the empty tree");
    assert!(matches!(error, Error::Fork(_)), "{error}");

    let mut note = Note::new(TreeHead::empty().to_string()).expect("text");
    note.sign(&signer("sum.example.com", 1))
        .expect("a signature");
    let timeline =
        run(client(8).observe(note.to_string().into_bytes()), &world).expect("the empty tree");
    assert_eq!(timeline, Timeline::Present);
}
