//! What can be wrong with an upstream, in words that go from one process to the other.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use testkit::Fault;

/// How long an upstream that hangs keeps the connection, as a gateway would.
pub(super) const GATEWAY_PATIENCE: Duration = Duration::from_secs(5);

/// An order to a simulated upstream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    /// Everything is well again, after the usual delay.
    Heal,
    /// Milliseconds before the first byte of each answer.
    Delay(u64),
    /// A share of the requests fails, each in one of many ways.
    Mix { share: f64, seed: u64 },
    /// Every body comes so many bytes at a time, with so many milliseconds between.
    Drip { bytes: usize, every: u64 },
    /// Connections are refused from now on.
    Down,
    /// It listens again.
    Up,
    /// Up and down in turns, so many milliseconds each.
    Flap { up: u64, down: u64 },
    /// Forgets what was counted.
    Forget,
    /// Tells what was counted.
    Count,
}

impl Order {
    /// The line that stands for it.
    pub(super) fn line(self) -> String {
        match self {
            Self::Heal => "heal".to_owned(),
            Self::Delay(ms) => format!("delay {ms}"),
            Self::Mix { share, seed } => format!("mix {share} {seed}"),
            Self::Drip { bytes, every } => format!("drip {bytes} {every}"),
            Self::Down => "down".to_owned(),
            Self::Up => "up".to_owned(),
            Self::Flap { up, down } => format!("flap {up} {down}"),
            Self::Forget => "forget".to_owned(),
            Self::Count => "count".to_owned(),
        }
    }
}

impl FromStr for Order {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        fn part<T: FromStr>(words: &[&str], at: usize) -> Result<T> {
            words
                .get(at)
                .and_then(|word| word.parse().ok())
                .with_context(|| format!("no order: {}", words.join(" ")))
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        Ok(match words.first().copied().unwrap_or_default() {
            "heal" => Self::Heal,
            "delay" => Self::Delay(part(&words, 1)?),
            "mix" => Self::Mix {
                share: part(&words, 1)?,
                seed: part(&words, 2)?,
            },
            "drip" => Self::Drip {
                bytes: part(&words, 1)?,
                every: part(&words, 2)?,
            },
            "down" => Self::Down,
            "up" => Self::Up,
            "flap" => Self::Flap {
                up: part(&words, 1)?,
                down: part(&words, 2)?,
            },
            "forget" => Self::Forget,
            "count" => Self::Count,
            other => bail!("no order: {other}"),
        })
    }
}

/// Every way in which an answer can be no good, as likely as each other.
pub(super) fn every_kind() -> Vec<Fault> {
    vec![
        Fault::status(500),
        Fault::status(502),
        Fault::status(503),
        Fault::All(vec![Fault::Delay(GATEWAY_PATIENCE), Fault::status(504)]),
        Fault::retry_after(503, 1),
        Fault::retry_after(429, 1),
        Fault::status(403),
        Fault::Html,
        Fault::Garbage(b"\x16\x03\x01 this is no HTTP\r\n\r\n".to_vec()),
        Fault::CloseWithoutAnswer,
        Fault::ResetWithoutAnswer,
        Fault::Hang,
        Fault::StallAt(40),
        Fault::ResetAt(30),
        Fault::TruncateAt(20),
        Fault::WrongLength(25),
        Fault::WrongLength(-11),
        Fault::Corrupt(60),
        Fault::Drip {
            bytes: 100,
            every: Duration::from_millis(25),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_as_it_was_written() {
        let orders = [
            Order::Heal,
            Order::Delay(150),
            Order::Mix {
                share: 0.08,
                seed: 7,
            },
            Order::Drip {
                bytes: 10,
                every: 20,
            },
            Order::Down,
            Order::Up,
            Order::Flap { up: 10, down: 20 },
            Order::Forget,
            Order::Count,
        ];
        for order in orders {
            assert_eq!(order.line().parse::<Order>().unwrap(), order);
        }
        for bad in ["", "mix", "mix x 1", "delay", "sing"] {
            assert!(bad.parse::<Order>().is_err(), "{bad}");
        }
    }
}
