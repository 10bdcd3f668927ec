//! From the path of a request to what it asks for. Nothing behind this sees a raw string.

use std::borrow::Cow;

use gomod::{ModulePath, Revision, Version};
use percent_encoding::percent_decode_str;
use store::{AnswerKey, FileKey, FileKind};

/// The longest path that can be meant, in bytes.
const LONGEST: usize = 4096;
/// The longest element of a path that file systems take, less room for an ending.
const LONGEST_ELEMENT: usize = 240;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// An immutable file of a module version.
    File(FileKey),
    /// An answer that may change.
    Answer(AnswerKey),
    /// Something of a checksum database: what follows `/sumdb/`.
    Sumdb(String),
    /// None of the module protocol's paths.
    Other,
}

/// A [`Target`], and whether the path forbids fetching (`/cached-only/...`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) target: Target,
    pub(crate) cached_only: bool,
}

/// Why a path asks for nothing that can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadTarget {
    /// The path is malformed: 400.
    Malformed(String),
    /// The path is well-formed, and there can be no such thing: 404.
    Absent(String),
}

/// Parses the path of a request, still percent-encoded, without its query.
pub(crate) fn parse(raw: &str) -> Result<Parsed, BadTarget> {
    if raw.len() > LONGEST {
        return Err(BadTarget::Malformed(format!(
            "the path has {} bytes; {LONGEST} is the limit",
            raw.len()
        )));
    }
    check_percent_escapes(raw)?;
    let decoded: Cow<'_, str> = percent_decode_str(raw).decode_utf8().map_err(|_| {
        BadTarget::Malformed("the path is not valid UTF-8 after percent-decoding".to_owned())
    })?;
    let path = decoded.strip_prefix('/').unwrap_or(&decoded);
    let (path, cached_only) = match path.strip_prefix("cached-only/") {
        Some(rest) => (rest, true),
        None => (path, false),
    };
    let target = parse_target(path)?;
    Ok(Parsed {
        target,
        cached_only,
    })
}

fn parse_target(path: &str) -> Result<Target, BadTarget> {
    if let Some(rest) = path.strip_prefix("sumdb/") {
        check_sumdb_path(rest)?;
        return Ok(Target::Sumdb(rest.to_owned()));
    }
    if let Some((module, file)) = path.rsplit_once("/@v/") {
        return parse_file(parse_module(module)?, file);
    }
    if let Some(module) = path.strip_suffix("/@latest") {
        return Ok(Target::Answer(AnswerKey::Latest(parse_module(module)?)));
    }
    Ok(Target::Other)
}

/// A stray `%` or one without two hex digits means that whoever wrote the request did not encode it.
fn check_percent_escapes(raw: &str) -> Result<(), BadTarget> {
    let mut rest = raw.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        let digits = rest.get(at + 1..at + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(BadTarget::Malformed(
                "malformed percent escape in the path".to_owned(),
            ));
        }
        rest = &rest[at + 3..];
    }
    Ok(())
}

fn parse_module(escaped: &str) -> Result<ModulePath, BadTarget> {
    if let Some(element) = escaped
        .split('/')
        .find(|element| element.len() > LONGEST_ELEMENT)
    {
        return Err(BadTarget::Malformed(format!(
            "malformed module path: an element of {} bytes; {LONGEST_ELEMENT} is the limit",
            element.len()
        )));
    }
    ModulePath::unescape(escaped).map_err(|error| {
        let is_right = |right: &str| ModulePath::unescape(right).is_ok();
        BadTarget::Malformed(explain_case(escaped, error.to_string(), is_right))
    })
}

/// The commonest mistake of people who write such a URL by hand.
fn explain_case(escaped: &str, reason: String, is_right: impl Fn(&str) -> bool) -> String {
    if escaped.contains(|c: char| c.is_ascii_uppercase()) && !escaped.contains('!') {
        let right: String = escaped
            .chars()
            .flat_map(|c| {
                if c.is_ascii_uppercase() {
                    vec!['!', c.to_ascii_lowercase()]
                } else {
                    vec![c]
                }
            })
            .collect();
        if is_right(&right) {
            return format!(
                "{reason}: upper-case letters are written as ! and the lower-case letter: {right}"
            );
        }
    }
    reason
}

