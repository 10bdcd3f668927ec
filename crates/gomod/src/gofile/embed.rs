//! `//go:embed`: which files a package takes into the program.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::{Token, Tokens};
use super::without_mark;
use crate::glob;
use crate::path::check_file_path;
use crate::text::unquote;

/// The patterns of the `//go:embed` lines of a Go file, if it imports `embed`. A line that is not well formed has none.
///
/// None of a file of the package `documentation`, which no build uses, and of one that uses cgo: whether its patterns
/// count depends on the machine that asks.
pub fn embed_patterns(content: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(without_mark(content));
    let imports = Imports::of(&text);
    if imports.package == "documentation"
        || imports.paths.contains("C")
        || !imports.paths.contains("embed")
    {
        return Vec::new();
    }
    let comments = Tokens::of(&text).filter_map(|token| match token {
        Token::LineComment(comment) => directive(comment),
        _ => None,
    });
    comments.flatten().collect()
}

#[derive(Default)]
struct Imports<'a> {
    package: &'a str,
    paths: BTreeSet<String>,
}

impl<'a> Imports<'a> {
    fn of(text: &'a str) -> Self {
        let mut imports = Self::default();
        let mut tokens = Tokens::of(text)
            .filter(|token| !matches!(token, Token::LineComment(_) | Token::Other(';')));
        if tokens.next() != Some(Token::Word("package")) {
            return imports;
        }
        if let Some(Token::Word(name)) = tokens.next() {
            imports.package = name;
        }
        while tokens.next() == Some(Token::Word("import")) {
            let mut is_group = false;
            for token in &mut tokens {
                match token {
                    Token::Other('(') => is_group = true,
                    Token::Other(')') => break,
                    Token::Text(literal) => {
                        let path = unquote(literal.as_bytes());
                        imports
                            .paths
                            .extend(path.and_then(|path| String::from_utf8(path).ok()));
                        if !is_group {
                            break;
                        }
                    }
                    // The name under which it is imported.
                    Token::Word(_) | Token::Other('.') => {}
                    _ => return imports,
                }
            }
        }
        imports
    }
}

/// The arguments of a `//go:embed` comment.
fn directive(comment: &str) -> Option<Vec<String>> {
    let mut rest = comment.strip_prefix("//go:embed")?;
    if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
        return None;
    }
    let mut arguments = Vec::new();
    loop {
        rest = rest.trim_start();
        let len = match rest.chars().next() {
            None => return Some(arguments),
            Some('`') => rest.get(1..)?.find('`')? + 2,
            Some('"') => match Tokens::of(rest).next()? {
                Token::Text(literal) => literal.len(),
                _ => return None,
            },
            Some(_) => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        let (argument, behind) = rest.split_at_checked(len)?;
        if argument.starts_with(['`', '"']) {
            if !behind.is_empty() && !behind.starts_with(char::is_whitespace) {
                return None;
            }
            arguments.push(String::from_utf8(unquote(argument.as_bytes())?).ok()?);
        } else {
            arguments.push(argument.to_owned());
        }
        rest = behind;
    }
}

/// Which of the files below the directory of a package the patterns mean. `None`: `go` refuses one of the patterns, and
/// with it all of them.
pub fn embedded<'f>(
    files: impl IntoIterator<Item = &'f str>,
    patterns: &[String],
) -> Option<BTreeSet<&'f str>> {
    let files: Vec<&str> = files.into_iter().collect();
    let mut all = BTreeSet::new();
    for pattern in patterns {
        let found = matches(&files, pattern)?;
        if found.is_empty() {
            return None;
        }
        all.extend(found);
    }
    Some(all)
}

fn matches<'f>(files: &[&'f str], pattern: &str) -> Option<BTreeSet<&'f str>> {
    let (pattern, is_all) = match pattern.strip_prefix("all:") {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let elements: Vec<&str> = pattern.split('/').collect();
    let is_path = elements
        .iter()
        .all(|element| !matches!(*element, "" | "." | ".."));
    if !is_path
        || elements
            .iter()
            .any(|element| glob::matches(element, "").is_err())
    {
        return None;
    }
    let mut found = BTreeSet::new();
    // Directories that matched, and whether something in them is embedded.
    let mut directories: BTreeMap<&str, bool> = BTreeMap::new();
    for &file in files {
        let Some((named, below)) = split(file, elements.len()) else {
            continue;
        };
        let mut pairs = elements.iter().zip(named.split('/'));
        if !pairs.all(|(element, name)| glob::matches(element, name) == Ok(true)) {
            continue;
        }
        if named.split('/').any(is_bad_name) {
            return None;
        }
        match below {
            None => {
                found.insert(file);
            }
            Some(below) => {
                let is_taken = is_taken(below, is_all)?;
                *directories.entry(named).or_default() |= is_taken;
                if is_taken {
                    found.insert(file);
                }
            }
        }
    }
    directories
        .values()
        .all(|&has_some| has_some)
        .then_some(found)
}

