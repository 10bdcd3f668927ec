use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// Which side of an exchange a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was asked.
    Server,
    /// It asked somebody.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Words.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// One thing that was done, with its beginning and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The trace that it belongs to.
    pub trace: u128,
    /// Its own id.
    pub id: u64,
    /// Within which other it was done.
    pub parent: Option<u64>,
    /// What was done, without particulars.
    pub name: Cow<'static, str>,
    /// On which side.
    pub kind: Kind,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// Particulars, by the names of OpenTelemetry's semantic conventions where these have one.
    pub attributes: Vec<(&'static str, Value)>,
    /// What went wrong, if something did.
    pub error: Option<Cow<'static, str>>,
}
