//! Mercurial.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bstr::{BStr, BString, ByteSlice as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{FILE_LIMIT, Known, Place, emptied, named, unexpected};
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
) -> Result<Known, Error> {
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
    let bookmarks = bookmarks.unwrap_or_default();
    refs.extend(named(&bookmarks, "refs/heads/"));
    let heads = list(&[
        "log",
        "--rev=sort(head(), rev)",
        "--template",
        "{branch}\\t{node}\\n",
    ])
    .await?;
    let sum = sum(&heads, &bookmarks);
    let tip = list(&["log", "--rev=tip", "--template", "{node}"]).await?;
    if let Some(tip) = tip.to_str().ok().and_then(ObjectId::parse)
        && tip.as_str() != NOTHING
    {
        refs.push((BString::from("HEAD"), tip));
    }
    Ok(Known {
        refs: Refs::of(refs, place.limits.refs)?,
        sum: Some(sum),
    })
}

/// The sum over the heads of all branches, oldest first, and over all bookmarks (`$GOROOT/lib/hg/goreposum.py`, asked of
/// the copy that go has made). Bookmarks of other repositories, which have their names behind an `@`, do not count.
fn sum(heads: &[u8], bookmarks: &[u8]) -> String {
    let mut branches: BTreeMap<&BStr, Vec<&[u8]>> = BTreeMap::new();
    for (branch, head) in pairs(heads) {
        branches.entry(branch.into()).or_default().push(head);
    }
    let mut hasher = Sha256::new();
    for (branch, heads) in branches {
        hasher.update(branch);
        for head in heads {
            hasher.update(b" ");
            hasher.update(bytes_of(head));
        }
        hasher.update(b"\n");
    }
    let own: BTreeMap<&[u8], &[u8]> = pairs(bookmarks)
        .filter(|(name, _)| !name.contains(&b'@') || name.ends_with(b"@"))
        .collect();
    for (bookmark, node) in own {
        hasher.update(bookmark);
        hasher.update(b"=");
        hasher.update(node);
        hasher.update(b"\n");
    }
    format!("r1:{}", STANDARD.encode(hasher.finalize()))
}

/// What stands before and behind the tab of each line.
fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.lines().filter_map(|line| line.rsplit_once_str("\t"))
}

/// What hexadecimal digits stand for.
fn bytes_of(digits: &[u8]) -> Vec<u8> {
    let value = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let pairs = digits.chunks_exact(2);
    pairs
        .filter_map(|pair| Some(value(*pair.first()?)? << 4 | value(*pair.last()?)?))
        .collect()
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
