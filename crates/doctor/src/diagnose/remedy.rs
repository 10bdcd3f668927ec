//! The fixes of a cause, in the words of the shell they are pasted into, each with its scope and how to undo it.

use fault::{Label, Lang, Risk, Rule};
use goenv::fix::{Change, Fix, Scope};
use goenv::goproxy::{ProxyList, Target};
use goenv::report::Report;
use goenv::{Finding, Key, Shell, lint};

use super::spell::spell;
use super::words::word;
use super::{Case, Cause, Diagnosis, Step};
use crate::probe::dns::public::is_public_host;

/// One way to remove a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What to do, in words.
    pub text: String,
    /// The command as it can be pasted.
    pub command: Option<String>,
    /// The command that takes it back.
    pub undo: Option<String>,
    /// What it may change.
    pub risk: Risk,
    /// Who is affected; nobody by a command that only looks.
    pub scope: Option<Scope>,
    /// The same as a change that a program can make.
    pub fix: Option<Fix>,
    /// True when it may be carried out for a person who agreed: it changes one file of the user, reversibly, and sends
    /// no name to anybody who did not get it before.
    pub is_safe: bool,
}

/// Another order of the servers of GOPROXY, made of nothing but those that stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainFix {
    /// A bar in place of the comma behind the server that fails.
    Bar {
        /// The server, by its place in GOPROXY.
        at: usize,
    },
    /// Without the server that fails.
    Without {
        /// The server, by its place in GOPROXY.
        at: usize,
    },
}

impl ChainFix {
    /// A server that fails stands in front of one that answers.
    pub(super) fn find(case: &Case<'_>, route: &[Step]) -> Option<Self> {
        let broken = route.iter().position(|step| {
            let trouble = step.failure.as_ref();
            step.is_asked && trouble.is_some_and(|failure| !failure.is_absence())
        })?;
        let at = route.get(broken)?.place?;
        let answers = |step: &&Step| step.is_asked && step.failure.is_none();
        let other = route.iter().skip(broken + 1).find(answers)?;
        let list = ProxyList::parse(case.report.go.value(Key::GOPROXY)).ok()?;
        if !matches!(list.entries.get(at)?.target, Target::Url(_)) {
            return None;
        }
        if route.get(broken)?.falls_through {
            return Some(Self::Without { at });
        }
        // Behind a bar everything goes on to the next server when the first one is down, private names too.
        let leaks = !is_public(route.get(broken)?) && is_public(other);
        (!leaks).then_some(Self::Bar { at })
    }

    /// The new GOPROXY, out of the entries as they are written.
    fn value(self, setting: &str) -> Option<String> {
        let reached = ProxyList::parse(setting).ok()?.entries.len();
        let pieces = setting.split_inclusive([',', '|']);
        let entries = pieces
            .map(|piece| (piece.trim_end_matches([',', '|']).trim(), piece))
            .filter(|(entry, _)| !entry.is_empty());
        let mut value = String::new();
        let mut separator = "";
        for (at, (entry, piece)) in entries.take(reached).enumerate() {
            if self == (Self::Without { at }) {
                continue;
            }
            value.push_str(separator);
            value.push_str(entry);
            let is_bar = piece.ends_with('|') || self == (Self::Bar { at });
            separator = if is_bar { "|" } else { "," };
        }
        Some(value).filter(|value| !value.is_empty())
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Bar { .. } => "bar",
            Self::Without { .. } => "without",
        }
    }
}

fn is_public(step: &Step) -> bool {
    let url = url::Url::parse(&step.entry).ok();
    url.and_then(|url| url.host_str().map(is_public_host))
        .unwrap_or_default()
}

