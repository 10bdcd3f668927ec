//! From a repository to the versions of a module in it (cmd/go/internal/modfetch, `codeRepo`).

mod convert;
mod go_mod;
mod layout;
mod origin;
mod pseudo;
mod versions;

use gomod::info::RevInfo;
use gomod::pseudo::is_pseudo_version;
use gomod::{ModulePath, Version, semver};

use crate::code::Code;
use crate::error::{Error, VersionRefusal};
use crate::repo::{CommitTime, Named, ObjectId};
pub(crate) use layout::{LICENSE, Layout};
pub(crate) use origin::merge;
pub use origin::settled;
pub use versions::Versions;

/// One module in one repository at one moment.
pub(crate) struct Resolver {
    layout: Layout,
    code: Code,
}

/// A revision that exists.
#[derive(Clone, Debug)]
struct Found {
    commit: CommitTime,
    /// The tag by which it was found, else the full hash.
    name: String,
    /// The commit's tags, sorted.
    tags: Vec<String>,
    /// The ref that the answer depends on.
    ref_name: Option<String>,
}

/// A version's tag, and what it names at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagNow {
    /// The version.
    pub version: Version,
    /// The name of the tag, with the directory of the module.
    pub tag: String,
    /// The hash of the commit.
    pub commit: String,
}

/// Where the files of a version are.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) commit: CommitTime,
    /// The directory of the module in the repository, with a `vN` directory.
    pub(crate) directory: String,
    /// The go.mod, unless there is none.
    pub(crate) go_mod: Option<std::sync::Arc<[u8]>>,
}

impl Resolver {
    pub(crate) fn new(layout: Layout, code: Code) -> Self {
        let code = code.wanting(layout.files());
        Self { layout, code }
    }

    pub(crate) fn module(&self) -> &ModulePath {
        &self.layout.module
    }

    pub(crate) fn code(&self) -> &Code {
        &self.code
    }

    /// What version `revision` is: a version, tag, branch or the beginning of a commit hash.
    pub(crate) async fn stat(&self, revision: &str) -> Result<RevInfo, Error> {
        if revision == "latest" {
            return self.tip().await;
        }
        let found = self.find(&self.revision_of(revision)).await;
        let found =
            found.map_err(|error| error.of_version(self.module().as_str(), revision, false))?;
        self.convert(&found, revision).await
    }

    /// The version of HEAD.
    pub(crate) async fn tip(&self) -> Result<RevInfo, Error> {
        let head = self.code.refs().head().ok_or(Error::NoCommits)?;
        let mut found = self.find(head.as_str()).await?;
        found.ref_name = Some(self.code.newest_name().to_owned());
        self.convert(&found, "").await
    }

    /// The newest version: the highest release, else the highest prerelease, else that of HEAD.
    pub(crate) async fn latest(&self) -> Result<RevInfo, Error> {
        let versions = self.versions("").await?;
        let newest = |prerelease: bool| {
            let mut matching = versions.list.iter();
            matching.rfind(|version| version.is_prerelease() == prerelease)
        };
        let info = match newest(false).or_else(|| newest(true)) {
            Some(version) => self.stat(version.as_str()).await?,
            None => self.tip().await?,
        };
        Ok(RevInfo {
            origin: merge(Some(&versions.origin), info.origin.as_ref()),
            ..info
        })
    }

    /// The place of `version`, which must be exactly that.
    pub(crate) async fn place(&self, version: &Version) -> Result<Place, Error> {
        let text = version.as_str();
        let refuse = |refusal: VersionRefusal| {
            Error::from(refusal).of_version(self.module().as_str(), text, false)
        };
        let info = self.stat(text).await?;
        if info.version != text {
            return Err(refuse(VersionRefusal::ResolvesTo {
                resolved: info.version,
                asked: text.to_owned(),
            }));
        }
        let found = self.find(&self.revision_of(text)).await?;
        let (directory, go_mod) = self.module_directory(&found.commit.id, text).await?;
        Ok(Place {
            commit: found.commit,
            directory,
            go_mod,
        })
    }

    /// The place of `version`, which was found to be `commit` before: wherever its tag points now, and whether or not
    /// there still is one.
    pub(crate) async fn place_bound(
        &self,
        version: &Version,
        commit: &ObjectId,
    ) -> Result<Place, Error> {
        let text = version.as_str();
        let about = |error: Error| error.of_version(self.module().as_str(), text, false);
        let found = match self.code.commit(commit, None).await {
            Err(error) if error.is_absence() => {
                let now = self.tag(version).map(|tag| tag.commit);
                let refusal = VersionRefusal::Moved {
                    was: commit.to_string(),
                    now: now.unwrap_or_else(|| "no commit".to_owned()),
                };
                return Err(about(refusal.into()));
            }
            found => found.map_err(about)?,
        };
        let (directory, go_mod) = self
            .module_directory(&found.id, text)
            .await
            .map_err(about)?;
        Ok(Place {
            commit: found,
            directory,
            go_mod,
        })
    }

    /// The tag of `version`, and the commit that it names now.
    pub(crate) fn tag(&self, version: &Version) -> Option<TagNow> {
        let name = self.revision_of(version.as_str());
        match self.code.lookup(&name) {
            Ok(Named::Ref {
                commit, tag: true, ..
            }) => Some(TagNow {
                version: version.clone(),
                tag: name,
                commit: commit.to_string(),
            }),
            _ => None,
        }
    }

    /// The go.mod of a version at its place: the file, or what stands for it.
    pub(crate) fn go_mod_at(&self, place: &Place) -> Vec<u8> {
        match &place.go_mod {
            Some(file) => file.to_vec(),
            None => gomod::modfile::ModFile::synthesized(self.module().as_str()).into_bytes(),
        }
    }

    async fn find(&self, revision: &str) -> Result<Found, Error> {
        let refs = self.code.refs();
        let unknown = || Error::UnknownRevision(revision.to_owned());
        let (commit, tag, ref_name) = match self.code.lookup(revision)? {
            Named::Unknown => return Err(unknown()),
            Named::Hash => {
                let id = self
                    .code
                    .commit_by_hash(revision)
                    .await?
                    .ok_or_else(unknown)?;
                let ref_name = self.code.ref_name(None, revision, &id);
                // Found by a name that no listing has: a tag of Fossil, perhaps.
                let is_name = !id.as_str().starts_with(revision);
                (self.code.commit(&id, None).await, is_name, ref_name)
            }
            Named::Ref { name, commit, tag } => {
                let found = self.code.commit(&commit, Some(name.as_ref())).await;
                let name = name.to_string();
                let ref_name = self.code.ref_name(Some(&name), revision, &commit);
                (found, tag, ref_name)
            }
        };
        let commit = commit.map_err(|error| match error {
            Error::UnknownRevision(_) => unknown(),
            error => error,
        })?;
        Ok(Found {
            name: if tag {
                revision.to_owned()
            } else {
                commit.id.to_string()
            },
            tags: refs
                .tags_of(&commit.id)
                .into_iter()
                .filter_map(|tag| std::str::from_utf8(tag).ok())
                .map(str::to_owned)
                .collect(),
            commit,
            ref_name,
        })
    }

    /// What to look for in the repository for a version: a tag, or the hash in a pseudo-version. What is no version
    /// is looked for as it is.
    fn revision_of(&self, version: &str) -> String {
        if !semver::is_valid(version) {
            return version.to_owned();
        }
        if is_pseudo_version(version) {
            return gomod::pseudo::rev(version).unwrap_or(version).to_owned();
        }
        self.layout.tag_of(version)
    }
}
