//! What the rules say about one error block.

use fault::{Label, Side};

/// One possible cause of an error, with the place that shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) label: Label,
    /// From 0 to 1.
    pub(crate) confidence: f32,
    pub(crate) side: Side,
    /// Index of the decisive line among the client's lines (or the server's, when `side` says so).
    pub(crate) at: usize,
    /// The decisive words, in lower case.
    pub(crate) words: String,
    /// Whether the decisive line is one that a server quoted.
    pub(crate) quoted: bool,
}

/// The causes of one error, most likely first. Empty when the rule does not apply.
pub(crate) type Verdicts = Vec<Verdict>;

/// A cause shown by a line of the client.
pub(crate) fn found(label: Label, confidence: f32, at: usize, words: &str) -> Verdicts {
    vec![Verdict {
        label,
        confidence,
        side: Side::Client,
        at,
        words: words.to_owned(),
        quoted: false,
    }]
}

/// Adds to a list of causes.
pub(crate) trait Also: Sized {
    /// Another cause that the same text allows.
    #[must_use]
    fn or(self, label: Label, confidence: f32) -> Self;
    /// The answer was given by a server.
    #[must_use]
    fn by_server(self) -> Self;
    /// The decisive line is one that the server quoted.
    #[must_use]
    fn quoted(self, at: usize, words: &str) -> Self;
}

impl Also for Verdicts {
    fn or(mut self, label: Label, confidence: f32) -> Self {
        if let Some(first) = self.first().cloned()
            && self.iter().all(|verdict| verdict.label != label)
        {
            self.push(Verdict {
                label,
                confidence,
                ..first
            });
        }
        self
    }

    fn by_server(mut self) -> Self {
        for verdict in &mut self {
            verdict.side = Side::Server;
        }
        self
    }

    fn quoted(mut self, at: usize, words: &str) -> Self {
        for verdict in &mut self {
            verdict.side = Side::Server;
            verdict.quoted = true;
            verdict.at = at;
            words.clone_into(&mut verdict.words);
        }
        self
    }
}
