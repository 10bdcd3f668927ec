//! Version queries as `go get` takes them: `latest`, `upgrade`, `patch`, `v1`, `v1.2`, `<v2.0.0`, `>=v1.1.0`, and
//! revisions (cmd/go/internal/modload/query.go).
//!
//! A query is parsed first, and then says what it needs: one revision ([`Query::revision`]), or a choice among the
//! versions of the module ([`Query::select`]).

use std::cmp::Ordering;

use gomod::pseudo::{is_pseudo_version, pseudo_version_time};
use gomod::{ModulePath, Version, check_path_major, quote, semver};
use jiff::Timestamp;

/// A parsed query for one module.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    current: Option<String>,
    kind: Kind,
    prefer_incompatible: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A branch, tag, hash, or a complete version.
    Revision,
    Choice {
        prefix: String,
        bound: Option<(Bound, String)>,
        prefer_lower: bool,
        may_use_latest: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Below,
    AtMost,
    AtLeast,
    Above,
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// `<` and the like before something that is no version.
    #[error("invalid semantic version {} in range {}", quote(.version), quote(.query))]
    InvalidBound {
        /// What stands there.
        version: String,
        /// The query.
        query: String,
    },
    /// `<=v1.2` and `>v1.2`: nobody can say whether v1.2.3 is meant.
    #[error("ambiguous semantic version {} in range {}", quote(.version), quote(.query))]
    AmbiguousBound {
        /// The short version.
        version: String,
        /// The query.
        query: String,
    },
    /// `patch` of nothing.
    #[error("can't query version \"patch\" of module {module}: no existing version is required")]
    NoPatchBase {
        /// The module.
        module: String,
    },
    /// The version in use is no version.
    #[error("invalid previous version {module}@{version}")]
    InvalidCurrent {
        /// The module.
        module: String,
        /// The version.
        version: String,
    },
    /// There is none.
    #[error("no matching versions for query {}{}", quote(.query), current_text(.current.as_ref()))]
    NoMatch {
        /// The query.
        query: String,
        /// The version in use, if it mattered.
        current: Option<String>,
    },
}

fn current_text(current: Option<&String>) -> String {
    current.map_or_else(String::new, |current| {
        format!(" (current version is {current})")
    })
}

/// What the versions of a module say about a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// This version.
    Version(Version),
    /// None of them: the version of the newest commit, if [`Query::accepts`] it.
    Latest,
    /// None of them, and the version in use is kept (to be looked up as a revision).
    Current(String),
}

impl Query {
    /// Parses `query` for `module`. `current` is the version in use, if any: what `upgrade` and `patch` start from.
    pub fn parse(
        module: &ModulePath,
        query: &str,
        current: Option<&str>,
    ) -> Result<Self, QueryError> {
        let current = current.filter(|current| !current.is_empty() && *current != "none");
        if let Some(version) = current
            && !semver::is_valid(version)
        {
            return Err(QueryError::InvalidCurrent {
                module: module.to_string(),
                version: version.to_owned(),
            });
        }
        let mut parser = Parser {
            module,
            query,
            prefer_incompatible: current.is_some_and(|c| c.ends_with(semver::INCOMPATIBLE)),
        };
        let kind = parser.kind(current)?;
        Ok(Self {
            text: query.to_owned(),
            current: current.map(str::to_owned),
            prefer_incompatible: parser.prefer_incompatible,
            kind,
        })
    }

    /// The revisions to look up, in this order, when the query names one. The second counts when the first does not
    /// exist: `v1.0.0+meta` may be `v1.0.0`.
    pub fn revision(&self) -> Option<(&str, Option<String>)> {
        if self.kind != Kind::Revision {
            return None;
        }
        let canonical = semver::canonical_module_version(&self.text);
        Some((&self.text, canonical.filter(|c| *c != self.text)))
    }

    /// What the versions that can be chosen start with.
    pub fn prefix(&self) -> &str {
        match &self.kind {
            Kind::Choice { prefix, .. } => prefix,
            Kind::Revision => "",
        }
    }

