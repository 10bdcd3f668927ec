//! The process that runs files for a server: questions in, answers out, and nothing else.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::engine::{Ran, World, run};
use crate::filter::filter_system_calls;
use crate::find::THREAD_STACK;

/// The one argument that makes the program be such a process.
pub const ARGUMENT: &str = "run-proxy-auto-configuration";

/// Bytes of memory beside the code.
const DATA: u64 = 128 << 20;
/// Seconds of computing, for all questions together.
const SECONDS: u64 = 6;

/// One line on standard input.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) script: String,
    pub(crate) url: String,
    pub(crate) world: World,
    pub(crate) patience: Duration,
}

/// The first line on standard output: why the process is held by its limits only, where it could be held better.
pub(crate) type Greeting = Option<String>;

/// Every other line on standard output.
pub(crate) type Answer = Result<Ran, String>;

/// Answers questions from standard input on standard output until there are no more. It begins by giving up what
/// files could do harm with: from then on the process opens nothing (no file, no connection), changes nothing, starts
/// nothing, and has little memory and time.
pub fn confined() -> ExitCode {
    let thread = std::thread::Builder::new()
        .stack_size(THREAD_STACK)
        .spawn(|| {
            learn_local_time();
            let greeting = give_up()?;
            let mut output = std::io::stdout().lock();
            say(&mut output, &greeting)?;
            answer_all(std::io::stdin().lock(), output)
        });
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// The time zone is in a file that cannot be opened later.
fn learn_local_time() {
    let script = "function FindProxyForURL() { return String(new Date().getHours()) }";
    if let Ok(url) = Url::parse("https://localhost/") {
        // What it says is of no interest.
        drop(run(script, &url, World::default(), Duration::from_secs(1)));
    }
}

/// Limits are what every system has. They stop neither what needs nothing opened (removing a file, say) nor, for root,
/// new processes: the filter does, on Linux.
fn give_up() -> std::io::Result<Greeting> {
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 0),
        (Resource::Nproc, 0),
        (Resource::Data, DATA),
        (Resource::Cpu, SECONDS),
    ] {
        let mut limit = getrlimit(resource);
        let most = limit.maximum.map_or(most, |maximum| maximum.min(most));
        limit.current = Some(most);
        limit.maximum = Some(most);
        setrlimit(resource, limit)?;
    }
    Ok(filter_system_calls().err())
}

fn answer_all(questions: impl BufRead, mut answers: impl Write) -> std::io::Result<()> {
    for line in questions.lines() {
        say(&mut answers, &answer(&line?))?;
    }
    Ok(())
}

fn say(output: &mut impl Write, line: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *output, line)?;
    output.write_all(b"\n")?;
    output.flush()
}

fn answer(line: &str) -> Answer {
    let asked: Question = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let url = Url::parse(&asked.url).map_err(|error| error.to_string())?;
    run(&asked.script, &url, asked.world, asked.patience)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_answered_with_one() {
        let question = |body: &str| {
            let question = Question {
                script: format!("function FindProxyForURL(url, host) {{\n{body}\n}}"),
                url: "https://a.test/secret".to_owned(),
                world: World::default(),
                patience: Duration::from_secs(20),
            };
            serde_json::to_string(&question).unwrap()
        };
        let lines = [
            question("return 'PROXY p:1; ' + url"),
            question("return dnsResolve(host)"),
            question("throw new Error('no')"),
            "nonsense".to_owned(),
        ];
        let mut answers = Vec::new();
        answer_all(lines.join("\n").as_bytes(), &mut answers).unwrap();
        let answers: Vec<Answer> = std::str::from_utf8(&answers)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            answers[..2],
            [
                Ok(Ran::Answered("PROXY p:1; https://a.test/".to_owned())),
                Ok(Ran::Wants(["a.test".to_owned()].into())),
            ]
        );
        assert!(answers[2..].iter().all(Result::is_err), "{answers:?}");
        assert_eq!(answers.len(), 4);
    }
}
