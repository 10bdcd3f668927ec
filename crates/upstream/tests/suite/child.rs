//! A question that is asked by a process of its own: which authorities are trusted is settled once in a process, by
//! variables of its environment.

use std::process::Command;

use testkit::Authority;
use upstream::{ChainError, NameServers};

use crate::scene::{LIST, Options, get};

/// They tell [`ask_as_a_child`] what to ask, and how.
const URL: &str = "MODKEEP_TEST_URL";
pub(crate) const NETRC: &str = "MODKEEP_TEST_NETRC";
pub(crate) const RESOLVERS: &str = "MODKEEP_TEST_RESOLVERS";

#[test]
#[ignore = "run by the other tests, in a process of its own"]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "how it hears from, and tells, the process that began it"
)]
fn ask_as_a_child() {
    let Ok(url) = std::env::var(URL) else {
        return;
    };
    let said = |name| std::env::var(name).unwrap_or_default();
    let chain = Options::new(&url)
        .netrc(&said(NETRC))
        .names(NameServers::parse(&said(RESOLVERS)).unwrap())
        .chain();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let verdict = match runtime.block_on(get(&chain, LIST)) {
        Ok(reply) => format!("body {:?}", reply.body),
        Err(ChainError::Trouble(failures)) => failures[0].to_string(),
        Err(other) => other.to_string(),
    };
    println!("verdict: {verdict}");
}

/// What a process that trusts `authority` alone gets from `url`. `name` is [`NETRC`] or [`RESOLVERS`].
pub(crate) fn ask(authority: &Authority, url: &str, (name, value): (&str, &str)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    std::fs::write(&bundle, authority.pem()).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child::ask_as_a_child",
            "--ignored",
            "--nocapture",
        ])
        .env("SSL_CERT_FILE", &bundle)
        .env_remove("SSL_CERT_DIR")
        .env(URL, url)
        .env(name, value)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let verdict = text.lines().find_map(|line| line.split_once("verdict: "));
    match verdict {
        Some((_, verdict)) => verdict.to_owned(),
        None => panic!("{text}{}", String::from_utf8_lossy(&output.stderr)),
    }
}
