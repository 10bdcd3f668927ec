//! Gives lines their meaning: what the go.mod and the go.work reader have in common.
//!
//! Rules: protocol reference "Directives"; x/mod `modfile/rule.go`.

use bstr::{BString, ByteSlice as _};
use thiserror::Error;

use super::comments::directive_comment;
use super::directive::{Go, Godebug, Replace, Replacement, Toolchain, VersionInterval};
use super::error::{ParseError, ParseFault};
use super::position::Position;
use super::strings::{is_directory_path, read_string};
use super::syntax::{LineId, Statement, Syntax};
use crate::decimal;
use crate::error::{VersionError, VersionFault};
use crate::path::split_path_version;
use crate::version::Version;

/// Turns what stands in the place of a version, such as a branch, into a version of the module with
/// the given path: `fix(path, version)`.
pub type VersionFixer<'a> = dyn FnMut(&str, &str) -> Result<Version, FixError> + 'a;

/// Why a [`VersionFixer`] finds no version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FixError {
    /// The version is wrong for the module.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

/// What is wrong with a line, and the directive and path to name with it.
pub(super) struct Refusal {
    pub(super) directive: Option<(String, String)>,
    pub(super) fault: ParseFault,
}

impl From<ParseFault> for Refusal {
    fn from(fault: ParseFault) -> Self {
        Self {
            directive: None,
            fault,
        }
    }
}

impl Refusal {
    fn about(verb: &str, path: &str, fault: impl Into<ParseFault>) -> Self {
        Self {
            directive: Some((verb.to_owned(), path.to_owned())),
            fault: fault.into(),
        }
    }

    pub(super) fn at(self, file: &str, position: Position) -> ParseError {
        ParseError {
            file: file.to_owned(),
            position,
            directive: self.directive,
            fault: self.fault,
        }
    }
}

/// A line as a keyword with its arguments.
pub(super) struct Instruction {
    pub(super) verb: String,
    pub(super) line: LineId,
    pub(super) position: Position,
    pub(super) args: Vec<BString>,
    pub(super) indirect: bool,
    /// The comments of the line or of its block.
    pub(super) comment: String,
}

/// All lines of `tree` in their order, those of blocks with the keyword of the block. Blocks with
/// other keywords than `block_verbs` are errors.
pub(super) fn instructions(
    tree: &Syntax,
    block_verbs: &[&str],
) -> Vec<Result<Instruction, ParseError>> {
    let mut found = Vec::new();
    for statement in tree.statements() {
        match statement {
            Statement::Comments(_) => {}
            Statement::Line(id) => {
                let verb = tree.keyword(statement).unwrap_or_default().to_string();
                found.extend(instruction(tree, verb, *id, None).map(Ok));
            }
            Statement::Block(block) => match block.tokens.as_slice() {
                [verb] if block_verbs.iter().any(|known| verb == known) => {
                    let lines = block.lines.iter();
                    found.extend(lines.filter_map(|id| {
                        instruction(tree, verb.to_string(), *id, Some(block)).map(Ok)
                    }));
                }
                tokens => {
                    let kind = bstr::join(" ", tokens).to_str_lossy().into_owned();
                    let refusal = Refusal::from(ParseFault::UnknownBlock(kind));
                    found.push(Err(refusal.at(tree.name(), block.start)));
                }
            },
        }
    }
    found
}

fn instruction(
    tree: &Syntax,
    verb: String,
    id: LineId,
    block: Option<&super::syntax::Block>,
) -> Option<Instruction> {
    let line = tree.line(id)?;
    Some(Instruction {
        verb,
        line: id,
        position: line.start,
        args: line.arguments().to_vec(),
        indirect: line.is_indirect(),
        comment: directive_comment(block, line),
    })
}

impl Syntax {
    /// Writes arguments that were brought into their plainest form back into their line.
    pub(super) fn put_arguments(&mut self, id: LineId, args: Vec<BString>) {
        if let Some(line) = self.line_mut(id) {
            line.tokens.truncate(usize::from(!line.in_block));
            line.tokens.extend(args);
        }
    }
}

/// The single argument of a directive, as text.
fn one_argument(args: &[BString]) -> Option<String> {
    match args {
        [only] => Some(only.to_str_lossy().into_owned()),
        _ => None,
    }
}

