//! What a URL in a log was for, and which hosts and paths are public.

/// What a request was for, told by its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A file of the module proxy protocol.
    Goproxy,
    /// A toolchain, fetched like a module.
    Toolchain,
    /// The checksum database, at its own host or relayed by a proxy.
    Sumdb,
    /// Import-path discovery.
    Discovery,
    /// The store that proxy.golang.org redirects to.
    Storage,
    /// Anything else: as a rule a repository.
    Other,
}

/// A URL found in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) text: String,
    pub(crate) host: String,
    pub(crate) purpose: Purpose,
    /// Module path, where the URL names one.
    pub(crate) module: Option<String>,
    /// Version, where the URL names one.
    pub(crate) version: Option<String>,
}

impl Url {
    /// All URLs of a line, and the text behind each.
    pub(crate) fn find_all(text: &str) -> Vec<(Self, &str)> {
        let mut found = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("://") {
            let start = rest[..at]
                .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '+')
                .map_or(0, |i| i + char_len(rest, i));
            let tail = &rest[start..];
            let end = tail
                .find(|c: char| c.is_whitespace() || "\"'`<>()|\\，。".contains(c))
                .unwrap_or(tail.len());
            let (url, after) = tail.split_at(end);
            let trimmed = url.trim_end_matches([':', ',', '.', ';', ']', '}']);
            let after = tail.get(trimmed.len()..).unwrap_or(after);
            if let Some(url) = Self::parse(trimmed) {
                found.push((url, after));
            }
            rest = tail.get(end.max(3)..).unwrap_or_default();
        }
        found
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        if !matches!(
            scheme.to_ascii_lowercase().as_str(),
            "http" | "https" | "ssh" | "git" | "git+ssh" | "file" | "socks5"
        ) {
            return None;
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let host = host_of(host).to_ascii_lowercase();
        let purpose = purpose(&host, path);
        let (module, version) = subject(purpose, &host, path);
        Some(Self {
            text: text.to_owned(),
            host,
            purpose,
            module,
            version,
        })
    }
}

fn char_len(text: &str, at: usize) -> usize {
    text.get(at..)
        .and_then(|rest| rest.chars().next())
        .map_or(1, char::len_utf8)
}

/// The host of `host`, `host:port`, `[v6]:port`.
pub(crate) fn host_of(address: &str) -> &str {
    if let Some((host, _)) = address
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return host;
    }
    match address.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => address,
    }
}

fn purpose(host: &str, path: &str) -> Purpose {
    let lookup = path.contains("/lookup/") || path.contains("/tile/");
    if path.contains("/sumdb/")
        || (lookup && path.contains('@'))
        || is_sumdb_host(host)
        || path.starts_with("/tile/8/")
    {
        Purpose::Sumdb
    } else if path.contains("/golang.org/toolchain/@v/") {
        Purpose::Toolchain
    } else if path.contains("/@v/") || path.contains("/@latest") {
        Purpose::Goproxy
    } else if path.contains("?go-get=1") || path.contains("&go-get=1") {
        Purpose::Discovery
    } else if path.contains("/proxy-golang-org") || host == "storage.googleapis.com" {
        Purpose::Storage
    } else {
        Purpose::Other
    }
}

pub(crate) fn is_sumdb_host(host: &str) -> bool {
    matches!(host, "sum.golang.org" | "sum.golang.google.cn" | "gosum.io")
}

fn subject(purpose: Purpose, host: &str, path: &str) -> (Option<String>, Option<String>) {
    let path = path.split('#').next().unwrap_or(path);
    match purpose {
        Purpose::Goproxy | Purpose::Toolchain => {
            let (module, file) = path
                .split_once("/@v/")
                .or_else(|| path.split_once("/@latest"))
                .unwrap_or((path, ""));
            let version = [".info", ".mod", ".zip", ".ziphash"]
                .iter()
                .find_map(|ext| file.strip_suffix(ext));
            (module_in(module), version.map(unescape))
        }
        Purpose::Sumdb => {
            let record = path.split_once("/lookup/").map(|(_, record)| record);
            let (module, version) = record.and_then(|record| record.split_once('@')).unzip();
            (module.map(unescape), version.map(unescape))
        }
        Purpose::Discovery => {
            let path = path
                .split('?')
                .next()
                .unwrap_or_default()
                .trim_end_matches('/');
            (Some(format!("{host}{path}")), None)
        }
        Purpose::Other if path.matches('/').count() >= 2 => {
            let path = path.trim_end_matches('/').trim_end_matches(".git");
            (Some(format!("{host}{path}")), None)
        }
        Purpose::Other | Purpose::Storage => (None, None),
    }
}

