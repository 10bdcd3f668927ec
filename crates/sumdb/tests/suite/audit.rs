//! Audits of good and spoiled logs.

use sumdb::audit::{Audit, Finding, Report};
use sumdb::client::{RemoteError, run};
use sumdb::log::{LogRecord, LogStore, LogWriter, Staged};
use sumdb::tlog::{Frontier, RecordText, TreeHead};
use sumdb::{BoxError, Error};

use crate::support::{
    MemoryLog, World, client, entries, entry, h1, keys, log_of, module, read_log,
};

fn audit(
    height: u8,
    server: impl Fn(&str) -> Result<Vec<u8>, RemoteError>,
) -> Result<Report, Error> {
    let client = client(height);
    run(Audit::new(&client), &World::new(server))
}

#[test]
fn a_good_log_is_sound() {
    for size in [0, 1, 2, 4, 5, 16, 17, 64, 300] {
        let log = log_of(size);
        for height in [1, 2, 8] {
            let report = audit(height, |path| read_log(&log, path)).expect("an audit");
            assert_eq!(report.findings, [], "size {size}, height {height}");
            assert!(report.is_sound());
            assert_eq!(report.tree.size(), size);
        }
    }
    // 300 records at height 2: 75 + 19 + 5 + 1 + 1 tiles.
    let log = log_of(300);
    assert_eq!(
        audit(2, |path| read_log(&log, path))
            .expect("an audit")
            .tiles,
        101
    );
}

#[test]
fn every_changed_tile_is_found() {
    let log = log_of(300);
    let paths = std::cell::RefCell::new(Vec::new());
    let record_path = |path: &str| {
        paths.borrow_mut().push(path.to_owned());
        read_log(&log, path)
    };
    audit(3, record_path).expect("an audit");
    let tiles: Vec<String> = paths
        .into_inner()
        .into_iter()
        .filter(|path| path.starts_with("/tile/"))
        .collect();
    assert!(tiles.len() > 80, "{}", tiles.len());
    for spoiled in &tiles {
        let report = audit(3, |path| {
            let mut data = read_log(&log, path)?;
            if path == spoiled {
                let last = data.len() - 3;
                data[last] ^= 1;
            }
            Ok(data)
        });
        assert!(!report.expect("an audit").is_sound(), "{spoiled}");
    }
}

#[test]
fn findings_name_the_place() {
    let log = log_of(300);
    let report = audit(8, |path| {
        let mut data = read_log(&log, path)?;
        match path {
            "/tile/8/1/000.p/1" => data[0] ^= 1,
            "/tile/8/data/000" => {
                let text = String::from_utf8_lossy(&data).replace(&h1("zip 9"), &h1("zip 10"));
                data = text.into_bytes();
            }
            "/tile/8/data/001.p/44" => data.truncate(data.len() - 1),
            _ => {}
        }
        Ok(data)
    });
    let findings = report.expect("an audit").findings;
    let [
        Finding::Record { id: 9 },
        Finding::Bundle { tile, .. },
        Finding::Tile { tile: upper },
    ] = &findings[..]
    else {
        panic!("{findings:?}")
    };
    assert_eq!(tile, "tile/8/data/001.p/44");
    assert_eq!(upper, "tile/8/1/000.p/1");
}

/// A log with whatever records its operator put into it.
fn log_with(records: &[&str]) -> MemoryLog {
    let mut log = log_of(0);
    let records: Vec<LogRecord> = records
        .iter()
        .map(|text| LogRecord {
            module: module("example.com/any", "v1.0.0"),
            text: RecordText::parse(text.as_bytes()).expect("record text"),
        })
        .collect();
    let staged = Staged::new(Frontier::new(), records);
    log.append_records(0, staged.records()).expect("a write");
    let hashed = staged.records_are_durable().expect("hashes");
    log.write_hashes(0, hashed.hashes()).expect("a write");
    let signed = hashed
        .hashes_are_durable(&keys(), &TreeHead::empty())
        .expect("a head");
    log.publish(signed.heads()).expect("a write");
    log
}

#[test]
fn two_records_for_one_module_version_are_found() {
    let again = format!("example.com/Mod0 v1.1.0 {}\n", h1("again"));
    let texts: Vec<String> = (0..3)
        .map(|n| entry(n).record().to_string())
        .chain([again])
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let log = log_with(&texts);
    let report = audit(8, |path| read_log(&log, path)).expect("an audit");
    let module = "example.com/Mod0@v1.1.0".to_owned();
    assert_eq!(
        report.findings,
        [Finding::Duplicate {
            first: 1,
            second: 3,
            module
        }]
    );
}

