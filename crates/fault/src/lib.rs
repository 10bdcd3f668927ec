//! What can go wrong between the `go` command and a module, by hop.
//!
//! The errors of the engines, the diagnosis and the answers of the server all speak the same [`Label`]s, so that one
//! cause has one name wherever it is met. Labels are plain values and cost nothing; what people read about them
//! ([`Advice`]: cause, fix, what not to do) is kept apart and read on first use only. A [`Rule`] names what can be
//! found by reading settings and files, before any request fails; each leads to one label.

mod advice;
pub mod handbook;
mod hop;
mod label;
mod lang;
mod never;
mod party;
mod phrase;
mod rule;
mod rule_text;
mod severity;
mod template;

pub use advice::{Advice, Fix, Probe, Risk};
pub use hop::Hop;
pub use label::Label;
pub use lang::Lang;
pub use never::{Forbidden, forbidden_remedies};
pub use party::{Party, Side};
pub use phrase::Phrase;
pub use rule::Rule;
pub use rule_text::{RULE_FACTS, RuleTexts, fill};
pub use severity::Severity;
pub use template::Subjects;

/// A name that is no label, hop or language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not one of [`Label::ALL`].
    #[error("unknown fault label {0:?}")]
    Label(String),
    /// Not one of [`Rule::ALL`].
    #[error("unknown rule {0:?}")]
    Rule(String),
    /// Not one of [`Hop::ALL`].
    #[error("unknown hop {0:?}")]
    Hop(String),
    /// Not one of [`Lang::ALL`].
    #[error("unknown language {0:?} (en and zh exist)")]
    Lang(String),
}
