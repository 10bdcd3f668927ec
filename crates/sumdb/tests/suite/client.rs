//! What a client does with an honest server.

use std::cell::{Cell, RefCell};

use sumdb::client::{Answer, Operation, RemoteError, Request, Step, Timeline, run};
use sumdb::record::Part;
use sumdb::{BoxError, Error};

use crate::support::{World, client, entry, h1, log_of, module, nth_module, read_log};

#[test]
fn a_lookup_returns_both_hashes_the_number_and_the_tree() {
    let log = log_of(300);
    let world = World::of(&log);
    for height in [1, 2, 3, 8] {
        let client = client(height);
        for n in [0, 1, 100, 255, 256, 299] {
            let record = run(client.lookup(nth_module(n)), &world).expect("a proven record");
            assert_eq!(record.id(), n);
            assert_eq!(record.tree().size(), 300);
            assert_eq!(record.module(), &nth_module(n));
            assert_eq!(
                record.h1(Part::Zip).expect("a hash"),
                h1(&format!("zip {n}"))
            );
            assert_eq!(
                record.h1(Part::GoMod).expect("a hash"),
                h1(&format!("mod {n}"))
            );
            let lines = [record.lines(Part::Zip), record.lines(Part::GoMod)]
                .concat()
                .join("\n")
                + "\n";
            assert_eq!(lines, entry(n).record().as_str());
        }
    }
}

#[test]
fn paths_and_cache_keys_are_escaped() {
    let log = log_of(1);
    let world = World::of(&log);
    run(client(8).lookup(nth_module(0)), &world).expect("a proven record");
    assert_eq!(
        world.take_asked(),
        ["/lookup/example.com/!mod0@v1.0.0", "/tile/8/0/000.p/1"]
    );
    let keys: Vec<String> = world.cache.borrow().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "sum.example.com/lookup/example.com/!mod0@v1.0.0",
            "sum.example.com/tile/8/0/000.p/1"
        ]
    );
}

#[test]
fn what_was_proven_once_is_read_from_the_cache() {
    let log = log_of(300);
    let world = World::of(&log);
    let first = run(client(2).lookup(nth_module(7)), &world).expect("a proven record");
    assert!(!world.take_asked().is_empty());

    let offline = world.with_server(|_| Err(RemoteError::Failed("no network".into())));
    let second = run(client(2).lookup(nth_module(7)), &offline).expect("a proven record");
    assert_eq!(first, second);
    assert!(offline.take_asked().is_empty());
}

#[test]
fn the_latest_head_moves_forward_only() {
    let (small, big) = (log_of(100), log_of(300));
    let world = World::of(&small);
    let client = client(2);
    let kept_size = |world: &World<'_>| {
        let kept = world.kept.borrow().clone().expect("a kept head");
        String::from_utf8(kept)
            .expect("text")
            .lines()
            .nth(1)
            .map(str::to_owned)
    };

    assert_eq!(
        run(client.update(), &world).expect("a first head"),
        Timeline::Future
    );
    assert_eq!(
        run(client.update(), &world).expect("the same head"),
        Timeline::Present
    );
    assert_eq!(kept_size(&world).as_deref(), Some("100"));

    let world = world.with_server(|path| read_log(&big, path));
    assert_eq!(
        run(client.update(), &world).expect("a newer head"),
        Timeline::Future
    );
    assert_eq!(kept_size(&world).as_deref(), Some("300"));

    let old_note = small.published.clone().expect("a head").go.into_bytes();
    assert_eq!(
        run(client.observe(old_note), &world).expect("an older head"),
        Timeline::Past
    );
    assert_eq!(kept_size(&world).as_deref(), Some("300"));
    assert_eq!(client.latest().expect("a head").tree().size(), 300);
}

#[test]
fn an_old_head_below_a_record_does_no_harm() {
    let (small, big) = (log_of(100), log_of(300));
    let world = World::of(&big);
    let client = client(2);
    run(client.update(), &world).expect("a head");
    // The answer of a server that cached the lookup when the log was smaller.
    let world = world.with_server(|path| {
        let log = if path.starts_with("/lookup/") {
            &small
        } else {
            &big
        };
        read_log(log, path)
    });
    let record = run(client.lookup(nth_module(50)), &world).expect("a proven record");
    assert_eq!(record.tree().size(), 300);
}

#[test]
fn a_restart_goes_on_from_the_kept_head() {
    let (small, big) = (log_of(100), log_of(300));
    let world = World::of(&big);
    run(client(2).update(), &world).expect("a head");

    let world = world.with_server(|path| read_log(&small, path));
    let client = client(2);
    // A server that was rolled back no longer has the tiles to prove that its head belongs to the kept one.
    let error = run(client.update(), &world).expect_err("no proof");
    assert!(
        matches!(error, Error::Remote { absent: true, .. }),
        "{error}"
    );
    assert_eq!(client.latest().expect("a head").tree().size(), 300);
}

