//! Checking a whole log from outside: every record, every tile, and that together they are what the database signed.
//!
//! A client only checks what it happens to ask for. An audit finds what no client would notice in time: two records for
//! one module version, tiles that disagree with the records, records that are not lines of hashes.

mod progress;
mod report;

pub use report::{Finding, Report};

use crate::client::{
    Answer, Client, LATEST_PATH, Operation, Request, Session, SignedHead, Step, Stop, Timeline,
};
use crate::error::Error;
use progress::Progress;

/// The operation of auditing a log. It reads everything from the server and nothing from the cache. Memory grows by
/// some 40 bytes for each record.
pub struct Audit<'c> {
    session: Session<'c>,
    offered: Option<SignedHead>,
    progress: Option<Progress>,
    done: Option<Report>,
}

impl<'c> Audit<'c> {
    /// An audit of the client's database.
    pub fn new(client: &'c Client) -> Self {
        Self {
            session: Session::new(client),
            offered: None,
            progress: None,
            done: None,
        }
    }

    /// How many records are checked so far, and how many there are to check. `None` before the newest head is known.
    pub fn progress(&self) -> Option<(u64, u64)> {
        self.progress.as_ref().map(Progress::counts)
    }

    fn advance(&mut self) -> Result<Report, Stop> {
        if let Some(report) = &self.done {
            return Ok(report.clone());
        }
        let mut progress = match self.progress.take() {
            Some(progress) => progress,
            None => Progress::new(self.begin()?),
        };
        let outcome = progress.advance(&mut self.session);
        self.progress = Some(progress);
        outcome
    }

    /// Proves the newest head to belong to the history known.
    fn begin(&mut self) -> Result<Report, Stop> {
        let known = self.session.latest()?.tree().size();
        let offered = match self.offered.clone() {
            Some(offered) => offered,
            None => self.read_head()?,
        };
        self.offered = Some(offered.clone());
        let timeline = self.session.merge(&offered)?;
        self.session.keep()?;

        let mut report = Report::new(*offered.tree());
        if timeline == Timeline::Past {
            let offered = offered.tree().size();
            report.add(Finding::OldHead { offered, known });
        }
        Ok(report)
    }

    fn read_head(&mut self) -> Result<SignedHead, Stop> {
        let note = self.session.take_remote(LATEST_PATH)?;
        if note.is_empty() {
            return Err(Error::MalformedNote("empty tree head").into());
        }
        Ok(self.session.client().open_head(&note)?)
    }
}

impl Operation for Audit<'_> {
    type Output = Report;

    fn step(&mut self) -> Result<Step<Report>, Error> {
        let outcome = self.advance();
        self.session.report(outcome, &mut self.done)
    }

    fn answer(&mut self, request: Request, answer: Answer) -> Result<(), Error> {
        self.session.answer(request, answer)
    }
}
