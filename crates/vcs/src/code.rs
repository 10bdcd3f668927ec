//! A repository at one moment, whichever system keeps it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use bstr::BStr;

use crate::error::Error;
use crate::other;
use crate::repo::{CommitTime, Named, ObjectId, Refs, Snapshot};
use crate::system::VersionControl;

/// What versions are made from.
#[derive(Clone)]
pub(crate) enum Code {
    Git(Snapshot),
    Other(other::Snapshot),
}

impl Code {
    pub(crate) fn system(&self) -> VersionControl {
        match self {
            Self::Git(_) => VersionControl::Git,
            Self::Other(code) => code.system(),
        }
    }

    pub(crate) fn refs(&self) -> &Refs {
        match self {
            Self::Git(code) => code.refs(),
            Self::Other(code) => code.refs(),
        }
    }

    /// The sum over all that has a name, where go makes answers depend on it instead of on tags.
    pub(crate) fn sum(&self) -> Option<&str> {
        match self {
            Self::Git(_) => None,
            Self::Other(code) => code.sum(),
        }
    }

    /// Whether revisions are hashes, which answers name.
    pub(crate) fn has_hashes(&self) -> bool {
        !matches!(
            self.system(),
            VersionControl::Subversion | VersionControl::Bazaar
        )
    }

    /// What answers name as the ref that leads to the newest commit.
    pub(crate) fn newest_name(&self) -> &'static str {
        match self.system() {
            VersionControl::Mercurial => "tip",
            VersionControl::Subversion => "latest",
            VersionControl::Bazaar => "revno:-1",
            VersionControl::Fossil => "trunk",
            VersionControl::Git | VersionControl::Mod => "HEAD",
        }
    }

    /// What answers name as the ref of a tag.
    pub(crate) fn tag_name(&self, tag: &str) -> String {
        match self {
            Self::Git(_) => format!("refs/tags/{tag}"),
            Self::Other(_) => tag.to_owned(),
        }
    }

    /// What answers name as the ref by which `commit` was found: `name` in full, or else only `revision`.
    pub(crate) fn ref_name(
        &self,
        name: Option<&str>,
        revision: &str,
        commit: &ObjectId,
    ) -> Option<String> {
        match self {
            // Go asks for HEAD by its hash, and names it nowhere.
            Self::Git(_) => name.filter(|name| *name != "HEAD").map(str::to_owned),
            Self::Other(_) => {
                // It says no more than the hash.
                let is_hash = revision.len() >= 12 && commit.as_str().starts_with(revision);
                (!is_hash).then(|| revision.to_owned())
            }
        }
    }

    pub(crate) fn wanting(self, files: Vec<String>) -> Self {
        match self {
            Self::Git(code) => Self::Git(code.wanting(files)),
            other @ Self::Other(_) => other,
        }
    }

    pub(crate) fn outlive(&self) -> bool {
        match self {
            Self::Git(code) => code.outlive(),
            Self::Other(code) => code.outlive(),
        }
    }

    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Git(code) => code.url(),
            Self::Other(code) => code.url(),
        }
    }

    pub(crate) fn scratch(&self) -> &Path {
        match self {
            Self::Git(code) => code.scratch(),
            Self::Other(code) => code.scratch(),
        }
    }

    pub(crate) fn lookup(&self, revision: &str) -> Result<Named, Error> {
        match self {
            Self::Git(code) => code.refs().lookup(revision),
            Self::Other(code) => code.lookup(revision),
        }
    }

    pub(crate) async fn commit(
        &self,
        commit: &ObjectId,
        via: Option<&BStr>,
    ) -> Result<CommitTime, Error> {
        match self {
            Self::Git(code) => code.commit(commit, via).await,
            Self::Other(code) => code.commit(commit).await,
        }
    }

    pub(crate) async fn commit_by_hash(&self, digits: &str) -> Result<Option<ObjectId>, Error> {
        match self {
            Self::Git(code) => code.commit_by_hash(digits).await,
            Self::Other(code) => code.commit_by_name(digits).await,
        }
    }

    pub(crate) async fn file(
        &self,
        commit: &ObjectId,
        path: &str,
    ) -> Result<Option<Arc<[u8]>>, Error> {
        match self {
            Self::Git(code) => code.file(commit, path).await,
            Self::Other(code) => code.file(commit, path).await,
        }
    }

    pub(crate) async fn tags_before(
        &self,
        commit: &ObjectId,
        wanted: &[(String, ObjectId)],
    ) -> Result<Vec<String>, Error> {
        match self {
            Self::Git(code) => code.tags_before(commit, wanted).await,
            Self::Other(code) => code.tags_before(commit, wanted).await,
        }
    }

    pub(crate) async fn descends_from(
        &self,
        commit: &ObjectId,
        ancestor: &ObjectId,
    ) -> Result<bool, Error> {
        match self {
            Self::Git(code) => code.descends_from(commit, ancestor).await,
            Self::Other(code) => code.descends_from(commit, ancestor).await,
        }
    }

    pub(crate) async fn archive(
        &self,
        commit: &ObjectId,
        directory: &str,
        archive: &File,
    ) -> Result<(), Error> {
        match self {
            Self::Git(code) => code.archive(commit, directory, archive).await,
            Self::Other(code) => code.archive(commit, archive).await,
        }
    }
}
