//! Lexical path rules of Go's path/filepath. The file system is not asked.

use std::path::{Component, Path, PathBuf};

/// Shortest path equal to `path` by text alone (filepath.Clean): no `.`, no inner `..`, no double
/// separators.
pub fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match cleaned.components().next_back() {
                Some(Component::Normal(_)) => {
                    cleaned.pop();
                }
                Some(Component::RootDir) => {}
                _ => cleaned.push(component),
            },
            _ => cleaned.push(component),
        }
    }
    if cleaned.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        cleaned
    }
}

/// A path as text. Paths come from text here, so nothing is lost.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_filepath_clean_does() {
        let rows = [
            ("", "."),
            (".", "."),
            ("/", "/"),
            ("//", "/"),
            ("/a//b/", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/..", "/"),
            ("/../a", "/a"),
            ("..", ".."),
            ("../../a/..", "../.."),
            ("a/../..", ".."),
            ("a/..", "."),
            ("./a", "a"),
        ];
        for (path, expected) in rows {
            assert_eq!(text(&clean(Path::new(path))), expected, "{path:?}");
        }
    }
}
