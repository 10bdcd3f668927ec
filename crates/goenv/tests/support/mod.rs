//! The real `go`, to compare with.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The `go` program: `$MODKEEP_GO`, else the one in `PATH`. A test that needs it fails without it.
pub(crate) fn go_program() -> PathBuf {
    if let Some(named) = std::env::var_os("MODKEEP_GO") {
        return PathBuf::from(named);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join("go"))
        .find(|program| program.is_file())
        .expect("a go command in PATH, or its path in MODKEEP_GO")
}

/// `go` with nothing in its environment but a `PATH`.
pub(crate) fn go_command() -> Command {
    let mut command = Command::new(go_program());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// The program in `tests/oracle`, built once for each test binary.
pub(crate) fn oracle() -> &'static Path {
    static ORACLE: OnceLock<PathBuf> = OnceLock::new();
    ORACLE.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Several test programs may build it at the same time.
        let unfinished = dir.join(format!("oracle-{}", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/main.go");
        let built = Command::new(go_program())
            .args(["build", "-o"])
            .args([&unfinished, &source])
            .envs([
                ("GOTOOLCHAIN", "local"),
                ("GOFLAGS", ""),
                ("GOWORK", "off"),
                ("GOPROXY", "off"),
            ])
            .env("CGO_ENABLED", "0")
            .current_dir(dir)
            .output()
            .expect("go build");
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let program = dir.join("oracle");
        std::fs::rename(&unfinished, &program).expect("the oracle is put in place");
        program
    })
}

/// Asks the oracle about each text, in the given environment.
pub(crate) fn ask(
    question: &str,
    environment: &[(String, String)],
    texts: &[String],
) -> Vec<Value> {
    let mut child = Command::new(oracle())
        .arg(question)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the oracle starts");
    let input = serde_json::to_vec(texts).expect("texts are JSON");
    // The oracle reads everything before it writes, so the two cannot wait for each other.
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(&input)
        .expect("the oracle reads");
    let output = child.wait_with_output().expect("the oracle ends");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).expect("answers are JSON");
    assert_eq!(answers.len(), texts.len());
    answers
}

/// A member of an answer as text.
pub(crate) fn text<'a>(answer: &'a Value, member: &str) -> &'a str {
    answer[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} in {answer}"))
}

/// Some elements of `pool`, in random order, repetitions allowed.
pub(crate) fn some<'a>(
    random: &mut fastrand::Rng,
    pool: &[&'a str],
    at_most: usize,
) -> Vec<&'a str> {
    let count = random.usize(0..=at_most);
    std::iter::repeat_with(|| pool[random.usize(..pool.len())])
        .take(count)
        .collect()
}
