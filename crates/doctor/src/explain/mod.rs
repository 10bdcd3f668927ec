//! From a pasted log to ranked causes.
//!
//! The text is cleaned of what CI systems and editors add (`clean`), lines that may tell of a fault are found and
//! grouped to errors (`scan`), each error is read as structure (URLs, look-ups, sockets, statuses, and who said it:
//! `case`), the `rules` name its causes from the innermost outwards, and the `answer` puts the errors of the log in
//! the order of the request path.

mod answer;
mod case;
mod clean;
mod context;
mod families;
mod foreign;
mod json;
mod net;
mod origin;
mod prefix;
mod redact;
mod rules;
mod scan;
mod url;
mod verdict;
mod wrapped;

use fault::{Hop, Label, Lang, Party, Risk, Side, Subjects};

use answer::Collector;
use case::Case;

/// A text without passwords and tokens.
pub(crate) fn redacted(text: &str) -> String {
    redact::redact(text)
}

/// How to explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Language of summaries, fixes and warnings.
    pub lang: Lang,
    /// Most causes to name.
    pub limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lang: Lang::En,
            limit: 6,
        }
    }
}

/// What a log says.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Possible causes, most likely first; distinct problems of one log are in the order of the request path.
    pub causes: Vec<Cause>,
    /// Whether a module download fault was found at all.
    pub recognised: bool,
    /// Hops that the words of an unrecognised text come closest to, nearest first.
    pub nearest: Vec<Hop>,
}

/// One possible cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// What went wrong.
    pub label: Label,
    /// Where on the request path.
    pub hop: Hop,
    /// Who can repair it.
    pub party: Party,
    /// From 0 to 1.
    pub confidence: f32,
    /// On whose machine it happened.
    pub side: Side,
    /// The lines that show it.
    pub evidence: Vec<Evidence>,
    /// Root cause in one or two sentences.
    pub summary: String,
    /// What to do; the first is the recommended one.
    pub fixes: Vec<Remedy>,
    /// What not to do.
    pub avoid: Vec<String>,
    /// What separates this cause from the next.
    pub probe: Remedy,
    /// Module, host, address, resolver, URL and path that it is about.
    pub subjects: Subjects,
}

/// A line of the log that shows a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Line of the input, from 1.
    pub line: usize,
    /// The line without CI prefixes, colours and secrets, cut when very long.
    pub text: String,
    /// The decisive words, as a byte range of `text`.
    pub span: Option<(usize, usize)>,
}

/// Something to do: words, and a command where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What to do, or how to read the outcome.
    pub text: String,
    /// POSIX shell command; words in capitals are to be filled in.
    pub command: Option<String>,
    /// What it may change.
    pub risk: Risk,
}

/// Explains a log: any bytes are fine, also binary ones.
pub fn explain(text: impl AsRef<[u8]>, options: &Options) -> Explanation {
    let text = text.as_ref();
    let said = read(text, options);
    let Some(joined) = wrapped::joined(text) else {
        return said;
    };
    let whole = read(joined.text.as_bytes(), options);
    let sure = |said: &Explanation| said.causes.first().map_or(0.0, |cause| cause.confidence);
    if joined.sure || sure(&whole) > sure(&said) {
        whole
    } else {
        said
    }
}

fn read(text: &[u8], options: &Options) -> Explanation {
    let log = scan::scan(text);
    let mut collector = Collector::default();
    for block in &log.blocks {
        let case = Case::new(block, &log.context);
        collector.add(&case, &rules::judge(&case));
    }
    let causes = collector.causes(options);
    let recognised = causes.first().is_some_and(|cause| cause.confidence >= 0.45);
    let nearest = if recognised {
        Vec::new()
    } else {
        families::nearest(&log)
    };
    Explanation {
        causes: if recognised { causes } else { Vec::new() },
        recognised,
        nearest,
    }
}
