use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::skipped::{target_dir, workspace_root};

/// The oldest Go whose `go` command the tests are written for.
const OLDEST: (u32, u32) = (1, 24);

/// Why there is no usable Go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoProblem {
    /// No `go` where one was looked for.
    Absent,
    /// There is one, and it says that it is this old.
    TooOld(String),
    /// There is one, but it does not say its version.
    Broken(String),
}

/// The real `go` command in an environment of its own: no user settings, an empty module cache, no network but what
/// `GOPROXY` names, which is `off` at first.
#[derive(Debug)]
pub struct Go {
    binary: PathBuf,
    home: TempDir,
    variables: BTreeMap<OsString, OsString>,
}

/// What a run of `go` gave.
#[derive(Clone, Debug)]
pub struct GoOutput {
    /// Whether the exit status was 0.
    pub success: bool,
    /// The exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl GoOutput {
    /// The standard output of a run that must have succeeded.
    pub fn expect_success(self) -> String {
        assert!(
            self.success,
            "go failed with status {:?}\n{}{}",
            self.code, self.stdout, self.stderr
        );
        self.stdout
    }

    /// The standard error of a run that must have failed.
    pub fn expect_failure(self) -> String {
        assert!(
            !self.success,
            "go succeeded, and should not have\n{}{}",
            self.stdout, self.stderr
        );
        self.stderr
    }
}

impl Go {
    /// The Go of the tests: `MODKEEP_GO`, else the one that `cargo xtask toolchain` unpacked, else that in `PATH`.
    pub fn find() -> Self {
        match Self::try_find() {
            Ok(go) => go,
            Err(problem) => panic!(
                "this test runs the real go command, 1.24 or newer ({problem:?}): run ./test, or `cargo xtask toolchain` \
                 once"
            ),
        }
    }

    /// As [`Go::find`], without the panic.
    pub fn try_find() -> Result<Self, GoProblem> {
        let binary = Self::locate()?;
        Self::check(&binary)?;
        Ok(Self::at(&binary))
    }

    /// The `go` that [`Go::find`] would take, by path, without a look at its version.
    pub fn locate() -> Result<PathBuf, GoProblem> {
        if let Some(named) = std::env::var_os("MODKEEP_GO").filter(|name| !name.is_empty()) {
            return Ok(PathBuf::from(named));
        }
        let unpacked = workspace_root().join("target/tools/go/bin/go");
        let in_path = std::env::var_os("PATH").unwrap_or_default();
        std::iter::once(unpacked)
            .chain(std::env::split_paths(&in_path).map(|folder| folder.join("go")))
            .find(|candidate| candidate.is_file())
            .ok_or(GoProblem::Absent)
    }

