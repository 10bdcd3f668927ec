//! The Go tree that the `go` command of this environment belongs to, found without running it
//! (cfg.go, `findGOROOT`).

use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::paths::clean;

/// The tree of the `go` found first in `PATH`, if it lies in one.
pub(crate) fn of_program_in_path(environment: &Environment) -> Option<PathBuf> {
    let program = environment.look_path(&format!("go{}", std::env::consts::EXE_SUFFIX))?;
    let program = std::path::absolute(program).ok()?;
    let resolved = program.canonicalize().ok()?;
    // The kernel tells a program its resolved path on Linux, and the one it was called by
    // elsewhere.
    let as_called = if cfg!(target_os = "linux") {
        None
    } else {
        tree_around(&program)
    };
    as_called.or_else(|| tree_around(&resolved))
}

/// A release has `bin/go`, a cross-compiled one `bin/linux_arm64/go`.
fn tree_around(program: &Path) -> Option<PathBuf> {
    let two_up = clean(&program.join("../.."));
    let three_up = clean(&program.join("../../.."));
    [two_up, three_up]
        .into_iter()
        .find(|tree| tree.join("pkg/tool").is_dir())
}

/// The release a tree says it is, such as `go1.26.1`. Trees built from a working copy may not say.
pub(crate) fn version_of(tree: &Path) -> Option<String> {
    let text = std::fs::read_to_string(tree.join("VERSION")).ok()?;
    let line = text.lines().next()?.trim();
    line.starts_with("go").then(|| line.to_owned())
}

/// True for releases older than 1.21, which had their defaults built in and no `go.env`.
pub(crate) fn has_built_in_defaults(version: &str) -> bool {
    let minor = version.strip_prefix("go1.").map(|rest| {
        rest.split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap_or_default()
    });
    minor
        .and_then(|minor| minor.parse::<u32>().ok())
        .is_some_and(|minor| minor < 21)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn program(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn environment(dir: &Path) -> Environment {
        Environment::from_pairs([("PATH", dir.to_str().unwrap())])
    }

    #[test]
    fn the_tree_is_found_around_the_program() {
        let root = tempfile::tempdir().unwrap();
        let tree = root.path().canonicalize().unwrap().join("go");
        program(&tree.join("bin/go"));
        program(&tree.join("bin/linux_arm64/go"));
        assert_eq!(
            of_program_in_path(&environment(&tree.join("bin"))),
            None,
            "no pkg/tool yet"
        );
        fs::create_dir_all(tree.join("pkg/tool")).unwrap();
        assert_eq!(
            of_program_in_path(&environment(&tree.join("bin"))),
            Some(tree.clone())
        );
        assert_eq!(
            of_program_in_path(&environment(&tree.join("bin/linux_arm64"))),
            Some(tree.clone())
        );

        let links = root.path().join("links");
        fs::create_dir(&links).unwrap();
        symlink(tree.join("bin/go"), links.join("go")).unwrap();
        assert_eq!(of_program_in_path(&environment(&links)), Some(tree));
    }

    #[test]
    fn without_a_program_there_is_no_tree() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(of_program_in_path(&environment(root.path())), None);
    }

    #[test]
    fn the_version_file_tells_the_release() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(version_of(root.path()), None);
        fs::write(
            root.path().join("VERSION"),
            "go1.22.3\ntime 2024-05-01T00:00:00Z\n",
        )
        .unwrap();
        assert_eq!(version_of(root.path()).as_deref(), Some("go1.22.3"));
        fs::write(root.path().join("VERSION"), "devel").unwrap();
        assert_eq!(version_of(root.path()), None);
    }

    #[test]
    fn defaults_moved_to_a_file_in_1_21() {
        for (version, expected) in [
            ("go1.20.14", true),
            ("go1.9", true),
            ("go1.21rc2", false),
            ("go1.26.1", false),
            ("go2", false),
        ] {
            assert_eq!(has_built_in_defaults(version), expected, "{version}");
        }
    }
}
