//! Case folding: which names a file system that ignores case would take for the same.

use std::borrow::Cow;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

/// A key that two names share exactly if they are equal under Unicode simple case folding, as by Go's
/// `strings.EqualFold` (x/mod zip `strToFold`).
///
/// Lower-casing would not do: `ſ` and `s`, or `K` (Kelvin) and `k`, are equal under folding.
pub(crate) fn fold(name: &str) -> Cow<'_, str> {
    if name
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().map(fold_char).collect())
}

fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
    // Fails only without Unicode tables, which Cargo.toml asks for; folding nothing would still be sound
    // for the names themselves.
    let _ = class.try_case_fold_simple();
    let least = class.iter().map(ClassUnicodeRange::start).min();
    least.unwrap_or(c).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::*;

    #[test]
    fn equal_names_fold_to_the_same_key() {
        for (a, b) in [
            ("readme", "README"),
            ("été", "ÉTÉ"),
            ("skin", "\u{17f}\u{212a}in"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("\u{1c4}", "\u{1c5}"),
            ("\u{1c4}", "\u{1c6}"),
            ("\u{398}", "\u{3f4}"),
            ("\u{e5}", "\u{212b}"),
            ("\u{10400}", "\u{10428}"),
            ("\u{df}", "\u{1e9e}"),
            ("\u{ab70}", "\u{13a0}"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
    }

    #[test]
    fn other_names_do_not() {
        for (a, b) in [
            ("ss", "\u{df}"),
            ("i", "\u{130}"),
            ("i", "\u{131}"),
            ("e\u{301}", "\u{e9}"),
            ("ff", "\u{fb00}"),
            ("a_b", "a?b"),
        ] {
            assert_ne!(fold(a), fold(b), "{a} {b}");
        }
    }

    #[test]
    fn plain_names_are_not_copied() {
        assert!(matches!(fold("cmd/go/main_test.go"), Cow::Borrowed(_)));
        assert!(matches!(fold("README"), Cow::Owned(_)));
    }

    /// Prints, for every rune that Go knows, the least rune it is equal to under folding.
    const GO_PROGRAM: &str = r#"package main

import (
	"bufio"
	"fmt"
	"os"
	"unicode"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r) || unicode.IsSymbol(r) {
			fmt.Fprintln(out, r, least)
		}
	}
}
"#;

    /// Equal since Unicode 15.1, which Go has had since 1.27. Older releases tell them apart; taking them for
    /// equal errs on the safe side.
    const EQUAL_SINCE_15_1: &str = "\u{390}\u{1fd3}\u{3b0}\u{1fe3}\u{fb05}\u{fb06}";

    /// Letters of Unicode 17, which Go has had since 1.27 and our tables (16) do not have yet.
    const NEW_IN_17: [RangeInclusive<char>; 2] =
        ['\u{a7ce}'..='\u{a7d5}', '\u{16ea0}'..='\u{16ed3}'];

    #[test]
    fn every_character_folds_as_in_go() {
        let scratch = tempfile::tempdir().unwrap();
        let program = scratch.path().join("fold.go");
        std::fs::write(&program, GO_PROGRAM).unwrap();
        let go = std::env::var_os("MODKEEP_GO").unwrap_or_else(|| "go".into());
        let output = std::process::Command::new(go)
            .env("GOTOOLCHAIN", "local")
            .arg("run")
            .arg(&program)
            .output()
            .expect("the go command (MODKEEP_GO or PATH) is needed for this test");
        let text = String::from_utf8(output.stdout).unwrap();
        let rune = |text: &str| text.parse().ok().and_then(char::from_u32);
        let mut compared = 0;
        for line in text.lines() {
            let (c, least) = line.split_once(' ').unwrap();
            let (Some(c), Some(least)) = (rune(c), rune(least)) else {
                panic!("{line}");
            };
            let agrees = fold_char(c) == least.to_ascii_lowercase();
            let excused =
                EQUAL_SINCE_15_1.contains(c) || NEW_IN_17.iter().any(|new| new.contains(&c));
            assert!(agrees || excused, "{c:?}");
            compared += 1;
        }
        assert!(
            compared > 100_000,
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
