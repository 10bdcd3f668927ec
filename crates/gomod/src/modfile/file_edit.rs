//! Changes to a go.mod file. Rules: x/mod `modfile/rule.go`.
//!
//! Call [`ModFile::cleanup`] after a series of edits that remove something.

use super::directive::{
    Directive, Exclude, Ignore, Module, Replace, Replacement, Require, Retract, Tool,
    VersionInterval,
};
use super::directive_edit::{
    add_godebug, add_replace, change_first, drop_replace, drop_single, drop_where, line_tokens,
    set_go, set_toolchain,
};
use super::error::EditError;
use super::file::ModFile;
use super::sort::{by_interval_descending, by_tokens, by_version, keep_first, keep_last};
use super::strings::auto_quote;
use super::syntax::{Comment, Statement};
use crate::error::{VersionError, VersionFault};
use crate::path::{path_major_prefix, split_path_version};
use crate::semver;
use crate::version::{Version, check_path_major};

impl ModFile {
    /// Sets the module path.
    pub fn add_module(&mut self, path: &str) {
        let tokens = line_tokens(["module", &auto_quote(path)]);
        if let Some(module) = &mut self.module {
            path.clone_into(&mut module.path);
            self.syntax.update_line(module.line(), tokens);
        } else {
            let module = Module {
                path: path.to_owned(),
                deprecated: None,
            };
            let line = self.syntax.add_line(None, tokens);
            self.module = Some(Directive::new(module, line));
        }
    }

    /// Adds a comment, given with its slashes, at the end of the file.
    pub fn add_comment(&mut self, text: &str) {
        let comment = Comment::new(text);
        self.syntax.push(Statement::Comments(vec![comment]));
    }

    /// Sets the Go version.
    pub fn add_go(&mut self, version: &str) -> Result<(), EditError> {
        let hint = self.module.as_ref().map(Directive::line);
        set_go(&mut self.syntax, &mut self.go, version, |syntax, tokens| {
            syntax.add_line(hint, tokens)
        })
    }

    /// Removes the go directive.
    pub fn drop_go(&mut self) {
        drop_single(&mut self.syntax, &mut self.go);
    }