    /// Whether the query holds for `version`.
    pub fn accepts(&self, version: &str) -> bool {
        let Kind::Choice { prefix, bound, .. } = &self.kind else {
            return version == self.text;
        };
        let within = bound.as_ref().is_none_or(|(bound, limit)| {
            let order = semver::compare(version, limit);
            match bound {
                Bound::Below => order == Ordering::Less,
                Bound::AtMost => order != Ordering::Greater,
                Bound::AtLeast => order != Ordering::Less,
                Bound::Above => order == Ordering::Greater,
            }
        });
        version.starts_with(prefix.as_str()) && within
    }

    /// Chooses among `versions` (all of the module, lowest first) those that are `allowed`. `has_go_mod` tells
    /// whether a version has a go.mod file; it is asked once at most.
    pub fn select<E>(
        &self,
        versions: &[Version],
        allowed: impl Fn(&str) -> bool,
        has_go_mod: impl FnOnce(&Version) -> Result<bool, E>,
    ) -> Result<Result<Selection, QueryError>, E> {
        let fitting: Vec<&Version> = versions
            .iter()
            .filter(|version| self.accepts(version.as_str()) && allowed(version.as_str()))
            .collect();
        let fitting = self.without_incompatible(fitting, has_go_mod)?;
        let choose = |prerelease: bool| {
            let mut matching = fitting
                .iter()
                .filter(|version| version.is_prerelease() == prerelease);
            if self.prefers_lower() {
                matching.next()
            } else {
                matching.next_back()
            }
        };
        Ok(match choose(false).or_else(|| choose(true)) {
            Some(version) => Ok(Selection::Version(Version::clone(version))),
            None if self.may_use_latest() => Ok(Selection::Latest),
            None => self.fallback(allowed),
        })
    }

    /// What is left when nothing was found, the newest commit included: the version in use for `upgrade` and
    /// `patch`.
    pub fn fallback(&self, allowed: impl Fn(&str) -> bool) -> Result<Selection, QueryError> {
        let keeps = matches!(self.text.as_str(), "upgrade" | "patch");
        match &self.current {
            Some(current) if keeps && allowed(current) => Ok(Selection::Current(current.clone())),
            _ => Err(self.no_match()),
        }
    }

    /// That there is nothing.
    pub(crate) fn no_match(&self) -> QueryError {
        QueryError::NoMatch {
            query: self.text.clone(),
            current: self.current.clone(),
        }
    }

    /// Whether the version in use is kept although another was found, made at `found`: going from a pseudo-version
    /// to an older commit is no upgrade.
    pub fn keeps_current(&self, found: Timestamp) -> Option<&str> {
        let current = self.current.as_deref()?;
        let applies =
            matches!(self.text.as_str(), "upgrade" | "patch") && is_pseudo_version(current);
        let time = pseudo_version_time(current).ok()?;
        (applies && found < time).then_some(current)
    }

    fn without_incompatible<'a, E>(
        &self,
        fitting: Vec<&'a Version>,
        has_go_mod: impl FnOnce(&Version) -> Result<bool, E>,
    ) -> Result<Vec<&'a Version>, E> {
        if self.prefer_incompatible {
            return Ok(fitting);
        }
        let first = fitting.iter().position(|version| version.is_incompatible());
        let highest = first
            .and_then(|at| at.checked_sub(1))
            .and_then(|at| fitting.get(at));
        match (first, highest) {
            (Some(first), Some(highest)) if has_go_mod(highest)? => {
                Ok(fitting.into_iter().take(first).collect())
            }
            _ => Ok(fitting),
        }
    }

    fn prefers_lower(&self) -> bool {
        matches!(
            self.kind,
            Kind::Choice {
                prefer_lower: true,
                ..
            }
        )
    }

    fn may_use_latest(&self) -> bool {
        matches!(
            self.kind,
            Kind::Choice {
                may_use_latest: true,
                ..
            }
        )
    }
}

struct Parser<'a> {
    module: &'a ModulePath,
    query: &'a str,
    prefer_incompatible: bool,
}

