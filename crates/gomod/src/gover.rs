//! Versions of Go itself, such as `1.21`, `1.21rc2` and `1.21.3`, which are no semantic versions.
//!
//! From 1.21 on, `1.N` names the language and sorts before `1.Nrc1` and `1.N.0`; before that it
//! equals `1.N.0`. Rules: Go's `internal/gover`.

use std::cmp::Ordering;

use crate::decimal;

/// The Go version that a go.mod file without go line is read with.
pub const DEFAULT_GO_MOD_VERSION: &str = "1.16";

/// The Go version that a go.work file without go line is read with.
pub const DEFAULT_GO_WORK_VERSION: &str = "1.18";

/// `major[.minor[.patch]][kind[pre]]`; all parts of an invalid version are empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Parts<'a> {
    major: &'a str,
    minor: &'a str,
    patch: &'a str,
    /// `alpha`, `beta` or `rc`, in the alphabetic order they come in.
    kind: &'a str,
    pre: &'a str,
}

impl<'a> Parts<'a> {
    fn parse(version: &'a str) -> Option<Self> {
        let mut parts = Self::default();
        let rest;
        (parts.major, rest) = decimal::cut(version)?;
        if rest.is_empty() {
            (parts.minor, parts.patch) = ("0", "0");
            return Some(parts);
        }
        let rest;
        (parts.minor, rest) = decimal::cut(version[parts.major.len()..].strip_prefix('.')?)?;
        if rest.is_empty() {
            if decimal::compare(parts.minor, "21").is_lt() {
                parts.patch = "0";
            }
            return Some(parts);
        }
        if let Some(patch) = rest.strip_prefix('.') {
            let end;
            (parts.patch, end) = decimal::cut(patch)?;
            return end.is_empty().then_some(parts);
        }
        let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
        let pre;
        (parts.kind, pre) = rest.split_at(letters);
        if parts.kind.is_empty() {
            return None;
        }
        if !pre.is_empty() {
            let end;
            (parts.pre, end) = decimal::cut(pre)?;
            if !end.is_empty() {
                return None;
            }
        }
        Some(parts)
    }

    fn parse_or_empty(version: &'a str) -> Self {
        Self::parse(version).unwrap_or_default()
    }
}

/// Compares two Go versions; invalid ones are equal to each other and below every valid one.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::parse_or_empty(a), Parts::parse_or_empty(b));
    decimal::compare(a.major, b.major)
        .then_with(|| decimal::compare(a.minor, b.minor))
        .then_with(|| decimal::compare(a.patch, b.patch))
        .then_with(|| a.kind.cmp(b.kind))
        .then_with(|| decimal::compare(a.pre, b.pre))
}

/// The greater of two Go versions, the first if they are equal.
pub fn max<'a>(a: &'a str, b: &'a str) -> &'a str {
    if compare(a, b).is_lt() { b } else { a }
}

/// True when `version` is a Go version (without the prefix `go`).
pub fn is_valid(version: &str) -> bool {
    Parts::parse(version).is_some()
}

/// True when `version` names the language (`1.21`) and not a release (`1.21.0`, `1.21rc1`). That
/// distinction exists from 1.21 on.
pub fn is_lang(version: &str) -> bool {
    Parts::parse(version)
        .is_some_and(|v| v.patch.is_empty() && v.kind.is_empty() && v.pre.is_empty())
}

/// True for alpha, beta and release candidate versions.
pub fn is_prerelease(version: &str) -> bool {
    !Parts::parse_or_empty(version).kind.is_empty()
}

/// The language version of a release: `1.21` for `1.21.3`. Empty for an invalid version.
pub fn lang(version: &str) -> String {
    let v = Parts::parse_or_empty(version);
    if v.minor.is_empty() || (v.major == "1" && v.minor == "0") {
        return v.major.to_owned();
    }
    format!("{}.{}", v.major, v.minor)
}

