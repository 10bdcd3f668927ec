//! Whether and how the checksum database is asked (modfetch: `useSumDB`, `initBase`).

use gomod::ModulePath;

use super::{Outcome, Outcomes, Rules};
use crate::goproxy::{Fallback, Target};
use crate::gosumdb::SumdbSetting;

/// The module that toolchains are versions of.
const TOOLCHAIN: &str = "golang.org/toolchain";

/// Whether and how the checksum database is asked about a module that go.sum does not list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SumdbWay {
    /// It is not asked.
    NotAsked(SumdbReason),
    /// go refuses GOSUMDB, in these words, when it wants to ask.
    Refused(String),
    /// It is asked at the URL that GOSUMDB gives; proxies are bypassed.
    OwnUrl(String),
    /// It is asked through this server, by its place in GOPROXY.
    Through(usize),
    /// It is asked straight at this URL.
    Direct(String),
    /// It cannot be asked: this server fails, and go does not go on.
    Unavailable(usize),
    /// It is not known whether this server relays it.
    Open(usize),
}

/// Why the database is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SumdbReason {
    /// GOSUMDB is off.
    Off,
    /// This pattern of GONOSUMDB matches the module.
    NoSumdb(String),
    /// Toolchains from a single `file://` proxy are not checked.
    ToolchainFromFile,
}

pub(super) fn way(rules: &Rules, module: &ModulePath, outcomes: &Outcomes) -> SumdbWay {
    let must = module.as_str() == TOOLCHAIN;
    let only_file = rules.goproxy.starts_with("file://") && !rules.goproxy.contains([',', '|']);
    if must && only_file {
        return SumdbWay::NotAsked(SumdbReason::ToolchainFromFile);
    }
    if !must {
        if matches!(rules.sumdb, Ok(SumdbSetting::Off)) {
            return SumdbWay::NotAsked(SumdbReason::Off);
        }
        if let Some(glob) = rules.no_sumdb.matching_glob(module) {
            return SumdbWay::NotAsked(SumdbReason::NoSumdb(glob.to_owned()));
        }
    }
    match &rules.sumdb {
        Err(reason) => SumdbWay::Refused(reason.clone()),
        Ok(SumdbSetting::Off) => {
            SumdbWay::Refused("checksum database disabled by GOSUMDB=off".to_owned())
        }
        Ok(SumdbSetting::Database { url: Some(url), .. }) => SumdbWay::OwnUrl(url.to_string()),
        Ok(database) => {
            let direct = database.direct_url();
            base(rules, outcomes, direct.map(|url| url.to_string()))
        }
    }
}

/// What go reports in the end decides: only when that means absence does it ask directly.
fn base(rules: &Rules, outcomes: &Outcomes, direct: Option<String>) -> SumdbWay {
    let list = match &rules.list {
        Ok(list) => list,
        Err(reason) => return SumdbWay::Refused(reason.clone()),
    };
    let mut failed = None;
    for (at, entry) in list.entries.iter().enumerate() {
        match &entry.target {
            // Of the errors so far, the one of `direct` counts most, and it means absence.
            Target::Direct => failed = None,
            // That of `off` means absence, too, but does not count more than a failure.
            Target::Off => {}
            Target::Url(_) => match outcomes.of_sumdb(at) {
                None => return SumdbWay::Open(at),
                Some(Outcome::Ok) => return SumdbWay::Through(at),
                Some(Outcome::Absent) => {}
                Some(Outcome::Failed) if entry.fallback == Fallback::OnAny => failed = Some(at),
                Some(Outcome::Failed) => return SumdbWay::Unavailable(at),
            },
        }
    }
    match (failed, direct) {
        (Some(at), _) => SumdbWay::Unavailable(at),
        (None, Some(url)) => SumdbWay::Direct(url),
        (None, None) => SumdbWay::Refused("invalid GOSUMDB".to_owned()),
    }
}