impl Diagnosis {
    /// The remedies of a cause, the recommended one first; each command once.
    pub fn remedies(&self, cause: &Cause, shell: Shell, lang: Lang) -> Vec<Remedy> {
        let view = View {
            report: &self.report,
            shell,
            lang,
        };
        let mut remedies: Vec<Remedy> = Vec::new();
        if let Some(fix) = &cause.proxy {
            let text = word(lang, "auto-config", "set").to_owned();
            return vec![view.remedy(text, fix.clone(), false)];
        }
        let all = view
            .of_chain(cause)
            .into_iter()
            .chain(
                cause
                    .findings
                    .iter()
                    .flat_map(|finding| view.of_finding(finding)),
            )
            .chain(view.of_handbook(cause));
        for remedy in all {
            let is_new = remedies
                .iter()
                .all(|known| known.command.is_none() || known.command != remedy.command);
            if is_new {
                remedies.push(remedy);
            }
        }
        remedies
    }

    /// The remedies of a finding.
    pub fn remedies_of_finding(&self, finding: &Finding, shell: Shell, lang: Lang) -> Vec<Remedy> {
        let view = View {
            report: &self.report,
            shell,
            lang,
        };
        view.of_finding(finding)
    }
}

struct View<'a> {
    report: &'a Report,
    shell: Shell,
    lang: Lang,
}

impl View<'_> {
    fn of_chain(&self, cause: &Cause) -> Vec<Remedy> {
        let Some(chain) = cause.chain else {
            return Vec::new();
        };
        let Some(value) = chain.value(self.report.go.value(Key::GOPROXY)) else {
            return Vec::new();
        };
        let text = word(self.lang, "chain", chain.key());
        let fixes = lint::setting(self.report, Key::GOPROXY, Some(&value));
        fixes
            .into_iter()
            .map(|fix| self.remedy(text.to_owned(), fix, true))
            .collect()
    }

    fn of_finding(&self, finding: &Finding) -> Vec<Remedy> {
        let text = finding.remedy(self.lang);
        if let Some(module) = damaged(finding) {
            let command = ["modkeep", "doctor", "--repair-cache", module];
            return vec![Remedy {
                command: Some(self.shell.line(&command)),
                risk: Risk::Low,
                scope: Some(Scope::User),
                ..in_words(text)
            }];
        }
        if finding.fixes.is_empty() {
            return vec![in_words(text)];
        }
        let fixes = finding.fixes.iter();
        fixes
            .map(|fix| self.remedy(text.clone(), fix.clone(), true))
            .collect()
    }

    fn of_handbook(&self, cause: &Cause) -> Vec<Remedy> {
        let subjects = &cause.failure.subjects;
        let advice = cause.label().advice(self.lang);
        let mut remedies = Vec::new();
        let mut last = Vec::new();
        for fix in &advice.fixes {
            let text = subjects.fill_text(&fix.text, self.lang);
            let command = fix.command.as_deref();
            let command = command.map(|command| self.with_proxy(subjects.fill_command(command)));
            if command.as_deref().is_some_and(sets_goproxy) && !self.is_public_chain() {
                // Servers of one's own are not exchanged for public ones, which would learn private names.
                match self.own_chain_and_direct(cause.label()) {
                    Some(chain) => {
                        let fixes = lint::setting(self.report, Key::GOPROXY, Some(&chain));
                        let fixes = fixes.into_iter();
                        remedies.extend(fixes.map(|fix| self.remedy(text.clone(), fix, false)));
                    }
                    None => last.push(in_words(text)),
                }
                continue;
            }
            let Some(command) = command else {
                remedies.push(Remedy {
                    risk: fix.risk,
                    ..in_words(text)
                });
                continue;
            };
            let changes = setting(&command).map(|(key, value)| self.settings(key, &value));
            match changes {
                Some((changes, may)) if !changes.is_empty() && fix.risk != Risk::None => {
                    remedies.extend(changes.into_iter().map(|change| Remedy {
                        risk: fix.risk,
                        ..self.remedy(text.clone(), change, may && fix.risk == Risk::Low)
                    }));
                }
                _ => remedies.push(Remedy {
                    undo: undo(&command).map(|undo| spell(self.shell, &undo)),
                    scope: scope(&command, fix.risk),
                    command: Some(spell(self.shell, &command)),
                    risk: fix.risk,
                    ..in_words(text)
                }),
            }
        }
        remedies.extend(last);
        remedies
    }

    fn is_public_chain(&self) -> bool {
        names_public_servers_only(self.report.go.value(Key::GOPROXY))
    }

    /// The servers that are asked now, and then the repository itself, for what they do not have.
    fn own_chain_and_direct(&self, label: Label) -> Option<String> {
        let now = self.report.go.value(Key::GOPROXY);
        let entries = ProxyList::parse(now).ok()?.entries;
        let has_end = entries
            .iter()
            .any(|entry| !matches!(entry.target, Target::Url(_)));
        let is_absence = matches!(label, Label::Goproxy404 | Label::Goproxy410);
        (is_absence && !has_end).then(|| format!("{now},direct"))
    }

    /// The handbook's proxy is the one that is set here.
    fn with_proxy(&self, command: String) -> String {
        let rows = ["HTTPS_PROXY", "https_proxy"];
        let row = rows.iter().find_map(|name| self.report.row(name));
        let url = row.and_then(|row| url::Url::parse(&row.value).ok());
        let authority = url.as_ref().and_then(|url| {
            let port = url.port_or_known_default()?;
            Some(format!("{}:{port}", url.host_str()?))
        });
        let is_plain = |text: &String| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c))
        };
        match authority.filter(is_plain) {
            Some(authority) => command.replace(EXAMPLE_PROXY, &authority),
            None => command,
        }
    }

    /// A setting of the handbook as changes of this machine, and whether they may be made without more thought.
    fn settings(&self, key: Key, value: &str) -> (Vec<Fix>, bool) {
        let now = self.report.go.value(key);
        let is_list = matches!(
            key,
            Key::GOPRIVATE | Key::GONOPROXY | Key::GONOSUMDB | Key::GOINSECURE
        );
        let value = if is_list && !now.is_empty() {
            format!("{now},{value}")
        } else {
            value.to_owned()
        };
        let may = !is_stand_in(&value) && (key != Key::GOPROXY || names_public_servers_only(now));
        (lint::setting(self.report, key, Some(&value)), may)
    }

    fn remedy(&self, text: String, fix: Fix, may: bool) -> Remedy {
        Remedy {
            text,
            command: Some(fix.command(self.shell)),
            undo: fix.undo(self.shell),
            risk: fix.risk,
            scope: Some(fix.scope),
            is_safe: may && is_safe(&fix),
            fix: Some(fix),
        }
    }
}

