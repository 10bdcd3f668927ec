//! The lines that git's protocol consists of (gitprotocol-common(5), `pkt-line`).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use tokio::time::Instant;

use super::{WireError, timeout};
use crate::error::ToolFault;

/// How long a server may be silent, and how often it is looked at how fast it is.
const PATIENCE: Duration = Duration::from_secs(30);
/// Who sends less in that time is taken for one that has stalled: a hundred bytes a second.
const LEAST: u64 = 3_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    Line(Bytes),
    Flush,
    Delimiter,
    /// `response-end-pkt`
    End,
}

/// The packets of an answer.
pub(super) struct Packets {
    response: Response,
    buffer: BytesMut,
    received: u64,
    limit: u64,
    what: &'static str,
    window: (Instant, u64),
}

impl Packets {
    /// Reads no more than `limit` bytes. `what` is what messages call it.
    pub(super) fn new(response: Response, limit: u64, what: &'static str) -> Self {
        Self {
            response,
            buffer: BytesMut::new(),
            received: 0,
            limit,
            what,
            window: (Instant::now(), 0),
        }
    }

    /// The next packet; `None` at the end of the answer.
    pub(super) async fn next(&mut self) -> Result<Option<Packet>, WireError> {
        loop {
            if let Some(packet) = split(&mut self.buffer)? {
                return Ok(Some(packet));
            }
            if !self.more().await? {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(WireError::Unfit {
                        why: "its answer breaks off".to_owned(),
                        lasting: false,
                    })
                };
            }
        }
    }

    pub(super) async fn expect_flush(&mut self) -> Result<(), WireError> {
        match self.next().await? {
            Some(Packet::Flush) => Ok(()),
            _ => Err(WireError::unexpected("a section does not end")),
        }
    }

    /// Reads what is left: only then can the connection be used again.
    pub(super) async fn drain(mut self) {
        self.buffer.clear();
        while self.buffer.len() < 1024 && matches!(self.more().await, Ok(true)) {}
    }

    async fn more(&mut self) -> Result<bool, WireError> {
        let chunk = tokio::time::timeout(PATIENCE, self.response.chunk())
            .await
            .map_err(|_| WireError::from(timeout(self.what, PATIENCE)))?
            .map_err(|error| WireError::broken(&error))?;
        let Some(chunk) = chunk else {
            return Ok(false);
        };
        self.received = self.received.saturating_add(chunk.len() as u64);
        if self.received > self.limit {
            let fault = ToolFault::OutputTooLarge {
                what: self.what.to_owned(),
                limit: self.limit,
            };
            return Err(WireError::Failed(fault.into()));
        }
        let (since, before) = self.window;
        if since.elapsed() >= PATIENCE {
            if self.received - before < LEAST {
                return Err(timeout(self.what, PATIENCE).into());
            }
            self.window = (Instant::now(), self.received);
        }
        self.buffer.extend_from_slice(&chunk);
        Ok(true)
    }
}

/// The first packet of `buffer`, which is taken out, if it is there whole.
fn split(buffer: &mut BytesMut) -> Result<Option<Packet>, WireError> {
    let Some(digits) = buffer.get(..4) else {
        return Ok(None);
    };
    let length = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or_else(|| WireError::unexpected("its answer is none of git's"))?;
    let packet = match length {
        0 => Packet::Flush,
        1 => Packet::Delimiter,
        2 => Packet::End,
        3 => return Err(WireError::unexpected("a packet of an impossible length")),
        length if buffer.len() < length => return Ok(None),
        length => {
            let packet = buffer.split_to(length).freeze();
            return Ok(Some(Packet::Line(packet.slice(4..))));
        }
    };
    let _length = buffer.split_to(4);
    Ok(Some(packet))
}

/// A request of version 2 that is being put together.
pub(super) struct Command(Vec<u8>);

impl Command {
    pub(super) fn new(name: &str) -> Self {
        let mut command = Self(Vec::new());
        command.line(&format!("command={name}"));
        command.0.extend_from_slice(b"0001");
        command
    }

    pub(super) fn line(&mut self, text: &str) {
        // With its own length of four digits and the newline.
        let head = format!("{:04x}{text}\n", text.len() + 5);
        self.0.extend_from_slice(head.as_bytes());
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"0000");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packets_are_split_as_they_arrive() {
        let mut buffer = BytesMut::from(&b"0009abcd"[..]);
        assert_eq!(split(&mut buffer).unwrap(), None);
        buffer.extend_from_slice(b"\n00000001000200040008");
        let mut found = Vec::new();
        while let Some(packet) = split(&mut buffer).unwrap() {
            found.push(packet);
        }
        let line = |text: &'static [u8]| Packet::Line(Bytes::from_static(text));
        let expected = [
            line(b"abcd\n"),
            Packet::Flush,
            Packet::Delimiter,
            Packet::End,
            line(b""),
        ];
        assert_eq!(found, expected);
        assert_eq!(buffer, &b"0008"[..]);
        for nonsense in ["0003", "<htm", "+001x", "00 1"] {
            assert!(split(&mut BytesMut::from(nonsense)).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_command_is_lines_with_their_lengths() {
        let mut command = Command::new("ls-refs");
        command.line("peel");
        assert_eq!(command.finish(), b"0014command=ls-refs\n00010009peel\n0000");
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in "[0-9a-f]{0,16}") {
            for mut buffer in [BytesMut::from(&bytes[..]), BytesMut::from(text.as_str())] {
                while let Ok(Some(_)) = split(&mut buffer) {}
            }
        }
    }
}
