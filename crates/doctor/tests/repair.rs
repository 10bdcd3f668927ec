//! The module cache of the real `go`, damaged and put right.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use doctor::repair::{RepairError, Workshop};
use goenv::Environment;
use gomod::{ModulePath, Version};
use testkit::{Fault, Go, Module, Tree, UpstreamServer};

const MODULE: &str = "example.com/sample";
const VERSION: &str = "v1.2.3";
const PATIENCE: Duration = Duration::from_mins(1);

/// A project whose only module is in the cache.
struct Scene {
    go: Go,
    upstream: UpstreamServer,
    project: tempfile::TempDir,
    _tree: Tree,
}

impl Scene {
    fn new() -> Self {
        let tree = Tree::temporary();
        tree.add(&Module::new(MODULE, VERSION));
        tree.add(&Module::new(MODULE, "v1.1.0"));
        let upstream = UpstreamServer::serve(tree.root());
        let go = Go::find().proxy(&upstream.url()).sumdb("off");
        let project = tempfile::tempdir().unwrap();
        let text = format!("module example.org/own\n\ngo 1.21\n\nrequire {MODULE} {VERSION}\n");
        fs::write(project.path().join("go.mod"), text).unwrap();
        go.run(project.path(), &["mod", "download", "all"])
            .expect_success();
        for version in [VERSION, "v1.1.0"] {
            let one = format!("{MODULE}@{version}");
            go.run(go.home(), &["mod", "download", &one])
                .expect_success();
        }
        Self {
            go,
            upstream,
            project,
            _tree: tree,
        }
    }

    fn workshop(&self) -> Workshop {
        let command = self.go.command(self.project.path());
        let variables = command.get_envs().filter_map(|(name, value)| {
            Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned()))
        });
        let mut environment: BTreeMap<String, String> = variables.collect();
        let directory = self
            .go
            .binary()
            .parent()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        environment.insert("PATH".to_owned(), directory);
        let environment = Environment::from_pairs(environment);
        Workshop::new(&environment, self.project.path()).unwrap()
    }

    fn file(&self, version: &str, ending: &str) -> PathBuf {
        let below = format!("cache/download/{MODULE}/@v/{version}.{ending}");
        self.go.module_cache().join(below)
    }

    /// Every file of the cache with its contents.
    fn picture(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut picture = BTreeMap::new();
        read(&self.go.module_cache(), &mut picture);
        picture
    }
}

fn read(directory: &Path, picture: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, picture);
        } else {
            picture.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

fn truncate(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn module() -> ModulePath {
    ModulePath::new(MODULE).unwrap()
}

#[tokio::test]
async fn a_damaged_zip_is_replaced_and_nothing_else() {
    let scene = Scene::new();
    let before = scene.picture();
    truncate(&scene.file(VERSION, "zip"));
    assert_ne!(scene.picture(), before);
    let workshop = scene.workshop();
    let repairs = workshop.repairs(&module(), None);
    assert_eq!(repairs.len(), 1, "only what is damaged");
    assert_eq!(repairs[0].module.to_string(), format!("{MODULE}@{VERSION}"));
    assert!(!repairs[0].damage.is_empty());
    assert!(repairs[0].paths.contains(&scene.file(VERSION, "zip")));
    assert!(!repairs[0].paths.contains(&scene.file(VERSION, "lock")));
    let asked = scene.upstream.requests().len();
    workshop
        .carry_out(&repairs[0], PATIENCE, std::future::pending())
        .await
        .unwrap();
    assert_eq!(scene.picture(), before);
    let requests = scene.upstream.requests();
    assert!(requests.len() > asked);
    assert!(workshop.repairs(&module(), None).is_empty());
}

#[tokio::test]
async fn a_changed_directory_is_extracted_anew() {
    let scene = Scene::new();
    let before = scene.picture();
    let directory = scene.go.module_cache().join(format!("{MODULE}@{VERSION}"));
    let go_mod = directory.join("go.mod");
    make_writable(&directory);
    make_writable(&go_mod);
    fs::write(&go_mod, "module changed\n").unwrap();
    let workshop = scene.workshop();
    let repairs = workshop.repairs(&module(), None);
    assert_eq!(repairs.len(), 1);
    assert!(repairs[0].paths.contains(&directory));
    workshop
        .carry_out(&repairs[0], PATIENCE, std::future::pending())
        .await
        .unwrap();
    assert_eq!(scene.picture(), before);
}

#[tokio::test]
async fn a_version_that_is_whole_is_downloaded_anew_when_it_is_named() {
    let scene = Scene::new();
    let before = scene.picture();
    let workshop = scene.workshop();
    assert!(workshop.repairs(&module(), None).is_empty());
    let version = Version::new("v1.1.0").unwrap();
    let repairs = workshop.repairs(&module(), Some(&version));
    assert!(repairs[0].damage.is_empty());
    let asked = scene.upstream.requests().len();
    workshop
        .carry_out(&repairs[0], PATIENCE, std::future::pending())
        .await
        .unwrap();
    assert!(scene.upstream.requests().len() > asked);
    assert_eq!(scene.picture(), before);
}

#[tokio::test]
async fn when_the_download_fails_everything_is_as_it_was() {
    let scene = Scene::new();
    truncate(&scene.file(VERSION, "zip"));
    let before = scene.picture();
    scene.upstream.fail("*.zip", Fault::status(500));
    let workshop = scene.workshop();
    let repairs = workshop.repairs(&module(), None);
    let error = workshop
        .carry_out(&repairs[0], PATIENCE, std::future::pending())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, RepairError::Download { words, .. } if words.contains("500")),
        "{error}"
    );
    assert_eq!(scene.picture(), before);
}

