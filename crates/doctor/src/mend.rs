//! Carrying out a fix, and finding out whether it helped.
//!
//! A [`Proposal`] shows what would be changed. [`Proposal::carry_out`] changes it, makes the request that failed once
//! more, and takes everything back unless that went better: also when it is interrupted, or dropped half-way.

use std::fmt::Write as _;
use std::future::Future;
use std::path::Path;

use fault::{Hop, Label, Lang};
use goenv::fix::{Applied, ApplyError, Plan, Step};
use goenv::redact::redact_text;
use goenv::{Environment, Shell};

use crate::diagnose::{Diagnosis, Health, Remedy, word};

/// One fix that may be carried out, with what it would write.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The cause it is for.
    pub label: Label,
    /// The fix.
    pub remedy: Remedy,
    plan: Plan,
}

/// How carrying out a fix ended.
#[derive(Debug)]
pub enum Ended {
    /// The request that failed goes better now; the change is kept.
    Helped(Box<Diagnosis>),
    /// It does not; everything is as it was.
    DidNotHelp(Box<Diagnosis>),
    /// There was no time to find out; everything is as it was.
    Interrupted,
}

impl Proposal {
    /// The safe fixes of the causes of a diagnosis, in the order they are recommended.
    pub fn of(
        diagnosis: &Diagnosis,
        environment: &Environment,
        directory: &Path,
        shell: Shell,
        lang: Lang,
    ) -> Vec<Self> {
        let mut proposals: Vec<Self> = Vec::new();
        for cause in &diagnosis.verdict.causes {
            for remedy in diagnosis.remedies(cause, shell, lang) {
                let Some(fix) = remedy.fix.as_ref().filter(|_| remedy.is_safe) else {
                    continue;
                };
                let Ok(plan) = Plan::of(fix, environment, directory) else {
                    continue;
                };
                let changes_nothing = plan.steps().iter().all(changes_nothing);
                let is_known = proposals.iter().any(|known| known.plan == plan);
                if !changes_nothing && !is_known {
                    proposals.push(Self {
                        label: cause.label(),
                        remedy,
                        plan,
                    });
                }
            }
        }
        proposals
    }

    /// What would be changed, file by file, without secrets.
    pub fn to_text(&self, lang: Lang) -> String {
        let mut text = format!("[{}] {}\n", self.label, self.remedy.text);
        for line in self.remedy.command.iter().flat_map(|text| text.lines()) {
            let _infallible = writeln!(text, "    $ {line}");
        }
        for step in self.plan.steps() {
            describe(step, &mut text);
        }
        if let Some(undo) = &self.remedy.undo {
            let _infallible = writeln!(text, "    {}: {undo}", word(lang, "heading", "undo"));
        }
        text
    }

    /// Changes what is to be changed, then diagnoses again: `again` is not polled before. `stop` ends the waiting.
    ///
    /// # Errors
    ///
    /// A file could not be written, was changed by somebody else meanwhile, or could not be put back.
    pub async fn carry_out(
        self,
        before: &Diagnosis,
        again: impl Future<Output = Diagnosis>,
        stop: impl Future<Output = ()>,
    ) -> Result<Ended, ApplyError> {
        let pending = Pending(Some(self.plan.apply()?));
        let after = tokio::select! {
            biased;
            () = stop => None,
            after = again => Some(Box::new(after)),
        };
        match after {
            None => pending.roll_back().map(|()| Ended::Interrupted),
            Some(after) if has_helped(before, &after, self.label) => {
                pending.keep().map(|()| Ended::Helped(after))
            }
            Some(after) => pending.roll_back().map(|()| Ended::DidNotHelp(after)),
        }
    }
}

impl Ended {
    /// What came of it, in a sentence.
    pub fn sentence(&self, lang: Lang) -> &'static str {
        let key = match self {
            Self::Helped(_) => "helped",
            Self::DidNotHelp(_) => "did-not-help",
            Self::Interrupted => "interrupted",
        };
        word(lang, "mend", key)
    }
}

/// Whether the request goes better than before. A setting that go cannot even read is mended when go gets as far as the
/// network, whatever waits there.
pub fn has_helped(before: &Diagnosis, after: &Diagnosis, label: Label) -> bool {
    let rank = |diagnosis: &Diagnosis| match diagnosis.verdict.health {
        Health::Healthy => 0,
        Health::Degraded => 1,
        Health::Broken => 2,
    };
    if rank(after) < rank(before) {
        return true;
    }
    let hop = |diagnosis: &Diagnosis| {
        diagnosis
            .verdict
            .causes
            .first()
            .map(super::diagnose::Cause::hop)
    };
    let is_gone = after
        .verdict
        .causes
        .iter()
        .all(|cause| cause.label() != label);
    let was_settings = matches!(label.hop(), Hop::Config | Hop::ClientEnv);
    is_gone && was_settings && rank(after) == rank(before) && hop(after) > hop(before)
}

/// Changes that are taken back unless somebody says otherwise.
struct Pending(Option<Applied>);

impl Pending {
    fn keep(mut self) -> Result<(), ApplyError> {
        self.0.take().map_or(Ok(()), Applied::keep)
    }

    fn roll_back(mut self) -> Result<(), ApplyError> {
        self.0.take().map_or(Ok(()), Applied::roll_back)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(applied) = self.0.take() {
            // Whoever dropped it cannot be told.
            let _unheard = applied.roll_back();
        }
    }
}

fn changes_nothing(step: &Step) -> bool {
    match step {
        Step::Write { before, after, .. } => before.as_ref() == Some(after),
        Step::Mode { before, after, .. } => before == after,
        Step::Remove { .. } => false,
    }
}

fn describe(step: &Step, text: &mut String) {
    let _infallible = match step {
        Step::Write {
            path,
            before,
            after,
        } => {
            let _infallible = writeln!(text, "    {}", path.display());
            let before = String::from_utf8_lossy(before.as_deref().unwrap_or_default());
            let after = String::from_utf8_lossy(after);
            let (old, new): (Vec<&str>, Vec<&str>) =
                (before.lines().collect(), after.lines().collect());
            let (old, new) = differing(&old, &new);
            for (mark, lines) in [('-', old), ('+', new)] {
                for line in lines {
                    let _infallible = writeln!(text, "      {mark} {}", redact_text(line));
                }
            }
            Ok(())
        }
        Step::Mode {
            path,
            before,
            after,
        } => writeln!(text, "    {}: {before:o} -> {after:o}", path.display()),
        Step::Remove { path, .. } => writeln!(text, "    - {}", path.display()),
    };
}

/// The lines between the common beginning and the common end.
fn differing<'a, 'b>(
    mut old: &'b [&'a str],
    mut new: &'b [&'a str],
) -> (&'b [&'a str], &'b [&'a str]) {
    while let (Some((a, old_rest)), Some((b, new_rest))) = (old.split_first(), new.split_first())
        && a == b
    {
        (old, new) = (old_rest, new_rest);
    }
    while let (Some((a, old_rest)), Some((b, new_rest))) = (old.split_last(), new.split_last())
        && a == b
    {
        (old, new) = (old_rest, new_rest);
    }
    (old, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_differ_are_shown() {
        assert_eq!(
            differing(&["a", "b", "c"], &["a", "x", "y", "c"]),
            (&["b"][..], &["x", "y"][..])
        );
        assert_eq!(differing(&[], &["x"]), (&[][..], &["x"][..]));
        assert_eq!(differing(&["a", "a"], &["a"]), (&["a"][..], &[][..]));
    }
}
