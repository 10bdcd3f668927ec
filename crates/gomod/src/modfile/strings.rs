//! Paths and versions as tokens: when they need quotes, and how they are read.

use bstr::{BString, ByteSlice as _};

use super::error::StringFault;
use crate::text::{is_print, quote, unquote};

/// True when `text` has to be quoted to be one token of a go.mod line.
pub fn must_quote(text: &str) -> bool {
    text.is_empty()
        || text.contains("//")
        || text.contains("/*")
        || text.chars().any(|c| match c {
            ' ' | '"' | '\'' | '`' => true,
            '(' | ')' | '[' | ']' | '{' | '}' | ',' => text.len() > 1,
            _ => !is_print(c),
        })
}

/// `text` as one token of a go.mod line, in quotes only if it has to be.
pub fn auto_quote(text: &str) -> String {
    if must_quote(text) {
        quote(text)
    } else {
        text.to_owned()
    }
}

/// The string that `token` stands for. The token is rewritten in its plainest form.
pub(super) fn read_string(token: &mut BString) -> Result<String, StringFault> {
    let value = if token.starts_with(b"\"") {
        unquote(token).ok_or(StringFault::Syntax)?
    } else if token.find_byteset("\"'`").is_some() {
        return Err(StringFault::BareQuote);
    } else {
        token.to_vec()
    };
    let value = String::from_utf8(value).map_err(|_| StringFault::InvalidUtf8)?;
    *token = auto_quote(&value).into();
    Ok(value)
}

/// True when `path` names a directory and not a module: it is rooted or begins with `.` or `..`, in
/// the style of any operating system.
pub fn is_directory_path(path: &str) -> bool {
    let drive = matches!(path.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    let first = path.split(['/', '\\']).next().unwrap_or(path);
    drive || first == "." || first == ".." || path.starts_with(['/', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_would_be_misread_is_quoted() {
        for plain in ["x", "a/b", "v1.2.3", "(", ",", "=>", "ü", "a/", "\\x"] {
            assert_eq!(auto_quote(plain), plain);
        }
        for (text, quoted) in [
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("a,", r#""a,""#),
            ("[]", r#""[]""#),
            ("a//b", r#""a//b""#),
            ("a/*b", r#""a/*b""#),
            ("it's", r#""it's""#),
            ("\u{a0}", r#""\u00a0""#),
            ("a\nb", r#""a\nb""#),
        ] {
            assert_eq!(auto_quote(text), quoted);
        }
    }

    #[test]
    fn directories_are_told_from_modules() {
        for directory in [
            ".", "..", "./x", "../x", r".\x", r"..\x", "/x", r"\x", "C:", r"c:\x", "z:x",
        ] {
            assert!(is_directory_path(directory), "{directory}");
        }
        for module in ["", "x", ".x", "..x", "...", "example.com/x", "1:x"] {
            assert!(!is_directory_path(module), "{module}");
        }
    }

    #[test]
    fn tokens_are_read_and_rewritten() {
        let read = |text: &[u8]| {
            let mut token = BString::from(text);
            read_string(&mut token).map(|value| (value, token.to_string()))
        };
        assert_eq!(read(b"\"x\""), Ok(("x".into(), "x".into())));
        assert_eq!(read(br#""a\u0020b""#), Ok(("a b".into(), "\"a b\"".into())));
        assert_eq!(read(b"\"x"), Err(StringFault::Syntax));
        assert_eq!(read(b"`x`"), Err(StringFault::BareQuote));
        assert_eq!(read(b"x'"), Err(StringFault::BareQuote));
        assert_eq!(read(br#""\xff""#), Err(StringFault::InvalidUtf8));
        assert_eq!(read(b"x\xff"), Err(StringFault::InvalidUtf8));
    }

    proptest! {
        #[test]
        fn a_quoted_string_is_read_back(text: String) {
            let mut token = BString::from(auto_quote(&text));
            prop_assert_eq!(read_string(&mut token), Ok(text));
        }
    }
}
