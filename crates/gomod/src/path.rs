//! Module, import and file paths: the naming rules, and [`ModulePath`], which always meets them.
//!
//! Rules: protocol reference "Module paths and versions", x/mod `module/module.go`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{PathError, PathFault, PathKind};
use crate::escape::{self, EscapedPath};
use crate::text;

/// A valid module path such as `golang.org/x/text` or `rsc.io/quote/v2`. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModulePath(Arc<str>);

impl ModulePath {
    /// Checks `path` by [`check_path`].
    pub fn new(path: &str) -> Result<Self, PathError> {
        check_path(path)?;
        Ok(Self(path.into()))
    }

    /// The module path that `escaped` stands for. A path that is not the exact escaped form of a
    /// valid path is refused.
    pub fn unescape(escaped: &str) -> Result<Self, PathError> {
        let path = escape::unescape(escaped).ok_or_else(|| PathError::Escape {
            escaped: escaped.to_owned(),
        })?;
        Self::new(&path).map_err(|source| PathError::EscapedMalformed {
            escaped: escaped.to_owned(),
            source: Box::new(source),
        })
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path with upper-case letters marked, for URLs and file names.
    pub fn escaped(&self) -> EscapedPath {
        EscapedPath::of(&self.0)
    }

    /// The path without its major version suffix, and that suffix: empty, `/v2` and above, or
    /// `.v0` and above for gopkg.in paths (where `-unstable` belongs to the suffix).
    pub fn split_version(&self) -> (&str, &str) {
        split_path_version(&self.0).unwrap_or((&self.0, ""))
    }

    /// The major version suffix alone, see [`ModulePath::split_version`].
    pub fn path_major(&self) -> &str {
        self.split_version().1
    }

    /// True when `package` is this module's root package or lies below it.
    pub fn contains_package(&self, package: &str) -> bool {
        package
            .strip_prefix(self.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ModulePath {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        Self::new(path)
    }
}

impl AsRef<str> for ModulePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Serialize for ModulePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ModulePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        Self::new(&path).map_err(serde::de::Error::custom)
    }
}

/// Checks that `path` may name a module: an import path whose first element is a lower-case domain
/// name with a dot, whose elements do not begin with a dot, and whose major version suffix is in
/// order.
pub fn check_path(path: impl AsRef<[u8]>) -> Result<(), PathError> {
    let path = path.as_ref();
    module_fault(path).map_err(|fault| malformed(PathKind::Module, path, fault))
}

/// Checks that `path` may be imported: ASCII letters, digits and `-._~+` in elements that are fit to
/// be file names everywhere.
pub fn check_import_path(path: impl AsRef<[u8]>) -> Result<(), PathError> {
    let path = path.as_ref();
    match elements_fault(path, PathKind::Import) {
        Ok(_) => Ok(()),
        Err(fault) => Err(malformed(PathKind::Import, path, fault)),
    }
}

/// Checks that `path` may name a file of a module: like an import path, with spaces, Unicode letters
/// and most ASCII punctuation allowed.
pub fn check_file_path(path: impl AsRef<[u8]>) -> Result<(), PathError> {
    let path = path.as_ref();
    match elements_fault(path, PathKind::File) {
        Ok(_) => Ok(()),
        Err(fault) => Err(malformed(PathKind::File, path, fault)),
    }
}

fn malformed(kind: PathKind, path: &[u8], fault: PathFault) -> PathError {
    PathError::Malformed {
        kind,
        path: path.into(),
        fault,
    }
}

fn module_fault(path: &[u8]) -> Result<(), PathFault> {
    let path = elements_fault(path, PathKind::Module)?;
    let first = path.split('/').next().unwrap_or(path);
    if first.is_empty() {
        return Err(PathFault::LeadingSlash);
    }
    if !first.contains('.') {
        return Err(PathFault::MissingDot);
    }
    if let Some(bad) = first
        .chars()
        .find(|c| !matches!(c, '-' | '.' | '0'..='9' | 'a'..='z'))
    {
        return Err(PathFault::InvalidDomainChar(bad));
    }
    split_path_version(path)
        .map(drop)
        .ok_or(PathFault::InvalidMajor)
}

/// What the three kinds have in common; gives back the path as text.
fn elements_fault(path: &[u8], kind: PathKind) -> Result<&str, PathFault> {
    let path = std::str::from_utf8(path).map_err(|_| PathFault::InvalidUtf8)?;
    if path.is_empty() {
        return Err(PathFault::Empty);
    }
    if path.starts_with('-') && kind != PathKind::File {
        return Err(PathFault::LeadingDash);
    }
    if path.contains("//") {
        return Err(PathFault::DoubleSlash);
    }
    if path.ends_with('/') {
        return Err(PathFault::TrailingSlash);
    }
    path.split('/')
        .try_for_each(|element| check_element(element, kind))?;
    Ok(path)
}

/// Checks one element of a path of the given kind.
pub(crate) fn check_element(element: &str, kind: PathKind) -> Result<(), PathFault> {
    if element.is_empty() {
        return Err(PathFault::EmptyElement);
    }
    if element.bytes().all(|b| b == b'.') {
        return Err(PathFault::DotElement(element.to_owned()));
    }
    if element.starts_with('.') && kind == PathKind::Module {
        return Err(PathFault::LeadingDot);
    }
    if element.ends_with('.') {
        return Err(PathFault::TrailingDot);
    }
    if let Some(bad) = element.chars().find(|&c| !is_allowed(c, kind)) {
        return Err(PathFault::InvalidChar(bad));
    }
    let stem = element.split('.').next().unwrap_or(element);
    if is_windows_device(stem) {
        return Err(PathFault::WindowsName(stem.to_owned()));
    }
    if kind != PathKind::File && is_windows_short_name(stem) {
        return Err(PathFault::WindowsShortName);
    }
    Ok(())
}

fn is_allowed(c: char, kind: PathKind) -> bool {
    match (c, kind) {
        ('0'..='9' | 'A'..='Z' | 'a'..='z' | '-' | '.' | '_' | '~', _)
        | ('+', PathKind::Import) => true,
        (_, PathKind::File) => {
            " !#$%&()+,=@[]^{}".contains(c) || (!c.is_ascii() && text::is_letter(c))
        }
        _ => false,
    }
}

fn is_windows_device(stem: &str) -> bool {
    let name = stem.to_ascii_uppercase();
    match name.as_bytes() {
        b"CON" | b"PRN" | b"AUX" | b"NUL" => true,
        [port @ .., number] => matches!(port, b"COM" | b"LPT") && matches!(number, b'1'..=b'9'),
        [] => false,
    }
}

/// `NAME~1`: how Windows shortens long names.
fn is_windows_short_name(stem: &str) -> bool {
    stem.rsplit_once('~')
        .is_some_and(|(_, digits)| crate::decimal::is_number(digits))
}

/// Splits a module path into prefix and major version suffix, so that both joined give `path`.
///
/// The suffix is empty or `/vN` with N of 2 and above; for gopkg.in paths it is `.vN` with any N,
/// with an optional `-unstable`. `None` means that the path has a suffix no module may have, such
/// as `/v1`, `/v02`, `/v1.2`, or none where gopkg.in demands one.
pub fn split_path_version(path: &str) -> Option<(&str, &str)> {
    if path.starts_with("gopkg.in/") {
        return split_gopkg_in(path);
    }
    let stem = path.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &path[stem.len()..];
    match stem.strip_suffix("/v") {
        Some(prefix) if !number.is_empty() => {
            let valid = !number.contains('.') && !number.starts_with('0') && number != "1";
            valid.then(|| path.split_at(prefix.len()))
        }
        _ => Some((path, "")),
    }
}

fn split_gopkg_in(path: &str) -> Option<(&str, &str)> {
    let stable = path.strip_suffix("-unstable").unwrap_or(path);
    let stem = stable.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = &stable[stem.len()..];
    let prefix = stem.strip_suffix(".v")?;
    let valid = !number.is_empty()
        && (!number.starts_with('0') || (number == "0" && stable.len() == path.len()));
    valid.then(|| path.split_at(prefix.len()))
}

/// The major version that a suffix from [`split_path_version`] stands for: `v2` for `/v2`, `v1` for
/// `.v1-unstable`; `None` for the empty suffix, which allows v0 and v1.
pub fn path_major_prefix(path_major: &str) -> Option<&str> {
    let major = path_major.strip_prefix(['/', '.'])?;
    Some(match major.strip_suffix("-unstable") {
        Some(stable) if path_major.starts_with('.') => stable,
        _ => major,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn complaint<T>(result: Result<T, PathError>) -> String {
        result.map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn module_paths_that_can_be_downloaded_are_accepted() {
        for path in [
            "example.com",
            "github.com/Azure/go-autorest",
            "example.com/a~b/c_d/e.f",
            "example.com/v2",
            "example.com/x/v10",
            "example.com/x/v2x",
            "example.com/xv1",
            "gopkg.in/yaml.v3",
            "gopkg.in/check.v1-unstable",
            "x.y/a..b",
            "1.2/3",
        ] {
            assert_eq!(complaint(check_path(path)), "", "{path}");
        }
    }

    #[test]
    fn malformed_module_paths_are_refused_with_a_reason() {
        for (path, reason) in [
            ("", "empty string"),
            ("x", "missing dot in first path element"),
            ("/x.y", "empty path element"),
            ("-x.y/z", "leading dash"),
            ("x.y//z", "double slash"),
            ("x.y/", "trailing slash"),
            ("x.y/..", r#"invalid path element "..""#),
            ("x.y/.git", "leading dot in path element"),
            ("x.y/a.", "trailing dot in path element"),
            ("x.y/a b", "invalid char ' '"),
            ("x.y/é", "invalid char 'é'"),
            ("x.y/c++", "invalid char '+'"),
            ("X.y/z", "invalid char 'X' in first path element"),
            ("x_y.z", "invalid char '_' in first path element"),
            (
                "x.y/Aux.go",
                r#""Aux" disallowed as path element component on Windows"#,
            ),
            (
                "x.y/lpt9",
                r#""lpt9" disallowed as path element component on Windows"#,
            ),
            ("x.y/longfi~1", "trailing tilde and digits in path element"),
            ("x.y/v1", "invalid version"),
            ("x.y/v02", "invalid version"),
            ("x.y/v2.1", "invalid version"),
            ("gopkg.in/yaml", "invalid version"),
            ("gopkg.in/yaml.v02", "invalid version"),
        ] {
            let want = format!("malformed module path {}: {reason}", text::quote(path));
            assert_eq!(complaint(check_path(path)), want);
        }
        assert_eq!(
            complaint(check_path(b"x.y/\xff")),
            r#"malformed module path "x.y/\xff": invalid UTF-8"#
        );
    }

    #[test]
    fn import_paths_may_have_plus_signs_and_hidden_elements() {
        for path in ["c++", ".x/y", "fmt", "x.y/v1"] {
            assert_eq!(complaint(check_import_path(path)), "", "{path}");
        }
        assert_eq!(
            complaint(check_import_path("a/b@c")),
            r#"malformed import path "a/b@c": invalid char '@'"#
        );
    }

    #[test]
    fn file_paths_may_have_spaces_letters_and_most_punctuation() {
        for path in [
            "a b",
            "-x",
            "испытание/世界.txt",
            "!#$%&()+,-.=@[]^_{}~",
            "n~1",
        ] {
            assert_eq!(complaint(check_file_path(path)), "", "{path}");
        }
        for bad in [
            "a:b", "a\\b", "a\"", "it's", "a*", "a?", "a<b", "a|b", "a`b", "a;b", "e\u{301}", "☺",
            "a\tb", "nul.txt", "a/..",
        ] {
            assert!(check_file_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_major_version_suffix_is_split_off() {
        for (path, prefix, path_major) in [
            ("example.com/x", "example.com/x", ""),
            ("example.com/x/v2", "example.com/x", "/v2"),
            ("example.com/v20", "example.com", "/v20"),
            ("example.com/x/v", "example.com/x/v", ""),
            ("gopkg.in/yaml.v0", "gopkg.in/yaml", ".v0"),
            (
                "gopkg.in/u/yaml.v2-unstable",
                "gopkg.in/u/yaml",
                ".v2-unstable",
            ),
        ] {
            let path = ModulePath::new(path).unwrap();
            assert_eq!(path.split_version(), (prefix, path_major));
        }
        assert_eq!(path_major_prefix(""), None);
        assert_eq!(path_major_prefix("/v2"), Some("v2"));
        assert_eq!(path_major_prefix(".v1-unstable"), Some("v1"));
    }

    #[test]
    fn escaped_paths_are_checked_both_ways() {
        assert_eq!(
            complaint(ModulePath::unescape("github.com/Azure/x")),
            r#"invalid escaped module path "github.com/Azure/x""#
        );
        assert_eq!(
            complaint(ModulePath::unescape("x/!azure")),
            r#"invalid escaped module path "x/!azure": malformed module path "x/Azure": missing dot in first path element"#
        );
    }

    #[test]
    fn packages_belong_to_modules_by_whole_elements() {
        let module = ModulePath::new("example.com/a").unwrap();
        assert!(
            module.contains_package("example.com/a") && module.contains_package("example.com/a/b")
        );
        assert!(
            !module.contains_package("example.com/ab") && !module.contains_package("example.com")
        );
    }

    #[test]
    fn json_is_checked() {
        let path: ModulePath = serde_json::from_str(r#""example.com/a""#).unwrap();
        assert_eq!(serde_json::to_string(&path).unwrap(), r#""example.com/a""#);
        assert!(serde_json::from_str::<ModulePath>(r#""a""#).is_err());
    }

    proptest! {
        #[test]
        fn valid_paths_survive_escaping(path in r"[a-z]{1,3}\.[a-z]{2}(/[A-Za-z0-9._~-]{1,5}){0,3}") {
            if let Ok(path) = ModulePath::new(&path) {
                let escaped = path.escaped();
                prop_assert!(!escaped.as_str().bytes().any(|b| b.is_ascii_uppercase()));
                prop_assert_eq!(ModulePath::unescape(escaped.as_str()), Ok(path.clone()));
                let (prefix, path_major) = path.split_version();
                prop_assert_eq!(format!("{prefix}{path_major}"), path.as_str());
            }
        }

        #[test]
        fn no_bytes_panic(path: Vec<u8>, text: String) {
            let _ = (check_path(&path), check_import_path(&path), check_file_path(&path));
            let _ = (ModulePath::unescape(&text), split_path_version(&text));
        }
    }
}
