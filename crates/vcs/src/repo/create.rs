//! An empty repository, as `git init --bare` makes it (gitrepository-layout(5)), without starting git for it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::error::Error;

/// Makes an empty repository at `directory`. It is either there whole or not at all.
pub(super) fn create(directory: &Path, sha256: bool) -> Result<(), Error> {
    let make = || {
        let parent = directory.parent().unwrap_or(directory);
        let draft = tempfile::Builder::new()
            .prefix("git.new-")
            .tempdir_in(parent)?;
        for folder in [
            "objects/info",
            "objects/pack",
            "refs/heads",
            "refs/tags",
            "info",
        ] {
            fs::create_dir_all(draft.path().join(folder))?;
        }
        let write = |name: &str, content: &str| {
            let mut file = fs::File::create(draft.path().join(name))?;
            file.write_all(content.as_bytes())
        };
        write("HEAD", "ref: refs/heads/main\n")?;
        let kind = if sha256 {
            "\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n"
        } else {
            "\trepositoryformatversion = 0\n"
        };
        write("config", &format!("[core]\n\tbare = true\n{kind}"))?;
        // Or else the files of a module would depend on what `git archive` was asked for.
        write("info/attributes", "* -export-subst -export-ignore\n")?;
        fs::rename(draft.path(), directory)?;
        // It has moved.
        let _gone = draft.keep();
        Ok::<(), io::Error>(())
    };
    make().map_err(Error::io(format!("creating {}", directory.display())))
}

/// Whether the repository at `directory` can have objects of this kind.
pub(super) fn is_kind(directory: &Path, sha256: bool) -> bool {
    fs::read_to_string(directory.join("config"))
        .is_ok_and(|config| config.contains("objectformat = sha256") == sha256)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn git_takes_it_for_a_repository_of_its_kind() {
        let root = tempfile::tempdir().unwrap();
        for (sha256, format) in [(false, "sha1"), (true, "sha256")] {
            let directory = root.path().join(format);
            create(&directory, sha256).unwrap();
            assert!(is_kind(&directory, sha256) && !is_kind(&directory, !sha256));
            let output = Command::new("git")
                .args(["rev-parse", "--show-object-format", "--is-bare-repository"])
                .env("GIT_DIR", &directory)
                .output()
                .unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(said, format!("{format}\ntrue\n"));
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }
}
