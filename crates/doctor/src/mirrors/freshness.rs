//! Who lags: versions that other mirrors have, and versions that exist nowhere.

use std::collections::BTreeSet;

use fault::Label;
use futures_util::future::join_all;
use gomod::{ModulePath, ModuleVersion, Version};
use url::Url;

use super::proof::{Database, Proof};
use super::survey::Known;
use crate::probe::Net;
use crate::probe::report::Failure;

/// How a mirror's versions of one module compare with everybody else's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// The newest version it knows.
    pub newest: Option<Version>,
    /// The newest that exists, as far as the mirrors tell.
    pub best: Option<Version>,
    /// How many newer versions it does not know; `None` if there is nothing to compare with.
    pub behind: Option<usize>,
    /// A version it names that the checksum database does not know, with what the database says.
    pub invented: Option<(Version, Failure)>,
    /// It alone names its newest version, and the database could not be asked about it.
    pub is_unproven: bool,
}

/// Compares what the mirrors know of one module. `bases` are the places where the database can be asked.
pub(crate) async fn compare(
    net: &Net,
    database: &Database,
    bases: &[Url],
    module: &ModulePath,
    known: &[&Known],
) -> Vec<Freshness> {
    let claims: Vec<BTreeSet<Version>> = known.iter().map(|known| claims(known)).collect();
    let newest: Vec<Option<Version>> = claims.iter().map(|claims| claims.last().cloned()).collect();
    let has_witness = |version: &Version, at: usize| {
        let others = claims.iter().enumerate().filter(|(other, _)| *other != at);
        others
            .into_iter()
            .any(|(_, claims)| claims.contains(version))
    };
    let verdicts = join_all(newest.iter().enumerate().map(|(at, version)| async move {
        let version = version
            .as_ref()
            .filter(|version| !has_witness(version, at))?;
        Some(ask(net, database, bases, module, version).await)
    }))
    .await;
    let mut exists: BTreeSet<&Version> = BTreeSet::new();
    for (at, claims) in claims.iter().enumerate() {
        let is_believed = matches!(verdicts.get(at), Some(None | Some(Existence::Proven)));
        exists.extend(
            claims
                .iter()
                .filter(|version| is_believed || has_witness(version, at)),
        );
    }
    let best = exists.last().map(|version| (*version).clone());
    let can_compare = claims.iter().filter(|claims| !claims.is_empty()).count() > 1;
    newest
        .into_iter()
        .zip(verdicts)
        .zip(known)
        .map(|((newest, verdict), known)| {
            let behind = |version: &Version| {
                exists
                    .iter()
                    .filter(|existing| **existing > version)
                    .count()
            };
            // `go` takes the newest of the list, and `@latest` where there is no list.
            let is_listed = known
                .listed
                .as_ref()
                .is_some_and(|listed| !listed.is_empty());
            let latest = known
                .latest
                .as_ref()
                .filter(|latest| is_listed && !latest.is_prerelease());
            let worst = newest.iter().chain(latest).map(behind).max();
            Freshness {
                behind: worst.filter(|_| can_compare),
                best: best.clone(),
                invented: match &verdict {
                    Some(Existence::Unknown(failure)) => {
                        newest.clone().map(|version| (version, failure.clone()))
                    }
                    _ => None,
                },
                is_unproven: matches!(verdict, Some(Existence::Undecided)) && can_compare,
                newest,
            }
        })
        .collect()
}

/// What a mirror says exists: releases if there are any, else pre-releases, else what `@latest` names.
fn claims(known: &Known) -> BTreeSet<Version> {
    let all: BTreeSet<Version> = known.listed.iter().flatten().cloned().collect();
    let releases: BTreeSet<Version> = all
        .iter()
        .filter(|version| !version.is_prerelease() && !version.is_incompatible())
        .cloned()
        .collect();
    let mut claims = if releases.is_empty() { all } else { releases };
    let counts = |latest: &&Version| {
        claims.is_empty() || (!latest.is_prerelease() && !latest.is_incompatible())
    };
    if let Some(latest) = known.latest.as_ref().filter(counts) {
        claims.insert(latest.clone());
    }
    claims
}

/// What the database says about a version that one mirror alone names.
enum Existence {
    Proven,
    Unknown(Failure),
    Undecided,
}

async fn ask(
    net: &Net,
    database: &Database,
    bases: &[Url],
    module: &ModulePath,
    version: &Version,
) -> Existence {
    let module = match ModuleVersion::new(module.clone(), version.clone()) {
        Ok(module) => module,
        // Such as v9.0.0 of a module whose path does not end in /v9.
        Err(error) => {
            return Existence::Unknown(Failure::new(Label::GoproxyCorrupt, error.to_string()));
        }
    };
    let mut unknown = None;
    for base in bases {
        match database.look_up(net, base, &module).await {
            Proof::Proven(_) => return Existence::Proven,
            Proof::Absent(failure) => unknown = Some(failure),
            Proof::Failed(_) => {}
        }
    }
    unknown.map_or(Existence::Undecided, Existence::Unknown)
}
