//! Git's protocol over HTTP, version 2 (gitprotocol-v2(5), gitprotocol-http(5)), as far as one commit needs it.
//!
//! A server that is far away costs round trips. Each run of `git` opens a connection of its own and asks the server
//! again what it can do; here connections are kept, what a server can do is remembered, and a commit costs two
//! questions: which refs are there, and the pack with its files.
//!
//! It is a short cut. Whatever is not exactly as expected here (another version of the protocol, a redirect, a server
//! that wants something else) is left to `git`, and so is saying what is wrong with it.

mod packets;
mod packs;
mod refs;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response};
use tokio::time::Instant;
use url::Url;

use crate::client::ClientKey;
use crate::error::{Error, ToolFault};
use crate::outbound::Outbound;
use crate::runner::{HttpAccess, refused};
use packets::{Packet, Packets};
pub(crate) use packs::{PackRequest, Received};
pub(crate) use refs::RefsRequest;

/// Many servers let only git in.
const AGENT: &str = concat!("git/2 (modkeep/", env!("CARGO_PKG_VERSION"), ")");
/// The header by which both sides agree on version 2.
const VERSION: (&str, &str) = ("git-protocol", "version=2");
/// Most bytes of what a server says it can do.
const CAPABILITIES: u64 = 64 << 10;
/// How many servers are remembered.
const MOST_SERVERS: usize = 1024;
/// How many clients are kept: as many as there are configurations.
const MOST_CLIENTS: usize = 256;
/// How long it is remembered what a server can do.
const MEMORY: Duration = Duration::from_hours(1);

/// Why there is no answer in this way.
#[derive(Debug)]
pub(crate) enum WireError {
    /// `git` has to do it. `lasting`: the next time, too.
    Unfit { why: String, lasting: bool },
    /// Neither can `git`.
    Failed(Error),
}

impl WireError {
    fn unexpected(why: impl Into<String>) -> Self {
        Self::Unfit {
            why: why.into(),
            lasting: true,
        }
    }

    fn broken(error: &reqwest::Error) -> Self {
        Self::Unfit {
            why: error.to_string(),
            lasting: false,
        }
    }
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What was configured for a repository, and how long an answer may take.
pub(crate) struct Ask<'a> {
    /// The program that would be run instead: what messages call it.
    pub(crate) what: &'static str,
    pub(crate) access: &'a HttpAccess,
    pub(crate) time: Duration,
}

/// The clients, and what is known of servers.
#[derive(Default)]
pub(crate) struct Wire {
    clients: Mutex<HashMap<Configuration, reqwest::Client>>,
    /// Servers that speak version 2 as it is needed, and since when that is known.
    servers: Mutex<HashMap<String, Instant>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Configuration {
    key: ClientKey,
    outbound: Option<ByAddress>,
}

/// The rules of one configuration are one object.
struct ByAddress(Arc<Outbound>);

impl PartialEq for ByAddress {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ByAddress {}

impl std::hash::Hash for ByAddress {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Wire {
    /// Whether the server of `url` is known to speak version 2.
    pub(crate) fn knows(&self, url: &str) -> bool {
        let Some(server) = Url::parse(url).ok().as_ref().and_then(server_of) else {
            return false;
        };
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers
            .get(&server)
            .is_some_and(|since| since.elapsed() < MEMORY)
    }

    fn learn(&self, url: &Url) {
        if let Some(server) = server_of(url) {
            let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
            if servers.len() >= MOST_SERVERS {
                servers.clear();
            }
            servers.insert(server, Instant::now());
        }
    }

    /// Has the server of `url` asked again what it can do: it is not the same for all of its repositories.
    pub(crate) fn forget(&self, url: &str) {
        if let Some(server) = Url::parse(url).ok().as_ref().and_then(server_of) {
            let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
            servers.remove(&server);
        }
    }