pub(super) fn read_go(args: &mut [BString], strict: bool) -> Result<Go, ParseFault> {
    let written = one_argument(args).ok_or_else(|| ParseFault::OneArgument("go".to_owned()))?;
    if is_go_version(&written) {
        return Ok(Go { version: written });
    }
    match lax_go_version(&written) {
        Some(version) if !strict => {
            let version = version.to_owned();
            args.fill(version.as_str().into());
            Ok(Go { version })
        }
        _ => Err(ParseFault::GoVersion(written)),
    }
}

/// True for what the go directive takes: `1.21`, `1.21.3`, `1.21rc1`.
pub(super) fn is_go_version(text: &str) -> bool {
    let Some((_, mut rest)) = lax_prefix(text) else {
        return false;
    };
    if let Some(patch) = rest.strip_prefix('.') {
        match decimal::cut(patch) {
            Some((_, end)) => rest = end,
            None => return false,
        }
    }
    let number = rest.trim_start_matches(|c: char| c.is_ascii_lowercase());
    rest.is_empty() || (number.len() < rest.len() && decimal::is_number(number))
}

/// `1.21` at the beginning of text with more after it and perhaps a `v` before it: what future
/// releases of Go may write into the files of dependencies.
fn lax_go_version(text: &str) -> Option<&str> {
    let (version, rest) = lax_prefix(text.strip_prefix('v').unwrap_or(text))?;
    (!rest.is_empty()).then_some(version)
}

fn lax_prefix(text: &str) -> Option<(&str, &str)> {
    let (major, rest) = decimal::cut(text).filter(|(major, _)| *major != "0")?;
    let (minor, rest) = decimal::cut(rest.strip_prefix('.')?)?;
    let version = text.get(..major.len() + 1 + minor.len())?;
    Some((version, rest))
}

pub(super) fn read_toolchain(args: &[BString]) -> Result<Toolchain, ParseFault> {
    let name = one_argument(args).ok_or_else(|| ParseFault::OneArgument("toolchain".to_owned()))?;
    if is_toolchain(&name) {
        Ok(Toolchain { name })
    } else {
        Err(ParseFault::Toolchain(name))
    }
}

/// True for what the toolchain directive takes: `default`, and `go1` with anything after a dot.
pub(super) fn is_toolchain(name: &str) -> bool {
    name == "default" || name == "go1" || name.starts_with("go1.")
}

pub(super) fn read_godebug(args: &[BString]) -> Result<Godebug, ParseFault> {
    one_argument(args)
        .filter(|setting| !setting.contains(['"', '`', '\'', ',']))
        .and_then(|setting| {
            let (key, value) = setting.split_once('=')?;
            Some(Godebug {
                key: key.to_owned(),
                value: value.to_owned(),
            })
        })
        .ok_or_else(|| ParseFault::Usage("godebug key=value".to_owned()))
}

/// The path that is the only argument; `wrong_count` if there is not exactly one.
pub(super) fn read_path(
    args: &mut [BString],
    wrong_count: ParseFault,
) -> Result<String, ParseFault> {
    match args {
        [path] => read_string(path).map_err(ParseFault::String),
        _ => Err(wrong_count),
    }
}

/// `path version`, as in require and exclude.
pub(super) fn read_module_version(
    verb: &str,
    args: &mut [BString],
    fix: Option<&mut VersionFixer<'_>>,
) -> Result<(String, Version), Refusal> {
    let [path, version] = args else {
        return Err(ParseFault::Usage(format!("{verb} module/path v1.2.3")).into());
    };
    let path = read_string(path).map_err(ParseFault::String)?;
    let version = read_version(verb, &path, version, fix)?;
    let (_, path_major) = split_path_version(&path).ok_or(ParseFault::ModulePath)?;
    version
        .check_path_major(path_major)
        .map_err(|error| Refusal::about(verb, &path, error))?;
    Ok((path, version))
}

/// The canonical version that `token` stands for; `token` is rewritten.
pub(super) fn read_version(
    verb: &str,
    path: &str,
    token: &mut BString,
    fix: Option<&mut VersionFixer<'_>>,
) -> Result<Version, Refusal> {
    let about = |error: VersionError| Refusal::about(verb, path, error);
    let written = read_version_text(verb, path, token)?;
    let version = match fix {
        Some(fix) => fix(path, &written).map_err(|error| match error {
            FixError::Version(error) => about(error),
            FixError::Other(text) => ParseFault::Unresolved(text).into(),
        })?,
        None => Version::canonicalize(&written).map_err(|_| {
            let fault = VersionFault::NotCanonical { major: "v1".into() };
            about(VersionError::new(&written, fault))
        })?,
    };
    *token = version.as_str().into();
    Ok(version)
}

