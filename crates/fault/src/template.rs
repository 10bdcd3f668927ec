//! Putting the facts of a case into the texts and commands of an [`Advice`](crate::Advice).
//!
//! The facts come from pasted logs, so they are data from outside: whatever goes into a command is quoted, or left out
//! when quoting cannot make it harmless.

use crate::Lang;

/// What a case is about; each part is known or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects {
    /// Module path.
    pub module: Option<String>,
    /// Version or revision asked for.
    pub version: Option<String>,
    /// Host name the request went to.
    pub host: Option<String>,
    /// `address:port` that was dialled.
    pub address: Option<String>,
    /// `address:port` of the resolver that was asked.
    pub resolver: Option<String>,
    /// URL of the failed request.
    pub url: Option<String>,
    /// Local file or directory.
    pub path: Option<String>,
    /// Module path that a go.mod declares in place of the one required.
    pub declared: Option<String>,
}

/// The names that templates may use in braces, and what stands in a command when the value is not known.
const PLACEHOLDERS: [(&str, &str); 17] = [
    ("module", "MODULE"),
    ("module_escaped", "MODULE"),
    ("version", "VERSION"),
    ("host", "HOST"),
    ("host_path", "HOST/PATH"),
    ("repo", "HOST/OWNER/REPOSITORY"),
    ("prefix", "PREFIX"),
    ("address", "ADDRESS:PORT"),
    ("address_host", "ADDRESS"),
    ("port", "PORT"),
    ("resolver", "RESOLVER:53"),
    ("resolver_host", "RESOLVER"),
    ("url", "URL"),
    ("path", "PATH"),
    ("declared", "DECLARED_PATH"),
    ("fork", "FORK"),
    ("proxy", "PROXY"),
];

impl Subjects {
    /// Fills a template for reading. What is not known becomes a general word of the language.
    pub fn fill_text(&self, template: &str, lang: Lang) -> String {
        let mut out = String::with_capacity(template.len() + 32);
        let mut rest = template;
        while let Some((before, name, after)) = next_placeholder(rest) {
            out.push_str(before);
            rest = after;
            if let Some(value) = self.value(name) {
                out.push_str(&value);
                continue;
            }
            if let Some(stripped) = drop_parentheses(&mut out, rest) {
                rest = stripped;
                continue;
            }
            let word = general_word(name, lang);
            if word.is_empty() || lang == Lang::Zh {
                out.truncate(out.trim_end_matches(' ').len());
            }
            if lang == Lang::Zh {
                rest = rest.trim_start_matches(' ');
            }
            push_capitalised_at_start(&mut out, word);
        }
        out.push_str(rest);
        out
    }

    /// Fills a template of a POSIX shell command so that no value can change what the command does. What is not known,
    /// or cannot be quoted, stays a word in capitals.
    pub fn fill_command(&self, template: &str) -> String {
        let mut out = String::with_capacity(template.len() + 32);
        let mut quote = None;
        let mut rest = template;
        while let Some((before, name, after)) = next_placeholder(rest) {
            out.push_str(before);
            rest = after;
            quote = before.chars().fold(quote, quote_after);
            match self.value(name).and_then(|value| shell_word(&value, quote)) {
                Some(word) => out.push_str(&word),
                None => out.push_str(stand_in(name)),
            }
        }
        out.push_str(rest);
        out
    }

    fn value(&self, name: &str) -> Option<String> {
        let value = match name {
            "module" => self.module.clone(),
            "module_escaped" => self.module.as_deref().map(escape_module),
            "version" => self.version.clone(),
            "host" => self.host.clone(),
            "host_path" | "repo" => self.repository(),
            "prefix" => self.private_prefix(),
            "address" => self.address.clone(),
            "address_host" => self
                .address
                .as_deref()
                .map(|address| split_port(address).0.to_owned()),
            "port" => self
                .address
                .as_deref()
                .and_then(|address| split_port(address).1)
                .map(str::to_owned),
            "resolver" => self.resolver.clone(),
            "resolver_host" => self
                .resolver
                .as_deref()
                .map(|address| split_port(address).0.to_owned()),
            "url" => self.url.clone(),
            "path" => self.path.clone(),
            "declared" => self.declared.clone(),
            _ => None,
        };
        value.filter(|value| !value.is_empty())
    }

