//! Has a file run in a confined process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use url::Url;

use crate::confined::{ARGUMENT, Answer, Greeting, Question};
use crate::directive::{Directive, directives};
use crate::engine::{Ran, World};
use crate::find::MOST_ROUNDS;

/// How long a file may take for one answer, the look-ups of names included.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const LONGEST: u64 = 256 << 10;

/// The program that is [`crate::confined()`] when its one argument is [`ARGUMENT`].
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// This program itself.
    ///
    /// # Errors
    ///
    /// When the system does not say where it is.
    pub fn own() -> std::io::Result<Self> {
        // Right even after another version was put in its place.
        let itself = Path::new("/proc/self/exe");
        if itself.exists() {
            return Ok(Self(itself.to_owned()));
        }
        std::env::current_exe().map(Self)
    }

    /// Whether `script` is a program that can answer, as far as it does without names.
    pub(crate) fn check(&self, script: &str) -> Result<(), String> {
        let url = Url::parse("https://localhost/").map_err(|error| error.to_string())?;
        self.start()?
            .ask(script, &url, World::default())
            .map(|_ran| ())
    }

    /// Asks `script` for the proxies of a URL, resolving names with `resolve` as it wants them.
    pub(crate) fn find_proxy(
        &self,
        script: &str,
        url: &Url,
        own: Option<IpAddr>,
        resolve: impl Fn(&str) -> Option<IpAddr>,
    ) -> Result<Vec<Directive>, String> {
        let mut process = self.start()?;
        let mut world = World {
            own,
            ..World::default()
        };
        for _ in 0..MOST_ROUNDS {
            match process.ask(script, url, world.clone())? {
                Ran::Answered(answer) => return understood(&answer),
                Ran::Wants(names) => {
                    for name in names {
                        let address = resolve(&name);
                        world.names.insert(name, address);
                    }
                }
            }
        }
        Err("it wants ever more names resolved".to_owned())
    }

    fn start(&self) -> Result<Process, String> {
        let mut command = Command::new(&self.0);
        command
            .arg(ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(zone) = std::env::var_os("TZ") {
            command.env("TZ", zone);
        }
        let starting = |reason: &str| format!("its process cannot be started: {reason}");
        let mut child = command
            .spawn()
            .map_err(|error| starting(&error.to_string()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let child = Arc::new(Mutex::new(child));
        let (ended, end) = channel::<()>();
        let is_overdue = Arc::new(AtomicBool::new(false));
        let mut process = Process {
            child: Arc::clone(&child),
            input: input.ok_or_else(|| starting("no pipe"))?,
            output: BufReader::new(output.ok_or_else(|| starting("no pipe"))?),
            end: Instant::now() + PATIENCE,
            is_overdue: Arc::clone(&is_overdue),
            _ended: ended,
        };
        let kill = move || {
            if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                is_overdue.store(true, Ordering::Relaxed);
                let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
                let _ended_by_itself = child.kill();
            }
        };
        std::thread::Builder::new()
            .name("pac".to_owned())
            .spawn(kill)
            .map_err(|error| starting(&error.to_string()))?;
        if let Some(reason) = process.hear::<Greeting>()? {
            tell_what_is_missing(&reason);
        }
        Ok(process)
    }
}

/// As browsers have it, to say nothing is to say that there is no proxy.
fn understood(answer: &str) -> Result<Vec<Directive>, String> {
    if answer.trim().is_empty() {
        return Ok(vec![Directive::Direct]);
    }
    let said = directives(answer);
    if said.is_empty() {
        let shown: String = answer.chars().take(80).collect();
        return Err(format!(
            "it answers {shown:?}, which is neither a proxy nor DIRECT"
        ));
    }
    Ok(said)
}

/// Says it once: it is the same for every process of this machine.
fn tell_what_is_missing(reason: &str) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::warn!(
            reason,
            "the process that runs the proxy auto-configuration file has limits, but no filter of system calls"
        );
    });
}

/// A process that is killed when its time is over, or when nobody asks it any more.
struct Process {
    child: Arc<Mutex<Child>>,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    end: Instant,
    is_overdue: Arc<AtomicBool>,
    _ended: Sender<()>,
}

impl Process {
    fn ask(&mut self, script: &str, url: &Url, world: World) -> Result<Ran, String> {
        let question = Question {
            script: script.to_owned(),
            url: url.to_string(),
            world,
            patience: self.end.saturating_duration_since(Instant::now()),
        };
        let mut line = serde_json::to_vec(&question).map_err(|error| error.to_string())?;
        line.push(b'\n');
        // A process that takes no question ends, and does not answer.
        let _taken = self.input.write_all(&line);
        self.hear::<Answer>()?
    }

    fn hear<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let mut line = String::new();
        match (&mut self.output).take(LONGEST).read_line(&mut line) {
            Ok(1..) if line.ends_with('\n') => {
                serde_json::from_str(&line).map_err(|error| error.to_string())
            }
            Ok(1..) if line.len() as u64 == LONGEST => Err("its answer is too long".to_owned()),
            _ if self.is_overdue.load(Ordering::Relaxed) => Err("it does not end".to_owned()),
            _ => Err("its process broke down, or took more than it may".to_owned()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ended_by_itself = child.kill();
        let _status = child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_say_nothing_is_to_say_that_there_is_no_proxy() {
        assert_eq!(understood(" "), Ok(vec![Directive::Direct]));
        assert_eq!(
            understood("PROXY a:1; nonsense"),
            Ok(vec![Directive::Proxy("http://a:1".to_owned())])
        );
        assert!(understood("nonsense").unwrap_err().contains("nonsense"));
    }
}
