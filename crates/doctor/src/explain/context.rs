//! What the whole of a log says about where it comes from.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem;

use super::clean::Line;

/// Surroundings that decide between causes with the same words.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "observations that are independent of each other"
)]
pub(crate) struct Context {
    /// The log mentions Go modules or the go command.
    pub(crate) go: bool,
    /// A build sandbox that has no network on purpose.
    pub(crate) sandbox: bool,
    /// A container image build.
    pub(crate) container: bool,
    /// A preload wrapper such as proxychains.
    pub(crate) preload: bool,
    /// `HTTP_PROXY` is shown.
    pub(crate) http_proxy: bool,
    /// `HTTPS_PROXY` or `ALL_PROXY` is shown.
    pub(crate) https_proxy: bool,
    /// A GOPROXY value with `|` is shown.
    pub(crate) piped_chain: bool,
    /// A GOPROXY value of `direct` is shown.
    pub(crate) direct_only: bool,
    /// A tag was made or pushed in the same log.
    pub(crate) tagged: bool,
    /// Trouble with packet sizes is shown.
    pub(crate) mtu: bool,
    /// A login or block page is shown.
    pub(crate) portal: bool,
    /// Public roots are missing on this system.
    pub(crate) no_roots: bool,
    /// Another ecosystem's tool wrote the log.
    pub(crate) other_tool: bool,
    /// Chinese text, or hosts that are used from there.
    pub(crate) china: bool,
    /// At most a few lines: a fragment that somebody pasted.
    pub(crate) fragment: bool,
}

#[derive(Clone, Copy)]
enum Cue {
    Go,
    Sandbox,
    Container,
    Preload,
    Tagged,
    Mtu,
    Portal,
    NoRoots,
    OtherTool,
    China,
}

/// The cues, one a line: its kind, and the quoted words that show it.
const CUES: &str = include_str!("words/cues.tsv");

static FINDER: LazyLock<Option<(AhoCorasick, Vec<Cue>)>> = LazyLock::new(|| {
    let rows = CUES.lines().filter_map(|row| row.split_once('\t'));
    let (cues, words): (Vec<Cue>, Vec<&str>) = rows
        .filter_map(|(cue, words)| Some((Cue::named(cue)?, words.trim_matches('"'))))
        .unzip();
    let finder = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .build(words)
        .ok()?;
    Some((finder, cues))
});

impl Cue {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "Go" => Self::Go,
            "Sandbox" => Self::Sandbox,
            "Container" => Self::Container,
            "Preload" => Self::Preload,
            "Tagged" => Self::Tagged,
            "Mtu" => Self::Mtu,
            "Portal" => Self::Portal,
            "NoRoots" => Self::NoRoots,
            "OtherTool" => Self::OtherTool,
            "China" => Self::China,
            _ => return None,
        })
    }
}

impl Context {
    /// What the words of the text say.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut context = Self::default();
        if let Some((finder, cues)) = LazyLock::force(&FINDER) {
            let hits = finder.find_iter(text);
            for cue in hits.filter_map(|hit| cues.get(hit.pattern().as_usize())) {
                *context.flag(*cue) = true;
            }
        }
        context.go |= text.starts_with(b"go: ") || memmem::find(text, b"\ngo: ").is_some();
        let lines = text
            .split(|b| *b == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .take(9)
            .count();
        context.fragment = lines <= 8 && !context.other_tool;
        context
    }

    fn flag(&mut self, cue: Cue) -> &mut bool {
        match cue {
            Cue::Go => &mut self.go,
            Cue::Sandbox => &mut self.sandbox,
            Cue::Container => &mut self.container,
            Cue::Preload => &mut self.preload,
            Cue::Tagged => &mut self.tagged,
            Cue::Mtu => &mut self.mtu,
            Cue::Portal => &mut self.portal,
            Cue::NoRoots => &mut self.no_roots,
            Cue::OtherTool => &mut self.other_tool,
            Cue::China => &mut self.china,
        }
    }

    /// What one line of interest adds.
    pub(crate) fn learn(&mut self, line: &Line) {
        let text = &line.lower;
        let set = |name: &str| {
            text.match_indices(name).any(|(at, _)| {
                let word_start = at == 0
                    || text
                        .as_bytes()
                        .get(at - 1)
                        .is_some_and(|b| !b.is_ascii_alphanumeric() && *b != b'_');
                let value = text
                    .get(at + name.len()..)
                    .unwrap_or_default()
                    .trim_start_matches(['"', '\'']);
                word_start && value.starts_with(|c: char| c.is_ascii_alphanumeric())
            })
        };
        self.go |= text.starts_with("go: ");
        self.http_proxy |= set("http_proxy=");
        self.https_proxy |= set("https_proxy=") || set("all_proxy=");
        for value in text.split("goproxy=").skip(1) {
            let value = value.trim_start_matches(['"', '\'']);
            let value = value
                .split(['"', '\'', ' ', ';'])
                .next()
                .unwrap_or_default();
            self.piped_chain |= value.contains("|direct");
            self.direct_only |= value == "direct";
        }
    }
}

/// A line of `-x` tracing: what was done, as opposed to what failed.
pub(crate) fn is_trace(lower: &str) -> bool {
    lower.starts_with("# get ")
        || lower.starts_with("# ")
        || lower.starts_with("mkdir -p ")
        || lower.starts_with("cd ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::clean;

    #[test]
    fn every_cue_is_known() {
        for row in CUES.lines() {
            let (cue, words) = row.split_once('\t').unwrap();
            assert!(
                Cue::named(cue).is_some() && words.starts_with('"') && words.ends_with('"'),
                "{row}"
            );
        }
    }

    #[test]
    fn proxy_variables_count_only_when_set() {
        let mut context = Context::default();
        for line in clean::clean(
            1,
            b"HTTP_PROXY=http://p:3128 NO_HTTPS_PROXY=x https_proxy=\"\"",
        ) {
            context.learn(&line);
        }
        assert!(context.http_proxy && !context.https_proxy);
    }

    #[test]
    fn a_chain_with_a_pipe_is_noticed() {
        let mut context = Context::default();
        for line in clean::clean(1, b"GOPROXY=\"https://goproxy.cn|direct\"") {
            context.learn(&line);
        }
        assert!(context.piped_chain && !context.direct_only);
    }
}
