//! The newest head of a checksum database that was seen: it never goes back, and is never unreadable, whatever ends the
//! program.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sumdb::note::{Note, VerifierKey, Verifiers};
use testkit::{ChecksumDatabase, Modkeep, Module, http};

use crate::scene::{Ask as _, Scene};

const NAME: &str = "sum.example.com";
const ROUNDS: u64 = 12;
const CLIENTS: usize = 4;
/// Much longer than an answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The size that a signed head states.
fn size_of(database: &ChecksumDatabase, note: &[u8]) -> u64 {
    let key = VerifierKey::parse(&database.key()).unwrap();
    let note = Note::parse(note).unwrap();
    let note = note.verify(&Verifiers::new([key]).unwrap()).unwrap();
    note.text().lines().nth(1).unwrap().parse().unwrap()
}

/// The head in the answer to a look-up, or in the answer to `latest`.
fn head_in(answer: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    match text.split_once("\n\ngo.sum database tree\n") {
        Some((_, head)) => format!("go.sum database tree\n{head}").into_bytes(),
        None => answer.to_vec(),
    }
}

#[test]
fn killed_while_heads_come_in_it_never_goes_back() {
    let scene = Scene::empty();
    let database = ChecksumDatabase::new(NAME, 1);
    let mut random = fastrand::Rng::with_seed(7);
    let added = AtomicU64::new(0);
    let grow = || {
        let number = added.fetch_add(1, Ordering::Relaxed);
        database.add(&Module::new(&format!("example.com/m{number}"), "v1.0.0"));
    };
    grow();
    let (mut seen, mut grown) = (0, 0);
    let setting = database.setting();
    for round in 0..ROUNDS {
        let modkeep = scene.start_with(&[("sumdb", &setting)]);
        let newest = AtomicU64::new(seen);
        let is_over = AtomicBool::new(false);
        let url = modkeep.url().to_owned();
        let moment = Duration::from_millis(random.u64(10..400));
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (url, newest, database, added) = (&url, &newest, &database, &added);
                scope.spawn(move || {
                    let mut number = client as u64;
                    loop {
                        let path = if client % 2 == 0 {
                            "latest".to_owned()
                        } else {
                            number = (number + 1) % added.load(Ordering::Relaxed).max(1);
                            format!("lookup/example.com/m{number}@v1.0.0")
                        };
                        match http::get(&format!("{url}/sumdb/{NAME}/{path}")) {
                            Ok(reply) if reply.status == 200 && reply.complete => {
                                let size = size_of(database, &head_in(&reply.body));
                                newest.fetch_max(size, Ordering::Relaxed);
                            }
                            // Asked in the midst of an addition, which a real database does in one step.
                            Ok(reply) => assert!(!reply.complete || reply.status >= 404),
                            Err(_) => return,
                        }
                    }
                });
            }
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    grow();
                }
            });
            // Every third round ends whether an answer came or not.
            let until = Instant::now() + PATIENCE;
            while round % 3 > 0 && newest.load(Ordering::Relaxed) <= seen && Instant::now() < until
            {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(moment);
            modkeep.kill();
            is_over.store(true, Ordering::Relaxed);
        });
        let file = scene.data().join(format!("heads/{NAME}.note"));
        let before = seen;
        seen = newest.into_inner();
        // Before any look-up was answered there may be none.
        if seen > 0 {
            let kept = size_of(&database, &fs::read(&file).unwrap());
            assert!(
                kept >= seen,
                "round {round}: {kept} is kept, {seen} was told"
            );
            seen = kept;
        }
        grown += u64::from(seen > before);
    }
    assert!(
        grown > ROUNDS / 3,
        "heads came in in {grown} of {ROUNDS} rounds"
    );

    // A database that shows an old head does not make it go back.
    let kept = fs::read(scene.data().join(format!("heads/{NAME}.note"))).unwrap();
    let old = database.read("/lookup/example.com/m0@v1.0.0");
    database.write("/latest", &head_in(&old));
    let modkeep = scene.start_with(&[("sumdb", &setting)]);
    let told = told(&modkeep);
    assert_eq!(size_of(&database, &told), size_of(&database, &kept));
}

fn told(modkeep: &Modkeep) -> Vec<u8> {
    let reply = modkeep.get(&format!("/sumdb/{NAME}/latest"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.body
}
