//! Repositories over HTTP, as far away as one likes: `git http-backend` behind a few lines of HTTP/1.1.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// A server on loopback, for as long as the process lives.
pub(super) struct GitServer {
    pub(super) address: SocketAddr,
}

struct Repositories {
    root: PathBuf,
    delay: Duration,
}

struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl GitServer {
    pub(super) fn start(root: &Path, delay: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listening")?;
        let address = listener.local_addr()?;
        let repositories = Arc::new(Repositories {
            root: root.to_path_buf(),
            delay,
        });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let repositories = Arc::clone(&repositories);
                thread::spawn(move || repositories.serve(&stream));
            }
        });
        Ok(Self { address })
    }
}

impl Repositories {
    /// Answers until the client goes away.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let _as_it_is = stream.set_nodelay(true);
        // A connection takes a round trip, too.
        thread::sleep(self.delay);
        let mut reader = BufReader::new(stream);
        loop {
            let request = read(&mut reader)?;
            thread::sleep(self.delay);
            let answer = self.answer(&request)?;
            (&*stream).write_all(&answer).ok()?;
        }
    }

    fn answer(&self, request: &Request) -> Option<Vec<u8>> {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let mut child = Command::new("git")
            .arg("http-backend")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("REQUEST_METHOD", &request.method)
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("CONTENT_TYPE", request.header("content-type"))
            .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
            .env("GIT_PROTOCOL", request.header("git-protocol"))
            .env("CONTENT_LENGTH", request.body.len().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (mut stdin, input) = (child.stdin.take()?, request.body.clone());
        let feeding = thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().ok()?.stdout;
        let _fed = feeding.join();
        let end = output.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(output.get(..end)?).into_owned();
        let content = output.get(end + 4..)?;
        let status = head
            .lines()
            .find_map(|line| line.strip_prefix("Status: "))
            .unwrap_or("200 OK");
        let head = format!(
            "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n",
            content.len()
        );
        Some([head.into_bytes(), content.to_vec()].concat())
    }
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// The next request of a connection.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
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
    let mut request = Request {
        method,
        target,
        headers,
        body: Vec::new(),
    };
    if request.header("transfer-encoding").is_empty() {
        let length = request.header("content-length").parse().unwrap_or(0);
        reader.take(length).read_to_end(&mut request.body).ok()?;
        return Some(request);
    }
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = u64::from_str_radix(size.trim(), 16).ok()?;
        reader.take(size).read_to_end(&mut request.body).ok()?;
        reader.read_line(&mut String::new()).ok()?;
        if size == 0 {
            return Some(request);
        }
    }
}
