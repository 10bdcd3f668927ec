//! Writing the recommendation, and taking it back.

use std::fs;

use doctor::diagnose::Unwatched;
use doctor::mirrors::{ApplyFailure, apply};

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_works_is_written_and_kept() {
    let mut scene = Scene::new();
    let url = scene.mirror("a").url.clone();
    fs::write(
        scene.go_env_file(),
        "# mine\nGOPROXY=direct\nGOFLAGS=-mod=mod\n",
    )
    .unwrap();
    let (comparison, request) = (scene.compare().await, scene.request());
    let fix = scene.advice(&comparison).fix.unwrap();
    let sample = &comparison.samples[0];
    let never = std::future::pending();
    apply(
        &scene.ground(),
        &fix,
        scene.home.path(),
        sample,
        &request,
        &Unwatched,
        never,
    )
    .await
    .unwrap();
    let written = fs::read_to_string(scene.go_env_file()).unwrap();
    assert!(
        written.contains(&format!("GOPROXY={url},direct\n")),
        "{written}"
    );
    assert!(written.contains("GOFLAGS=-mod=mod\n"), "{written}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_work_is_taken_back_to_the_byte() {
    let mut scene = Scene::new();
    scene.mirror("a");
    let before = "# mine\nGOPROXY=direct\n";
    fs::write(scene.go_env_file(), before).unwrap();
    let comparison = scene.compare().await;
    let fix = scene.advice(&comparison).fix.unwrap();
    // It dies between the comparison and the trial.
    scene.places[0].server.stop();
    let (ground, request) = (scene.ground(), scene.request());
    let sample = &comparison.samples[0];
    let tried = apply(
        &ground,
        &fix,
        scene.home.path(),
        sample,
        &request,
        &Unwatched,
        std::future::pending(),
    )
    .await;
    assert!(
        matches!(tried, Err(ApplyFailure::DoesNotWork(_))),
        "{tried:?}"
    );
    assert_eq!(fs::read_to_string(scene.go_env_file()).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_trial_is_taken_back() {
    let mut scene = Scene::new();
    scene.mirror("a");
    let comparison = scene.compare().await;
    let fix = scene.advice(&comparison).fix.unwrap();
    scene.places[0].server.fail("*", testkit::Fault::Hang);
    let (ground, request) = (scene.ground(), scene.request());
    let server = &scene.places[0].server;
    server.forget();
    let asked = async {
        while server.connections() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let sample = &comparison.samples[0];
    let tried = apply(
        &ground,
        &fix,
        scene.home.path(),
        sample,
        &request,
        &Unwatched,
        asked,
    )
    .await;
    assert!(matches!(tried, Err(ApplyFailure::Interrupted)), "{tried:?}");
    assert_eq!(
        fs::read_to_string(scene.go_env_file()).unwrap(),
        "GOPROXY=direct\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_that_wins_is_not_written_over() {
    let mut scene = Scene::new();
    scene.mirror("a");
    scene.set("GOPROXY", "direct");
    let (comparison, request) = (scene.compare().await, scene.request());
    let fix = scene.advice(&comparison).fix.unwrap();
    let sample = &comparison.samples[0];
    let never = std::future::pending();
    let tried = apply(
        &scene.ground(),
        &fix,
        scene.home.path(),
        sample,
        &request,
        &Unwatched,
        never,
    )
    .await;
    assert!(matches!(tried, Err(ApplyFailure::Shadowed(_))), "{tried:?}");
    assert_eq!(
        fs::read_to_string(scene.go_env_file()).unwrap(),
        "GOPROXY=direct\n"
    );
}
