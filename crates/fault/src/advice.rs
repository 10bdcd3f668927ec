//! What people read about a label: what they see, why, what to do, what not to do.
//!
//! The texts live in `messages/`, one file per hop and language, the commands once for all languages. They are parsed
//! on first use.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::{Hop, Label, Lang};

/// Everything a person is told about one label, in one language. Texts and commands are templates for
/// [`Subjects`](crate::Subjects).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// What the user sees, in the words of the tools.
    pub phenomenon: String,
    /// Why it happens, and who is at fault.
    pub cause: String,
    /// What to do; the first is the recommended one.
    pub fixes: Vec<Fix>,
    /// What not to do, and why: the usual wrong advice.
    pub avoid: Vec<String>,
    /// What separates this cause from its neighbours.
    pub probe: Probe,
}

/// One way to remove a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What to do, in words.
    pub text: String,
    /// The command that does it or begins it, where there is one.
    pub command: Option<String>,
    /// What it may change.
    pub risk: Risk,
}

/// A harmless command whose outcome tells one cause from the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// How to read the outcome.
    pub text: String,
    /// The command.
    pub command: String,
}

/// What a fix may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Nothing, or only the command itself.
    None,
    /// Settings or files of the user, easily undone.
    Low,
    /// Trust or the whole system: to be decided by a person who knows the consequences.
    High,
}

impl Risk {
    /// `none`, `low` or `high`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::High => "high",
        }
    }
}

impl Label {
    /// What people read about this label. Read from the embedded message files on the first call.
    pub fn advice(self, lang: Lang) -> &'static Advice {
        static BLANK: LazyLock<Advice> = LazyLock::new(Advice::default);
        static ENGLISH: LazyLock<HashMap<Label, Advice>> = LazyLock::new(|| read_all(Lang::En));
        static CHINESE: LazyLock<HashMap<Label, Advice>> = LazyLock::new(|| read_all(Lang::Zh));
        let texts = match lang {
            Lang::En => &ENGLISH,
            Lang::Zh => &CHINESE,
        };
        // The files are part of the binary and a test reads each entry, so the blank one is never handed out.
        texts.get(&self).unwrap_or_else(|| &BLANK)
    }
}

/// The words of one label in a message file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    phenomenon: String,
    cause: String,
    fix: Vec<String>,
    avoid: Vec<String>,
    probe: String,
}

/// The commands of one label, shared by the languages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Commands {
    probe: String,
    fix: Vec<FixCommand>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FixCommand {
    risk: Risk,
    command: Option<String>,
}

fn read_all(lang: Lang) -> HashMap<Label, Advice> {
    Hop::ALL
        .into_iter()
        .flat_map(|hop| read(hop, lang).unwrap_or_default())
        .collect()
}

/// Reads one hop in one language; the error text names what is wrong in the files.
fn read(hop: Hop, lang: Lang) -> Result<Vec<(Label, Advice)>, String> {
    let files = Files::of(hop);
    let words: HashMap<String, Words> =
        toml::from_str(files.words(lang)).map_err(|e| format!("{lang}/{hop}: {e}"))?;
    let mut commands: HashMap<String, Commands> =
        toml::from_str(files.commands).map_err(|e| format!("commands/{hop}: {e}"))?;
    words
        .into_iter()
        .map(|(name, words)| {
            let label: Label = name.parse().map_err(|e| format!("{lang}/{hop}: {e}"))?;
            let commands = commands
                .remove(&name)
                .ok_or_else(|| format!("commands/{hop}: no {name}"))?;
            if commands.fix.len() != words.fix.len() {
                return Err(format!(
                    "{lang}/{hop}: {name}: as many fixes as in commands/{hop} are needed"
                ));
            }
            Ok((label, join(words, commands)))
        })
        .collect()
}

fn join(words: Words, commands: Commands) -> Advice {
    let fixes = words
        .fix
        .into_iter()
        .zip(commands.fix)
        .map(|(text, FixCommand { risk, command })| Fix {
            text,
            command,
            risk,
        })
        .collect();
    Advice {
        phenomenon: words.phenomenon,
        cause: words.cause,
        fixes,
        avoid: words.avoid,
        probe: Probe {
            text: words.probe,
            command: commands.probe,
        },
    }
}

struct Files {
    commands: &'static str,
    en: &'static str,
    zh: &'static str,
}

macro_rules! files {
    ($name:literal) => {
        Files {
            commands: include_str!(concat!("../messages/commands/", $name, ".toml")),
            en: include_str!(concat!("../messages/en/", $name, ".toml")),
            zh: include_str!(concat!("../messages/zh/", $name, ".toml")),
        }
    };
}

impl Files {
    const fn of(hop: Hop) -> Self {
        match hop {
            Hop::Config => files!("config"),
            Hop::ClientEnv => files!("client-env"),
            Hop::Dns => files!("dns"),
            Hop::Tcp => files!("tcp"),
            Hop::Tls => files!("tls"),
            Hop::HttpProxy => files!("http-proxy"),
            Hop::Goproxy => files!("goproxy"),
            Hop::Sumdb => files!("sumdb"),
            Hop::Vcs => files!("vcs"),
            Hop::Auth => files!("auth"),
            Hop::Module => files!("module"),
            Hop::Project => files!("project"),
            Hop::Toolchain => files!("toolchain"),
            Hop::Disk => files!("disk"),
        }
    }

