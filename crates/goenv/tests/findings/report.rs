//! What the report itself tells, and what it keeps to itself.

use std::fs;
use std::time::Duration;

use fault::Rule;
use goenv::{Shell, lint};

use crate::world::{World, world};

#[test]
fn a_file_from_the_future_tells_of_a_wrong_clock() {
    let world = World::new();
    world.file("home/go/pkg/mod/x", "");
    let file = fs::File::options()
        .write(true)
        .open(world.at("home/go/pkg/mod/x"))
        .unwrap();
    file.set_modified(std::time::SystemTime::now() + Duration::from_hours(72))
        .unwrap();
    assert!(
        world
            .findings()
            .iter()
            .any(|finding| finding.rule == Rule::ClockBehind)
    );
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let world = world(&[
        "GOPROXY=https://u:secret99@h.example",
        "HTTPS_PROXY=http://u:secret99@p.example:1",
        "home/.bashrc: export GOPROXY=https://u:secret99@h.example\n",
        "home/.netrc: machine a.example login u password secret99\n",
        "home/.gitconfig: [url \"https://u:secret99@g.example/\"]\n\tinsteadOf = https://g.example/\n",
    ]);
    let report = world.report();
    let shown = format!(
        "{report:?} {:?} {:?}",
        report.rules(),
        lint::findings(&report)
    );
    assert!(!shown.contains("secret99"), "{shown}");
}

#[test]
fn a_shell_file_that_sets_a_value_is_named() {
    let world = world(&[
        "home/.bashrc: # x\nexport GOPROXY=https//a\n",
        "GOPROXY=https//a",
    ]);
    let report = world.report();
    let row = report.row("GOPROXY").unwrap();
    assert_eq!(row.set_by.len(), 1, "{row:?}");
    let found = lint::findings(&report);
    let fix = &found
        .iter()
        .find(|finding| finding.rule == Rule::GoproxyScheme)
        .unwrap()
        .fixes[1];
    assert_eq!(
        fix.command(Shell::Posix),
        format!(
            "sed -i.bak '2c\\export GOPROXY=https://a' {}",
            world.at("home/.bashrc").display()
        )
    );
}