impl Parser<'_> {
    fn kind(&mut self, current: Option<&str>) -> Result<Kind, QueryError> {
        let at_least_current = current.map(|c| (Bound::AtLeast, c.to_owned()));
        let from_current = |prefix: String| Kind::Choice {
            prefix,
            bound: at_least_current.clone(),
            prefer_lower: false,
            may_use_latest: current.is_none_or(is_pseudo_version),
        };
        match self.query {
            "latest" => Ok(Kind::Choice {
                prefix: String::new(),
                bound: None,
                prefer_lower: false,
                may_use_latest: true,
            }),
            "upgrade" => Ok(from_current(String::new())),
            "patch" => {
                let minor = current.and_then(semver::major_minor);
                let minor = minor.ok_or_else(|| QueryError::NoPatchBase {
                    module: self.module.to_string(),
                })?;
                Ok(from_current(format!("{minor}.")))
            }
            _ => self.range_or_version(),
        }
    }

    fn range_or_version(&mut self) -> Result<Kind, QueryError> {
        for (sign, bound) in [
            ("<=", Bound::AtMost),
            ("<", Bound::Below),
            (">=", Bound::AtLeast),
            (">", Bound::Above),
        ] {
            if let Some(version) = self.query.strip_prefix(sign) {
                return self.range(bound, version);
            }
        }
        if !semver::is_valid(self.query) {
            return Ok(Kind::Revision);
        }
        self.mind_major(self.query);
        if !is_short(self.query) {
            return Ok(Kind::Revision);
        }
        Ok(Kind::Choice {
            prefix: format!("{}.", self.query),
            // v1.2 does not mean prereleases of v1.2.0.
            bound: Some((Bound::AtLeast, self.query.to_owned())),
            prefer_lower: false,
            may_use_latest: false,
        })
    }

    fn range(&mut self, bound: Bound, version: &str) -> Result<Kind, QueryError> {
        let (version, query) = (version.to_owned(), self.query.to_owned());
        if !semver::is_valid(&version) {
            return Err(QueryError::InvalidBound { version, query });
        }
        if matches!(bound, Bound::AtMost | Bound::Above) && is_short(&version) {
            return Err(QueryError::AmbiguousBound { version, query });
        }
        self.mind_major(&version);
        Ok(Kind::Choice {
            prefix: String::new(),
            prefer_lower: matches!(bound, Bound::AtLeast | Bound::Above),
            bound: Some((bound, version)),
            may_use_latest: false,
        })
    }

    /// Whoever names a major version that the path does not have means `+incompatible` ones.
    fn mind_major(&mut self, version: &str) {
        if check_path_major(version, self.module.path_major()).is_err() {
            self.prefer_incompatible = true;
        }
    }
}

