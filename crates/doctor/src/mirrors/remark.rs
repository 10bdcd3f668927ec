//! What there is to say about a mirror or a recommendation: data, with words in both languages.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fault::Lang;

macro_rules! kinds {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal;)+) => {
        /// A kind of remark, or a word of the layout. The words are in `messages/mirrors/<language>.toml`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])+ $variant,)+ }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name used in machine output, in kebab case.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

kinds! {
    /// It serves other bytes than the database has on record: `evidence`.
    Contradicted = "contradicted";
    /// It names a version the database does not know: `module`, `version`, `evidence`.
    Invented = "invented";
    /// Its host is dead, or its operator has another address.
    Dead = "dead";
    /// It does not answer: `label`, `evidence`.
    Unreachable = "unreachable";
    /// The database can be asked neither through it nor directly: `label`, `evidence`.
    Unprotected = "unprotected";
    /// It has none of the samples.
    LacksAll = "lacks-all";
    /// It answers, but a sample could not be fetched from it: `label`, `evidence`.
    CannotServe = "cannot-serve";
    /// Its claim to relay the database cannot be told: `label`, `evidence`.
    RelayBroken = "relay-broken";
    /// Some requests failed: `failed`, `asked`, `label`.
    Flaky = "flaky";
    /// It does not know newer versions: `module`, `count`, `newest`, `best`.
    Lags = "lags";
    /// It lacks a sample: `module`.
    Lacks = "lacks";
    /// It alone names this version, and nobody could be asked: `module`, `version`.
    Unproven = "unproven";
    /// The operator was not seen to publish this address.
    Unconfirmed = "unconfirmed";
    /// It does not relay the database, which can be asked directly.
    NoRelay = "no-relay";
    /// It relays the database, and a look-up through it was proven.
    Relays = "relays";
    /// The next one is not measurably slower: `other`.
    NoDifference = "no-difference";
    /// It is faster than the next one: `other`, `time`.
    Faster = "faster";
    /// So few measurements say little: `count`.
    Few = "few";

    /// A bar between mirrors.
    BarMirrors = "bar-mirrors";
    /// A comma behind a server of one's own.
    CommaOwn = "comma-own";
    /// A comma before `direct`.
    CommaDirect = "comma-direct";
    /// A bar before `direct`.
    BarDirect = "bar-direct";
    /// GOPRIVATE and its like stay as they are: `globs`.
    PrivateKept = "private-kept";
    /// A bar stood behind a server of one's own: `entry`.
    BarBehindOwn = "bar-behind-own";
    /// A server of one's own and no GOPRIVATE.
    NamesMayLeave = "names-may-leave";
    /// The list ends without `direct`.
    NoDirect = "no-direct";
    /// The list ends with `direct`, and there is no git.
    DirectNeedsGit = "direct-needs-git";
    /// The list ends with `direct`, and says what that means.
    WithDirect = "with-direct";
    /// Downloads were forbidden so far.
    WasOff = "was-off";
    /// GOSUMDB is off.
    SumdbOff = "sumdb-off";
    /// GONOSUMDB or GOPRIVATE matches everything: `setting`.
    SumdbSkipped = "sumdb-skipped";
    /// An environment variable wins over `go env -w`: `origin`.
    EnvironmentWins = "environment-wins";
    /// A server of one's own does not answer: `entry`, `label`.
    OwnDown = "own-down";
    /// The command would show a password.
    HasPassword = "has-password";
    /// There is no second mirror to fall back on.
    NoSecond = "no-second";

    /// Nothing is recommended: no mirror qualified.
    NoMirror = "no-mirror";
    /// Nothing is recommended: GOPROXY names servers of one's own only.
    OwnOnly = "own-only";
    /// Nothing needs to change.
    AlreadySo = "already-so";

    /// Heading.
    Mirrors = "mirrors";
    /// Heading.
    Recommendation = "recommendation";
    /// What was measured: `samples`, `repeat`, `time`, `database`.
    Method = "method";
    /// Column.
    ColumnMirror = "column-mirror";
    /// Column.
    ColumnMedian = "column-median";
    /// Column.
    ColumnP95 = "column-p95";
    /// Column.
    ColumnRate = "column-rate";
    /// Column.
    ColumnFailed = "column-failed";
    /// Column.
    ColumnBehind = "column-behind";
    /// Column.
    ColumnDatabase = "column-database";
    /// Cell.
    CellRelayed = "cell-relayed";
    /// Cell.
    CellDirect = "cell-direct";
    /// Cell.
    CellNone = "cell-none";
    /// Region.
    RegionGlobal = "region-global";
    /// Region.
    RegionChina = "region-china";
    /// Label before the undo command.
    Undo = "undo";
    /// Label before a reason.
    Why = "why";
    /// Label before a warning.
    Mind = "mind";
    /// How often it was up by the history: `percent`, `checks`, `days`.
    History = "history";
    /// Where the facts of a listed mirror were looked up: `basis`, `checked`.
    Looked = "looked";
    /// It is up again or down: `time`, `mirror`, `state`.
    Change = "change";
    /// State.
    Up = "up";
    /// State.
    Down = "down";
    /// Applied: `value`.
    Applied = "applied";
}

/// A remark with its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What it says.
    pub kind: Kind,
    /// The facts in it, without secrets.
    pub facts: Vec<(&'static str, String)>,
}

impl Remark {
    /// A remark of this kind, with the facts that its words name.
    pub fn stating<'a>(
        kind: Kind,
        facts: impl IntoIterator<Item = (&'static str, &'a str)>,
    ) -> Self {
        let facts = facts
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()));
        Self {
            kind,
            facts: facts.collect(),
        }
    }

    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            facts: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    pub(super) fn failed(kind: Kind, failure: &crate::probe::report::Failure) -> Self {
        Self::new(kind)
            .with("label", failure.label.as_str())
            .with("evidence", failure.evidence.join("; "))
    }

    /// The remark as a sentence.
    pub fn sentence(&self, lang: Lang) -> String {
        fault::fill(word(lang, self.kind), |name| {
            self.facts
                .iter()
                .find(|(fact, _)| *fact == name)
                .map(|(_, value)| value.as_str())
        })
    }
}

