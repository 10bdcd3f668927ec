//! Names that cannot be unpacked next to each other (x/mod zip `collisionChecker`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::fold::fold;
use crate::report::InvalidReason;

/// The names seen so far, and all their parent directories.
#[derive(Default)]
pub(crate) struct Names(HashMap<String, Name>);

struct Name {
    path: String,
    is_dir: bool,
}

impl Names {
    /// Adds `path` and its parent directories, or says with what it collides.
    ///
    /// All parents are looked at every time: one that collided before collides again for the next file in it.
    pub(crate) fn add(&mut self, path: &str, is_dir: bool) -> Result<(), InvalidReason> {
        self.add_one(path, is_dir)?;
        let mut child = path;
        while let Some((parent, _)) = child.rsplit_once('/') {
            self.add_one(parent, true)?;
            child = parent;
        }
        Ok(())
    }

    fn add_one(&mut self, path: &str, is_dir: bool) -> Result<(), InvalidReason> {
        let other = match self.0.entry(fold(path).into_owned()) {
            Entry::Vacant(free) => {
                free.insert(Name {
                    path: path.into(),
                    is_dir,
                });
                return Ok(());
            }
            Entry::Occupied(taken) => taken.into_mut(),
        };
        if other.path != path {
            Err(InvalidReason::CaseCollision {
                first: other.path.clone(),
                second: path.into(),
            })
        } else if other.is_dir != is_dir {
            Err(InvalidReason::FileAndDirectory(path.into()))
        } else if !is_dir {
            Err(InvalidReason::Duplicate(path.into()))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(paths: &[(&str, bool)]) -> Vec<String> {
        let mut names = Names::default();
        let verdict = |&(path, is_dir): &(&str, bool)| {
            names
                .add(path, is_dir)
                .err()
                .map_or("ok".into(), |reason| reason.to_string())
        };
        paths.iter().map(verdict).collect()
    }

    #[test]
    fn the_same_file_twice_collides_and_the_same_directory_does_not() {
        assert_eq!(
            verdicts(&[
                ("a/x", false),
                ("a/y", false),
                ("a", true),
                ("a", true),
                ("a/x", false)
            ]),
            ["ok", "ok", "ok", "ok", r#"multiple entries for file "a/x""#]
        );
    }

    #[test]
    fn a_file_and_a_directory_collide_in_either_order() {
        let both = r#"entry "a" is both a file and a directory"#;
        assert_eq!(verdicts(&[("a", false), ("a/x", false)]), ["ok", both]);
        assert_eq!(verdicts(&[("a/x", false), ("a", false)]), ["ok", both]);
    }

    #[test]
    fn names_that_differ_in_case_collide_and_so_do_directories() {
        assert_eq!(
            verdicts(&[
                ("dir/x", false),
                ("DIR/y", false),
                ("DIR/z", false),
                ("k", false),
                ("\u{212a}", false)
            ]),
            [
                "ok",
                r#"case-insensitive file name collision: "dir" and "DIR""#,
                r#"case-insensitive file name collision: "dir" and "DIR""#,
                "ok",
                "case-insensitive file name collision: \"k\" and \"\u{212a}\"",
            ]
        );
    }
}
