//! A tag of a private repository that is moved: what the log of the server makes of it, in the eyes of `go`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testkit::{Go, GoOutput, Modkeep, ModkeepCommand, Tree, UpstreamServer};

use crate::scene::{NAME, keys};

/// `go` itself finds the repository of a path that says where it is.
const MODULE: &str = "corp.example.com/tools.git";
const VERSION: &str = "v1.2.3";

/// A repository, and a server with a log that reads it.
struct Forge {
    folder: TempDir,
    upstream: UpstreamServer,
    key: String,
}

impl Forge {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let keys = keys();
        let key_file = folder.path().join("log.key");
        fs::write(&key_file, keys.reveal().unwrap().as_str()).unwrap();
        fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
        let forge = Self {
            upstream: UpstreamServer::serve(Tree::temporary().root()),
            key: keys.verifier().to_string(),
            folder,
        };
        fs::create_dir_all(forge.repository()).unwrap();
        forge.git(&["init", "-q", "-b", "main"]);
        let config = format!(
            "[[origin]]\npattern = \"corp.example.com/*\"\nremote = \"file://{}/{{path}}\"\n",
            forge.repositories().display()
        );
        fs::write(forge.folder.path().join("modkeep.toml"), config).unwrap();
        forge
    }

    fn repositories(&self) -> PathBuf {
        self.folder.path().join("repositories")
    }

    fn repository(&self) -> PathBuf {
        self.repositories().join("tools.git")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.com"])
            .args(arguments)
            .current_dir(self.repository())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A commit with this code, which the tag names from now on.
    fn tag(&self, code: &str) {
        let put = |name: &str, text: String| fs::write(self.repository().join(name), text).unwrap();
        put("go.mod", format!("module {MODULE}\n\ngo 1.21\n"));
        put("tools.go", format!("package tools\n\n{code}\n"));
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "x"]);
        self.git(&["tag", "-f", VERSION]);
    }

    /// The folder of a server that may be another one; its log is kept where all of them have theirs.
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn server(&self) -> Modkeep {
        ModkeepCommand::new(env!("CARGO_BIN_EXE_modkeep"))
            .data(self.data())
            .upstream(&self.upstream.url())
            .sumdb("off")
            .config(self.folder.path().join("modkeep.toml"))
            .flag("--sumlog", NAME)
            .env("MODKEEP_SUMLOG_KEY", self.folder.path().join("log.key"))
            .env("GOENV", "off")
            .start()
    }

    /// Somebody who has never had the module, and goes to the repository for it.
    fn go_to_the_repository(&self, log: &str) -> Go {
        Go::find()
            .proxy("direct")
            .sumdb(log)
            .env("GIT_CONFIG_COUNT", "1")
            .env(
                "GIT_CONFIG_KEY_0",
                format!("url.file://{}/.insteadOf", self.repositories().display()),
            )
            .env("GIT_CONFIG_VALUE_0", "https://corp.example.com/")
    }
}

fn download(go: &Go) -> GoOutput {
    go.run(
        go.home(),
        &["mod", "download", &format!("{MODULE}@{VERSION}")],
    )
}

fn code_in(module_cache: &Path) -> String {
    let extracted = module_cache.join(format!("{MODULE}@{VERSION}/tools.go"));
    fs::read_to_string(extracted).unwrap()
}

#[test]
fn a_tag_that_was_moved_is_caught_by_go_itself() {
    let forge = Forge::new();
    forge.tag("const Honest = true");
    let server = forge.server();
    let through_the_server = || Go::find().proxy(server.url()).sumdb(&forge.key);
    let go = through_the_server();
    download(&go).expect_success();
    let log = format!("{} {}/sumdb/{NAME}", forge.key, server.url());
    // From the repository it is the same, as long as the tag is where it was.
    download(&forge.go_to_the_repository(&log)).expect_success();

    forge.tag("const BackDoor = true");
    let complaint = download(&forge.go_to_the_repository(&log)).expect_failure();
    assert!(complaint.contains("SECURITY ERROR"), "{complaint}");
    // The server goes on with what the tag meant when it was first seen.
    let go = through_the_server();
    download(&go).expect_success();
    assert!(code_in(&go.module_cache()).contains("Honest"));
}

#[test]
fn a_server_that_has_lost_everything_but_its_log_is_caught_too() {
    let forge = Forge::new();
    forge.tag("const Honest = true");
    {
        let server = forge.server();
        download(&Go::find().proxy(server.url()).sumdb(&forge.key)).expect_success();
    }
    for entry in fs::read_dir(forge.data()).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("sumlog") => {}
            _ if path.is_dir() => fs::remove_dir_all(path).unwrap(),
            _ => fs::remove_file(path).unwrap(),
        }
    }
    forge.tag("const BackDoor = true");
    let server = forge.server();
    let go = Go::find().proxy(server.url()).sumdb(&forge.key);
    let complaint = download(&go).expect_failure();
    assert!(complaint.contains("SECURITY ERROR"), "{complaint}");
    // Who trusts blindly is not warned: it is the log that told them apart.
    download(&Go::find().proxy(server.url()).sumdb("off")).expect_success();
}
