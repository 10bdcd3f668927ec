//! Where in its repository a module is, as far as paths say it.

use gomod::path::path_major_prefix;
use gomod::{ModulePath, semver};

use crate::discovery::Root;
use crate::discovery::hosts::has_path_prefix;
use crate::error::LayoutFault;

/// The file that a module in a subdirectory has from the root of its repository, if it has none of its own.
pub(crate) const LICENSE: &str = "LICENSE";

/// The place of a module in a repository (cmd/go `newCodeRepo`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) module: ModulePath,
    /// Import path of the repository's root.
    pub(crate) root: String,
    /// The directory of the module, unless it is in a `vN` directory below; empty for the root.
    pub(crate) directory: String,
    /// The module path without major version, for messages.
    pub(crate) prefix: String,
    /// `/v2`, `.v2`, or empty.
    pub(crate) major: String,
}

impl Layout {
    pub(crate) fn new(root: &Root, module: &ModulePath) -> Result<Self, LayoutFault> {
        let path = module.as_str();
        if !has_path_prefix(path, &root.root) {
            return Err(LayoutFault::MismatchedRoot {
                root: root.root.clone(),
                module: path.to_owned(),
            });
        }
        let (mut prefix, major) = module.split_version();
        let mut directory = "";
        if root.root == path {
            prefix = path;
        } else {
            directory = prefix
                .strip_prefix(root.root.as_str())
                .filter(|rest| rest.is_empty() || rest.starts_with('/'))
                .ok_or_else(|| LayoutFault::RootBelowModule {
                    root: root.root.clone(),
                    module: path.to_owned(),
                })?
                .trim_matches('/');
        }
        let directory = if root.subdir.is_empty() {
            directory.to_owned()
        } else {
            join(directory, &root.subdir)
        };
        Ok(Self {
            module: module.clone(),
            root: root.root.clone(),
            directory,
            prefix: prefix.to_owned(),
            major: major.to_owned(),
        })
    }

    /// What the names of this module's tags start with.
    pub(crate) fn tag_prefix(&self) -> String {
        if self.directory.is_empty() {
            String::new()
        } else {
            format!("{}/", self.directory)
        }
    }

    /// The major version of pseudo-versions without a base; empty when the path allows v0 and v1.
    pub(crate) fn pseudo_major(&self) -> &str {
        path_major_prefix(&self.major).unwrap_or_default()
    }

    /// The `vN` directory, where the module may be instead.
    pub(crate) fn major_directory(&self) -> Option<String> {
        let name = self.major.strip_prefix('/')?;
        (self.root != self.module.as_str()).then(|| join(&self.directory, name))
    }

    /// The files of a commit that tell about the module, and the one that its zip may have from elsewhere.
    pub(crate) fn files(&self) -> Vec<String> {
        let places = [Some(self.directory.clone()), self.major_directory()];
        let go_mods = places.iter().flatten().map(|place| join(place, "go.mod"));
        let license = (!self.directory.is_empty()).then(|| LICENSE.to_owned());
        go_mods.chain(license).collect()
    }

    /// The tag of `version`.
    pub(crate) fn tag_of(&self, version: &str) -> String {
        let tag = match semver::build(version) {
            Some(semver::INCOMPATIBLE) => version.strip_suffix(semver::INCOMPATIBLE),
            _ => None,
        };
        format!("{}{}", self.tag_prefix(), tag.unwrap_or(version))
    }

    /// Whether versions from v2 on may be `+incompatible`: only at the root, without a major version in the path.
    pub(crate) fn may_be_incompatible(&self) -> bool {
        self.directory.is_empty() && self.major.is_empty()
    }

    /// Whether a repository without go.mod can be this module.
    pub(crate) fn may_lack_go_mod(&self) -> bool {
        self.directory.is_empty() && (self.major.is_empty() || self.major.starts_with('.'))
    }
}

/// Joins two slash-separated paths, without `.` and `..` elements where they can be resolved (Go's `path.Join`).
pub(crate) fn join(directory: &str, name: &str) -> String {
    let mut elements: Vec<&str> = Vec::new();
    for element in directory.split('/').chain(name.split('/')) {
        match element {
            "" | "." => {}
            ".." if elements.last().is_some_and(|last| *last != "..") => {
                elements.pop();
            }
            element => elements.push(element),
        }
    }
    elements.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::VersionControl;

    fn layout(root: &str, subdir: &str, module: &str) -> Result<Layout, LayoutFault> {
        let root = Root {
            root: root.to_owned(),
            system: VersionControl::Git,
            repository: "https://x".to_owned(),
            subdir: subdir.to_owned(),
        };
        Layout::new(&root, &ModulePath::new(module).unwrap())
    }

    #[test]
    fn the_directory_is_what_lies_between_root_and_major_version() {
        for (root, subdir, module, directory, prefix, major, major_directory) in [
            ("a.b/r", "", "a.b/r", "", "a.b/r", "", None),
            ("a.b/r", "", "a.b/r/v2", "", "a.b/r", "/v2", Some("v2")),
            (
                "a.b/r",
                "",
                "a.b/r/s/v2",
                "s",
                "a.b/r/s",
                "/v2",
                Some("s/v2"),
            ),
            ("a.b/r/v2", "", "a.b/r/v2", "", "a.b/r/v2", "/v2", None),
            (
                "gopkg.in/y.v2",
                "",
                "gopkg.in/y.v2",
                "",
                "gopkg.in/y.v2",
                ".v2",
                None,
            ),
            (
                "a.b/r",
                "x/y",
                "a.b/r/v2",
                "x/y",
                "a.b/r",
                "/v2",
                Some("x/y/v2"),
            ),
            ("a.b/r", "x/../y/./", "a.b/r/s", "s/y", "a.b/r/s", "", None),
            ("a.b/r", "../..", "a.b/r/s", "..", "a.b/r/s", "", None),
        ] {
            let got = layout(root, subdir, module).unwrap();
            assert_eq!(
                (
                    got.directory.as_str(),
                    got.prefix.as_str(),
                    got.major.as_str(),
                    got.major_directory().as_deref()
                ),
                (directory, prefix, major, major_directory),
                "{root} {subdir} {module}"
            );
        }
    }

    #[test]
    fn a_root_that_does_not_contain_the_module_is_refused() {
        assert!(matches!(
            layout("a.b/rx", "", "a.b/r"),
            Err(LayoutFault::MismatchedRoot { .. })
        ));
        assert!(matches!(
            layout("a.b/x", "", "a.b/r"),
            Err(LayoutFault::MismatchedRoot { .. })
        ));
    }
}
