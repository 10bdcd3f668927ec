//! The words around facts: short phrases of reports and traces.
//!
//! They live in `messages/<language>/phrases.toml` and are parsed on first use.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::{Lang, fill};

macro_rules! phrases {
    ($($variant:ident = $name:literal;)+) => {
        /// A short phrase, with at most one fact in it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the message files hold the words, and a test holds them complete")]
        pub enum Phrase { $($variant,)+ }

        impl Phrase {
            /// All phrases.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            const fn key(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

phrases! {
    AskedOk = "asked-ok";
    AskedAbsent = "asked-absent";
    AskedFailedOn = "asked-failed-on";
    AskedFailedStop = "asked-failed-stop";
    NextAny = "next-any";
    NextAbsent = "next-absent";
    Maybe = "maybe";
    SkippedNoProxy = "skipped-no-proxy";
    SkippedOff = "skipped-off";
    NotReached = "not-reached";
    Discovery = "discovery";
    Repository = "repository";
    GitForbidden = "git-forbidden";
    Insecure = "insecure";
    ThroughProxy = "through-proxy";
    CredentialNetrc = "credential-netrc";
    CredentialUrl = "credential-url";
    CredentialCommand = "credential-command";
    EndAnswered = "end-answered";
    EndStopped = "end-stopped";
    EndExhausted = "end-exhausted";
    EndOpen = "end-open";
    EndRefused = "end-refused";
    EndVendor = "end-vendor";
    EndGopath = "end-gopath";
    SumdbOff = "sumdb-off";
    SumdbNoSumdb = "sumdb-no-sumdb";
    SumdbFile = "sumdb-file";
    SumdbRefused = "sumdb-refused";
    SumdbDirect = "sumdb-direct";
    SumdbThrough = "sumdb-through";
    SumdbUnavailable = "sumdb-unavailable";
    SumdbOpen = "sumdb-open";
}

impl Phrase {
    /// The phrase, with `{value}` for its fact.
    pub fn text(self, lang: Lang) -> &'static str {
        static ENGLISH: LazyLock<HashMap<String, String>> =
            LazyLock::new(|| read(Lang::En).unwrap_or_default());
        static CHINESE: LazyLock<HashMap<String, String>> =
            LazyLock::new(|| read(Lang::Zh).unwrap_or_default());
        let texts = match lang {
            Lang::En => &ENGLISH,
            Lang::Zh => &CHINESE,
        };
        // A test reads every one of them.
        texts.get(self.key()).map_or("", String::as_str)
    }

    /// The phrase with its fact.
    pub fn with(self, lang: Lang, value: &str) -> String {
        fill(self.text(lang), |name| (name == "value").then_some(value))
    }
}

fn read(lang: Lang) -> Result<HashMap<String, String>, toml::de::Error> {
    toml::from_str(match lang {
        Lang::En => include_str!("../messages/en/phrases.toml"),
        Lang::Zh => include_str!("../messages/zh/phrases.toml"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forbidden_remedies;

    #[test]
    fn every_phrase_is_there_in_both_languages_with_the_same_fact() {
        let han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
        for lang in Lang::ALL {
            assert_eq!(read(lang).unwrap().len(), Phrase::ALL.len(), "{lang}");
        }
        for &phrase in Phrase::ALL {
            let (en, zh) = (phrase.text(Lang::En), phrase.text(Lang::Zh));
            assert!(!en.is_empty() && !en.contains(han), "{phrase:?}: {en}");
            assert!(zh.contains(han), "{phrase:?}: {zh}");
            assert_eq!(en.contains("{value}"), zh.contains("{value}"), "{phrase:?}");
            assert!(forbidden_remedies(en).is_empty() && forbidden_remedies(zh).is_empty());
        }
    }
}
