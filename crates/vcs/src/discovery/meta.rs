//! The go-import tags of a page (cmd/go/internal/vcs/discovery.go).
//!
//! Pages are HTML written by people, and read as Go reads them: tags and attributes with little regard for what is
//! legal, up to the end of the head or the start of the body.

use crate::discovery::hosts::has_path_prefix;

/// `<meta name="go-import" content="prefix system repository [subdirectory]">`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GoImport {
    pub(crate) prefix: String,
    pub(crate) system: String,
    pub(crate) repository: String,
    /// Since Go 1.25.
    pub(crate) subdir: String,
}

/// What becomes of tags whose system is `mod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModTags {
    /// They do not count.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "Go's mode without modules, of which there are test vectors"
        )
    )]
    Ignore,
    /// They come first and replace other tags of the same prefix.
    Prefer,
}

/// The go-import tags of `page` that count.
pub(crate) fn go_imports(page: &str, mod_tags: ModTags) -> Vec<GoImport> {
    let imports = tags(page);
    let (mods, others): (Vec<_>, Vec<_>) = imports.into_iter().partition(|i| i.system == "mod");
    let mut kept = match mod_tags {
        ModTags::Prefer => mods,
        ModTags::Ignore => Vec::new(),
    };
    let count = kept.len();
    for other in others {
        let replaced = kept.iter().take(count).any(|m| m.prefix == other.prefix);
        if !replaced {
            kept.push(other);
        }
    }
    kept
}

/// Why no single tag is the one for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// None matches; these prefixes do not.
    None(Vec<String>),
    Several,
}

/// The one tag for `path`. `imports` come from [`go_imports`]: `mod` tags first.
pub(crate) fn matching<'a>(imports: &'a [GoImport], path: &str) -> Result<&'a GoImport, Mismatch> {
    let mut found: Option<&GoImport> = None;
    let mut others = Vec::new();
    for import in imports {
        if !has_path_prefix(path, &import.prefix) {
            others.push(import.prefix.clone());
            continue;
        }
        match found {
            Some(first) if first.system == "mod" && import.system != "mod" => break,
            Some(_) => return Err(Mismatch::Several),
            None => found = Some(import),
        }
    }
    found.ok_or(Mismatch::None(others))
}

fn tags(page: &str) -> Vec<GoImport> {
    let mut imports = Vec::new();
    let mut scanner = Scanner { rest: page };
    while let Some(tag) = scanner.next_tag() {
        if (tag.closing && tag.is("head")) || (!tag.closing && tag.is("body")) {
            break;
        }
        if tag.closing || !tag.is("meta") || tag.attribute("name") != Some("go-import") {
            continue;
        }
        let content = tag.attribute("content").unwrap_or_default();
        let mut fields = content.split_whitespace().map(str::to_owned);
        let four = (fields.next(), fields.next(), fields.next(), fields.next());
        if let (Some(prefix), Some(system), Some(repository), subdir) = four
            && fields.next().is_none()
        {
            imports.push(GoImport {
                prefix,
                system,
                repository,
                subdir: subdir.unwrap_or_default(),
            });
        }
    }
    imports
}

struct Tag<'a> {
    closing: bool,
    name: &'a str,
    attributes: Vec<(&'a str, String)>,
}

impl Tag<'_> {
    fn is(&self, name: &str) -> bool {
        local(self.name).eq_ignore_ascii_case(name)
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| local(key).eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A name without its namespace prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn next_tag(&mut self) -> Option<Tag<'a>> {
        loop {
            self.rest = self.rest.split_once('<')?.1;
            if self.skip_around("!--", "-->")
                || self.skip_around("![CDATA[", "]]>")
                || self.skip_around("?", "?>")
            {
                continue;
            }
            if self.rest.starts_with('!') {
                self.skip_directive();
                continue;
            }
            let closing = self.eat('/');
            let name = self.name();
            if name.is_empty() {
                continue;
            }
            let attributes = self.attributes();
            return Some(Tag {
                closing,
                name,
                attributes,
            });
        }
    }

    fn skip_around(&mut self, open: &str, close: &str) -> bool {
        let Some(inside) = self.rest.strip_prefix(open) else {
            return false;
        };
        self.rest = inside.split_once(close).map_or("", |(_, behind)| behind);
        true
    }

    /// `<!DOCTYPE ...>`: quotes and nested brackets hide a `>`.
    fn skip_directive(&mut self) {
        let mut quote = None;
        let mut depth = 0_usize;
        for (at, c) in self.rest.char_indices() {
            match (quote, c) {
                (Some(open), _) if c == open => quote = None,
                (None, '"' | '\'') => quote = Some(c),
                (None, '<') => depth += 1,
                (None, '>') if depth == 0 => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return;
                }
                (None, '>') => depth -= 1,
                _ => {}
            }
        }
        self.rest = "";
    }

    fn attributes(&mut self) -> Vec<(&'a str, String)> {
        let mut attributes = Vec::new();
        loop {
            self.skip_space();
            if self.rest.is_empty() || self.eat('>') {
                return attributes;
            }
            let name = self.name();
            if name.is_empty() {
                // Not an attribute: `/` of an empty element, or garbage.
                let mut characters = self.rest.chars();
                characters.next();
                self.rest = characters.as_str();
                continue;
            }
            self.skip_space();
            let value = if self.eat('=') {
                self.skip_space();
                unescape(self.value())
            } else {
                String::new()
            };
            attributes.push((name, value));
        }
    }

    fn value(&mut self) -> &'a str {
        for quote in ['"', '\''] {
            if self.eat(quote) {
                let (value, behind) = self.rest.split_once(quote).unwrap_or((self.rest, ""));
                self.rest = behind;
                return value;
            }
        }
        self.take_until(|c: char| c.is_whitespace() || c == '>')
    }

    fn name(&mut self) -> &'a str {
        self.take_until(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '.' | '-')))
    }

    fn take_until(&mut self, end: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at(self.rest.find(end).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, c: char) -> bool {
        let eaten = self.rest.strip_prefix(c);
        self.rest = eaten.unwrap_or(self.rest);
        eaten.is_some()
    }
}

