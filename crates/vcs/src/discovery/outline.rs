//! The two steps of discovery on their own, for a diagnosis that shows each of them.

use super::hosts::{Address, static_root};
use super::meta::{ModTags, go_imports, matching};
use crate::system::VersionControl;

/// Where a path or a page says a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The import path of the repository's root.
    pub root: String,
    /// What kind of repository it is.
    pub system: VersionControl,
    /// Its addresses, in the order `go` tries them; or the base of a module proxy.
    pub addresses: Vec<String>,
}

/// What the path alone says: well-known hosts, and paths that name their system. `None` when the host has to be asked.
pub fn outline_of_path(path: &str) -> Option<Outline> {
    let found = static_root(path).ok().flatten()?;
    let addresses = match found.address {
        Address::Url(url) => vec![url],
        Address::Schemeless(address) => ["https", "git+ssh", "ssh"]
            .iter()
            .map(|scheme| format!("{scheme}://{address}"))
            .collect(),
    };
    Some(Outline {
        root: found.root,
        system: found.system,
        addresses,
    })
}

/// What the go-import tags of a page say about `path`. `None` when none of them, or more than one, is about it.
pub fn outline_of_page(page: &str, path: &str) -> Option<Outline> {
    let imports = go_imports(page, ModTags::Prefer);
    let found = matching(&imports, path).ok()?;
    let system = if found.system == "mod" {
        VersionControl::Mod
    } else {
        VersionControl::from_command(&found.system)?
    };
    Some(Outline {
        root: found.prefix.clone(),
        system,
        addresses: vec![found.repository.clone()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_or_a_page_says_where_the_repository_is() {
        let known = outline_of_path("github.com/a/b/c").unwrap();
        assert_eq!(
            (known.root.as_str(), known.addresses.as_slice()),
            (
                "github.com/a/b",
                ["https://github.com/a/b".to_owned()].as_slice()
            )
        );
        let suffixed = outline_of_path("git.example.com/x.git/y").unwrap();
        assert_eq!(suffixed.addresses.len(), 3);
        assert_eq!(outline_of_path("example.com/m"), None);
        let page = r#"<head><meta name="go-import" content="example.com/m git https://git.example.com/m"></head>"#;
        assert_eq!(
            outline_of_page(page, "example.com/m/sub")
                .unwrap()
                .addresses,
            ["https://git.example.com/m"]
        );
        assert_eq!(outline_of_page(page, "example.com/other"), None);
    }
}
