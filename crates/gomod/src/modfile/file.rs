//! [`ModFile`]: a go.mod file with the meaning of its lines.

use bstr::BString;

use super::comments::deprecation;
use super::directive::{
    Directive, Exclude, Go, Godebug, Ignore, Module, Replace, Require, Retract, Tool, Toolchain,
};
use super::error::{ParseError, ParseErrors, ParseFault};
use super::position::Position;
use super::read::{
    Instruction, Refusal, VersionFixer, instructions, read_go, read_godebug, read_interval,
    read_module_version, read_path, read_replace, read_toolchain,
};
use super::strings::auto_quote;
use super::syntax::Syntax;
use crate::gover;
use crate::version::Version;

/// Whose go.mod file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// That of the main module: every line must be understood.
    Strict,
    /// That of a dependency: only module, go, require, retract and ignore directives count, and what
    /// a newer release of Go may have written is passed over.
    Lax,
}

/// A go.mod file: its syntax tree and what its directives say, kept in step by the edits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModFile {
    pub(super) syntax: Syntax,
    pub(super) module: Option<Directive<Module>>,
    pub(super) go: Option<Directive<Go>>,
    pub(super) toolchain: Option<Directive<Toolchain>>,
    pub(super) godebug: Vec<Directive<Godebug>>,
    pub(super) require: Vec<Directive<Require>>,
    pub(super) exclude: Vec<Directive<Exclude>>,
    pub(super) replace: Vec<Directive<Replace>>,
    pub(super) retract: Vec<Directive<Retract>>,
    pub(super) tool: Vec<Directive<Tool>>,
    pub(super) ignore: Vec<Directive<Ignore>>,
}

/// The keywords that may stand before a parenthesis.
const BLOCK_VERBS: [&str; 8] = [
    "module", "godebug", "require", "exclude", "replace", "retract", "tool", "ignore",
];

impl ModFile {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the go.mod file of a main module. `name` is the file name that errors show.
    pub fn parse(name: &str, data: &[u8]) -> Result<Self, ParseErrors> {
        Self::read(name, data, Mode::Strict, None)
    }

    /// Reads the go.mod file of a dependency. `name` is the file name that errors show.
    pub fn parse_lax(name: &str, data: &[u8]) -> Result<Self, ParseErrors> {
        Self::read(name, data, Mode::Lax, None)
    }

    /// Reads a go.mod file. With `fix`, anything that `fix` can resolve may stand in place of a
    /// version; without it, versions must be semantic versions (those of retract directives are then
    /// left as they are). All errors are collected, except that reading stops at a syntax error.
    pub fn read(
        name: &str,
        data: &[u8],
        mode: Mode,
        fix: Option<&mut VersionFixer<'_>>,
    ) -> Result<Self, ParseErrors> {
        let syntax = Syntax::parse(name, data)?;
        let instructions = instructions(&syntax, &BLOCK_VERBS);
        let mut reader = Reader {
            file: Self {
                syntax,
                ..Self::default()
            },
            mode,
            fix,
            errors: Vec::new(),
        };
        for instruction in instructions {
            reader.read(instruction);
        }
        reader.fix_retractions();
        ParseErrors::check(reader.errors, reader.file)
    }

    /// The go.mod file of a module that has none: what the `go` command makes up for a version from
    /// before modules.
    pub fn synthesized(path: &str) -> String {
        format!("module {}\n", auto_quote(path))
    }

    /// The syntax tree.
    pub fn syntax(&self) -> &Syntax {
        &self.syntax
    }

    /// The file in the standard style.
    pub fn format(&self) -> Vec<u8> {
        self.syntax.format()
    }

    /// The module directive.
    pub fn module(&self) -> Option<&Directive<Module>> {
        self.module.as_ref()
    }

    /// The go directive.
    pub fn go(&self) -> Option<&Directive<Go>> {
        self.go.as_ref()
    }

    /// The Go version that the file is to be read with: that of the go directive, else
    /// [`gover::DEFAULT_GO_MOD_VERSION`].
    pub fn go_version(&self) -> &str {
        self.go
            .as_ref()
            .map_or(gover::DEFAULT_GO_MOD_VERSION, |go| &go.version)
    }

    /// The toolchain directive.
    pub fn toolchain(&self) -> Option<&Directive<Toolchain>> {
        self.toolchain.as_ref()
    }

    /// The godebug directives.
    pub fn godebug(&self) -> &[Directive<Godebug>] {
        &self.godebug
    }

    /// The require directives.
    pub fn require(&self) -> &[Directive<Require>] {
        &self.require
    }

    /// The exclude directives.
    pub fn exclude(&self) -> &[Directive<Exclude>] {
        &self.exclude
    }

    /// The replace directives.
    pub fn replace(&self) -> &[Directive<Replace>] {
        &self.replace
    }

    /// The retract directives.
    pub fn retract(&self) -> &[Directive<Retract>] {
        &self.retract
    }

    /// The tool directives.
    pub fn tool(&self) -> &[Directive<Tool>] {
        &self.tool
    }

    /// The ignore directives.
    pub fn ignore(&self) -> &[Directive<Ignore>] {
        &self.ignore
    }

    /// Where a directive stands in the file; `None` if an edit has added it.
    pub fn position<T>(&self, directive: &Directive<T>) -> Option<Position> {
        self.syntax
            .line(directive.line())
            .map(|line| line.start)
            .filter(|start| start.line > 0)
    }

    /// The retract directives that cover `version`.
    pub fn retractions<'a>(&'a self, version: &'a Version) -> impl Iterator<Item = &'a Retract> {
        self.retract
            .iter()
            .map(|retract| &**retract)
            .filter(|retract| retract.interval.contains(version))
    }
}

