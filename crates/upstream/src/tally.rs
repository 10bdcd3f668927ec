//! What the upstreams of a chain said, and what follows from it.

use crate::http::NoAnswer;
use crate::{Absence, Failure};

/// What the upstreams of a chain said as long as none had an answer.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) absence: Option<Absence>,
    pub(crate) failures: Vec<Failure>,
    /// Of those who cannot know more than who asks.
    pub(crate) circles: Vec<Failure>,
    pub(crate) is_settled: bool,
}

impl Tally {
    /// What one upstream says. `is_authority`: its "not found" is believed whatever the others do.
    pub(crate) fn add(&mut self, no_answer: NoAnswer, is_authority: bool) {
        match no_answer {
            NoAnswer::Absent(absence) => {
                if is_authority {
                    self.is_settled = true;
                    self.absence = Some(absence);
                } else {
                    self.absence.get_or_insert(absence);
                }
            }
            NoAnswer::Failed(failure) => self.failures.push(failure),
            NoAnswer::Circle(failure) => self.circles.push(failure),
            NoAnswer::NotServed => {}
        }
    }

    /// The word that there is no such thing, if nobody who could know was out of reach.
    pub(crate) fn absence(self) -> Result<Absence, Vec<Failure>> {
        match self.absence {
            Some(absence) if self.failures.is_empty() || self.is_settled => Ok(absence),
            _ => Err(self.failures),
        }
    }
}