/// `v1` and `v1.2`.
fn is_short(version: &str) -> bool {
    version
        .split(['-', '+'])
        .next()
        .unwrap_or(version)
        .matches('.')
        .count()
        < 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(query: &str, current: Option<&str>, versions: &[&str], go_mod: bool) -> String {
        let module = ModulePath::new("x.y/z").unwrap();
        let versions: Vec<Version> = versions.iter().map(|v| Version::new(v).unwrap()).collect();
        let query = match Query::parse(&module, query, current) {
            Ok(query) => query,
            Err(error) => return error.to_string(),
        };
        if let Some((revision, other)) = query.revision() {
            return format!("revision {revision} {}", other.unwrap_or_default());
        }
        let selected = query.select(&versions, |_| true, |_| Ok::<_, ()>(go_mod));
        match selected.unwrap() {
            Ok(Selection::Version(version)) => version.to_string(),
            Ok(Selection::Latest) => "tip".to_owned(),
            Ok(Selection::Current(current)) => format!("keep {current}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn releases_go_before_prereleases() {
        let versions = [
            "v0.1.0",
            "v1.0.0",
            "v1.1.0",
            "v1.1.1-rc.1",
            "v1.2.0-a",
            "v1.2.0",
        ];
        for (query, current, want) in [
            ("latest", None, "v1.2.0"),
            ("v1", None, "v1.2.0"),
            ("v1.1", None, "v1.1.0"),
            ("v0.2", None, "no matching versions for query \"v0.2\""),
            ("<v1.2.0", None, "v1.1.0"),
            ("<=v1.2.0-a", None, "v1.1.0"),
            (">v1.1.0", None, "v1.2.0"),
            (">=v1.1.0", None, "v1.1.0"),
            (
                ">v1.2.0",
                None,
                "no matching versions for query \">v1.2.0\"",
            ),
            ("upgrade", Some("v1.2.0"), "v1.2.0"),
            ("upgrade", Some("v1.3.0"), "keep v1.3.0"),
            ("upgrade", None, "v1.2.0"),
            ("patch", Some("v1.1.0"), "v1.1.0"),
            ("patch", Some("v1.1.1-rc.1"), "v1.1.1-rc.1"),
            (
                "patch",
                None,
                "can't query version \"patch\" of module x.y/z: no existing version is required",
            ),
            (
                "<=v1.2",
                None,
                "ambiguous semantic version \"v1.2\" in range \"<=v1.2\"",
            ),
            (">x", None, "invalid semantic version \"x\" in range \">x\""),
            ("main", None, "revision main "),
            ("v1.0.0", None, "revision v1.0.0 "),
            ("v1.0.0+meta", None, "revision v1.0.0+meta v1.0.0"),
            ("latest", Some("x"), "invalid previous version x.y/z@x"),
        ] {
            assert_eq!(answer(query, current, &versions, true), want, "{query}");
        }
        assert_eq!(answer("latest", None, &[], true), "tip");
    }

    #[test]
    fn incompatible_versions_count_when_the_compatible_ones_are_from_before_modules() {
        let versions = ["v1.0.0", "v2.0.0+incompatible"];
        assert_eq!(answer("latest", None, &versions, true), "v1.0.0");
        assert_eq!(
            answer("latest", None, &versions, false),
            "v2.0.0+incompatible"
        );
        assert_eq!(answer("v2", None, &versions, true), "v2.0.0+incompatible");
        assert_eq!(
            answer("upgrade", Some("v2.0.0+incompatible"), &versions, true),
            "v2.0.0+incompatible"
        );
    }

    #[test]
    fn a_newer_pseudo_version_is_kept() {
        let module = ModulePath::new("x.y/z").unwrap();
        let current = "v0.0.0-20200101000000-abcdef123456";
        let query = Query::parse(&module, "upgrade", Some(current)).unwrap();
        assert_eq!(
            query.keeps_current("2019-01-01T00:00:00Z".parse().unwrap()),
            Some(current)
        );
        assert_eq!(
            query.keeps_current("2021-01-01T00:00:00Z".parse().unwrap()),
            None
        );
        let latest = Query::parse(&module, "latest", Some(current)).unwrap();
        assert_eq!(
            latest.keeps_current("2019-01-01T00:00:00Z".parse().unwrap()),
            None
        );
    }

    proptest! {
        #[test]
        fn what_is_selected_is_accepted(query in "(latest|upgrade|v1|v1\\.1|[<>]=?v1\\.[0-2]\\.0)", minors in proptest::collection::btree_set(0_u8..4, 0..4)) {
            let module = ModulePath::new("x.y/z").unwrap();
            let versions: Vec<Version> = minors.iter().map(|m| Version::new(&format!("v1.{m}.0")).unwrap()).collect();
            let query = Query::parse(&module, &query, None).unwrap();
            if let Ok(Selection::Version(version)) = query.select(&versions, |_| true, |_| Ok::<_, ()>(true)).unwrap() {
                prop_assert!(query.accepts(version.as_str()));
            }
        }

        #[test]
        fn no_query_panics(query in "[<>=v0-9.+a-]{0,12}|\\PC*") {
            let module = ModulePath::new("x.y/z").unwrap();
            if let Ok(query) = Query::parse(&module, &query, None) {
                let _ = query.select(&[], |_| true, |_| Ok::<_, ()>(true));
            }
        }
    }
}
