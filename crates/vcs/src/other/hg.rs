//! Mercurial.

use std::collections::HashSet;
use std::fs::File;

use bstr::{BString, ByteSlice as _};
use jiff::Timestamp;

use super::{FILE_LIMIT, Place, emptied, named, unexpected};
use crate::error::Error;
use crate::repo::{CommitTime, ObjectId, Refs, Writing};
use crate::runner::{Gate, Run, Sink};

/// The commit of an empty repository.
const NOTHING: &str = "0000000000000000000000000000000000000000";

fn hardened(run: Run<'_>) -> Run<'_> {
    run.variable("HGPLAIN", "1")
        // Nobody's configuration counts.
        .variable("HGRCPATH", "")
        .variable("HGENCODING", "utf-8")
        .args(["--noninteractive"])
}

/// Pulls everything, and lists tags, branches and bookmarks.
pub(super) async fn update(
    place: &Place<'_>,
    is_new: bool,
    writing: &Writing,
) -> Result<Refs, Error> {
    if is_new {
        let init = hardened(place.local("hg")).args(["init", "."]);
        init.lock(writing.share()?).output().await?;
    }
    let mut pull = hardened(place.online("hg"));
    if let Some(proxy) = place.gate.and_then(Gate::address) {
        pull = pull.args([
            format!("--config=http_proxy.host={proxy}"),
            "--config=http_proxy.always=True".to_owned(),
        ]);
    }
    if let Some(file) = &place.remote.options.ca_file {
        pull = pull.args([format!("--config=web.cacerts={}", file.display())]);
    }
    pull.args(["pull", "--quiet", "--force", "--", place.url()])
        .lock(writing.share()?)
        .output()
        .await?;
    let list = async |arguments: &[&str]| {
        let run = hardened(place.local("hg")).args(arguments.iter().copied());
        run.output().await.map(|output| output.stdout)
    };
    let mut refs = named(
        &list(&["tags", "--template", "{tag}\\t{node}\\n"]).await?,
        "refs/tags/",
    );
    refs.retain(|(name, _)| name != "refs/tags/tip");
    let branches = list(&["branches", "--closed", "--template", "{branch}\\t{node}\\n"]).await?;
    refs.extend(named(&branches, "refs/heads/"));
    let bookmarks = list(&["bookmarks", "--template", "{bookmark}\\t{node}\\n"]).await;
    refs.extend(named(&bookmarks.unwrap_or_default(), "refs/heads/"));
    let tip = list(&["log", "--rev=tip", "--template", "{node}"]).await?;
    if let Some(tip) = tip.to_str().ok().and_then(ObjectId::parse)
        && tip.as_str() != NOTHING
    {
        refs.push((BString::from("HEAD"), tip));
    }
    Refs::of(refs, place.limits.refs)
}

/// The commit whose hash begins with `digits`.
pub(super) async fn stat(place: &Place<'_>, digits: &str) -> Result<Option<CommitTime>, Error> {
    let output = hardened(place.local("hg"))
        .args(["log", "--limit=1"])
        .args([format!("--rev=id({digits})")])
        .args(["--template", "{node} {date|hgdate}"])
        .output_or(&[255])
        .await?;
    let text = output.stdout.to_str_lossy();
    if output.code != Some(0) || text.is_empty() {
        return Ok(None);
    }
    let mut fields = text.split(' ');
    let id = fields.next().and_then(ObjectId::parse);
    let time = fields.next().and_then(|seconds| seconds.parse().ok());
    let time = time.and_then(|seconds| Timestamp::from_second(seconds).ok());
    match (id, time) {
        (Some(id), Some(time)) => Ok(Some(CommitTime { id, time })),
        _ => Err(unexpected("hg log", &output.stdout)),
    }
}

pub(super) async fn file(
    place: &Place<'_>,
    commit: &ObjectId,
    path: &str,
) -> Result<Option<Vec<u8>>, Error> {
    let output = hardened(place.local("hg"))
        .args(["cat".to_owned(), format!("--rev={commit}")])
        .args(["--".to_owned(), format!("path:{path}")])
        .max_output(FILE_LIMIT)
        .output_or(&[1])
        .await?;
    Ok((output.code == Some(0)).then_some(output.stdout))
}

/// The commits before `commit`, and itself, that have tags.
pub(super) async fn tagged_before(
    place: &Place<'_>,
    commit: &ObjectId,
) -> Result<HashSet<ObjectId>, Error> {
    let output = hardened(place.local("hg"))
        .args(["log".to_owned()])
        .args([format!("--rev=ancestors({commit}) and tag()")])
        .args(["--template", "{node}\\n"])
        .output()
        .await?;
    let lines = output.stdout.lines();
    let ids = lines.filter_map(|line| ObjectId::parse(line.to_str().ok()?));
    Ok(ids.collect())
}

pub(super) async fn descends(
    place: &Place<'_>,
    commit: &ObjectId,
    ancestor: &ObjectId,
) -> Result<bool, Error> {
    let output = hardened(place.local("hg"))
        .args(["log".to_owned()])
        .args([format!("--rev=ancestors({commit}) and id({ancestor})")])
        .args(["--template", "{node}"])
        .output()
        .await?;
    Ok(!output.stdout.is_empty())
}

pub(super) async fn archive(
    place: &Place<'_>,
    commit: &ObjectId,
    archive: &File,
) -> Result<(), Error> {
    let file = emptied(archive)?;
    hardened(place.local("hg"))
        .args(["archive", "--type=tar", "--no-decode", "--prefix=prefix/"])
        .args([format!("--rev={commit}")])
        .args(["--", "-"])
        .max_output(place.limits.archive)
        .output_to(Sink::File(file), &[])
        .await
        .map(drop)
}
