//! What a check found: which files belong in the zip, which stay out, which must not be there at all.

use std::fmt;

use bstr::BString;
use gomod::{PathError, quote};

use crate::limits::{MAX_GO_MOD, MAX_LICENSE, MAX_ZIP};

/// The files that were checked, each in one of the lists (Go's `zip.CheckedFiles`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Files that belong in the zip. Of a zip that was checked, names with the `module@version/` prefix.
    pub valid: Vec<String>,
    /// Files that stay out of the zip.
    pub omitted: Vec<Omitted>,
    /// Files for which the whole module is refused.
    pub invalid: Vec<Invalid>,
    /// Set when the module is too large.
    pub size_error: Option<SizeError>,
}

/// A file that stays out of the zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omitted {
    /// Path of the file, with slashes; need not be UTF-8.
    pub path: BString,
    /// Why it stays out.
    pub reason: OmitReason,
}

/// A file for which the whole module is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Path of the file, with slashes; need not be UTF-8.
    pub path: BString,
    /// What is wrong with it.
    pub reason: InvalidReason,
}

/// Why a file stays out of the zip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OmitReason {
    /// The directory holds the data of a version control system.
    #[error("directory is a version control repository")]
    VersionControl,
    /// The file is part of a vendored package.
    #[error("file is in vendor directory")]
    Vendored,
    /// A directory above the file has a go.mod of its own.
    #[error("file is in another module")]
    FileInOtherModule,
    /// The directory has a go.mod of its own.
    #[error("directory is in another module")]
    DirectoryInOtherModule,
    /// Mercurial wrote the file when it made an archive.
    #[error("file is inserted by 'hg archive' and is always omitted")]
    HgArchival,
    /// A symbolic link.
    #[error("file is a symbolic link")]
    Symlink,
    /// A directory, device, socket or the like.
    #[error("not a regular file")]
    NotRegular,
}

/// Why a file makes the module unfit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReason {
    /// The path has `.`, `..` or empty elements.
    #[error("file path is not clean")]
    NotClean,
    /// The path starts with a slash.
    #[error("file path is not relative")]
    NotRelative,
    /// The path breaks the rules for names of files in modules.
    #[error(transparent)]
    Malformed(#[from] PathError),
    /// A go.mod in the root with capital letters.
    #[error("go.mod files must have lowercase names")]
    GoModCase,
    /// A go.mod in a zip that is not in the module root.
    #[error("go.mod file not in module root directory")]
    GoModNotInRoot,
    /// The go.mod is larger than [`MAX_GO_MOD`].
    #[error("go.mod file too large (max size is {MAX_GO_MOD} bytes)")]
    GoModTooLarge,
    /// The LICENSE in the root is larger than [`MAX_LICENSE`].
    #[error("LICENSE file too large (max size is {MAX_LICENSE} bytes)")]
    LicenseTooLarge,
    /// An entry of a zip that does not start with the module and version.
    #[error("path does not have prefix {}", quote(.prefix))]
    WrongPrefix {
        /// What it should start with.
        prefix: String,
    },
    /// Two paths are equal when case is ignored.
    #[error("case-insensitive file name collision: {} and {}", quote(.first), quote(.second))]
    CaseCollision {
        /// The one seen first.
        first: String,
        /// The other one.
        second: String,
    },
    /// A path is a file and also a directory with files in it.
    #[error("entry {} is both a file and a directory", quote(.0))]
    FileAndDirectory(String),
    /// A file is there more than once.
    #[error("multiple entries for file {}", quote(.0))]
    Duplicate(String),
    /// The file's kind and size could not be found out.
    #[error("{0}")]
    Unreadable(String),
}

/// What is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// The files to be zipped.
    #[error("module source tree too large (max size is {MAX_ZIP} bytes)")]
    Source,
    /// The files in the zip.
    #[error("total uncompressed size of module contents too large (max size is {MAX_ZIP} bytes)")]
    Content,
    /// The zip file.
    #[error("module zip file is too large ({size} bytes; limit is {MAX_ZIP} bytes)")]
    ZipFile {
        /// Bytes of the zip file.
        size: u64,
    },
}

impl Checked {
    /// Whether the files make a valid module zip.
    pub fn is_fit(&self) -> bool {
        self.size_error.is_none() && self.invalid.is_empty()
    }
}

/// What makes the module unfit, a line each: the size, or else the invalid files.
impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = self.size_error {
            return error.fmt(f);
        }
        for (index, file) in self.invalid.iter().enumerate() {
            write!(f, "{}{file}", if index > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Omitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_named_before_invalid_files() {
        let mut checked = Checked::default();
        assert!(checked.is_fit());
        checked.invalid = vec![
            Invalid {
                path: "a//b".into(),
                reason: InvalidReason::NotClean,
            },
            Invalid {
                path: "/a".into(),
                reason: InvalidReason::NotRelative,
            },
        ];
        assert_eq!(
            checked.to_string(),
            "a//b: file path is not clean\n/a: file path is not relative"
        );
        checked.size_error = Some(SizeError::Source);
        assert!(!checked.is_fit());
        assert_eq!(
            checked.to_string(),
            "module source tree too large (max size is 524288000 bytes)"
        );
    }
}