#[test]
fn a_partial_tile_that_is_gone_is_cut_from_the_full_one() {
    let (small, big) = (log_of(100), log_of(300));
    // The head is that of the small log, but only full tiles are left of it.
    let world = World::new(|path| match path {
        "/tile/8/0/000.p/100" => Err(RemoteError::Absent("replaced".to_owned())),
        path if path.starts_with("/tile/") => read_log(&big, path),
        path => read_log(&small, path),
    });
    let record = run(client(8).lookup(nth_module(42)), &world).expect("a proven record");
    assert_eq!(record.tree().size(), 100);
    let asked = world.take_asked();
    assert!(asked.contains(&"/tile/8/0/000".to_owned()), "{asked:?}");
    // Only the part that was proven is kept.
    let cache = world.cache.borrow();
    assert_eq!(
        cache
            .get("sum.example.com/tile/8/0/000.p/100")
            .map(Vec::len),
        Some(3200)
    );
    assert!(!cache.contains_key("sum.example.com/tile/8/0/000"));
}

#[test]
fn a_cached_full_tile_serves_as_partial_one() {
    let (small, big) = (log_of(100), log_of(300));
    let world = World::of(&small);
    let full_tile = read_log(&big, "/tile/8/0/000").expect("a tile");
    world
        .cache
        .borrow_mut()
        .insert("sum.example.com/tile/8/0/000".to_owned(), full_tile);
    run(client(8).lookup(nth_module(42)), &world).expect("a proven record");
    assert_eq!(world.take_asked(), ["/lookup/example.com/!mod6@v1.0.0"]);
}

#[test]
fn a_torn_partial_tile_is_cut_from_the_cached_full_one() {
    let (small, big) = (log_of(100), log_of(300));
    let world = World::of(&small);
    let full_tile = read_log(&big, "/tile/8/0/000").expect("a tile");
    let cached = [("000", full_tile), ("000.p/100", vec![7; 31])];
    let cached = cached.map(|(name, data)| (format!("sum.example.com/tile/8/0/{name}"), data));
    world.cache.borrow_mut().extend(cached);
    run(client(8).lookup(nth_module(42)), &world).expect("a proven record");
    assert_eq!(world.take_asked(), ["/lookup/example.com/!mod6@v1.0.0"]);
}

#[test]
fn damage_in_the_cache_is_repaired_from_the_server() {
    let log = log_of(300);
    let world = World::of(&log);
    run(client(2).lookup(nth_module(7)), &world).expect("a proven record");
    let sound = world.cache.borrow().clone();
    for key in sound.keys() {
        for damage in [&b""[..], b"short", &[0; 128], &[b'x'; 32]] {
            let world = World::of(&log);
            world.cache.borrow_mut().clone_from(&sound);
            world
                .cache
                .borrow_mut()
                .insert(key.clone(), damage.to_vec());
            let record = run(client(2).lookup(nth_module(7)), &world);
            let record = record.unwrap_or_else(|error| panic!("{key} damaged: {error}"));
            assert_eq!(record.id(), 7);
            assert_eq!(
                world.cache.borrow().get(key),
                sound.get(key),
                "{key} was not repaired"
            );
        }
    }
}

#[test]
fn a_cached_answer_for_something_else_is_asked_for_again() {
    let log = log_of(300);
    let world = World::of(&log);
    let other = read_log(&log, "/lookup/example.com/!mod0@v1.0.0").expect("an answer");
    let key = "sum.example.com/lookup/example.com/!mod1@v1.0.0".to_owned();
    world.cache.borrow_mut().insert(key, other);
    let record = run(client(8).lookup(nth_module(7)), &world).expect("a proven record");
    assert_eq!(record.id(), 7);
}

#[test]
fn an_unknown_module_is_absent_with_the_servers_reason() {
    let log = log_of(10);
    let world = World::of(&log);
    let error = run(
        client(8).lookup(module("example.com/none", "v1.0.0")),
        &world,
    )
    .expect_err("nothing");
    assert!(error.is_absent() && !error.is_misbehaviour());
    assert!(
        error.to_string().contains("example.com/none@v1.0.0"),
        "{error}"
    );

    let down = World::new(|_| Err(RemoteError::Failed("connection refused".into())));
    let error = run(client(8).lookup(nth_module(0)), &down).expect_err("nothing");
    assert!(!error.is_absent() && !error.is_misbehaviour());
    assert_eq!(
        error.to_string(),
        "reading /lookup/example.com/!mod0@v1.0.0: connection refused"
    );
}

