//! What can be wrong with a go.mod or go.work file, in the words of the `go` command.

use std::fmt;

use thiserror::Error;

use super::position::Position;
use crate::error::VersionError;
use crate::text::{quote, quote_rune};

/// All errors of one file, in the order they were found; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseErrors(Vec<ParseError>);

impl ParseErrors {
    /// `value` if no error was collected.
    pub(crate) fn check<T>(errors: Vec<ParseError>, value: T) -> Result<T, Self> {
        if errors.is_empty() {
            Ok(value)
        } else {
            Err(Self(errors))
        }
    }

    /// The errors, in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, ParseError> {
        self.0.iter()
    }
}

impl From<Box<ParseError>> for ParseErrors {
    fn from(error: Box<ParseError>) -> Self {
        Self(vec![*error])
    }
}

impl<'a> IntoIterator for &'a ParseErrors {
    type Item = &'a ParseError;
    type IntoIter = std::slice::Iter<'a, ParseError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for ParseErrors {}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// One error in a file, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ParseError {
    /// The name of the file as given to the parser.
    pub file: String,
    /// Where the offending line begins, or where reading stopped.
    pub position: Position,
    /// The directive and the module path it is about, where the message names them.
    pub directive: Option<(String, String)>,
    /// What is wrong.
    #[source]
    pub fault: ParseFault,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column, .. } = self.position;
        if column > 1 {
            write!(f, "{}:{line}:{column}: ", self.file)?;
        } else if line > 0 {
            write!(f, "{}:{line}: ", self.file)?;
        } else if !self.file.is_empty() {
            write!(f, "{}: ", self.file)?;
        }
        match &self.directive {
            Some((verb, path)) if path.is_empty() => write!(f, "{verb}: ")?,
            Some((verb, path)) => write!(f, "{verb} {path}: ")?,
            None => {}
        }
        write!(f, "{}", self.fault)
    }
}

/// What is wrong at one place of a file (x/mod `modfile/read.go`, `rule.go`, `work.go`).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseFault {
    /// A comment in the style of C.
    #[error("mod files must use // comments (not /* */ comments)")]
    BlockComment,
    /// A string is not closed before the end of the file.
    #[error("unexpected EOF in string")]
    EofInString,
    /// A string is not closed before the end of its line.
    #[error("unexpected newline in string")]
    NewlineInString,
    /// A character that no token can have.
    #[error("unexpected input character {}", quote_rune(*.0))]
    UnexpectedChar(char),
    /// A block is not closed.
    #[error("syntax error (unterminated block started at {file}:{line}:{column})")]
    UnterminatedBlock {
        /// The name of the file.
        file: String,
        /// Line of the block's first token.
        line: usize,
        /// Character in that line.
        column: usize,
    },
    /// Something follows the parenthesis that closes a block.
    #[error("syntax error (expected newline after closing paren)")]
    TextAfterBlock,
    /// A block with a keyword that has no blocks.
    #[error("unknown block type: {0}")]
    UnknownBlock(String),
    /// A line with an unknown keyword.
    #[error("unknown directive: {0}")]
    UnknownDirective(String),
    /// A directive that may occur once occurs again.
    #[error("repeated {0} statement")]
    Repeated(String),
    /// A directive with no or several arguments that takes one.
    #[error("{0} directive expects exactly one argument")]
    OneArgument(String),
    /// A directive with a wrong number or order of arguments.
    #[error("usage: {0}")]
    Usage(String),
    /// The argument of the go directive is no Go version.
    #[error("invalid go version '{0}': must match format 1.23.0")]
    GoVersion(String),
    /// The argument of the toolchain directive is no toolchain name.
    #[error("invalid toolchain version '{0}': must match format go1.23.0 or default")]
    Toolchain(String),
    /// A path is not spelled as a string should be.
    #[error("invalid quoted string: {0}")]
    String(StringFault),
    /// A version is malformed or does not fit the path.
    #[error(transparent)]
    Version(Box<VersionError>),
    /// The path ends in a major version that no module can have.
    #[error("invalid module path")]
    ModulePath,
    /// `path@version` as one token on the right of a replacement.
    #[error("replacement module must match format 'path version', not 'path@version'")]
    ReplacementAtSign,
    /// A replacement by a module needs a version.
    #[error(
        "replacement module without version must be directory path (rooted or starting with . or ..)"
    )]
    ReplacementWithoutVersion,
    /// A replacement directory with backslashes.
    #[error("replacement directory appears to be Windows path (on a non-windows system)")]
    ReplacementWindowsPath,
    /// A replacement by a directory has no version.
    #[error("replacement module directory path {} cannot have version", quote(.0))]
    ReplacementDirectoryVersion(String),
    /// A retraction without a version.
    #[error("expected '[' or version")]
    RetractStart,
    /// A retracted interval that is not `[low, high]`; the text says what is missing where.
    #[error("expected {0}")]
    RetractInterval(&'static str),
    /// Something follows a retracted version.
    #[error("unexpected token after version: {}", quote(.0))]
    RetractRest(String),
    /// Retracted versions cannot be resolved in a file without module directive.
    #[error("no module directive found, so retract cannot be used")]
    RetractWithoutModule,
    /// A version could not be resolved to a canonical one.
    #[error("{0}")]
    Unresolved(String),
}

impl From<VersionError> for ParseFault {
    fn from(error: VersionError) -> Self {
        Self::Version(Box::new(error))
    }
}

/// Why a token does not stand for a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StringFault {
    /// Not a Go string literal.
    #[error("invalid syntax")]
    Syntax,
    /// A quote inside of a bare word.
    #[error("unquoted string cannot contain quote")]
    BareQuote,
    /// Not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
}

/// Why an edit is refused. The file is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EditError {
    /// Not a Go version.
    #[error("invalid language version {}", quote(.0))]
    GoVersion(String),
    /// Not the name of a toolchain.
    #[error("invalid toolchain name {}", quote(.0))]
    Toolchain(String),
    /// A version that is not canonical or does not fit the module path.
    #[error(transparent)]
    Version(#[from] VersionError),
}
