//! The version of a commit (cmd/go `codeRepo.convert`).

use gomod::info::RevInfo;
use gomod::modfile::VersionInterval;
use gomod::path::path_major_prefix;
use gomod::pseudo::{is_pseudo_version, pseudo_version};
use gomod::semver::{self, INCOMPATIBLE};

use super::layout::join;
use super::{Found, Resolver};
use crate::error::{Error, VersionRefusal};
use crate::repo::ObjectId;

/// A tag as a version.
struct Tagged {
    /// The version without build metadata.
    version: String,
    /// Whether that is all of the tag.
    canonical: bool,
}

impl Resolver {
    /// The version of `found`. `asked` is what it was asked for by, or empty.
    pub(super) async fn convert(&self, found: &Found, asked: &str) -> Result<RevInfo, Error> {
        let version = self.version_of(found, asked).await?;
        Ok(RevInfo {
            origin: Some(self.origin_of(found, &version, asked)),
            time: Some(found.commit.time.into()),
            version,
        })
    }

    async fn version_of(&self, found: &Found, asked: &str) -> Result<String, Error> {
        if is_pseudo_version(asked) {
            // What needs only this commit goes first.
            let version = self.checked(found, asked, asked).await?;
            self.validate_pseudo(found, asked).await?;
            return Ok(version);
        }
        if let Some(tagged) = self.tagged(&found.name)
            && tagged.canonical
        {
            match self.checked(found, &tagged.version, asked).await {
                Err(error) if error.is_absence() => {}
                checked => return checked,
            }
        }
        let mut base = None;
        for tagged in found.tags.iter().filter_map(|tag| self.tagged(tag)) {
            if asked.is_empty() || !semver::compare(&tagged.version, asked).is_eq() {
                continue;
            }
            if !semver::is_valid(asked) {
                continue;
            }
            if tagged.canonical {
                return self.checked(found, &tagged.version, asked).await;
            }
            // Several tags may be the same but for build metadata, so the tag cannot name the version. It can be
            // what the version is based on.
            base = Some(tagged.version);
        }
        let retracted = Lazy::default();
        if let Some(highest) = self.highest_tag(found, asked, &retracted).await? {
            return self.checked(found, &highest, asked).await;
        }
        if base.is_none() {
            base = self.tag_before(found, asked, &retracted).await?;
        }
        let version = pseudo_version(
            self.layout.pseudo_major(),
            &base.unwrap_or_default(),
            found.commit.time,
            &found.commit.id.short(),
        );
        self.checked(found, &version, asked).await
    }

    /// The highest version that the commit is tagged with, of those that are allowed and not retracted.
    async fn highest_tag(
        &self,
        found: &Found,
        asked: &str,
        retracted: &Lazy,
    ) -> Result<Option<String>, Error> {
        let mut highest: Option<String> = None;
        for tagged in found.tags.iter().filter_map(|tag| self.tagged(tag)) {
            let higher = highest
                .as_ref()
                .is_none_or(|highest| semver::compare(highest, &tagged.version).is_lt());
            if tagged.canonical
                && higher
                && !self.is_retracted(&tagged.version, retracted).await?
                && self
                    .is_allowed(&found.commit.id, &tagged.version, asked)
                    .await?
            {
                highest = Some(tagged.version);
            }
        }
        Ok(highest)
    }

    /// The highest version that a commit before this one (or itself) is tagged with. Build metadata does not matter.
    async fn tag_before(
        &self,
        found: &Found,
        asked: &str,
        retracted: &Lazy,
    ) -> Result<Option<String>, Error> {
        let mut wanted = Vec::new();
        for (tag, commit) in self.code().refs().tags(&self.layout.tag_prefix()) {
            let Some(tag) = std::str::from_utf8(tag).ok() else {
                continue;
            };
            if let Some(tagged) = self.tagged(tag)
                && self
                    .is_allowed(&found.commit.id, &tagged.version, asked)
                    .await?
                && !self.is_retracted(&tagged.version, retracted).await?
            {
                wanted.push((tagged.version, commit.clone()));
            }
        }
        let before = self.code().tags_before(&found.commit.id, &wanted).await?;
        Ok(before.into_iter().max_by(|a, b| semver::compare(a, b)))
    }

