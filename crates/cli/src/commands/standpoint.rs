//! What the probes of a running server stand on: its own settings, in the words of `go`.

use goenv::Environment;
use goenv::goproxy::{Fallback, ProxyList, Target};
use goenv::private::Patterns;
use server::{ShownSetting, Standpoint};

use crate::config::{Effective, Resolved};

/// The settings that decide what a fetch of the server meets.
const SHOWN: [&str; 5] = ["upstream", "private", "sumdb", "no-sumdb", "data"];

/// The process's environment, with the server's settings in place of those of a `go` command.
pub(super) fn standpoint(
    environment: &Environment,
    resolved: &Resolved,
    effective: &Effective,
) -> Standpoint {
    let private = joined(&effective.depot.private);
    let no_sumdb = [private.as_str(), &joined(&effective.depot.no_sumdb)]
        .into_iter()
        .filter(|globs| !globs.is_empty())
        .collect::<Vec<_>>()
        .join(",");
    let chain = written(&effective.chain);
    let tree = effective.data.join("tree").display().to_string();
    let own = [
        ("GOENV", "off"),
        ("GOPROXY", chain.as_str()),
        ("GOPRIVATE", private.as_str()),
        ("GONOPROXY", private.as_str()),
        ("GONOSUMDB", no_sumdb.as_str()),
        ("GOSUMDB", resolved.get("sumdb").value.as_str()),
        ("GOMODCACHE", tree.as_str()),
        ("GOFLAGS", ""),
        ("GO111MODULE", "on"),
    ];
    let inherited = environment
        .names()
        .filter(|name| own.iter().all(|(own, _)| own != name));
    let inherited = inherited.filter_map(|name| Some((name, environment.get(name)?)));
    let settings = SHOWN.iter().map(|name| {
        let setting = resolved.get(name);
        ShownSetting {
            name: (*name).to_owned(),
            value: setting.redacted_value(),
            origin: setting.origin.to_string(),
        }
    });
    Standpoint {
        environment: Environment::from_pairs(inherited.chain(own)),
        settings: settings.collect(),
    }
}

fn joined(patterns: &Patterns) -> String {
    patterns.globs().collect::<Vec<_>>().join(",")
}

/// A chain as GOPROXY has it, passwords included.
fn written(chain: &ProxyList) -> String {
    let mut text = String::new();
    for (at, entry) in chain.entries.iter().enumerate() {
        text.push_str(match &entry.target {
            Target::Url(url) => url.as_url().as_str(),
            Target::Direct => "direct",
            Target::Off => "off",
        });
        if at + 1 < chain.entries.len() {
            text.push(match entry.fallback {
                Fallback::OnAny => '|',
                Fallback::OnAbsent => ',',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_written_with_its_separators_and_passwords() {
        for chain in [
            "https://a.example/x|https://me:pw@b.example/,direct",
            "off",
            "http://a.example/",
        ] {
            assert_eq!(written(&ProxyList::parse(chain).unwrap()), chain);
        }
    }
}
