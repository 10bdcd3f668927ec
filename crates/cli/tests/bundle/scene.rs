use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use testkit::{ChecksumDatabase, Exit, Go, ModkeepCommand, Module, Tree, UpstreamServer};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_modkeep");
pub(crate) const DATABASE: &str = "sum.example.com";
pub(crate) const PRIVATE: &str = "corp.example.com";

/// A module whose one function names it, and calls those of the modules it requires.
pub(crate) fn library(path: &str, version: &str, requires: &[(&str, &str)]) -> Module {
    // From before graph pruning, so that all that it leads to matters.
    let mut go_mod = format!("module {path}\n\ngo 1.16\n");
    let mut imports = String::new();
    let mut calls = format!("\"{path}@{version}\"");
    for (number, (required, at)) in requires.iter().enumerate() {
        write!(go_mod, "\nrequire {required} {at}\n").unwrap();
        writeln!(imports, "import r{number} \"{required}\"").unwrap();
        write!(calls, " + \" \" + r{number}.Name()").unwrap();
    }
    Module::new(path, version).go_mod(&go_mod).file(
        "lib.go",
        &format!("package lib\n\n{imports}\nfunc Name() string {{ return {calls} }}\n"),
    )
}

/// Two public libraries that one more requires, a private one, a database with the public ones, and a project.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) database: ChecksumDatabase,
    pub(crate) upstream: UpstreamServer,
    pub(crate) tree: Tree,
    fillers: std::cell::Cell<usize>,
}

impl Scene {
    /// A database without records.
    pub(crate) fn empty() -> Self {
        let tree = Tree::temporary();
        Self {
            folder: tempfile::tempdir().unwrap(),
            database: ChecksumDatabase::new(DATABASE, 7),
            upstream: UpstreamServer::serve(tree.root()),
            tree,
            fillers: std::cell::Cell::new(0),
        }
    }

    pub(crate) fn new() -> Self {
        let scene = Self::empty();
        scene.publish(&library("example.com/base", "v1.0.0", &[]));
        scene.fill(300);
        scene.publish(&library("example.com/base", "v1.1.0", &[]));
        scene.publish(&library(
            "example.com/Mid",
            "v1.0.0",
            &[("example.com/base", "v1.0.0")],
        ));
        scene.store_private("a", &secret());
        scene.write_project();
        scene
    }

    pub(crate) fn publish(&self, module: &Module) {
        self.tree.add(module);
        self.database.add(module);
    }

    /// Lets the database grow by what nobody asks for.
    pub(crate) fn fill(&self, count: usize) {
        for _ in 0..count {
            let number = self.fillers.replace(self.fillers.get() + 1);
            let filler = Module::new(&format!("example.org/filler{number}"), "v1.0.0");
            let h1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
            let (path, version) = (filler.path(), filler.version());
            let record = format!("{path} {version} {h1}\n{path} {version}/go.mod {h1}\n");
            self.database.add_record(&filler, &record);
        }
    }

    /// Puts a module into a store, as a copied tree would.
    pub(crate) fn store_private(&self, store: &str, module: &Module) {
        Tree::at(self.data(store).join("tree")).add(module);
    }

