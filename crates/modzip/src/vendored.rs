//! The vendor rule: which files of vendored packages stay out of a module zip (x/mod zip
//! `isVendoredPackage`).

use std::cmp::Ordering;

use gomod::gover;
use gomod::modfile::ModFile;
use memchr::memmem;

/// The form of the rule that a module is zipped by. Go 1.24 repaired it, for modules that ask for at least
/// that version, so that the hashes of older ones stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VendorRule {
    /// For modules whose go.mod says less than `go 1.24`, or nothing readable.
    Before124,
    /// For modules whose go.mod says `go 1.24` or more.
    Since124,
}

impl VendorRule {
    /// The rule for a module with this go.mod in its root.
    pub fn of_go_mod(content: &[u8]) -> Self {
        let Ok(file) = ModFile::parse_lax("go.mod", content) else {
            return Self::Before124;
        };
        match gover::compare(&gover::lang(file.go_version()), "1.24") {
            Ordering::Less => Self::Before124,
            Ordering::Equal | Ordering::Greater => Self::Since124,
        }
    }

    /// Whether the file at `path` (relative to the module root, with slashes) belongs to a vendored package.
    pub fn omits(self, path: impl AsRef<[u8]>) -> bool {
        let path = path.as_ref();
        if self == Self::Since124 && path == b"vendor/modules.txt" {
            return true;
        }
        let package_and_file = if let Some(rest) = path.strip_prefix(b"vendor/") {
            rest
        } else {
            match (memmem::find(path, b"/vendor/"), self) {
                (None, _) => return false,
                (Some(at), Self::Since124) => {
                    path.get(at + b"/vendor/".len()..).unwrap_or_default()
                }
                // The old rule forgot where it found the directory. What it skips instead always ends
                // before the last slash, so that every file below an inner vendor directory is omitted.
                (Some(_), Self::Before124) => path.get(b"/vendor/".len()..).unwrap_or_default(),
            }
        };
        package_and_file.contains(&b'/')
    }
}

#[cfg(test)]
mod tests {
    use super::VendorRule::{self, Before124, Since124};

    #[test]
    fn packages_in_vendor_directories_are_omitted_by_both_rules() {
        for path in [
            "vendor/x/x.go",
            "vendor/x/y/z",
            "a/vendor/x/x.go",
            "a/b/c/vendor/x/x.go",
            "vendor/a/vendor/b",
        ] {
            assert!(Before124.omits(path), "{path}");
            assert!(Since124.omits(path), "{path}");
        }
        for path in [
            "vendor/x.go",
            "vendor/modules.md",
            "vendor",
            "a/vendor",
            "vendored/x/x.go",
            "a/vendors/x/y",
        ] {
            assert!(!Before124.omits(path), "{path}");
            assert!(!Since124.omits(path), "{path}");
        }
    }

    #[test]
    fn files_directly_in_an_inner_vendor_directory_stay_since_1_24() {
        for path in [
            "a/vendor/x.go",
            "some/long/path/vendor/x.go",
            "a/vendor/modules.txt",
        ] {
            assert!(Before124.omits(path), "{path}");
            assert!(!Since124.omits(path), "{path}");
        }
    }

    #[test]
    fn the_list_of_modules_goes_since_1_24() {
        assert!(!Before124.omits("vendor/modules.txt"));
        assert!(Since124.omits("vendor/modules.txt"));
    }

    #[test]
    fn the_first_inner_vendor_directory_decides() {
        assert!(Since124.omits("a/vendor/b/vendor/x.go"));
        assert!(!Since124.omits("vendor/vendor"));
        assert!(Before124.omits("vendor/vendor/x"));
    }

    #[test]
    fn the_go_line_decides_which_rule() {
        for (go_mod, rule) in [
            ("module m.example\n", Before124),
            ("module m.example\ngo 1.23.99\n", Before124),
            ("module m.example\ngo 1.24\n", Since124),
            ("go 1.24\n", Since124),
            ("module m.example\ngo 1.24rc1\n", Since124),
            ("module m.example\ngo 1.24.3\n", Since124),
            ("module m.example\ngo 1.100\n", Since124),
            ("module m.example\ngo 1.9\n", Before124),
            ("module m.example\ngo 1.30\nnew-directive x\n", Since124),
            ("module m.example\ngo 1.24\n)(\n", Before124),
            ("\u{0}\u{1}", Before124),
            ("", Before124),
        ] {
            assert_eq!(VendorRule::of_go_mod(go_mod.as_bytes()), rule, "{go_mod}");
        }
    }
}
