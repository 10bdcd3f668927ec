//! Subversion: nothing is copied, the server is asked each time. As for go, its tags are no versions.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use bstr::{BStr, BString, ByteSlice as _};
use jiff::Timestamp;

use super::{FILE_LIMIT, Place, scratch, unexpected};
use crate::error::{Error, ToolFault};
use crate::repo::{CommitTime, ObjectId, Refs};
use crate::runner::{Gate, Run};

/// Bytes of a block of a tar archive.
const BLOCK: usize = 512;

fn svn<'a>(place: &'a Place<'_>) -> Run<'a> {
    let configuration = place.runner.settings().directory.join("home/subversion");
    let mut run = place
        .online("svn")
        // Names are what the repository has, whatever they are written in.
        .variable("LC_ALL", "C.UTF-8")
        .args(["--non-interactive", "--no-auth-cache"])
        .args([format!("--config-dir={}", configuration.display())]);
    let mut options = Vec::new();
    if let Some(proxy) = place.gate.and_then(Gate::address) {
        options.push(format!("http-proxy-host={}", proxy.ip()));
        options.push(format!("http-proxy-port={}", proxy.port()));
    }
    if let Some(file) = &place.remote.options.ca_file {
        options.push(format!("ssl-authority-files={}", file.display()));
    }
    for option in options {
        run = run.args([format!("--config-option=servers:global:{option}")]);
    }
    run
}

/// The newest revision.
pub(super) async fn update(place: &Place<'_>) -> Result<Refs, Error> {
    let output = svn(place)
        .args(["log", "--limit=1", "--xml", "--", place.url()])
        .output()
        .await?;
    let head = parse(&output.stdout).ok_or_else(|| unexpected("svn log", &output.stdout))?;
    Refs::of(vec![(BString::from("HEAD"), head.id)], place.limits.refs)
}

/// The last change of the module up to the revision `number`.
pub(super) async fn stat(place: &Place<'_>, number: &str) -> Result<Option<CommitTime>, Error> {
    let output = svn(place)
        .args(["log", "--limit=1", "--xml", "--"])
        .args([format!("{}@{number}", place.url())])
        .output_or(&[1])
        .await?;
    let is_there = output.code == Some(0);
    // What is no revision, or not yet, is told from a server that does not answer.
    if !is_there && !is_absent(&output.stderr) {
        return Err(failed("svn log", &output.stderr));
    }
    match parse(&output.stdout).filter(|_| is_there) {
        Some(found) => Ok(Some(found)),
        None => Ok(None),
    }
}

/// `No such revision`, `not found`, `path not found`, `illegal target`.
fn is_absent(messages: &[u8]) -> bool {
    ["E160006", "E160013", "W160013", "E195012", "E205000"]
        .iter()
        .any(|code| messages.contains_str(code))
}

fn failed(what: &str, messages: &[u8]) -> Error {
    ToolFault::Failed {
        what: what.to_owned(),
        status: "exit status 1".to_owned(),
        label: fault::Label::GitTransferBroken,
        stderr: messages.to_str_lossy().chars().take(1000).collect(),
    }
    .into()
}

fn parse(xml: &[u8]) -> Option<CommitTime> {
    let (_, entry) = xml.split_once_str("<logentry")?;
    let number = between(entry, b"revision=\"", b"\"")?;
    let date = between(entry, b"<date>", b"</date>")?;
    let time: Timestamp = date.to_str().ok()?.trim().parse().ok()?;
    Some(CommitTime {
        id: ObjectId::number(number.to_str().ok()?.parse().ok()?),
        time,
    })
}

fn between<'a>(text: &'a [u8], before: &[u8], behind: &[u8]) -> Option<&'a BStr> {
    let (_, rest) = text.split_once_str(before)?;
    let (found, _) = rest.split_once_str(behind)?;
    Some(found.as_bstr())
}

pub(super) async fn file(
    place: &Place<'_>,
    commit: &ObjectId,
    path: &str,
) -> Result<Option<Vec<u8>>, Error> {
    let output = svn(place)
        .args(["cat", "--"])
        .args([format!("{}/{path}@{commit}", place.url())])
        .max_output(FILE_LIMIT)
        .output_or(&[1])
        .await?;
    if output.code == Some(0) {
        return Ok(Some(output.stdout));
    }
    if is_absent(&output.stderr) || output.stderr.contains_str("E200009") {
        return Ok(None);
    }
    Err(failed("svn cat", &output.stderr))
}

