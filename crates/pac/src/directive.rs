//! What a file answers.

use std::fmt;

use url::Url;

/// One element of what such a file answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Straight to the host.
    Direct,
    /// Through a proxy, as a URL that `HTTPS_PROXY` takes.
    Proxy(String),
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("DIRECT"),
            Self::Proxy(url) => f.write_str(url),
        }
    }
}

/// Reads `PROXY a:1; SOCKS b:2; DIRECT`. What nobody knows is passed over.
pub fn directives(answer: &str) -> Vec<Directive> {
    let elements = answer.split(';').map(str::trim);
    let read = |element: &str| {
        let (kind, address) = element
            .split_once(char::is_whitespace)
            .unwrap_or((element, ""));
        let scheme = match kind.to_ascii_uppercase().as_str() {
            "DIRECT" => return Some(Directive::Direct),
            "PROXY" | "HTTP" => "http",
            "HTTPS" => "https",
            "SOCKS" | "SOCKS4" | "SOCKS5" => "socks5",
            _ => return None,
        };
        let url = format!("{scheme}://{}", address.trim());
        let has_host = Url::parse(&url).is_ok_and(|url| url.host_str().is_some());
        has_host.then_some(Directive::Proxy(url))
    };
    elements.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whatever_their_spelling() {
        let proxy = |url: &str| Directive::Proxy(url.to_owned());
        assert_eq!(
            directives("PROXY a:1;proxy  b:2 ; HTTPS c; SOCKS5 d:3;direct; NONSENSE x; PROXY"),
            [
                proxy("http://a:1"),
                proxy("http://b:2"),
                proxy("https://c"),
                proxy("socks5://d:3"),
                Directive::Direct
            ]
        );
        assert!(directives("").is_empty());
    }
}
