use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::module::{Module, escaped};

/// A folder in the layout of the `GOPROXY` protocol: `<escaped module>/@v/{list,<version>.info,.mod,.zip}` and
/// `@latest`. Any static web server, and `GOPROXY=file://`, can serve it.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    _temporary: Option<TempDir>,
}

impl Tree {
    /// An empty tree that vanishes with this value.
    pub fn temporary() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self {
            root: folder.path().to_path_buf(),
            _temporary: Some(folder),
        }
    }

    /// A tree at `root`, which may hold modules already, and stays.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        fs::create_dir_all(&root).expect("the tree's folder can be made");
        Self {
            root,
            _temporary: None,
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file of the tree, named as in a URL.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name.trim_start_matches('/'))
    }

    /// Publishes a version: its three files, and its line in `list`. Versions come in ascending order: `@latest` is the
    /// release added last, or else the pre-release. A pseudo-version is not listed, and `@latest` when there is nothing
    /// else.
    pub fn add(&self, module: &Module) {
        let stem = self.file(&module.stem());
        let folder = stem.parent().expect("a stem has a folder");
        fs::create_dir_all(folder).expect("a module's folder can be made");
        write(&with_ending(&stem, "info"), &module.info());
        write(&with_ending(&stem, "mod"), module.go_mod_text());
        let zip = File::create(with_ending(&stem, "zip")).expect("a zip can be made");
        module
            .write_zip(BufWriter::new(zip))
            .expect("a zip can be written");
        self.announce(module);
    }

    fn announce(&self, module: &Module) {
        let list = self.file(&format!("{}/@v/list", escaped(module.path())));
        let latest = self.file(&format!("{}/@latest", escaped(module.path())));
        let mut listed = fs::read_to_string(&list).unwrap_or_default();
        let pseudo = is_pseudo(module.version());
        if !pseudo && !listed.lines().any(|line| line == module.version()) {
            listed.push_str(module.version());
            listed.push('\n');
        }
        let released = |version: &str| !version.contains('-');
        let outranked = !released(module.version()) && listed.lines().any(released)
            || pseudo && !listed.is_empty();
        if !outranked {
            write(&latest, &module.info());
        }
        write(&list, &listed);
    }

    /// Publishes `count` tiny modules with one version each, and gives the path of each: for stores of a size that
    /// matters to look-ups.
    pub fn add_tiny_modules(&self, count: usize) -> Vec<String> {
        let version = "v1.0.0";
        (0..count)
            .map(|number| {
                let path = format!("example.com/tiny{:03}/m{number:06}", number % 500);
                self.add(&Module::new(&path, version).file("tiny.go", "package tiny\n"));
                path
            })
            .collect()
    }
}

/// Whether a version ends in a commit time and a commit, as `v0.0.0-20210304050607-abcdef123456` does.
fn is_pseudo(version: &str) -> bool {
    let mut parts = version.rsplit('-');
    let commit = parts.next().unwrap_or_default();
    let time = parts
        .next()
        .unwrap_or_default()
        .rsplit('.')
        .next()
        .unwrap_or_default();
    commit.len() == 12 && time.len() == 14 && time.bytes().all(|byte| byte.is_ascii_digit())
}

fn with_ending(stem: &Path, ending: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).expect("a file of the tree can be written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_listed_and_the_last_one_is_latest() {
        let tree = Tree::temporary();
        tree.add(&Module::new("example.com/Acme", "v1.0.0"));
        tree.add(&Module::new("example.com/Acme", "v1.1.0-rc.1"));
        tree.add(&Module::new("example.com/Acme", "v1.0.0"));
        let read = |name: &str| fs::read_to_string(tree.file(name)).unwrap();
        assert_eq!(read("example.com/!acme/@v/list"), "v1.0.0\nv1.1.0-rc.1\n");
        assert!(read("/example.com/!acme/@latest").contains(r#""Version":"v1.0.0""#));
        assert!(tree.file("example.com/!acme/@v/v1.1.0-rc.1.zip").is_file());
    }

    #[test]
    fn a_pseudo_version_is_latest_but_not_listed() {
        let tree = Tree::temporary();
        tree.add(&Module::new(
            "example.com/a",
            "v0.0.0-20210304050607-abcdef123456",
        ));
        let list = fs::read_to_string(tree.file("example.com/a/@v/list")).unwrap();
        assert_eq!(list, "");
        assert!(tree.file("example.com/a/@latest").is_file());
    }

    #[test]
    fn tiny_modules_have_paths_of_their_own() {
        let tree = Tree::temporary();
        let paths = tree.add_tiny_modules(501);
        assert_eq!(paths.len(), 501);
        for path in &paths {
            assert!(
                tree.file(&format!("{path}/@v/v1.0.0.info")).is_file(),
                "{path}"
            );
        }
    }
}
