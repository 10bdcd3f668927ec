//! The names of a repository: HEAD, branches and tags at one moment, and the sums over them that answers carry.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bstr::{BStr, BString, ByteSlice as _};
use gomod::{pseudo, quote, semver};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

pub(super) const TAGS: &str = "refs/tags/";
const HEADS: &str = "refs/heads/";

/// How many hexadecimal digits are the least that may name a commit.
const MIN_DIGITS: usize = 7;

/// The hash of an object: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits. With systems that have no hashes,
/// the number of a revision.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectId(Box<str>);

impl ObjectId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        (matches!(text.len(), 40 | 64) && is_hex(text)).then(|| Self(text.into()))
    }

    /// The revision of a system that counts them.
    pub(crate) fn number(number: u64) -> Self {
        Self(number.to_string().into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The twelve digits that pseudo-versions carry.
    pub(crate) fn short(&self) -> Cow<'_, str> {
        match self.0.get(..12) {
            Some(short) => short.into(),
            None => format!("{:0>12}", self.0).into(),
        }
    }

    pub(crate) fn is_sha256(&self) -> bool {
        self.0.len() == 64
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// HEAD, branches and tags by full name, each with the object that it leads to in the end: annotated tags are peeled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refs {
    by_name: BTreeMap<BString, ObjectId>,
}

/// What a revision is the name of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Ref {
        /// The full name of the ref.
        name: BString,
        commit: ObjectId,
        /// Whether the revision is the name of a tag.
        tag: bool,
    },
    /// The beginning of a hash, of a commit that no ref points at.
    Hash,
    Unknown,
}

impl Refs {
    /// These refs, unless there are more than `limit`.
    pub(crate) fn of(refs: Vec<(BString, ObjectId)>, limit: usize) -> Result<Self, Error> {
        if refs.len() > limit {
            return Err(Error::TooManyRefs { limit });
        }
        let by_name = refs.into_iter().collect();
        Ok(Self { by_name })
    }

    /// The commit of HEAD, if it has one.
    pub(crate) fn head(&self) -> Option<&ObjectId> {
        self.by_name.get(BStr::new("HEAD"))
    }

    /// Every ref, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&BStr, &ObjectId)> {
        self.by_name
            .iter()
            .map(|(name, commit)| (name.as_bstr(), commit))
    }

    /// The tags whose names start with `prefix`, by name.
    pub(crate) fn tags(&self, prefix: &str) -> impl Iterator<Item = (&BStr, &ObjectId)> {
        let from = BString::from(format!("{TAGS}{prefix}"));
        let within = from.clone();
        self.by_name
            .range(from..)
            .take_while(move |(name, _)| name.starts_with(&within))
            .filter_map(|(name, commit)| {
                Some((name.strip_prefix(TAGS.as_bytes())?.as_bstr(), commit))
            })
    }

    /// The tag names of `commit`, sorted.
    pub(crate) fn tags_of(&self, commit: &ObjectId) -> Vec<&BStr> {
        self.tags("")
            .filter(|(_, tagged)| *tagged == commit)
            .map(|(name, _)| name)
            .collect()
    }

    /// What `revision` names: a tag, else a branch, else HEAD, else the beginning of a hash
    /// (cmd/go `gitRepo.stat`).
    pub(crate) fn lookup(&self, revision: &str) -> Result<Named, Error> {
        for (prefix, tag) in [(TAGS, true), (HEADS, false)] {
            let name = BString::from(format!("{prefix}{revision}"));
            if let Some(commit) = self.by_name.get(&name) {
                return Ok(Named::Ref {
                    commit: commit.clone(),
                    name,
                    tag,
                });
            }
        }
        if revision == "HEAD"
            && let Some(commit) = self.head()
        {
            return Ok(Named::Ref {
                name: "HEAD".into(),
                commit: commit.clone(),
                tag: false,
            });
        }
        if revision.len() < MIN_DIGITS || revision.len() > self.hash_length() || !is_hex(revision) {
            return Ok(Named::Unknown);
        }
        let mut found: Option<(&BStr, &ObjectId)> = None;
        for (name, commit) in self.iter() {
            if !commit.as_str().starts_with(revision) {
                continue;
            }
            match found {
                Some((_, first)) if first != commit => {
                    return Err(Error::AmbiguousRevision(revision.to_owned()));
                }
                Some(_) => {}
                // The names come in order: the first is the smallest.
                None => found = Some((name, commit)),
            }
        }
        Ok(match found {
            Some((name, commit)) => Named::Ref {
                name: name.to_owned(),
                commit: commit.clone(),
                tag: false,
            },
            None => Named::Hash,
        })
    }

    fn hash_length(&self) -> usize {
        self.by_name
            .values()
            .next()
            .map_or(40, |commit| commit.as_str().len())
    }

    /// The sum over the tags that start with `prefix` and can be versions, or bases of pseudo-versions.
    pub(crate) fn tag_sum(&self, prefix: &str) -> String {
        let directory = prefix.rfind('/').map_or("", |at| &prefix[..=at]);
        let counted = self
            .tags(prefix)
            .filter(|(name, _)| is_version_tag(name, directory));
        format!("t1:{}", sum(counted))
    }

    /// The sum over everything.
    pub(crate) fn repo_sum(&self) -> String {
        format!("r1:{}", sum(self.iter()))
    }
}

