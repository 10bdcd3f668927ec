//! Repositories over HTTP on loopback: `git http-backend` behind a few lines of HTTP/1.1, as far away as one likes.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How a [`GitServer`] answers.
#[derive(Clone, Debug, Default)]
pub struct GitManner {
    /// How long every connection, and every answer, is on its way.
    pub delay: Duration,
    /// Gives files only, as any web server does.
    pub dumb: bool,
    /// Wants this value of the header `Authorization`.
    pub login: Option<&'static str>,
    /// Speaks the oldest version of the protocol only.
    pub old: bool,
    /// Of packs only so many bytes come, and then the connection ends.
    pub cut: Option<usize>,
    /// Closes each connection after one answer.
    pub close: bool,
}

/// A server on loopback, for as long as the process lives. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GitServer {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    sent: AtomicU64,
    requests: Mutex<Vec<String>>,
}

struct Repositories {
    root: PathBuf,
    manner: GitManner,
    seen: Arc<Seen>,
}

struct Asked {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl GitServer {
    /// Serves the repositories below `root`.
    pub fn start(root: &Path, manner: GitManner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback is free");
        let address = listener.local_addr().expect("a listener has an address");
        let seen = Arc::<Seen>::default();
        let repositories = Arc::new(Repositories {
            root: root.to_path_buf(),
            manner,
            seen: Arc::clone(&seen),
        });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let repositories = Arc::clone(&repositories);
                thread::spawn(move || repositories.serve(&stream));
            }
        });
        Self { address, seen }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far: `METHOD path [authorization]`.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.seen.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// Bytes of all answers since the last call.
    pub fn take_sent(&self) -> u64 {
        self.seen.sent.swap(0, Ordering::Relaxed)
    }
}

impl Repositories {
    /// Answers until the client goes away.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let _as_it_is = stream.set_nodelay(true);
        self.seen.connections.fetch_add(1, Ordering::Relaxed);
        // A connection takes a round trip, too.
        thread::sleep(self.manner.delay);
        let mut reader = BufReader::new(stream);
        loop {
            let asked = read(&mut reader)?;
            let noted = format!(
                "{} {} {}",
                asked.method,
                asked.target,
                asked.header("authorization")
            );
            let requests = self.seen.requests.lock();
            requests.unwrap_or_else(PoisonError::into_inner).push(noted);
            thread::sleep(self.manner.delay);
            let answer = self.answer(&asked)?;
            self.seen
                .sent
                .fetch_add(answer.len() as u64, Ordering::Relaxed);
            let is_pack = answer.windows(4).any(|window| window == b"PACK");
            if let Some(cut) = self.manner.cut.filter(|_| is_pack) {
                let part = answer.get(..cut).unwrap_or(&answer);
                (&*stream).write_all(part).ok()?;
                return None;
            }
            (&*stream).write_all(&answer).ok()?;
            if self.manner.close {
                return None;
            }
        }
    }

    fn answer(&self, asked: &Asked) -> Option<Vec<u8>> {
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        if let Some(wanted) = self.manner.login
            && asked.header("authorization") != wanted
        {
            return Some(self.reply(
                "401 Unauthorized",
                "WWW-Authenticate: Basic realm=x\r\n",
                &[],
            ));
        }
        if self.manner.dumb {
            let found = std::fs::read(self.root.join(path.trim_start_matches('/')));
            return Some(match found {
                Ok(body) => self.reply("200 OK", "", &body),
                Err(_) => self.reply("404 Not Found", "", &[]),
            });
        }
        let output = self.backend(asked, path, query).ok()?;
        let end = output.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(output.get(..end)?).into_owned();
        let status = head
            .lines()
            .find_map(|line| line.strip_prefix("Status: "))
            .unwrap_or("200 OK");
        Some(self.reply(status, &format!("{head}\r\n"), output.get(end + 4..)?))
    }

    fn reply(&self, status: &str, head: &str, body: &[u8]) -> Vec<u8> {
        let close = if self.manner.close {
            "Connection: close\r\n"
        } else {
            ""
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{head}{close}Content-Length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    fn backend(&self, asked: &Asked, path: &str, query: &str) -> io::Result<Vec<u8>> {
        let protocol = if self.manner.old {
            ""
        } else {
            asked.header("git-protocol")
        };
        let mut child = Command::new("git")
            .arg("http-backend")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("REQUEST_METHOD", &asked.method)
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("CONTENT_TYPE", asked.header("content-type"))
            .env("HTTP_CONTENT_ENCODING", asked.header("content-encoding"))
            .env("GIT_PROTOCOL", protocol)
            .env("CONTENT_LENGTH", asked.body.len().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (stdin, input) = (child.stdin.take(), asked.body.clone());
        let feeding = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
        let output = child.wait_with_output()?.stdout;
        let _fed = feeding.join();
        Ok(output)
    }
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// The next request of a connection.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let mut asked = Asked {
        method,
        target,
        headers,
        body: Vec::new(),
    };
    if asked.header("transfer-encoding").is_empty() {
        let length = asked.header("content-length").parse().unwrap_or(0);
        reader.take(length).read_to_end(&mut asked.body).ok()?;
        return Some(asked);
    }
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = u64::from_str_radix(size.trim(), 16).ok()?;
        reader.take(size).read_to_end(&mut asked.body).ok()?;
        reader.read_line(&mut String::new()).ok()?;
        if size == 0 {
            return Some(asked);
        }
    }
}
