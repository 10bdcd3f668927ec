//! Fossil. As for go, its tags are not listed, and only hashes of SHA-1 are understood.

use std::fs::File;
use std::io::{Read as _, Seek as _};

use bstr::{BString, ByteSlice as _};
use flate2::read::GzDecoder;
use jiff::Timestamp;
use jiff::civil::DateTime;

use super::{FILE_LIMIT, Place, scratch, unexpected};
use crate::error::{Error, ToolFault};
use crate::repo::{CommitTime, ObjectId, Refs, Writing};
use crate::runner::Run;

/// The file that is the repository.
const REPOSITORY: &str = ".fossil";
/// What it calls the archive that it makes.
const ARCHIVE: &str = "files.tar.gz";

fn hardened<'a>(run: Run<'a>, place: &Place<'_>) -> Run<'a> {
    let home = place.runner.settings().directory.join("home");
    // It wants to know who it is before it does anything.
    run.variable("USER", "modkeep")
        .variable("FOSSIL_HOME", home.as_os_str())
}

/// Clones or pulls.
pub(super) async fn update(
    place: &Place<'_>,
    is_new: bool,
    writing: &Writing,
) -> Result<Refs, Error> {
    let run = hardened(place.online("fossil"), place);
    let run = if is_new {
        run.args(["clone", "--", place.url(), REPOSITORY])
    } else {
        run.args(["pull", place.url(), "-R", REPOSITORY])
    };
    run.lock(writing.share()?).output().await?;
    let trunk = stat(place, "trunk").await?;
    let head = trunk.map(|trunk| (BString::from("HEAD"), trunk.id));
    Refs::of(head.into_iter().collect(), place.limits.refs)
}

pub(super) async fn stat(place: &Place<'_>, name: &str) -> Result<Option<CommitTime>, Error> {
    let output = hardened(place.local("fossil"), place)
        .args(["info", "-R", REPOSITORY, "--", name])
        .output_or(&[1])
        .await?;
    if output.code != Some(0) {
        return Ok(None);
    }
    let found = parse(&output.stdout);
    let found = found.ok_or_else(|| unexpected("fossil info", &output.stdout))?;
    Ok(Some(found))
}

/// `hash:         <hash> 2020-01-02 03:04:05 UTC`, which older releases call `uuid`.
fn parse(text: &[u8]) -> Option<CommitTime> {
    let line = text.lines().find_map(|line| {
        let rest = line.strip_prefix(b"hash:");
        rest.or_else(|| line.strip_prefix(b"uuid:"))
    })?;
    let fields: Vec<&str> = line.to_str().ok()?.split_whitespace().collect();
    let [hash, day, time, "UTC"] = fields.as_slice() else {
        return None;
    };
    let id = ObjectId::parse(hash).filter(|id| !id.is_sha256())?;
    let time: DateTime = format!("{day}T{time}").parse().ok()?;
    let time: Timestamp = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(CommitTime { id, time })
}

pub(super) async fn file(
    place: &Place<'_>,
    commit: &ObjectId,
    path: &str,
) -> Result<Option<Vec<u8>>, Error> {
    let output = hardened(place.local("fossil"), place)
        .args(["cat", "-R", REPOSITORY, "-r", commit.as_str(), "--", path])
        .max_output(FILE_LIMIT)
        .output_or(&[1])
        .await?;
    Ok((output.code == Some(0)).then_some(output.stdout))
}

pub(super) async fn archive(
    place: &Place<'_>,
    commit: &ObjectId,
    archive: &File,
) -> Result<(), Error> {
    // It takes no other name than one in the directory where it runs.
    let folder = scratch(place)?;
    hardened(place.local("fossil"), place)
        .directory(folder.path())
        .args(["tarball", "-R"])
        .args([place.copy.join(REPOSITORY)])
        .args(["--name", "prefix", "--", commit.as_str(), ARCHIVE])
        .disk(folder.path(), place.limits.archive)
        .output()
        .await?;
    let (packed, limit) = (folder.path().join(ARCHIVE), place.limits.archive);
    let file = archive
        .try_clone()
        .map_err(Error::io("writing an archive"))?;
    let unpacked = tokio::task::spawn_blocking(move || unpack(&packed, file, limit)).await;
    unpacked.unwrap_or(Err(Error::Lost))
}

fn unpack(packed: &std::path::Path, mut archive: File, limit: u64) -> Result<(), Error> {
    let mut copy = || {
        archive.set_len(0)?;
        archive.rewind()?;
        let packed = GzDecoder::new(std::io::BufReader::new(File::open(packed)?));
        std::io::copy(&mut packed.take(limit.saturating_add(1)), &mut archive)
    };
    let written = copy().map_err(Error::io("reading what fossil has packed"))?;
    if written > limit {
        return Err(ToolFault::OutputTooLarge {
            what: "fossil tarball".to_owned(),
            limit,
        }
        .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_in_is_a_hash_and_a_time() {
        let id = "a".repeat(40);
        for name in ["hash", "uuid"] {
            let text =
                format!("project: x\n{name}:         {id} 2020-01-02 03:04:05 UTC\ntags: trunk\n");
            let found = parse(text.as_bytes()).unwrap();
            assert_eq!(found.id.as_str(), id);
            assert_eq!(found.time.to_string(), "2020-01-02T03:04:05Z");
        }
        let long = "a".repeat(64);
        for nonsense in [
            String::new(),
            format!("hash: {long} 2020-01-02 03:04:05 UTC"),
            format!("hash: {id} 2020-01-02 03:04:05 CET"),
            format!("hash: {id} 2020-01-02 UTC"),
        ] {
            assert!(parse(nonsense.as_bytes()).is_none(), "{nonsense}");
        }
    }
}
