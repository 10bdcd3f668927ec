//! The built-in catalogue of public mirrors: data, read from `data/mirrors.toml`.

use std::sync::LazyLock;

use fault::Lang;
use goenv::RedactedUrl;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// What an entry of the catalogue rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// What the operator itself publishes.
    Operator,
    /// Wide use only; shown and measured, but recommended to nobody who has not named it.
    Usage,
}

impl Basis {
    /// The name used in machine output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Usage => "usage",
        }
    }
}

/// Whom a mirror is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Region {
    /// Everybody.
    Global,
    /// Mainland China.
    China,
}

impl Region {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Global, Self::China];

    /// The name used in machine output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::China => "china",
        }
    }
}

/// A public mirror.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The base URL as it stands in GOPROXY.
    #[serde(deserialize_with = "url")]
    pub url: url::Url,
    /// Who runs it.
    pub operator: String,
    /// Whom it is made for.
    pub region: Region,
    /// What the entry rests on.
    pub basis: Basis,
    /// Where that can be read.
    pub source: String,
    /// The day on which it was looked up, `YYYY-MM-DD`.
    pub checked: String,
    notes: Notes,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Notes {
    en: String,
    zh: String,
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<url::Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    url::Url::parse(&text).map_err(D::Error::custom)
}

#[derive(Deserialize)]
struct File {
    mirror: Vec<Listed>,
}

static CATALOGUE: LazyLock<Vec<Listed>> = LazyLock::new(|| {
    // The file is part of the program, and a test reads every entry.
    toml::from_str::<File>(include_str!("../../data/mirrors.toml"))
        .map_or_else(|_| Vec::new(), |file| file.mirror)
});

/// All public mirrors that are known.
pub fn catalogue() -> &'static [Listed] {
    &CATALOGUE
}

impl Listed {
    /// What else there is to know.
    pub fn notes(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.notes.en,
            Lang::Zh => &self.notes.zh,
        }
    }

    /// Its entry for a URL, if the catalogue has one.
    pub fn of(url: &RedactedUrl) -> Option<&'static Self> {
        catalogue()
            .iter()
            .find(|listed| same(&listed.url, url.as_url()))
    }
}

/// Whether two URLs are the same base, with or without a slash at the end.
pub(super) fn same(a: &url::Url, b: &url::Url) -> bool {
    a.as_str().trim_end_matches('/') == b.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_names_only_hosts_that_may_be_named() {
        assert!(catalogue().len() >= 5);
        for listed in catalogue() {
            assert_eq!(listed.url.scheme(), "https", "{}", listed.url);
            assert!(fault::forbidden_remedies(listed.url.as_str()).is_empty());
            assert!(!goenv::lint::is_dead_mirror(listed.url.host_str().unwrap()));
            assert!(!listed.operator.is_empty() && listed.source.starts_with("https://"));
            assert_eq!(listed.checked.len(), "2026-01-31".len(), "{}", listed.url);
            let han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
            assert!(!listed.notes(Lang::En).is_empty() && !listed.notes(Lang::En).contains(han));
            assert!(listed.notes(Lang::Zh).contains(han));
        }
    }

    #[test]
    fn the_operators_are_not_mixed_up() {
        let of = |url: &str| Listed::of(&url::Url::parse(url).unwrap().into());
        assert!(
            of("https://goproxy.cn/")
                .unwrap()
                .operator
                .contains("Qiniu")
        );
        assert!(
            of("https://mirrors.aliyun.com/goproxy")
                .unwrap()
                .operator
                .contains("Aliyun")
        );
        assert!(
            of("https://repo.huaweicloud.com/repository/goproxy")
                .unwrap()
                .operator
                .contains("Huawei")
        );
        assert!(of("https://goproxy.huaweicloud.com").is_none());
    }
}
