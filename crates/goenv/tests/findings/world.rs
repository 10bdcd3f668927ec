//! A machine on which settings are made: a home, a project and a Go tree of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use goenv::report::{Machine, Report};
use goenv::{Environment, Finding, lint};

/// A home, a project and a Go tree of their own.
pub(crate) struct World {
    dir: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut world = Self {
            dir: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        };
        world.file("go/VERSION", "go1.26.1\n");
        world.file(
            "go/go.env",
            "GOPROXY=https://proxy.golang.org,direct\nGOSUMDB=sum.golang.org\nGOTOOLCHAIN=auto\n",
        );
        world.file("go/bin/go", "");
        world.mode("go/bin/go", 0o755);
        fs::create_dir_all(world.at("go/pkg/tool")).unwrap();
        fs::create_dir_all(world.at("home/go/pkg/mod")).unwrap();
        fs::create_dir_all(world.at("project")).unwrap();
        fs::create_dir_all(world.at("root/tmp")).unwrap();
        let path = format!("{}:/usr/bin:/bin", world.at("go/bin").display());
        world.set("PATH", &path);
        let home = world.at("home").display().to_string();
        world.set("HOME", &home);
        world.set("GIT_CONFIG_NOSYSTEM", "1");
        world
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(its, _)| its != name);
        self.variables.push((
            name.to_owned(),
            value.replace(
                "{}",
                self.dir.path().canonicalize().unwrap().to_str().unwrap(),
            ),
        ));
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(
            path,
            text.replace(
                "{}",
                self.dir.path().canonicalize().unwrap().to_str().unwrap(),
            ),
        )
        .unwrap();
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn environment(&self) -> Environment {
        Environment::from_pairs(self.variables.clone())
    }

    pub(crate) fn report(&self) -> Report {
        Report::collect(Machine {
            environment: self.environment(),
            directory: self.at("project"),
            root: self.at("root"),
            process: None,
            patience: Duration::from_mins(1),
        })
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        lint::findings(&self.report())
    }
}

/// `NAME=value` sets a variable, `path: text` writes a file, `path:0600` sets its mode; `path:-`
/// removes it.
pub(crate) fn world(steps: &[&str]) -> World {
    let mut world = World::new();
    for step in steps {
        if let Some((path, text)) = step.split_once(": ") {
            world.file(path, text);
        } else if let Some((path, "-")) = step.rsplit_once(':') {
            fs::remove_file(world.at(path)).unwrap();
        } else if let Some((path, mode)) = step.rsplit_once(":0") {
            world.mode(path, u32::from_str_radix(mode, 8).unwrap());
        } else {
            let (name, value) = step.split_once('=').unwrap();
            world.set(name, value);
        }
    }
    world
}
