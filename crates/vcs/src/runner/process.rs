//! One run of a program: its process group, its pipes, its limits.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::process::{Child, ChildStdin, Command};

/// How much of a program's messages is kept, in bytes: the end, where the reason stands.
const MESSAGES: usize = 32 << 10;

/// How often the disk is looked at while a program writes to it.
const DISK_INTERVAL: Duration = Duration::from_millis(200);

/// What a run may use.
#[derive(Clone, Debug)]
pub(crate) struct RunLimits {
    pub(crate) time: Duration,
    /// Bytes of output.
    pub(crate) output: u64,
    /// Bytes of memory that each process may allocate.
    pub(crate) memory: u64,
    /// A directory and how many bytes it may have.
    pub(crate) disk: Option<(PathBuf, u64)>,
}

/// Standard input of a program.
pub(crate) enum Input {
    /// Nothing.
    Empty,
    /// An empty file whose lock the program holds for as long as it lives, whatever becomes of this process.
    Lock(File),
    Bytes(Vec<u8>),
    /// What is in a file from here on, through a pipe: the program ends when this process does.
    File(File),
}

/// Where the output goes.
pub(crate) enum Sink<'a> {
    Memory,
    File(File),
    /// Line by line, without the newline.
    Lines(&'a mut (dyn FnMut(&[u8]) -> ControlFlow<()> + Send)),
}

/// A run that came to its end.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    /// The output, if it went to memory.
    pub(crate) stdout: Vec<u8>,
    /// The end of the messages.
    pub(crate) stderr: Vec<u8>,
}

/// A run that was broken off; the program was killed with all that it had started.
#[derive(Debug)]
pub(crate) enum Broken {
    Start(io::Error),
    Io(io::Error),
    Timeout,
    OutputTooLarge,
    DiskLimit(u64),
    /// The sink wanted no more.
    Stopped,
}

/// Runs `command`. When the future is dropped, the whole process group is killed.
pub(crate) async fn run(
    mut command: Command,
    input: Input,
    sink: Sink<'_>,
    limits: &RunLimits,
) -> Result<Finished, Broken> {
    let food = match input {
        Input::Empty => {
            command.stdin(Stdio::null());
            None
        }
        Input::Lock(file) => {
            command.stdin(Stdio::from(file));
            None
        }
        Input::Bytes(bytes) => {
            command.stdin(Stdio::piped());
            Some(Food::Bytes(bytes))
        }
        Input::File(file) => {
            command.stdin(Stdio::piped());
            Some(Food::File(file))
        }
    };
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::start(command, limits.memory).map_err(Broken::Start)?;
    let (stdin, stdout, stderr) = {
        let child = group.child_mut().ok_or(Broken::Stopped)?;
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    };
    let exchange = async {
        let (stdout, stderr, ()) = tokio::try_join!(
            drain(stdout, sink, limits.output),
            async { tail(stderr).await.map_err(Broken::Io) },
            async {
                feed(stdin, food).await;
                Ok(())
            }
        )?;
        let status = group.wait().await.map_err(Broken::Io)?;
        Ok(Finished {
            status,
            stdout,
            stderr,
        })
    };
    tokio::select! {
        finished = exchange => finished,
        () = tokio::time::sleep(limits.time) => Err(Broken::Timeout),
        limit = outgrown(limits.disk.as_ref()) => Err(Broken::DiskLimit(limit)),
    }
}

/// A program and everything it starts.
struct Group {
    child: Option<Child>,
    id: Option<Pid>,
}

impl Group {
    fn start(mut command: Command, memory: u64) -> io::Result<Self> {
        command.process_group(0);
        let child = command.spawn()?;
        let id = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        limit_memory(id, memory);
        Ok(Self {
            child: Some(child),
            id,
        })
    }

