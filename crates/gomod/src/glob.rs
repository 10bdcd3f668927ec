//! Glob lists as in GOPRIVATE: does a path, or a leading part of it, match one of them?
//!
//! A single pattern follows Go's `path.Match`, byte for byte: `*` and `?` do not match a slash, a
//! class in brackets may.

use crate::text::decode_rune;

/// A pattern that has an unclosed class, an empty class or a trailing backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

/// True when a leading part of `target` with as many elements as a pattern has matches that pattern.
/// `globs` is a comma-separated list; empty and malformed patterns in it are ignored, as is a
/// trailing slash of a pattern (x/mod `MatchPrefixPatterns`).
pub fn match_prefix_patterns(globs: &str, target: &str) -> bool {
    globs.split(',').any(|glob| {
        let glob = glob.strip_suffix('/').unwrap_or(glob);
        !glob.is_empty()
            && leading_elements(target, glob.split('/').count())
                .is_some_and(|prefix| matches(glob, prefix) == Ok(true))
    })
}

/// The first `count` elements of `path`, if it has that many.
fn leading_elements(path: &str, count: usize) -> Option<&str> {
    match path.match_indices('/').nth(count.checked_sub(1)?) {
        Some((end, _)) => path.get(..end),
        None => (path.split('/').count() == count).then_some(path),
    }
}

/// True when `pattern` matches the whole of `name` (Go's `path.Match`).
pub fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let terms = parse(pattern.as_bytes())?;
    Ok(matches_terms(&terms, name.as_bytes()))
}

enum Term {
    /// Any run of bytes without a slash.
    Star,
    /// One character other than a slash.
    Any,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Byte(u8),
}

fn parse(mut pattern: &[u8]) -> Result<Vec<Term>, BadPattern> {
    let mut terms = Vec::with_capacity(pattern.len());
    while let Some((&byte, rest)) = pattern.split_first() {
        pattern = rest;
        terms.push(match byte {
            b'*' => Term::Star,
            b'?' => Term::Any,
            b'[' => parse_class(&mut pattern)?,
            b'\\' => {
                let (&literal, rest) = rest.split_first().ok_or(BadPattern)?;
                pattern = rest;
                Term::Byte(literal)
            }
            literal => Term::Byte(literal),
        });
    }
    Ok(terms)
}

fn parse_class(pattern: &mut &[u8]) -> Result<Term, BadPattern> {
    let negated = skip(pattern, b'^');
    let mut ranges = Vec::new();
    while ranges.is_empty() || !skip(pattern, b']') {
        let low = parse_class_char(pattern)?;
        let high = if skip(pattern, b'-') {
            parse_class_char(pattern)?
        } else {
            low
        };
        ranges.push((low, high));
    }
    Ok(Term::Class { negated, ranges })
}

/// One end of a range, which must be followed by something as the class is not closed yet.
fn parse_class_char(pattern: &mut &[u8]) -> Result<char, BadPattern> {
    if matches!(pattern.first(), None | Some(b'-' | b']')) {
        return Err(BadPattern);
    }
    skip(pattern, b'\\');
    let (rune, len) = decode_rune(pattern);
    *pattern = pattern.get(len..).unwrap_or_default();
    if len == 0 || pattern.is_empty() {
        return Err(BadPattern);
    }
    Ok(rune)
}

fn skip(pattern: &mut &[u8], byte: u8) -> bool {
    match pattern.split_first() {
        Some((&first, rest)) if first == byte => {
            *pattern = rest;
            true
        }
        _ => false,
    }
}

/// Matches with one point of return, the last star seen: what an earlier star took stays taken.
fn matches_terms(mut terms: &[Term], mut name: &[u8]) -> bool {
    let mut retry: Option<(&[Term], &[u8])> = None;
    loop {
        let step = match terms.split_first() {
            None if name.is_empty() => return true,
            None => None,
            Some((Term::Star, after)) => {
                retry = Some((after, name));
                terms = after;
                if after.is_empty() {
                    return !name.contains(&b'/');
                }
                continue;
            }
            Some((term, after)) => matches_term(term, name).map(|rest| (after, rest)),
        };
        if let Some(next) = step {
            (terms, name) = next;
            continue;
        }
        // Let the star take one more byte and try again.
        match retry {
            Some((after, [taken, rest @ ..])) if *taken != b'/' => {
                retry = Some((after, rest));
                (terms, name) = (after, rest);
            }
            _ => return false,
        }
    }
}

/// What follows in `name` when `term` matches its beginning.
fn matches_term<'a>(term: &Term, name: &'a [u8]) -> Option<&'a [u8]> {
    let (rune, len) = decode_rune(name);
    if len == 0 {
        return None;
    }
    let taken = match term {
        Term::Byte(byte) => (name.first() == Some(byte)).then_some(1)?,
        Term::Any => (rune != '/').then_some(len)?,
        Term::Class { negated, ranges } => {
            let listed = ranges
                .iter()
                .any(|&(low, high)| (low..=high).contains(&rune));
            (listed != *negated).then_some(len)?
        }
        Term::Star => return None,
    };
    name.get(taken..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_covers_the_whole_name() {
        for (pattern, name, want) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("", "", true),
            ("*", "abc", true),
            ("*", "a/b", false),
            ("*c", "abc", true),
            ("a*b*c", "a.b.b.c", true),
            ("a*/b", "a/c/b", false),
            ("a*/b", "axxx/b", true),
            ("a?c", "aéc", true),
            ("a?c", "a/c", false),
            ("a[/]c", "a/c", true),
            ("a[^a]c", "a/c", true),
            ("*[^a]*", "b/c", false),
            ("[a-cx]", "b", true),
            ("[^a-cx]", "b", false),
            ("[а-я]", "ж", true),
            (r"a\*c", "a*c", true),
            (r"a\*c", "abc", false),
            (r"[\]-a]", "]", true),
            ("a***c", "abbc", true),
            ("*x", "xxx", true),
        ] {
            assert_eq!(matches(pattern, name), Ok(want), "{pattern} {name}");
        }
    }

    #[test]
    fn malformed_patterns_are_errors_wherever_they_are_malformed() {
        for pattern in [
            "[", "[]", "[]a]", "[^", "[a", "[a-", "[a-]", "[-x]", "[x-]", "zz[", r"\", r"[\",
            "a*[", "[^]]",
        ] {
            assert_eq!(matches(pattern, "no"), Err(BadPattern), "{pattern}");
        }
    }

    #[test]
    fn as_many_elements_of_the_target_count_as_the_pattern_has() {
        for (globs, target, want) in [
            ("*.corp.example", "git.corp.example/team/repo", true),
            (
                "*.corp.example/team/other",
                "git.corp.example/team/repo",
                false,
            ),
            ("a.example/b/c", "a.example/b", false),
            ("a.example/b/", "a.example/b/c", true),
            ("a.example//", "a.example", false),
            (",,x.example, y.example", "y.example", false),
            ("[,y.example", "y.example/z", true),
            ("", "y.example", false),
        ] {
            assert_eq!(
                match_prefix_patterns(globs, target),
                want,
                "{globs} {target}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in r"[a\*\?\[\]\^\\é/-]{0,12}", name in "[aé/]{0,8}") {
            let _ = matches(&pattern, &name);
        }

        #[test]
        fn an_escaped_name_matches_itself(name in "\\PC{0,12}") {
            let pattern: String = name.chars().flat_map(|c| {
                let special = matches!(c, '*' | '?' | '[' | '\\');
                special.then_some('\\').into_iter().chain([c])
            }).collect();
            prop_assert_eq!(matches(&pattern, &name), Ok(true));
        }
    }
}