/// The address that stands for a proxy in the handbook.
const EXAMPLE_PROXY: &str = "proxy.example:8080";

fn sets_goproxy(command: &str) -> bool {
    let assignment = command
        .strip_prefix("go env -w ")
        .or_else(|| command.strip_prefix("export "));
    assignment.is_some_and(|rest| rest.trim_start_matches('\'').starts_with("GOPROXY="))
}

/// The module version whose files in the cache are damaged.
fn damaged(finding: &Finding) -> Option<&str> {
    let is_damage = matches!(
        finding.rule,
        Rule::CacheFileDamaged | Rule::CacheHashMismatch | Rule::CacheDirChanged
    );
    finding.fact("module").filter(|_| is_damage)
}

fn in_words(text: String) -> Remedy {
    Remedy {
        text,
        command: None,
        undo: None,
        risk: Risk::None,
        scope: None,
        fix: None,
        is_safe: false,
    }
}

/// Settings of go and git and permissions are safe to change; files that a person wrote, caches and what concerns
/// everybody are not.
fn is_safe(fix: &Fix) -> bool {
    let is_setting = |change: &Change| {
        matches!(
            change,
            Change::GoEnv { .. } | Change::Git { .. } | Change::Mode { .. }
        )
    };
    fix.is_applicable()
        && fix.risk != Risk::High
        && fix.scope != Scope::System
        && fix.changes.iter().all(is_setting)
}

