//! The go command, as the judge of what a module zip is.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use gomod::ModuleVersion;

/// What `go mod download -json` said.
pub(crate) struct Download {
    pub(crate) sum: Option<String>,
    pub(crate) dir: Option<String>,
    pub(crate) zip: Option<String>,
    pub(crate) error: Option<String>,
}

/// The command named by `MODKEEP_GO`, or `go` in PATH.
pub(crate) fn command() -> Command {
    let program = std::env::var_os("MODKEEP_GO").unwrap_or_else(|| OsString::from("go"));
    let mut command = Command::new(program);
    command
        .env("GOTOOLCHAIN", "local")
        .env("GO111MODULE", "on")
        .env("GOENV", "off")
        .env("GOWORK", "off")
        .env("GOFLAGS", "-modcacherw")
        .env("GOSUMDB", "off");
    command
}

/// Lets go download `module` with this zip from a GOPROXY tree in `scratch`.
pub(crate) fn download(scratch: &Path, module: &ModuleVersion, zip: &[u8]) -> Download {
    let versions = scratch
        .join("proxy")
        .join(module.path().escaped())
        .join("@v");
    fs::create_dir_all(&versions).unwrap();
    let version = module.version();
    let file = |extension| versions.join(format!("{}.{extension}", version.escaped()));
    fs::write(file("info"), format!(r#"{{"Version":"{version}"}}"#)).unwrap();
    fs::write(file("mod"), format!("module {}\n", module.path())).unwrap();
    fs::write(file("zip"), zip).unwrap();
    let proxy = format!("file://{}", scratch.join("proxy").display());
    download_from(scratch, &proxy, module)
}

/// Lets go download `module` from `proxy` into an own cache in `scratch`.
pub(crate) fn download_from(scratch: &Path, proxy: &str, module: &ModuleVersion) -> Download {
    let output = command()
        .args(["mod", "download", "-json", &module.to_string()])
        .env("GOPROXY", proxy)
        .env("GOMODCACHE", scratch.join("cache"))
        .current_dir(scratch)
        .output()
        .expect("the go command (MODKEEP_GO or PATH) is needed for this test");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let text = |key: &str| answer[key].as_str().map(str::to_owned);
    Download {
        sum: text("Sum"),
        dir: text("Dir"),
        zip: text("Zip"),
        error: text("Error"),
    }
}
