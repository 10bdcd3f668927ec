use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;
use rustix::net::sockopt::set_socket_linger;

use super::plan::{Ending, Framing, Plan, Response, plan};
use super::{LOOK, Line, Request, Shared};

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
}

/// Long enough for the other side of loopback to have read what was sent, where nobody can tell.
const BEFORE_RESET: Duration = Duration::from_millis(60);
/// Whoever has not read what was sent after so long does not mean to.
const UNREAD: Duration = Duration::from_secs(20);

/// Answers the requests of one connection until one side has enough.
pub(super) fn serve(shared: &Shared, line: &Line, stream: &TcpStream) -> End {
    drop(stream.set_nodelay(true));
    let mut reader = BufReader::new(stream);
    while let Ok(Some(request)) = read_request(&mut reader) {
        let last = request
            .header("Connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let (delay, plan) = plan(shared, &request);
        let head_only = request.method == "HEAD";
        let number = {
            let mut state = shared.state();
            state.requests.push(request);
            state.forgotten + state.requests.len() - 1
        };
        let mut exchange = Exchange {
            shared,
            line,
            stream,
            number,
        };
        if line.pause(delay) || line.wait_while(shared, |state| state.is_held) {
            return End::Closed;
        }
        let outcome = exchange.carry_out(plan, head_only);
        exchange.note(|request| request.finished = Some(Instant::now()));
        match outcome {
            Ok(Outcome::KeepOpen) if !last => {}
            Ok(Outcome::Reset) => {
                line.pause(BEFORE_RESET);
                wait_until_read(line, stream);
                return End::Reset;
            }
            Ok(Outcome::KeepOpen | Outcome::Close) | Err(_) => return End::Closed,
        }
    }
    End::Closed
}

/// Closes the socket; the caller has let go of every other handle of it.
pub(super) fn close(stream: Arc<TcpStream>, end: End) {
    if end == End::Reset {
        let _ = set_socket_linger(&*stream, Some(Duration::ZERO));
    } else {
        drop(stream.shutdown(std::net::Shutdown::Both));
    }
    drop(stream);
}

/// Waits until the program at the other end has read all that was sent: a reset throws away what still waits.
fn wait_until_read(line: &Line, stream: &TcpStream) {
    let until = Instant::now() + UNREAD;
    while is_unread(stream) == Some(true) && Instant::now() < until {
        if line.pause(LOOK) {
            return;
        }
    }
}

/// Whether bytes wait at the other end of a connection, as the system tells in its table (proc(5)). `None`: the other end
/// is not in it.
fn is_unread(stream: &TcpStream) -> Option<bool> {
    let ours = in_table(stream.local_addr().ok()?)?;
    let theirs = in_table(stream.peer_addr().ok()?)?;
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let queues = table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_other_end = fields.next()? == theirs && fields.next()? == ours;
        // Behind the state of the connection.
        is_other_end.then(|| fields.nth(1)).flatten()
    })?;
    let (_, received) = queues.split_once(':')?;
    Some(received.bytes().any(|digit| digit != b'0'))
}

/// An address as the table has it: in the machine's own order of bytes.
fn in_table(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else {
        return None;
    };
    let ip = u32::from_ne_bytes(address.ip().octets());
    Some(format!("{ip:08X}:{:04X}", address.port()))
}

enum Outcome {
    KeepOpen,
    Close,
    Reset,
}

struct Exchange<'a> {
    shared: &'a Shared,
    line: &'a Line,
    stream: &'a TcpStream,
    number: usize,
}