type Words = BTreeMap<String, String>;

static ENGLISH: LazyLock<Words> = LazyLock::new(|| read(Lang::En));
static CHINESE: LazyLock<Words> = LazyLock::new(|| read(Lang::Zh));

fn read(lang: Lang) -> Words {
    // The files are part of the program and a test reads each entry.
    toml::from_str(match lang {
        Lang::En => include_str!("../../messages/mirrors/en.toml"),
        Lang::Zh => include_str!("../../messages/mirrors/zh.toml"),
    })
    .unwrap_or_default()
}

/// The words of a kind, with `{fact}` for its facts.
pub(super) fn word(lang: Lang, kind: Kind) -> &'static str {
    let words = match lang {
        Lang::En => &*ENGLISH,
        Lang::Zh => &*CHINESE,
    };
    words.get(kind.as_str()).map_or("", String::as_str)
}

/// Whether every word exists in `lang`, and no other; else the first that does not.
pub fn words_are_complete(lang: Lang) -> Result<usize, String> {
    let words = read(lang);
    if let Some(missing) = Kind::ALL.iter().find(|kind| word(lang, **kind).is_empty()) {
        return Err(format!("{lang}: {} is missing", missing.as_str()));
    }
    if words.len() == Kind::ALL.len() {
        Ok(words.len())
    } else {
        Err(format!("{lang}: words that nothing uses"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Vec<&str> {
        let mut facts: Vec<&str> = text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
            .collect();
        facts.sort_unstable();
        facts
    }

    #[test]
    fn every_word_exists_in_both_languages_with_the_same_facts_and_advises_nothing_forbidden() {
        let han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
        for lang in Lang::ALL {
            assert_eq!(words_are_complete(lang), Ok(Kind::ALL.len()));
        }
        for &kind in Kind::ALL {
            let (en, zh) = (word(Lang::En, kind), word(Lang::Zh, kind));
            assert_eq!(facts(en), facts(zh), "{kind:?}");
            assert!(!en.contains(han), "{kind:?}");
            // What consists of facts only has no words to translate.
            let is_bare = zh.starts_with('{') && zh.ends_with('}');
            assert!(
                zh.contains(han) || !zh.contains(' ') || is_bare,
                "{kind:?}: {zh}"
            );
            for text in [en, zh] {
                assert!(
                    fault::forbidden_remedies(text).is_empty(),
                    "{kind:?}: {text}"
                );
            }
        }
    }
}