#[test]
fn records_that_are_no_hash_lines_are_found() {
    let good = h1("x");
    let bad = [
        "hello\n".to_owned(),
        format!("example.com/a v1.0.0  {good}\n"),
        format!("example.com/a v1.0.0 {good} more\n"),
        "example.com/a v1.0.0 h1:short=\n".to_owned(),
        "example.com/a v1.0.0 md5:abc\n".to_owned(),
        "example.com/a v1.0.0 h2:\n".to_owned(),
        format!("example.com/a v1 {good}\n"),
        format!("example.com/a v2.0.0 {good}\n"),
        format!("example.com/../a v1.0.0 {good}\n"),
        format!("example.com/a v1.0.0 {good}\nexample.com/b v1.0.0/go.mod {good}\n"),
        format!("example.com/a v1.0.0 {good}\nexample.com/a v1.0.1/go.mod {good}\n"),
        format!(
            "example.com/a v1.0.0 {good}\nexample.com/a v1.0.0 {}\n",
            h1("y")
        ),
    ];
    let good = [
        format!("example.com/c v1.0.0 {good}\n"),
        format!("example.com/d v1.0.0/go.mod {good}\nexample.com/d v1.0.0 h2:later\n"),
    ];
    let texts: Vec<&str> = bad.iter().chain(&good).map(String::as_str).collect();
    let log = log_with(&texts);
    let report = audit(8, |path| read_log(&log, path)).expect("an audit");
    let ids: Vec<u64> = report
        .findings
        .iter()
        .map(|finding| match finding {
            Finding::Lines { id, .. } => *id,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(ids, (0..bad.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_log_that_is_not_what_was_signed_is_found() {
    // All records and tiles agree with each other, but not with the signed head.
    let signed = log_of(20);
    let mut other = log_of(0);
    let mut writer = LogWriter::open(keys(), &mut other).expect("an empty log");
    writer
        .append(&entries(100..120), &mut other)
        .expect("an append");
    let report = audit(2, |path| {
        read_log(if path == "/latest" { &signed } else { &other }, path)
    });
    assert_eq!(report.expect("an audit").findings, [Finding::Root]);
}

#[test]
fn a_server_that_went_back_is_found() {
    let (small, big) = (log_of(100), log_of(300));
    let client = client(8);
    run(client.update(), &World::of(&big)).expect("a head");
    let world = World::new(|path| read_log(if path == "/latest" { &small } else { &big }, path));
    let report = run(Audit::new(&client), &world).expect("an audit");
    assert_eq!(
        report.findings,
        [Finding::OldHead {
            offered: 100,
            known: 300
        }]
    );
    assert_eq!(report.tree.size(), 100);
}

#[test]
fn an_audit_reads_nothing_from_the_cache() {
    let log = log_of(300);
    let client = client(8);
    let world = World::of(&log);
    run(client.lookup(crate::support::nth_module(0)), &world).expect("a proven record");
    let world = world.with_server(|path| {
        let mut data = read_log(&log, path)?;
        if path == "/tile/8/0/000" {
            data[0] ^= 1;
        }
        Ok(data)
    });
    assert!(
        !run(Audit::new(&client), &world)
            .expect("an audit")
            .is_sound()
    );
}

#[test]
fn partial_tiles_that_are_gone_are_cut_from_full_ones() {
    let (small, big) = (log_of(100), log_of(300));
    let report = audit(8, |path| match path {
        path if path.contains(".p/100") => Err(RemoteError::Absent("replaced".to_owned())),
        path if path.starts_with("/tile/") => read_log(&big, path),
        path => read_log(&small, path),
    });
    assert_eq!(report.expect("an audit").findings, []);
}

#[test]
fn what_cannot_be_read_is_an_error_and_no_finding() {
    let log = log_of(300);
    let down = |path: &str| -> Result<Vec<u8>, RemoteError> {
        let cause: BoxError = "connection reset".into();
        if path.contains("/data/") {
            Err(RemoteError::Failed(cause))
        } else {
            read_log(&log, path)
        }
    };
    let error = audit(8, down).expect_err("no records");
    assert!(
        matches!(error, Error::Remote { absent: false, .. }),
        "{error}"
    );
}

#[test]
fn findings_are_limited() {
    let log = log_with(&["no hash lines\n"; 250]);
    let report = audit(8, |path| read_log(&log, path)).expect("an audit");
    assert_eq!((report.findings.len(), report.more_findings), (100, 150));
}
