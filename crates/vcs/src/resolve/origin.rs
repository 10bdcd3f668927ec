//! Where an answer comes from and what it depends on.

use gomod::info::{Origin, RevInfo};
use gomod::pseudo::is_pseudo_version;

use super::{Found, Resolver};
use crate::system::VersionControl;

impl Resolver {
    /// The origin of everything that this module is asked for.
    pub(crate) fn origin(&self) -> Origin {
        Origin {
            vcs: self.code().system().to_string(),
            url: self.code().url().to_owned(),
            subdir: self.layout.directory.clone(),
            ..Origin::default()
        }
    }

    /// The origin of `version`, which `asked` was found to be.
    pub(super) fn origin_of(&self, found: &Found, version: &str, asked: &str) -> Origin {
        let mut origin = self.origin();
        if self.code().has_hashes() {
            origin.hash = found.commit.id.to_string();
        }
        origin.ref_name = found.ref_name.clone().unwrap_or_default();
        if is_pseudo_version(version) && (version != asked || !version.starts_with("v0.0.0-")) {
            self.depend_on_tags(&mut origin, self.version_tag_prefix());
        }
        origin
    }

    /// Notes that an answer depends on the tags that begin with `prefix`. Of Mercurial's, which are in its files, it
    /// depends on everything; the others have no sum.
    pub(super) fn depend_on_tags(&self, origin: &mut Origin, prefix: String) {
        if self.code().system() == VersionControl::Git {
            origin.tag_sum = self.code().refs().tag_sum(&prefix);
            origin.tag_prefix = prefix;
        }
        if let Some(sum) = self.code().sum() {
            sum.clone_into(&mut origin.repo_sum);
        }
    }
}

/// The origin of an answer that follows from two others; none when they contradict each other (cmd/go `mergeOrigin`).
pub(crate) fn merge(one: Option<&Origin>, other: Option<&Origin>) -> Option<Origin> {
    let (one, other) = (one?, other?);
    let place = |origin: &Origin| {
        (
            origin.vcs.clone(),
            origin.url.clone(),
            origin.subdir.clone(),
        )
    };
    let same_tags =
        one.tag_sum.is_empty() || other.tag_sum.is_empty() || one.tag_prefix == other.tag_prefix;
    if place(one) != place(other) || !same_tags {
        return None;
    }
    let tags = if other.tag_sum.is_empty() { one } else { other };
    Some(Origin {
        hash: either(&one.hash, &other.hash)?,
        tag_sum: either(&one.tag_sum, &other.tag_sum)?,
        repo_sum: either(&one.repo_sum, &other.repo_sum)?,
        ref_name: either(&one.ref_name, &other.ref_name)?,
        tag_prefix: tags.tag_prefix.clone(),
        ..one.clone()
    })
}

fn either(one: &str, other: &str) -> Option<String> {
    match (one, other) {
        (one, "") => Some(one.to_owned()),
        ("", other) => Some(other.to_owned()),
        (one, other) => (one == other).then(|| one.to_owned()),
    }
}

/// `info` as it is kept for its version: without what the way from a branch or from `latest` to the version depended
/// on (cmd/go `writeDiskStat`).
#[must_use]
pub fn settled(mut info: RevInfo) -> RevInfo {
    if let Some(origin) = &mut info.origin {
        origin.tag_prefix.clear();
        origin.tag_sum.clear();
        origin.repo_sum.clear();
        if is_pseudo_version(&info.version) {
            origin.ref_name.clear();
        }
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_merged_unless_they_contradict() {
        let origin = |hash: &str, prefix: &str, sum: &str, name: &str| Origin {
            vcs: "git".to_owned(),
            hash: hash.to_owned(),
            tag_prefix: prefix.to_owned(),
            tag_sum: sum.to_owned(),
            ref_name: name.to_owned(),
            ..Origin::default()
        };
        let list = origin("", "v1.", "t1:a", "");
        let tag = origin("aa", "", "", "refs/tags/v1");
        let merged = merge(Some(&list), Some(&tag)).unwrap();
        assert_eq!(merged, origin("aa", "v1.", "t1:a", "refs/tags/v1"));
        assert_eq!(merge(Some(&tag), Some(&list)).unwrap(), merged);
        for other in [
            origin("bb", "", "", ""),
            origin("", "v2.", "t1:a", ""),
            origin("", "v1.", "t1:b", ""),
            origin("", "", "", "HEAD"),
            Origin::default(),
        ] {
            assert_eq!(merge(Some(&merged), Some(&other)), None, "{other:?}");
        }
        assert_eq!(merge(Some(&merged), None), None);
    }
}
