//! What is compared: the catalogue, the servers that GOPROXY names, and those that people add.

use goenv::RedactedUrl;
use goenv::goproxy::ProxyList;
use url::Url;

use super::catalogue::{Listed, catalogue, same};

/// Why a mirror is among those compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// The catalogue has it, and nobody has named it.
    Catalogue,
    /// GOPROXY names it.
    Goproxy,
    /// It was added for this run.
    Added,
}

impl Provenance {
    /// The name used in machine output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Catalogue => "catalogue",
            Self::Goproxy => "goproxy",
            Self::Added => "added",
        }
    }
}

/// A server to be compared.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The base URL.
    pub url: RedactedUrl,
    /// What the catalogue knows of it.
    pub listed: Option<&'static Listed>,
    /// Why it is here.
    pub from: Provenance,
}

impl Candidate {
    fn new(url: RedactedUrl, from: Provenance) -> Self {
        let listed = Listed::of(&url);
        Self { url, listed, from }
    }

    /// The URL as it stands in GOPROXY, without its password.
    pub fn shown(&self) -> String {
        plain(&self.url.to_string())
    }

    /// The URL as it stands in GOPROXY.
    pub(super) fn entry(&self) -> String {
        plain(self.url.as_url().as_str())
    }

    /// Whether it is a server of the user's own network, which stays where it is in GOPROXY.
    pub fn is_own(&self) -> bool {
        is_own(&self.url)
    }

    /// Whether its operator has another address by now, or none.
    pub(super) fn is_dead(&self) -> bool {
        self.url
            .as_url()
            .host_str()
            .is_some_and(goenv::lint::is_dead_mirror)
    }
}

/// `https://host/` is written `https://host`.
fn plain(url: &str) -> String {
    match url.strip_suffix('/') {
        Some(base) if Url::parse(url).is_ok_and(|url| url.path() == "/") => base.to_owned(),
        _ => url.to_owned(),
    }
}

/// A server that is not open to everybody: a directory, a host inside of a network, or one that wants a login.
pub(super) fn is_own(url: &RedactedUrl) -> bool {
    let url = url.as_url();
    url.scheme() == "file"
        || !url.username().is_empty()
        || url.password().is_some()
        || url.host_str().is_some_and(goenv::lint::is_internal_host)
}

/// What is compared, each server once: those that were added, those of GOPROXY, then the catalogue if it is wanted.
pub fn candidates(
    added: &[RedactedUrl],
    goproxy: Option<&ProxyList>,
    with_catalogue: bool,
) -> Vec<Candidate> {
    let added = added
        .iter()
        .map(|url| Candidate::new(url.clone(), Provenance::Added));
    let current = goproxy.into_iter().flat_map(ProxyList::urls);
    let current = current
        .filter(|url| url.as_url().scheme() != "file")
        .map(|url| Candidate::new(url.clone(), Provenance::Goproxy));
    let listed = catalogue().iter().filter(|_| with_catalogue);
    let listed =
        listed.map(|listed| Candidate::new(listed.url.clone().into(), Provenance::Catalogue));
    let mut all: Vec<Candidate> = Vec::new();
    for candidate in added.chain(current).chain(listed) {
        if !all
            .iter()
            .any(|known| same(known.url.as_url(), candidate.url.as_url()))
        {
            all.push(candidate);
        }
    }
    all
}

/// Reads the URLs of a file, one on a line; `#` begins a comment.
pub fn read_list(text: &str) -> Result<Vec<RedactedUrl>, (usize, String)> {
    let lines = text.lines().enumerate().filter_map(|(at, line)| {
        let line = line
            .split_once('#')
            .map_or(line, |(before, _)| before)
            .trim();
        (!line.is_empty()).then_some((at + 1, line))
    });
    lines
        .map(|(at, line)| read_url(line).map_err(|why| (at, why)))
        .collect()
}

/// Reads one URL as GOPROXY would take it.
pub fn read_url(text: &str) -> Result<RedactedUrl, String> {
    let list = ProxyList::parse(text).map_err(|error| error.to_string())?;
    let mut urls = list.urls();
    match (urls.next(), urls.next()) {
        (Some(url), None)
            if list.entries.len() == 1 && matches!(url.as_url().scheme(), "http" | "https") =>
        {
            Ok(url.clone())
        }
        _ => Err("the http or https URL of one server is expected".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RedactedUrl {
        read_url(text).unwrap()
    }

    #[test]
    fn each_server_is_compared_once_and_for_the_strongest_reason() {
        let goproxy =
            ProxyList::parse("https://goproxy.cn/,https://p.corp.example/x|file:///srv|direct")
                .unwrap();
        let all = candidates(&[url("https://goproxy.io")], Some(&goproxy), true);
        let of = |shown: &str| {
            all.iter()
                .find(|one| one.shown() == shown)
                .map(|one| one.from)
        };
        assert_eq!(of("https://goproxy.io"), Some(Provenance::Added));
        assert_eq!(of("https://goproxy.cn"), Some(Provenance::Goproxy));
        assert_eq!(of("https://p.corp.example/x"), Some(Provenance::Goproxy));
        assert_eq!(of("https://proxy.golang.org"), Some(Provenance::Catalogue));
        assert_eq!(all.len(), catalogue().len() + 1);
        assert_eq!(candidates(&[], None, false).len(), 0);
    }

    #[test]
    fn servers_of_ones_own_are_told_from_public_ones() {
        for own in [
            "http://10.0.0.1/x",
            "https://goproxy",
            "https://me:pw@goproxy.cn",
            "https://p.corp.example",
        ] {
            assert!(is_own(&url(own)), "{own}");
        }
        for public in ["https://goproxy.cn", "https://mirror.example.com/go"] {
            assert!(!is_own(&url(public)), "{public}");
        }
    }

    #[test]
    fn a_file_of_urls_is_read_or_refused_with_its_line() {
        let list = read_list("# mine\nhttps://a.example  # first\n\nhttp://b.example/x\n").unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(read_list("https://a.example\nftp://b\n").unwrap_err().0, 2);
        assert!(read_url("https://a,https://b").is_err());
        assert!(read_url("https://a,direct").is_err());
        assert!(read_url("direct").is_err());
    }
}
