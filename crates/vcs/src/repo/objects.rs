//! What a commit contains.

use std::fs::File;
use std::io::Seek as _;
use std::path::Path;
use std::sync::Arc;

use bstr::{BStr, ByteSlice as _};
use jiff::Timestamp;

use super::seen::Seen;
use super::{ObjectId, Snapshot};
use crate::error::Error;
use crate::runner::Sink;

/// Most bytes of a file that is read as a whole: what go.mod and LICENSE may have.
pub(super) const FILE_LIMIT: u64 = 16 << 20;

/// A commit and when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitTime {
    pub(crate) id: ObjectId,
    pub(crate) time: Timestamp,
}

impl Snapshot {
    /// Fetches `commit`, to which `via` leads, and tells when it was made. It is an unknown revision when it is no
    /// commit.
    pub(crate) async fn commit(
        &self,
        commit: &ObjectId,
        via: Option<&BStr>,
    ) -> Result<CommitTime, Error> {
        let (seen, here) = self.seen();
        if let Some(known) = seen.time(here, commit) {
            return Ok(known);
        }
        let found = healing!(
            self,
            directory = self.content(commit, via),
            self.commit_in(&directory, commit)
        )?;
        seen.keep_time(here, found.clone());
        Ok(found)
    }

    pub(super) fn seen(&self) -> (&Seen, u64) {
        (&self.repository.workshop.seen, self.repository.seen_as)
    }

    async fn commit_in(&self, directory: &Path, commit: &ObjectId) -> Result<CommitTime, Error> {
        if let Some(found) = self.gather(directory, commit).await? {
            return Ok(found);
        }
        let output = self
            .runner()
            .git(Some(directory))
            .args([
                "log",
                "-n1",
                "--no-decorate",
                "--format=format:%ct",
                "--end-of-options",
            ])
            .args([commit.as_str(), "--"])
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let seconds = text.trim().parse().ok();
        let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        Ok(CommitTime {
            id: commit.clone(),
            time: time.ok_or(Error::Unexpected {
                tool: "git log",
                output: text,
            })?,
        })
    }

    /// The bytes of the file at `path` of `commit`, as they were committed; `None` when there is no file.
    pub(crate) async fn file(
        &self,
        commit: &ObjectId,
        path: &str,
    ) -> Result<Option<Arc<[u8]>>, Error> {
        if path.starts_with("../") || path.contains(['\0', '\n']) {
            return Ok(None);
        }
        let (seen, here) = self.seen();
        if let Some(content) = seen.file(here, commit, path) {
            return Ok(content);
        }
        let content = healing!(
            self,
            directory = self.content(commit, None),
            self.read(&directory, commit, path)
        )?;
        seen.keep_file(here, commit, path, content.clone());
        Ok(content)
    }

    /// In two steps, because a file that is missing in a commit must not be confused with one that is missing in a
    /// broken repository.
    async fn read(
        &self,
        directory: &Path,
        commit: &ObjectId,
        path: &str,
    ) -> Result<Option<Arc<[u8]>>, Error> {
        let listed = self
            .runner()
            .git(Some(directory))
            .args(["ls-tree", "-z", "--full-tree", "--end-of-options"])
            .args([commit.as_str(), path])
            .output()
            .await?;
        let Some(blob) = blob_in(&listed.stdout, path) else {
            return Ok(None);
        };
        let read = self
            .runner()
            .git(Some(directory))
            .args(["cat-file", "blob", blob.as_str()])
            .max_output(FILE_LIMIT)
            .output()
            .await;
        match read {
            Ok(output) => Ok(Some(output.stdout.into())),
            Err(Error::Tool(crate::error::ToolFault::OutputTooLarge { limit, .. })) => {
                Err(Error::FileTooLarge {
                    what: path.to_owned(),
                    limit,
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the files of `commit` below `directory` (empty: all) to `archive`, as a tar archive with `prefix/`
    /// before their names. They are converted as for a checkout, which is what `go` hashes.
    pub(crate) async fn archive(
        &self,
        commit: &ObjectId,
        directory: &str,
        archive: &File,
    ) -> Result<(), Error> {
        healing!(
            self,
            repository = self.content(commit, None),
            self.archive_in(&repository, commit, directory, archive)
        )
    }

    async fn archive_in(
        &self,
        repository: &Path,
        commit: &ObjectId,
        directory: &str,
        archive: &File,
    ) -> Result<(), Error> {
        let begin = || {
            let mut file = archive.try_clone()?;
            file.set_len(0)?;
            file.rewind()?;
            Ok(file)
        };
        let file = begin().map_err(Error::io("writing an archive"))?;
        self.runner()
            .git(Some(repository))
            .args([
                "archive",
                "--format=tar",
                "--prefix=prefix/",
                "--end-of-options",
            ])
            .args([commit.as_str()])
            .args((!directory.is_empty()).then_some(directory))
            .max_output(self.limits().archive)
            .output_to(Sink::File(file), &[])
            .await
            .map(drop)
    }
}

/// The blob of `path` in what `git ls-tree -z` wrote.
fn blob_in(listed: &[u8], path: &str) -> Option<ObjectId> {
    listed.split_str("\0").find_map(|entry| {
        let (kind, name) = entry.split_once_str("\t")?;
        let mut fields = kind.to_str().ok()?.split(' ').skip(1);
        let is_blob = fields.next() == Some("blob") && name == path.as_bytes();
        is_blob.then(|| ObjectId::parse(fields.next()?)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_blob_of_that_name_counts() {
        let id = "a".repeat(40);
        let listed = format!("040000 tree {id}\tgo.mod\0100644 blob {id}\tsub/go.mod\0");
        assert_eq!(blob_in(listed.as_bytes(), "go.mod"), None);
        assert_eq!(
            blob_in(listed.as_bytes(), "sub/go.mod").unwrap().as_str(),
            id
        );
        assert_eq!(blob_in(b"", "go.mod"), None);
    }
}
