use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gomod::gosum::{GoSum, Verdict};

use crate::ProjectError;

/// The files with hashes that count for a project: go.sum; in a workspace go.work.sum and go.sum of each member, none of
/// which may contradict what is downloaded (Go's `modfetch.haveModSumLocked`).
#[derive(Clone, Debug, Default)]
pub struct SumFiles(Vec<SumFile>);

#[derive(Clone, Debug)]
struct SumFile {
    /// As a message of the `go` command has it.
    shown: String,
    sums: GoSum,
}

/// A file that lists another hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contradiction {
    pub(crate) file: String,
    /// The first hash there.
    pub(crate) listed: String,
}

impl SumFiles {
    /// Of a module: the file beside its go.mod file.
    pub(crate) fn of_module(directory: &Path) -> Result<Self, ProjectError> {
        let mut files = Self::default();
        files.add("go.sum".to_owned(), &directory.join("go.sum"))?;
        Ok(files)
    }

    /// Of a workspace, by the directories of its members.
    pub(crate) fn of_workspace(
        work_file: &Path,
        members: impl IntoIterator<Item = PathBuf>,
    ) -> Result<Self, ProjectError> {
        let own = work_file.with_extension("work.sum");
        let mut files = Self::default();
        files.add("go.work.sum".to_owned(), &own)?;
        for directory in members {
            let path = directory.join("go.sum");
            files.add(path.display().to_string(), &path)?;
        }
        Ok(files)
    }

    fn add(&mut self, shown: String, path: &Path) -> Result<(), ProjectError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => {
                let path = path.to_path_buf();
                return Err(ProjectError::Io { path, source });
            }
        };
        let sums = GoSum::parse(&path.to_string_lossy(), &text)?;
        self.0.push(SumFile { shown, sums });
        Ok(())
    }

    /// The lines of all files, as one file.
    pub fn all(&self) -> GoSum {
        let mut all = GoSum::default();
        for (path, version, hash) in self.0.iter().flat_map(|file| file.sums.iter()) {
            all.add(path, version, hash);
        }
        all
    }

    /// The files that list another hash than this one.
    pub(crate) fn contradictions(
        &self,
        path: &str,
        version: &str,
        hash: &str,
    ) -> Vec<Contradiction> {
        self.0
            .iter()
            .filter(|file| file.sums.verify(path, version, hash) == Verdict::Mismatch)
            .map(|file| Contradiction {
                file: file.shown.clone(),
                listed: file
                    .sums
                    .lookup(path, version)
                    .first()
                    .cloned()
                    .unwrap_or_default(),
            })
            .collect()
    }
}
