//! go.mod and go.work files: read with positions and comments, checked, edited, written back.
//!
//! Reading goes in two steps. The [lexer and parser](Syntax::parse) turn any text of the right shape
//! into a [`Syntax`] tree that keeps every comment and every token; [`ModFile`] and [`WorkFile`] give
//! the lines of such a tree their meaning. Edits change both at once, so that writing a file back
//! changes nothing but what was asked for.
//!
//! Rules: protocol reference "go.mod"; x/mod `modfile`.

mod comments;
mod directive;
mod directive_edit;
mod error;
mod file;
mod file_edit;
mod lexer;
mod parser;
mod position;
mod printer;
mod read;
mod require_edit;
mod scan;
mod sort;
mod strings;
mod syntax;
mod syntax_edit;
#[cfg(test)]
mod tests;
mod work;

pub use directive::{
    Directive, Exclude, Go, Godebug, Ignore, Module, Replace, Replacement, Require, Retract, Tool,
    Toolchain, Use, VersionInterval,
};
pub use error::{EditError, ParseError, ParseErrors, ParseFault, StringFault};
pub use file::{ModFile, Mode};
pub use position::Position;
pub use read::{FixError, VersionFixer};
pub use scan::module_path;
pub use strings::{auto_quote, is_directory_path, must_quote};
pub use syntax::{Block, Comment, Comments, Line, LineId, Statement, Syntax};
pub use work::WorkFile;