    /// Sets the toolchain.
    pub fn add_toolchain(&mut self, name: &str) -> Result<(), EditError> {
        let go = self.go.as_ref().map(Directive::line);
        let hint = go.or(self.module.as_ref().map(Directive::line));
        let toolchain = &mut self.toolchain;
        set_toolchain(&mut self.syntax, toolchain, name, |syntax, tokens| {
            syntax.add_line(hint, tokens)
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

    /// Sets the version of the first requirement on `path`, keeping its comments, and removes the
    /// others; without one, adds a line to the last block of requirements.
    pub fn add_require(&mut self, path: &str, version: &Version) {
        let tokens = line_tokens(["require", &auto_quote(path), version.as_str()]);
        let change = |require: &mut Require| require.version.clone_from(version);
        let same = |require: &Require| require.path == path;
        if !change_first(&mut self.syntax, &mut self.require, same, change, &tokens) {
            self.add_new_require(path, version, false);
        }
    }

    /// Adds a requirement to the last block of them, whatever is there for `path`.
    pub fn add_new_require(&mut self, path: &str, version: &Version, indirect: bool) {
        let tokens = line_tokens(["require", &auto_quote(path), version.as_str()]);
        let line = self.syntax.add_line(None, tokens);
        if let Some(line) = self.syntax.line_mut(line) {
            line.set_indirect(indirect);
        }
        let require = Require {
            path: path.to_owned(),
            version: version.clone(),
            indirect,
        };
        self.require.push(Directive::new(require, line));
    }

    /// Removes all requirements on `path`.
    pub fn drop_require(&mut self, path: &str) {
        drop_where(&mut self.syntax, &mut self.require, |old| old.path == path);
    }

    /// Excludes a version, which must be canonical and fit the path. The line goes next to those for
    /// other versions of the module, else to the end of the file.
    pub fn add_exclude(&mut self, path: &str, version: &str) -> Result<(), EditError> {
        let version = canonical_version_of(path, version)?;
        let mut neighbour = None;
        for exclude in self.exclude.iter().filter(|exclude| exclude.path == path) {
            if exclude.version == version {
                return Ok(());
            }
            neighbour = Some(exclude.line());
        }
        let tokens = line_tokens(["exclude", &auto_quote(path), version.as_str()]);
        let line = self.syntax.add_line_beside(neighbour, tokens);
        let path = path.to_owned();
        self.exclude
            .push(Directive::new(Exclude { path, version }, line));
        Ok(())
    }

    /// Removes an exclusion.
    pub fn drop_exclude(&mut self, path: &str, version: &Version) {
        drop_where(&mut self.syntax, &mut self.exclude, |old| {
            old.path == path && old.version == *version
        });
    }

    /// Replaces a module; without version all its versions, and directives for single versions are
    /// removed. A new line goes next to those for other versions of the module, else to the end of
    /// the file.
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

    /// Retracts versions of this module, which must be canonical and fit its path. The rationale may
    /// have several lines.
    pub fn add_retract(
        &mut self,
        interval: VersionInterval,
        rationale: &str,
    ) -> Result<(), EditError> {
        let path = self.module.as_ref().map_or("", |module| &module.path);
        canonical_version_of(path, &interval.high)?;
        canonical_version_of(path, &interval.low)?;
        let tokens = if interval.low == interval.high {
            line_tokens(["retract", &interval.low])
        } else {
            line_tokens(["retract", "[", &interval.low, ",", &interval.high, "]"])
        };
        let line = self.syntax.add_line(None, tokens);
        if !rationale.is_empty()
            && let Some(line) = self.syntax.line_mut(line)
        {
            let comments = rationale
                .split('\n')
                .map(|text| Comment::new(format!("// {text}")));
            line.comments.before.extend(comments);
        }
        let retract = Retract {
            interval,
            rationale: rationale.to_owned(),
        };
        self.retract.push(Directive::new(retract, line));
        Ok(())
    }

    /// Removes the retractions of exactly this interval.
    pub fn drop_retract(&mut self, interval: &VersionInterval) {
        drop_where(&mut self.syntax, &mut self.retract, |old| {
            old.interval == *interval
        });
    }

    /// Adds a tool, if it is not there yet, in the order of paths.
    pub fn add_tool(&mut self, path: &str) {
        if self.tool.iter().any(|tool| tool.path == path) {
            return;
        }
        let tokens = line_tokens(["tool", &auto_quote(path)]);
        let line = self.syntax.add_line(None, tokens);
        let path = path.to_owned();
        self.tool.push(Directive::new(Tool { path }, line));
        self.sort_blocks();
    }

    /// Removes a tool.
    pub fn drop_tool(&mut self, path: &str) {
        drop_where(&mut self.syntax, &mut self.tool, |old| old.path == path);
    }

    /// Adds an ignored directory, if it is not there yet, in the order of paths.
    pub fn add_ignore(&mut self, path: &str) {
        if self.ignore.iter().any(|ignore| ignore.path == path) {
            return;
        }
        let tokens = line_tokens(["ignore", &auto_quote(path)]);
        let line = self.syntax.add_line(None, tokens);
        let path = path.to_owned();
        self.ignore.push(Directive::new(Ignore { path }, line));
        self.sort_blocks();
    }

    /// Removes an ignored directory.
    pub fn drop_ignore(&mut self, path: &str) {
        drop_where(&mut self.syntax, &mut self.ignore, |old| old.path == path);
    }

    /// Sorts the lines of each block, after dropping repeated exclude, tool and ignore directives
    /// (the first stays) and replace directives (the last stays). From go 1.21 on, exclusions are
    /// sorted by version and not by text.
    pub fn sort_blocks(&mut self) {
        let mut dropped = keep_first(&mut self.exclude, |e| (e.path.clone(), e.version.clone()));
        dropped.extend(keep_last(&mut self.replace, |r| {
            (r.path.clone(), r.version.clone())
        }));
        dropped.extend(keep_first(&mut self.tool, |tool| tool.path.clone()));
        dropped.extend(keep_first(&mut self.ignore, |ignore| ignore.path.clone()));
        self.syntax.drop_lines(&dropped.into_iter().collect());

        let semantic = self
            .go
            .as_ref()
            .is_some_and(|go| semver::compare(&format!("v{}", go.version), "v1.21").is_ge());
        self.syntax.sort_blocks(|keyword| match keyword {
            b"exclude" if semantic => by_version,
            b"retract" => by_interval_descending,
            _ => by_tokens,
        });
    }

    /// Drops what earlier edits removed: lines, empty blocks, and the parentheses around single lines.
    pub fn cleanup(&mut self) {
        self.syntax.cleanup();
    }
}

/// `version` if it is canonical and fits the major version of `path`.
fn canonical_version_of(path: &str, version: &str) -> Result<Version, VersionError> {
    let split = split_path_version(path);
    let path_major = split.map_or("", |(_, path_major)| path_major);
    let canonical = Version::new(version).map_err(|_| {
        let major = path_major_prefix(path_major).unwrap_or("v1").to_owned();
        VersionError::new(version, VersionFault::NotCanonical { major })
    })?;
    if split.is_none() {
        return Ok(canonical);
    }
    match check_path_major(version, path_major) {
        Ok(()) => Ok(canonical),
        Err(_) if path_major.is_empty() => Err(VersionError::new(
            version,
            VersionFault::NeedsIncompatible(format!(
                "{version}+incompatible (or module {path}/{})",
                canonical.major()
            )),
        )),
        Err(error) => Err(error),
    }
}
