//! What the tests of hardening share.
#![allow(unreachable_pub, dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use goenv::private::Patterns;
use gomod::{ModulePath, Version};
use testkit::script;
use vcs::{Credentials, Error, RemoteOptions, Settings};

use crate::support::{Forge, Repository, Workplace};

pub fn module(name: &str) -> ModulePath {
    ModulePath::new(&format!("git.example/{name}.git")).unwrap()
}

pub async fn zip(workplace: &Workplace, name: &str, version: &str) -> Result<String, Error> {
    let file = tempfile::tempfile().unwrap();
    let version = Version::new(version).unwrap();
    let created = workplace.vcs.zip(&module(name), &version, file).await?;
    Ok(created.hash.to_string())
}

/// A repository with one file of `size` bytes that cannot be compressed, tagged v1.0.0.
pub fn large(forge: &Forge, name: &str, size: usize) -> Repository {
    let repository = forge.repository(name);
    let mut state = 88_172_645_463_325_252_u64;
    let noise: Vec<u8> = (0..size.div_ceil(8))
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .collect();
    repository
        .write("go.mod", format!("module git.example/{name}.git\n"))
        .write("noise", noise)
        .commit();
    repository.tag("v1.0.0");
    repository
}

pub fn real_git() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut candidates = std::env::split_paths(&path).map(|folder| folder.join("git"));
    candidates.find(|git| git.is_file()).unwrap()
}

/// A git that writes its arguments and environment to `log` before it does its work.
pub fn logging_git(folder: &Path) -> (PathBuf, PathBuf) {
    let (git, log) = (folder.join("git"), folder.join("log"));
    let log_text = log.display();
    script(
        &git,
        &format!(
            "echo \"$@\" >> '{log_text}'; env >> '{log_text}.env'; exec '{}' \"$@\"",
            real_git().display()
        ),
    );
    (git, log)
}

pub fn over_http(
    settings: &mut Settings,
    server: std::net::SocketAddr,
    credentials: Option<Credentials>,
) {
    settings.rules.insecure = Patterns::parse("*");
    settings.configuration = Arc::new(move |url, _| {
        let name = url.rsplit('/').next().unwrap_or_default();
        RemoteOptions {
            url: Some(format!("http://{server}/{name}/.git")),
            credentials: credentials.clone(),
            ..RemoteOptions::default()
        }
    });
}