    fn write_project(&self) {
        let project = self.project();
        fs::create_dir_all(&project).unwrap();
        fs::write(
            project.join("go.mod"),
            format!(
                "module example.com/app\n\ngo 1.21\n\nrequire (\n\texample.com/Mid v1.0.0\n\texample.com/base v1.1.0\n\t{PRIVATE}/secret v1.0.0\n)\n"
            ),
        )
        .unwrap();
        fs::write(
            project.join("main.go"),
            format!(
                "package main\n\nimport mid \"example.com/Mid\"\nimport base \"example.com/base\"\nimport secret \"{PRIVATE}/secret\"\n\nfunc main() {{ println(mid.Name(), base.Name(), secret.Name()) }}\n"
            ),
        )
        .unwrap();
        // The private module is in no upstream; for this once it is.
        self.tree.add(&secret());
        let go = Go::find().proxy(&self.upstream.url()).sumdb("off");
        go.run(&project, &["mod", "tidy"]).expect_success();
        let private = self.tree.file(&format!("{PRIVATE}/secret"));
        fs::remove_dir_all(private).unwrap();
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    pub(crate) fn data(&self, store: &str) -> PathBuf {
        self.folder.path().join(store)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The world is gone from here on.
    pub(crate) fn disconnect(&mut self) {
        self.upstream.stop();
        self.database.server.stop();
    }

    pub(crate) fn bundle(&self, store: &str, upstream: &str, arguments: &[&str]) -> Exit {
        let mut all = vec!["bundle"];
        all.extend(arguments);
        let data = self.data(store);
        let setting = self.database.setting();
        let flags = [
            "--data",
            data.to_str().unwrap(),
            "--upstream",
            upstream,
            "--sumdb",
            &setting,
        ];
        all.extend(flags);
        all.extend(["--private", PRIVATE]);
        run(&all)
    }

    /// `bundle create` in the connected store `a`.
    pub(crate) fn create(&self, out: &str, arguments: &[&str]) -> Exit {
        let out = self.file(out);
        let mut all = vec!["create", out.to_str().unwrap()];
        all.extend(arguments);
        self.bundle("a", &self.upstream.url(), &all)
    }

    /// A bundle of what the project needs.
    pub(crate) fn create_from_project(&self, out: &str, arguments: &[&str]) {
        let go_sum = self.project().join("go.sum");
        let mut all = vec!["--from", go_sum.to_str().unwrap()];
        all.extend(arguments);
        expect_done(&self.create(out, &all));
    }

    pub(crate) fn apply(&self, file: &str, store: &str) -> Exit {
        let file = self.file(file);
        self.bundle(store, "off", &["apply", file.to_str().unwrap()])
    }

    /// A server without network on a store.
    pub(crate) fn serve(&self, store: &str) -> testkit::Modkeep {
        ModkeepCommand::new(BINARY)
            .data(self.data(store))
            .upstream("off")
            .sumdb(&self.database.setting())
            .flag("--private", PRIVATE)
            .start()
    }

    /// A client that verifies against the database, behind a proxy.
    pub(crate) fn client(&self, go: Go, proxy: &str) -> Go {
        go.proxy(proxy)
            .sumdb(&self.database.key())
            .env("GONOSUMDB", PRIVATE)
    }

    /// Builds the project, with nothing verified beforehand, and runs it.
    pub(crate) fn build(&self, go: &Go) {
        let copy = tempfile::tempdir().unwrap();
        for name in ["go.mod", "main.go"] {
            fs::copy(self.project().join(name), copy.path().join(name)).unwrap();
        }
        go.run(copy.path(), &["build", "-mod=mod", "-o", "app", "."])
            .expect_success();
        let go_sum = |folder: &Path| fs::read_to_string(folder.join("go.sum")).unwrap();
        for line in go_sum(copy.path()).lines() {
            assert!(go_sum(&self.project()).contains(line), "{line}");
        }
        let app = Command::new(copy.path().join("app")).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&app.stderr),
            format!(
                "example.com/Mid@v1.0.0 example.com/base@v1.1.0 example.com/base@v1.1.0 {PRIVATE}/secret@v1.0.0\n"
            )
        );
    }
}

pub(crate) fn secret() -> Module {
    library(&format!("{PRIVATE}/secret"), "v1.0.0", &[])
}

/// Runs the program in an environment without settings of this machine.
pub(crate) fn run(arguments: &[&str]) -> Exit {
    let home = tempfile::tempdir().unwrap();
    let ended = command(home.path(), arguments).output().unwrap();
    Exit {
        code: ended.status.code(),
        stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}

pub(crate) fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home)
        .env("GOENV", "off")
        .current_dir(home)
        .args(arguments)
        .stdin(Stdio::null());
    command
}

pub(crate) fn expect_done(exit: &Exit) {
    assert_eq!(exit.code, Some(0), "{}{}", exit.stdout, exit.stderr);
}

/// The words of a refusal.
pub(crate) fn expect_refused(exit: &Exit) -> String {
    assert_eq!(exit.code, Some(2), "{}{}", exit.stdout, exit.stderr);
    exit.stderr.clone()
}
