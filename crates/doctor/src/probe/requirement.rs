//! Whether one module of a project can be had, asked with as little as possible: its go.mod, and the beginning of its
//! zip.

use std::collections::HashMap;
use std::sync::Mutex;

use fault::{Hop, Label};
use goenv::goproxy::Target;
use goenv::redact::RedactedUrl;
use goenv::trace::{Ending, Outcome as Told, Outcomes, Rules};
use gomod::ModuleVersion;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::fetch::{Part, fetch};
use super::goproxy::{join, usable};
use super::report::Failure;
use super::{Net, vcs};

/// Most bytes of a go.mod (Go's `codehost.MaxGoMod`).
const LARGEST_GO_MOD: usize = 16 << 20;
/// What tells a zip.
const ZIP: &[u8] = b"PK";
/// Repositories that are asked at the same time: each is a process.
const REPOSITORIES: usize = 4;
/// Steps of one chain that are looked at; nobody has as many.
const MOST_STEPS: usize = 64;

/// Asks for modules, and remembers which servers cannot be reached at all.
pub(crate) struct Asker<'a> {
    net: &'a Net,
    rules: &'a Rules,
    repositories: Semaphore,
    /// Why a server cannot be reached, by its place in GOPROXY.
    dead: Mutex<HashMap<usize, Failure>>,
}

/// Who has a module, or why nobody has.
pub(crate) type Had = Result<String, Failure>;

impl<'a> Asker<'a> {
    pub(crate) fn new(net: &'a Net, rules: &'a Rules) -> Self {
        Self {
            net,
            rules,
            repositories: Semaphore::new(REPOSITORIES),
            dead: Mutex::default(),
        }
    }

    /// Goes the way `go` would go for this module.
    pub(crate) async fn ask(&self, module: &ModuleVersion) -> Had {
        let version = module.version().to_string();
        let mut outcomes = Outcomes::unknown();
        let mut failures: HashMap<usize, Failure> = HashMap::new();
        for _ in 0..MOST_STEPS {
            let trace = self.rules.trace(module.path(), Some(&version), &outcomes);
            let at = match trace.ending {
                Ending::Open(at) => at,
                Ending::Answered(at) => {
                    let step = trace.steps.get(at);
                    return Ok(step.map(|step| step.target.to_string()).unwrap_or_default());
                }
                Ending::Stopped(at) | Ending::Exhausted(at) => {
                    let off = || {
                        Failure::new(
                            Label::CfgGoproxyOff,
                            "module lookup disabled by GOPROXY=off",
                        )
                    };
                    return Err(failures.remove(&at).unwrap_or_else(off));
                }
                Ending::Refused(reason) => {
                    return Err(Failure::new(Label::CfgGoproxySyntax, reason));
                }
                Ending::VendorMode => {
                    return Err(Failure::new(Label::CfgGoflagsMod, "-mod=vendor"));
                }
                Ending::GopathMode => {
                    return Err(Failure::new(Label::CfgGopathMode, "GO111MODULE=off"));
                }
            };
            let Some(step) = trace.steps.get(at) else {
                break;
            };
            let result = match (&step.target, step.entry) {
                (Target::Url(url), Some(place)) => self.ask_server(place, url, module).await,
                _ => self.ask_repository(module).await,
            };
            let told = match &result {
                Ok(()) => Told::Ok,
                Err(failure) if failure.is_absence() => Told::Absent,
                Err(_) => Told::Failed,
            };
            if let Err(failure) = result {
                failures.insert(at, failure);
            }
            outcomes = match (&step.target, step.entry) {
                (Target::Url(_), Some(place)) => outcomes.server(place, told),
                _ => outcomes.direct(told),
            };
        }
        Err(Failure::new(Label::GoproxySlow, "no answer in time"))
    }

    async fn ask_server(
        &self,
        place: usize,
        url: &RedactedUrl,
        module: &ModuleVersion,
    ) -> Result<(), Failure> {
        if let Some(known) = self
            .dead
            .lock()
            .ok()
            .and_then(|dead| dead.get(&place).cloned())
        {
            return Err(known);
        }
        if url.as_url().scheme() == "file" {
            return in_tree(url, module);
        }
        let go_mod = self.get(url, module, "mod", LARGEST_GO_MOD);
        let zip = self.get(url, module, "zip", ZIP.len());
        let (go_mod, zip) = tokio::join!(go_mod, zip);
        let result = go_mod.and(zip).and_then(|beginning| {
            let is_zip = beginning.starts_with(ZIP);
            is_zip
                .then_some(())
                .ok_or_else(|| Failure::new(Label::GoproxyCorrupt, "zip: not a valid zip file"))
        });
        result.map_err(|mut failure| {
            failure.subjects.module = Some(module.path().to_string());
            failure.subjects.version = Some(module.version().to_string());
            // Before an HTTP request could be sent all modules fail alike.
            if failure.label.hop() <= Hop::HttpProxy
                && let Ok(mut dead) = self.dead.lock()
            {
                dead.entry(place).or_insert_with(|| failure.clone());
            }
            failure
        })
    }

    async fn get(
        &self,
        base: &RedactedUrl,
        module: &ModuleVersion,
        ending: &str,
        keep: usize,
    ) -> Result<Vec<u8>, Failure> {
        let (path, version) = (module.path().escaped(), module.version().escaped());
        let url = join(base.as_url(), &format!("{path}/@v/{version}.{ending}"));
        let fetched = fetch(self.net, &url, Part::Whole, keep).await;
        let host = base.as_url().host_str().unwrap_or_default().to_owned();
        let (url, redirects) = (fetched.url, fetched.redirects);
        let answer = usable(fetched.result?, &host, &url, &redirects)?;
        Ok(answer.body)
    }

    async fn ask_repository(&self, module: &ModuleVersion) -> Result<(), Failure> {
        let out_of_time = || Failure::new(Label::TcpTimeout, "no answer in time");
        let probe = async {
            let _place = self.repositories.acquire().await.ok();
            vcs::probe(self.net, module.path()).await.1
        };
        match timeout(self.net.left(), probe).await {
            Ok(None) => Ok(()),
            Ok(Some(failure)) => Err(failure),
            Err(_) => Err(out_of_time()),
        }
    }
}

fn in_tree(url: &RedactedUrl, module: &ModuleVersion) -> Result<(), Failure> {
    let (path, version) = (module.path().escaped(), module.version().escaped());
    let absent = |what: String| Failure::new(Label::Goproxy404, what);
    let root = url.as_url().to_file_path();
    let Ok(root) = root else {
        return Err(Failure::new(Label::CfgGoproxySyntax, url.to_string()));
    };
    for ending in ["mod", "zip"] {
        let file = root.join(format!("{path}/@v/{version}.{ending}"));
        if !file.is_file() {
            return Err(absent(format!(
                "stat {}: no such file or directory",
                file.display()
            )));
        }
    }
    Ok(())
}