    /// Asks for what the server can do, unless that is known.
    async fn greet(&self, ask: &Ask<'_>) -> Result<(), WireError> {
        let access = ask.access;
        if self.knows(access.url.as_str()) {
            return Ok(());
        }
        let url = service(&access.url, "/info/refs?service=git-upload-pack")?;
        let response = self.send(ask, self.client(access)?.get(url)).await?;
        expect_type(&response, "application/x-git-upload-pack-advertisement")?;
        let mut packets = Packets::new(response, CAPABILITIES, ask.what);
        let (mut is_second, mut fetches) = (false, false);
        loop {
            match packets.next().await? {
                // A server may name the service first, as in older versions of the protocol.
                Some(Packet::Line(line)) if line.starts_with(b"# service=") => {
                    packets.expect_flush().await?;
                }
                Some(Packet::Line(line)) if !is_second => {
                    if line.trim_ascii() != b"version 2" {
                        return Err(WireError::unexpected("it does not speak version 2"));
                    }
                    is_second = true;
                }
                Some(Packet::Line(line)) => {
                    let line = line.trim_ascii();
                    fetches |= line.strip_prefix(b"fetch=").is_some_and(|features| {
                        features
                            .split(|byte| *byte == b' ')
                            .any(|f| f == b"shallow")
                    });
                    if line
                        .strip_prefix(b"object-format=")
                        .is_some_and(|kind| kind != b"sha1")
                    {
                        return Err(WireError::unexpected("its hashes are not of SHA-1"));
                    }
                }
                Some(Packet::Flush) if is_second => break,
                _ => return Err(WireError::unexpected("its greeting is malformed")),
            }
        }
        packets.drain().await;
        if !fetches {
            return Err(WireError::unexpected("it gives no single commits"));
        }
        self.learn(&access.url);
        Ok(())
    }

    /// Sends a command of version 2.
    async fn command(&self, ask: &Ask<'_>, body: Vec<u8>) -> Result<Response, WireError> {
        const RESULT: &str = "application/x-git-upload-pack-result";
        let url = service(&ask.access.url, "/git-upload-pack")?;
        let request = self
            .client(ask.access)?
            .post(url)
            .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
            .header(ACCEPT, RESULT)
            .body(body);
        let response = self.send(ask, request).await?;
        expect_type(&response, RESULT)?;
        Ok(response)
    }

    async fn send(&self, ask: &Ask<'_>, request: RequestBuilder) -> Result<Response, WireError> {
        let mut request = request.header(VERSION.0, VERSION.1);
        for (name, value) in &ask.access.headers {
            request = request.header(name, value);
        }
        let response = request
            .send()
            .await
            .map_err(|error| WireError::broken(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        // Where a redirect leads is for others to judge.
        if status.is_redirection() && ask.access.outbound.is_none() {
            return Err(WireError::unexpected(format!("it answers {status}")));
        }
        Err(refused(ask.what, ask.access, status.as_u16()).into())
    }

    fn client(&self, access: &HttpAccess) -> Result<reqwest::Client, WireError> {
        let configuration = Configuration {
            key: access.client.clone(),
            outbound: access.outbound.clone().map(ByAddress),
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&configuration) {
            return Ok(client.clone());
        }
        let built = access.client.build(AGENT, access.outbound.as_deref());
        let client = built.map_err(WireError::unexpected)?;
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        clients.insert(configuration, client.clone());
        Ok(client)
    }
}

/// Bounds `work`, which `git` would need as long for.
async fn within<T>(
    ask: &Ask<'_>,
    work: impl Future<Output = Result<T, WireError>>,
) -> Result<T, WireError> {
    tokio::time::timeout(ask.time, work)
        .await
        .unwrap_or_else(|_| Err(timeout(ask.what, ask.time).into()))
}

fn timeout(what: &str, time: Duration) -> Error {
    ToolFault::Timeout {
        what: what.to_owned(),
        seconds: time.as_secs(),
        network: true,
    }
    .into()
}

/// The address of a service of the repository at `url`.
fn service(url: &Url, rest: &str) -> Result<Url, WireError> {
    let base = url.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}{rest}")).map_err(|error| WireError::unexpected(error.to_string()))
}

fn server_of(url: &Url) -> Option<String> {
    let origin = url.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

fn expect_type(response: &Response, wanted: &str) -> Result<(), WireError> {
    let found = response.headers().get(CONTENT_TYPE);
    let found = found.and_then(|value| value.to_str().ok());
    if found == Some(wanted) {
        Ok(())
    } else {
        Err(WireError::unexpected(format!(
            "its answer is of type {}",
            found.unwrap_or("unknown")
        )))
    }
}
