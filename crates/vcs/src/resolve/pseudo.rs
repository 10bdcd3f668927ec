//! Whether a pseudo-version that somebody made up is the one that its commit has.

use gomod::VersionError;
use gomod::pseudo::{base, pseudo_version, pseudo_version_time, rev};
use gomod::semver::{self, INCOMPATIBLE};
use jiff::Timestamp;

use super::{Found, Resolver};
use crate::error::{Error, PseudoFault};

impl Resolver {
    /// Checks that `version` says the truth about `found` (cmd/go `validatePseudoVersion`).
    ///
    /// Without it anybody could give a commit a version above all others, or a commit as many versions as he likes.
    pub(super) async fn validate_pseudo(&self, found: &Found, version: &str) -> Result<(), Error> {
        let result = self.check_pseudo(found, version).await;
        result.map_err(|error| {
            let pseudo = matches!(error, Error::Pseudo(_));
            error.of_version(self.module().as_str(), version, pseudo)
        })
    }

    async fn check_pseudo(&self, found: &Found, version: &str) -> Result<(), Error> {
        let commit = &found.commit;
        let short = commit.id.short();
        let revision = rev(version).map_err(syntax)?;
        check_revision(revision, &short)?;
        let time = pseudo_version_time(version).map_err(syntax)?;
        // Some systems know times more precisely than a version says.
        if time.as_second() != commit.time.as_second() {
            return Err(PseudoFault::OtherTime(stamp(commit.time)).into());
        }
        let plain = version.strip_suffix(INCOMPATIBLE).unwrap_or(version);
        let Some(base) = base(plain).map_err(syntax)? else {
            let v1 = semver::major(version) == Some("v1");
            if self.layout.pseudo_major().is_empty() && v1 {
                return Err(PseudoFault::UnbasedV1.into());
            }
            return Ok(());
        };
        let prefix = self.layout.tag_prefix();
        let own = found
            .tags
            .iter()
            .find(|tag| tag.strip_prefix(prefix.as_str()).unwrap_or(tag) == base);
        if let Some(tag) = own {
            return Err(PseudoFault::Tagged {
                tag: tag.clone(),
                rev: revision.to_owned(),
            }
            .into());
        }
        self.check_base(found, &base, revision).await
    }

    /// The tag with the base version must come before the commit. Which one of several before it is not checked:
    /// higher ones may have been added later.
    async fn check_base(&self, found: &Found, base: &str, revision: &str) -> Result<(), Error> {
        let prefix = self.layout.tag_prefix();
        let mut last = None;
        for (tag, tagged) in self.code().refs().tags(&format!("{prefix}{base}")) {
            let Some(tag) = std::str::from_utf8(tag).ok() else {
                continue;
            };
            let version = tag.strip_prefix(prefix.as_str()).unwrap_or(tag);
            if !semver::compare(version, base).is_eq() {
                continue;
            }
            if self.code().descends_from(&found.commit.id, tagged).await? {
                return Ok(());
            }
            last = Some(tag);
        }
        Err(match last {
            None => PseudoFault::NoTag(base.to_owned()),
            Some(tag) => PseudoFault::NotDescendant {
                rev: revision.to_owned(),
                tag: tag.to_owned(),
            },
        }
        .into())
    }
}

/// The fault alone: the version is named around it.
fn syntax(error: VersionError) -> Error {
    match error {
        VersionError::Invalid { fault, .. } => PseudoFault::Syntax(fault).into(),
        error => error.into(),
    }
}

fn check_revision(revision: &str, short: &str) -> Result<(), PseudoFault> {
    if revision == short {
        return Ok(());
    }
    let expected = short.to_owned();
    Err(if revision.starts_with(short) {
        PseudoFault::RevisionTooLong(expected)
    } else if short.starts_with(revision) {
        PseudoFault::RevisionTooShort(expected)
    } else {
        PseudoFault::OtherRevision(expected)
    })
}

/// The time as pseudo-versions have it.
fn stamp(time: Timestamp) -> String {
    let version = pseudo_version("v0", "", time, "x");
    let stamp = version.split('-').nth(1);
    stamp.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_has_twelve_digits() {
        let short = "abcdef123456";
        assert_eq!(check_revision(short, short), Ok(()));
        for (revision, message) in [
            (
                "abcdef1234567",
                "revision is longer than canonical (expected abcdef123456)",
            ),
            (
                "abcdef1",
                "revision is shorter than canonical (expected abcdef123456)",
            ),
            (
                "fedcba654321",
                "does not match short name of revision (expected abcdef123456)",
            ),
        ] {
            assert_eq!(
                check_revision(revision, short).unwrap_err().to_string(),
                message
            );
        }
    }

    #[test]
    fn times_are_written_as_in_versions() {
        let time = "2006-01-02T15:04:05Z".parse().unwrap();
        assert_eq!(stamp(time), "20060102150405");
    }
}
