//! One error block as structure: what the client said, what a server said, and the network facts in each.

use super::clean::Line;
use super::context::{self, Context};
use super::net::{Failure, Lookup, Socket, bare_phrase, status_after};
use super::scan::Block;
use super::url::{Purpose, Url};

/// A status that a request ended with.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) code: u16,
    pub(crate) url: Url,
    pub(crate) at: usize,
    /// The bare phrase of an HTTP proxy's answer to CONNECT, not the answer of the server.
    pub(crate) bare: bool,
}

/// The lines of one speaker, with what they state.
#[derive(Debug, Default)]
pub(crate) struct Part<'a> {
    pub(crate) lines: Vec<&'a Line>,
    pub(crate) urls: Vec<(usize, Url)>,
    pub(crate) lookups: Vec<(usize, Lookup)>,
    pub(crate) sockets: Vec<(usize, Socket)>,
    pub(crate) statuses: Vec<Status>,
    /// Offset at which this speaker begins in the first line.
    from: usize,
    /// Offset at which this speaker ends in the last line.
    until: Option<usize>,
}

impl<'a> Part<'a> {
    fn new(lines: Vec<&'a Line>, from: usize, until: Option<usize>) -> Self {
        let mut part = Self {
            lines,
            from,
            until,
            ..Self::default()
        };
        for at in 0..part.lines.len() {
            let text = part.text(at);
            part.lookups.extend(
                Lookup::find_all(text)
                    .into_iter()
                    .map(|lookup| (at, lookup)),
            );
            part.sockets.extend(
                Socket::find_all(text)
                    .into_iter()
                    .map(|socket| (at, socket)),
            );
            for (url, after) in Url::find_all(text) {
                let plain = status_after(after).map(|code| (code, false));
                if let Some((code, bare)) =
                    plain.or_else(|| bare_phrase(after).map(|code| (code, true)))
                {
                    part.statuses.push(Status {
                        code,
                        url: url.clone(),
                        at,
                        bare,
                    });
                }
                part.urls.push((at, url));
            }
        }
        part
    }

    fn text(&self, at: usize) -> &'a str {
        let Some(line) = self.lines.get(at) else {
            return "";
        };
        if context::is_trace(&line.lower) {
            return "";
        }
        let from = if at == 0 { self.from } else { 0 };
        let until = self
            .until
            .filter(|_| at + 1 == self.lines.len())
            .unwrap_or(line.lower.len());
        line.lower.get(from..until).unwrap_or_default()
    }

    /// The first line that contains the words.
    pub(crate) fn line_with(&self, words: &str) -> Option<usize> {
        (0..self.lines.len()).find(|at| self.text(*at).contains(words))
    }

    /// The first line that contains any of the words, and those words.
    pub(crate) fn any(&self, words: &[&'static str]) -> Option<(usize, &'static str)> {
        words
            .iter()
            .find_map(|word| self.line_with(word).map(|at| (at, *word)))
    }

    pub(crate) fn has(&self, words: &str) -> bool {
        self.line_with(words).is_some()
    }

    pub(crate) fn has_any(&self, words: &[&'static str]) -> bool {
        self.any(words).is_some()
    }

    /// The text behind the first occurrence of the words, to the end of that line.
    pub(crate) fn after(&self, words: &str) -> Option<&'a str> {
        (0..self.lines.len()).find_map(|at| self.text(at).split_once(words).map(|(_, after)| after))
    }

    pub(crate) fn lower(&self) -> impl Iterator<Item = &'a str> + '_ {
        (0..self.lines.len()).map(|at| self.text(at))
    }

    /// The URL with the given purpose, preferring one that has the given position.
    pub(crate) fn url_for(&self, purpose: Purpose) -> Option<&Url> {
        self.urls
            .iter()
            .map(|(_, url)| url)
            .find(|url| url.purpose == purpose)
    }
}

/// One error block, ready to be judged.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) client: Part<'a>,
    /// What a module proxy or checksum database said in its answer.
    pub(crate) server: Part<'a>,
    pub(crate) log: &'a Context,
}

const SERVER: &str = "server response:";

impl<'a> Case<'a> {
    pub(crate) fn new(block: &'a Block, log: &'a Context) -> Self {
        let lines: Vec<&Line> = block.lines.iter().collect();
        let quoted = lines.iter().position(|line| line.lower.contains(SERVER));
        let Some(quoted) = quoted else {
            return Self {
                client: Part::new(lines, 0, None),
                server: Part::default(),
                log,
            };
        };
        let offset = lines
            .get(quoted)
            .and_then(|line| line.lower.find(SERVER))
            .unwrap_or_default();
        let (client, server) = (lines.get(..=quoted), lines.get(quoted..));
        Self {
            client: Part::new(client.unwrap_or_default().to_vec(), 0, Some(offset)),
            server: Part::new(
                server.unwrap_or_default().to_vec(),
                offset + SERVER.len(),
                None,
            ),
            log,
        }
    }

    /// The first failed name look-up, client side.
    pub(crate) fn lookup(&self) -> Option<&(usize, Lookup)> {
        self.client
            .lookups
            .iter()
            .find(|(_, lookup)| lookup.failure != Failure::Unknown || lookup.resolver.is_some())
    }

    /// The URL the error is about: the last one named before the cause.
    pub(crate) fn url(&self) -> Option<&Url> {
        let purposes = [
            Purpose::Sumdb,
            Purpose::Toolchain,
            Purpose::Goproxy,
            Purpose::Storage,
            Purpose::Discovery,
        ];
        purposes
            .iter()
            .find_map(|purpose| self.client.url_for(*purpose))
            .or_else(|| self.client.urls.first().map(|(_, url)| url))
    }

    /// The module path that the error is about.
    pub(crate) fn module(&self) -> Option<String> {
        let from_url = self
            .client
            .urls
            .iter()
            .filter(|(_, url)| url.purpose != Purpose::Other)
            .find_map(|(_, url)| url.module.clone());
        from_url.or_else(|| self.module_word().map(|(module, _)| module))
    }

    /// The version that the error is about.
    pub(crate) fn version(&self) -> Option<String> {
        let from_url = self
            .client
            .urls
            .iter()
            .find_map(|(_, url)| url.version.clone());
        from_url.or_else(|| self.module_word().and_then(|(_, version)| version))
    }

    /// `module@version` or `module:` in the words of go.
    fn module_word(&self) -> Option<(String, Option<String>)> {
        let words = self
            .client
            .lines
            .iter()
            .flat_map(|line| line.text.split([' ', '\t', '"', '\'', ',', '(', ')']));
        words.filter(|word| !word.contains("://")).find_map(|word| {
            let word = word.trim_end_matches([':', ';', '.']);
            let (path, version) = word
                .split_once('@')
                .map_or((word, None), |(path, version)| (path, Some(version)));
            let host = path.split('/').next()?;
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
            let module = host.contains('.')
                && path.contains('/')
                && !host.starts_with('.')
                && !path.ends_with('/')
                && path.chars().all(plain)
                && !host.ends_with('.')
                && host.parse::<std::net::IpAddr>().is_err()
                && !is_go_file(path);
            module.then(|| {
                (
                    path.to_owned(),
                    version.map(|version| version.trim_end_matches(':').to_owned()),
                )
            })
        })
    }
}

/// Whether a path is that of a source or module file.
fn is_go_file(path: &str) -> bool {
    let extension = path.rsplit('.').next().unwrap_or_default();
    matches!(extension, "go" | "mod" | "sum" | "work")
}
