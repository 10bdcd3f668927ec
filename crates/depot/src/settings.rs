use std::time::Duration;

use goenv::private::Patterns;
use gomod::ModulePath;
use store::FirstSightReason;
use sumdb::note::VerifierKey;
use url::Url;

use crate::Admission;

/// A checksum database that vouches for modules and is relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumdbRoute {
    /// Its name, as in `/sumdb/<name>/`; may contain a slash.
    pub name: String,
    /// The key it signs with.
    pub key: VerifierKey,
    /// The base URL of its own server.
    pub base: Url,
    /// Whether upstreams that relay it are asked before its own server.
    pub through_upstreams: bool,
}

/// What happens to a version that was never verified while its checksum database cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyMode {
    /// It is refused.
    #[default]
    Always,
    /// It is served, and said to be unverified.
    WhenReachable,
}

/// What decides how long answers are believed and where they may come from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a changeable answer counts as fresh.
    pub ttl: Duration,
    /// How long an upstream's "not found" is believed.
    pub absent_ttl: Duration,
    /// How long a request waits for a refresh when a stale answer is at hand.
    pub stale_wait: Duration,
    /// Modules whose names are sent to no upstream and to no checksum database: they come from their repositories.
    pub private: Patterns,
    /// Modules that are published here, and come from nowhere else. They are to be among the private ones.
    pub published: Patterns,
    /// Modules that no checksum database is asked about.
    pub no_sumdb: Patterns,
    /// What happens while the checksum database cannot be asked.
    pub verify: VerifyMode,
    /// The checksum databases that are relayed; the first vouches for every module that is not exempt.
    pub sumdbs: Vec<SumdbRoute>,
    /// What makes modules from repositories. Without it private modules, and public ones that only `direct` has, cannot
    /// be had.
    pub repositories: Option<vcs::Vcs>,
    /// How much may be fetched at a time, and how many wait for it.
    pub admission: Admission,
}

/// The module under whose name Go distributes itself. `go` checks it whatever GONOSUMDB says (Go's modfetch
/// `useSumDB`).
const TOOLCHAIN: &str = "golang.org/toolchain";

impl Settings {
    /// The checksum database that must have a module's hashes, if one must.
    pub fn database_of(&self, module: &ModulePath) -> Option<&SumdbRoute> {
        let is_exempt = self.exempting_glob(module).is_some();
        self.sumdbs.first().filter(|_| !is_exempt)
    }

    /// Why a module that no database covers is believed as it was first seen.
    pub fn exemption_of(&self, module: &ModulePath) -> FirstSightReason {
        self.exempting_glob(module)
            .map_or(FirstSightReason::SumdbOff, |glob| {
                FirstSightReason::Pattern(glob.to_owned())
            })
    }

    /// What makes a module one that no database is asked about.
    fn exempting_glob(&self, module: &ModulePath) -> Option<&str> {
        let private = self.private.matching_glob(module);
        private.or_else(|| {
            let no_sumdb = self.no_sumdb.matching_glob(module);
            no_sumdb.filter(|_| module.as_str() != TOOLCHAIN)
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_mins(1),
            absent_ttl: Duration::from_secs(30),
            stale_wait: Duration::from_millis(300),
            private: Patterns::default(),
            published: Patterns::default(),
            no_sumdb: Patterns::default(),
            verify: VerifyMode::default(),
            sumdbs: Vec::new(),
            repositories: None,
            admission: Admission::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_covers_what_no_pattern_exempts_and_the_toolchain_unless_it_is_private() {
        let key = VerifierKey::parse(goenv::gosumdb::SUM_GOLANG_ORG_KEY).unwrap();
        let database = SumdbRoute {
            name: key.id().name.to_string(),
            key,
            base: "https://sum.golang.org".parse().unwrap(),
            through_upstreams: false,
        };
        let settings = |private: &str, no_sumdb: &str, sumdbs: &[SumdbRoute]| Settings {
            private: Patterns::parse(private),
            no_sumdb: Patterns::parse(no_sumdb),
            sumdbs: sumdbs.to_vec(),
            ..Settings::default()
        };
        let on = std::slice::from_ref(&database);
        let glob = |glob: &str| Some(FirstSightReason::Pattern(glob.to_owned()));
        let off = Some(FirstSightReason::SumdbOff);
        // `None`: it is covered.
        for (settings, module, exemption) in [
            (settings("", "", on), "example.com/m", None),
            (
                settings("example.com", "", on),
                "example.com/m",
                glob("example.com"),
            ),
            (
                settings("", "*.com/m", on),
                "example.com/m",
                glob("*.com/m"),
            ),
            (settings("", "*", on), TOOLCHAIN, None),
            (
                settings("golang.org", "", on),
                TOOLCHAIN,
                glob("golang.org"),
            ),
            (settings("", "", &[]), "example.com/m", off.clone()),
            (settings("", "*", &[]), TOOLCHAIN, off),
            (settings("", "*", &[]), "example.com/m", glob("*")),
        ] {
            let module = ModulePath::new(module).unwrap();
            let covering = settings.database_of(&module);
            assert_eq!(covering.is_none(), exemption.is_some(), "{module}");
            if let Some(exemption) = exemption {
                assert_eq!(settings.exemption_of(&module), exemption, "{module}");
            }
        }
    }
}