    const fn words(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Zh => self.zh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{forbidden_remedies, template};

    #[test]
    fn every_label_has_its_texts_in_both_languages() {
        for lang in Lang::ALL {
            let mut labels = Vec::new();
            for hop in Hop::ALL {
                let entries = read(hop, lang).unwrap();
                for (label, _) in &entries {
                    assert_eq!(label.hop(), hop, "{label} is in the file of another hop");
                }
                labels.extend(entries.into_iter().map(|(label, _)| label));
            }
            labels.sort();
            assert_eq!(labels, Label::ALL, "{lang}");
        }
    }

    #[test]
    fn no_text_is_blank() {
        for lang in Lang::ALL {
            for &label in Label::ALL {
                let advice = label.advice(lang);
                assert!(
                    !advice.fixes.is_empty() && !advice.avoid.is_empty(),
                    "{lang} {label}"
                );
                let texts = [
                    &advice.phenomenon,
                    &advice.cause,
                    &advice.probe.text,
                    &advice.probe.command,
                ];
                let fixes = advice.fixes.iter().map(|fix| &fix.text);
                for text in texts.into_iter().chain(fixes).chain(&advice.avoid) {
                    assert!(
                        text.trim() == text.as_str() && !text.is_empty(),
                        "{lang} {label}: {text:?}"
                    );
                }
                for command in advice.fixes.iter().filter_map(|fix| fix.command.as_deref()) {
                    assert!(!command.trim().is_empty(), "{lang} {label}");
                }
            }
        }
    }

    #[test]
    fn the_chinese_texts_are_chinese() {
        let han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
        for &label in Label::ALL {
            let (zh, en) = (label.advice(Lang::Zh), label.advice(Lang::En));
            for text in zh
                .fixes
                .iter()
                .map(|fix| &fix.text)
                .chain(&zh.avoid)
                .chain([&zh.cause, &zh.probe.text])
            {
                assert!(text.contains(han), "{label}: {text}");
            }
            for text in en
                .fixes
                .iter()
                .map(|fix| &fix.text)
                .chain(&en.avoid)
                .chain([&en.cause, &en.probe.text])
            {
                assert!(!text.contains(han), "{label}: {text}");
            }
        }
    }

    #[test]
    fn no_fix_and_no_probe_is_a_forbidden_remedy() {
        let mut held = 0;
        for lang in Lang::ALL {
            for &label in Label::ALL {
                let advice = label.advice(lang);
                let fixes = advice
                    .fixes
                    .iter()
                    .flat_map(|fix| fix.command.iter().chain([&fix.text]));
                for text in fixes.chain([&advice.probe.text, &advice.probe.command]) {
                    assert_eq!(forbidden_remedies(text), [], "{lang} {label}: {text}");
                    held += 1;
                }
            }
        }
        assert!(held > 1000, "{held}");
    }

    #[test]
    fn the_usual_wrong_advice_is_warned_of_where_it_is_tempting() {
        for (label, word) in [
            (Label::SumdbUnreachable, "GOSUMDB=off"),
            (Label::GosumMismatch, "go.sum"),
            (Label::TlsUnknownCaMitm, "http.sslVerify false"),
            (Label::AuthSshHostkey, "StrictHostKeyChecking=no"),
            (Label::DiskPermission, "chmod 777"),
            (Label::DnsServfail, "/etc/resolv.conf"),
        ] {
            for lang in Lang::ALL {
                assert!(
                    label
                        .advice(lang)
                        .avoid
                        .iter()
                        .any(|text| text.contains(word)),
                    "{lang} {label}"
                );
            }
        }
    }

    #[test]
    fn every_placeholder_is_known() {
        // Words in braces that belong to curl's --write-out.
        let curl = [
            "http_code",
            "errormsg",
            "time_total",
            "time_starttransfer",
            "size_download",
        ];
        for lang in Lang::ALL {
            for &label in Label::ALL {
                let advice = label.advice(lang);
                let fixes = advice
                    .fixes
                    .iter()
                    .flat_map(|fix| fix.command.iter().chain([&fix.text]));
                let texts = [
                    &advice.phenomenon,
                    &advice.cause,
                    &advice.probe.text,
                    &advice.probe.command,
                ];
                for text in fixes.chain(texts).chain(&advice.avoid) {
                    for name in template::words_in_braces(text) {
                        assert!(
                            curl.contains(&name) || template::is_placeholder(name),
                            "{label}: {{{name}}}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_retry_is_never_the_fix_for_a_mismatch() {
        for label in [Label::SumdbMismatch, Label::GosumMismatch] {
            assert!(
                label.advice(Lang::En).fixes[0].text.starts_with("Stop"),
                "{label}"
            );
            assert!(
                label.advice(Lang::Zh).fixes[0].text.starts_with("停下"),
                "{label}"
            );
        }
    }
}
