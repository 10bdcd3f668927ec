//! The versions of a module, by its tags.

use gomod::info::Origin;
use gomod::path::path_major_prefix;
use gomod::pseudo::is_pseudo_version;
use gomod::{Version, check_path_major, semver};

use super::Resolver;
use crate::error::Error;

/// The versions that a module has, lowest first, and what that depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Releases and prereleases, retracted ones too; no pseudo-versions.
    pub list: Vec<Version>,
    /// Where they come from, with the sum over the tags.
    pub origin: Origin,
}

/// Tags that could be versions, lowest first.
#[derive(Debug, Default, PartialEq, Eq)]
struct Candidates {
    compatible: Vec<Version>,
    /// Of v2 and above, without `+incompatible`.
    incompatible: Vec<Version>,
}

impl Resolver {
    /// The versions that start with `prefix`.
    pub(crate) async fn versions(&self, prefix: &str) -> Result<Versions, Error> {
        let versions = self.versions_inner(prefix).await;
        versions.map_err(|error| error.of_module(self.module().as_str()))
    }

    async fn versions_inner(&self, prefix: &str) -> Result<Versions, Error> {
        let tag_prefix = format!("{}{prefix}", self.layout.tag_prefix());
        let path = self.module().as_str();
        // Its tags are those of the stable module.
        let no_tags = path.starts_with("gopkg.in/") && path.ends_with("-unstable");
        let candidates = if no_tags {
            Candidates::default()
        } else {
            self.candidates(&tag_prefix)
        };
        let mut list = candidates.compatible;
        // Without candidates no commit need be looked at: most lists cost one question.
        if !candidates.incompatible.is_empty() && self.incompatible_count(list.last()).await? {
            self.append_incompatible(&candidates.incompatible, &mut list)
                .await?;
        }
        let mut origin = self.origin();
        self.depend_on_tags(&mut origin, tag_prefix);
        Ok(Versions { list, origin })
    }

    fn candidates(&self, tag_prefix: &str) -> Candidates {
        let own = self.layout.tag_prefix();
        let mut candidates = Candidates::default();
        for (tag, _) in self.code().refs().tags(tag_prefix) {
            let Some(version) = std::str::from_utf8(tag)
                .ok()
                .and_then(|tag| tag.strip_prefix(own.as_str()))
            else {
                continue;
            };
            if semver::canonical(version).as_deref() != Some(version) || is_pseudo_version(version)
            {
                continue;
            }
            let Ok(parsed) = Version::new(version) else {
                continue;
            };
            if check_path_major(version, &self.layout.major).is_ok() {
                candidates.compatible.push(parsed);
            } else if self.layout.may_be_incompatible() {
                candidates.incompatible.push(parsed);
            }
        }
        candidates.compatible.sort_unstable();
        candidates.incompatible.sort_unstable();
        candidates
    }

    /// A go.mod in the highest compatible version says that the author means modules: what is above is not meant.
    async fn incompatible_count(&self, highest: Option<&Version>) -> Result<bool, Error> {
        if !self.layout.may_be_incompatible() {
            return Ok(false);
        }
        match highest {
            Some(version) => Ok(!self.has_go_mod(version).await?),
            None => Ok(true),
        }
    }

    /// A major version whose highest tag has a go.mod is left out whole.
    async fn append_incompatible(
        &self,
        candidates: &[Version],
        list: &mut Vec<Version>,
    ) -> Result<(), Error> {
        for line in candidates.chunk_by(|a, b| a.major() == b.major()) {
            let Some(highest) = line.last() else {
                continue;
            };
            if self.has_go_mod(highest).await? {
                continue;
            }
            let incompatible = |version: &Version| {
                Version::new(&format!("{version}{}", semver::INCOMPATIBLE)).ok()
            };
            list.extend(line.iter().filter_map(incompatible));
        }
        Ok(())
    }

    async fn has_go_mod(&self, version: &Version) -> Result<bool, Error> {
        let revision = self.revision_of(version.as_str());
        match self.find(&revision).await {
            Ok(found) => {
                let file = self.code().file(&found.commit.id, "go.mod").await?;
                Ok(file.is_some())
            }
            Err(Error::UnknownRevision(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The prefix of the tags on which pseudo-versions depend.
    pub(super) fn version_tag_prefix(&self) -> String {
        let major = path_major_prefix(&self.layout.major).map(|_| {
            let name = self.layout.major.get(1..).unwrap_or_default();
            format!("{name}.")
        });
        format!("{}{}", self.layout.tag_prefix(), major.unwrap_or_default())
    }
}
