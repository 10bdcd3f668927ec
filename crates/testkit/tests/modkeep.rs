//! The guard of the process, tried on a script that behaves as `modkeep serve` is to behave.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

use std::path::PathBuf;
use std::time::Duration;

use testkit::ModkeepCommand;

struct Program {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

fn program(script: &str) -> Program {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("modkeep");
    testkit::script(&file, script);
    Program {
        _folder: folder,
        file,
    }
}

const SERVER: &str = "
trap 'echo drained; exit 0' TERM
trap 'echo read again >&2' HUP
echo http://127.0.0.1:4321/
echo \"$@\" >&2
while true; do sleep 0.05; done";

/// Much longer than a shell takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn it_is_started_with_its_flags_and_drains() {
    let program = program(SERVER);
    let mut modkeep = ModkeepCommand::new(&program.file)
        .data("/d")
        .upstream("https://x,direct")
        .start();
    assert_eq!(
        (modkeep.url(), modkeep.authority()),
        ("http://127.0.0.1:4321", "127.0.0.1:4321")
    );
    let flags = "serve --listen 127.0.0.1:0 --data /d --upstream https://x,direct";
    assert!(modkeep.says_within(flags, PATIENCE), "{}", modkeep.stderr());
    modkeep.reload();
    assert!(modkeep.says_within("read again", PATIENCE));
    assert!(!modkeep.says_within("anything else", Duration::from_millis(20)));
    assert!(modkeep.is_running());
    assert!(modkeep.memory().peak > 0);
    let exit = modkeep.terminate();
    assert_eq!(
        (exit.code, exit.stdout.as_str()),
        (Some(0), "http://127.0.0.1:4321/\ndrained\n")
    );
}

#[test]
fn it_can_be_killed() {
    let program = program(SERVER);
    let exit = ModkeepCommand::new(&program.file).start().kill();
    assert_eq!((exit.code, exit.stdout.contains("drained")), (None, false));
}

#[test]
fn a_start_that_fails_tells_status_and_words() {
    let program = program("echo 'modkeep.toml:3: unknown key' >&2; exit 2");
    let exit = ModkeepCommand::new(&program.file).try_start().unwrap_err();
    assert_eq!(
        (exit.code, exit.stderr.as_str()),
        (Some(2), "modkeep.toml:3: unknown key\n")
    );
}

#[test]
fn its_environment_has_no_settings_of_this_machine() {
    let program = program("env >&2; exit 1");
    let exit = ModkeepCommand::new(&program.file)
        .env("MODKEEP_X", "1")
        .try_start()
        .unwrap_err();
    let names: Vec<&str> = exit
        .stderr
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    assert!(names.contains(&"MODKEEP_X"));
    for name in names {
        assert!(
            [
                "PATH",
                "HOME",
                "TMPDIR",
                "MODKEEP_X",
                "PWD",
                "_",
                "SHLVL",
                "OLDPWD"
            ]
            .contains(&name),
            "{name}"
        );
    }
}
