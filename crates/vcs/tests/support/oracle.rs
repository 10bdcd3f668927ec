//! The real `go` command, fetching from the same repositories and pages.
#![allow(unreachable_pub, reason = "a module of a test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use testkit::Go;

use crate::support::{Forge, Pages};

pub struct Oracle {
    go: Go,
    folder: TempDir,
}

impl Oracle {
    /// `go` with `https://git.example/NAME` being the repository `NAME` of the forge, and the pages of all hosts
    /// below `vanity.example` and of gopkg.in being `pages`.
    pub fn new(forge: &Forge, pages: &Pages) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("gitconfig");
        let root = forge.root.path().display();
        std::fs::write(
            &config,
            format!(
                "[url \"file://{root}/\"]\n\tinsteadOf = https://git.example/\n[protocol \"file\"]\n\tallow = always\n"
            ),
        )
        .unwrap();
        let proxy = format!("http://{}", serve(pages.clone()));
        let go = Go::find()
            .env("GOPROXY", "direct")
            .env("GONOSUMDB", "*")
            .env("GOINSECURE", "*.vanity.example,gopkg.in")
            .env("GOVCS", "*:all")
            .env("HTTP_PROXY", &proxy)
            .env("http_proxy", &proxy)
            .env("HTTPS_PROXY", &proxy)
            .env("NO_PROXY", "")
            .env("USER", "tester")
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_GLOBAL", &config);
        std::fs::write(folder.path().join("go.mod"), "module main.example\n").unwrap();
        Self { go, folder }
    }

    /// `go mod download -json` of one version, with an empty module cache: what go says depends on what it has.
    pub fn download(&self, module: &str, revision: &str) -> Value {
        let wanted = format!("{module}@{revision}");
        let cache = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let output = self
            .go
            .command(self.folder.path())
            .args(["mod", "download", "-json", &wanted])
            .env("GOMODCACHE", cache)
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{wanted}: {output:?}"))
    }

    /// `go list -m -versions`.
    pub fn versions(&self, module: &str) -> Result<Vec<String>, String> {
        let arguments = [
            "list",
            "-m",
            "-e",
            "-versions",
            "-retracted",
            "-json",
            module,
        ];
        let output = self.go.run(self.folder.path(), &arguments);
        let answer: Value = serde_json::from_str(&output.stdout)
            .unwrap_or_else(|_| panic!("{module}: {}{}", output.stdout, output.stderr));
        if let Value::String(error) = &answer["Error"]["Err"] {
            return Err(error.clone());
        }
        let list = answer["Versions"].as_array().cloned().unwrap_or_default();
        Ok(list
            .iter()
            .map(|v| v.as_str().unwrap().to_owned())
            .collect())
    }

    /// A file that an answer names.
    pub fn read(answer: &Value, key: &str) -> Vec<u8> {
        std::fs::read(PathBuf::from(answer[key].as_str().unwrap())).unwrap()
    }
}

/// An HTTP proxy that has the pages itself. It ends with the test process.
fn serve(pages: Pages) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let pages = pages.clone();
            std::thread::spawn(move || answer(stream, &pages));
        }
    });
    address
}

fn answer(mut stream: TcpStream, pages: &Pages) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut lines = reader.by_ref().lines();
    let request = lines.next()?.ok()?;
    let mut head = String::new();
    let mut length = 0;
    loop {
        let line = lines.next()?.ok()?;
        if line.is_empty() {
            break;
        }
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if !lower.contains("connection:") {
            head.push_str(&line);
            head.push_str("\r\n");
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).ok()?;
    let target = request.split(' ').nth(1)?.to_owned();
    let path = target.strip_prefix("http://").map(|rest| {
        let path = rest.split('?').next().unwrap_or(rest);
        path.trim_end_matches('/').to_owned()
    });
    let asks_for_page = target.contains("?go-get=1");
    let server = path.as_ref().and_then(|path| {
        let servers = pages.servers.lock().unwrap();
        let found = servers.iter().find(|(prefix, _)| path.starts_with(prefix));
        found.map(|(_, address)| *address)
    });
    if let Some(server) = server.filter(|_| !asks_for_page) {
        return forward(stream, &request, &head, &body, server);
    }
    let found = path.and_then(|path| pages.by_path.lock().unwrap().get(&path).cloned());
    let (status, body) = found.unwrap_or((404, String::new()));
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()
}

/// Passes a request on to the server at `address`.
fn forward(
    mut client: TcpStream,
    request: &str,
    head: &str,
    body: &[u8],
    address: SocketAddr,
) -> Option<()> {
    let mut server = TcpStream::connect(address).ok()?;
    let mut words = request.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let (_, rest) = target.strip_prefix("http://")?.split_once('/')?;
    write!(
        server,
        "{method} /{rest} HTTP/1.1\r\n{head}Connection: close\r\n\r\n"
    )
    .ok()?;
    server.write_all(body).ok()?;
    std::io::copy(&mut server, &mut client).ok().map(drop)
}