fn is_version_tag(name: &BStr, directory: &str) -> bool {
    let Some(version) = name
        .strip_prefix(directory.as_bytes())
        .and_then(|version| version.to_str().ok())
    else {
        return false;
    };
    semver::canonical(version).is_some_and(|canonical| version.starts_with(&canonical))
        && !pseudo::is_pseudo_version(version)
}

fn sum<'a>(refs: impl Iterator<Item = (&'a BStr, &'a ObjectId)>) -> String {
    let mut hasher = Sha256::new();
    let mut line = String::new();
    for (name, commit) in refs {
        line.clear();
        // Writing to a string does not fail.
        let _infallible = writeln!(line, "{} {commit}", quote(name));
        hasher.update(line.as_bytes());
    }
    STANDARD.encode(hasher.finalize())
}

/// Reads what `git ls-remote` writes.
#[derive(Debug)]
pub(crate) struct Listing {
    refs: BTreeMap<BString, ObjectId>,
    peeled: Vec<(BString, ObjectId)>,
    limit: usize,
    exceeded: bool,
}

impl Listing {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            refs: BTreeMap::new(),
            peeled: Vec::new(),
            limit,
            exceeded: false,
        }
    }

    /// Takes one line. False when there are more refs than the limit allows.
    pub(crate) fn take(&mut self, line: &[u8]) -> bool {
        let Some((id, name)) = parse(line) else {
            return true;
        };
        match name.strip_suffix(b"^{}") {
            Some(tag) => self.peeled.push((tag.into(), id)),
            None => {
                self.refs.insert(name.into(), id);
            }
        }
        self.exceeded |= self.refs.len() > self.limit || self.peeled.len() > self.limit;
        !self.exceeded
    }

    pub(crate) fn finish(mut self) -> Result<Refs, Error> {
        if self.exceeded {
            return Err(Error::TooManyRefs { limit: self.limit });
        }
        self.refs.extend(self.peeled);
        Ok(Refs { by_name: self.refs })
    }
}

fn parse(line: &[u8]) -> Option<(ObjectId, &[u8])> {
    let (id, name) = line.split_once_str("\t")?;
    let is_kept =
        name == b"HEAD" || name.starts_with(TAGS.as_bytes()) || name.starts_with(HEADS.as_bytes());
    // Go splits the line at any white space and skips it when there are more than two parts.
    if !is_kept || name.chars().any(char::is_whitespace) {
        return None;
    }
    Some((ObjectId::parse(id.to_str().ok()?)?, name))
}