    /// The GOPRIVATE pattern that covers the module: the owner on a shared forge, the whole host elsewhere.
    pub fn private_prefix(&self) -> Option<String> {
        let module = self.module.as_deref().or(self.host.as_deref())?;
        let mut elements = module.split('/');
        let host = elements.next().filter(|host| host.contains('.'))?;
        let shared = [
            "github.com",
            "gitlab.com",
            "bitbucket.org",
            "gitee.com",
            "codeberg.org",
            "git.sr.ht",
        ];
        match elements.next() {
            Some(owner) if shared.contains(&host) => Some(format!("{host}/{owner}")),
            None if shared.contains(&host) => None,
            _ => Some(host.to_owned()),
        }
    }

    fn repository(&self) -> Option<String> {
        if let Some(module) = &self.module {
            let depth = module.split('/').take(3).collect::<Vec<_>>();
            if depth.len() == 3 {
                return Some(depth.join("/"));
            }
        }
        let path = self.url.as_deref()?.split_once("://")?.1;
        Some(
            path.split(['?', '#'])
                .next()
                .unwrap_or(path)
                .trim_end_matches('/')
                .to_owned(),
        )
    }
}

/// The text up to the next known `{name}`, the name, and the text after it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('{')?;
        let inside = text.get(open + 1..)?;
        if let Some((name, after)) = inside.split_once('}')
            && is_placeholder(name)
        {
            return Some((text.get(..open)?, name, after));
        }
        from = open + 1;
    }
}

pub(crate) fn is_placeholder(name: &str) -> bool {
    PLACEHOLDERS.iter().any(|(known, _)| *known == name)
}

/// All `{word}` in a text, known or not.
#[cfg(test)]
pub(crate) fn words_in_braces(text: &str) -> Vec<&str> {
    let identifier =
        |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    text.split('{')
        .skip(1)
        .filter_map(|part| part.split_once('}'))
        .map(|(word, _)| word)
        .filter(identifier)
        .collect()
}

fn stand_in(name: &str) -> &'static str {
    PLACEHOLDERS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("", |(_, word)| word)
}

fn general_word(name: &str, lang: Lang) -> &'static str {
    match (name, lang) {
        ("module", Lang::En) => "the module",
        ("module", Lang::Zh) => "该模块",
        ("host", Lang::En) => "the host",
        ("host", Lang::Zh) => "该主机",
        ("address", Lang::En) => "the destination",
        ("address", Lang::Zh) => "目的地址",
        ("path", Lang::En) => "the directory",
        ("path", Lang::Zh) => "该目录",
        ("version" | "resolver", _) => "",
        _ => stand_in(name),
    }
}

/// Removes the parentheses around an unknown value, with the blank before them; gives the rest behind them.
fn drop_parentheses<'a>(out: &mut String, rest: &'a str) -> Option<&'a str> {
    let (open, close) = if out.ends_with('(') {
        ('(', ')')
    } else {
        ('（', '）')
    };
    let stripped = rest.strip_prefix(close)?;
    let kept = out.strip_suffix(open)?.trim_end_matches(' ').len();
    out.truncate(kept);
    Some(stripped)
}

fn push_capitalised_at_start(out: &mut String, word: &str) {
    let mut chars = word.chars();
    match chars.next() {
        Some(first) if out.is_empty() => {
            out.extend(first.to_uppercase());
            out.push_str(chars.as_str());
        }
        _ => out.push_str(word),
    }
}

fn quote_after(quote: Option<char>, c: char) -> Option<char> {
    match (quote, c) {
        (None, '\'' | '"') => Some(c),
        (Some(open), close) if open == close => None,
        (open, _) => open,
    }
}