/// Resolves the entities that XML knows; others stay as they are.
fn unescape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, behind)) = rest.split_once('&') {
        text.push_str(before);
        let resolved = behind
            .split_once(';')
            .and_then(|(name, after)| Some((entity(name)?, after)));
        if let Some((c, after)) = resolved {
            text.push(c);
            rest = after;
        } else {
            text.push('&');
            rest = behind;
        }
    }
    text.push_str(rest);
    text
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefixes(page: &str) -> Vec<String> {
        go_imports(page, ModTags::Prefer)
            .into_iter()
            .map(|import| import.prefix)
            .collect()
    }

    #[test]
    fn tags_are_found_in_what_people_write() {
        for page in [
            r#"<meta name="go-import" content="a.b/c git https://x/y">"#,
            "<META NAME='go-import' CONTENT='a.b/c\n git   https://x/y' />",
            "<meta content=\"a.b/c git https://x/y\" name=go-import>",
            "<!DOCTYPE html [<!ENTITY x '>'>]><html><head><meta charset=utf-8><x:meta name=go-import content='a.b/c git &#104;ttps://x/y'>",
            "<!-- <meta name=\"go-import\" content=\"no no no\"> --><link rel=x href=/a><meta name=\"go-import\" content=\"a.b/c git https://x/y\">",
            "a < b && c <meta name=go-import content=\"a.b/c git https://x/y\"",
        ] {
            let imports = go_imports(page, ModTags::Prefer);
            assert_eq!(imports.len(), 1, "{page}");
            assert_eq!(imports[0].prefix, "a.b/c", "{page}");
            assert_eq!(imports[0].repository, "https://x/y", "{page}");
        }
    }

    #[test]
    fn tags_outside_of_the_head_or_with_wrong_fields_do_not_count() {
        for page in [
            "</head><meta name=go-import content='a b c'>",
            "<body><meta name=go-import content='a b c'>",
            "<meta name=go-import content='a b'>",
            "<meta name=go-import content='a b c d e'>",
            "<meta name=Go-Import content='a b c'>",
            "<meta name=go-source content='a b c'>",
            "<!-- <meta name=go-import content='a b c'>",
            "<![CDATA[<meta name=go-import content='a b c'>",
        ] {
            assert_eq!(prefixes(page), Vec::<String>::new(), "{page}");
        }
    }

    #[test]
    fn mod_replaces_the_same_prefix_only() {
        let page = "<meta name=go-import content='a git u'><meta name=go-import content='b git u'>\
            <meta name=go-import content='a mod v'>";
        let imports = go_imports(page, ModTags::Prefer);
        let systems: Vec<_> = imports
            .iter()
            .map(|i| (i.prefix.as_str(), i.system.as_str()))
            .collect();
        assert_eq!(systems, [("a", "mod"), ("b", "git")]);
        let ignored = go_imports(page, ModTags::Ignore);
        assert_eq!(ignored.len(), 2);
        assert!(ignored.iter().all(|i| i.system == "git"));
    }

    #[test]
    fn exactly_one_tag_must_match() {
        let tag = |prefix: &str, system: &str| GoImport {
            prefix: prefix.to_owned(),
            system: system.to_owned(),
            repository: "https://x".to_owned(),
            subdir: String::new(),
        };
        let imports = [tag("a.b/c", "mod"), tag("a.b", "git"), tag("a.b/d", "git")];
        assert_eq!(matching(&imports, "a.b/c/x").unwrap().prefix, "a.b/c");
        assert_eq!(matching(&imports, "a.b/e").unwrap().prefix, "a.b");
        assert_eq!(matching(&imports, "a.b/d/e"), Err(Mismatch::Several));
        assert!(
            matches!(matching(&imports, "a.bc"), Err(Mismatch::None(others)) if others.len() == 3)
        );
    }

    proptest! {
        #[test]
        fn no_page_panics(page in "[<>!?/='\"a&;#\\-\\[ é]{0,60}|\\PC*") {
            let _ = go_imports(&page, ModTags::Prefer);
        }

        #[test]
        fn a_cut_page_gives_no_other_tags(cut in 0_usize..120) {
            let page = "<head><meta name=go-import content=\"a.b/c git https://x/y\"></head><meta name=go-import content=\"z z z\">";
            let imports = go_imports(page.get(..cut).unwrap_or(page), ModTags::Prefer);
            prop_assert!(imports.iter().all(|i| i.prefix == "a.b/c"));
        }
    }
}
