//! A git server over HTTP on loopback: `git http-backend` behind a few lines of HTTP, and servers that misbehave.
#![allow(unreachable_pub, dead_code, reason = "a module of tests")]

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone)]
pub struct SmartServer {
    pub address: SocketAddr,
    /// Bytes of all bodies it has sent.
    pub sent: Arc<AtomicU64>,
    /// `METHOD path [authorization]` of every request.
    pub requests: Arc<Mutex<Vec<String>>>,
}

/// What a server does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Proper,
    /// Files only, as any web server gives them.
    Dumb,
    /// Wants this header.
    Login(&'static str),
}

impl SmartServer {
    pub fn start(root: &Path, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            sent: Arc::default(),
            requests: Arc::default(),
        };
        let (this, root) = (server.clone(), root.to_path_buf());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (this, root) = (this.clone(), root.clone());
                std::thread::spawn(move || this.answer(&stream, &root, manner));
            }
        });
        server
    }

    fn answer(&self, stream: &TcpStream, root: &Path, manner: Manner) -> Option<()> {
        let mut reader = BufReader::new(stream);
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
        let header = |name: &str| {
            headers
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.clone())
        };
        let authorization = header("authorization").unwrap_or_default();
        let request = format!("{method} {target} {authorization}");
        self.requests.lock().unwrap().push(request);
        let mut body = Vec::new();
        if let Some(length) = header("content-length") {
            reader
                .by_ref()
                .take(length.parse().ok()?)
                .read_to_end(&mut body)
                .ok()?;
        } else if header("transfer-encoding").is_some() {
            body = chunked(&mut reader)?;
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let answer = match manner {
            Manner::Login(wanted) if authorization != wanted => {
                b"HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
            }
            Manner::Dumb => file(&root.join(path.trim_start_matches('/'))),
            _ => backend(root, &method, path, query, &headers, &body)?,
        };
        self.sent.fetch_add(answer.len() as u64, Ordering::Relaxed);
        (&*stream).write_all(&answer).ok()
    }
}

fn chunked(reader: &mut impl std::io::BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = u64::from_str_radix(size.trim(), 16).ok()?;
        reader.by_ref().take(size).read_to_end(&mut body).ok()?;
        let mut end = String::new();
        reader.read_line(&mut end).ok()?;
        if size == 0 {
            return Some(body);
        }
    }
}

fn file(path: &PathBuf) -> Vec<u8> {
    let (status, body) = match std::fs::read(path) {
        Ok(body) => (200, body),
        Err(_) => (404, Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

fn backend(
    root: &Path,
    method: &str,
    path: &str,
    query: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Option<Vec<u8>> {
    let header = |name: &str| {
        let found = headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let mut child = Command::new("git")
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROJECT_ROOT", root)
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take()?;
    let input = body.to_vec();
    std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().ok()?.stdout;
    let at = output.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&output[..at]).into_owned();
    let content = &output[at + 4..];
    let status = head
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    let answer = format!(
        "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    );
    Some([answer.into_bytes(), content.to_vec()].concat())
}

/// A server that answers every connection with `bytes`, a piece every `pause`, and then stays silent or closes.
pub fn misbehaving(
    bytes: &'static [u8],
    piece: usize,
    pause: Duration,
    silent: bool,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let _request = stream.read(&mut request);
                for part in bytes.chunks(piece.max(1)) {
                    if stream.write_all(part).is_err() {
                        return;
                    }
                    std::thread::sleep(pause);
                }
                if silent {
                    std::thread::sleep(Duration::from_mins(2));
                }
            });
        }
    });
    address
}