    /// `tag` as a version of this module, if it is one: complete, and not one that looks like a pseudo-version.
    fn tagged(&self, tag: &str) -> Option<Tagged> {
        let trimmed = tag.strip_prefix(self.layout.tag_prefix().as_str())?;
        // Go looks at the tag with its directory here, and so only at those of the root.
        if is_pseudo_version(tag) {
            return None;
        }
        let version = semver::canonical(trimmed)?;
        trimmed.starts_with(&version).then(|| Tagged {
            canonical: version == trimmed,
            version,
        })
    }

    async fn is_allowed(
        &self,
        commit: &ObjectId,
        version: &str,
        asked: &str,
    ) -> Result<bool, Error> {
        Ok(self.matches_path(version) || self.may_be_incompatible(commit, version, asked).await?)
    }

    fn matches_path(&self, version: &str) -> bool {
        gomod::check_path_major(version, &self.layout.major).is_ok()
    }

    async fn is_retracted(&self, version: &str, retracted: &Lazy) -> Result<bool, Error> {
        let intervals = retracted.0.get_or_try_init(|| self.retractions()).await?;
        Ok(intervals.iter().any(|interval| {
            semver::compare(&interval.low, version).is_le()
                && semver::compare(version, &interval.high).is_le()
        }))
    }

    /// Whether a commit can have a version of v2 or more although the path does not say so: it is from before
    /// modules.
    async fn may_be_incompatible(
        &self,
        commit: &ObjectId,
        version: &str,
        asked: &str,
    ) -> Result<bool, Error> {
        if !self.layout.may_be_incompatible() {
            return Ok(false);
        }
        if self.code().file(commit, "go.mod").await?.is_some() {
            return Ok(false);
        }
        // Old releases of Go did not look into directories: what somebody has in a go.mod file stays valid.
        if asked.ends_with(INCOMPATIBLE) {
            return Ok(true);
        }
        let Some(major) = semver::major(version) else {
            return Ok(true);
        };
        let sub = self.code().file(commit, &format!("{major}/go.mod")).await?;
        Ok(sub.is_none())
    }

    /// Checks that `version` can be the version of `found`, and adds `+incompatible` where it belongs. A canonical
    /// version that was asked for must come out as itself.
    async fn checked(&self, found: &Found, version: &str, asked: &str) -> Result<String, Error> {
        let module = self.module().as_str();
        let commit = &found.commit.id;
        self.module_directory(commit, version)
            .await
            .map_err(|error| error.of_version(module, version, false))?;
        let mut version = version.to_owned();
        if asked.strip_suffix(INCOMPATIBLE).unwrap_or(asked) == version {
            asked.clone_into(&mut version);
        }
        let base = version
            .strip_suffix(INCOMPATIBLE)
            .unwrap_or(&version)
            .to_owned();
        let refusal = self.refusal(commit, &mut version, &base, asked).await?;
        if semver::canonical_module_version(asked).as_deref() == Some(asked) {
            let asked_base = asked.strip_suffix(INCOMPATIBLE).unwrap_or(asked);
            if asked_base != base {
                let refusal = VersionRefusal::ResolvesTo {
                    resolved: version,
                    asked: asked_base.to_owned(),
                };
                return Err(Error::from(refusal).of_version(module, asked, false));
            }
        }
        match refusal {
            Some(refusal) => Err(Error::from(refusal).of_version(module, &version, false)),
            None => Ok(version),
        }
    }

    /// Why `version` does not go with the path, if so; makes it `+incompatible` if that helps.
    async fn refusal(
        &self,
        commit: &ObjectId,
        version: &mut String,
        base: &str,
        asked: &str,
    ) -> Result<Option<VersionRefusal>, Error> {
        let major = semver::major(base).unwrap_or_default().to_owned();
        if self.matches_path(base) {
            let superfluous = version.ends_with(INCOMPATIBLE);
            return Ok(superfluous.then_some(VersionRefusal::NotIncompatible { major }));
        }
        if self.may_be_incompatible(commit, base, asked).await? {
            *version = format!("{base}{INCOMPATIBLE}");
            return Ok(None);
        }
        Ok(Some(if path_major_prefix(&self.layout.major).is_some() {
            VersionRefusal::MajorMustMatch
        } else {
            VersionRefusal::HasGoMod {
                path: join(&self.layout.prefix, &major),
            }
        }))
    }
}

/// Retractions, looked up when they are needed: that takes another commit.
#[derive(Default)]
struct Lazy(tokio::sync::OnceCell<Vec<VersionInterval>>);
