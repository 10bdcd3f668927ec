//! Repositories that follow from the import path alone: well-known hosts, and paths that name their system.

use crate::error::DiscoveryFault;
use crate::system::VersionControl;

/// What a path says about its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StaticRoot {
    pub(crate) root: String,
    pub(crate) system: VersionControl,
    pub(crate) address: Address,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Url(String),
    /// Without scheme: which one works has to be tried.
    Schemeless(String),
}

/// A host whose paths say where the repository is.
struct Host {
    prefix: &'static str,
    system: VersionControl,
    /// The rest of the root behind `prefix`, element by element.
    elements: &'static [fn(&str) -> bool],
    /// Whether the repository may have a suffix such as `.git`.
    suffix: bool,
    /// Whether packages may lie below the root.
    below: bool,
}

const HOSTS: [Host; 6] = [
    Host {
        prefix: "github.com",
        system: VersionControl::Git,
        elements: &[is_word, is_word],
        suffix: false,
        below: true,
    },
    Host {
        prefix: "bitbucket.org",
        system: VersionControl::Git,
        elements: &[is_word, is_word],
        suffix: false,
        below: true,
    },
    Host {
        prefix: "hub.jazz.net/git",
        system: VersionControl::Git,
        elements: &[is_lower, is_word],
        suffix: false,
        below: true,
    },
    Host {
        prefix: "git.apache.org",
        system: VersionControl::Git,
        elements: &[is_apache],
        suffix: true,
        below: true,
    },
    Host {
        prefix: "git.openstack.org",
        system: VersionControl::Git,
        elements: &[is_word, is_word],
        suffix: true,
        below: true,
    },
    Host {
        prefix: "chiselapp.com",
        system: VersionControl::Fossil,
        elements: &[
            |e| e == "user",
            is_alphanumeric,
            |e| e == "repository",
            is_word,
        ],
        suffix: true,
        below: false,
    },
];

/// The repository of `path`, as far as the path alone says it; `None` when its host has to be asked.
pub(crate) fn static_root(path: &str) -> Result<Option<StaticRoot>, DiscoveryFault> {
    for scheme in ["http:", "https:"] {
        if path.starts_with(scheme) {
            return Err(DiscoveryFault::SchemeInPath(format!("{scheme}//")));
        }
    }
    match HOSTS.iter().find(|host| has_path_prefix(path, host.prefix)) {
        Some(host) => host.root_of(path).map(Some),
        None => Ok(suffixed_root(path)),
    }
}

impl Host {
    fn root_of(&self, path: &str) -> Result<StaticRoot, DiscoveryFault> {
        let invalid = || DiscoveryFault::InvalidHostPath {
            host: self.prefix.to_owned(),
            path: path.to_owned(),
        };
        let behind = path
            .strip_prefix(self.prefix)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(invalid)?;
        let mut elements = behind.split('/');
        let mut root = self.prefix.to_owned();
        for is_valid in self.elements {
            let element = elements
                .next()
                .filter(|e| is_valid(e))
                .ok_or_else(invalid)?;
            root.push('/');
            root.push_str(element);
        }
        let rest: Vec<&str> = elements.collect();
        if !rest.iter().all(|e| is_word(e)) || (!self.below && !rest.is_empty()) {
            return Err(invalid());
        }
        if !self.suffix && ends_in_system(&root).is_some() {
            return Err(DiscoveryFault::VcsSuffix {
                host: self.prefix.to_owned(),
            });
        }
        Ok(StaticRoot {
            address: Address::Url(format!("https://{root}")),
            system: self.system,
            root,
        })
    }
}

/// `host/dir.git/package`: the first element that ends in the name of a system ends the root.
fn suffixed_root(path: &str) -> Option<StaticRoot> {
    let mut elements = path.split('/');
    if !is_host(elements.next()?) {
        return None;
    }
    let mut end = path.find('/')?;
    let mut found = None;
    for element in elements {
        if !is_word(element.strip_prefix('~').unwrap_or(element)) {
            return None;
        }
        end += 1 + element.len();
        if found.is_none()
            && let Some((name, system)) = ends_in_system(element)
            && !name.is_empty()
            && name != "~"
        {
            found = Some((end, system));
        }
    }
    let (end, system) = found?;
    let root = path.get(..end)?;
    let repo = root.strip_suffix(system.command())?.strip_suffix('.')?;
    Some(StaticRoot {
        root: root.to_owned(),
        system,
        address: Address::Schemeless(repo.to_owned()),
    })
}

