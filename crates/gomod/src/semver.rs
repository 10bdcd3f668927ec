//! Semantic versions in the spelling Go uses: a leading `v`, and `v1`, `v1.2` as short forms.
//!
//! Rules: semver.org 2.0.0 with these two deviations, as in x/mod `semver/semver.go`. Numbers are
//! decimal strings of any length.

use std::cmp::Ordering;

use crate::decimal;

/// The parts of a version, as slices of the text they were read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) major: &'a str,
    pub(crate) minor: &'a str,
    pub(crate) patch: &'a str,
    /// With its leading `-`, or empty.
    pub(crate) prerelease: &'a str,
    /// With its leading `+`, or empty.
    pub(crate) build: &'a str,
    /// What a short form lacks: `.0.0`, `.0` or nothing.
    missing: &'static str,
}

impl<'a> Parts<'a> {
    pub(crate) fn parse(version: &'a str) -> Option<Self> {
        let (major, rest) = decimal::cut(version.strip_prefix('v')?)?;
        let mut parts = Self {
            major,
            minor: "0",
            patch: "0",
            prerelease: "",
            build: "",
            missing: "",
        };
        if rest.is_empty() {
            parts.missing = ".0.0";
            return Some(parts);
        }
        let rest;
        (parts.minor, rest) = decimal::cut(version[1 + major.len()..].strip_prefix('.')?)?;
        if rest.is_empty() {
            parts.missing = ".0";
            return Some(parts);
        }
        let suffix;
        (parts.patch, suffix) = decimal::cut(rest.strip_prefix('.')?)?;
        (parts.prerelease, parts.build) = suffix.split_at(suffix.find('+').unwrap_or(suffix.len()));
        let well_formed = (parts.prerelease.is_empty()
            || identifiers(parts.prerelease.strip_prefix('-')?, |id| {
                !has_leading_zero(id)
            }))
            && (parts.build.is_empty() || identifiers(&parts.build[1..], |_| true));
        well_formed.then_some(parts)
    }

    fn precedence(&self, other: &Self) -> Ordering {
        decimal::compare(self.major, other.major)
            .then_with(|| decimal::compare(self.minor, other.minor))
            .then_with(|| decimal::compare(self.patch, other.patch))
            .then_with(|| compare_prerelease(self.prerelease, other.prerelease))
    }
}

/// True when `text` is a list of dot-separated identifiers that each satisfy `extra`.
fn identifiers(text: &str, extra: impl Fn(&str) -> bool) -> bool {
    text.split('.').all(|id| {
        !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && extra(id)
    })
}

fn has_leading_zero(id: &str) -> bool {
    id.len() > 1 && id.starts_with('0') && decimal::is_number(id)
}

fn compare_prerelease(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        // Both begin with the same '-', which changes nothing when the rest is split at dots
        // except that it would spoil the numeric test of the first identifier.
        (false, false) => a[1..]
            .split('.')
            .map(Identifier)
            .cmp(b[1..].split('.').map(Identifier)),
    }
}

/// One prerelease identifier: numbers by value and below words, words byte by byte.
struct Identifier<'a>(&'a str);

impl Ord for Identifier<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (decimal::is_number(self.0), decimal::is_number(other.0)) {
            (true, true) => decimal::compare(self.0, other.0),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.0.cmp(other.0),
        }
    }
}

impl PartialOrd for Identifier<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Identifier<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Identifier<'_> {}

/// True when `version` is a semantic version, short forms and build metadata included.
pub fn is_valid(version: &str) -> bool {
    Parts::parse(version).is_some()
}

/// `version` with missing parts filled in and build metadata dropped; `None` when it is invalid.
pub fn canonical(version: &str) -> Option<String> {
    let parts = Parts::parse(version)?;
    let kept = &version[..version.len() - parts.build.len()];
    Some(format!("{kept}{}", parts.missing))
}

/// Like [`canonical`], but keeps the build suffix `+incompatible` (x/mod `CanonicalVersion`).
pub fn canonical_module_version(version: &str) -> Option<String> {
    let mut text = canonical(version)?;
    if build(version) == Some(INCOMPATIBLE) {
        text.push_str(INCOMPATIBLE);
    }
    Some(text)
}

/// The build suffix of a v2+ version of a module whose path has no major version suffix.
pub const INCOMPATIBLE: &str = "+incompatible";

