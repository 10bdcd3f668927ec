//! Checks that are repeated, and what they leave behind.

use std::time::Duration;

use doctor::mirrors::{History, Record, State, Watch, watch};

use crate::scene::Scene;

fn watching(scene: &Scene, rounds: usize) -> Watch {
    let request = scene.request();
    Watch {
        candidates: request.candidates,
        sample: request.samples[0].clone(),
        database: request.database,
        total: request.total,
        interval: Duration::from_millis(10),
        rounds: Some(rounds),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_down_and_coming_up_is_noticed_once_each() {
    let mut scene = Scene::new();
    scene.mirror("a");
    scene.mirror("b");
    let file = scene.home.path().join("state/history.jsonl");
    let mut history = History::open(&file).unwrap();
    let watching = watching(&scene, 7);
    let ground = scene.ground();
    let mut round = 0;
    let mut seen: Vec<Vec<Record>> = Vec::new();
    let tell = |records: &[Record]| {
        seen.push(records.to_vec());
        round += 1;
        match round {
            2 => scene.places[1].server.stop(),
            5 => scene.places[1].server.start(),
            _ => {}
        }
    };
    watch(
        &ground,
        &watching,
        &mut history,
        tell,
        std::future::pending(),
    )
    .await
    .unwrap();
    assert_eq!(seen.len(), 7);
    let of = |place: usize| -> Vec<(State, bool)> {
        seen.iter()
            .map(|records| (records[place].state, records[place].changed))
            .collect()
    };
    let (up, down) = (State::Up, State::Down);
    assert!(of(0).iter().all(|one| *one == (up, false)));
    assert_eq!(
        of(1),
        [
            (up, false),
            (up, false),
            (up, false),
            (down, true),
            (down, false),
            (up, true),
            (up, false)
        ]
    );
    assert_eq!(seen[3][1].label.as_deref(), Some("tcp-refused"));
    let lines = std::fs::read_to_string(&file).unwrap();
    assert_eq!(lines.lines().count(), 14);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_front_page_makes_nobody_up_and_a_signal_ends_the_watch() {
    let mut scene = Scene::new();
    let bad = scene.mirror("bad");
    // Everything but the zip is there, as with a mirror whose store is gone.
    bad.server.fail("*.zip", testkit::Fault::status(500));
    let file = scene.home.path().join("history.jsonl");
    let mut history = History::open(&file).unwrap();
    let mut watching = watching(&scene, 1);
    watching.rounds = None;
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let mut sender = Some(sender);
    let mut states = Vec::new();
    let tell = |records: &[Record]| {
        states.push((records[0].state, records[0].label.clone()));
        drop(sender.take());
    };
    let stopped = async {
        let _dropped = receiver.await;
    };
    watch(&scene.ground(), &watching, &mut history, tell, stopped)
        .await
        .unwrap();
    assert_eq!(states[0], (State::Down, Some("goproxy-5xx".to_owned())));
}
