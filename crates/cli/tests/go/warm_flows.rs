//! What was warmed is enough for whatever `go` does with a project as it is, when everything upstream is dead.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testkit::{ChecksumDatabase, Fault, Go, Modkeep, ModkeepCommand, Module, Tree, UpstreamServer};

use crate::scene::BINARY;

const DATABASE: &str = "sum.example.com";

/// A private upstream with some of the modules, a public one with the others, and a project that needs both.
struct Stage {
    private: UpstreamServer,
    public: UpstreamServer,
    database: ChecksumDatabase,
    folder: TempDir,
    _trees: [Tree; 2],
}

/// A package that imports others.
fn package(name: &str, imports: &[&str]) -> String {
    let imports: Vec<String> = imports
        .iter()
        .map(|path| format!("import _ \"{path}\""))
        .collect();
    format!("package {name}\n\n{}\n", imports.join("\n"))
}

fn library(path: &str, version: &str, go: &str, requires: &str, imports: &[&str]) -> Module {
    let name = path.rsplit('/').next().unwrap();
    Module::new(path, version)
        .go_mod(&format!("module {path}\n\n{go}\n{requires}"))
        .file(&format!("{name}.go"), &package(name, imports))
}

impl Stage {
    fn new() -> Self {
        let trees = [Tree::temporary(), Tree::temporary()];
        let database = ChecksumDatabase::new(DATABASE, 3);
        let modules = [
            // Requires what no package of a project needs: it is selected, and never downloaded.
            library(
                "example.com/corp/app",
                "v1.0.0",
                "go 1.21",
                "require (\n\texample.com/lib v1.1.0\n\texample.com/onlytests v1.0.0\n)\n",
                &["example.com/lib"],
            ),
            library("example.com/lib", "v1.0.0", "go 1.21", "", &[]),
            library(
                "example.com/lib",
                "v1.1.0",
                "go 1.21",
                "require example.com/deep v0.3.0\n",
                &["example.com/deep"],
            ),
            library("example.com/lib", "v1.2.0", "go 1.21", "", &[]),
            // From before graph pruning: all that it leads to is read.
            library(
                "example.com/deep",
                "v0.3.0",
                "",
                "require example.com/old v2.0.0+incompatible\n",
                &["example.com/old"],
            ),
            Module::new("example.com/old", "v2.0.0+incompatible")
                .without_go_mod()
                .file("old.go", "package old\n"),
            library(
                "example.com/onlytests",
                "v1.0.0",
                "go 1.21",
                "require example.com/pruned v1.0.0\n",
                &[],
            ),
            library("example.com/pruned", "v1.0.0", "go 1.21", "", &[]),
        ];
        for module in &modules {
            let is_private = module.path().starts_with("example.com/corp/");
            trees[usize::from(!is_private)].add(module);
            database.add(module);
        }
        // More records than one tile has.
        for number in 0..260 {
            let path = format!("example.com/later{number}");
            database.add(&Module::new(&path, "v1.0.0"));
        }
        let stage = Self {
            private: UpstreamServer::serve(trees[0].root()),
            public: UpstreamServer::serve(trees[1].root()),
            database,
            folder: tempfile::tempdir().unwrap(),
            _trees: trees,
        };
        stage.write_project();
        stage
    }

    /// As `go mod tidy` leaves it.
    fn write_project(&self) {
        let imports = ["example.com/corp/app", "example.com/lib"];
        let folder = self.project("pruned");
        fs::create_dir_all(&folder).unwrap();
        let go_mod = "module p\n\ngo 1.21\n\nrequire (\n\texample.com/corp/app v1.0.0\n\texample.com/lib v1.1.0\n)\n\nexclude example.com/lib v1.2.0\n";
        fs::write(folder.join("go.mod"), go_mod).unwrap();
        let main = package("main", &imports) + "\nfunc main() {}\n";
        fs::write(folder.join("main.go"), main).unwrap();
        let chain = format!("{},{}", self.private.url(), self.public.url());
        Go::find()
            .proxy(&chain)
            .run(&folder, &["mod", "tidy"])
            .expect_success();
    }

    fn project(&self, name: &str) -> PathBuf {
        self.folder.path().join("projects").join(name)
    }

    /// A copy of a project that nobody has worked in.
    fn checkout(&self, name: &str) -> TempDir {
        let copy = tempfile::tempdir_in(self.folder.path()).unwrap();
        for entry in fs::read_dir(self.project(name)).unwrap() {
            let file = entry.unwrap().path();
            fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
        }
        copy
    }

    fn command(&self, data: &Path) -> ModkeepCommand {
        ModkeepCommand::new(BINARY)
            .data(data)
            .upstream(&format!("{},{}", self.private.url(), self.public.url()))
            .sumdb(&self.database.setting())
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("GOENV", "off")
            // What is down stays down.
            .env("MODKEEP_UPSTREAMS_OUTAGE_WAIT", "0s")
    }

    fn warm(&self, data: &Path, target: &str) {
        let home = tempfile::tempdir().unwrap();
        let output = Command::new(BINARY)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .env("GOENV", "off")
            .env("MODKEEP_SUMDB", self.database.setting())
            .current_dir(home.path())
            .args(["warm", "--upstream"])
            .arg(format!("{},{}", self.private.url(), self.public.url()))
            .arg("--data")
            .arg(data)
            .arg(target)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{target}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// From now on whoever asks upstream gets nothing.
    fn cut(&mut self) {
        for upstream in [&self.private, &self.public] {
            upstream.fail("*", Fault::CloseWithoutAnswer);
        }
        self.database.server.stop();
    }

    /// A `go` with nothing in its cache that knows this `modkeep` alone.
    fn go(&self, modkeep: &Modkeep) -> Go {
        Go::find().proxy(modkeep.url()).sumdb(&self.database.key())
    }
}

/// What `go` does with a project without changing what it requires.
const FLOWS: [&[&str]; 8] = [
    &["build", "-o", "program", "."],
    &["vet", "./..."],
    &["test", "./..."],
    &["list", "-deps", "./..."],
    &["list", "-m", "all"],
    &["list", "-m", "-json", "all"],
    &["mod", "graph"],
    &["mod", "download"],
];

#[test]
fn whatever_go_does_with_a_warmed_project_needs_no_upstream() {
    let mut stage = Stage::new();
    let data = tempfile::tempdir().unwrap();
    let target = stage.project("pruned").join("go.mod");
    stage.warm(data.path(), target.to_str().unwrap());
    stage.cut();
    let modkeep = stage.command(data.path()).start();
    for flow in FLOWS {
        let copy = stage.checkout("pruned");
        let output = stage.go(&modkeep).run(copy.path(), flow);
        assert!(output.success, "go {}\n{}", flow.join(" "), output.stderr);
    }
    let copy = stage.checkout("pruned");
    let go = stage.go(&modkeep);
    for step in [
        &["mod", "vendor"][..],
        &["build", "-mod=vendor", "-o", "program", "."],
        &["mod", "verify"],
    ] {
        let output = go.run(copy.path(), step);
        assert!(output.success, "go {}\n{}", step.join(" "), output.stderr);
    }
    // Not even go.sum is there: all that is read is looked up in the database.
    let copy = stage.checkout("pruned");
    fs::remove_file(copy.path().join("go.sum")).unwrap();
    let output = stage.go(&modkeep).run(copy.path(), &["mod", "download"]);
    assert!(output.success, "without go.sum:\n{}", output.stderr);
}