/// `v1` of `v1.2.3`; `None` when `version` is invalid.
pub fn major(version: &str) -> Option<&str> {
    let parts = Parts::parse(version)?;
    version.get(..1 + parts.major.len())
}

/// `v1.2` of `v1.2.3`, and `v1.0` of `v1`; `None` when `version` is invalid.
pub fn major_minor(version: &str) -> Option<String> {
    let parts = Parts::parse(version)?;
    Some(format!("v{}.{}", parts.major, parts.minor))
}

/// The prerelease suffix with its `-`, empty for a release; `None` when `version` is invalid.
pub fn prerelease(version: &str) -> Option<&str> {
    Parts::parse(version).map(|parts| parts.prerelease)
}

/// The build metadata with its `+`, or empty; `None` when `version` is invalid.
pub fn build(version: &str) -> Option<&str> {
    Parts::parse(version).map(|parts| parts.build)
}

/// Compares by semantic precedence: build metadata does not count, invalid versions are equal to
/// each other and below every valid one.
pub fn compare(a: &str, b: &str) -> Ordering {
    match (Parts::parse(a), Parts::parse(b)) {
        (Some(a), Some(b)) => a.precedence(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// Like [`compare`], with ties broken by comparing the strings: a total order.
pub fn compare_total(a: &str, b: &str) -> Ordering {
    compare(a, b).then_with(|| a.cmp(b))
}

/// Sorts by [`compare_total`], lowest first.
pub fn sort<S: AsRef<str>>(versions: &mut [S]) {
    versions.sort_by(|a, b| compare_total(a.as_ref(), b.as_ref()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_filled_up_and_metadata_is_dropped() {
        for (version, want) in [
            ("v1", "v1.0.0"),
            ("v1.2", "v1.2.0"),
            ("v1.2.3", "v1.2.3"),
            ("v1.2.3-rc.1+linux", "v1.2.3-rc.1"),
            ("v3.0.0+incompatible", "v3.0.0"),
            ("v0.0.0--", "v0.0.0--"),
        ] {
            assert_eq!(canonical(version).as_deref(), Some(want));
        }
        assert_eq!(
            canonical_module_version("v3.0.0+incompatible").as_deref(),
            Some("v3.0.0+incompatible")
        );
        assert_eq!(
            canonical_module_version("v3.0.0+meta").as_deref(),
            Some("v3.0.0")
        );
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for bad in [
            "",
            "v",
            "1.2.3",
            "V1.2.3",
            "v01",
            "v1.",
            "v1.02",
            "v1.2.",
            "v1.2.3.4",
            "v1-pre",
            "v1.2+meta",
            "v1.2.3-",
            "v1.2.3-a..b",
            "v1.2.3-01",
            "v1.2.3+",
            "v1.2.3+a.",
            "v1.2.3-ä",
            "v1.2.3 ",
            "v1.2.3+a+b",
        ] {
            assert!(!is_valid(bad), "{bad}");
            assert_eq!(canonical(bad), None);
        }
    }

    #[test]
    fn parts_are_taken_apart() {
        assert_eq!(major("v12.3.4-x"), Some("v12"));
        assert_eq!(major_minor("v1"), Some("v1.0".to_owned()));
        assert_eq!(major_minor("v1.20.3"), Some("v1.20".to_owned()));
        assert_eq!(prerelease("v1.2.3-a.b+c-d"), Some("-a.b"));
        assert_eq!(build("v1.2.3-a.b+c-d"), Some("+c-d"));
        assert_eq!(major("nonsense"), None);
    }

    #[test]
    fn precedence_is_that_of_semver() {
        let ascending = [
            "invalid",
            "v0.9.9",
            "v1.0.0-1",
            "v1.0.0-2",
            "v1.0.0-10",
            "v1.0.0--",
            "v1.0.0-alpha",
            "v1.0.0-alpha.1",
            "v1.0.0-alpha.beta",
            "v1.0.0-beta",
            "v1.0.0",
            "v1.0.1",
            "v1.10.0",
            "v2.0.0",
            "v10.0.0",
            "v99999999999999999999.0.0",
        ];
        for (i, low) in ascending.iter().enumerate() {
            for (j, high) in ascending.iter().enumerate() {
                assert_eq!(compare(low, high), i.cmp(&j), "{low} {high}");
            }
        }
        assert!(compare("v1.0.0+a", "v1.0.0+b").is_eq());
        assert!(compare_total("v1.0.0+a", "v1.0.0+b").is_lt());
    }
}
