//! Which files of a module `go mod vendor` copies for a package. Rules: Go's `modcmd/vendor.go`.

use std::collections::BTreeSet;

use gomod::gofile::{embed_patterns, embedded, may_be_built};
use gomod::gover;

use super::zipped::Zipped;

/// Names with such a beginning are copied from the directories above a package, too.
const METADATA: [&str; 9] = [
    "AUTHORS",
    "CONTRIBUTORS",
    "COPYLEFT",
    "COPYING",
    "COPYRIGHT",
    "LEGAL",
    "LICENSE",
    "NOTICE",
    "PATENTS",
];

/// What depends on the version of Go that the main module names.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    is_go_mod_copied: bool,
    is_embedded_for_tests: bool,
}

impl Rules {
    pub(super) fn of_module(go_version: &str) -> Self {
        Self {
            is_go_mod_copied: gover::compare(go_version, "1.17").is_lt(),
            is_embedded_for_tests: gover::compare(go_version, "1.22").is_lt(),
        }
    }

    /// Workspaces are younger than the one rule; as to the other, only what every version copies is missed.
    pub(super) fn of_workspace() -> Self {
        Self {
            is_go_mod_copied: false,
            is_embedded_for_tests: false,
        }
    }

    /// The names in the zip of what is copied for the package in a directory of the module ("" for its root).
    pub(super) fn copied(self, zip: &Zipped, directory: &str) -> BTreeSet<String> {
        let prefix = if directory.is_empty() {
            String::new()
        } else {
            format!("{directory}/")
        };
        let mut copied = BTreeSet::new();
        let mut patterns = Vec::new();
        for file in files_in(zip, &prefix) {
            let content = is_go(file).then(|| zip.content(&format!("{prefix}{file}")));
            let content = content.map(Option::unwrap_or_default);
            if self.is_potential_source(file, content.as_deref()) {
                copied.insert(format!("{prefix}{file}"));
            }
            patterns.extend(self.patterns(file, content.as_deref()));
        }
        if let Some(found) = embedded(zip.below(&prefix), &patterns) {
            copied.extend(found.into_iter().map(|file| format!("{prefix}{file}")));
        }
        let mut above = directory;
        while !above.is_empty() {
            let parent = above.rfind('/').map_or(0, |slash| slash + 1);
            let prefix = above.get(..parent).unwrap_or_default();
            let metadata = files_in(zip, prefix)
                .filter(|file| METADATA.iter().any(|start| file.starts_with(start)));
            copied.extend(metadata.map(|file| format!("{prefix}{file}")));
            above = prefix.trim_end_matches('/');
        }
        copied
    }

    fn is_potential_source(self, file: &str, content: Option<&[u8]>) -> bool {
        let is_go_mod = file == "go.mod" || file == "go.sum";
        !file.ends_with("_test.go")
            && (self.is_go_mod_copied || !is_go_mod)
            && content.is_none_or(may_be_built)
    }

    fn patterns(self, file: &str, content: Option<&[u8]>) -> Vec<String> {
        let counts = self.is_embedded_for_tests || !file.ends_with("_test.go");
        match content {
            Some(content) if counts && !file.starts_with(['_', '.']) => embed_patterns(content),
            _ => Vec::new(),
        }
    }
}

fn files_in<'z>(zip: &'z Zipped, prefix: &'z str) -> impl Iterator<Item = &'z str> {
    zip.below(prefix).filter(|name| !name.contains('/'))
}

fn is_go(file: &str) -> bool {
    file.ends_with(".go")
}