/// A kept head that other processes change between reading and swapping.
struct Contested<'a> {
    world: World<'a>,
    others: RefCell<Vec<Vec<u8>>>,
    swaps: Cell<u32>,
}

impl sumdb::client::Driver for Contested<'_> {
    fn read_latest(&self) -> Result<Option<Vec<u8>>, BoxError> {
        self.world.read_latest()
    }

    fn swap_latest(&self, old: &[u8], new: &[u8]) -> Result<sumdb::client::Swap, BoxError> {
        self.swaps.set(self.swaps.get() + 1);
        if let Some(other) = self.others.borrow_mut().pop() {
            *self.world.kept.borrow_mut() = Some(other);
        }
        self.world.swap_latest(old, new)
    }

    fn read_cache(&self, key: &str) -> Option<Vec<u8>> {
        self.world.read_cache(key)
    }

    fn write_cache(&self, key: &str, data: &[u8]) {
        self.world.write_cache(key, data);
    }

    fn read_remote(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        self.world.read_remote(path)
    }
}

#[test]
fn heads_other_processes_kept_meanwhile_are_merged() {
    let (a, b, c) = (log_of(100), log_of(200), log_of(300));
    let note =
        |log: &crate::support::MemoryLog| log.published.clone().expect("a head").go.into_bytes();

    // Others moved forward, but not as far: swapped on the second attempt.
    let driver = Contested {
        world: World::of(&c),
        others: vec![note(&b)].into(),
        swaps: Cell::new(0),
    };
    let client = client(2);
    run(client.update(), &driver).expect("a head");
    assert_eq!(driver.swaps.get(), 2);
    assert_eq!(driver.world.kept.borrow().clone(), Some(note(&c)));

    // Others moved further: taken over.
    let driver = Contested {
        world: World::new(|path| {
            if path == "/latest" {
                read_log(&a, path)
            } else {
                read_log(&c, path)
            }
        }),
        others: vec![note(&c)].into(),
        swaps: Cell::new(0),
    };
    let client = crate::support::client(2);
    run(client.update(), &driver).expect("a head");
    assert_eq!(client.latest().expect("a head").tree().size(), 300);
    assert_eq!(driver.world.kept.borrow().clone(), Some(note(&c)));
}

#[test]
fn endless_contention_is_given_up() {
    let (a, b, c) = (log_of(100), log_of(101), log_of(300));
    let note =
        |log: &crate::support::MemoryLog| log.published.clone().expect("a head").go.into_bytes();
    let others = (0..50)
        .flat_map(|_| [note(&a), note(&b)])
        .collect::<Vec<_>>();
    let driver = Contested {
        world: World::of(&c),
        others: others.into(),
        swaps: Cell::new(0),
    };
    let error = run(client(2).update(), &driver).expect_err("too many conflicts");
    assert!(matches!(error, Error::Contended), "{error}");
}

#[test]
fn a_head_that_could_not_be_kept_is_kept_by_the_next_operation() {
    let log = log_of(300);
    let client = client(8);
    let mut lookup = client.lookup(nth_module(0));
    let world = World::of(&log);
    let error = loop {
        match lookup.step() {
            Err(error) => break error,
            Ok(Step::Done(_)) => panic!("done although the head was not kept"),
            Ok(Step::Ask(requests)) => {
                for request in requests {
                    let answer = match &request {
                        Request::SwapLatest { .. } => Answer::Failed("disk full".into()),
                        Request::ReadRemote { path } => {
                            Answer::Data(read_log(&log, path).expect("data"))
                        }
                        _ => Answer::Absent(String::new()),
                    };
                    lookup
                        .answer(request, answer)
                        .expect("an answer of the right kind");
                }
            }
        }
    };
    assert_eq!(error.to_string(), "keeping the latest tree head: disk full");
    drop(lookup);

    run(client.lookup(nth_module(0)), &world).expect("a proven record");
    assert!(world.kept.borrow().is_some());
}

#[test]
fn unanswered_requests_are_asked_again() {
    let log = log_of(300);
    let client = client(8);
    let mut lookup = client.lookup(nth_module(9));
    let world = World::of(&log);
    let mut steps = 0;
    let record = loop {
        steps += 1;
        assert!(steps < 100, "no progress");
        match lookup.step().expect("a step") {
            Step::Done(record) => break record,
            // Answers the last request only.
            Step::Ask(mut requests) => {
                let request = requests.pop().expect("a request");
                let answer = match &request {
                    Request::ReadRemote { path } => {
                        Answer::Data((world.server)(path).expect("data"))
                    }
                    Request::SwapLatest { .. } => Answer::Done,
                    _ => Answer::Absent(String::new()),
                };
                lookup
                    .answer(request, answer)
                    .expect("an answer of the right kind");
            }
        }
    };
    assert_eq!(record.id(), 9);
}

