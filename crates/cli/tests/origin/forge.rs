//! Repositories made on the spot, and a web server on loopback that has them over https.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use testkit::{Authority, Identity, TlsStream, serve_tls};

/// `robot:s3cret` in Base64.
const LOGIN: &str = "Basic cm9ib3Q6czNjcmV0";

/// The hosts of the server.
const HOSTS: [&str; 3] = ["git.corp.test", "git.public.test", "go.vanity.test"];

/// A folder of repositories `HOST/NAME`, a web server for them, and its certificate authority.
pub(crate) struct Forge {
    pub(crate) root: PathBuf,
    pub(crate) address: SocketAddr,
    /// The authority's certificate, in PEM.
    pub(crate) authority: PathBuf,
    /// The authority itself.
    pub(crate) signer: Authority,
    /// `host path` of every request.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    site: Site,
}

/// What the server has.
#[derive(Clone)]
struct Site {
    root: PathBuf,
    requests: Arc<Mutex<Vec<String>>>,
    agents: Arc<Mutex<BTreeSet<String>>>,
    pages: Arc<Mutex<BTreeMap<String, String>>>,
    moved: Arc<Mutex<BTreeMap<String, String>>>,
}

/// A repository with a working tree.
pub(crate) struct Repository {
    pub(crate) directory: PathBuf,
    clock: AtomicUsize,
}

impl Forge {
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, |identity, _| identity.server_config())
    }

    /// Lets in who has a certificate of its authority only.
    pub(crate) fn start_for_known_clients(folder: &Path) -> Self {
        Self::start_with(folder, Identity::server_config_for)
    }

    fn start_with(
        folder: &Path,
        config: impl FnOnce(&Identity, &Authority) -> ServerConfig,
    ) -> Self {
        let site = Site {
            root: folder.join("forge"),
            requests: Arc::default(),
            agents: Arc::default(),
            pages: Arc::default(),
            moved: Arc::default(),
        };
        std::fs::create_dir_all(&site.root).unwrap();
        let (file, signer) = (folder.join("authority.pem"), Authority::new());
        std::fs::write(&file, signer.pem()).unwrap();
        let served = site.clone();
        let address = serve_tls(config(&signer.issue(&HOSTS), &signer), move |stream| {
            // A client that hangs up has its answer, or wants none.
            let _hung_up = answer(stream, &served);
        });
        Self {
            root: site.root.clone(),
            address,
            authority: file,
            signer,
            requests: Arc::clone(&site.requests),
            site,
        }
    }

    /// Sends who asks for what begins with `from` (host and path) to the URL that begins with `to` instead.
    pub(crate) fn move_away(&self, from: &str, to: &str) {
        let mut moved = self.site.moved.lock().unwrap();
        moved.insert(from.to_owned(), to.to_owned());
    }

    /// How clients call themselves.
    pub(crate) fn agents(&self) -> BTreeSet<String> {
        self.site.agents.lock().unwrap().clone()
    }

    /// Has a page at `path` (with its host) say where repositories are.
    pub(crate) fn page(&self, path: &str, import: &str) {
        let page =
            format!("<html><head><meta name=\"go-import\" content=\"{import}\"></head></html>");
        self.site
            .pages
            .lock()
            .unwrap()
            .insert(path.to_owned(), page);
    }

    pub(crate) fn repository(&self, name: &str) -> Repository {
        let directory = self.root.join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let repository = Repository {
            directory,
            clock: AtomicUsize::new(0),
        };
        repository.git(&["init", "-q", "-b", "main"]);
        repository
    }
}

impl Site {
    fn moved_to(&self, address: &str) -> Option<String> {
        let moved = self.moved.lock().unwrap();
        let mut places = moved.iter();
        places.find_map(|(from, to)| Some(format!("{to}{}", address.strip_prefix(from.as_str())?)))
    }
}

impl Repository {
    pub(crate) fn write(&self, path: &str, content: &str) -> &Self {
        let file = self.directory.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
        self
    }