#[tokio::test]
async fn other_bytes_than_go_sum_says_are_not_taken() {
    let scene = Scene::new();
    let other = Tree::temporary();
    other.add(&Module::new(MODULE, VERSION).file("other.go", "package sample\n"));
    let before = scene.picture();
    let server = UpstreamServer::serve(other.root());
    let command = scene.go.command(scene.project.path());
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned())));
    let mut environment: BTreeMap<String, String> = variables.collect();
    environment.insert("GOPROXY".to_owned(), server.url());
    let directory = scene
        .go
        .binary()
        .parent()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    environment.insert("PATH".to_owned(), directory);
    let environment = Environment::from_pairs(environment);
    assert!(scene.project.path().join("go.sum").is_file());
    let workshop = Workshop::new(&environment, scene.project.path()).unwrap();
    let version = Version::new(VERSION).unwrap();
    let repairs = workshop.repairs(&module(), Some(&version));
    let error = workshop
        .carry_out(&repairs[0], PATIENCE, std::future::pending())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("checksum mismatch"), "{error}");
    assert_eq!(scene.picture(), before);
}

#[tokio::test]
async fn whoever_interrupts_it_finds_everything_as_it_was() {
    let scene = Scene::new();
    truncate(&scene.file(VERSION, "zip"));
    let before = scene.picture();
    let asked = scene.upstream.requests().len();
    scene.upstream.fail("*.zip", Fault::Hang);
    let workshop = scene.workshop();
    let repairs = workshop.repairs(&module(), None);
    let stop = async {
        while scene.upstream.requests().len() == asked {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let error = workshop
        .carry_out(&repairs[0], PATIENCE, stop)
        .await
        .unwrap_err();
    assert!(matches!(error, RepairError::Interrupted), "{error}");
    assert_eq!(scene.picture(), before);
}

#[tokio::test]
async fn a_version_that_go_works_on_is_left_alone() {
    let scene = Scene::new();
    truncate(&scene.file(VERSION, "zip"));
    let before = scene.picture();
    let lock = fs::File::open(scene.file(VERSION, "lock")).unwrap();
    lock.lock().unwrap();
    let workshop = scene.workshop();
    let repairs = workshop.repairs(&module(), None);
    let error = workshop
        .carry_out(
            &repairs[0],
            Duration::from_millis(200),
            std::future::pending(),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, RepairError::Locked { .. }), "{error}");
    assert_eq!(scene.picture(), before);
}

fn make_writable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = path.metadata().unwrap().permissions().mode();
    fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o200)).unwrap();
}
