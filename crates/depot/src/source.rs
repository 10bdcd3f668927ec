//! How a source is named among replies, and what is put on record of it.

use store::Source;
use vcs::VersionControl;

/// What is put on record of a source as it is named among replies.
pub(crate) fn recorded(source: &str) -> Source {
    if source == published_here() {
        return Source::Published;
    }
    let repository = VersionControl::ALL.iter().find_map(|system| {
        let rest = source.strip_prefix(system.command())?;
        rest.strip_prefix('+')
    });
    let Some(url) = repository else {
        return Source::upstream(source);
    };
    match url.rsplit_once('#') {
        Some((url, commit)) if is_hash(commit) => Source::repository(url, Some(commit.to_owned())),
        _ => Source::repository(url, None),
    }
}

/// The name of those who publish on this server.
pub(crate) fn published_here() -> String {
    Source::Published.to_string()
}

/// The name of a source that is a repository, with the commit that was used.
pub(crate) fn at_commit(source: String, commit: Option<&str>) -> String {
    match commit.filter(|commit| is_hash(commit)) {
        Some(commit) => format!("{source}#{commit}"),
        None => source,
    }
}

/// Whether this is the whole hash of a commit.
pub(crate) fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_recorded_by_its_kind() {
        let commit = "0123456789012345678901234567890123456789";
        let repository = "git+https://git.example.com/m";
        for (name, expected) in [
            (
                "https://proxy.example.com".to_owned(),
                Source::upstream("https://proxy.example.com"),
            ),
            (
                at_commit(repository.to_owned(), Some(commit)),
                Source::repository("https://git.example.com/m", Some(commit.to_owned())),
            ),
            (
                at_commit(repository.to_owned(), Some("main")),
                Source::repository("https://git.example.com/m", None),
            ),
            (
                "svn+https://svn.example.com/m/trunk".to_owned(),
                Source::repository("https://svn.example.com/m/trunk", None),
            ),
            (published_here(), Source::Published),
        ] {
            assert_eq!(recorded(&name), expected, "{name}");
        }
    }
}