/// What an operation asked for, step by step, as paths and `swap`; the cache is left out.
fn rounds<O: Operation>(mut operation: O, world: &World<'_>) -> (Result<O::Output, Error>, String) {
    let mut rounds = Vec::new();
    loop {
        let requests = match operation.step() {
            Ok(Step::Done(output)) => return (Ok(output), rounds.join("; ")),
            Ok(Step::Ask(requests)) => requests,
            Err(error) => return (Err(error), rounds.join("; ")),
        };
        let mut round = Vec::new();
        for request in requests {
            let answer = match &request {
                Request::ReadRemote { path } => {
                    round.push(path.clone());
                    Answer::Data((world.server)(path).expect("data"))
                }
                Request::SwapLatest { .. } => {
                    round.push("swap".to_owned());
                    Answer::Done
                }
                Request::WriteCache { key, data } => {
                    world.cache.borrow_mut().insert(key.clone(), data.clone());
                    Answer::Done
                }
                Request::ReadCache { .. } | Request::ReadLatest => Answer::Absent(String::new()),
            };
            let taken = operation.answer(request, answer);
            taken.expect("an answer of the right kind");
        }
        round.sort();
        rounds.extend((!round.is_empty()).then(|| round.join(" ")));
    }
}

#[test]
fn the_tile_of_a_record_is_asked_for_with_those_that_prove_its_head() {
    let (small, big) = (log_of(300), log_of(600));
    let client = client(8);
    run(client.update(), &World::of(&small)).expect("a head");
    let world = World::of(&big);
    let (record, asked) = rounds(client.lookup(nth_module(7)), &world);
    assert_eq!(record.expect("a proven record").tree().size(), 600);
    assert_eq!(
        asked,
        "/lookup/example.com/!mod1@v1.0.0; \
         /tile/8/0/000 /tile/8/0/001 /tile/8/0/002.p/88 /tile/8/1/000.p/2; \
         swap"
    );
}

#[test]
fn tiles_that_came_ahead_are_not_kept_when_their_head_is_not() {
    let (small, other) = (log_of(300), {
        let mut log = crate::support::MemoryLog::default();
        let keys = crate::support::keys();
        let mut writer = sumdb::log::LogWriter::open(keys, &mut log).expect("an empty log");
        let entries = crate::support::entries(1..601);
        writer.append(&entries, &mut log).expect("an append");
        log
    });
    let client = client(8);
    run(client.update(), &World::of(&small)).expect("a head");
    let world = World::of(&other);
    let (forked, asked) = rounds(client.lookup(nth_module(7)), &world);
    assert!(matches!(forked, Err(Error::Fork(_))), "{asked}");
    assert!(asked.contains("/tile/8/0/000"), "{asked}");
    assert_eq!(world.cache.borrow().len(), 0);
    assert_eq!(client.latest().expect("a head").tree().size(), 300);
}

#[test]
fn operations_may_overtake_each_other() {
    let (small, big) = (log_of(100), log_of(300));
    let client = client(2);
    let worlds = [World::of(&small), World::of(&big)];
    // Tiles of the small log are those of the big one, so each may be asked of either.
    let mut lookups = [client.lookup(nth_module(3)), client.lookup(nth_module(250))];
    let mut records = [None, None];
    while records.iter().any(Option::is_none) {
        for ((lookup, world), record) in lookups.iter_mut().zip(&worlds).zip(&mut records) {
            match lookup.step().expect("a step") {
                Step::Done(done) => *record = Some(done),
                Step::Ask(requests) => {
                    for request in requests {
                        let answer = match &request {
                            Request::ReadRemote { path } if path.starts_with("/tile/") => {
                                Answer::Data(read_log(&big, path).expect("a tile"))
                            }
                            Request::ReadRemote { path } => {
                                Answer::Data((world.server)(path).expect("data"))
                            }
                            Request::SwapLatest { .. } => Answer::Done,
                            _ => Answer::Absent(String::new()),
                        };
                        lookup
                            .answer(request, answer)
                            .expect("an answer of the right kind");
                    }
                }
            }
        }
    }
    assert_eq!(client.latest().expect("a head").tree().size(), 300);
}

#[test]
fn an_answer_of_another_kind_is_refused() {
    let client = client(8);
    let mut lookup = client.lookup(nth_module(0));
    let error = lookup
        .answer(Request::ReadLatest, Answer::Done)
        .expect_err("no such answer");
    assert!(matches!(error, Error::WrongAnswer(_)), "{error}");
    let request = Request::ReadRemote {
        path: "/latest".to_owned(),
    };
    assert!(
        lookup
            .answer(request, Answer::Conflict(Vec::new()))
            .is_err()
    );
}
