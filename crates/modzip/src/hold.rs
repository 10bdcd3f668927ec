//! Which bytes of a zip may go to a client before its hash is known.
//!
//! A server that passes a zip on while it arrives cannot take back what it has sent. What it can do is to keep the
//! client from ending up with a whole archive: a zip is found from its end of central directory record, so as
//! long as no such record is let out, what the client has is no zip. When the hash turns out wrong, the
//! connection is cut, and what is left behind cannot be opened.

use memchr::memmem;

use crate::fields::END;

/// How many bytes at the end of a zip are held back until its hash is verified.
///
/// [`Archive::open`](crate::Archive::open) refuses a zip whose end records (end of central directory, its zip64
/// forms, the archive comment) do not lie within these last bytes. So of every zip that can pass the
/// verification, at least the whole end is held back. The number is below the 64 KiB that readers search for
/// the end, and small enough to wait in memory for each of many clients.
pub const HELD_BACK: u64 = 32 << 10;

/// Says, while a zip arrives, how many bytes from its start may be let out before it is verified.
///
/// Two rules, of which the stricter one counts. The last [`HELD_BACK`] bytes stay. And nothing behind the start
/// of anything that looks like an end of central directory record is let out, wherever it is: else a zip that is
/// made of a small complete archive and padding behind it would be complete for the client long before its end.
/// (Honest zips contain such records too, in test data that does not compress. Then the rest waits for the
/// verification, which costs time, not safety.)
#[derive(Clone, Debug)]
pub struct ReleaseGate {
    total: Option<u64>,
    received: u64,
    /// Position of the first byte that looks like an end record.
    end_at: Option<u64>,
    /// The last bytes received, fewer than a signature.
    last: Vec<u8>,
}

impl ReleaseGate {
    /// A gate for a zip of `total` bytes, if that is known.
    pub fn new(total: Option<u64>) -> Self {
        Self {
            total,
            received: 0,
            end_at: None,
            last: Vec::new(),
        }
    }

    /// Takes note of the next bytes of the zip; returns [`Self::releasable`].
    pub fn receive(&mut self, bytes: &[u8]) -> u64 {
        if self.end_at.is_none() {
            self.look_for_end(bytes);
        }
        self.received = self.received.saturating_add(bytes.len() as u64);
        self.releasable()
    }

    /// How many bytes from the start of the zip may be let out now. Never decreases.
    pub fn releasable(&self) -> u64 {
        let searched = self
            .end_at
            .unwrap_or(self.received - self.last.len() as u64);
        searched.min(releasable(self.received, self.total))
    }

    fn look_for_end(&mut self, bytes: &[u8]) {
        let kept = self.last.len();
        let across = bytes.len().min(END.len() - 1);
        self.last
            .extend_from_slice(bytes.get(..across).unwrap_or_default());
        let start = self.received - kept as u64;
        self.end_at = memmem::find(&self.last, &END)
            .map(|at| start + at as u64)
            .or_else(|| memmem::find(bytes, &END).map(|at| self.received + at as u64));
        if bytes.len() >= END.len() {
            self.last = bytes.to_vec();
        }
        let surplus = self.last.len().saturating_sub(END.len() - 1);
        self.last.drain(..surplus);
    }
}

/// How many bytes from the start of a zip may be let out when `received` bytes of it, of `total` (if known), are
/// there and it is not verified: all but the last [`HELD_BACK`].
///
/// This is the bare rule, enough where the zip comes from a trusted hand and the client compares the length
/// with the announced one; [`ReleaseGate`] also holds against a zip that was made to break it.
pub fn releasable(received: u64, total: Option<u64>) -> u64 {
    let end = total.unwrap_or(received).max(received);
    received.min(end.saturating_sub(HELD_BACK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_held_back() {
        let total = 100_000;
        for (received, expected) in [
            (0, 0),
            (1, 1),
            (total - HELD_BACK, total - HELD_BACK),
            (total - HELD_BACK + 1, total - HELD_BACK),
            (total, total - HELD_BACK),
        ] {
            assert_eq!(releasable(received, Some(total)), expected, "{received}");
        }
        assert_eq!(releasable(total, None), total - HELD_BACK);
        assert_eq!(releasable(10, Some(HELD_BACK)), 0);
        assert_eq!(
            releasable(total + 9, Some(total)),
            total + 9 - HELD_BACK,
            "more than announced"
        );
    }

    #[test]
    fn nothing_from_an_end_record_on_is_let_out() {
        let mut zip = vec![7; 200_000];
        zip[50_000..50_004].copy_from_slice(&END);
        for chunk in [1, 2, 3, 4, 5, 1000, 49_999, 50_001, 50_003, 200_000] {
            let mut gate = ReleaseGate::new(Some(zip.len() as u64));
            let mut before = 0;
            for bytes in zip.chunks(chunk) {
                let now = gate.receive(bytes);
                assert!((before..=50_000).contains(&now), "{chunk}: {before} {now}");
                before = now;
            }
            assert_eq!(before, 50_000, "{chunk}");
        }
    }

    #[test]
    fn without_end_records_all_but_the_tail_is_let_out() {
        let mut gate = ReleaseGate::new(None);
        for _ in 0..100 {
            gate.receive(&[b'P'; 1001]);
        }
        assert_eq!(gate.releasable(), 100_100 - HELD_BACK);
        let mut gate = ReleaseGate::new(Some(100_100));
        assert_eq!(
            gate.receive(&[b'P'; 1001]),
            998,
            "what may be the start of a signature waits"
        );
        assert_eq!(gate.receive(&[]), 998);
    }
}