/// The module path at the end of a proxy path: from the first element that looks like a host.
fn module_in(path: &str) -> Option<String> {
    let path = unescape(path.trim_matches('/'));
    let elements: Vec<&str> = path.split('/').collect();
    let first = elements
        .iter()
        .position(|element| element.contains('.') && !element.starts_with('.'))?;
    Some(elements.get(first..)?.join("/"))
}

/// Undoes `%21` and the `!x` of capital letters.
pub(crate) fn unescape(text: &str) -> String {
    let text = text
        .replace("%21", "!")
        .replace("%2B", "+")
        .replace("%2b", "+");
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '!' => out.extend(chars.next().map(|c| c.to_ascii_uppercase())),
            c => out.push(c),
        }
    }
    out
}

/// Known hosts, one a line with their kind: `chain` (stations that everybody uses), `forge` (shared forges), `other`
/// (registries of other ecosystems: an error at one of them is not about Go modules).
const HOSTS: &str = include_str!("words/hosts.tsv");

fn hosts_of(kind: &str) -> impl Iterator<Item = &'static str> {
    let rows = HOSTS.lines().filter_map(|row| row.split_once('\t'));
    rows.filter(move |(of, _)| *of == kind)
        .map(|(_, host)| host)
}

fn is_of(kind: &str, host: &str) -> bool {
    hosts_of(kind).any(|known| known == host)
}

/// Whether the host is one that Go downloads go to, whoever runs them.
pub(crate) fn is_chain_host(host: &str) -> bool {
    is_of("chain", host)
        || is_forge(host)
        || host.starts_with("goproxy.")
        || host.starts_with("athens.")
}

pub(crate) fn is_forge(host: &str) -> bool {
    is_of("forge", host)
}

/// Whether the host belongs to another ecosystem.
pub(crate) fn is_other_registry(host: &str) -> bool {
    hosts_of("other").any(|other| {
        host == other
            || host
                .strip_suffix(other)
                .is_some_and(|rest| rest.ends_with('.'))
    })
}

/// Whether the host is one of Google's, which some networks filter.
pub(crate) fn is_google_host(host: &str) -> bool {
    [
        "golang.org",
        "googleapis.com",
        "google.com",
        "googlesource.com",
        "go.dev",
    ]
    .iter()
    .any(|google| {
        host == *google
            || host
                .strip_suffix(google)
                .is_some_and(|rest| rest.ends_with('.'))
    })
}

/// Public module proxies, which cannot see private repositories.
pub(crate) fn is_public_mirror(host: &str) -> bool {
    matches!(
        host,
        "proxy.golang.org"
            | "goproxy.cn"
            | "goproxy.io"
            | "mirrors.aliyun.com"
            | "athens.azurefd.net"
            | "gocenter.io"
    )
}

