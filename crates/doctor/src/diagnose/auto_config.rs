//! What browsers of this machine do by their proxy auto-configuration files, held against what `go` does, which reads no
//! such file.

use std::path::Path;
use std::sync::Arc;

use fault::{Hop, Label, Risk};
use goenv::Environment;
use goenv::fix::{Change, Fix, Scope};
use goenv::goproxy::Target;
use goenv::redact::{RedactedUrl, redact_text};
use goenv::report::AutoConfig;
use goenv::trace::{Standing, Trace};
use pac::{Directive, find_proxy, own_address};
use url::Url;

use super::Case;
use crate::probe::connect::proxy_for;
use crate::probe::fetch::{Part, fetch};
use crate::probe::report::{Check, Failure, Probe};
use crate::probe::{Ground, Limits, Net};

/// Largest file that is read, in bytes.
const LARGEST: usize = 1 << 20;
/// The part of the run that may go to these files.
const SHARE: f64 = 0.3;

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct AutoConfigs {
    pub(super) probes: Vec<Probe>,
    hosts: Vec<Told>,
}

/// What a file says about a host that `go` asks.
#[derive(Debug)]
struct Told {
    host: String,
    /// The file, and where it is set.
    file: String,
    says: Directive,
    /// `go` goes straight to it.
    is_direct: bool,
}

/// Reads the files that are set here or named by the user, and asks them for the hosts that `go` may ask.
pub(super) async fn look(ground: &Ground, net: &Net, case: &Case<'_>, open: &Trace) -> AutoConfigs {
    let named = case.request.auto_configs.iter().map(|address| AutoConfig {
        address: address.clone(),
        set_in: String::new(),
    });
    let files: Vec<AutoConfig> = named
        .chain(case.report.auto_configs.iter().cloned())
        .collect();
    let mut found = AutoConfigs::default();
    if files.is_empty() {
        return found;
    }
    let left = net.left().min(case.request.limits.total.mul_f64(SHARE));
    let mut straight = Net::new(ground, Limits::within(left));
    straight.bypass_proxy = true;
    let targets = targets(case, open);
    for file in files {
        let (probe, script) = read(&straight, &file).await;
        found.probes.push(probe);
        if let Some(script) = script {
            ask(net, &straight, &file, &script, &targets, &mut found).await;
        }
    }
    found
}

/// The servers, and the host of the module where its repository may be asked.
fn targets(case: &Case<'_>, open: &Trace) -> Vec<Url> {
    let asked = open
        .steps
        .iter()
        .filter(|step| !matches!(step.standing, Standing::Skipped(_)));
    let mut urls: Vec<Url> = Vec::new();
    for step in asked {
        let url = match &step.target {
            Target::Url(url) => Some(url.as_url().clone()),
            Target::Direct => Url::parse(&format!("https://{}", case.request.module)).ok(),
            Target::Off => None,
        };
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        urls.extend(url.filter(|url| !urls.iter().any(|known| known.host() == url.host())));
    }
    urls
}

async fn read(net: &Net, file: &AutoConfig) -> (Probe, Option<Arc<str>>) {
    let shown = redact_text(&file.address);
    let mut probe = Probe::new(Check::AutoConfig, Hop::HttpProxy, shown.clone());
    if !file.set_in.is_empty() {
        probe = probe.fact("set-in", file.set_in.clone());
    }
    let url = Url::parse(&file.address).ok();
    let remote = url
        .as_ref()
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    if let Some(url) = remote {
        let fetched = fetch(net, url, Part::Whole, LARGEST).await;
        let probe = probe.took(fetched.phases);
        return match fetched.result {
            Ok(answer) if answer.status == 200 && !answer.is_html() => {
                let text = String::from_utf8_lossy(&answer.body);
                (probe, Some(text.into()))
            }
            Ok(answer) => {
                let words = format!(
                    "reading {shown}: status {}, and no such file",
                    answer.status
                );
                (probe.fact("unreadable", words), None)
            }
            Err(failure) => (probe.fact("unreadable", failure.evidence.join("; ")), None),
        };
    }
    let path = url
        .filter(|url| url.scheme() == "file")
        .and_then(|url| url.to_file_path().ok())
        .unwrap_or_else(|| Path::new(&file.address).to_owned());
    let is_small_file = path
        .metadata()
        .is_ok_and(|about| about.is_file() && about.len() <= LARGEST as u64);
    match std::fs::read(&path).ok().filter(|_| is_small_file) {
        Some(bytes) => (probe, Some(String::from_utf8_lossy(&bytes).into())),
        None => (probe.fact("unreadable", path.display().to_string()), None),
    }
}

