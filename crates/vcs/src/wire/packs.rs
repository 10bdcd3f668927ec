//! The pack with one commit and its files: `fetch`, without what came before it and without what is here already.

use std::fs::File;
use std::io::Seek as _;

use tokio::io::AsyncWriteExt as _;

use super::packets::{Command, Packet, Packets};
use super::{Ask, Wire, WireError, within};
use crate::error::{Error, ToolFault};

/// What else than the pack an answer may consist of, in bytes: reports of progress and the like.
const OVERHEAD: u64 = 16 << 20;

/// What is wanted, and what is here.
pub(crate) struct PackRequest<'a> {
    pub(crate) commit: &'a str,
    /// Commits that are here with all their files.
    pub(crate) have: &'a [String],
    /// Commits that are here without what came before them.
    pub(crate) shallow: &'a [String],
    /// Most bytes of the pack.
    pub(crate) limit: u64,
}

/// What came beside the pack.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Commits that are without what came before them from now on.
    pub(crate) shallow: Vec<String>,
    /// Commits that are not any more.
    pub(crate) unshallow: Vec<String>,
}

impl Wire {
    /// Writes the pack with what is wanted to `pack`, an empty file, and goes back to its beginning.
    pub(crate) async fn pack(
        &self,
        ask: &Ask<'_>,
        request: &PackRequest<'_>,
        pack: File,
    ) -> Result<(Received, File), WireError> {
        within(ask, async {
            self.greet(ask).await?;
            self.fetch(ask, request, pack).await
        })
        .await
    }

    async fn fetch(
        &self,
        ask: &Ask<'_>,
        request: &PackRequest<'_>,
        pack: File,
    ) -> Result<(Received, File), WireError> {
        let response = self.command(ask, body(request)).await?;
        let most = request.limit.saturating_add(request.limit / 1000);
        let mut packets = Packets::new(response, most.saturating_add(OVERHEAD), ask.what);
        let received = before_pack(&mut packets).await?;
        let writing = || Error::io("writing a pack");
        let file = tokio::fs::File::from_std(pack);
        let mut file = tokio::io::BufWriter::with_capacity(256 << 10, file);
        let mut written = 0_u64;
        loop {
            match packets.next().await? {
                Some(Packet::Line(line)) => match line.split_first() {
                    Some((1, data)) => {
                        written = written.saturating_add(data.len() as u64);
                        if written > request.limit {
                            let fault = ToolFault::DiskLimit {
                                what: ask.what.to_owned(),
                                limit: request.limit,
                            };
                            return Err(WireError::Failed(fault.into()));
                        }
                        file.write_all(data).await.map_err(writing())?;
                    }
                    Some((2, _progress)) => {}
                    _ => return Err(WireError::unexpected("it broke off with an error")),
                },
                Some(Packet::Flush) => break,
                _ => return Err(WireError::unexpected("the pack does not end")),
            }
        }
        packets.drain().await;
        file.flush().await.map_err(writing())?;
        let mut file = file.into_inner().into_std().await;
        file.rewind().map_err(writing())?;
        Ok((received, file))
    }
}

fn body(request: &PackRequest<'_>) -> Vec<u8> {
    let mut command = Command::new("fetch");
    // Only for packs that may be thin does a server leave out the files of shallow commits.
    for option in ["thin-pack", "ofs-delta", "no-progress"] {
        command.line(option);
    }
    for commit in request.shallow {
        command.line(&format!("shallow {commit}"));
    }
    command.line("deepen 1");
    command.line(&format!("want {}", request.commit));
    for commit in request.have {
        command.line(&format!("have {commit}"));
    }
    // No negotiation: what is here is few, and all of it is said.
    command.line("done");
    command.finish()
}

/// Reads everything up to the beginning of the pack.
async fn before_pack(packets: &mut Packets) -> Result<Received, WireError> {
    let mut received = Received::default();
    loop {
        let Some(Packet::Line(section)) = packets.next().await? else {
            return Err(WireError::unexpected("there is no pack"));
        };
        match section.trim_ascii() {
            b"packfile" => return Ok(received),
            b"shallow-info" => {}
            _ => return Err(WireError::unexpected("a section that nobody asked for")),
        }
        loop {
            match packets.next().await? {
                Some(Packet::Line(line)) => note(&line, &mut received)?,
                Some(Packet::Delimiter) => break,
                _ => return Err(WireError::unexpected("a section does not end")),
            }
        }
    }
}

fn note(line: &[u8], received: &mut Received) -> Result<(), WireError> {
    let text = std::str::from_utf8(line).unwrap_or_default().trim_end();
    let (list, commit) = match text.split_once(' ') {
        Some(("shallow", commit)) => (&mut received.shallow, commit),
        Some(("unshallow", commit)) => (&mut received.unshallow, commit),
        _ => return Err(WireError::unexpected("its boundary is malformed")),
    };
    if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(WireError::unexpected("its boundary is malformed"));
    }
    list.push(commit.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_said_in_one_request() {
        let body = body(&PackRequest {
            commit: "C",
            have: &["A".to_owned(), "B".to_owned()],
            shallow: &["A".to_owned()],
            limit: 0,
        });
        let text = String::from_utf8(body).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| &line[4..]).collect();
        assert_eq!(
            lines,
            [
                "command=fetch",
                "000ethin-pack",
                "ofs-delta",
                "no-progress",
                "shallow A",
                "deepen 1",
                "want C",
                "have A",
                "have B",
                "done",
                ""
            ]
        );
    }

    #[test]
    fn boundaries_are_commits() {
        let mut received = Received::default();
        let id = "a".repeat(40);
        note(format!("shallow {id}\n").as_bytes(), &mut received).unwrap();
        note(format!("unshallow {id}").as_bytes(), &mut received).unwrap();
        assert_eq!(received.shallow, std::slice::from_ref(&id));
        assert_eq!(received.unshallow, [id]);
        for nonsense in ["shallow", "shallow ../x", "deep x", "\u{fffd}"] {
            assert!(note(nonsense.as_bytes(), &mut received).is_err());
        }
    }
}
