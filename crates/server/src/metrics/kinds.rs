//! Kinds of requests and of answers, as metrics and logs name them.

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub(crate) enum Endpoint {
    List,
    Latest,
    Query,
    Info,
    Mod,
    Zip,
    Sumdb,
    Operations,
    Unknown,
}

impl Endpoint {
    pub(super) const ALL: [Self; 9] = [
        Self::List,
        Self::Latest,
        Self::Query,
        Self::Info,
        Self::Mod,
        Self::Zip,
        Self::Sumdb,
        Self::Operations,
        Self::Unknown,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Latest => "latest",
            Self::Query => "query",
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip => "zip",
            Self::Sumdb => "sumdb",
            Self::Operations => "operations",
            Self::Unknown => "unknown",
        }
    }
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub(crate) enum Served {
    /// From the store or memory.
    Hit,
    /// Fetched from an upstream, or along with somebody else's fetch.
    Miss,
    /// From the store although it was due for a refresh.
    Stale,
    /// There is no such thing.
    Absent,
    /// The request was malformed, or of a method that is not served.
    BadRequest,
    /// Policy forbids it.
    Denied,
    /// An upstream or this server is in trouble.
    Trouble,
}

impl Served {
    pub(super) const ALL: [Self; 7] = [
        Self::Hit,
        Self::Miss,
        Self::Stale,
        Self::Absent,
        Self::BadRequest,
        Self::Denied,
        Self::Trouble,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Absent => "absent",
            Self::BadRequest => "bad_request",
            Self::Denied => "denied",
            Self::Trouble => "trouble",
        }
    }
}