fn ends_in_system(text: &str) -> Option<(&str, VersionControl)> {
    let (name, suffix) = text.rsplit_once('.')?;
    Some((name, VersionControl::from_command(suffix)?))
}

/// A host name with a dot, and perhaps a port.
fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, "0"));
    let is_name_byte =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    let dot_inside = name
        .trim_start_matches('.')
        .find('.')
        .is_some_and(|_| name.len() > 2);
    dot_inside
        && name.bytes().all(is_name_byte)
        && !port.is_empty()
        && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_word(element: &str) -> bool {
    !element.is_empty()
        && element
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn is_lower(element: &str) -> bool {
    !element.is_empty()
        && element
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn is_alphanumeric(element: &str) -> bool {
    !element.is_empty() && element.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_apache(element: &str) -> bool {
    element.strip_suffix(".git").is_some_and(|name| {
        !name.is_empty()
            && name.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'-')
            })
    })
}

/// True when `path` is `prefix` or lies below it, by whole elements.
pub(crate) fn has_path_prefix(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn root(path: &str) -> Option<(String, String)> {
        let found = static_root(path).unwrap()?;
        let address = match found.address {
            Address::Url(url) => url,
            Address::Schemeless(repo) => format!("?://{repo}"),
        };
        Some((found.root, address))
    }

    #[test]
    fn well_known_hosts_need_no_request() {
        for (path, want) in [
            ("github.com/a/b", "github.com/a/b"),
            ("github.com/a/b/c/v2", "github.com/a/b"),
            ("bitbucket.org/A/b-c/d", "bitbucket.org/A/b-c"),
            ("hub.jazz.net/git/a1/b/c", "hub.jazz.net/git/a1/b"),
            ("git.apache.org/x.git/y", "git.apache.org/x.git"),
            ("git.openstack.org/a/b.git/c", "git.openstack.org/a/b.git"),
            (
                "chiselapp.com/user/a/repository/b",
                "chiselapp.com/user/a/repository/b",
            ),
        ] {
            let (root, url) = root(path).unwrap();
            assert_eq!((root.as_str(), url), (want, format!("https://{want}")));
        }
    }

    #[test]
    fn malformed_paths_of_well_known_hosts_are_refused() {
        for (path, reason) in [
            (
                "github.com",
                r#"invalid github.com import path "github.com""#,
            ),
            (
                "github.com/a",
                r#"invalid github.com import path "github.com/a""#,
            ),
            (
                "github.com/a/b/c+d",
                r#"invalid github.com import path "github.com/a/b/c+d""#,
            ),
            (
                "github.com/a/b.git",
                "invalid version control suffix in github.com/ path",
            ),
            (
                "github.com/a/b.hg/c",
                "invalid version control suffix in github.com/ path",
            ),
            (
                "hub.jazz.net/git/A/b",
                r#"invalid hub.jazz.net/git import path "hub.jazz.net/git/A/b""#,
            ),
            (
                "chiselapp.com/user/a/repository/b/c",
                r#"invalid chiselapp.com import path "chiselapp.com/user/a/repository/b/c""#,
            ),
            ("https:/x.y", r#""https://" not allowed in import path"#),
        ] {
            assert_eq!(static_root(path).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn a_suffix_names_the_system() {
        for (path, want) in [
            (
                "a.example/x.git",
                Some(("a.example/x.git", "?://a.example/x")),
            ),
            (
                "a.example/~u/x.hg/y/z",
                Some(("a.example/~u/x.hg", "?://a.example/~u/x")),
            ),
            (
                "a.example:80/x.svn/b.git",
                Some(("a.example:80/x.svn", "?://a.example:80/x")),
            ),
            (
                "a.example/x.git.hg/y",
                Some(("a.example/x.git.hg", "?://a.example/x.git")),
            ),
            ("a.example/.git", None),
            ("a.example/x.git/y z", None),
            ("a/x.git", None),
            ("a.example/x", None),
            ("a.example", None),
        ] {
            let want = want.map(|(root, url)| (root.to_owned(), url.to_owned()));
            assert_eq!(root(path), want, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "[a-z./~:é-]{0,24}|\\PC*") {
            let _ = static_root(&path);
        }
    }
}