    fn child_mut(&mut self) -> Option<&mut Child> {
        self.child.as_mut()
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        let child = self
            .child
            .as_mut()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let status = child.wait().await?;
        self.child = None;
        let id = self.id;
        if !reap_orphans(id) {
            // It has left something running.
            tokio::spawn(reap_in_time(id));
        }
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        // The leader is not waited for yet, so that its id is still that of the group and of nothing else.
        let id = self.id;
        if let Some(id) = id {
            let _already_gone = kill_process_group(id, Signal::KILL);
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _status = child.wait().await;
                // Its children end a moment later than it does.
                reap_in_time(id).await;
            });
        }
    }
}

/// Where this process is the first of a container, what a killed program leaves behind becomes its child and would
/// stay as a zombie. True when there is nothing (more) to wait for.
fn reap_orphans(group: Option<Pid>) -> bool {
    let Some(group) = group else {
        return true;
    };
    loop {
        match waitpgid(group, WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// Looks again for about a minute, ever more seldom.
async fn reap_in_time(group: Option<Pid>) {
    let mut pause = Duration::from_millis(20);
    while pause < Duration::from_mins(1) {
        if reap_orphans(group) {
            return;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

#[cfg(target_os = "linux")]
fn limit_memory(id: Option<Pid>, bytes: u64) {
    use rustix::process::{Resource, Rlimit, prlimit};
    if let Some(id) = id {
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        // Without the limit the program is still bounded by time, output and disk.
        let _best_effort = prlimit(Some(id), Resource::Data, limit);
    }
}

#[cfg(not(target_os = "linux"))]
fn limit_memory(_id: Option<Pid>, _bytes: u64) {}

/// What a program reads from a pipe.
enum Food {
    Bytes(Vec<u8>),
    File(File),
}

async fn feed(stdin: Option<ChildStdin>, food: Option<Food>) {
    let (Some(mut stdin), Some(food)) = (stdin, food) else {
        return;
    };
    // A program that ends before it has read everything says why by its status.
    let _broken_pipe = match food {
        Food::Bytes(bytes) => stdin.write_all(&bytes).await,
        Food::File(file) => {
            let file = tokio::fs::File::from_std(file);
            let mut file = BufReader::with_capacity(256 << 10, file);
            tokio::io::copy_buf(&mut file, &mut stdin).await.map(drop)
        }
    };
    let _closed = stdin.shutdown().await;
}

async fn drain(
    source: Option<impl AsyncRead + Unpin>,
    sink: Sink<'_>,
    limit: u64,
) -> Result<Vec<u8>, Broken> {
    let Some(source) = source else {
        return Ok(Vec::new());
    };
    let mut source = source.take(limit.saturating_add(1));
    let mut memory = Vec::new();
    let mut total = 0_u64;
    match sink {
        Sink::Memory => {
            source.read_to_end(&mut memory).await.map_err(Broken::Io)?;
            total = memory.len() as u64;
        }
        Sink::File(file) => {
            let mut file = tokio::fs::File::from_std(file);
            total =
                tokio::io::copy_buf(&mut BufReader::with_capacity(256 << 10, source), &mut file)
                    .await
                    .map_err(Broken::Io)?;
            file.flush().await.map_err(Broken::Io)?;
        }
        Sink::Lines(take) => {
            let mut lines = BufReader::new(source);
            let mut line = Vec::new();
            loop {
                line.clear();
                let read = lines
                    .read_until(b'\n', &mut line)
                    .await
                    .map_err(Broken::Io)?;
                if read == 0 {
                    break;
                }
                total = total.saturating_add(read as u64);
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                if total <= limit && take(&line).is_break() {
                    return Err(Broken::Stopped);
                }
            }
        }
    }
    if total > limit {
        return Err(Broken::OutputTooLarge);
    }
    Ok(memory)
}

async fn tail(source: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let Some(mut source) = source else {
        return Ok(Vec::new());
    };
    let mut kept = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = source.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        kept.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if kept.len() > 2 * MESSAGES {
            kept.drain(..kept.len() - MESSAGES);
        }
    }
    if kept.len() > MESSAGES {
        kept.drain(..kept.len() - MESSAGES);
    }
    Ok(kept)
}

/// Ends when the directory is larger than its limit.
async fn outgrown(disk: Option<&(PathBuf, u64)>) -> u64 {
    let Some((directory, limit)) = disk else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(DISK_INTERVAL).await;
        let directory = directory.clone();
        let size = tokio::task::spawn_blocking(move || directory_size(&directory)).await;
        if size.is_ok_and(|size| size > *limit) {
            return *limit;
        }
    }
}

/// Bytes of all files below `directory`. What disappears meanwhile does not count.
pub(crate) fn directory_size(directory: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => directory_size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script);
        command
    }

    fn limits() -> RunLimits {
        RunLimits {
            time: Duration::from_secs(20),
            output: 1000,
            memory: 1 << 30,
            disk: None,
        }
    }

    #[tokio::test]
    async fn output_messages_and_status_come_back() {
        let done = run(
            shell("cat; echo out; echo err >&2; exit 3"),
            Input::Bytes(b"in\n".to_vec()),
            Sink::Memory,
            &limits(),
        )
        .await
        .unwrap();
        assert_eq!(done.status.code(), Some(3));
        assert_eq!(
            (done.stdout.as_slice(), done.stderr.as_slice()),
            (&b"in\nout\n"[..], &b"err\n"[..])
        );
    }

    #[tokio::test]
    async fn endless_output_is_cut_and_endless_messages_are_not_kept() {
        let endless = run(shell("yes"), Input::Empty, Sink::Memory, &limits()).await;
        assert!(matches!(endless, Err(Broken::OutputTooLarge)));
        let talkative = "i=0; while [ $i -lt 4000 ]; do echo 0123456789012345678901234567890 >&2; i=$((i+1)); done; echo last >&2";
        let done = run(shell(talkative), Input::Empty, Sink::Memory, &limits())
            .await
            .unwrap();
        assert!(done.stderr.len() <= MESSAGES && done.stderr.ends_with(b"last\n"));
    }

    #[tokio::test]
    async fn a_sink_of_lines_can_stop_the_program() {
        let mut seen = Vec::new();
        let mut take = |line: &[u8]| {
            seen.push(line.to_vec());
            if seen.len() == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let stopped = run(
            shell("echo a; echo b; sleep 60"),
            Input::Empty,
            Sink::Lines(&mut take),
            &limits(),
        )
        .await;
        assert!(matches!(stopped, Err(Broken::Stopped)));
        assert_eq!(seen, [b"a".to_vec(), b"b".to_vec()]);
    }

    #[tokio::test]
    async fn a_timeout_kills_grandchildren_too() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!("(sleep 2; touch '{}') & sleep 60", mark.display());
        let limits = RunLimits {
            time: Duration::from_millis(300),
            ..limits()
        };
        let broken = run(shell(&script), Input::Empty, Sink::Memory, &limits).await;
        assert!(matches!(broken, Err(Broken::Timeout)));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!mark.exists());
    }

    #[tokio::test]
    async fn a_directory_that_grows_too_large_ends_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "head -c 300000 /dev/zero > '{}/x'; sleep 60",
            folder.path().display()
        );
        let limits = RunLimits {
            disk: Some((folder.path().to_path_buf(), 100_000)),
            ..limits()
        };
        let broken = run(shell(&script), Input::Empty, Sink::Memory, &limits).await;
        assert!(matches!(broken, Err(Broken::DiskLimit(100_000))));
    }

    #[tokio::test]
    async fn a_lock_is_held_by_the_program_that_outlives_its_holder() {
        use rustix::fs::{FlockOperation, flock};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = File::create(&path).unwrap();
        flock(&held, FlockOperation::LockExclusive).unwrap();
        let running = tokio::spawn(async move {
            run(
                shell("sleep 60"),
                Input::Lock(held),
                Sink::Memory,
                &limits(),
            )
            .await
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let other = File::open(&path).unwrap();
        let try_lock = || flock(&other, FlockOperation::NonBlockingLockExclusive);
        assert!(try_lock().is_err());
        running.abort();
        let _aborted = running.await;
        for _ in 0..1200 {
            if try_lock().is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the lock outlived the program");
    }
}
