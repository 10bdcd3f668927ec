use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testkit::{Go, Modkeep, ModkeepCommand, Project, ProjectShape, Tree, UpstreamServer};

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_modkeep");

/// A project, an upstream that has all it needs, and folders for a store and for copies of the project.
pub(crate) struct Scene {
    pub(crate) project: Project,
    pub(crate) tree: Tree,
    pub(crate) upstream: UpstreamServer,
    folder: TempDir,
}

impl Scene {
    /// With a project of so many modules.
    pub(crate) fn with_modules(seed: u64, modules: usize) -> Self {
        let project = Project::generate(ProjectShape {
            seed,
            modules,
            padding: 500,
        });
        let tree = Tree::temporary();
        project.publish(&tree);
        let upstream = UpstreamServer::serve(tree.root());
        Self {
            project,
            tree,
            upstream,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A `modkeep` that asks the upstream and nobody else.
    pub(crate) fn start(&self) -> Modkeep {
        self.start_with(&self.upstream.url())
    }

    /// A `modkeep` with this chain.
    pub(crate) fn start_with(&self, chain: &str) -> Modkeep {
        isolated(ModkeepCommand::new(BINARY))
            .data(self.data())
            .upstream(chain)
            .start()
    }

    /// The store's folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The part of the store that is a tree in the layout of the protocol.
    pub(crate) fn stored_tree(&self) -> PathBuf {
        self.data().join("tree")
    }

    /// A fresh copy of the project in a folder of this name.
    pub(crate) fn checkout(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        self.project.write_main(&folder);
        folder
    }

    /// Builds the project in `folder`, and checks what the program prints.
    pub(crate) fn build_and_run(&self, go: &Go, folder: &Path) {
        go.run(folder, &["build", "-mod=readonly", "-o", "app", "."])
            .expect_success();
        let output = Command::new(folder.join("app")).output().unwrap();
        assert!(output.status.success());
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            self.project.expected_output()
        );
    }
}

/// A command that reaches no server outside this machine, whatever goes wrong, and relays no checksum database.
pub(crate) fn isolated(command: ModkeepCommand) -> ModkeepCommand {
    command
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("GOENV", "off")
        // What is down in a test stays down.
        .env("MODKEEP_UPSTREAMS_OUTAGE_WAIT", "0s")
        .sumdb("off")
}

/// A `go` with an empty module cache that knows this `modkeep` and nobody else.
pub(crate) fn go_through(modkeep: &Modkeep) -> Go {
    Go::find().proxy(modkeep.url())
}

/// The URL of a folder.
pub(crate) fn file_url(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

/// The files below `folder` whose name ends so, as paths relative to it, sorted.
pub(crate) fn files_below(folder: &Path, endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if endings
                .iter()
                .any(|ending| path.to_string_lossy().ends_with(ending))
            {
                let relative = path.strip_prefix(folder).unwrap();
                found.push(relative.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The files of a store that are half written.
pub(crate) fn unfinished(data: &Path) -> Vec<PathBuf> {
    let folder = data.join("tmp");
    let names = files_below(&folder, &[""]);
    names.iter().map(|name| folder.join(name)).collect()
}

/// What never changes once published.
pub(crate) const IMMUTABLE: [&str; 3] = [".info", ".mod", ".zip"];
