//! The case-safe spelling of module paths and versions in URLs and file names: each upper-case
//! letter becomes `!` and its lower-case form (x/mod `EscapePath`, `UnescapePath`).

use std::fmt;

/// A module path in escaped form, as it stands in URLs and in the module cache.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EscapedPath(String);

/// A version or revision in escaped form, as it stands in URLs and in the module cache.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EscapedVersion(String);

macro_rules! escaped_text {
    ($name:ident) => {
        impl $name {
            /// Escapes text that was checked to be ASCII without `!`.
            pub(crate) fn of(text: &str) -> Self {
                Self(escape(text))
            }

            /// The escaped text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<std::path::Path> for $name {
            fn as_ref(&self) -> &std::path::Path {
                self.0.as_ref()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

escaped_text!(EscapedPath);
escaped_text!(EscapedVersion);

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(c.to_ascii_lowercase());
    }
    escaped
}

/// Undoes [`escape`]; `None` when `escaped` cannot have come from it.
pub(crate) fn unescape(escaped: &str) -> Option<String> {
    let mut text = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        match c {
            '!' => text.push(
                chars
                    .next()
                    .filter(char::is_ascii_lowercase)?
                    .to_ascii_uppercase(),
            ),
            'A'..='Z' => return None,
            _ if c.is_ascii() => text.push(c),
            _ => return None,
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn upper_case_letters_are_marked() {
        assert_eq!(escape("github.com/Azure/aZ"), "github.com/!azure/a!z");
        assert_eq!(
            unescape("github.com/!azure/a!z").as_deref(),
            Some("github.com/Azure/aZ")
        );
    }

    #[test]
    fn only_escaped_text_is_unescaped() {
        for bad in ["A", "!", "a!", "!!a", "!A", "!0", "!_", "é"] {
            assert_eq!(unescape(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn escaping_round_trips_and_is_caseless(text in "[ -~&&[^!]]*") {
            let escaped = escape(&text);
            prop_assert!(!escaped.bytes().any(|b| b.is_ascii_uppercase()));
            prop_assert_eq!(unescape(&escaped), Some(text));
        }

        #[test]
        fn unescaping_round_trips(escaped in "[a-z!A-Z./é-]{0,12}") {
            if let Some(text) = unescape(&escaped) {
                prop_assert_eq!(escape(&text), escaped);
            }
        }
    }
}