async fn ask(
    net: &Net,
    straight: &Net,
    file: &AutoConfig,
    script: &Arc<str>,
    targets: &[Url],
    found: &mut AutoConfigs,
) {
    let own = own_address();
    let resolve = |name: String| async move {
        let looked = straight.resolver.look_up(&name).await;
        let addresses = looked.result.clone().unwrap_or_default();
        let first_of_four = addresses.iter().find(|address| address.is_ipv4());
        first_of_four.or(addresses.first()).copied()
    };
    for url in targets {
        let host = url.host_str().unwrap_or_default().to_owned();
        let probe = Probe::new(Check::AutoConfig, Hop::HttpProxy, host.clone());
        let said = find_proxy(script, url, own, straight.left(), resolve).await;
        let said = match said {
            Ok(said) => said,
            Err(reason) => {
                let first = reason.lines().next().unwrap_or_default().to_owned();
                found.probes.push(probe.fact("unreadable", first));
                continue;
            }
        };
        let goes = proxy_for(net, url).ok().flatten();
        let words: Vec<String> = said
            .iter()
            .map(|one| redact_text(&one.to_string()))
            .collect();
        let probe = probe.fact("browsers", words.join(", ")).fact(
            "go",
            goes.as_ref()
                .map_or_else(|| Directive::Direct.to_string(), ToString::to_string),
        );
        found.probes.push(probe);
        // Browsers take the first that works.
        if let Some(says) = said.into_iter().next() {
            found.hosts.push(Told {
                host,
                file: redact_text(&file.address),
                says,
                is_direct: goes.is_none(),
            });
        }
    }
}

impl AutoConfigs {
    /// A connection that does not come about straight, to a host that browsers reach through a proxy: the proxy is
    /// missing in the settings of `go`.
    pub(super) fn explain(&self, failure: &Failure) -> Option<Failure> {
        let is_network = matches!(failure.label.hop(), Hop::Dns | Hop::Tcp)
            || matches!(
                failure.label,
                Label::EnvNoNetwork | Label::TlsHandshakeTimeout
            );
        let told = self.of(failure).filter(|_| is_network)?;
        let Directive::Proxy(proxy) = &told.says else {
            return None;
        };
        let line = format!(
            "{} sends {} through {}; go and git read no such file",
            told.file,
            told.host,
            redact_text(proxy)
        );
        let explained = failure.clone().relabelled(Label::HttpproxyHttpsUnset);
        Some(explained.because(line))
    }

    /// The variables that make `go` take the way that browsers take.
    pub(super) fn fix(&self, failure: &Failure, environment: &Environment) -> Option<Fix> {
        let told = self.of(failure)?;
        let Directive::Proxy(proxy) = &told.says else {
            return None;
        };
        let direct = self
            .hosts
            .iter()
            .filter(|other| other.says == Directive::Direct);
        let mut without: Vec<&str> = Vec::new();
        for other in direct {
            if !without.contains(&other.host.as_str()) {
                without.push(&other.host);
            }
        }
        let change = |name: &str, value: String| Change::Variable {
            name: name.to_owned(),
            value: Some(value),
            previous: environment.get(name).map(str::to_owned),
        };
        let mut changes: Vec<Change> = ["HTTPS_PROXY", "https_proxy"]
            .map(|name| change(name, proxy.clone()))
            .into();
        if !without.is_empty() {
            let known = environment
                .non_empty("NO_PROXY")
                .or_else(|| environment.non_empty("no_proxy"));
            let all: Vec<&str> = known.into_iter().chain(without).collect();
            changes.extend(["NO_PROXY", "no_proxy"].map(|name| change(name, all.join(","))));
        }
        let mut changes = changes.into_iter();
        let mut fix = Fix::new(changes.next()?, Scope::Shell, Risk::Low);
        fix.changes.extend(changes);
        Some(fix)
    }

    /// Only a host that `go` goes straight to lacks a proxy.
    fn of(&self, failure: &Failure) -> Option<&Told> {
        let host = failure.subjects.host.clone().or_else(|| {
            let url = Url::parse(failure.subjects.url.as_deref()?).ok()?;
            Some(RedactedUrl::new(url).as_url().host_str()?.to_owned())
        })?;
        self.hosts
            .iter()
            .find(|told| told.is_direct && told.host.eq_ignore_ascii_case(&host))
    }
}