/// The first so many elements of a path, and what is behind them.
fn split(path: &str, elements: usize) -> Option<(&str, Option<&str>)> {
    match path.match_indices('/').nth(elements - 1) {
        Some((end, _)) => Some((path.get(..end)?, path.get(end + 1..))),
        None => (path.split('/').count() == elements).then_some((path, None)),
    }
}

/// Whether a file in a directory that a pattern means is taken. `None`: its name is refused.
fn is_taken(below: &str, is_all: bool) -> Option<bool> {
    let (directories, file) = match below.rsplit_once('/') {
        Some((directories, file)) => (Some(directories), file),
        None => (None, below),
    };
    let is_hidden = |name: &str| name.starts_with(['.', '_']);
    let mut directories = directories.into_iter().flat_map(|names| names.split('/'));
    if directories.any(|name| is_bad_name(name) || (is_hidden(name) && !is_all)) {
        return Some(false);
    }
    if is_hidden(file) && (!is_all || is_bad_name(file)) {
        return Some(false);
    }
    (!is_bad_name(file)).then_some(true)
}

/// Names that no module has (Go's `isBadEmbedName`).
fn is_bad_name(name: &str) -> bool {
    check_file_path(name).is_err() || matches!(name, ".bzr" | ".hg" | ".git" | ".svn")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_directives_in_files_that_import_embed() {
        for (text, expected) in [
            (
                "package a\n\nimport _ \"embed\"\n\n//go:embed a.txt b/*.txt\nvar S string\n",
                vec!["a.txt", "b/*.txt"],
            ),
            (
                "package a\nimport (\n\t\"fmt\" // why\n\t. \"embed\"\n)\nvar (\n\t//go:embed \"x y\" `all:z` q\n\tF FS\n)",
                vec!["x y", "all:z", "q"],
            ),
            (
                "package a\n\nimport `embed`\n//go:embed \"\\x61\"\n",
                vec!["a"],
            ),
            ("package a\n\nimport \"fmt\"\n\n//go:embed a.txt\n", vec![]),
            (
                "package a\n\nimport \"embed\"\n\nvar s = `\n//go:embed a.txt\n`\n",
                vec![],
            ),
            (
                "package a\n\nimport \"embed\"\n\n/*\n//go:embed a.txt\n*/\n",
                vec![],
            ),
            (
                "package a\n\nimport \"embed\"\n\n//go:embedded a.txt\n",
                vec![],
            ),
            (
                "package a\n\nimport \"embed\"\n\n// go:embed a.txt\n",
                vec![],
            ),
            // Not well formed.
            ("package a\nimport \"embed\"\n//go:embed \"a\"b c\n", vec![]),
            ("package a\nimport \"embed\"\n//go:embed c \"a\n", vec![]),
            ("package a\nimport \"embed\"\n//go:embed `a\n", vec![]),
            // Not looked at.
            (
                "package documentation\nimport \"embed\"\n//go:embed a\n",
                vec![],
            ),
            (
                "package a\nimport \"C\"\nimport \"embed\"\n//go:embed a\n",
                vec![],
            ),
            ("import \"embed\"\n//go:embed a\n", vec![]),
        ] {
            assert_eq!(embed_patterns(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn patterns_mean_files_and_all_below_directories() {
        let files = [
            "a.go",
            "a.txt",
            ".hidden",
            "data/d.txt",
            "data/.hid",
            "data/_under/x.txt",
            "data/deep/e.txt",
            "data/deep/.git/config",
            "empty/.only",
            "one/x.txt",
            "two/x.txt",
        ];
        let found = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            embedded(files, &patterns).map(|found| found.into_iter().collect::<Vec<_>>())
        };
        for (patterns, expected) in [
            (&["a.txt"][..], Some(vec!["a.txt"])),
            (&["*.txt"], Some(vec!["a.txt"])),
            (&["data"], Some(vec!["data/d.txt", "data/deep/e.txt"])),
            (
                &["all:data"],
                Some(vec![
                    "data/.hid",
                    "data/_under/x.txt",
                    "data/d.txt",
                    "data/deep/e.txt",
                ]),
            ),
            (&["data/.hid"], Some(vec!["data/.hid"])),
            (&["data/*.txt"], Some(vec!["data/d.txt"])),
            (&["*/x.txt"], Some(vec!["one/x.txt", "two/x.txt"])),
            (&["a.txt", "one"], Some(vec!["a.txt", "one/x.txt"])),
            // What a star means is named, so that it may be hidden.
            (
                &["data/*"],
                Some(vec![
                    "data/.hid",
                    "data/_under/x.txt",
                    "data/d.txt",
                    "data/deep/e.txt",
                ]),
            ),
            (&["empty"], None),
            (&["absent"], None),
            (&["a.txt", "absent"], None),
            (&["."], None),
            (&["../a"], None),
            (&["/a.txt"], None),
            (&["data/"], None),
            (&["[a"], None),
            (&["data/deep/.git"], None),
        ] {
            assert_eq!(found(patterns), expected, "{patterns:?}");
        }
        assert_eq!(embedded(files, &[]), Some(BTreeSet::new()));
    }
}
