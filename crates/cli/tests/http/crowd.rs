//! Hundreds of clients that want the same at once, of which nothing is stored.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use testkit::Module;

use crate::limits::allow_many_files;
use crate::scene::{Ask as _, Scene};

const CLIENTS: usize = 500;

#[test]
fn five_hundred_clients_at_a_cold_cache_cost_one_fetch_of_each_file_and_little_memory() {
    allow_many_files();
    let scene = Scene::empty();
    let paths: Vec<String> = (0..4)
        .flat_map(|number| {
            let path = format!("example.com/m{number}");
            scene.tree.add(&Module::big(&path, "v1.0.0", 200_000));
            ["info", "mod", "zip"].map(|kind| format!("/{path}/@v/v1.0.0.{kind}"))
        })
        .collect();
    scene.upstream.set_delay(Duration::from_millis(300));
    let settings = [
        ("prefetch.enabled", "true"),
        // A probe may ask for one of the files again.
        ("upstreams.probe-interval", "1h"),
    ];
    let modkeep = scene.start_with(&settings);
    let sources: Vec<Vec<u8>> = paths.iter().map(|path| scene.source(path)).collect();
    let gate = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                gate.wait();
                let mut connection = modkeep.connect();
                connection.set_patience(Duration::from_mins(2)).unwrap();
                for (path, source) in paths.iter().zip(&sources) {
                    connection.request("GET", "modkeep", path, &[]).unwrap();
                    let reply = connection.reply(false).unwrap();
                    assert_eq!((reply.status, reply.complete), (200, true), "{path}");
                    assert!(reply.body == *source, "{path}");
                }
            });
        }
    });
    for path in &paths {
        assert_eq!(scene.upstream.count(path.as_str()), 1, "{path}");
    }
    let memory = modkeep.memory().peak;
    assert!(memory <= 200 << 20, "{} MiB", memory >> 20);
}