fn read_version_text(verb: &str, path: &str, token: &mut BString) -> Result<String, Refusal> {
    read_string(token).map_err(|fault| {
        let error = VersionError::new(token.to_string(), VersionFault::Spelling(fault));
        Refusal::about(verb, path, error)
    })
}

pub(super) fn read_replace(
    args: &mut [BString],
    mut fix: Option<&mut VersionFixer<'_>>,
) -> Result<Replace, Refusal> {
    const VERB: &str = "replace";
    let is_arrow = |at: usize| args.get(at).is_some_and(|token| token == "=>");
    let Some(arrow) = [1, 2].into_iter().find(|at| is_arrow(*at)) else {
        return Err(replace_usage());
    };
    let (old, new) = args.split_at_mut(arrow);
    let ([old_path, old_version @ ..], [_, new_path, new_version @ ..]) = (old, new) else {
        return Err(replace_usage());
    };
    if new_version.len() > 1 {
        return Err(replace_usage());
    }
    let path = read_string(old_path).map_err(ParseFault::String)?;
    let (_, path_major) = split_path_version(&path)
        .ok_or_else(|| Refusal::about(VERB, &path, ParseFault::ModulePath))?;
    let version = match old_version {
        [] => None,
        [token, ..] => {
            let version = read_version(VERB, &path, token, fix.as_deref_mut())?;
            version
                .check_path_major(path_major)
                .map_err(|error| Refusal::about(VERB, &path, error))?;
            Some(version)
        }
    };
    let new_path = read_string(new_path).map_err(ParseFault::String)?;
    let by = match new_version {
        [] => Replacement::Directory(check_directory(new_path)?),
        [token, ..] => {
            let version = read_version(VERB, &new_path, token, fix)?;
            if is_directory_path(&new_path) {
                return Err(ParseFault::ReplacementDirectoryVersion(new_path).into());
            }
            Replacement::Module {
                path: new_path,
                version,
            }
        }
    };
    Ok(Replace { path, version, by })
}

fn replace_usage() -> Refusal {
    let usage = "replace module/path [v1.2.3] => other/module v1.4\n\t \
                 or replace module/path [v1.2.3] => ../local/directory";
    ParseFault::Usage(usage.to_owned()).into()
}

fn check_directory(path: String) -> Result<String, ParseFault> {
    if !is_directory_path(&path) {
        return Err(if path.contains('@') {
            ParseFault::ReplacementAtSign
        } else {
            ParseFault::ReplacementWithoutVersion
        });
    }
    if path.contains('\\') {
        return Err(ParseFault::ReplacementWindowsPath);
    }
    Ok(path)
}

/// Reads `version` or `[low, high]` from the beginning of `args`; gives back what follows. `path` is
/// that of the module; without `fix` the versions are left as they are.
pub(super) fn read_interval<'a>(
    path: &str,
    args: &'a mut [BString],
    mut fix: Option<&mut VersionFixer<'_>>,
) -> Result<(VersionInterval, &'a mut [BString]), Refusal> {
    let mut version = |token: &mut BString| match fix.as_deref_mut() {
        Some(fix) => read_version("retract", path, token, Some(fix)).map(|v| v.to_string()),
        None => read_version_text("retract", path, token),
    };
    let expected = |what| Refusal::from(ParseFault::RetractInterval(what));
    let (first, rest) = match args.split_first_mut() {
        Some((first, rest)) if first != "(" => (first, rest),
        _ => return Err(ParseFault::RetractStart.into()),
    };
    if first != "[" {
        return Ok((VersionInterval::single(version(first)?), rest));
    }
    let (low, rest) = rest
        .split_first_mut()
        .ok_or_else(|| expected("version after '['"))?;
    let low = version(low)?;
    let rest = skip(rest, ",").ok_or_else(|| expected("',' after version"))?;
    let (high, rest) = rest
        .split_first_mut()
        .ok_or_else(|| expected("version after ','"))?;
    let high = version(high)?;
    let rest = skip(rest, "]").ok_or_else(|| expected("']' after version"))?;
    Ok((VersionInterval { low, high }, rest))
}

fn skip<'a>(args: &'a mut [BString], token: &str) -> Option<&'a mut [BString]> {
    match args.split_first_mut() {
        Some((first, rest)) if first == token => Some(rest),
        _ => None,
    }
}
