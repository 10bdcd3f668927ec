//! Go's `path.Clean`, as a test.

/// Whether Go's `path.Clean` would leave `path` as it is: no empty or `.` elements, no `..` but at the start
/// of a relative path, no slash at the end.
pub(crate) fn is_clean(path: &[u8]) -> bool {
    if matches!(path, b"." | b"/") {
        return true;
    }
    let (rooted, elements) = match path.strip_prefix(b"/") {
        Some(rest) => (true, rest),
        None => (false, path),
    };
    let mut may_go_up = !rooted;
    elements
        .split(|&byte| byte == b'/')
        .all(|element| match element {
            b"" | b"." => false,
            b".." => may_go_up,
            _ => {
                may_go_up = false;
                true
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_paths_are_told_from_others() {
        for clean in [
            ".", "/", "a", "a/b", "/a", "..", "../a", "../../a", "a..", "...", ".a/b", "a/...",
            "a b",
        ] {
            assert!(is_clean(clean.as_bytes()), "{clean}");
        }
        for other in [
            "", "./a", "a/", "a//b", "a/.", "a/./b", "a/..", "a/../b", "../a/..", "//", "/..",
            "/a/", "./",
        ] {
            assert!(!is_clean(other.as_bytes()), "{other}");
        }
    }
}
