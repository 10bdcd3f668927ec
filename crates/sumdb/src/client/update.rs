use super::exchange::{Answer, Operation, Request, Step};
use super::{Client, Session, SignedHead, Stop};
use crate::error::Error;

/// Where a tree head stands in the history known so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeline {
    /// It is an earlier state of the latest tree.
    Past,
    /// It is the latest tree.
    Present,
    /// It extends what was the latest tree, and is the latest now.
    Future,
}

/// The operation of merging a tree head, see [`Client::update`] and [`Client::observe`]. It yields where the head stood
/// in the history known before.
pub struct Update<'c> {
    session: Session<'c>,
    note: Option<Vec<u8>>,
    offered: Option<SignedHead>,
    timeline: Option<Timeline>,
    done: Option<Timeline>,
}

/// Where a server tells its newest tree head.
pub(crate) const LATEST_PATH: &str = "/latest";

impl<'c> Update<'c> {
    pub(super) fn from_server(client: &'c Client) -> Self {
        Self::new(client, None)
    }

    pub(super) fn from_note(client: &'c Client, note: Vec<u8>) -> Self {
        Self::new(client, Some(note))
    }

    fn new(client: &'c Client, note: Option<Vec<u8>>) -> Self {
        let session = Session::new(client);
        Self {
            session,
            note,
            offered: None,
            timeline: None,
            done: None,
        }
    }

    fn advance(&mut self) -> Result<Timeline, Stop> {
        if let Some(timeline) = self.done {
            return Ok(timeline);
        }
        self.session.latest()?;
        let offered = self.offered()?;
        let timeline = match self.timeline {
            Some(timeline) => timeline,
            None => self.session.merge(&offered)?,
        };
        self.timeline = Some(timeline);
        self.session.keep()?;
        Ok(timeline)
    }

    fn offered(&mut self) -> Result<SignedHead, Stop> {
        if let Some(offered) = &self.offered {
            return Ok(offered.clone());
        }
        let note = match self.note.take() {
            Some(note) => note,
            None => self.session.take_remote(LATEST_PATH)?,
        };
        if note.is_empty() {
            return Err(Error::MalformedNote("empty tree head").into());
        }
        let offered = self.session.client().open_head(&note)?;
        self.offered = Some(offered.clone());
        Ok(offered)
    }
}

impl Operation for Update<'_> {
    type Output = Timeline;

    fn step(&mut self) -> Result<Step<Timeline>, Error> {
        let outcome = self.advance();
        self.session.report(outcome, &mut self.done)
    }

    fn answer(&mut self, request: Request, answer: Answer) -> Result<(), Error> {
        self.session.answer(request, answer)
    }
}
