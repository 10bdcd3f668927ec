//! The work for one record does not grow with the log.
//!
//! What is counted here is what takes time in a real store and over a network. The ignored test at the end measures time
//! with everything in memory. A release build on one core took 53 µs for an append, two signatures included, and 108 µs
//! for a lookup with its proof and no cache, in a log of 1,000 records; 51 µs and 131 µs in one of 1,000,000.

use std::time::Instant;

use sumdb::client::run;
use sumdb::log::{LogRecord, LogStore, LogWriter, Staged};
use sumdb::tlog::{Frontier, RecordText, TreeHead};

use crate::support::{Counts, MemoryLog, World, client, entries, entry, keys, module, nth_module};

/// A log of `size` short records, grown through the steps of a batch. Their texts say nothing about modules, so that a
/// million of them are made in seconds.
fn prefilled(size: u64) -> MemoryLog {
    let mut log = MemoryLog::default();
    LogWriter::open(keys(), &mut log).expect("an empty log");
    let any = module("example.com/any", "v1.0.0");
    let mut frontier = Frontier::new();
    let mut last = TreeHead::empty();
    let mut next = 0;
    while next < size {
        let end = size.min(next + 50_000);
        let record = |n: u64| LogRecord {
            module: any.clone(),
            text: RecordText::parse(format!("{n}\n").as_bytes()).expect("record text"),
        };
        let staged = Staged::new(frontier, (next..end).map(record).collect());
        log.append_records(staged.first(), staged.records())
            .expect("a write");
        let hashed = staged.records_are_durable().expect("hashes");
        log.write_hashes(hashed.first(), hashed.hashes())
            .expect("a write");
        let signed = hashed.hashes_are_durable(&keys(), &last).expect("a head");
        let old = log.signed.clone();
        assert!(
            log.swap_signed(old.as_ref(), signed.heads())
                .expect("a write")
        );
        log.publish(signed.heads()).expect("a write");
        last = signed.heads().tree().expect("a head");
        (frontier, _) = signed.is_published();
        next = end;
    }
    log.counts.take();
    log
}

/// The work of opening a log, of an append, and of a lookup by a client that knows nothing yet.
fn work_at(size: u64) -> (Counts, Counts, usize, usize) {
    let mut log = prefilled(size);
    let mut writer = LogWriter::open(keys(), &mut log).expect("a log");
    let opening = log.counts.take();
    writer.append(&[entry(0)], &mut log).expect("an append");
    let appending = log.counts.take();

    let world = World::of(&log);
    run(client(8).lookup(nth_module(0)), &world).expect("a proven record");
    let requests = world.take_asked().len();
    let bytes = world.cache.borrow().values().map(Vec::len).sum();
    (opening, appending, requests, bytes)
}

#[test]
fn work_grows_with_the_depth_of_the_tree_only() {
    for size in [1_000_u64, 1_000_000] {
        let depth = usize::try_from(u64::BITS - size.leading_zeros()).expect("small");
        let (opening, appending, requests, bytes) = work_at(size);
        assert!(opening.hashes_read <= depth, "{size}: {opening:?}");
        assert_eq!((opening.records_read, opening.hashes_written), (0, 0));
        assert!(
            appending.hashes_written <= depth + 1,
            "{size}: {appending:?}"
        );
        assert_eq!((appending.hashes_read, appending.records_read), (0, 0));
        // One answer, and for each level of tiles the one at the edge and the one above the record.
        let levels = depth.div_ceil(8);
        assert!(requests <= 1 + 2 * levels, "{size}: {requests} requests");
        assert!(bytes <= 1024 + 2 * levels * 8192, "{size}: {bytes} bytes");
    }
}

#[test]
#[ignore = "measures time: cargo test --release -p sumdb -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "its purpose is to print a measurement")]
fn time_for_an_append_and_a_lookup() {
    const ROUNDS: u64 = 200;
    let mut measured = Vec::new();
    for size in [1_000_u64, 1_000_000] {
        let mut log = prefilled(size);
        let mut writer = LogWriter::open(keys(), &mut log).expect("a log");
        let start = Instant::now();
        for n in 0..ROUNDS {
            writer
                .append(&entries(n..n + 1), &mut log)
                .expect("an append");
        }
        let append = start.elapsed() / u32::try_from(ROUNDS).expect("small");
        let start = Instant::now();
        for n in 0..ROUNDS {
            run(client(8).lookup(nth_module(n)), &World::of(&log)).expect("a proven record");
        }
        let lookup = start.elapsed() / u32::try_from(ROUNDS).expect("small");
        println!("{size} records: append {append:?}, lookup with proof {lookup:?}");
        measured.push((append, lookup));
    }
    let [(append, lookup), (big_append, big_lookup)] = measured[..] else {
        panic!("two sizes")
    };
    assert!(big_append < append * 2, "{append:?} became {big_append:?}");
    assert!(big_lookup < lookup * 2, "{lookup:?} became {big_lookup:?}");
}
