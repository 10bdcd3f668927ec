use std::time::Duration;

use depot::StoreTotals;
use store::{FileKind, RecordsHealth, Store};

use crate::scene::{MOD, Scene, file, get_file, get_small, list, settled};

#[tokio::test]
async fn what_was_fetched_is_counted_and_on_record() {
    let scene = Scene::new();
    let depot = scene.depot();
    depot.catch_up().await;
    assert_eq!(depot.totals(), StoreTotals::default());
    for kind in FileKind::ALL {
        get_file(&depot, &file(kind)).await.unwrap();
    }
    settled(&depot).await;
    depot.records().flush().await;
    let totals = depot.records().totals().await.unwrap();
    assert_eq!((totals.versions, totals.files), (1, 3));
    let counted = depot.totals();
    assert_eq!((counted.files, counted.bytes), (3, totals.bytes));
    assert_eq!(depot.records().health(), RecordsHealth::Ready);
    depot.close(Duration::from_secs(5)).await;
    drop(depot);

    let again = scene.depot();
    again.catch_up().await;
    assert_eq!(again.totals(), counted);
    assert!(!again.store().opened_after_crash());
    again.close(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_restart_needs_no_upstream_for_what_is_known() {
    let mut scene = Scene::new();
    let depot = scene.depot();
    get_small(&depot, FileKind::Mod).await.unwrap();
    let context = depot::Context::default();
    depot
        .answer(&list(), depot::FetchMode::Allowed, &context)
        .await
        .unwrap();
    depot.close(Duration::from_secs(5)).await;
    drop(depot);
    scene.upstream.stop();
    let depot = scene.depot();
    assert_eq!(
        get_small(&depot, FileKind::Mod).await.unwrap(),
        (scene.source(MOD), true)
    );
    let reply = depot
        .answer(&list(), depot::FetchMode::Allowed, &context)
        .await
        .unwrap();
    assert_eq!(reply.body, "v1.0.0\n");
    assert!(!reply.fetched);
}

#[tokio::test]
async fn after_a_crash_the_records_catch_up() {
    for (closed, found) in [(false, 1), (true, 0)] {
        let scene = Scene::new();
        // A process that published a file, and had not yet written down what it knows of it.
        let store = Store::open(&scene.data()).unwrap();
        let key = file(FileKind::Mod);
        assert!(store.publish_bytes(b"module m\n", &key).unwrap().is_new);
        if closed {
            store.close();
        }
        drop(store);

        let depot = scene.depot();
        depot.catch_up().await;
        assert_eq!(depot.totals().files, found);
        depot.close(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn closing_waits_for_fetches_but_not_for_ever() {
    let scene = Scene::new();
    scene.upstream.set_delay(Duration::from_millis(200));
    let depot = scene.depot();
    let asking = {
        let depot = depot.clone();
        tokio::spawn(async move { get_small(&depot, FileKind::Mod).await })
    };
    while scene.upstream.count(MOD) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    asking.abort();
    depot.close(Duration::from_secs(20)).await;
    assert!(scene.stored(MOD).exists());

    scene.upstream.set_delay(Duration::from_secs(30));
    let other = scene.depot_in_another_folder();
    let asking = {
        let other = other.clone();
        tokio::spawn(async move { get_small(&other, FileKind::Mod).await })
    };
    while scene.upstream.count(MOD) == 1 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let began = std::time::Instant::now();
    other.close(Duration::from_millis(100)).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    asking.abort();
}