/// The value as it may stand at this place of a shell command, or `None` when nothing makes it harmless.
fn shell_word(value: &str, quote: Option<char>) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._:/@%+,=-".contains(&b);
    let printable = value.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if value.starts_with('-') || value.len() > 2000 {
        return None;
    }
    match quote {
        _ if value.bytes().all(plain) => Some(value.to_owned()),
        None if printable && !value.contains('\'') => Some(format!("'{value}'")),
        Some('\'') if printable && !value.contains('\'') => Some(value.to_owned()),
        _ => None,
    }
}

/// Host and port of `host:port`, `[v6]:port` or a bare address.
fn split_port(address: &str) -> (&str, Option<&str>) {
    if let Some((host, port)) = address
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return (host, port.strip_prefix(':'));
    }
    match address.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (address, None),
    }
}

/// A module path as it stands in URLs and the cache: each capital becomes `!` and the small letter.
fn escape_module(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 4);
    for c in path.chars() {
        if c.is_ascii_uppercase() {
            out.push('!');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects() -> Subjects {
        Subjects {
            module: Some("github.com/BurntSushi/toml".to_owned()),
            host: Some("proxy.golang.org".to_owned()),
            resolver: Some("[fec0::1]:53".to_owned()),
            address: Some("203.0.113.7:443".to_owned()),
            ..Subjects::default()
        }
    }

    #[test]
    fn known_facts_are_filled_in() {
        let s = subjects();
        assert_eq!(
            s.fill_command("dig @{resolver_host} {host}"),
            "dig @fec0::1 proxy.golang.org"
        );
        assert_eq!(
            s.fill_command("nc -vz {address_host} {port}"),
            "nc -vz 203.0.113.7 443"
        );
        assert_eq!(
            s.fill_command("x/{module_escaped}"),
            "x/'github.com/!burnt!sushi/toml'"
        );
        assert_eq!(
            s.fill_command("GOPRIVATE={prefix}"),
            "GOPRIVATE=github.com/BurntSushi"
        );
    }

    #[test]
    fn what_is_not_known_stays_a_word_in_capitals_or_a_general_word() {
        let none = Subjects::default();
        assert_eq!(
            none.fill_command("go get {module}@{version}"),
            "go get MODULE@VERSION"
        );
        assert_eq!(
            none.fill_text("{host} answers {version} late", Lang::En),
            "The host answers late"
        );
        assert_eq!(
            none.fill_text("a private module ({module}) was sent", Lang::En),
            "a private module was sent"
        );
        assert_eq!(
            none.fill_text("到 {host} 的端口", Lang::Zh),
            "到该主机的端口"
        );
        assert_eq!(none.fill_text("解析器 {resolver}，", Lang::Zh), "解析器，");
    }

    #[test]
    fn braces_of_other_tools_are_left_alone() {
        let template = "curl -w '%{http_code}' {url} -f '{{.Version}}'";
        assert_eq!(
            Subjects::default().fill_command(template),
            "curl -w '%{http_code}' URL -f '{{.Version}}'"
        );
    }

    #[test]
    fn a_value_cannot_break_out_of_the_command() {
        for bad in [
            "a;rm -rf ~",
            "$(id)",
            "`id`",
            "a b",
            "-oProxyCommand=x",
            "a'b",
            "a\nb",
            "x\"y",
        ] {
            let s = Subjects {
                host: Some(bad.to_owned()),
                ..Subjects::default()
            };
            let command = s.fill_command("dig {host}; ls \"{host}\"");
            let quoted = format!("'{bad}'");
            let first = if bad.contains(['\'', '\n']) || bad.starts_with('-') {
                "HOST"
            } else {
                &quoted
            };
            assert_eq!(command, format!("dig {first}; ls \"HOST\""), "{bad:?}");
        }
    }

    #[test]
    fn the_private_prefix_is_the_owner_on_a_shared_forge_and_the_host_elsewhere() {
        for (module, prefix) in [
            ("github.com/acme/tool/v2", Some("github.com/acme")),
            ("git.corp.example.com/team/x", Some("git.corp.example.com")),
            ("github.com", None),
            ("internal/x", None),
        ] {
            let s = Subjects {
                module: Some(module.to_owned()),
                ..Subjects::default()
            };
            assert_eq!(s.private_prefix().as_deref(), prefix, "{module}");
        }
    }
}