/// Whether a module path or host looks like one inside a company.
pub(crate) fn looks_private(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let host = host_of(path.split('/').next().unwrap_or_default());
    let words = [
        "corp",
        "internal",
        "intranet",
        "intra",
        "private",
        "mycompany",
        "mycorp",
        "company",
        "yourcompany",
        "my-company",
    ];
    let hinted = |part: &str| {
        part.split(['.', '-', '_', '/'])
            .any(|word| words.contains(&word))
    };
    if is_forge(host) || is_chain_host(host) {
        return path.split('/').skip(1).take(2).any(hinted);
    }
    let inside = [
        ".local",
        ".lan",
        ".internal",
        ".corp",
        ".intra",
        ".home",
        ".private",
        ".intranet",
        ".localdomain",
        ".test",
    ];
    let forge_names = [
        "git",
        "gitlab",
        "gitea",
        "gogs",
        "code",
        "scm",
        "stash",
        "bitbucket",
        "ghe",
        "github",
        "gerrit",
        "vcs",
        "repo",
        "svn",
        "source",
        "src",
        "forgejo",
        "codes",
        "codehub",
        "gitea1",
        "gitlab2",
        "dev",
        "devops",
        "tfs",
    ];
    let first = host.split('.').next().unwrap_or_default();
    let labels = host.split('.').count();
    inside.iter().any(|suffix| host.ends_with(suffix))
        || hinted(host)
        || (labels >= 3
            && forge_names.contains(&first.trim_end_matches(|c: char| c.is_ascii_digit())))
        || (labels >= 2
            && ["gitlab", "gitea", "gerrit", "bitbucket", "stash"]
                .iter()
                .any(|name| first.contains(name)))
        || is_private_address(host)
}

/// Whether an address lies in a private or loopback range.
pub(crate) fn is_private_address(host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(v4)) => {
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()
        }
        Ok(std::net::IpAddr::V6(v6)) => {
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()
        }
        Err(_) => host == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Url {
        Url::find_all(text).remove(0).0
    }

    #[test]
    fn the_purpose_is_read_from_the_url() {
        for (text, purpose, module, version) in [
            (
                "reading https://proxy.golang.org/github.com/%21burnt%21sushi/toml/@v/v1.0.0.info: 404",
                Purpose::Goproxy,
                Some("github.com/BurntSushi/toml"),
                Some("v1.0.0"),
            ),
            (
                "Get \"https://a.example/api/go/r/golang.org/x/net/@latest\": EOF",
                Purpose::Goproxy,
                Some("golang.org/x/net"),
                None,
            ),
            (
                "https://sum.golang.org/lookup/git.corp.example/a@v1.0.0: 410 Gone",
                Purpose::Sumdb,
                Some("git.corp.example/a"),
                Some("v1.0.0"),
            ),
            (
                "https://p.example/sumdb/sum.golang.org/supported: 400",
                Purpose::Sumdb,
                None,
                None,
            ),
            (
                "https://gitlab.example/a/b?go-get=1",
                Purpose::Discovery,
                Some("gitlab.example/a/b"),
                None,
            ),
            (
                "https://storage.googleapis.com/proxy-golang-org-prod/0a-x",
                Purpose::Storage,
                None,
                None,
            ),
            (
                "https://proxy.golang.org/golang.org/toolchain/@v/v0.0.1-go1.22.1.linux-amd64.zip: x",
                Purpose::Toolchain,
                Some("golang.org/toolchain"),
                Some("v0.0.1-go1.22.1.linux-amd64"),
            ),
            (
                "unable to access 'https://github.com/a/b.git/': x",
                Purpose::Other,
                Some("github.com/a/b"),
                None,
            ),
        ] {
            let url = one(text);
            assert_eq!(
                (url.purpose, url.module.as_deref(), url.version.as_deref()),
                (purpose, module, version),
                "{text}"
            );
        }
    }

    #[test]
    fn the_text_behind_a_url_is_kept() {
        let found = Url::find_all("reading https://p.example/m/@v/list: 404 Not Found");
        assert_eq!(found[0].1, ": 404 Not Found");
    }

    #[test]
    fn company_paths_are_told_from_public_ones() {
        for path in [
            "git.mycompany.com/team/x",
            "gitlab.corp.example.com/a",
            "code.example.org/x",
            "x.internal/a",
            "github.com/acme/private-lib",
            "10.1.2.3/a",
        ] {
            assert!(looks_private(path), "{path}");
        }
        for path in [
            "github.com/gin-gonic/gin",
            "golang.org/x/net",
            "gopkg.in/yaml.v3",
            "go.uber.org/zap",
            "example.com/m",
            "git.sr.ht/~a/b",
        ] {
            assert!(!looks_private(path), "{path}");
        }
    }

    #[test]
    fn other_registries_include_their_subdomains() {
        assert!(
            is_other_registry("pypi.org")
                && is_other_registry("eu.quay.io")
                && !is_other_registry("notpypi.org")
        );
    }
}
