//! [`WorkFile`]: a go.work file with the meaning of its lines, and changes to it.
//!
//! Rules: protocol reference "go.work"; x/mod `modfile/work.go`.

use super::directive::{Directive, Go, Godebug, Replace, Replacement, Toolchain, Use};
use super::directive_edit::{
    add_godebug, add_replace, change_first, drop_replace, drop_single, drop_where, line_tokens,
    set_go, set_toolchain,
};
use super::error::{EditError, ParseError, ParseErrors, ParseFault};
use super::read::{
    Instruction, Refusal, VersionFixer, instructions, read_go, read_godebug, read_path,
    read_replace, read_toolchain,
};
use super::sort::{by_tokens, keep_last};
use super::strings::auto_quote;
use super::syntax::{Statement, Syntax};
use crate::gover;
use crate::version::Version;

/// A go.work file: its syntax tree and what its directives say, kept in step by the edits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkFile {
    syntax: Syntax,
    go: Option<Directive<Go>>,
    toolchain: Option<Directive<Toolchain>>,
    godebug: Vec<Directive<Godebug>>,
    uses: Vec<Directive<Use>>,
    replace: Vec<Directive<Replace>>,
}

/// The keywords that may stand before a parenthesis.
const BLOCK_VERBS: [&str; 3] = ["godebug", "use", "replace"];

impl WorkFile {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a go.work file. `name` is the file name that errors show.
    pub fn parse(name: &str, data: &[u8]) -> Result<Self, ParseErrors> {
        Self::read(name, data, None)
    }

    /// Reads a go.work file. With `fix`, anything that `fix` can resolve may stand in place of a
    /// version. All errors are collected, except that reading stops at a syntax error.
    pub fn read(
        name: &str,
        data: &[u8],
        mut fix: Option<&mut VersionFixer<'_>>,
    ) -> Result<Self, ParseErrors> {
        let syntax = Syntax::parse(name, data)?;
        let instructions = instructions(&syntax, &BLOCK_VERBS);
        let mut file = Self {
            syntax,
            ..Self::default()
        };
        let mut errors: Vec<ParseError> = Vec::new();
        for instruction in instructions {
            match instruction {
                Ok(mut instruction) => {
                    if let Err(refusal) = file.take(&mut instruction, fix.as_deref_mut()) {
                        errors.push(refusal.at(name, instruction.position));
                    }
                    file.syntax
                        .put_arguments(instruction.line, instruction.args);
                }
                Err(unknown_block) => errors.push(unknown_block),
            }
        }
        ParseErrors::check(errors, file)
    }

    /// Adds what a line says to the file.
    fn take(
        &mut self,
        instruction: &mut Instruction,
        fix: Option<&mut VersionFixer<'_>>,
    ) -> Result<(), Refusal> {
        let Instruction {
            verb, line, args, ..
        } = instruction;
        let line = *line;
        let repeated = match verb.as_str() {
            "go" => self.go.is_some(),
            "toolchain" => self.toolchain.is_some(),
            _ => false,
        };
        if repeated {
            return Err(ParseFault::Repeated(verb.clone()).into());
        }
        match verb.as_str() {
            "go" => self.go = Some(Directive::new(read_go(args, true)?, line)),
            "toolchain" => self.toolchain = Some(Directive::new(read_toolchain(args)?, line)),
            "godebug" => self.godebug.push(Directive::new(read_godebug(args)?, line)),
            "use" => {
                let path = read_path(args, ParseFault::Usage("use local/dir".to_owned()))?;
                self.uses.push(Directive::new(Use { path }, line));
            }
            "replace" => self
                .replace
                .push(Directive::new(read_replace(args, fix)?, line)),
            _ => return Err(ParseFault::UnknownDirective(verb.clone()).into()),
        }
        Ok(())
    }

    /// The syntax tree.
    pub fn syntax(&self) -> &Syntax {
        &self.syntax
    }

    /// The file in the standard style.
    pub fn format(&self) -> Vec<u8> {
        self.syntax.format()
    }

    /// The go directive.
    pub fn go(&self) -> Option<&Directive<Go>> {
        self.go.as_ref()
    }

    /// The Go version that the file is to be read with: that of the go directive, else
    /// [`gover::DEFAULT_GO_WORK_VERSION`].
    pub fn go_version(&self) -> &str {
        self.go
            .as_ref()
            .map_or(gover::DEFAULT_GO_WORK_VERSION, |go| &go.version)
    }

