//! The words of a diagnosis, from the message files.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fault::Lang;

use crate::probe::report::{Check, FACTS, Reason};

type Words = BTreeMap<String, BTreeMap<String, String>>;

static ENGLISH: LazyLock<Words> = LazyLock::new(|| read(Lang::En));
static CHINESE: LazyLock<Words> = LazyLock::new(|| read(Lang::Zh));

fn read(lang: Lang) -> Words {
    let text = match lang {
        Lang::En => include_str!("../../messages/en.toml"),
        Lang::Zh => include_str!("../../messages/zh.toml"),
    };
    // The files are part of the program and a test reads each entry.
    toml::from_str(text).unwrap_or_default()
}

/// A word of a diagnosis: `table.key` of the message file. Empty when there is none, which a test excludes.
pub fn word(lang: Lang, table: &str, key: &str) -> &'static str {
    let words = match lang {
        Lang::En => &*ENGLISH,
        Lang::Zh => &*CHINESE,
    };
    words
        .get(table)
        .and_then(|table| table.get(key))
        .map_or("", String::as_str)
}

/// Whether every word that a diagnosis may need is there in `lang`; else the first that is missing.
pub fn words_are_complete(lang: Lang) -> Result<usize, String> {
    let checks = Check::ALL.iter().map(|check| ("check", check.as_str()));
    let facts = FACTS.iter().map(|fact| ("fact", *fact));
    let reasons = Reason::ALL.iter().map(|reason| ("reason", reason.as_str()));
    let mut count = 0;
    for (table, key) in checks.chain(facts).chain(reasons) {
        if word(lang, table, key).is_empty() {
            return Err(format!("{lang}: {table}.{key}"));
        }
        count += 1;
    }
    let (one, other) = (read(lang), read(Lang::En));
    let keys = |words: &Words| -> Vec<String> {
        let keys = words
            .iter()
            .flat_map(|(table, entries)| entries.keys().map(move |key| format!("{table}.{key}")));
        keys.collect()
    };
    if keys(&one) == keys(&other) {
        Ok(count)
    } else {
        Err(format!("{lang}: other keys than English"))
    }
}
