//! The checksum database: through the proxies that relay it, else directly, as `go` chooses (modfetch/sumdb.go).

use ::sumdb::note::{Note, VerifierKey, Verifiers};
use ::sumdb::tlog::parse_record;
use fault::{Hop, Label};
use goenv::goproxy::{Entry, Fallback, Target};
use goenv::gosumdb::SumdbSetting;
use goenv::trace::Outcome as Told;
use gomod::ModuleVersion;
use modzip::H1;
use url::Url;

use super::Net;
use super::fetch::{Fetched, Part, fetch};
use super::goproxy::{described, join};
use super::report::{Check, Failure, Probe};

/// Most bytes of an answer.
const LARGEST: usize = 1 << 20;

/// What was downloaded, to hold against the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Downloaded {
    pub(crate) go_mod: Option<H1>,
    pub(crate) zip: Option<H1>,
}

/// Where the database is asked.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) url: Url,
    pub(crate) is_relayed: bool,
}

/// Who relays the database.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    pub(crate) probes: Vec<Probe>,
    /// What each server said about it, by its place in GOPROXY.
    pub(crate) told: Vec<(usize, Told)>,
    /// Where it is asked, or why nowhere; `None` where there is no database.
    pub(crate) base: Option<Result<Base, Failure>>,
}

/// Finds the server that is asked, by Go's rules: the first proxy that says it supports the database; a proxy that
/// says "not found" is passed over, one that fails only before a bar.
pub(crate) async fn base(net: &Net, setting: &SumdbSetting, chain: &[Entry]) -> Relay {
    let SumdbSetting::Database { name, url, .. } = setting else {
        return Relay::default();
    };
    let mut found = Relay::default();
    let entries = if url.is_some() { &[] } else { chain };
    for (place, entry) in entries.iter().enumerate() {
        let Target::Url(proxy) = &entry.target else {
            break;
        };
        if proxy.as_url().scheme() == "file" {
            continue;
        }
        let below = join(proxy.as_url(), &format!("sumdb/{name}"));
        let fetched = fetch(net, &join(&below, "supported"), Part::Whole, LARGEST).await;
        let probe = described(Check::SumdbRelay, Hop::Sumdb, &fetched);
        let failure = match relay(fetched) {
            Ok(true) => {
                found.probes.push(probe);
                found.told.push((place, Told::Ok));
                found.base = Some(Ok(Base {
                    url: below,
                    is_relayed: true,
                }));
                return found;
            }
            Ok(false) => {
                found.probes.push(probe);
                found.told.push((place, Told::Absent));
                continue;
            }
            Err(failure) => failure,
        };
        found.told.push((place, Told::Failed));
        found.probes.push(probe.failed(failure.clone()));
        if entry.fallback == Fallback::OnAbsent {
            found.base = Some(Err(failure));
            return found;
        }
    }
    found.base = setting.direct_url().map(|url| {
        Ok(Base {
            url,
            is_relayed: false,
        })
    });
    found
}

/// Whether a proxy relays the database.
fn relay(fetched: Fetched) -> Result<bool, Failure> {
    let url = fetched.url.clone();
    let answer = fetched.result?;
    match answer.status {
        200..=299 => Ok(true),
        404 | 410 => Ok(false),
        status => {
            let mut failure = Failure::new(
                Label::SumdbProxyUnsupported,
                format!("reading {url}: {status}"),
            );
            failure.subjects.url = Some(url);
            Err(failure)
        }
    }
}

/// Asks for the record of a module version and holds what was downloaded against it.
pub(crate) async fn look_up(
    net: &Net,
    setting: &SumdbSetting,
    base: &Base,
    module: &ModuleVersion,
    downloaded: Downloaded,
) -> Probe {
    let below = format!(
        "lookup/{}@{}",
        module.path().escaped(),
        module.version().escaped()
    );
    let fetched = fetch(net, &join(&base.url, &below), Part::Whole, LARGEST).await;
    let probe = described(Check::SumdbLookup, Hop::Sumdb, &fetched);
    let host = base.url.host_str().unwrap_or_default().to_owned();
    let outcome =
        record(fetched, &host).and_then(|body| verify(&body, setting, module, downloaded));
    match outcome {
        Ok(()) => probe,
        Err(mut failure) => {
            failure.subjects.module = Some(module.path().to_string());
            failure.subjects.version = Some(module.version().to_string());
            failure.subjects.host = Some(host);
            probe.failed(failure)
        }
    }
}

fn record(fetched: Fetched, host: &str) -> Result<Vec<u8>, Failure> {
    let url = fetched.url.clone();
    let answer = fetched
        .result
        .map_err(|failure| unreachable(failure, host))?;
    if let Some(broken) = answer.broken {
        return Err(unreachable(broken, host));
    }
    let line = answer.first_line().unwrap_or_default();
    let failed = |label: Label| {
        Failure::new(
            label,
            format!(
                "reading {url}: {}\n\tserver response: {line}",
                answer.status
            ),
        )
    };
    match answer.status {
        200..=299 if answer.is_html() => Err(failed(Label::CaptivePortalHtml)),
        200..=299 => Ok(answer.body),
        404 | 410 => Err(failed(Label::Sumdb404)),
        429 | 500..=599 => Err(failed(Label::Sumdb5xx)),
        _ => Err(failed(Label::SumdbUnreachable)),
    }
}

/// A database that cannot be reached by a plain network failure is one cause whatever the hop; a failure that stands on
/// its own, such as a refused certificate, keeps its name.
fn unreachable(failure: Failure, host: &str) -> Failure {
    match failure.label {
        Label::TcpRefused
        | Label::TcpTimeout
        | Label::TcpReset
        | Label::TcpNoRoute
        | Label::TlsHandshakeTimeout
        | Label::GoproxySlow
        | Label::GoproxyTruncated => {
            let host = host.to_owned();
            let mut failure = failure.relabelled(Label::SumdbUnreachable);
            failure.subjects.host = Some(host);
            failure
        }
        _ => failure,
    }
}

fn verify(
    body: &[u8],
    setting: &SumdbSetting,
    module: &ModuleVersion,
    downloaded: Downloaded,
) -> Result<(), Failure> {
    let SumdbSetting::Database { key, name, .. } = setting else {
        return Ok(());
    };
    let bad = |error: &dyn std::fmt::Display| {
        Failure::new(
            Label::SumdbMismatch,
            format!("SECURITY ERROR: {name}: {error}"),
        )
    };
    let (_, text, note) = parse_record(body).map_err(|error| bad(&error))?;
    let verifiers = VerifierKey::parse(key)
        .and_then(|key| Verifiers::new([key]))
        .map_err(|error| bad(&error))?;
    Note::parse(note)
        .and_then(|note| note.verify(&verifiers))
        .map_err(|error| bad(&error))?;
    let parts = [
        (
            format!("{} {} ", module.path(), module.version()),
            downloaded.zip,
        ),
        (
            format!("{} {}/go.mod ", module.path(), module.version()),
            downloaded.go_mod,
        ),
    ];
    for (prefix, hash) in parts {
        let Some(found) = hash.map(|hash| hash.to_string()) else {
            continue;
        };
        let stated: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix))
            .collect();
        if !stated.is_empty() && !stated.contains(&found.as_str()) {
            return Err(Failure::new(
                Label::SumdbMismatch,
                format!("SECURITY ERROR: verifying {prefix}: checksum mismatch"),
            )
            .because(format!("downloaded: {found}"))
            .because(format!("{name}: {}", stated.join(" "))));
        }
    }
    Ok(())
}
