//! Which go.mod of a commit is that of the module, and what it says about other versions.

use std::sync::Arc;

use gomod::modfile::{ModFile, VersionInterval, module_path};
use gomod::path::{path_major_prefix, split_path_version};
use gomod::{Version, semver};

use super::Resolver;
use super::layout::join;
use crate::error::{Error, LayoutFault};
use crate::repo::ObjectId;

/// A go.mod and what its module line says; empty when it says nothing.
struct Candidate {
    file: String,
    content: Arc<[u8]>,
    declared: String,
}

impl Resolver {
    /// The directory of the module at `commit`, for `version`, and its go.mod; without go.mod where that is allowed
    /// (cmd/go `findDir`).
    pub(super) async fn module_directory(
        &self,
        commit: &ObjectId,
        version: &str,
    ) -> Result<(String, Option<Arc<[u8]>>), Error> {
        let layout = &self.layout;
        let rev = self.revision_of(version);
        let file = join(&layout.directory, "go.mod");
        let plain = self.candidate(commit, file.clone()).await?;
        let plain_fits = plain.as_ref().is_some_and(|c| self.fits(&c.declared));
        let major_directory = layout.major_directory();
        if let Some(directory) = &major_directory
            && let Some(sub) = self.candidate(commit, join(directory, "go.mod")).await?
        {
            if !is_major(&sub.declared, &layout.major) {
                return Err(self.sub_fault(sub, rev).into());
            }
            if plain_fits {
                return Err(LayoutFault::Both {
                    prefix: layout.prefix.clone(),
                    file,
                    major: layout.major.clone(),
                    rev,
                }
                .into());
            }
            return Ok((directory.clone(), Some(sub.content)));
        }
        let absent_sub = major_directory.map(|_| layout.major.clone());
        match plain {
            Some(plain) if plain_fits => Ok((layout.directory.clone(), Some(plain.content))),
            Some(plain) => Err(self.plain_fault(plain, absent_sub, version, rev).into()),
            None if layout.may_lack_go_mod() => Ok((String::new(), None)),
            None => Err(LayoutFault::Missing {
                prefix: layout.prefix.clone(),
                absent_sub,
                rev,
            }
            .into()),
        }
    }

    async fn candidate(&self, commit: &ObjectId, file: String) -> Result<Option<Candidate>, Error> {
        let content = self.code().file(commit, &file).await?;
        Ok(content.map(|content| Candidate {
            declared: module_path(&content).unwrap_or_default(),
            file,
            content,
        }))
    }

    /// Whether a go.mod that declares `path` can be that of this module. Only the major version counts: a fork may
    /// stand in for a module of another path.
    fn fits(&self, path: &str) -> bool {
        // Once accepted by mistake, and accepted since: forks of gopkg.in modules at paths without major version.
        let forked = self.layout.major.is_empty() && path.starts_with("gopkg.in/");
        is_major(path, &self.layout.major) || forked
    }

    fn sub_fault(&self, sub: Candidate, rev: String) -> LayoutFault {
        let (root, file) = (self.layout.root.clone(), sub.file);
        if sub.declared.is_empty() {
            return LayoutFault::SubMissingPath { root, file, rev };
        }
        LayoutFault::SubOtherMajor {
            root,
            file,
            major: self.layout.major.clone(),
            declared: sub.declared,
            rev,
        }
    }

    fn plain_fault(
        &self,
        plain: Candidate,
        absent_sub: Option<String>,
        version: &str,
        rev: String,
    ) -> LayoutFault {
        let Candidate { file, declared, .. } = plain;
        if declared.is_empty() {
            return LayoutFault::MissingPath {
                file,
                absent_sub,
                rev,
            };
        }
        if !self.layout.major.is_empty() {
            return LayoutFault::OtherMajor {
                file,
                major: self.layout.major.clone(),
                declared,
                absent_sub,
                rev,
            };
        }
        if split_path_version(&declared).is_none() {
            return LayoutFault::MalformedPath {
                file,
                declared,
                rev,
            };
        }
        LayoutFault::PostMajor {
            file,
            major: semver::major(version).unwrap_or_default().to_owned(),
            declared,
            rev,
        }
    }

    /// The versions that the author has withdrawn, as the newest compatible version says. A go.mod that cannot be
    /// read withdraws nothing.
    pub(super) async fn retractions(&self) -> Result<Vec<VersionInterval>, Error> {
        match self.retractions_of_newest().await {
            Err(error) if error.is_absence() => Ok(Vec::new()),
            retractions => retractions,
        }
    }

    async fn retractions_of_newest(&self) -> Result<Vec<VersionInterval>, Error> {
        let versions = self.versions("").await?.list;
        let compatible: Vec<&Version> = versions
            .iter()
            .take_while(|version| !version.is_incompatible())
            .collect();
        let release = compatible.iter().rfind(|version| !version.is_prerelease());
        let Some(newest) = release.or(compatible.last()) else {
            return Ok(Vec::new());
        };
        let found = self.find(&self.revision_of(newest.as_str())).await?;
        let (_, go_mod) = self
            .module_directory(&found.commit.id, newest.as_str())
            .await?;
        let parsed = go_mod.map(|content| ModFile::parse_lax("go.mod", &content));
        let Some(Ok(file)) = parsed else {
            return Ok(Vec::new());
        };
        let intervals = file
            .retract()
            .iter()
            .map(|retract| retract.interval.clone());
        Ok(intervals.collect())
    }
}

/// Whether a module with the path `path` has the versions that go with the major version suffix `major`
/// (cmd/go `isMajor`).
fn is_major(path: &str, major: &str) -> bool {
    if path.is_empty() {
        return false;
    }
    let Some((_, declared)) = split_path_version(path) else {
        return false;
    };
    if major.is_empty() {
        return matches!(path_major_prefix(declared), None | Some("v0" | "v1"));
    }
    // The separators may differ: a clone at /v2 can stand in for gopkg.in/x.v2.
    !declared.is_empty() && declared.get(1..) == major.get(1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_path_fits_by_its_major_version() {
        for (path, major, fits) in [
            ("", "", false),
            ("x.y/z", "", true),
            ("anything", "", true),
            ("x.y/z/v2", "", false),
            ("x.y/z/v1", "", false),
            ("gopkg.in/z.v1", "", true),
            ("gopkg.in/z.v2", "", false),
            ("x.y/z/v2", "/v2", true),
            ("gopkg.in/z.v2", "/v2", true),
            ("gopkg.in/z.v2-unstable", "/v2", false),
            ("x.y/z", "/v2", false),
            ("x.y/z", ".v1", false),
            ("gopkg.in/z.v1", ".v1", true),
        ] {
            assert_eq!(is_major(path, major), fits, "{path} {major}");
        }
    }
}