    /// The toolchain directive.
    pub fn toolchain(&self) -> Option<&Directive<Toolchain>> {
        self.toolchain.as_ref()
    }

    /// The godebug directives.
    pub fn godebug(&self) -> &[Directive<Godebug>] {
        &self.godebug
    }

    /// The use directives.
    pub fn uses(&self) -> &[Directive<Use>] {
        &self.uses
    }

    /// The replace directives.
    pub fn replace(&self) -> &[Directive<Replace>] {
        &self.replace
    }

    /// Sets the Go version; a new directive goes above all others.
    pub fn add_go(&mut self, version: &str) -> Result<(), EditError> {
        set_go(&mut self.syntax, &mut self.go, version, |syntax, tokens| {
            syntax.insert_statement(top(syntax), tokens)
        })
    }

    /// Removes the go directive.
    pub fn drop_go(&mut self) {
        drop_single(&mut self.syntax, &mut self.go);
    }

    /// Sets the toolchain; a new directive goes after the go directive, or above all others.
    pub fn add_toolchain(&mut self, name: &str) -> Result<(), EditError> {
        let toolchain = &mut self.toolchain;
        set_toolchain(&mut self.syntax, toolchain, name, |syntax, tokens| {
            let go = syntax.statements().iter().position(|statement| {
                matches!(statement, Statement::Line(_))
                    && syntax.keyword(statement).is_some_and(|k| k == "go")
            });
            let index = go.map_or_else(|| top(syntax), |go| go + 1);
            syntax.insert_statement(index, tokens)
        })
    }

    /// Removes the toolchain directive.
    pub fn drop_toolchain(&mut self) {
        drop_single(&mut self.syntax, &mut self.toolchain);
    }

    /// Sets a runtime setting; other directives for the same key are removed.
    pub fn add_godebug(&mut self, key: &str, value: &str) {
        add_godebug(&mut self.syntax, &mut self.godebug, key, value);
    }

    /// Removes all directives for a runtime setting.
    pub fn drop_godebug(&mut self, key: &str) {
        drop_where(&mut self.syntax, &mut self.godebug, |old| old.key == key);
    }

    /// Makes sure that a directory is used exactly once.
    pub fn add_use(&mut self, path: &str) {
        let tokens = line_tokens(["use", &auto_quote(path)]);
        let same = |old: &Use| old.path == path;
        if !change_first(&mut self.syntax, &mut self.uses, same, |_| {}, &tokens) {
            let line = self.syntax.add_line(None, tokens);
            let path = path.to_owned();
            self.uses.push(Directive::new(Use { path }, line));
        }
    }

    /// Removes a directory.
    pub fn drop_use(&mut self, path: &str) {
        drop_where(&mut self.syntax, &mut self.uses, |old| old.path == path);
    }

    /// Makes the directories used exactly those of `paths`.
    pub fn set_use(&mut self, paths: &[&str]) {
        let wanted = |old: &Use| paths.contains(&old.path.as_str());
        drop_where(&mut self.syntax, &mut self.uses, |old| !wanted(old));
        for path in paths {
            if !self.uses.iter().any(|old| old.path == *path) {
                self.add_use(path);
            }
        }
        self.sort_blocks();
    }

    /// Replaces a module; without version all its versions, and directives for single versions are
    /// removed.
    pub fn add_replace(&mut self, path: &str, version: Option<&Version>, by: Replacement) {
        let replace = Replace {
            path: path.to_owned(),
            version: version.cloned(),
            by,
        };
        add_replace(&mut self.syntax, &mut self.replace, replace);
    }

    /// Removes the replacements for exactly this path and version.
    pub fn drop_replace(&mut self, path: &str, version: Option<&Version>) {
        drop_replace(&mut self.syntax, &mut self.replace, path, version);
    }

    /// Sorts the lines of each block, after dropping repeated replace directives (the last stays).
    pub fn sort_blocks(&mut self) {
        let dropped = keep_last(&mut self.replace, |r| (r.path.clone(), r.version.clone()));
        self.syntax.drop_lines(&dropped.into_iter().collect());
        self.syntax.sort_blocks(|_| by_tokens);
    }

    /// Drops what earlier edits removed: lines, empty blocks, and the parentheses around single lines.
    pub fn cleanup(&mut self) {
        self.syntax.cleanup();
    }
}

/// The first statement that is not a comment.
fn top(syntax: &Syntax) -> usize {
    let statements = syntax.statements();
    statements
        .iter()
        .position(|statement| !matches!(statement, Statement::Comments(_)))
        .unwrap_or(statements.len())
}
