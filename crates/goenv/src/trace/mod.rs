//! Which entry of GOPROXY answers for a module, and whether the checksum database is asked: worked
//! out from settings alone, by go's rules (cmd/go/internal/modfetch: proxy.go, repo.go, sumdb.go).

mod access;
mod chain;
mod govcs;
mod render;
mod sumdb;

pub use access::{Access, Credential, Rewrite};
pub use chain::{Ending, Skip, Standing, Step};
pub use govcs::Govcs;
pub use sumdb::{SumdbReason, SumdbWay};

use gomod::ModulePath;

use crate::goproxy::ProxyList;
use crate::gosumdb::SumdbSetting;
use crate::http_proxy::HttpProxyRules;
use crate::key::Key;
use crate::netrc::Netrc;
use crate::private::Patterns;
use crate::settings::GoEnv;

/// What became of asking one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It has the module.
    Ok,
    /// It says there is no such module: 404 or 410; of a repository, that it or the revision does
    /// not exist.
    Absent,
    /// Everything else.
    Failed,
}

/// What is known about the entries of GOPROXY, by their place in the list, from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    entries: Vec<Option<Outcome>>,
    sumdb: Vec<Option<Outcome>>,
    direct: Option<Outcome>,
}

impl Outcomes {
    /// Nothing is known.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// Asking the server at `entry` for the module came to this.
    #[must_use]
    pub fn server(mut self, entry: usize, outcome: Outcome) -> Self {
        put(&mut self.entries, entry, outcome);
        self
    }

    /// Asking the server at `entry` whether it relays the checksum database came to this.
    #[must_use]
    pub fn sumdb(mut self, entry: usize, outcome: Outcome) -> Self {
        put(&mut self.sumdb, entry, outcome);
        self
    }

    /// Asking the module's own repository came to this.
    #[must_use]
    pub fn direct(mut self, outcome: Outcome) -> Self {
        self.direct = Some(outcome);
        self
    }

    fn of_server(&self, entry: usize) -> Option<Outcome> {
        self.entries.get(entry).copied().flatten()
    }

    fn of_sumdb(&self, entry: usize) -> Option<Outcome> {
        self.sumdb.get(entry).copied().flatten()
    }
}

/// More entries than any list has.
const MAX_ENTRIES: usize = 10_000;

fn put(list: &mut Vec<Option<Outcome>>, entry: usize, outcome: Outcome) {
    if entry >= MAX_ENTRIES {
        return;
    }
    if list.len() <= entry {
        list.resize(entry + 1, None);
    }
    if let Some(there) = list.get_mut(entry) {
        *there = Some(outcome);
    }
}

/// The rules that decide a download, read once for any number of modules.
///
/// `Debug` shows GOPROXY only, without passwords.
#[derive(Clone)]
pub struct Rules {
    /// GOPROXY as written.
    goproxy: String,
    list: Result<ProxyList, String>,
    no_proxy: Patterns,
    no_sumdb: Patterns,
    private: Patterns,
    insecure: Patterns,
    sumdb: Result<SumdbSetting, String>,
    govcs: Result<Govcs, String>,
    goauth: String,
    netrc: Netrc,
    http: HttpProxyRules,
    rewrites: Vec<Rewrite>,
    is_vendor_mode: bool,
    is_gopath_mode: bool,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules")
            .field("goproxy", &crate::redact::redact_text(&self.goproxy))
            .finish_non_exhaustive()
    }
}

impl Rules {
    /// Takes the rules from the settings. `rewrites` are git's `url.*.insteadOf`.
    pub fn new(go: &GoEnv, http: HttpProxyRules, netrc: Netrc, rewrites: Vec<Rewrite>) -> Self {
        let patterns = |key| Patterns::parse(go.value(key));
        Self {
            goproxy: go.value(Key::GOPROXY).to_owned(),
            list: ProxyList::parse(go.value(Key::GOPROXY)).map_err(|e| e.to_string()),
            no_proxy: patterns(Key::GONOPROXY),
            no_sumdb: patterns(Key::GONOSUMDB),
            private: patterns(Key::GOPRIVATE),
            insecure: patterns(Key::GOINSECURE),
            sumdb: SumdbSetting::parse(go.value(Key::GOSUMDB)).map_err(|e| e.to_string()),
            govcs: Govcs::parse(go.value(Key::GOVCS)),
            goauth: go.value(Key::GOAUTH).to_owned(),
            netrc,
            http,
            rewrites,
            is_vendor_mode: goflags_mod(go.value(Key::GOFLAGS)) == Some("vendor"),
            is_gopath_mode: go.value(Key::GO111MODULE) == "off",
        }
    }

    /// The path a download of `module` takes, as far as `outcomes` tell.
    pub fn trace(&self, module: &ModulePath, version: Option<&str>, outcomes: &Outcomes) -> Trace {
        let (steps, ending) = chain::walk(self, module, outcomes);
        Trace {
            module: module.clone(),
            version: version.map(str::to_owned),
            private_glob: self.no_proxy.matching_glob(module).map(str::to_owned),
            steps,
            ending,
            sumdb: sumdb::way(self, module, outcomes),
            access: self.access(module),
        }
    }
}

/// The value of the last `-mod` flag in a GOFLAGS value.
pub(crate) fn goflags_mod(goflags: &str) -> Option<&str> {
    let flags = goflags.split_whitespace();
    flags
        .filter_map(|flag| {
            let flag = flag.trim_matches(['\'', '"']);
            let flag = flag.strip_prefix("--").or_else(|| flag.strip_prefix('-'))?;
            flag.strip_prefix("mod=")
        })
        .next_back()
}

/// The path a download takes.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The module asked for.
    pub module: ModulePath,
    /// The version asked for, where one was.
    pub version: Option<String>,
    /// The pattern of GONOPROXY that keeps the module away from proxies.
    pub private_glob: Option<String>,
    /// The entries in the order go goes through them, those it does not reach at the end.
    pub steps: Vec<Step>,
    /// How it ends.
    pub ending: Ending,
    /// Whether and how the checksum database is asked.
    pub sumdb: SumdbWay,
    /// What applies when the module's own repository is asked.
    pub access: Access,
}

impl Trace {
    /// The steps at which a request leaves for the module, in order.
    pub fn asked(&self) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(|step| matches!(step.standing, Standing::Asked(_) | Standing::Next))
    }

    /// The trace as a tree, in words.
    pub fn tree(&self, lang: fault::Lang) -> String {
        render::tree(self, lang)
    }

    /// The trace as a Mermaid flow chart; the path taken is drawn thick.
    pub fn mermaid(&self, lang: fault::Lang) -> String {
        render::mermaid(self, lang)
    }
}