/// Whether git takes `name` for the full name of a ref (git-check-ref-format), so that it means nothing else in a
/// refspec.
pub(crate) fn is_plain_name(name: &BStr) -> bool {
    let parts = || name.split_str("/");
    !name.is_empty()
        && name
            .iter()
            .all(|&b| b > b' ' && b != 0x7f && !b"~^:?*[\\".contains(&b))
        && !name.contains_str("..")
        && !name.contains_str("@{")
        && parts().all(|part| {
            !part.is_empty() && !part.starts_with(b".") && !part.ends_with(b".lock") && part != b"@"
        })
        && !name.ends_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(digit: char) -> String {
        digit.to_string().repeat(40)
    }

    fn refs(lines: &[(char, &str)]) -> Refs {
        let mut listing = Listing::new(100);
        for (digit, name) in lines {
            assert!(listing.take(format!("{}\t{name}", id(*digit)).as_bytes()));
        }
        listing.finish().unwrap()
    }

    #[test]
    fn only_head_branches_and_tags_count_and_tags_are_peeled() {
        let refs = refs(&[
            ('a', "HEAD"),
            ('a', "refs/heads/main"),
            ('b', "refs/tags/v1.0.0"),
            ('c', "refs/tags/v1.0.0^{}"),
            ('d', "refs/pull/1/head"),
            ('d', "refs/tags/a\u{a0}b"),
        ]);
        assert_eq!(refs.iter().count(), 3);
        assert_eq!(refs.tags("v1").next().unwrap().1.as_str(), id('c'));
        assert_eq!(refs.head().unwrap().short(), "aaaaaaaaaaaa");
        assert_eq!(
            refs.tags_of(&ObjectId::parse(&id('c')).unwrap()),
            ["v1.0.0"]
        );
        let mut listing = Listing::new(1);
        for line in ["garbage", "x\tHEAD", "", "\t\t"] {
            assert!(listing.take(line.as_bytes()));
        }
        assert!(listing.take(format!("{}\trefs/heads/a", id('a')).as_bytes()));
        assert!(!listing.take(format!("{}\trefs/heads/b", id('a')).as_bytes()));
        assert!(matches!(
            listing.finish(),
            Err(Error::TooManyRefs { limit: 1 })
        ));
    }

    #[test]
    fn a_tag_goes_before_a_branch_and_a_name_before_a_hash() {
        let refs = refs(&[
            ('a', "HEAD"),
            ('a', "refs/heads/main"),
            ('b', "refs/heads/v1"),
            ('c', "refs/tags/v1"),
            ('d', "refs/tags/aaaaaaa"),
            ('e', "refs/heads/x"),
            ('e', "refs/tags/x2"),
        ]);
        let name = |revision: &str| match refs.lookup(revision).unwrap() {
            Named::Ref { name, tag, .. } => format!("{name} {tag}"),
            other => format!("{other:?}"),
        };
        assert_eq!(name("v1"), "refs/tags/v1 true");
        assert_eq!(name("main"), "refs/heads/main false");
        assert_eq!(name("HEAD"), "HEAD false");
        assert_eq!(name("aaaaaaa"), "refs/tags/aaaaaaa true");
        assert_eq!(name("aaaaaaaa"), "HEAD false");
        assert_eq!(name("eeeeeeeeeeee"), "refs/heads/x false");
        assert_eq!(name("eeeeee"), "Unknown");
        assert_eq!(name("1234567"), "Hash");
        assert_eq!(name(&id('1')), "Hash");
        assert_eq!(name(&"1".repeat(41)), "Unknown");
        assert_eq!(name("ABCDEF12"), "Unknown");
    }

    #[test]
    fn a_prefix_of_two_commits_is_ambiguous() {
        let mut listing = Listing::new(9);
        for (last, name) in [('0', "a"), ('1', "b")] {
            listing.take(format!("{}{last}\trefs/heads/{name}", "f".repeat(39)).as_bytes());
        }
        let refs = listing.finish().unwrap();
        assert_eq!(
            refs.lookup("fffffff").unwrap_err().to_string(),
            "ambiguous revision fffffff"
        );
    }

    #[test]
    fn sums_count_the_right_tags() {
        let none = refs(&[
            ('a', "HEAD"),
            ('a', "refs/tags/v1"),
            ('a', "refs/tags/sub/v1.0.0"),
        ]);
        // The sum of nothing.
        assert_eq!(
            none.tag_sum(""),
            "t1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        assert_ne!(none.tag_sum("sub/"), none.tag_sum(""));
        let pseudo = refs(&[('a', "refs/tags/v0.0.0-20060102150405-abcdef123456")]);
        assert_eq!(pseudo.tag_sum(""), none.tag_sum(""));
        let meta = refs(&[('a', "refs/tags/v1.0.0+meta")]);
        assert_ne!(meta.tag_sum(""), none.tag_sum(""));
        assert!(meta.repo_sum().starts_with("r1:"));
    }

    #[test]
    fn names_that_mean_something_else_in_a_refspec_are_told() {
        for good in [
            "HEAD",
            "refs/tags/v1.0.0",
            "refs/heads/feature/x",
            "refs/tags/-x",
            "refs/tags/é",
        ] {
            assert!(is_plain_name(good.into()), "{good}");
        }
        for bad in [
            "",
            "refs/tags/a:b",
            "refs/tags/*",
            "refs/tags/a..b",
            "refs/tags/a b",
            "refs//x",
            "refs/tags/.x",
            "refs/tags/x.lock",
            "refs/tags/x.",
            "refs/tags/@{x",
            "refs/tags/x\\",
            "/refs",
            "refs/",
        ] {
            assert!(!is_plain_name(bad.into()), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_listing_panics(lines in proptest::collection::vec("[0-9a-f]{38,41}\trefs/(heads|tags)/\\PC{0,5}(\\^\\{\\})?", 0..6), revision in "[0-9a-f]{0,9}") {
            let mut listing = Listing::new(4);
            for line in &lines {
                listing.take(line.as_bytes());
            }
            if let Ok(refs) = listing.finish() {
                let _ = (refs.lookup(&revision), refs.tag_sum("v"), refs.repo_sum());
            }
        }
    }
}
