use std::time::Duration;

/// Which requests a fault or an answer is for, by the decoded path of the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paths {
    /// All of them.
    All,
    /// This one.
    Exact(String),
    /// Those that start so.
    Prefix(String),
    /// Those that end so.
    Suffix(String),
}

impl Paths {
    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Exact(wanted) => path == wanted,
            Self::Prefix(start) => path.starts_with(start.as_str()),
            Self::Suffix(end) => path.ends_with(end.as_str()),
        }
    }
}

impl From<&str> for Paths {
    /// `*` is every path, `/sumdb/*` those that start so, `*.zip` those that end so, anything else itself.
    fn from(text: &str) -> Self {
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(""), _) => Self::All,
            (Some(end), _) => Self::Suffix(end.to_owned()),
            (None, Some(start)) => Self::Prefix(start.to_owned()),
            (None, None) => Self::Exact(text.to_owned()),
        }
    }
}

/// An answer made up front.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// An answer with this status, no header of its own and no body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Status 200 and a body of plain text.
    pub fn text(body: &str) -> Self {
        Self::status(200)
            .header("Content-Type", "text/plain; charset=UTF-8")
            .body(body)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// What the upstream does wrong. Positions count the bytes of the body that this answer sends, from 0.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Another answer than the right one.
    Answer(Answer),
    /// Waits before the first byte of the answer, on top of the delay that every request has.
    Delay(Duration),
    /// Sends so many bytes of the body, then nothing more, with the connection open.
    StallAt(u64),
    /// Sends the body up to this byte of the file, and the rest when the server is told to release what it holds back.
    HoldAt(u64),
    /// Sends so many bytes of the body, then resets the connection (RST).
    ResetAt(u64),
    /// Sends so many bytes of the body, then closes the connection in good order (FIN).
    TruncateAt(u64),
    /// Announces a `Content-Length` that is off by so much, sends the whole body and closes.
    WrongLength(i64),
    /// A body without length and without end.
    Endless,
    /// A login page, with status 200.
    Html,
    /// The right body under a `Content-Encoding` that it does not have.
    ContentEncoding(String),
    /// The right status and type, but a JSON body that names this version.
    OtherVersion(String),
    /// Status 302 to this URL.
    Redirect(String),
    /// Sends the body so many bytes at a time, with a pause after each.
    Drip {
        /// Bytes per piece.
        bytes: usize,
        /// The pause.
        every: Duration,
    },
    /// Inverts the byte of the body at this position.
    Corrupt(u64),
    /// No `Content-Length`, but `Transfer-Encoding: chunked`: allowed, and often forgotten.
    Chunked,
    /// No length at all: the body ends with the connection, as in HTTP/1.0.
    UntilClose,
    /// These bytes in place of an HTTP answer.
    Garbage(Vec<u8>),
    /// Closes the connection in good order without an answer.
    CloseWithoutAnswer,
    /// Resets the connection without an answer.
    ResetWithoutAnswer,
    /// Never answers, with the connection open.
    Hang,
    /// Several of these in one answer, in this order.
    All(Vec<Self>),
}

impl Fault {
    /// Another status, with a line of plain text as body.
    pub fn status(status: u16) -> Self {
        Self::Answer(
            Answer::status(status)
                .header("Content-Type", "text/plain; charset=UTF-8")
                .body(format!("simulated status {status}\n")),
        )
    }

    /// Another status, which asks to come back after so many seconds.
    pub fn retry_after(status: u16, seconds: u32) -> Self {
        Self::Answer(Answer::status(status).header("Retry-After", &seconds.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_the_rest_of_a_path() {
        let table = [
            ("*", "/a/@v/list", true),
            ("*.zip", "/a/@v/v1.0.0.zip", true),
            ("*.zip", "/a/@v/v1.0.0.mod", false),
            ("/sumdb/*", "/sumdb/x/latest", true),
            ("/sumdb/*", "/a/sumdb/x", false),
            ("/a/@v/list", "/a/@v/list", true),
            ("/a/@v/list", "/a/@v/list2", false),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(
                Paths::from(pattern).matches(path),
                expected,
                "{pattern} {path}"
            );
        }
    }
}
