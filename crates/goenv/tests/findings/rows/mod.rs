//! Rows of requirements part 1.1 and further mistakes: what is done, and the rule that names it.

mod chain;
mod layers;
mod modes;
mod private;
mod proxies;
mod tools;

use fault::Rule;

/// What is done in words, the rule that names it, and the steps of `world`.
pub(crate) type Row = (&'static str, Rule, &'static [&'static str]);

/// All of them, by subject.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    [
        chain::ROWS,
        layers::ROWS,
        private::ROWS,
        modes::ROWS,
        proxies::ROWS,
        tools::ROWS,
    ]
    .into_iter()
    .flatten()
}