/// The language version before that of `version`, or the major version alone if there is none.
pub fn prev(version: &str) -> String {
    let v = Parts::parse_or_empty(version);
    if decimal::compare(v.minor, "1").is_le() {
        return v.major.to_owned();
    }
    let minor = decimal::dec_decimal(v.minor).unwrap_or_default();
    format!("{}.{minor}", v.major)
}

/// The Go version that a toolchain name stands for: `1.21.3` for `go1.21.3` and
/// `go1.21.3-custom`. `None` when the name is not of that form.
pub fn from_toolchain(name: &str) -> Option<&str> {
    if name.contains(['/', '\\']) {
        return None;
    }
    let version = name.strip_prefix("go")?;
    let version = version.split([' ', '\t', '-']).next()?;
    is_valid(version).then_some(version)
}

/// True for `go` and `toolchain`, the names under which Go itself takes part in version selection.
pub fn is_toolchain(path: &str) -> bool {
    matches!(path, "go" | "toolchain")
}

/// Compares two versions of the module `path`, which may be [`is_toolchain`].
pub fn compare_of_module(path: &str, a: &str, b: &str) -> Ordering {
    let of_toolchain = |name| {
        if is_valid(name) {
            name
        } else {
            from_toolchain(name).unwrap_or_default()
        }
    };
    match path {
        "go" => compare(a, b),
        "toolchain" => compare(of_toolchain(a), of_toolchain(b)),
        _ => crate::semver::compare(a, b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered() {
        let ascending = [
            "bad",
            "1",
            "1.5",
            "1.5.1",
            "1.10",
            "1.19alpha1",
            "1.19beta2",
            "1.19rc1",
            "1.19rc2",
            "1.20rc1",
            "1.20",
            "1.20.1",
            "1.21",
            "1.21rc1",
            "1.21.0",
            "1.21.10",
            "1.22",
            "2",
        ];
        for (i, low) in ascending.iter().enumerate() {
            for (j, high) in ascending.iter().enumerate() {
                assert_eq!(compare(low, high), i.cmp(&j), "{low} {high}");
            }
        }
    }

    #[test]
    fn malformed_versions_are_all_alike() {
        for bad in [
            "", "go1.21", "v1.21", "1.", "01", "1.02", "1.2.3rc1", "1.2rc01", "1.2RC1", "1.2rc1x",
            "1.2+x",
        ] {
            assert!(!is_valid(bad), "{bad}");
            assert!(compare(bad, "nonsense").is_eq());
            assert!(compare(bad, "1").is_lt());
        }
    }

    #[test]
    fn language_versions_are_told_from_releases() {
        assert!(
            is_lang("1.21")
                && !is_lang("1.21.0")
                && !is_lang("1.21rc1")
                && !is_lang("1.20")
                && !is_lang("x")
        );
        assert_eq!(lang("1.21.3"), "1.21");
        assert_eq!(lang("1.22rc1"), "1.22");
        assert_eq!(lang("1"), "1");
        assert_eq!(prev("1.21.3"), "1.20");
        assert_eq!(prev("1.1"), "1");
        assert!(is_prerelease("1.22rc1") && !is_prerelease("1.22.1"));
        assert_eq!(max("1.21", "1.20.5"), "1.21");
    }

    #[test]
    fn toolchain_names_carry_a_version() {
        assert_eq!(from_toolchain("go1.21.3-custom"), Some("1.21.3"));
        assert_eq!(from_toolchain("go1.22rc1"), Some("1.22rc1"));
        for bad in ["1.21", "go", "default", "go1.21/../x", "gox"] {
            assert_eq!(from_toolchain(bad), None, "{bad}");
        }
        assert!(compare_of_module("toolchain", "go1.21.3", "1.21.2").is_gt());
        assert!(compare_of_module("go", "1.9", "1.10").is_lt());
        assert!(compare_of_module("x.example/y", "v1.9.0", "v1.10.0").is_lt());
    }
}
