//! `/index`: new versions in the order seen.

use testkit::{Modkeep, Module};

use crate::scene::{Ask as _, Scene};

struct Line {
    path: String,
    version: String,
    timestamp: String,
}

fn index(modkeep: &Modkeep, query: &str) -> Vec<Line> {
    let reply = modkeep.get(&format!("/index{query}"));
    assert_eq!(reply.status, 200, "{query}");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    reply
        .text()
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            Line {
                path: text(&line["Path"]),
                version: text(&line["Version"]),
                timestamp: text(&line["Timestamp"]),
            }
        })
        .collect()
}

/// A `modkeep` that has seen ten versions.
fn ten(scene: &Scene) -> Modkeep {
    let modkeep = scene.start();
    for number in 0..10 {
        let module = Module::new(&format!("example.com/Many{number}"), "v1.0.0-RC.1");
        scene.tree.add(&module);
        modkeep.get_stored(&format!("/{}.mod", module.stem()));
        modkeep.get_stored(&format!("/{}.info", module.stem()));
    }
    modkeep
}

#[test]
fn each_version_is_there_once_in_the_order_seen() {
    let scene = Scene::empty();
    let modkeep = ten(&scene);
    let lines = index(&modkeep, "");
    let paths: Vec<_> = lines.iter().map(|line| line.path.as_str()).collect();
    let expected: Vec<_> = (0..10).map(|n| format!("example.com/Many{n}")).collect();
    assert_eq!(paths, expected);
    assert!(lines.iter().all(|line| line.version == "v1.0.0-RC.1"));
    assert!(
        lines
            .windows(2)
            .all(|pair| pair[0].timestamp < pair[1].timestamp)
    );
}

#[test]
fn a_reader_that_takes_pages_sees_all_of_it() {
    let scene = Scene::empty();
    let modkeep = ten(&scene);
    let mut seen = Vec::new();
    let mut since = String::new();
    loop {
        let page = index(&modkeep, &format!("?since={since}&limit=3"));
        assert!(page.len() <= 3);
        // `since` is inclusive: the last line comes again.
        let new = page.iter().filter(|line| line.timestamp != since);
        let before = seen.len();
        seen.extend(new.map(|line| line.path.clone()));
        if seen.len() == before {
            break;
        }
        since.clone_from(&page.last().unwrap().timestamp);
    }
    assert_eq!(seen.len(), 10);
    assert_eq!(index(&modkeep, "?limit=0").len(), 0);
    assert_eq!(index(&modkeep, "?since=2999-01-01T00:00:00Z").len(), 0);
    assert_eq!(index(&modkeep, "?limit=100000").len(), 10);
}

#[test]
fn a_question_that_makes_no_sense_is_refused() {
    let scene = Scene::empty();
    let modkeep = scene.start();
    for query in ["?since=yesterday", "?limit=-1", "?limit=many", "?since=1"] {
        let reply = modkeep.get(&format!("/index{query}"));
        assert_eq!(reply.status, 400, "{query}");
        assert!(reply.text().starts_with("bad request: "), "{query}");
    }
}

#[test]
fn nothing_is_lost_or_repeated_by_a_restart() {
    let scene = Scene::empty();
    let before = index(&ten(&scene), "");
    // The guard of the first process ends with a kill.
    let after = index(&scene.start(), "");
    let stamps =
        |lines: &[Line]| -> Vec<_> { lines.iter().map(|line| line.timestamp.clone()).collect() };
    assert_eq!(stamps(&before), stamps(&after));
}