/// There is no command that makes an archive: the files are exported, and put into one under the names that the
/// repository has for them.
pub(super) async fn archive(
    place: &Place<'_>,
    commit: &ObjectId,
    archive: &File,
) -> Result<(), Error> {
    let revision = format!("--revision={commit}");
    let listed = svn(place)
        .args(["list", "--xml", "--incremental", "--recursive"])
        .args([revision.as_str(), "--", place.url()])
        .output()
        .await?;
    let files = files(&listed.stdout).ok_or_else(|| unexpected("svn list", &listed.stdout))?;
    let folder = scratch(place)?;
    let export = folder.path().join("files");
    svn(place)
        .args(["export", "--quiet", "--native-eol=LF"])
        .args(["--ignore-externals", "--ignore-keywords"])
        .args([revision.as_str(), "--", place.url()])
        .args([export.as_os_str()])
        .disk(folder.path(), place.limits.archive)
        .output()
        .await?;
    let archive = archive
        .try_clone()
        .map_err(Error::io("writing an archive"))?;
    let packed = tokio::task::spawn_blocking(move || {
        let packed = pack(&export, &files, archive);
        drop(folder);
        packed.map_err(Error::io("packing what svn has exported"))
    });
    packed.await.unwrap_or(Err(Error::Lost))
}

/// The names and sizes of files.
fn files(xml: &[u8]) -> Option<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for entry in xml.split_str("<entry").skip(1) {
        if between(entry, b"kind=\"", b"\"")? != "file" {
            continue;
        }
        let name = unescaped(between(entry, b"<name>", b"</name>")?.to_str().ok()?)?;
        let size = between(entry, b"<size>", b"</size>")?;
        files.push((name, size.to_str().ok()?.trim().parse().ok()?));
    }
    Some(files)
}

/// Text of XML without its entities.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('&');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';')?;
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
        plain.push_str(rest);
    }
    Some(plain)
}

/// Writes a tar archive of regular files, each with its name in an extended header (POSIX.1-2001, pax).
fn pack(export: &Path, files: &[(String, u64)], mut archive: File) -> io::Result<()> {
    archive.set_len(0)?;
    archive.rewind()?;
    let mut archive = io::BufWriter::with_capacity(256 << 10, archive);
    for (name, size) in files {
        let is_below = !name.split('/').any(|part| matches!(part, "" | "." | ".."));
        let path = export.join(name);
        let kind = path.symlink_metadata();
        if !is_below || kind.as_ref().is_ok_and(std::fs::Metadata::is_symlink) {
            // A link is no file of a module, and leads anywhere.
            continue;
        }
        let file = File::open(&path)?;
        let found = file.metadata()?;
        if !found.is_file() || found.len() != *size {
            return Err(io::Error::other(format!(
                "{name} is listed with {size} bytes, and exported with {}",
                found.len()
            )));
        }
        let record = record("path", &format!("prefix/{name}"));
        archive.write_all(&header(b'x', record.len() as u64))?;
        archive.write_all(&padded(record.as_bytes()))?;
        archive.write_all(&header(b'0', *size))?;
        let copied = io::copy(&mut file.take(*size), &mut archive)?;
        let block = BLOCK as u64;
        let rest = copied.next_multiple_of(block) - copied;
        io::copy(&mut io::repeat(0).take(rest), &mut archive)?;
    }
    archive.write_all(&[0; 2 * BLOCK])?;
    archive.flush()
}

/// `<length> <key>=<value>\n`, whose length counts its own digits.
fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    loop {
        let whole = length.to_string().len() + rest.len();
        if whole == length {
            return format!("{length}{rest}");
        }
        length = whole;
    }
}

fn header(kind: u8, size: u64) -> Vec<u8> {
    let mut header = b"x".to_vec();
    header.resize(124, 0);
    // Sizes of more than eight gigabytes do not come this far.
    header.extend_from_slice(format!("{size:011o}\0").as_bytes());
    header.resize(156, 0);
    header.push(kind);
    header.resize(BLOCK, 0);
    header
}

fn padded(content: &[u8]) -> Vec<u8> {
    let mut padded = content.to_vec();
    padded.resize(content.len().next_multiple_of(BLOCK), 0);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_entry_of_a_log_counts() {
        let xml =
            b"<?xml version=\"1.0\"?>\n<log>\n<logentry\n   revision=\"22\">\n<author>a</author>\n\
            <date>2020-01-02T03:04:05.678901Z</date>\n<msg>x</msg>\n</logentry>\n</log>\n";
        let found = parse(xml).unwrap();
        assert_eq!(found.id.short(), "000000000022");
        assert_eq!(found.time.to_string(), "2020-01-02T03:04:05.678901Z");
        for nonsense in ["", "<log></log>", "<logentry revision=\"x\"><date></date>"] {
            assert!(parse(nonsense.as_bytes()).is_none());
        }
    }

    #[test]
    fn names_are_read_without_their_entities() {
        let xml = b"<entry\n kind=\"dir\"><name>d</name></entry><entry\n kind=\"file\">\n<name>a &amp; b&#x41;&#66;</name>\n<size>3</size></entry>";
        assert_eq!(files(xml).unwrap(), [("a & bAB".to_owned(), 3)]);
        assert!(unescaped("a&b").is_none() && unescaped("&nope;").is_none());
    }

    #[test]
    fn a_record_knows_its_own_length() {
        for length in [1, 84, 85, 86, 87, 88, 984, 985, 990, 991, 992] {
            let record = record("path", &"x".repeat(length));
            let (said, _) = record.split_once(' ').unwrap();
            assert_eq!(said.parse::<usize>().unwrap(), record.len());
        }
    }
}