impl Exchange<'_> {
    fn note(&self, change: impl FnOnce(&mut Request)) {
        let mut state = self.shared.state();
        // The record may have been cleared meanwhile.
        let place = self.number.checked_sub(state.forgotten);
        if let Some(request) = place.and_then(|place| state.requests.get_mut(place)) {
            change(request);
        }
    }

    fn carry_out(&mut self, plan: Plan, head_only: bool) -> io::Result<Outcome> {
        match plan {
            Plan::Answer(response) => self.answer(response, head_only),
            Plan::Garbage(bytes) => {
                self.stream.write_all(&bytes)?;
                Ok(Outcome::Close)
            }
            Plan::Close => Ok(Outcome::Close),
            Plan::Reset => Ok(Outcome::Reset),
            Plan::Hang => {
                self.wait_for_the_other_side();
                Ok(Outcome::Close)
            }
        }
    }

    /// Returns when the client hangs up, the server's patience is over, or it stops (which shuts the socket down).
    fn wait_for_the_other_side(&mut self) {
        let patience = self.shared.state().patience;
        drop(self.stream.set_read_timeout(patience));
        let mut byte = [0];
        while matches!(self.stream.read(&mut byte), Ok(1)) {}
    }

    fn answer(&mut self, response: Response, head_only: bool) -> io::Result<Outcome> {
        if !response.wait.is_zero() && self.line.pause(response.wait) {
            return Ok(Outcome::Close);
        }
        let no_body = head_only || response.status == 304 || response.status == 204;
        // Whoever has the answer may look what the server knows of it.
        self.note(|request| request.status = Some(response.status));
        self.stream.write_all(head(&response).as_bytes())?;
        if no_body {
            return Ok(Outcome::KeepOpen);
        }
        self.body(response)
    }

    fn body(&mut self, response: Response) -> io::Result<Outcome> {
        let limit = match response.ending {
            Ending::Whole => u64::MAX,
            Ending::StallAt(position)
            | Ending::ResetAt(position)
            | Ending::TruncateAt(position) => position,
        };
        let chunked = matches!(response.framing, Framing::Chunked);
        let faithful = match response.framing {
            Framing::Length { off_by } => off_by == 0,
            Framing::Chunked => true,
            Framing::UntilClose => false,
        };
        let mut body = response.body.into_reader().take(limit);
        let mut block = vec![0; response.pace.map_or(1 << 16, |(bytes, _)| bytes)];
        let mut sent = 0_u64;
        let releases = self.shared.state().releases;
        let hold_at = response
            .hold_at
            .map(|at| at.saturating_sub(response.offset));
        loop {
            if hold_at == Some(sent)
                && self
                    .line
                    .wait_while(self.shared, |state| state.releases == releases)
            {
                return Ok(Outcome::Close);
            }
            let before_hold = hold_at.and_then(|at| at.checked_sub(sent));
            let piece = match before_hold.map(usize::try_from) {
                Some(Ok(left @ 1..)) => left.min(block.len()),
                _ => block.len(),
            };
            let size = body.read(&mut block[..piece])?;
            if size == 0 {
                break;
            }
            if let Some(position) = response
                .corrupt
                .and_then(|position| position.checked_sub(sent))
                && let Some(byte) =
                    block[..size].get_mut(usize::try_from(position).unwrap_or(usize::MAX))
            {
                *byte = !*byte;
            }
            self.piece(&block[..size], chunked)?;
            sent += size as u64;
            self.note(|request| {
                request.first_byte.get_or_insert_with(Instant::now);
                request.body_bytes = sent;
            });
            if self.line.pause(self.rest_after(size, response.pace)) {
                return Ok(Outcome::Close);
            }
        }
        match response.ending {
            Ending::Whole => {
                if chunked {
                    self.stream.write_all(b"0\r\n\r\n")?;
                }
                Ok(if faithful {
                    Outcome::KeepOpen
                } else {
                    Outcome::Close
                })
            }
            Ending::StallAt(_) => {
                self.wait_for_the_other_side();
                Ok(Outcome::Close)
            }
            Ending::ResetAt(_) => Ok(Outcome::Reset),
            Ending::TruncateAt(_) => Ok(Outcome::Close),
        }
    }

    fn piece(&mut self, bytes: &[u8], chunked: bool) -> io::Result<()> {
        if !chunked {
            return self.stream.write_all(bytes);
        }
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.stream.write_all(&framed)
    }

    fn rest_after(&self, size: usize, pace: Option<(usize, Duration)>) -> Duration {
        let throttle = self
            .shared
            .state()
            .bandwidth
            .map_or(Duration::ZERO, |bytes_per_second| {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "sizes of blocks and bandwidths are far below 2^52"
                )]
                Duration::from_secs_f64(size as f64 / bytes_per_second.max(1) as f64)
            });
        throttle.max(pace.map_or(Duration::ZERO, |(_, every)| every))
    }
}

fn head(response: &Response) -> String {
    let mut text = format!(
        "HTTP/1.1 {} {}\r\n",
        response.status,
        reason(response.status)
    );
    for (name, value) in &response.headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    match (&response.framing, response.body.len()) {
        (Framing::Length { off_by }, Some(len)) if response.status != 304 => {
            let len = len.saturating_add_signed(*off_by).to_string();
            text.extend(["Content-Length: ", &len, "\r\n"]);
        }
        (Framing::Chunked, _) => text.push_str("Transfer-Encoding: chunked\r\n"),
        (Framing::UntilClose, _) | (Framing::Length { .. }, None) => {
            text.push_str("Connection: close\r\n");
        }
        (Framing::Length { .. }, Some(_)) => {}
    }
    text.push_str("\r\n");
    text
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        304 => "Not Modified",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        410 => "Gone",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Simulated",
    }
}

/// Reads the head of one request, and its body away. `None`: the client hung up.
fn read_request(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Request>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let raw_path = target.split('?').next().unwrap_or_default();
    let mut request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        path: percent_decode_str(raw_path)
            .decode_utf8_lossy()
            .into_owned(),
        headers: Vec::new(),
        received: Instant::now(),
        first_byte: None,
        finished: None,
        status: None,
        body_bytes: 0,
    };
    loop {
        let mut text = String::new();
        if reader.read_line(&mut text)? == 0 {
            return Ok(None);
        }
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            break;
        }
        if let Some((name, value)) = text.split_once(':') {
            request
                .headers
                .push((name.to_owned(), value.trim().to_owned()));
        }
    }
    if let Some(len) = request
        .header("Content-Length")
        .and_then(|text| text.parse::<u64>().ok())
    {
        io::copy(&mut reader.by_ref().take(len), &mut io::sink())?;
    }
    request.received = Instant::now();
    Ok(Some(request))
}