/// A new GOPROXY sends names to servers that may not know them yet. That is no news only where all of them are sent to
/// public servers already.
fn names_public_servers_only(goproxy: &str) -> bool {
    let words = goproxy.split(|c: char| ",|;\"'".contains(c) || c.is_whitespace());
    words
        .filter(|word| !word.is_empty() && *word != "direct")
        .all(|word| {
            let rest = word.split_once("://").map_or(word, |(_, rest)| rest);
            let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
            is_public_host(host)
        })
}

/// True for a command that still wants a name filled in.
fn is_stand_in(value: &str) -> bool {
    let capitals = |word: &str| word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase());
    value.contains(".example")
        || value
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(capitals)
}

fn scope(command: &str, risk: Risk) -> Option<Scope> {
    if risk == Risk::None {
        return None;
    }
    match command.split_whitespace().next() {
        Some("export" | "unset") => Some(Scope::Shell),
        Some("go" | "git" | "chmod" | "printf") => Some(Scope::User),
        Some(word) if word.contains('=') => None,
        _ => Some(Scope::System),
    }
}

/// `KEY=VALUE` of a lone `go env -w`.
fn setting(command: &str) -> Option<(Key, String)> {
    let assignment = command.strip_prefix("go env -w ")?;
    let (name, value) = assignment.split_once('=')?;
    let value = value.trim_matches('\'');
    let plain = !value.contains(|c: char| c.is_whitespace() || ";&$`\"'()<>".contains(c));
    Some((Key::from_name(name)?, value.to_owned())).filter(|_| plain)
}

/// What takes a variable of the shell back.
fn undo(command: &str) -> Option<String> {
    let assignments = command.strip_prefix("export ")?;
    let names: Vec<&str> = assignments
        .split_whitespace()
        .filter_map(|word| Some(word.split_once('=')?.0))
        .collect();
    (!names.is_empty()).then(|| format!("unset {}", names.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_setting_is_recognized() {
        assert_eq!(
            setting("go env -w GOPROXY='https://a|https://b'"),
            Some((Key::GOPROXY, "https://a|https://b".to_owned()))
        );
        assert_eq!(setting("go env -w GOPROXY=x; rm y"), None);
        assert_eq!(setting("go env -u GOPROXY"), None);
    }

    #[test]
    fn a_chain_is_reordered_out_of_its_own_servers() {
        let chain = "https://a.test,https://b.test/x|direct";
        assert_eq!(
            ChainFix::Bar { at: 0 }.value(chain).unwrap(),
            "https://a.test|https://b.test/x|direct"
        );
        assert_eq!(
            ChainFix::Without { at: 1 }.value(chain).unwrap(),
            "https://a.test,direct"
        );
        // What stands behind `direct` is never asked.
        let chain = "https://a.test,direct,https://b.test";
        assert_eq!(
            ChainFix::Bar { at: 0 }.value(chain).unwrap(),
            "https://a.test|direct"
        );
    }

    #[test]
    fn other_servers_are_taken_without_asking_only_where_all_were_public() {
        for (chain, expected) in [
            ("https://proxy.golang.org,direct", true),
            ("https://goproxy.cn;https://goproxy.io", true),
            ("direct", true),
            ("", true),
            ("https://goproxy.corp.test,https://proxy.golang.org", false),
            ("goproxy", false),
            ("off", false),
            ("file:///srv/modules", false),
        ] {
            assert_eq!(names_public_servers_only(chain), expected, "{chain}");
        }
        assert!(is_stand_in("https://goproxy.corp.example"));
        assert!(is_stand_in("HOST:git"));
        assert!(!is_stand_in("https://goproxy.cn,direct"));
    }
}
