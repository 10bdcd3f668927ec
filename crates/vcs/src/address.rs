//! Whether two addresses are those of one repository, however they are written.

/// Host and path of a repository's address, which as a rule are the import path of its root: without scheme, user, port
/// and `.git`. `None` for what is no address on a host.
pub fn import_path(address: &str) -> Option<String> {
    let (rest, has_scheme) = match address.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => (rest, true),
        None => (address, false),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = if has_scheme {
        rest.split_once('/')?
    } else {
        // scp's way: user@host:path
        rest.split_once(':')
            .filter(|(host, _)| !host.contains('/'))
            .or_else(|| rest.split_once('/'))?
    };
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(host, _)| host);
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let is_plain =
        |text: &str| !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    (host.contains('.') && is_plain(host) && is_plain(path))
        .then(|| format!("{}/{path}", host.to_lowercase()))
}

/// Whether two addresses mean the same repository. Hosts that tell upper from lower case in paths are rare, and the
/// answer is used for what may be done once too often.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    one == other
        || match (import_path(one), import_path(other)) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(&other),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_repository_are_the_same() {
        for address in [
            "https://git.example/Team/repo.git",
            "https://user:secret@git.example/Team/repo",
            "http://git.example:8080/Team/repo/",
            "ssh://git@git.example:2222/Team/repo.git",
            "git@git.example:Team/repo.git",
            "git.example/Team/repo",
            "https://GIT.example/Team/repo?x#y",
        ] {
            assert_eq!(
                import_path(address).as_deref(),
                Some("git.example/Team/repo"),
                "{address}"
            );
            assert!(is_same(address, "https://git.example/team/Repo"));
        }
        for nothing in [
            "",
            "git.example",
            "https://git.example",
            "https://git.example/",
            "file:///srv/repo",
            "localhost/x",
            "https:///x/y",
            "git.example/a b",
            "/srv/git.example/x",
        ] {
            assert_eq!(import_path(nothing), None, "{nothing}");
        }
        assert!(is_same("file:///srv/x", "file:///srv/x"));
        assert!(!is_same("file:///srv/x", "file:///srv/y"));
    }
}
