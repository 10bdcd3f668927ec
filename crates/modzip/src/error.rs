//! What can go wrong with a module zip, and whose fault it is.

use std::io;
use std::path::PathBuf;

use bstr::BString;
use gomod::quote;

use crate::limits::{MAX_DIRECTORY, MAX_ZIP};
use crate::report::Checked;

/// Why a zip, a list of files or a hash was refused.
///
/// Messages that Go prints too are in Go's words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing failed on this machine.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, for people.
        doing: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The bytes are no zip, or one that is cut off.
    #[error("zip: not a valid zip file: {0}")]
    NotAZip(&'static str),
    /// The zip file is larger than [`MAX_ZIP`].
    #[error("module zip file is too large ({size} bytes; limit is {MAX_ZIP} bytes)")]
    ZipTooLarge {
        /// Bytes of the zip file.
        size: u64,
    },
    /// The files of the zip are larger than [`MAX_ZIP`] together.
    #[error("total uncompressed size of module contents too large (max size is {MAX_ZIP} bytes)")]
    ContentTooLarge,
    /// The central directory is larger than [`MAX_DIRECTORY`].
    #[error("zip: central directory is too large ({size} bytes; limit is {MAX_DIRECTORY} bytes)")]
    DirectoryTooLarge {
        /// Bytes of the central directory.
        size: u64,
    },
    /// Readers could disagree about where the zip ends, and so about what is in it.
    #[error("zip: ambiguous end: {0}")]
    AmbiguousEnd(&'static str),
    /// There are bytes behind the end of the zip.
    #[error("zip: {bytes} bytes after the end of the archive")]
    TrailingData {
        /// How many.
        bytes: u64,
    },
    /// The archive comment is so long that the end of the zip starts before its last
    /// [`HELD_BACK`](crate::HELD_BACK) bytes.
    #[error("zip: archive comment is too long ({size} bytes)")]
    CommentTooLong {
        /// Bytes of the comment.
        size: u64,
    },
    /// The central directory is not what the end of the zip says it is.
    #[error("zip: central directory does not match the end of the archive: {0}")]
    DirectoryMismatch(&'static str),
    /// The zip64 records contradict the ordinary ones, or are missing or malformed.
    #[error("zip: zip64 records do not match the archive: {0}")]
    Zip64Mismatch(&'static str),
    /// There are bytes that belong to no entry, where another reader could find something else.
    #[error("zip: {bytes} bytes at offset {offset} belong to no entry")]
    StrayData {
        /// Where they start.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// One entry of the zip is not acceptable.
    #[error("zip: {}: {flaw}", quote(.name))]
    Entry {
        /// Name of the entry as in the zip.
        name: BString,
        /// What is wrong with it.
        flaw: EntryFlaw,
    },
    /// The files do not make a valid module zip: names, collisions, sizes.
    #[error("{0}")]
    Unfit(Box<Checked>),
    /// A file had more or fewer bytes than it was declared to have.
    #[error("file {} is {} than declared size", quote(.path), if *.larger { "larger" } else { "smaller" })]
    SizeChanged {
        /// Path relative to the module root.
        path: String,
        /// More bytes than declared (else fewer).
        larger: bool,
    },
    /// A file name with a newline has no place in the list that is hashed.
    #[error("dirhash: filenames with newlines are not supported")]
    NewlineInName,
    /// What was to be hashed or zipped is not a directory.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// A zip is extracted into an empty directory only.
    #[error("target directory {} exists and is not empty", .0.display())]
    TargetNotEmpty(PathBuf),
    /// Not an `h1:` hash.
    #[error("malformed hash {}: {reason}", quote(.text))]
    MalformedHash {
        /// What was to be a hash.
        text: String,
        /// Why it is none.
        reason: &'static str,
    },
    /// The threads of a pool could not be started.
    #[error("starting worker threads: {0}")]
    Workers(#[from] rayon::ThreadPoolBuildError),
}

/// What is wrong with one entry of a zip.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFlaw {
    /// The entry is encrypted.
    #[error("encrypted entries are not supported")]
    Encrypted,
    /// Neither stored nor deflated.
    #[error("zip: unsupported compression algorithm (method {0})")]
    UnsupportedMethod(u16),
    /// Another entry has the same name.
    #[error("multiple entries with this name")]
    Duplicate,
    /// The entry shares bytes with another entry or with the central directory.
    #[error("overlaps another part of the archive")]
    Overlap,
    /// The entry is on another disk of a split archive.
    #[error("split archives are not supported")]
    OtherDisk,
    /// Zip64 sizes that contradict the ordinary ones, or are missing.
    #[error("zip64 sizes do not match the header")]
    Zip64,
    /// There is no local header where the central directory says.
    #[error("no local header at its offset")]
    NoLocalHeader,
    /// Local header and central directory differ.
    #[error("local header and central directory disagree about the {0}")]
    HeadersDisagree(&'static str),
    /// Data descriptor and central directory differ.
    #[error("data descriptor and central directory disagree")]
    DescriptorDisagrees,
    /// A stored entry's two sizes differ, or a directory has a size.
    #[error("impossible size")]
    ImpossibleSize,
    /// The compressed data is no deflate stream, or one that is cut off.
    #[error("corrupt compressed data")]
    CorruptData,
    /// There is data behind the end of the deflate stream.
    #[error("data after the end of the compressed data")]
    TrailingData,
    /// The data inflates to more than the declared size (a zip bomb).
    #[error("uncompressed size is larger than declared size ({declared} bytes)")]
    LargerThanDeclared {
        /// Size according to the central directory, in bytes.
        declared: u64,
    },
    /// The data inflates to less than the declared size.
    #[error("uncompressed size is smaller than declared size ({declared} bytes)")]
    SmallerThanDeclared {
        /// Size according to the central directory, in bytes.
        declared: u64,
    },
    /// The data is not what its CRC-32 was made of.
    #[error("zip: checksum error")]
    Checksum,
}

/// Where the cause of an [`Error`] lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The zip file: whoever made or carried it.
    Archive,
    /// The files of the module: its author.
    Content,
    /// What this crate was asked for.
    Caller,
    /// This machine: disk, permissions, memory.
    Host,
}

impl Error {
    /// Where the cause lies.
    pub fn blame(&self) -> Blame {
        match self {
            Self::NotAZip(_)
            | Self::DirectoryTooLarge { .. }
            | Self::AmbiguousEnd(_)
            | Self::TrailingData { .. }
            | Self::CommentTooLong { .. }
            | Self::DirectoryMismatch(_)
            | Self::Zip64Mismatch(_)
            | Self::StrayData { .. }
            | Self::Entry { .. } => Blame::Archive,
            Self::ZipTooLarge { .. }
            | Self::ContentTooLarge
            | Self::Unfit(_)
            | Self::NewlineInName => Blame::Content,
            Self::NotADirectory(_) | Self::TargetNotEmpty(_) | Self::MalformedHash { .. } => {
                Blame::Caller
            }
            Self::Io { .. } | Self::SizeChanged { .. } | Self::Workers(_) => Blame::Host,
        }
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            doing: doing.into(),
            source,
        }
    }

    pub(crate) fn reading_zip(source: io::Error) -> Self {
        Self::Io {
            doing: "read zip".into(),
            source,
        }
    }
}

impl Checked {
    /// The report itself, or the error that says why the files do not make a valid module zip.
    pub fn fit(self) -> Result<Self, Error> {
        if self.is_fit() {
            Ok(self)
        } else {
            Err(Error::Unfit(Box::new(self)))
        }
    }
}