    /// A module whose package `name` has a constant `Name` with the module's path.
    pub(crate) fn module(&self, folder: &str, path: &str, name: &str) -> &Self {
        self.write(
            &format!("{folder}go.mod"),
            &format!("module {path}\n\ngo 1.21\n"),
        );
        let code = format!("package {name}\n\nconst Name = \"{path}\"\n");
        self.write(&format!("{folder}{name}.go"), &code)
    }

    /// Commits everything, a minute after the last commit, and tells the hash.
    pub(crate) fn commit(&self) -> String {
        self.git(&["add", "-A", "-f", "."]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub(crate) fn tag(&self, name: &str) -> &Self {
        self.git(&["tag", "-f", "--", name]);
        self
    }

    fn git(&self, arguments: &[&str]) -> String {
        let minute = if arguments[0] == "commit" {
            self.clock.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        };
        let date = format!("2020-01-02T{:02}:{:02}:05Z", minute / 60, minute % 60);
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", "/nonexistent")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs([
                ("GIT_AUTHOR_NAME", "author"),
                ("GIT_AUTHOR_EMAIL", "author@example.com"),
                ("GIT_COMMITTER_NAME", "committer"),
                ("GIT_COMMITTER_EMAIL", "committer@example.com"),
                ("GIT_AUTHOR_DATE", &date),
                ("GIT_COMMITTER_DATE", &date),
            ])
            .output()
            .unwrap();
        let messages = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {messages}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn answer(stream: TlsStream, site: &Site) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let mut body = Vec::new();
    if let Ok(length) = header("content-length").parse() {
        reader.by_ref().take(length).read_to_end(&mut body).ok()?;
    } else if headers.contains_key("transfer-encoding") {
        body = chunked(&mut reader)?;
    }
    let host = header("host");
    let mut requests = site.requests.lock().unwrap();
    requests.push(format!("{host} {target}"));
    drop(requests);
    site.agents.lock().unwrap().insert(header("user-agent"));
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pages = site.pages.lock().unwrap();
    let page = pages.get(&format!("{host}{path}")).cloned();
    drop(pages);
    let answer = if let Some(place) = site.moved_to(&format!("{host}{target}")) {
        format!(
            "HTTP/1.1 301 X\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .into_bytes()
    } else if host == "git.corp.test" && header("authorization") != LOGIN {
        b"HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
    } else if let Some(page) = page.filter(|_| query.contains("go-get=1")) {
        plain("200 OK", &page)
    } else if query.contains("go-get=1") {
        plain("404 Not Found", "no such page")
    } else if let Some(file) = file(&site.root, &host, path) {
        let length = file.len();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        [head.into_bytes(), file].concat()
    } else {
        backend(
            &site.root,
            &method,
            &format!("/{host}{path}"),
            query,
            &headers,
            body,
        )?
    };
    let mut stream = reader.into_inner();
    stream.write_all(&answer).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}

/// A file of the host that has no repositories.
fn file(root: &Path, host: &str, path: &str) -> Option<Vec<u8>> {
    let is_there = host == "go.vanity.test" && !path.contains("..");
    let path = root.join(host).join(path.trim_start_matches('/'));
    is_there.then(|| std::fs::read(path).ok()).flatten()
}

fn plain(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
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

/// What `git http-backend` answers.
fn backend(
    root: &Path,
    method: &str,
    path: &str,
    query: &str,
    headers: &BTreeMap<String, String>,
    body: Vec<u8>,
) -> Option<Vec<u8>> {
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
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
    std::thread::spawn(move || stdin.write_all(&body));
    let output = child.wait_with_output().ok()?.stdout;
    let at = output.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(output.get(..at)?).into_owned();
    let content = output.get(at + 4..)?;
    let status = head
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    let mut answer = format!("HTTP/1.1 {status}\r\n{head}\r\n");
    let length = content.len();
    write!(
        answer,
        "Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    Some([answer.into_bytes(), content.to_vec()].concat())
}
