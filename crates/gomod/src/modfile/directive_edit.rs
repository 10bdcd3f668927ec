//! Changes to one kind of directive, together with their lines: what the edits of go.mod and go.work
//! files have in common.

use bstr::BString;

use super::directive::{Directive, Go, Godebug, Replace, Replacement, Toolchain};
use super::error::EditError;
use super::read::{is_go_version, is_toolchain};
use super::strings::auto_quote;
use super::syntax::{LineId, Syntax};
use crate::version::Version;

/// Sets the go directive; `insert` places the line of a new one.
pub(super) fn set_go(
    syntax: &mut Syntax,
    directive: &mut Option<Directive<Go>>,
    version: &str,
    insert: impl FnOnce(&mut Syntax, Vec<BString>) -> LineId,
) -> Result<(), EditError> {
    if !is_go_version(version) {
        return Err(EditError::GoVersion(version.to_owned()));
    }
    let go = Go {
        version: version.to_owned(),
    };
    set_single(syntax, directive, go, line_tokens(["go", version]), insert);
    Ok(())
}

/// Sets the toolchain directive; `insert` places the line of a new one.
pub(super) fn set_toolchain(
    syntax: &mut Syntax,
    directive: &mut Option<Directive<Toolchain>>,
    name: &str,
    insert: impl FnOnce(&mut Syntax, Vec<BString>) -> LineId,
) -> Result<(), EditError> {
    if !is_toolchain(name) {
        return Err(EditError::Toolchain(name.to_owned()));
    }
    let toolchain = Toolchain {
        name: name.to_owned(),
    };
    let tokens = line_tokens(["toolchain", name]);
    set_single(syntax, directive, toolchain, tokens, insert);
    Ok(())
}

fn set_single<T>(
    syntax: &mut Syntax,
    directive: &mut Option<Directive<T>>,
    value: T,
    tokens: Vec<BString>,
    insert: impl FnOnce(&mut Syntax, Vec<BString>) -> LineId,
) {
    if let Some(old) = directive {
        **old = value;
        syntax.update_line(old.line(), tokens);
    } else {
        let line = insert(syntax, tokens);
        *directive = Some(Directive::new(value, line));
    }
}

/// Removes a directive that a file has once at most, with its line.
pub(super) fn drop_single<T>(syntax: &mut Syntax, directive: &mut Option<Directive<T>>) {
    if let Some(old) = directive.take() {
        syntax.remove_line(old.line());
    }
}

/// Removes the directives that `gone` picks.
pub(super) fn drop_where<T>(
    syntax: &mut Syntax,
    directives: &mut Vec<Directive<T>>,
    gone: impl Fn(&T) -> bool,
) {
    directives.retain(|directive| {
        let keep = !gone(directive);
        if !keep {
            syntax.remove_line(directive.line());
        }
        keep
    });
}

/// Changes the first directive that `picked` picks and its line, removes all others that it picks;
/// false if there was none.
pub(super) fn change_first<T>(
    syntax: &mut Syntax,
    directives: &mut Vec<Directive<T>>,
    picked: impl Fn(&T) -> bool,
    mut change: impl FnMut(&mut T),
    tokens: &[BString],
) -> bool {
    let mut found = false;
    directives.retain_mut(|directive| {
        if !picked(directive) {
            return true;
        }
        if found {
            syntax.remove_line(directive.line());
            return false;
        }
        found = true;
        change(directive);
        syntax.update_line(directive.line(), tokens.to_vec());
        true
    });
    found
}

/// Sets the first godebug directive for `key`, or adds one to the last block of them.
pub(super) fn add_godebug(
    syntax: &mut Syntax,
    directives: &mut Vec<Directive<Godebug>>,
    key: &str,
    value: &str,
) {
    let tokens = line_tokens(["godebug", &format!("{key}={value}")]);
    let godebug = Godebug {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let change = |setting: &mut Godebug| setting.clone_from(&godebug);
    if !change_first(syntax, directives, |old| old.key == key, change, &tokens) {
        let line = syntax.add_line(None, tokens);
        directives.push(Directive::new(godebug, line));
    }
}

/// Sets the first matching replace directive, or adds one next to those for other versions of the
/// module, else at the end of the file. Without version all directives for the path match.
pub(super) fn add_replace(
    syntax: &mut Syntax,
    directives: &mut Vec<Directive<Replace>>,
    replace: Replace,
) {
    let tokens = replace_tokens(&replace);
    let matches = |old: &Replace| {
        old.path == replace.path && (replace.version.is_none() || old.version == replace.version)
    };
    let change = |old: &mut Replace| old.clone_from(&replace);
    if change_first(syntax, directives, matches, change, &tokens) {
        return;
    }
    let neighbour = directives
        .iter()
        .rfind(|other| other.path == replace.path)
        .map(Directive::line);
    let line = syntax.add_line_beside(neighbour, tokens);
    directives.push(Directive::new(replace, line));
}

fn replace_tokens(replace: &Replace) -> Vec<BString> {
    let mut tokens = line_tokens(["replace", &auto_quote(&replace.path)]);
    tokens.extend(
        replace
            .version
            .iter()
            .map(|version| version.as_str().into()),
    );
    tokens.extend(line_tokens(["=>", &auto_quote(replace.by.path())]));
    if let Replacement::Module { version, .. } = &replace.by {
        tokens.push(version.as_str().into());
    }
    tokens
}

/// Removes the replace directives for exactly this path and version.
pub(super) fn drop_replace(
    syntax: &mut Syntax,
    directives: &mut Vec<Directive<Replace>>,
    path: &str,
    version: Option<&Version>,
) {
    drop_where(syntax, directives, |old| {
        old.path == path && old.version.as_ref() == version
    });
}

/// The tokens of a line.
pub(super) fn line_tokens<const N: usize>(tokens: [&str; N]) -> Vec<BString> {
    tokens.into_iter().map(BString::from).collect()
}