fn parse_file(module: ModulePath, file: &str) -> Result<Target, BadTarget> {
    if file == "list" {
        return Ok(Target::Answer(AnswerKey::List(module)));
    }
    let Some((escaped, kind)) = file.rsplit_once('.').and_then(|(version, extension)| {
        FileKind::from_extension(extension).map(|kind| (version, kind))
    }) else {
        return Err(BadTarget::Malformed(format!(
            "{file:?} is no file of a module; there are list, VERSION.info, VERSION.mod and VERSION.zip below /{}/@v/",
            module.escaped()
        )));
    };
    if escaped.len() > LONGEST_ELEMENT {
        return Err(BadTarget::Malformed(format!(
            "a version of {} bytes; {LONGEST_ELEMENT} is the limit",
            escaped.len()
        )));
    }
    let revision = Revision::unescape(escaped).map_err(|error| {
        let is_right = |right: &str| Revision::unescape(right).is_ok();
        BadTarget::Malformed(explain_case(escaped, error.to_string(), is_right))
    })?;
    let fitting = revision.canonical().map(|version| fit(&module, version));
    match (fitting, kind) {
        (Some(Ok(version)), kind) => Ok(Target::File(FileKey {
            module,
            version,
            kind,
        })),
        // Anything but a canonical version is a question that only `.info` can answer.
        (_, FileKind::Info) => Ok(Target::Answer(AnswerKey::Query(module, revision))),
        (Some(Err(reason)), _) => Err(BadTarget::Absent(format!("{module}@{revision}: {reason}"))),
        (None, kind) => Err(BadTarget::Absent(format!(
            "{module}@{revision}: .{kind} is there for canonical versions only; /{}/@v/{}.info tells which one this is",
            module.escaped(),
            revision.escaped()
        ))),
    }
}

fn fit(module: &ModulePath, version: Version) -> Result<Version, String> {
    let (_, path_major) = module.split_version();
    match version.check_path_major(path_major) {
        Ok(()) => Ok(version),
        Err(error) => Err(error.to_string()),
    }
}

