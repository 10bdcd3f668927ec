//! Versions of modules: [`Version`], which is always canonical, and [`Revision`], which is anything
//! that a proxy may be asked for by name.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ModuleError, PathKind, VersionError, VersionFault};
use crate::escape::{self, EscapedVersion};
use crate::path::{ModulePath, check_element, check_path, path_major_prefix, split_path_version};
use crate::{pseudo, semver};

/// A canonical module version: `vX.Y.Z`, with optional prerelease and optional `+incompatible`.
///
/// Order is semantic precedence, then the text. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Arc<str>);

impl Version {
    /// Takes `version` if it is canonical; short forms such as `v1` and other build metadata than
    /// `+incompatible` are refused.
    pub fn new(version: &str) -> Result<Self, VersionError> {
        match semver::canonical_module_version(version) {
            Some(canonical) if canonical == version => Ok(Self(canonical.into())),
            Some(_) => Err(VersionError::new(
                version,
                VersionFault::NotCanonical { major: "v1".into() },
            )),
            None => Err(VersionError::new(version, VersionFault::NotSemver)),
        }
    }

    /// The canonical form of any semantic version: missing parts filled in, build metadata other
    /// than `+incompatible` dropped.
    pub fn canonicalize(version: &str) -> Result<Self, VersionError> {
        semver::canonical_module_version(version)
            .map(|canonical| Self(canonical.into()))
            .ok_or_else(|| VersionError::new(version, VersionFault::NotSemver))
    }

    /// The version that `escaped` stands for.
    pub fn unescape(escaped: &str) -> Result<Self, VersionError> {
        Self::new(Revision::unescape(escaped)?.as_str())
    }

    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The version with upper-case letters marked, for URLs and file names.
    pub fn escaped(&self) -> EscapedVersion {
        EscapedVersion::of(&self.0)
    }

    /// True for a version made up from a commit, such as
    /// `v0.0.0-20060102150405-abcdef123456`.
    pub fn is_pseudo(&self) -> bool {
        pseudo::is_pseudo_version(&self.0)
    }

    /// True for a version of a module that ignores the rule of major version suffixes.
    pub fn is_incompatible(&self) -> bool {
        self.0.ends_with(semver::INCOMPATIBLE)
    }

    /// True when the version sorts before its release; pseudo-versions always do.
    pub fn is_prerelease(&self) -> bool {
        semver::prerelease(&self.0).is_some_and(|suffix| !suffix.is_empty())
    }

    /// `v1` of `v1.2.3`.
    pub fn major(&self) -> &str {
        semver::major(&self.0).unwrap_or(&self.0)
    }

    /// Checks that the version may belong to a module whose path ends in `path_major`, see
    /// [`check_path_major`].
    pub fn check_path_major(&self, path_major: &str) -> Result<(), VersionError> {
        check_path_major(&self.0, path_major)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        semver::compare_total(&self.0, &other.0)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<&Version> for Revision {
    fn from(version: &Version) -> Self {
        Self(version.0.clone())
    }
}

impl From<Version> for Revision {
    fn from(version: Version) -> Self {
        Self(version.0)
    }
}

/// What may stand before `.info` in a request: a version, branch, tag or commit hash.
///
/// It is one path element of ASCII characters that is fit to be a file name and has no `!`, so a
/// branch with a slash cannot be asked for through a proxy. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(Arc<str>);

impl Revision {
    /// Checks that `revision` can be escaped (x/mod `EscapeVersion`).
    pub fn new(revision: &str) -> Result<Self, VersionError> {
        let escapable = revision.is_ascii()
            && !revision.contains('!')
            && check_element(revision, PathKind::File).is_ok();
        if escapable {
            Ok(Self(revision.into()))
        } else {
            Err(VersionError::new(revision, VersionFault::Disallowed))
        }
    }

    /// The revision that `escaped` stands for.
    pub fn unescape(escaped: &str) -> Result<Self, VersionError> {
        let revision = escape::unescape(escaped).ok_or_else(|| VersionError::Escape {
            escaped: escaped.to_owned(),
        })?;
        match check_element(&revision, PathKind::File) {
            Ok(()) => Ok(Self(revision.into())),
            Err(fault) => Err(VersionError::EscapedMalformed {
                version: revision,
                fault,
            }),
        }
    }

    /// The revision as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The revision with upper-case letters marked, for URLs and file names.
    pub fn escaped(&self) -> EscapedVersion {
        EscapedVersion::of(&self.0)
    }

    /// The revision as a version, if it is spelled as a canonical one.
    pub fn canonical(&self) -> Option<Version> {
        Version::new(&self.0).ok()
    }
}

macro_rules! checked_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = VersionError;

            fn from_str(text: &str) -> Result<Self, VersionError> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

checked_text!(Version);
checked_text!(Revision);

/// A module at a version that fits its path. Order is by path, then by version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleVersion {
    path: ModulePath,
    version: Version,
}

impl ModuleVersion {
    /// Pairs `path` with `version` if the major versions agree.
    pub fn new(path: ModulePath, version: Version) -> Result<Self, ModuleError> {
        match version.check_path_major(path.path_major()) {
            Ok(()) => Ok(Self { path, version }),
            Err(source) => Err(ModuleError {
                path: path.to_string(),
                source,
            }),
        }
    }