struct Reader<'a, 'f> {
    file: ModFile,
    mode: Mode,
    fix: Option<&'a mut VersionFixer<'f>>,
    errors: Vec<ParseError>,
}

impl Reader<'_, '_> {
    fn read(&mut self, instruction: Result<Instruction, ParseError>) {
        let strict = self.mode == Mode::Strict;
        match instruction {
            Ok(mut instruction) => {
                let counts = matches!(
                    instruction.verb.as_str(),
                    "go" | "module" | "retract" | "require" | "ignore"
                );
                if !strict && !counts {
                    return;
                }
                if let Err(refusal) = self.take(&mut instruction) {
                    self.refuse(refusal, instruction.position);
                }
                let Instruction { line, args, .. } = instruction;
                self.file.syntax.put_arguments(line, args);
            }
            Err(unknown_block) if strict => self.errors.push(unknown_block),
            Err(_) => {}
        }
    }

    fn refuse(&mut self, refusal: Refusal, position: Position) {
        let error = refusal.at(self.file.syntax.name(), position);
        self.errors.push(error);
    }

    /// Adds what a line says to the file.
    fn take(&mut self, instruction: &mut Instruction) -> Result<(), Refusal> {
        let Instruction {
            verb, line, args, ..
        } = instruction;
        let line = *line;
        let repeated = match verb.as_str() {
            "go" => self.file.go.is_some(),
            "toolchain" => self.file.toolchain.is_some(),
            "module" => self.file.module.is_some(),
            _ => false,
        };
        if repeated {
            return Err(ParseFault::Repeated(verb.clone()).into());
        }
        match verb.as_str() {
            "go" => {
                let go = read_go(args, self.mode == Mode::Strict)?;
                self.file.go = Some(Directive::new(go, line));
            }
            "toolchain" => {
                self.file.toolchain = Some(Directive::new(read_toolchain(args)?, line));
            }
            "module" => {
                let mut module = Module {
                    path: String::new(),
                    deprecated: deprecation(&instruction.comment),
                };
                // Even a malformed directive makes a second one a repetition.
                self.file.module = Some(Directive::new(module.clone(), line));
                let usage = ParseFault::Usage("module module/path".to_owned());
                module.path = read_path(args, usage)?;
                self.file.module = Some(Directive::new(module, line));
            }
            "godebug" => {
                let godebug = read_godebug(args)?;
                self.file.godebug.push(Directive::new(godebug, line));
            }
            "require" => {
                let (path, version) = read_module_version(verb, args, self.fix.as_deref_mut())?;
                let indirect = instruction.indirect;
                let require = Require {
                    path,
                    version,
                    indirect,
                };
                self.file.require.push(Directive::new(require, line));
            }
            "exclude" => {
                let (path, version) = read_module_version(verb, args, self.fix.as_deref_mut())?;
                let exclude = Exclude { path, version };
                self.file.exclude.push(Directive::new(exclude, line));
            }
            "replace" => {
                let replace = read_replace(args, self.fix.as_deref_mut())?;
                self.file.replace.push(Directive::new(replace, line));
            }
            "retract" => {
                if let Some(retract) = self.read_retract(instruction)? {
                    self.file.retract.push(Directive::new(retract, line));
                }
            }
            "tool" => {
                let path = read_path(args, ParseFault::OneArgument(verb.clone()))?;
                self.file.tool.push(Directive::new(Tool { path }, line));
            }
            "ignore" => {
                let path = read_path(args, ParseFault::OneArgument(verb.clone()))?;
                self.file.ignore.push(Directive::new(Ignore { path }, line));
            }
            _ => return Err(ParseFault::UnknownDirective(verb.clone()).into()),
        }
        Ok(())
    }

    /// Reads a retraction as it is written; versions are resolved when the whole file is read, as
    /// the module path may come last. What a dependency retracts in a way not known today is passed
    /// over.
    fn read_retract(&self, instruction: &mut Instruction) -> Result<Option<Retract>, Refusal> {
        let strict = self.mode == Mode::Strict;
        match read_interval("", &mut instruction.args, None) {
            Ok((_, [extra, ..])) if strict => {
                Err(ParseFault::RetractRest(extra.to_string()).into())
            }
            Ok((interval, _)) => Ok(Some(Retract {
                interval,
                rationale: instruction.comment.clone(),
            })),
            Err(refusal) if strict => Err(refusal),
            Err(_) => Ok(None),
        }
    }

    /// Resolves the versions of retract directives, if there is something to resolve them with.
    fn fix_retractions(&mut self) {
        let Some(fix) = self.fix.take() else { return };
        let path = self
            .file
            .module
            .as_ref()
            .map(|module| module.path.clone())
            .unwrap_or_default();
        let mut retract = std::mem::take(&mut self.file.retract);
        for directive in &mut retract {
            let Some(line) = self.file.syntax.line(directive.line()) else {
                continue;
            };
            let position = line.start;
            if path.is_empty() {
                self.refuse(ParseFault::RetractWithoutModule.into(), position);
                break;
            }
            let mut args: Vec<BString> = line.arguments().to_vec();
            let resolved =
                read_interval(&path, &mut args, Some(&mut *fix)).map(|(interval, _)| interval);
            match resolved {
                Ok(interval) => directive.interval = interval,
                Err(refusal) => self.refuse(refusal, position),
            }
            self.file.syntax.put_arguments(directive.line(), args);
        }
        self.file.retract = retract;
    }
}
