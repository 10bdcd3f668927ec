//! One upstream of a chain: where it is, how to ask it, and how it fares.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use goenv::RedactedUrl;
use goenv::netrc::Netrc;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::client::{Client, Network};
use crate::file::FileUpstream;
use crate::health::Health;
use crate::http::{HttpUpstream, NoAnswer};
use crate::observe::Observer;
use crate::{Request, Small, ZipReply};

pub(crate) struct Upstream {
    pub(crate) server: Server,
    pub(crate) health: Health,
}

pub(crate) enum Server {
    Http(Box<HttpUpstream>),
    File(FileUpstream),
}

impl Upstream {
    pub(crate) fn new(
        url: &RedactedUrl,
        netrc: &Netrc,
        network: &Network,
        observer: &Arc<dyn Observer>,
    ) -> Result<Self, String> {
        if url.as_url().scheme() != "file" {
            let credentials = credentials(url.as_url(), netrc);
            let client = Client::new(network, url.as_url());
            let http = HttpUpstream::new(url.as_url(), credentials, client, observer.clone());
            return Ok(Self::from_http(http, observer));
        }
        let file = FileUpstream::new(url.as_url())
            .ok_or_else(|| format!("{url} does not name a directory of this machine"))?;
        Ok(Self {
            health: Health::new(file.source().to_owned(), observer.clone()),
            server: Server::File(file),
        })
    }

    pub(crate) fn from_http(http: HttpUpstream, observer: &Arc<dyn Observer>) -> Self {
        Self {
            health: Health::new(http.source().to_owned(), observer.clone()),
            server: Server::Http(Box::new(http)),
        }
    }

    /// The upstream, without credentials.
    pub(crate) fn source(&self) -> &str {
        self.health.source()
    }

    pub(crate) async fn fetch_small(&self, request: &Request) -> Result<Small, NoAnswer> {
        match &self.server {
            Server::Http(http) => http.fetch_small(request).await,
            Server::File(file) => file.fetch_small(request).await,
        }
    }

    pub(crate) async fn fetch_zip(&self, request: &Request) -> Result<ZipReply, NoAnswer> {
        match &self.server {
            Server::Http(http) => http.fetch_zip(request).await,
            Server::File(file) => file.fetch_zip(request).await,
        }
    }
}

/// Basic credentials from the URL, else from netrc and then over https only, as the `go` command has it.
fn credentials(url: &Url, netrc: &Netrc) -> Option<HeaderValue> {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    if !url.username().is_empty() || url.password().is_some() {
        return basic(
            &decoded(url.username()),
            &decoded(url.password().unwrap_or_default()),
        );
    }
    let entry = netrc.lookup(url).filter(|_| url.scheme() == "https")?;
    basic(&entry.login, entry.password.expose())
}

fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
