use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use gomod::ModuleVersion;
use sumdb::log::{LogReader as _, Resource};
use sumdb::record::ModuleHashes;
use sumlog::{HashSource, Log, LogFiles, LogOptions, LookupError, SumlogError};

use crate::support::{
    copy, entries, entry, files, h1, module, name, new_keys, open, options, sound_size,
};

#[tokio::test]
async fn a_burst_of_a_thousand_versions_signs_few_heads() {
    let data = tempfile::tempdir().unwrap();
    let keys = new_keys();
    let patient = LogOptions {
        batch_delay: Duration::from_millis(50),
        ..options(data.path())
    };
    let log = Log::open(patient, copy(&keys)).unwrap();
    let ids = join_all(entries(0..1000).into_iter().map(|entry| log.append(entry))).await;
    let mut ids: Vec<u64> = ids.into_iter().map(Result::unwrap).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..1000).collect::<Vec<_>>());
    let totals = log.totals();
    assert_eq!((totals.appended, totals.contradictions), (1000, 0));
    assert!(totals.batches <= 20, "{totals:?}");
    log.close().await;
    assert_eq!(sound_size(data.path(), keys.verifier()).await, 1000);
}

/// Has hashes for even numbers only, and counts how often it is asked.
#[derive(Default)]
struct Even(AtomicUsize);

impl HashSource for Even {
    type Error = &'static str;

    async fn hashes(&self, module: &ModuleVersion) -> Result<ModuleHashes, &'static str> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let found = (0..400)
            .step_by(2)
            .map(entry)
            .find(|entry| entry.module() == module);
        found.ok_or("odd")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_look_ups_of_new_versions_are_each_answered_from_a_head_that_covers_them() {
    let data = tempfile::tempdir().unwrap();
    let keys = new_keys();
    let log = open(data.path(), &keys);
    let source = std::sync::Arc::new(Even::default());
    let asking: Vec<_> = (0..400_u64)
        .map(|n| {
            let (log, source) = (log.clone(), source.clone());
            // Every version twice, at about the same time.
            tokio::spawn(async move { (n, log.lookup(module(n / 4 * 2), &*source).await) })
        })
        .collect();
    for asked in asking {
        let (n, answer) = asked.await.unwrap();
        let body = String::from_utf8(answer.unwrap().body).unwrap();
        let (id, rest) = body.split_once('\n').unwrap();
        let size = rest
            .lines()
            .skip_while(|line| *line != "go.sum database tree")
            .nth(1)
            .unwrap();
        assert!(
            id.parse::<u64>().unwrap() < size.parse::<u64>().unwrap(),
            "{body}"
        );
        assert!(
            rest.starts_with(entry(n / 4 * 2).record().as_str()),
            "{body}"
        );
    }
    assert_eq!(log.totals().appended, 100);
    let asked_before = source.0.load(Ordering::Relaxed);
    assert!(matches!(
        log.lookup(module(1), &*source).await,
        Err(LookupError::Source("odd"))
    ));
    log.lookup(module(0), &*source).await.unwrap();
    assert_eq!(
        source.0.load(Ordering::Relaxed),
        asked_before + 1,
        "a known version is asked of nobody"
    );
    log.close().await;
    assert_eq!(sound_size(data.path(), keys.verifier()).await, 100);
}

#[tokio::test]
async fn a_second_claim_about_a_version_is_refused_and_the_first_one_stays() {
    let data = tempfile::tempdir().unwrap();
    let keys = new_keys();
    let log = open(data.path(), &keys);
    assert_eq!(log.append(entry(0)).await.unwrap(), 0);
    assert_eq!(log.append(entry(0)).await.unwrap(), 0);
    let rewritten = ModuleHashes::new(module(0), &h1("rewritten"), &h1("mod 0")).unwrap();
    let error = log.append(rewritten).await.unwrap_err();
    let SumlogError::Contradiction {
        module: about,
        rejection,
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!((about, rejection.id), (&module(0), 0));
    assert!(rejection.recorded.as_str().contains(&h1("zip 0")));
    assert!(rejection.offered.as_str().contains(&h1("rewritten")));
    assert_eq!(log.totals().contradictions, 1);
    log.close().await;
    assert_eq!(sound_size(data.path(), keys.verifier()).await, 1);
}

#[tokio::test]
async fn another_process_reads_while_one_writes_and_a_second_writer_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let keys = new_keys();
    assert!(matches!(
        LogFiles::open(&name().directory(data.path())),
        Err(SumlogError::NoLog { .. })
    ));
    let log = open(data.path(), &keys);
    let reader = files(data.path());
    for n in 0..5 {
        log.append(entry(n)).await.unwrap();
        assert_eq!(
            reader.published().unwrap().unwrap().tree().unwrap().size(),
            n + 1
        );
        assert_eq!(
            reader.find(&[module(n), module(n + 1)]).unwrap(),
            [Some(n), None]
        );
    }
    let second = Log::open(options(data.path()), copy(&keys)).unwrap_err();
    assert!(matches!(second, SumlogError::InUse { .. }), "{second}");
    log.close().await;
    assert!(matches!(
        log.append(entry(9)).await,
        Err(SumlogError::Closed)
    ));
    open(data.path(), &keys).close().await;
}

#[tokio::test]
async fn what_the_log_does_not_have_is_absent_and_what_is_no_question_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let log = open(data.path(), &new_keys());
    log.append(entry(0)).await.unwrap();
    for absent in [
        "/lookup/example.com/x@v1.0.0",
        "/tile/8/0/001",
        "/tile/8/1/000",
        "/tile/8/data/000.p/2",
    ] {
        let error = log
            .serve(Resource::parse(absent).unwrap())
            .await
            .unwrap_err();
        assert!(error.is_absence(), "{absent}: {error}");
    }
    for bad in [
        "/lookup/x",
        "/lookup/Example.com/x@v1.0.0",
        "/tile/8/0/1",
        "/tile/31/0/000",
    ] {
        let error = SumlogError::from(Resource::parse(bad).unwrap_err());
        assert!(error.is_bad_request(), "{bad}: {error}");
    }
    for there in [
        "/latest",
        "/checkpoint",
        "/tile/8/0/000.p/1",
        "/tile/0/000.p/1",
        "/tile/entries/000.p/1",
    ] {
        log.serve(Resource::parse(there).unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn a_restored_backup_is_noticed_where_the_signed_head_is_kept_elsewhere() {
    let data = tempfile::tempdir().unwrap();
    let keys = new_keys();
    let apart = || LogOptions {
        signed: Some(data.path().join("elsewhere/signed")),
        ..options(data.path())
    };
    let directory = name().directory(data.path());
    let log = Log::open(apart(), copy(&keys)).unwrap();
    log.append(entry(0)).await.unwrap();
    log.close().await;
    let backup = tempfile::tempdir().unwrap();
    copy_files(&directory, backup.path());

    let log = Log::open(apart(), copy(&keys)).unwrap();
    log.append(entry(1)).await.unwrap();
    log.close().await;
    std::fs::remove_dir_all(&directory).unwrap();
    copy_files(backup.path(), &directory);
    let error = Log::open(apart(), copy(&keys)).unwrap_err();
    assert!(
        matches!(
            error,
            SumlogError::Log(sumdb::Error::StoreBehindSigned {
                stored: 1,
                signed: 2
            })
        ),
        "{error}"
    );
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
