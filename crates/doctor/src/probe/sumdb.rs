//! The checksum database: through the proxies that relay it, else directly, as `go` chooses (modfetch/sumdb.go).

use ::sumdb::client::{Answer, Client, Operation as _, ProvenRecord, Request, Step};
use ::sumdb::note::VerifierKey;
use ::sumdb::record::Part as RecordPart;
use fault::{Hop, Label};
use goenv::goproxy::{Entry, Fallback, Target};
use goenv::gosumdb::SumdbSetting;
use goenv::trace::Outcome as Told;
use gomod::ModuleVersion;
use modzip::H1;
use url::Url;

use super::Net;
use super::fetch::{Part, fetch};
use super::fetched::Fetched;
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

/// Asks for the record of a module version, proves that it is in the log, as `go` does, and holds what was downloaded
/// against it.
pub(crate) async fn look_up(
    net: &Net,
    setting: &SumdbSetting,
    base: &Base,
    module: &ModuleVersion,
    downloaded: Downloaded,
) -> Probe {
    let mut inquiry = Inquiry {
        net,
        base,
        probe: Probe::new(Check::SumdbLookup, Hop::Sumdb, base.url.to_string()),
        failure: None,
    };
    let outcome = match inquiry.prove(setting, module).await {
        Ok(proven) => compare(&proven, setting, downloaded).map(|()| proven),
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(proven) => {
            let place = format!("{}/{}", proven.id(), proven.tree().size());
            inquiry.probe.fact("proof", place)
        }
        Err(mut failure) => {
            failure.subjects.module = Some(module.path().to_string());
            failure.subjects.version = Some(module.version().to_string());
            failure.subjects.host = Some(base.url.host_str().unwrap_or_default().to_owned());
            inquiry.probe.failed(failure)
        }
    }
}

/// Questions to a database of which nothing is known yet, and nothing is kept.
struct Inquiry<'a> {
    net: &'a Net,
    base: &'a Base,
    probe: Probe,
    /// The first request that failed.
    failure: Option<Failure>,
}

impl Inquiry<'_> {
    async fn prove(
        &mut self,
        setting: &SumdbSetting,
        module: &ModuleVersion,
    ) -> Result<ProvenRecord, Failure> {
        let SumdbSetting::Database { key, name, .. } = setting else {
            return Err(Failure::new(Label::SumdbUnreachable, "GOSUMDB=off"));
        };
        let bad = |error: &dyn std::fmt::Display| {
            Failure::new(
                Label::SumdbMismatch,
                format!("SECURITY ERROR: {name}: {error}"),
            )
        };
        let key = VerifierKey::parse(key).map_err(|error| bad(&error))?;
        let client = Client::new(key).map_err(|error| bad(&error))?;
        let mut operation = client.lookup(module.clone());
        loop {
            let requests = match operation.step() {
                Ok(Step::Done(proven)) => return Ok(proven),
                Ok(Step::Ask(requests)) => requests,
                Err(error) => return Err(self.failure.take().unwrap_or_else(|| bad(&error))),
            };
            for request in requests {
                let answer = match &request {
                    Request::ReadLatest | Request::ReadCache { .. } => {
                        Answer::Absent(String::new())
                    }
                    Request::SwapLatest { .. } | Request::WriteCache { .. } => Answer::Done,
                    Request::ReadRemote { path } => self.read(path).await,
                };
                if let Err(error) = operation.answer(request, answer) {
                    return Err(self.failure.take().unwrap_or_else(|| bad(&error)));
                }
            }
        }
    }

    async fn read(&mut self, path: &str) -> Answer {
        let url = join(&self.base.url, path.trim_start_matches('/'));
        let fetched = fetch(self.net, &url, Part::Whole, LARGEST).await;
        let is_lookup = path.starts_with("/lookup/");
        if is_lookup {
            self.probe = described(Check::SumdbLookup, Hop::Sumdb, &fetched);
        }
        let host = self.base.url.host_str().unwrap_or_default().to_owned();
        match record(fetched, &host) {
            Ok(body) => Answer::Data(body),
            Err(mut failure) => {
                // Whoever relays the records relays the proofs too.
                if !is_lookup && self.base.is_relayed && failure.label == Label::Sumdb404 {
                    failure.label = Label::SumdbProxyUnsupported;
                }
                let words = failure.evidence.join("; ");
                self.failure.get_or_insert(failure);
                Answer::Failed(words.into())
            }
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
    let failed = |label| answer.failed(label, &url);
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

/// What was downloaded must be what the database says.
fn compare(
    proven: &ProvenRecord,
    setting: &SumdbSetting,
    downloaded: Downloaded,
) -> Result<(), Failure> {
    let SumdbSetting::Database { name, .. } = setting else {
        return Ok(());
    };
    let parts = [
        (RecordPart::Zip, "", downloaded.zip),
        (RecordPart::GoMod, "/go.mod", downloaded.go_mod),
    ];
    for (part, ending, hash) in parts {
        let Some(found) = hash.map(|hash| hash.to_string()) else {
            continue;
        };
        let stated: Vec<&str> = proven
            .lines(part)
            .iter()
            .filter_map(|line| line.split_whitespace().next_back())
            .collect();
        if !stated.is_empty() && !stated.contains(&found.as_str()) {
            let module = proven.module();
            return Err(Failure::new(
                Label::SumdbMismatch,
                format!("SECURITY ERROR: verifying {module}{ending}: checksum mismatch"),
            )
            .because(format!("downloaded: {found}"))
            .because(format!("{name}: {}", stated.join(" "))));
        }
    }
    Ok(())
}
