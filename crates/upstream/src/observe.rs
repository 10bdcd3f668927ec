//! What is told to those who count.

use std::time::Duration;

use fault::Label;

/// How one exchange with an upstream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An answer that could be used.
    Answered,
    /// What the caller had still holds.
    NotModified,
    /// The upstream says that there is no such thing.
    Absent,
    /// A failure of this kind.
    Failed(Label),
}

/// What was done about trouble with an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A request that had failed there was sent again.
    Retry,
    /// A request was sent there while another upstream, or itself, had not answered it yet.
    Hedge,
    /// A transfer that had been cut was taken up there.
    Resumed,
    /// Requests go elsewhere from now on.
    BreakerOpened,
    /// Requests go there again.
    BreakerClosed,
    /// It was asked only to see whether it answers.
    Probe,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 6] = [
        Self::Retry,
        Self::Hedge,
        Self::Resumed,
        Self::BreakerOpened,
        Self::BreakerClosed,
        Self::Probe,
    ];

    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Hedge => "hedge",
            Self::Resumed => "resumed",
            Self::BreakerOpened => "breaker-opened",
            Self::BreakerClosed => "breaker-closed",
            Self::Probe => "probe",
        }
    }
}

/// Is told of every exchange with an upstream.
pub trait Observer: Send + Sync {
    /// One exchange has ended. `elapsed` runs to the end of a small file, and to the first bytes of a zip.
    fn exchange(&self, source: &str, outcome: Outcome, elapsed: Duration);

    /// So many bytes of a body have come, whether they were of use or not.
    fn received(&self, _source: &str, _bytes: u64) {}

    /// Something was done about trouble.
    fn event(&self, _source: &str, _event: Event) {}
}
