//! Which refs a repository has: `ls-refs`, for HEAD, branches and tags only.

use bstr::ByteSlice as _;

use super::packets::{Command, Packet, Packets};
use super::{Ask, Wire, WireError, within};

/// What is wanted of the refs.
pub(crate) struct RefsRequest<'a> {
    /// Most bytes of the answer.
    pub(crate) limit: u64,
    /// Is given each ref, as a line of `git ls-remote`. False when it wants no more.
    pub(crate) take: &'a mut (dyn FnMut(&[u8]) -> bool + Send),
}

impl Wire {
    /// Gives `request` every ref of the repository. What it got counts only when this succeeds.
    pub(crate) async fn refs(
        &self,
        ask: &Ask<'_>,
        request: &mut RefsRequest<'_>,
    ) -> Result<(), WireError> {
        within(ask, async {
            self.greet(ask).await?;
            self.list(ask, request).await
        })
        .await
    }

    async fn list(&self, ask: &Ask<'_>, request: &mut RefsRequest<'_>) -> Result<(), WireError> {
        let mut command = Command::new("ls-refs");
        command.line("peel");
        for prefix in ["HEAD", "refs/heads/", "refs/tags/"] {
            command.line(&format!("ref-prefix {prefix}"));
        }
        let response = self.command(ask, command.finish()).await?;
        let mut packets = Packets::new(response, request.limit, ask.what);
        loop {
            match packets.next().await? {
                Some(Packet::Line(line)) => {
                    let wants_more = give(&line, request.take)?;
                    if !wants_more {
                        return Ok(());
                    }
                }
                Some(Packet::Flush) => break,
                _ => return Err(WireError::unexpected("its list of refs does not end")),
            }
        }
        packets.drain().await;
        Ok(())
    }
}

/// Turns `<hash> <name> [peeled:<hash>]` into what `git ls-remote` writes. False when no more is wanted.
fn give(line: &[u8], take: &mut (dyn FnMut(&[u8]) -> bool + Send)) -> Result<bool, WireError> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let malformed = || WireError::unexpected("a ref is malformed");
    let (id, rest) = line.split_once_str(" ").ok_or_else(malformed)?;
    if id == b"unborn" {
        return Ok(true);
    }
    let is_id = id.len() == 40 && id.iter().all(u8::is_ascii_hexdigit);
    if !is_id {
        return Err(malformed());
    }
    let mut fields = rest.split_str(" ");
    let name = fields.next().ok_or_else(malformed)?;
    if !take(&[id, b"\t", name].concat()) {
        return Ok(false);
    }
    for field in fields {
        if let Some(peeled) = field.strip_prefix(b"peeled:")
            && !take(&[peeled, b"\t", name, b"^{}"].concat())
        {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_are_given_as_git_writes_them() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let mut lines = Vec::new();
        let mut take = |line: &[u8]| {
            lines.push(line.to_str_lossy().into_owned());
            lines.len() < 3
        };
        let mut give = |line: &str| give(line.as_bytes(), &mut take);
        assert!(give("unborn HEAD symref-target:refs/heads/main\n").unwrap());
        assert!(give(&format!("{a} HEAD symref-target:refs/heads/main\n")).unwrap());
        assert!(!give(&format!("{a} refs/tags/v1 peeled:{b}\n")).unwrap());
        for nonsense in ["", "x", "ERR no", "zz refs/heads/x", &a] {
            assert!(give(nonsense).is_err(), "{nonsense}");
        }
        assert_eq!(
            lines,
            [
                format!("{a}\tHEAD"),
                format!("{a}\trefs/tags/v1"),
                format!("{b}\trefs/tags/v1^{{}}")
            ]
        );
    }
}
