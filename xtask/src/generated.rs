//! Files that are made from the source code, and must not drift from it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use testkit::workspace_root;

/// Writes the files, or only compares them.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = workspace_root();
    let mut stale = Vec::new();
    let files = cli::reference::files();
    for (path, made) in &files {
        if let Some(difference) = update(&root.join(path), made, check)? {
            println!(
                "{}{}: {difference}",
                if check { "stale: " } else { "wrote " },
                path
            );
            stale.push(path);
        }
    }
    if check && !stale.is_empty() {
        bail!(
            "{} generated files are stale: run `cargo xtask gen` and commit the result",
            stale.len()
        );
    }
    println!("{} generated files, {} differed", files.len(), stale.len());
    Ok(())
}

/// Brings a file up to date, unless it is only to be checked. Tells how it differed, if it did.
fn update(file: &Path, made: &str, check: bool) -> Result<Option<String>> {
    let found = match fs::read_to_string(file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
    };
    let difference = match found.as_deref() {
        Some(text) if text == made => return Ok(None),
        Some(text) => first_difference(text, made),
        None => "there was no such file".to_owned(),
    };
    if !check {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        fs::write(file, made).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(Some(difference))
}

fn first_difference(found: &str, made: &str) -> String {
    let (mut old, mut new) = (found.lines(), made.lines());
    for number in 1.. {
        match (old.next(), new.next()) {
            (Some(left), Some(right)) if left == right => {}
            (None, None) => break,
            (left, right) => {
                let quote = |line: Option<&str>| {
                    line.map_or("the end".to_owned(), |text| format!("{text:?}"))
                };
                return format!(
                    "line {number} is {}, and would be {}",
                    quote(left),
                    quote(right)
                );
            }
        }
    }
    "line ends differ".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checking_tells_the_first_difference_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b.md");
        assert_eq!(
            update(&file, "x\n", true).unwrap().as_deref(),
            Some("there was no such file")
        );
        assert!(!file.exists());
        update(&file, "one\ntwo\n", false).unwrap();
        let difference = update(&file, "one\n2\n", true).unwrap().unwrap();
        assert_eq!(difference, r#"line 2 is "two", and would be "2""#);
        assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\n");
        assert!(
            update(&file, "one\n", true)
                .unwrap()
                .unwrap()
                .contains("would be the end")
        );
        assert_eq!(
            update(&file, "one\r\ntwo\n", true).unwrap().as_deref(),
            Some("line ends differ")
        );
    }

    #[test]
    fn writing_brings_a_file_up_to_date_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.md");
        assert!(update(&file, "x\n", false).unwrap().is_some());
        assert_eq!(update(&file, "x\n", false).unwrap(), None);
        assert_eq!(update(&file, "x\n", true).unwrap(), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(update(folder.path(), "x\n", true).is_err());
    }
}