/// `<database>/supported|latest|lookup/...|tile/...`, with nothing in it that a file system or server could take for
/// anything else.
fn check_sumdb_path(path: &str) -> Result<(), BadTarget> {
    let malformed = |reason: &str| {
        Err(BadTarget::Malformed(format!(
            "malformed checksum database path: {reason}"
        )))
    };
    for element in path.split('/') {
        if element.is_empty() || element.starts_with('.') || element.len() > LONGEST_ELEMENT {
            return malformed("an element is empty, begins with a dot or is too long");
        }
        if !element
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!+-._~@".contains(&byte))
        {
            return malformed("an unexpected character");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str) -> ModulePath {
        ModulePath::new(path).unwrap()
    }

    fn file(path: &str, version: &str, kind: FileKind) -> Target {
        Target::File(FileKey {
            module: module(path),
            version: Version::new(version).unwrap(),
            kind,
        })
    }

    fn query(path: &str, revision: &str) -> Target {
        Target::Answer(AnswerKey::Query(
            module(path),
            Revision::new(revision).unwrap(),
        ))
    }

    #[test]
    fn every_path_of_the_protocol_is_understood() {
        let table = [
            (
                "/example.com/m/@v/list",
                Target::Answer(AnswerKey::List(module("example.com/m"))),
            ),
            (
                "/example.com/m/@latest",
                Target::Answer(AnswerKey::Latest(module("example.com/m"))),
            ),
            (
                "/example.com/m/@v/v1.2.3.info",
                file("example.com/m", "v1.2.3", FileKind::Info),
            ),
            (
                "/example.com/m/@v/v1.2.3.mod",
                file("example.com/m", "v1.2.3", FileKind::Mod),
            ),
            (
                "/example.com/m/@v/v1.2.3.zip",
                file("example.com/m", "v1.2.3", FileKind::Zip),
            ),
            (
                "/github.com/!burnt!sushi/toml/@v/v0.3.1.mod",
                file("github.com/BurntSushi/toml", "v0.3.1", FileKind::Mod),
            ),
            (
                "/github.com/%21burnt%21sushi/toml/@v/v0.3.1.mod",
                file("github.com/BurntSushi/toml", "v0.3.1", FileKind::Mod),
            ),
            (
                "/example.com/m/@v/v1.0.0-%21r%21c1.zip",
                file("example.com/m", "v1.0.0-RC1", FileKind::Zip),
            ),
            (
                "/example.com/m/@v/v2.0.0+incompatible.zip",
                file("example.com/m", "v2.0.0+incompatible", FileKind::Zip),
            ),
            (
                "/example.com/m/v2/@v/v2.0.0.zip",
                file("example.com/m/v2", "v2.0.0", FileKind::Zip),
            ),
            (
                "/golang.org/toolchain/@v/v0.0.1-go1.26.3.linux-amd64.zip",
                file(
                    "golang.org/toolchain",
                    "v0.0.1-go1.26.3.linux-amd64",
                    FileKind::Zip,
                ),
            ),
            (
                "/example.com/m/@v/master.info",
                query("example.com/m", "master"),
            ),
            ("/example.com/m/@v/v1.info", query("example.com/m", "v1")),
            (
                "/example.com/m/@v/v1.2.3+meta.info",
                query("example.com/m", "v1.2.3+meta"),
            ),
            (
                "/example.com/m/@v/v2.0.0.info",
                query("example.com/m", "v2.0.0"),
            ),
            (
                "/sumdb/sum.golang.org/supported",
                Target::Sumdb("sum.golang.org/supported".into()),
            ),
            (
                "/sumdb/sum.golang.org/tile/8/0/x001/234.p/7",
                Target::Sumdb("sum.golang.org/tile/8/0/x001/234.p/7".into()),
            ),
            ("/healthz", Target::Other),
            ("/", Target::Other),
        ];
        for (path, target) in table {
            assert_eq!(
                parse(path),
                Ok(Parsed {
                    target,
                    cached_only: false
                }),
                "{path}"
            );
        }
        let parsed = parse("/cached-only/example.com/m/@v/list").unwrap();
        assert!(parsed.cached_only);
        assert_eq!(
            parsed.target,
            Target::Answer(AnswerKey::List(module("example.com/m")))
        );
    }

    #[test]
    fn a_malformed_path_is_refused_with_a_reason() {
        let long = format!("/example.com/{}/@v/list", "a".repeat(300));
        let very_long = format!("/example.com/{}@v/list", "a/".repeat(3000));
        let table = [
            ("/example.com/M/@v/list", "example.com/!m"),
            ("/example.com/m!/@v/list", "invalid escaped"),
            ("/example.com/!1/@v/list", "invalid escaped"),
            ("/example.com/../etc/@v/list", "malformed"),
            ("/example.com/%2e%2e/@v/list", "malformed"),
            ("/example.com/m/@v/%2e%2e.info", "..."),
            ("/example.com/m/@v/../../x.info", ""),
            ("/example.com//m/@v/list", "malformed"),
            ("//example.com/m/@v/list", "malformed"),
            ("/example.com/m%00/@v/list", "malformed"),
            ("/example.com/m%zz/@v/list", "percent"),
            ("/example.com/m%4/@v/list", "percent"),
            ("/example.com/m%ff/@v/list", "UTF-8"),
            ("/example.com/m/@v/v1.2.3.tar", "VERSION.zip"),
            ("/example.com/m/@v/", "VERSION.zip"),
            ("/example.com/m/@v/V1.2.3.info", ""),
            ("/nodots/m/@v/list", "missing dot in first path element"),
            ("/-flag.com/m/@v/list", "leading dash"),
            ("/@v/list", ""),
            ("/sumdb/../x", "checksum database"),
            (
                "/sumdb/sum.golang.org/%2e%2e/%2e%2e/etc",
                "checksum database",
            ),
            ("/sumdb/sum.golang.org/lookup/a?b", "checksum database"),
            (long.as_str(), "limit"),
            (very_long.as_str(), "limit"),
        ];
        for (path, reason) in table {
            match parse(path) {
                Err(BadTarget::Malformed(text)) => {
                    assert!(text.contains(reason) || reason == "...", "{path}: {text}");
                }
                // `@v` itself as a module path element has no meaning but is no path of a module either.
                Ok(Parsed {
                    target: Target::Other,
                    ..
                }) if path == "/@v/list" => {}
                other => panic!("{path}: {other:?}"),
            }
        }
    }

    #[test]
    fn mod_and_zip_exist_for_canonical_versions_that_fit_only() {
        for (path, reason) in [
            ("/example.com/m/@v/master.zip", "canonical"),
            ("/example.com/m/@v/v1.2.mod", "canonical"),
            ("/example.com/m/@v/v2.0.0.mod", "should be v0 or v1, not v2"),
            ("/example.com/m/v2/@v/v1.0.0.zip", "should be v2, not v1"),
        ] {
            match parse(path) {
                Err(BadTarget::Absent(text)) => assert!(text.contains(reason), "{path}: {text}"),
                other => panic!("{path}: {other:?}"),
            }
        }
    }
}