    /// The version of a `go` binary, such as `go1.26.3`, when it is one that the tests can use.
    pub fn check(binary: &Path) -> Result<String, GoProblem> {
        let output = Command::new(binary)
            .args(["env", "GOVERSION"])
            .env("GOTOOLCHAIN", "local")
            .env("GOENV", "off")
            .env("GOFLAGS", "")
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => GoProblem::Absent,
                _ => GoProblem::Broken(error.to_string()),
            })?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match release(&text) {
            None => Err(GoProblem::Broken(format!(
                "{text}{}",
                String::from_utf8_lossy(&output.stderr)
            ))),
            Some(version) if version < OLDEST => Err(GoProblem::TooOld(text)),
            Some(_) => Ok(text),
        }
    }

    /// This `go`, in a fresh environment.
    pub fn at(binary: &Path) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        let mut go = Self {
            binary: binary.to_path_buf(),
            home,
            variables: BTreeMap::new(),
        };
        // Compiled packages do not depend on where a module came from: sharing them saves compiling the standard
        // library again for each test.
        let compiled = target_dir().join("testkit-go-build");
        for (name, value) in [
            ("HOME", go.home.path().as_os_str()),
            ("GOPATH", go.home.path().join("gopath").as_os_str()),
            ("GOMODCACHE", go.home.path().join("modcache").as_os_str()),
            ("GOCACHE", compiled.as_os_str()),
            ("GOENV", OsStr::new("off")),
            ("GOFLAGS", OsStr::new("-modcacherw")),
            ("GOTOOLCHAIN", OsStr::new("local")),
            ("GOTELEMETRY", OsStr::new("off")),
            ("GOPROXY", OsStr::new("off")),
            ("GOSUMDB", OsStr::new("off")),
            ("GOVCS", OsStr::new("*:all")),
            ("GOWORK", OsStr::new("off")),
            ("CGO_ENABLED", OsStr::new("0")),
            ("GIT_CONFIG_NOSYSTEM", OsStr::new("1")),
            ("GIT_TERMINAL_PROMPT", OsStr::new("0")),
            ("LC_ALL", OsStr::new("C.UTF-8")),
        ] {
            go.variables.insert(name.into(), value.into());
        }
        for name in ["PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                go.variables.insert(name.into(), value);
            }
        }
        go
    }

    /// Sets `GOPROXY`.
    #[must_use]
    pub fn proxy(self, chain: &str) -> Self {
        self.env("GOPROXY", chain)
    }

    /// Sets `GOSUMDB`, which is `off` at first.
    #[must_use]
    pub fn sumdb(self, setting: &str) -> Self {
        self.env("GOSUMDB", setting)
    }

    /// Sets any variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.insert(name.into(), value.as_ref().into());
        self
    }

    /// Gives it a cache of compiled packages of its own, empty at first.
    #[must_use]
    pub fn own_build_cache(self) -> Self {
        let folder = self.home.path().join("build");
        self.env("GOCACHE", folder)
    }

    /// The program.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Its module cache.
    pub fn module_cache(&self) -> PathBuf {
        PathBuf::from(&self.variables[OsStr::new("GOMODCACHE")])
    }

    /// Its home, for files such as `.netrc`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A command to run in `folder`, ready but for its arguments.
    pub fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(folder)
            .env_clear()
            .envs(&self.variables)
            .stdin(Stdio::null());
        command
    }

    /// Runs `go` with these arguments in `folder`.
    pub fn run(&self, folder: &Path, arguments: &[&str]) -> GoOutput {
        let output = self
            .command(folder)
            .args(arguments)
            .output()
            .expect("go can be started");
        GoOutput {
            success: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// `go1.26.3` and `go1.27rc1` are releases 1.26 and 1.27; a development version (`devel ...`) counts as newest.
fn release(text: &str) -> Option<(u32, u32)> {
    if text.starts_with("devel") {
        return Some((u32::MAX, 0));
    }
    let mut numbers = text.strip_prefix("go")?.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?;
    let digits = minor
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(minor.len());
    Some((major, minor[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_told_from_version_texts() {
        assert_eq!(release("go1.26.3"), Some((1, 26)));
        assert_eq!(release("go1.27rc1"), Some((1, 27)));
        assert_eq!(release("go1.19"), Some((1, 19)));
        assert_eq!(release("devel go1.28-abcdef"), Some((u32::MAX, 0)));
        assert_eq!(release("go version"), None);
        assert_eq!(release(""), None);
    }

    #[test]
    fn an_old_or_broken_go_is_told_apart_from_none() {
        let folder = tempfile::tempdir().unwrap();
        let fake = folder.path().join("go");
        let script = |text: &str| {
            crate::script(&fake, text);
            Go::check(&fake)
        };
        assert_eq!(
            script("echo go1.19.8"),
            Err(GoProblem::TooOld("go1.19.8".to_owned()))
        );
        assert_eq!(script("echo go1.24.0"), Ok("go1.24.0".to_owned()));
        assert!(matches!(script("echo no"), Err(GoProblem::Broken(_))));
        assert_eq!(
            Go::check(&folder.path().join("none")),
            Err(GoProblem::Absent)
        );
    }

    #[test]
    fn the_environment_is_its_own() {
        let go = Go::find().proxy("http://127.0.0.1:1");
        let names = ["GOPROXY", "GOMODCACHE", "GOTOOLCHAIN", "GOSUMDB"];
        let printed = go
            .run(go.home(), &[&["env"], &names[..]].concat())
            .expect_success();
        let cache = go.module_cache();
        assert_eq!(
            printed,
            format!("http://127.0.0.1:1\n{}\nlocal\noff\n", cache.display())
        );
        assert!(cache.starts_with(go.home()));
    }
}
