//! The user's project and toolchain: go.mod, go.sum, vendor, the Go release.

use fault::Label;

use crate::explain::case::Case;
use crate::explain::verdict::{Also, Verdicts, found};

pub(crate) fn judge(case: &Case) -> Verdicts {
    let rules = [release, sums, directories, files, outside, packages];
    rules
        .iter()
        .map(|rule| rule(case))
        .find(|verdicts| !verdicts.is_empty())
        .unwrap_or_default()
}

/// The Go release in use, and the one wanted.
fn release(case: &Case) -> Verdicts {
    const OLD_READER: &[&str] = &[
        "must match format 1.",
        "unknown directive: toolchain",
        "unknown directive: godebug",
        "unknown directive: tool",
        "unknown directive: ignore",
        "unknown block type: tool",
        "unknown block type: godebug",
        "unknown block type: ignore",
        "unknown directive: retract",
        "must be of the form go1.",
    ];
    const TOO_OLD: &[&str] = &[
        "requires go >=",
        "requires go1",
        "module requires go 1",
        "cannot compile go 1",
        "requires go 1",
        "requires newer go version",
        "package requires newer go",
        "but go.work lists go",
        "listed in go.work file requires go",
        "is too new for",
        "higher than the running go",
        "go version used to build",
        "file requires newer go version",
        "maximum version supported by",
        "maximum supported go version",
    ];
    const WANTED: &[&str] = &[
        "invalid toolchain",
        "invalid gotoolchain",
        "no releases found for go",
        "golang.org/toolchain@",
        "too many toolchain switches",
        "is not a toolchain version",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(OLD_READER) {
        return found(Label::ProjGoDirectiveFormat, 0.96, at, words)
            .or(Label::ToolchainGoTooOld, 0.35);
    }
    if let Some((at, words)) = client.any(&["toolchain not available"]) {
        return found(Label::ToolchainNotAvailable, 0.97, at, words);
    }
    if let Some((at, words)) = client.any(TOO_OLD) {
        return found(Label::ToolchainGoTooOld, 0.94, at, words)
            .or(Label::ToolchainNotAvailable, 0.2);
    }
    if let Some((at, words)) = client.any(WANTED) {
        return found(Label::ToolchainNotAvailable, 0.78, at, words)
            .or(Label::ToolchainGoTooOld, 0.35);
    }
    match client
        .any(&["cannot find \"go1"])
        .filter(|_| client.has("in path"))
    {
        Some((at, words)) => {
            found(Label::ToolchainNotAvailable, 0.85, at, words).or(Label::ToolchainGoTooOld, 0.3)
        }
        None => Verdicts::new(),
    }
}

/// go.sum and what go.mod lacks.
fn sums(case: &Case) -> Verdicts {
    const UPDATES: &[&str] = &[
        "updates to go.mod needed",
        "updates to go.work needed",
        "go.mod needs",
        "to update it:",
        "disabled by -mod=readonly",
        "existing contents have changed",
        "is replaced but not required",
        "is not in your go.mod file",
        "is not used in this module",
        "go mod tidy needs to be run",
        "should be direct",
        "is provided by module",
        "without types was imported",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(&[
        "missing go.sum entry",
        "no entry in go.sum",
        "missing go.sum",
    ]) {
        return found(Label::GosumMissing, 0.97, at, words);
    }
    if let Some((at, words)) = client.any(&["updates to go.sum needed"]) {
        return found(Label::GosumMissing, 0.7, at, words).or(Label::ProjUpdatesNeeded, 0.49);
    }
    if let Some((at, words)) = client.any(&["go.mod file not found in current directory"]) {
        return found(Label::ProjNoGomod, 0.97, at, words);
    }
    if let Some((at, words)) = client.any(UPDATES).filter(|_| {
        client.has_any(&[
            "go: ",
            "go.mod",
            "tidy",
            "go get",
            "could not import",
            "not required",
        ])
    }) {
        return found(Label::ProjUpdatesNeeded, 0.93, at, words);
    }
    if let Some((at, words)) = client.any(&["no required module provides package"]) {
        return found(Label::ProjUpdatesNeeded, 0.8, at, words).or(Label::ModNoPackage, 0.45);
    }
    Verdicts::new()
}

/// Files of the project that do not parse or do not agree.
fn files(case: &Case) -> Verdicts {
    const VENDOR: &[&str] = &[
        "inconsistent vendoring",
        "marked as explicit in vendor/modules.txt",
        "marked as explicit, but not explicitly required",
        "vendored module",
        "vendor/modules.txt",
        "reading modules.txt",
        "is not vendored",
        "not listed in vendor/modules.txt",
        "is unexported in",
        "vendor directory is out of date",
        "vendor is not up to date",
        "in vendor tree",
    ];
    const SYNTAX: &[&str] = &[
        "errors parsing",
        "error parsing",
        "invalid module version syntax",
        "must be of the form v1.2.3",
        "unknown directive",
        "unknown block type",
        "usage: require",
        "usage: module",
        "usage: replace",
        "missing module declaration",
        "repeated module statement",
        "repeated go statement",
        "no module declaration in go.mod",
        "invalid quoted string",
        "unterminated",
        "invalid module path",
        "malformed module path",
        "error loading go.mod",
        "error loading go.work",
        "malformed import path",
        "is not a valid module path",
        "replacement module without version must be",
        "replacement module directory path",
        "go.mod: unexpected",
        "invalid go.mod",
        "mod files must use //",
        "conflicting replacements",
        "appears multiple times in workspace",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(VENDOR) {
        return found(Label::VendorInconsistent, 0.95, at, words);
    }
    let file = client.has_any(&[
        "go.mod",
        "go.work",
        "module path",
        "import path",
        "modules.txt",
    ]);
    match client.any(SYNTAX).filter(|_| file) {
        Some((at, words))
            if words == "malformed import path" || words == "malformed module path" =>
        {
            found(Label::ProjGomodSyntax, 0.75, at, words).or(Label::ProjStdMissing, 0.4)
        }
        Some((at, words)) => found(Label::ProjGomodSyntax, 0.94, at, words),
        None => Verdicts::new(),
    }
}

/// Commands outside a module.
fn outside(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "go.mod file not found",
        "cannot find main module",
        "no longer supported outside a module",
        "outside of a module",
        "outside a module",
        "does not contain main module",
        "not in a module",
        "is contained in a module that is not one of the workspace modules",
        "no go.mod file",
        "working directory is not part of a module",
        "does not contain modules listed in go.work",
        "no modules were found",
        "outside main module",
        "no main module",
        "not using modules",
        "is not within module rooted",
        "outside available modules",
        "go.mod: no such file",
        "directory not in module",
        "cannot determine module path",
        "there is no go.mod",
        "outside modules listed in go.work",
    ];
    let client = &case.client;
    match client.any(WORDS).filter(|(_, words)| {
        *words != "go.mod: no such file" || !client.has_any(&["replace", "replacement"])
    }) {
        Some((at, words)) => found(Label::ProjNoGomod, 0.9, at, words),
        None => Verdicts::new(),
    }
}

/// Local replacements.
fn directories(case: &Case) -> Verdicts {
    const GONE: &[&str] = &[
        "no such file or directory",
        "cannot find the file specified",
        "cannot find the path specified",
        "does not exist",
        "go.mod missing",
        "not a directory",
    ];
    let client = &case.client;
    if let Some((at, words)) =
        client.any(&["replacement directory", "replacement module directory"])
    {
        return found(Label::ProjReplaceMissingDir, 0.97, at, words);
    }
    let relative = [
        "reading ../",
        "parsing ../",
        "reading ./",
        "parsing ./",
        "load module ../",
        "load module ./",
    ];
    let named = ["replaced by ", "listed in go.work file", "replacement"];
    let local = client
        .any(&named)
        .or_else(|| client.any(&relative).filter(|_| client.has("go.mod")));
    if let Some((at, words)) = local.filter(|_| client.has_any(GONE)) {
        return found(Label::ProjReplaceMissingDir, 0.94, at, words);
    }
    let absent = |text: &str| {
        let (_, rest) = text.split_once("open ")?;
        let (file, error) = rest.split_once("go.mod: ")?;
        let rooted = file.starts_with('/') || file.contains(":\\") || file.starts_with("..");
        (rooted && !file.contains("/pkg/mod/") && GONE.iter().any(|gone| error.contains(gone)))
            .then_some(())
    };
    match client.lower().position(|text| absent(text).is_some()) {
        // Go looks for the project's own go.mod without opening it first: this one is named in a replace line.
        Some(at) => {
            found(Label::ProjReplaceMissingDir, 0.8, at, "go.mod: ").or(Label::ProjNoGomod, 0.45)
        }
        None => Verdicts::new(),
    }
}

/// Imports that the project may not make.
fn packages(case: &Case) -> Verdicts {
    const STANDARD: &[&str] = &[
        "is not in goroot",
        "is not in std",
        "not in goroot",
        "not in std",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(&["use of internal package", "use of vendored package"]) {
        return found(Label::ProjInternalPackage, 0.96, at, words);
    }
    match client.any(STANDARD) {
        Some((at, words)) => found(Label::ProjStdMissing, 0.94, at, words),
        None => Verdicts::new(),
    }
}
