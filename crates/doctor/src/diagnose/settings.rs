//! Settings under which no download can succeed, whatever the network does.

use fault::{Label, Subjects};
use goenv::goproxy::{ProxyList, Target};
use goenv::gosumdb::SumdbSetting;
use goenv::http_proxy::HttpProxyRules;
use goenv::private::Patterns;
use goenv::{Error, Key};

use super::Case;
use crate::probe::report::Failure;

/// The chain of places that `go` asks for the module of the case.
pub(crate) fn chain(case: &Case<'_>) -> Result<ProxyList, Failure> {
    let settings = case.settings;
    let setting = settings.get(Key::GOPROXY);
    let is_direct = Patterns::parse(settings.value(Key::GONOPROXY)).matches(&case.request.module);
    let list = ProxyList::parse(&setting.value).map_err(|error| {
        let label = match error {
            Error::GoproxyEmpty => Label::CfgGoproxyEmpty,
            _ => Label::CfgGoproxySyntax,
        };
        Failure::new(label, error.to_string()).because(setting.to_string())
    })?;
    let first = list.entries.first().map(|entry| &entry.target);
    if is_direct && !matches!(first, Some(Target::Off)) {
        return ProxyList::parse("direct")
            .map_err(|error| Failure::new(Label::CfgGoproxySyntax, error.to_string()));
    }
    if matches!(first, Some(Target::Off)) {
        return Err(Failure::new(
            Label::CfgGoproxyOff,
            "module lookup disabled by GOPROXY=off",
        )
        .because(setting.to_string()));
    }
    Ok(list)
}

/// The checksum database that is asked about the module; `None` when it is not checked.
pub(crate) fn sumdb(case: &Case<'_>) -> Result<Option<SumdbSetting>, Failure> {
    let settings = case.settings;
    if Patterns::parse(settings.value(Key::GONOSUMDB)).matches(&case.request.module) {
        return Ok(None);
    }
    match SumdbSetting::parse(settings.value(Key::GOSUMDB)) {
        Ok(SumdbSetting::Off) => Ok(None),
        Ok(database) => Ok(Some(database)),
        Err(error) => Err(Failure::new(Label::SumdbUnreachable, error.to_string())
            .because(settings.get(Key::GOSUMDB).to_string())),
    }
}

/// What is wrong apart from the chain.
pub(crate) fn faults(case: &Case<'_>) -> Vec<Failure> {
    let settings = case.settings;
    let mut faults = Vec::new();
    if settings.value(Key::GO111MODULE) == "off" {
        faults.push(
            Failure::new(Label::CfgGopathMode, "GOPATH mode: GOPROXY is ignored")
                .because(settings.get(Key::GO111MODULE).to_string()),
        );
    }
    if matches!(settings.value(Key::GOMODCACHE), "" | "off") {
        faults.push(Failure::new(
            Label::EnvHomeUnset,
            "module cache not found: neither GOMODCACHE nor GOPATH nor $HOME are defined",
        ));
    }
    faults.extend(cache(settings.value(Key::GOMODCACHE)));
    faults
}

/// Settings that `go` ignores without a word.
pub(crate) fn ignored(case: &Case<'_>) -> Vec<Failure> {
    let rules = HttpProxyRules::from_environment(&case.ground.environment);
    let malformed = rules.malformed().into_iter().map(|(origin, error)| {
        Failure::new(Label::HttpproxyMalformed, error.to_string()).because(origin.to_string())
    });
    malformed.collect()
}

/// The module cache, or the nearest directory above it that exists, must take files from this user.
fn cache(path: &str) -> Option<Failure> {
    if path.is_empty() || path == "off" {
        return None;
    }
    let mut directory = std::path::Path::new(path);
    let metadata = loop {
        match directory.metadata() {
            Ok(metadata) => break metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                directory = directory.parent()?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                directory = directory.parent()?;
            }
            Err(error) => return Some(disk(Label::DiskPermission, path, &error.to_string())),
        }
    };
    if !metadata.is_dir() {
        return Some(disk(
            Label::DiskPermission,
            path,
            &format!("{} is not a directory", directory.display()),
        ));
    }
    match access(directory) {
        Ok(()) => None,
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
            Some(disk(Label::DiskReadonly, path, "read-only file system"))
        }
        Err(_) => Some(disk(Label::DiskPermission, path, "permission denied")),
    }
}

#[cfg(unix)]
fn access(directory: &std::path::Path) -> std::io::Result<()> {
    Ok(rustix::fs::access(
        directory,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    )?)
}

#[cfg(not(unix))]
fn access(directory: &std::path::Path) -> std::io::Result<()> {
    if directory.metadata()?.permissions().readonly() {
        return Err(std::io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

fn disk(label: Label, path: &str, words: &str) -> Failure {
    let mut failure = Failure::new(label, format!("mkdir {path}: {words}"));
    failure.subjects = Box::new(Subjects {
        path: Some(path.to_owned()),
        ..Subjects::default()
    });
    failure
}
