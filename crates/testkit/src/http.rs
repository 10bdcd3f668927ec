//! HTTP/1.1 by hand: what goes over the wire is what the test says, right or wrong.

use std::io::{self, Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing that answers at all needs longer on loopback; a test that waits for silence sets its own limit.
const PATIENCE: Duration = Duration::from_mins(1);

/// An answer, as it came.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status of the last head; interim answers (1xx) are skipped.
    pub status: u16,
    /// The headers in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, without the framing of chunks, as far as it came.
    pub body: Vec<u8>,
    /// Whether the body came whole. A body without a length is whole when the connection ended in good order.
    pub complete: bool,
    /// From the end of sending to the first byte of the body; `None` for an empty one.
    pub first_byte: Option<Duration>,
    /// From the end of sending to the end of the answer.
    pub total: Duration,
}

impl Reply {
    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// GETs a URL of the form `http://host:port/path`.
pub fn get(url: &str) -> io::Result<Reply> {
    request("GET", url, &[])
}

/// Sends a request without a body, on a connection of its own.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> io::Result<Reply> {
    let (authority, path) = split(url)?;
    let mut connection = Connection::open(authority)?;
    connection.request(method, authority, path, headers)?;
    connection.reply(method == "HEAD")
}

/// GETs a URL and gives the body to nobody: for answers too large to keep. The reply's body is empty; the number of
/// bytes that came is returned beside it.
pub fn drain(url: &str) -> io::Result<(Reply, u64)> {
    let (authority, path) = split(url)?;
    let mut connection = Connection::open(authority)?;
    connection.request("GET", authority, path, &[])?;
    let mut count = 0;
    let reply = connection.reply_to(false, &mut |bytes| count += bytes.len() as u64)?;
    Ok((reply, count))
}

fn split(url: &str) -> io::Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{url} does not start with http://"),
        )
    })?;
    Ok(rest
        .find('/')
        .map_or((rest, "/"), |slash| rest.split_at(slash)))
}

/// A connection that sends what it is told and reads what comes.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Read, but not used yet.
    ahead: Vec<u8>,
    sent: Instant,
}

impl Connection {
    /// Connects to `host:port`.
    pub fn open(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?)
    }

    /// Uses a connection that is open, from an address of its own, say.
    pub fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            ahead: Vec::new(),
            sent: Instant::now(),
        })
    }

    /// Fails reading with `WouldBlock` or `TimedOut` after so long without a byte.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))
    }

    /// Sends these bytes, and nothing else.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.sent = Instant::now();
        Ok(())
    }

    /// Sends these bytes a few at a time, with a pause after each piece. Stops with the error of the first piece that
    /// could not be sent, as when the server has closed the connection.
    pub fn send_slowly(&mut self, bytes: &[u8], piece: usize, pause: Duration) -> io::Result<()> {
        for part in bytes.chunks(piece.max(1)) {
            self.send(part)?;
            thread::sleep(pause);
        }
        Ok(())
    }

    /// Sends a well-formed request without a body.
    pub fn request(
        &mut self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<()> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        self.send(text.as_bytes())
    }

    /// Says that nothing more will be sent (FIN), and keeps reading.
    pub fn finish_sending(&self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write)
    }

    /// Reads one answer. `to_head` says that the request was HEAD, whose answer has no body.
    pub fn reply(&mut self, to_head: bool) -> io::Result<Reply> {
        let mut body = Vec::new();
        let mut reply = self.reply_to(to_head, &mut |bytes| body.extend_from_slice(bytes))?;
        reply.body = body;
        Ok(reply)
    }

    /// Reads the head of an answer: status and headers, skipping interim answers.
    pub fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        loop {
            let text = self.head_text()?;
            let mut lines = text.split("\r\n");
            let first = lines.next().unwrap_or_default();
            let status = first
                .strip_prefix("HTTP/1.")
                .and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u16>().ok())
                .ok_or_else(|| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("no status line: {first:?}"),
                    )
                })?;
            if status >= 200 {
                let headers = lines.filter_map(|line| line.split_once(':'));
                return Ok((
                    status,
                    headers
                        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
                        .collect(),
                ));
            }
        }
    }

    /// Everything until the other side ends the connection in good order; an error when it resets it.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.ahead);
        self.stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads at most so many bytes of whatever comes next; none at the end of the connection.
    pub fn some(&mut self, at_most: usize) -> io::Result<Vec<u8>> {
        if self.ahead.is_empty() {
            self.fill()?;
        }
        let size = at_most.min(self.ahead.len());
        Ok(self.ahead.drain(..size).collect())
    }

    /// Whether the other side ends the connection, in whatever way, within this time. What comes before is dropped.
    pub fn is_closed_within(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut block = [0; 4096];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.set_patience(left).is_err() {
                return false;
            }
            match self.stream.read(&mut block) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    return !matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    );
                }
            }
        }
    }

    fn reply_to(&mut self, to_head: bool, sink: &mut dyn FnMut(&[u8])) -> io::Result<Reply> {
        let sent = self.sent;
        let (status, headers) = self.head()?;
        let mut reply = Reply {
            status,
            headers,
            body: Vec::new(),
            complete: true,
            first_byte: None,
            total: Duration::ZERO,
        };
        if !to_head && status != 204 && status != 304 {
            let mut first = None;
            let mut watched = |bytes: &[u8]| {
                first.get_or_insert_with(|| sent.elapsed());
                sink(bytes);
            };
            let chunked = reply
                .header("Transfer-Encoding")
                .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
            let len = reply
                .header("Content-Length")
                .and_then(|text| text.parse::<u64>().ok());
            reply.complete = match (chunked, len) {
                (true, _) => self.chunks(&mut watched)?,
                (false, Some(len)) => self.exactly(len, &mut watched)?,
                (false, None) => {
                    self.exactly(u64::MAX, &mut watched)?;
                    true
                }
            };
            reply.first_byte = first;
        }
        reply.total = sent.elapsed();
        Ok(reply)
    }

    /// Passes on so many bytes; `false` when the connection ended before.
    fn exactly(&mut self, mut left: u64, sink: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        while left > 0 {
            if self.ahead.is_empty() && self.fill()? == 0 {
                return Ok(false);
            }
            let size = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.ahead.len());
            sink(&self.ahead[..size]);
            self.ahead.drain(..size);
            left -= size as u64;
        }
        Ok(true)
    }

    fn chunks(&mut self, sink: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        loop {
            let Some(line) = self.line()? else {
                return Ok(false);
            };
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("no chunk size: {line:?}"),
                )
            })?;
            if !self.exactly(size, sink)? {
                return Ok(false);
            }
            match self.line()? {
                Some(_) if size == 0 => return Ok(true),
                Some(_) => {}
                None => return Ok(false),
            }
        }
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    fn head_text(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return Ok(String::from_utf8_lossy(&head[..end]).into_owned());
            }
            if self.fill()? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!(
                        "the connection ended in the head: {:?}",
                        String::from_utf8_lossy(&self.ahead)
                    ),
                ));
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut block = vec![0; 1 << 16];
        let size = self.stream.read(&mut block)?;
        self.ahead.extend_from_slice(&block[..size]);
        Ok(size)
    }
}
