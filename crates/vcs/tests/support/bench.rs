//! Asks the real `go` command and this crate for the same, and compares.
#![allow(unreachable_pub, dead_code, reason = "a module of tests")]

use gomod::info::RevInfo;
use gomod::{ModulePath, Revision, Version};
use serde_json::Value;
use vcs::{Error, settled};

use crate::oracle::Oracle;
use crate::support::{Forge, Pages, Workplace};

pub struct Bench {
    _forge: Forge,
    pub oracle: Oracle,
    pub workplace: Workplace,
    /// What authors have withdrawn: go does not choose it.
    pub retracted: Vec<&'static str>,
    /// Modules of which go packs the licence only, as it does not find their files in what it was given.
    pub emptied_by_go: Vec<String>,
    compared: usize,
    failed: Vec<String>,
}

impl Bench {
    pub fn new(forge: Forge, pages: Pages) -> Self {
        Self::with(forge, pages, |_| {})
    }

    pub fn with(forge: Forge, pages: Pages, change: impl FnOnce(&mut vcs::Settings)) -> Self {
        let oracle = Oracle::new(&forge, &pages);
        let workplace = forge.vcs_with(pages, change);
        Self {
            _forge: forge,
            oracle,
            workplace,
            retracted: Vec::new(),
            emptied_by_go: Vec::new(),
            compared: 0,
            failed: Vec::new(),
        }
    }

    fn expect(&mut self, what: &str, ours: impl Into<String>, gos: impl Into<String>) {
        let (ours, gos) = (ours.into(), gos.into());
        self.compared += 1;
        if ours != gos {
            self.failed
                .push(format!("{what}\n  ours: {ours}\n  go's: {gos}"));
        }
    }

    pub async fn list(&mut self, module: &str) {
        let path = ModulePath::new(module).unwrap();
        let ours = self.workplace.vcs.versions(&path).await;
        let names = |list: &[Version]| {
            list.iter()
                .map(Version::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let ours = ours.map_or_else(|e| format!("error {e}"), |v| names(&v.list));
        let gos = self.oracle.versions(module);
        let gos = gos.map_or_else(|e| format!("error {e}"), |v| v.join(" "));
        self.expect(&format!("versions of {module}"), ours, gos);
    }

    pub async fn revisions(&mut self, module: &str, revisions: &[&str]) {
        for revision in revisions {
            self.revision(module, revision).await;
        }
    }

    pub async fn revision(&mut self, module: &str, revision: &str) {
        let what = format!("{module}@{revision}");
        let path = ModulePath::new(module).unwrap();
        let gos = self.oracle.download(module, revision);
        let ours = self.ours(&path, revision).await;
        match (ours, gos["Error"].as_str()) {
            (Ok((info, go_mod, zip)), None) => {
                self.expect(
                    &format!("{what}: version"),
                    &info.version,
                    gos["Version"].as_str().unwrap(),
                );
                let origin: Value = serde_json::from_str(&info.to_json()).unwrap();
                self.expect(
                    &format!("{what}: origin"),
                    origin["Origin"].to_string(),
                    gos["Origin"].to_string(),
                );
                let written = String::from_utf8(Oracle::read(&gos, "Info")).unwrap();
                self.expect(
                    &format!("{what}: .info"),
                    self.kept(&path, info).await,
                    written,
                );
                let file = Oracle::read(&gos, "GoMod");
                self.expect(
                    &format!("{what}: go.mod"),
                    String::from_utf8_lossy(&go_mod),
                    String::from_utf8_lossy(&file),
                );
                self.expect(
                    &format!("{what}: go.mod hash"),
                    modzip::hash_go_mod(&go_mod).to_string(),
                    gos["GoModSum"].as_str().unwrap(),
                );
                if self.emptied_by_go.iter().any(|emptied| emptied == module) {
                    let names = names_of(&Oracle::read(&gos, "Zip")).join(" ");
                    let version = gos["Version"].as_str().unwrap();
                    let licence = format!("{module}@{version}/LICENSE");
                    self.expect(&format!("{what}: go's files"), licence, names);
                    return;
                }
                self.expect(
                    &format!("{what}: zip hash"),
                    zip,
                    gos["Sum"].as_str().unwrap(),
                );
            }
            (Err(error), Some(gos)) => {
                self.compared += 1;
                if !error.is_absence() {
                    self.failed
                        .push(format!("{what}: {error} is not taken for absence"));
                }
                let mut text = error.to_string();
                if let Some((_, zip)) = text.split_once("invalid version: create zip: ") {
                    text = format!("create zip: {zip}");
                }
                // A tag of something else than a commit surprises go.
                if !gos.contains(&text) && !gos.contains("unexpected response from git log") {
                    self.failed
                        .push(format!("{what}: error\n  ours: {text}\n  go's: {gos}"));
                }
            }
            (Ok((info, ..)), Some(error)) => self
                .failed
                .push(format!("{what}: ours {} go's {error}", info.version)),
            (Err(error), None) => self.failed.push(format!("{what}: ours {error} go's {gos}")),
        }
    }

    async fn kept(&self, module: &ModulePath, info: RevInfo) -> String {
        let info = if info.origin.is_some() {
            info
        } else {
            let version = Revision::new(&info.version).unwrap();
            self.workplace.vcs.info(module, &version).await.unwrap()
        };
        settled(info).to_json()
    }

    async fn ours(
        &self,
        module: &ModulePath,
        revision: &str,
    ) -> Result<(RevInfo, Vec<u8>, String), Error> {
        let vcs = &self.workplace.vcs;
        let is_choice =
            revision == "latest" || gomod::semver::is_valid(revision) && !revision.contains(".0");
        let allowed = |version: &str| !is_choice || !self.retracted.contains(&version);
        let info = vcs.query(module, revision, None, allowed).await?;
        let version = Version::new(&info.version).unwrap();
        let go_mod = vcs.go_mod(module, &version).await?;
        let zip = tempfile::tempfile().unwrap();
        let created = vcs.zip(module, &version, zip).await?;
        Ok((info, go_mod, created.hash.to_string()))
    }

    /// The files of the module that are here, by their names in it.
    pub async fn files(&self, module: &str, version: &str) -> Vec<String> {
        let mut zip = tempfile::NamedTempFile::new().unwrap();
        let (path, version) = (
            ModulePath::new(module).unwrap(),
            Version::new(version).unwrap(),
        );
        let file = zip.reopen().unwrap();
        self.workplace.vcs.zip(&path, &version, file).await.unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut zip, &mut bytes).unwrap();
        let prefix = format!("{module}@{version}/");
        let names = names_of(&bytes).into_iter();
        names
            .map(|name| name.strip_prefix(&prefix).unwrap().to_owned())
            .collect()
    }

    pub fn finish(self, what: &str) {
        println!("{what}: {} comparisons with go", self.compared);
        assert!(self.compared > 0);
        assert!(
            self.failed.is_empty(),
            "{} differences:\n{}",
            self.failed.len(),
            self.failed.join("\n")
        );
    }
}

/// The names in a zip, sorted.
fn names_of(zip: &[u8]) -> Vec<String> {
    let archive = modzip::Archive::open(zip, zip.len() as u64).unwrap();
    let names = archive.entries();
    let mut names: Vec<String> = names
        .map(|entry| String::from_utf8_lossy(entry.name()).into_owned())
        .collect();
    names.sort();
    names
}
