//! A resolver on loopback that lies, refuses, or says nothing.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// What the resolver says of every name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// There is no such name.
    NxDomain,
    /// It cannot tell.
    ServFail,
    /// Nothing.
    Nothing,
    /// An address at which nobody is.
    WrongAddress,
}

impl Says {
    pub(super) const ALL: [Self; 4] = [
        Self::NxDomain,
        Self::ServFail,
        Self::Nothing,
        Self::WrongAddress,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NxDomain => "NXDOMAIN",
            Self::ServFail => "SERVFAIL",
            Self::Nothing => "no answer",
            Self::WrongAddress => "wrong address",
        }
    }
}

/// The resolver. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Resolver(Arc<AtomicBool>);

impl Resolver {
    /// Answers on port 53 of loopback.
    pub(super) fn start(says: Says) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).context("taking port 53")?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        thread::spawn(move || {
            let mut question = [0; 1500];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((size, from)) = socket.recv_from(&mut question)
                    && let Some(answer) = answer(&question[..size], says)
                {
                    drop(socket.send_to(&answer, from));
                }
            }
        });
        Ok(Self(stop))
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        // Until the port is free again.
        thread::sleep(Duration::from_millis(120));
    }
}

/// The answer to a question (RFC 1035), with the one question repeated.
fn answer(question: &[u8], says: Says) -> Option<Vec<u8>> {
    const HEAD: usize = 12;
    let name = question.get(HEAD..)?;
    let mut end = 0;
    while *name.get(end)? != 0 {
        end += usize::from(name[end]) + 1;
    }
    // The name, its end, type and class.
    let asked = name.get(..end + 5)?;
    let is_a = asked.get(end + 1..end + 3)? == [0, 1];
    let (code, answers): (u8, u8) = match says {
        Says::Nothing => return None,
        Says::NxDomain => (3, 0),
        Says::ServFail => (2, 0),
        Says::WrongAddress => (0, u8::from(is_a)),
    };
    let mut reply = question.get(..2)?.to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
    reply.extend(asked);
    if answers == 1 {
        // The name by its place, A, IN, one second, 127.9.9.9.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 9, 9, 9]);
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01";

    #[test]
    fn answers_repeat_the_question() {
        let reply = answer(QUESTION, Says::WrongAddress).unwrap();
        assert_eq!(&reply[..8], b"\x12\x34\x81\x80\x00\x01\x00\x01");
        assert_eq!(reply[12..QUESTION.len()], QUESTION[12..]);
        assert!(reply.ends_with(&[127, 9, 9, 9]));
        assert_eq!(answer(QUESTION, Says::NxDomain).unwrap()[3], 0x83);
        assert_eq!(answer(QUESTION, Says::ServFail).unwrap()[3], 0x82);
        assert_eq!(answer(QUESTION, Says::Nothing), None);
        for cut in 0..QUESTION.len() {
            assert_eq!(answer(&QUESTION[..cut], Says::NxDomain), None, "{cut}");
        }
    }
}