    /// The module path.
    pub fn path(&self) -> &ModulePath {
        &self.path
    }

    /// The version.
    pub fn version(&self) -> &Version {
        &self.version
    }
}

impl fmt::Display for ModuleVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.version)
    }
}

/// Checks that `path` is a module path, `version` a semantic version, and that the two agree on the
/// major version (x/mod `module.Check`).
pub fn check(path: &str, version: &str) -> Result<(), Error> {
    check_path(path)?;
    let in_module = |source| ModuleError {
        path: path.to_owned(),
        source,
    };
    if !semver::is_valid(version) {
        return Err(in_module(VersionError::new(version, VersionFault::NotSemver)).into());
    }
    let path_major = split_path_version(path).map_or("", |(_, path_major)| path_major);
    check_path_major(version, path_major).map_err(|source| in_module(source).into())
}

/// Checks that the semantic version `version` may belong to a module path with the suffix
/// `path_major` (empty, `/v2`, `.v3`, `.v1-unstable`).
///
/// Without suffix v0, v1 and `+incompatible` fit. `.v1` also takes `v0.0.0-` pseudo-versions, which
/// old releases of Go made for gopkg.in modules.
pub fn check_path_major(version: &str, path_major: &str) -> Result<(), VersionError> {
    let major = semver::major(version).unwrap_or_default();
    let want = match path_major_prefix(path_major) {
        None => {
            let fits = matches!(major, "v0" | "v1")
                || semver::build(version) == Some(semver::INCOMPATIBLE);
            if fits {
                return Ok(());
            }
            "v0 or v1"
        }
        Some(want) => {
            let old_gopkg_bug =
                path_major.starts_with('.') && want == "v1" && version.starts_with("v0.0.0-");
            if major == want || old_gopkg_bug {
                return Ok(());
            }
            want
        }
    };
    Err(VersionError::new(
        version,
        VersionFault::WrongMajor {
            want: want.into(),
            got: major.into(),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_canonical_text_is_a_version() {
        for version in ["v0.0.0", "v1.2.3-rc.1", "v2.0.0+incompatible", "v1.0.0-RC1"] {
            assert_eq!(Version::new(version).unwrap().as_str(), version);
        }
        for (version, error) in [
            ("v1", r#"version "v1" invalid: must be of the form v1.2.3"#),
            (
                "v1.2.3+meta",
                r#"version "v1.2.3+meta" invalid: must be of the form v1.2.3"#,
            ),
            (
                "1.2.3",
                r#"version "1.2.3" invalid: not a semantic version"#,
            ),
            ("", r#"version "" invalid: not a semantic version"#),
        ] {
            assert_eq!(Version::new(version).unwrap_err().to_string(), error);
        }
        assert_eq!(Version::canonicalize("v1+x").ok(), None);
        assert_eq!(Version::canonicalize("v1.2").unwrap().as_str(), "v1.2.0");
        assert_eq!(
            Version::canonicalize("v2.0.0+incompatible")
                .unwrap()
                .as_str(),
            "v2.0.0+incompatible"
        );
    }

    #[test]
    fn a_version_knows_its_kind() {
        let version = |text| Version::new(text).unwrap();
        let pseudo = version("v2.0.1-0.20060102150405-abcdef123456+incompatible");
        assert!(pseudo.is_pseudo() && pseudo.is_incompatible() && pseudo.is_prerelease());
        assert_eq!(pseudo.major(), "v2");
        let release = version("v1.2.3");
        assert!(!release.is_pseudo() && !release.is_incompatible() && !release.is_prerelease());
    }

    #[test]
    fn versions_escape_like_paths() {
        let version = Version::new("v1.0.0-RC1").unwrap();
        assert_eq!(version.escaped().as_str(), "v1.0.0-!r!c1");
        assert_eq!(Version::unescape("v1.0.0-!r!c1"), Ok(version));
        for (escaped, error) in [
            ("v1.0.0-RC1", r#"invalid escaped version "v1.0.0-RC1""#),
            ("v1.0.0!", r#"invalid escaped version "v1.0.0!""#),
            ("a/b", r#"invalid escaped version "a/b": invalid char '/'"#),
            ("main", r#"version "main" invalid: not a semantic version"#),
        ] {
            assert_eq!(Version::unescape(escaped).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn revisions_are_single_names() {
        for revision in [
            "main",
            "Feature_1",
            "0123abcdef",
            "v1",
            "v1.2.3+meta",
            "a b",
        ] {
            let parsed = Revision::new(revision).unwrap();
            assert_eq!(Revision::unescape(parsed.escaped().as_str()), Ok(parsed));
        }
        for bad in ["", "feature/x", "a!b", "é", "..", "a:b", "con", "x."] {
            let error = Revision::new(bad).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "version {} invalid: disallowed version string",
                    crate::quote(bad)
                )
            );
        }
        assert_eq!(Revision::new("v1").unwrap().canonical(), None);
        let version = Version::new("v1.2.3").unwrap();
        assert_eq!(Revision::from(&version).canonical(), Some(version));
    }

    #[test]
    fn path_and_version_must_agree_on_the_major_version() {
        for (path, version, error) in [
            ("x.y/z", "v0.1.0", ""),
            ("x.y/z", "v2.0.0+incompatible", ""),
            ("x.y/z/v2", "v2.0.0", ""),
            ("gopkg.in/z.v1", "v0.0.0-20060102150405-abcdef123456", ""),
            ("gopkg.in/z.v1-unstable", "v1.0.0", ""),
            (
                "x.y/z",
                "v2.0.0",
                "x.y/z@v2.0.0: invalid version: should be v0 or v1, not v2",
            ),
            (
                "x.y/z/v2",
                "v1.0.0",
                "x.y/z/v2@v1.0.0: invalid version: should be v2, not v1",
            ),
            (
                "gopkg.in/z.v1",
                "v0.0.0",
                "gopkg.in/z.v1@v0.0.0: invalid version: should be v1, not v0",
            ),
            (
                "x.y/z",
                "1.0",
                "x.y/z@1.0: invalid version: not a semantic version",
            ),
            (
                "z",
                "v1.0.0",
                r#"malformed module path "z": missing dot in first path element"#,
            ),
        ] {
            let got = check(path, version).map_or_else(|e| e.to_string(), |()| String::new());
            assert_eq!(got, error, "{path} {version}");
        }
        let path = ModulePath::new("x.y/z/v2").unwrap();
        let fits = ModuleVersion::new(path.clone(), Version::new("v2.1.0").unwrap()).unwrap();
        assert_eq!(fits.to_string(), "x.y/z/v2@v2.1.0");
        assert!(ModuleVersion::new(path, Version::new("v1.0.0").unwrap()).is_err());
    }

    fn version() -> impl Strategy<Value = Version> {
        let number = "(0|[1-9][0-9]{0,2})";
        let pre = "(-(0|[1-9]|[a-zA-Z-]|0[a-c])(\\.([0-9]|x[0-9]?)){0,2})?";
        let text = format!("v{number}\\.{number}\\.{number}{pre}(\\+incompatible)?");
        proptest::string::string_regex(&text)
            .unwrap()
            .prop_filter_map("not canonical", |text| Version::new(&text).ok())
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in version(), b in version(), c in version()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&b).is_eq(), a == b);
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }

        #[test]
        fn escaping_round_trips(version in version()) {
            prop_assert_eq!(Version::unescape(version.escaped().as_str()), Ok(version));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = (Version::new(&text), Version::unescape(&text), Revision::new(&text), Revision::unescape(&text));
            let _ = (check(&text, &text), check_path_major(&text, &text));
        }
    }
}
