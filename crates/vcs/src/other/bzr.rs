//! Bazaar, and Breezy, which goes by its name.

use std::fs::File;

use bstr::{BString, ByteSlice as _};
use jiff::Timestamp;
use jiff::fmt::strtime;

use super::{FILE_LIMIT, Place, emptied, unexpected};
use crate::error::Error;
use crate::repo::{CommitTime, ObjectId, Refs, Writing};
use crate::runner::{Run, Sink};

fn hardened<'a>(run: Run<'a>, place: &Place<'_>) -> Run<'a> {
    let home = place.runner.settings().directory.join("home");
    let mut run = run;
    for variable in ["BZR_HOME", "BRZ_HOME"] {
        run = run.variable(variable, home.as_os_str());
    }
    // Plugins of this machine's users do not count.
    for variable in ["BZR_PLUGIN_PATH", "BRZ_PLUGIN_PATH"] {
        run = run.variable(variable, "-user:-site");
    }
    for variable in ["BZR_LOG", "BRZ_LOG"] {
        run = run.variable(variable, "/dev/null");
    }
    run
}

/// Branches or pulls, and lists the tags.
pub(super) async fn update(
    place: &Place<'_>,
    is_new: bool,
    writing: &Writing,
) -> Result<Refs, Error> {
    let run = hardened(place.online("bzr"), place);
    let run = if is_new {
        run.args(["branch", "--quiet", "--no-tree", "--use-existing-dir", "--"])
            .args([place.url(), "."])
    } else {
        run.args(["pull", "--quiet", "--overwrite", "--overwrite-tags", "--"])
            .args([place.url()])
    };
    run.lock(writing.share()?).output().await?;
    let tags = hardened(place.local("bzr"), place).args(["tags"]);
    let tags = tags.output().await?.stdout;
    let mut refs: Vec<(BString, ObjectId)> = tags.lines().filter_map(tag).collect();
    if let Some(newest) = look_at(place, "-1").await? {
        refs.push((BString::from("HEAD"), newest.id));
    }
    Refs::of(refs, place.limits.refs)
}

/// `v1.0.0      12`
fn tag(line: &[u8]) -> Option<(BString, ObjectId)> {
    let mut fields = line.to_str().ok()?.split_whitespace();
    let (name, number) = (fields.next()?, fields.next()?);
    let name = BString::from(format!("refs/tags/{name}"));
    Some((name, ObjectId::number(number.parse().ok()?)))
}

pub(super) async fn stat(place: &Place<'_>, number: &str) -> Result<Option<CommitTime>, Error> {
    look_at(place, number.trim_start_matches('0')).await
}

async fn look_at(place: &Place<'_>, number: &str) -> Result<Option<CommitTime>, Error> {
    let output = hardened(place.local("bzr"), place)
        .args(["log", "--limit=1", "--long", "--show-ids"])
        .args([format!("--revision=revno:{number}")])
        .output_or(&[3])
        .await?;
    if output.code != Some(0) || output.stdout.is_empty() {
        return Ok(None);
    }
    let found = parse(&output.stdout);
    let found = found.ok_or_else(|| unexpected("bzr log", &output.stdout))?;
    Ok(Some(found))
}

/// The lines before the message: `revno: 3`, `timestamp: Sat 2020-01-02 03:04:05 +0100`.
fn parse(text: &[u8]) -> Option<CommitTime> {
    let (mut number, mut time) = (None, None);
    let head = text.lines().filter(|line| !line.starts_with(b"-"));
    for line in head.take_while(|line| !line.is_empty() && !line.starts_with(b" ")) {
        let (key, value) = line.split_once_str(":")?;
        let value = value.to_str().ok()?.trim();
        match key {
            b"revno" => number = value.split(' ').next()?.parse().ok(),
            b"timestamp" => {
                let (_day, rest) = value.split_once(' ')?;
                let parsed = strtime::parse("%Y-%m-%d %H:%M:%S %z", rest).ok()?;
                time = parsed.to_timestamp().ok();
            }
            b"message" => break,
            _ => {}
        }
    }
    let (number, time): (u64, Timestamp) = (number?, time?);
    Some(CommitTime {
        id: ObjectId::number(number),
        time,
    })
}

pub(super) async fn file(
    place: &Place<'_>,
    commit: &ObjectId,
    path: &str,
) -> Result<Option<Vec<u8>>, Error> {
    let output = hardened(place.local("bzr"), place)
        .args(["cat".to_owned(), format!("--revision=revno:{commit}")])
        .args(["--", path])
        .max_output(FILE_LIMIT)
        .output_or(&[3])
        .await?;
    Ok((output.code == Some(0)).then_some(output.stdout))
}

pub(super) async fn archive(
    place: &Place<'_>,
    commit: &ObjectId,
    archive: &File,
) -> Result<(), Error> {
    let file = emptied(archive)?;
    hardened(place.local("bzr"), place)
        .args(["export", "--format=tar", "--root=prefix/"])
        .args([format!("--revision=revno:{commit}")])
        .args(["--", "-"])
        .max_output(place.limits.archive)
        .output_to(Sink::File(file), &[])
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_a_number_and_a_time() {
        let log = b"------\nrevno: 12 [merge]\ntags: v1\nrevision-id: a@b-x\ncommitter: a <a@b>\n\
            timestamp: Sat 2020-01-04 03:04:05 +0100\nmessage:\n  revno: 99\n";
        let found = parse(log).unwrap();
        assert_eq!(found.id.as_str(), "12");
        assert_eq!(found.id.short(), "000000000012");
        assert_eq!(found.time.to_string(), "2020-01-04T02:04:05Z");
        for nonsense in ["", "revno: x\n", "revno: 1\n", "timestamp: Sat\n"] {
            assert!(parse(nonsense.as_bytes()).is_none(), "{nonsense}");
        }
    }

    #[test]
    fn tags_of_revisions_elsewhere_do_not_count() {
        let found = |line: &str| tag(line.as_bytes()).map(|(_, id)| id.to_string());
        assert_eq!(found("v1.0.0               3"), Some("3".to_owned()));
        assert_eq!(found("v1.1.0               ?"), None);
        assert_eq!(found("v1.2.0               1.1.2"), None);
    }
}
