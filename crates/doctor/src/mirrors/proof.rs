//! What the checksum database says about a version, proven as `go` proves it: the record is in the tree whose head the
//! database has signed. Whoever relays the database cannot forge that.

use std::collections::HashMap;

use ::sumdb::client::{Answer, Client, Operation as _, ProvenRecord, Request, Step};
use ::sumdb::note::VerifierKey;
use ::sumdb::record::Part as Of;
use fault::Label;
use futures_util::future::join_all;
use goenv::gosumdb::SumdbSetting;
use gomod::ModuleVersion;
use url::Url;

use crate::probe::Net;
use crate::probe::fetch::{Part, fetch};
use crate::probe::goproxy::join;
use crate::probe::report::Failure;

/// Most bytes of an answer of the database.
const LARGEST: usize = 1 << 20;

/// What came of a look-up.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// The record, proven.
    Proven(Box<ProvenRecord>),
    /// The database, or who relays it, says that it does not know the version.
    Absent(Failure),
    /// It could not be asked, or said what cannot be proven.
    Failed(Failure),
}

/// The public part of GOSUMDB that is needed: a key and where to ask.
#[derive(Clone, Debug)]
pub struct Database {
    name: String,
    key: String,
    direct: Option<Url>,
    /// GOSUMDB names a URL, so that `go` asks no proxy for it.
    is_pinned: bool,
}

impl Database {
    /// The database of a setting; `None` for `off`.
    pub fn of(setting: &SumdbSetting) -> Option<Self> {
        match setting {
            SumdbSetting::Off => None,
            SumdbSetting::Database { name, key, url } => Some(Self {
                name: name.clone(),
                key: key.clone(),
                direct: setting.direct_url(),
                is_pinned: url.is_some(),
            }),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.is_pinned
    }

    pub(crate) fn direct(&self) -> Option<&Url> {
        self.direct.as_ref()
    }

    /// Where a proxy relays it.
    pub(crate) fn below(&self, proxy: &Url) -> Url {
        join(proxy, &format!("sumdb/{}", self.name))
    }

    /// Whether a proxy says that it relays the database.
    pub(crate) async fn is_relayed(&self, net: &Net, proxy: &Url) -> Result<bool, Failure> {
        let fetched = fetch(
            net,
            &join(&self.below(proxy), "supported"),
            Part::Whole,
            LARGEST,
        )
        .await;
        let url = fetched.url;
        let answer = fetched.result?;
        match answer.status {
            200..=299 if answer.is_html() => Err(Failure::new(
                Label::SumdbProxyUnsupported,
                format!("reading {url}: a web page"),
            )),
            200..=299 => Ok(true),
            404 | 410 => Ok(false),
            status => Err(Failure::new(
                Label::SumdbProxyUnsupported,
                format!("reading {url}: {status}"),
            )),
        }
    }

    /// Looks a version up at `base`, and proves the answer.
    pub(crate) async fn look_up(&self, net: &Net, base: &Url, module: &ModuleVersion) -> Proof {
        let refused = |error: &dyn std::fmt::Display| {
            Failure::new(
                Label::SumdbMismatch,
                format!("SECURITY ERROR: {}: {error}", self.name),
            )
        };
        let client = match VerifierKey::parse(&self.key).and_then(Client::new) {
            Ok(client) => client,
            Err(error) => return Proof::Failed(refused(&error)),
        };
        let mut memory = Memory {
            net,
            base,
            latest: None,
            cache: HashMap::new(),
            failure: None,
        };
        let mut lookup = client.lookup(module.clone());
        let failed = loop {
            let requests = match lookup.step() {
                Ok(Step::Done(record)) => return Proof::Proven(Box::new(record)),
                Ok(Step::Ask(requests)) => requests,
                Err(error) => break error,
            };
            let answers = memory.perform(requests).await;
            let mut error = None;
            for (request, answer) in answers {
                error = lookup.answer(request, answer).err();
                if error.is_some() {
                    break;
                }
            }
            if let Some(error) = error {
                break error;
            }
        };
        if failed.is_absent() {
            return Proof::Absent(Failure::new(Label::Sumdb404, failed.to_string()));
        }
        if failed.is_misbehaviour() {
            return Proof::Failed(refused(&failed));
        }
        Proof::Failed(
            memory.failure.unwrap_or_else(|| {
                Failure::new(Label::SumdbUnreachable, format!("{base}: {failed}"))
            }),
        )
    }
}

/// Holds hashes against a proven record. The evidence of the first that differs.
pub(crate) fn contradiction(
    record: &ProvenRecord,
    hashes: [(Of, Option<String>); 2],
) -> Option<Failure> {
    hashes.into_iter().find_map(|(part, found)| {
        let found = found?;
        let lines = record.lines(part);
        let is_stated = lines
            .iter()
            .any(|line| line.split(' ').next_back() == Some(found.as_str()));
        (!lines.is_empty() && !is_stated).then(|| {
            let module = record.module();
            Failure::new(
                Label::SumdbMismatch,
                format!("verifying {module}: checksum mismatch"),
            )
            .because(format!("downloaded: {found}"))
            .because(lines.join("; "))
        })
    })
}

/// What a look-up keeps, for its own time only.
struct Memory<'a> {
    net: &'a Net,
    base: &'a Url,
    latest: Option<Vec<u8>>,
    cache: HashMap<String, Vec<u8>>,
    failure: Option<Failure>,
}

impl Memory<'_> {
    /// Performs requests, those over the network side by side.
    async fn perform(&mut self, requests: Vec<Request>) -> Vec<(Request, Answer)> {
        let (net, base) = (self.net, self.base);
        let remote = join_all(requests.iter().map(|request| async move {
            match request {
                Request::ReadRemote { path } => Some(read(net, base, path).await),
                _ => None,
            }
        }))
        .await;
        requests
            .into_iter()
            .zip(remote)
            .map(|(request, remote)| {
                let answer = match (remote, &request) {
                    (Some(Ok(answer)), _) => answer,
                    (Some(Err(failure)), _) => {
                        let words = failure.evidence.join("; ");
                        self.failure.get_or_insert(failure);
                        Answer::Failed(words.into())
                    }
                    (None, request) => self.keep(request),
                };
                (request, answer)
            })
            .collect()
    }

    fn keep(&mut self, request: &Request) -> Answer {
        let found = |data: Option<&Vec<u8>>| {
            data.map_or_else(
                || Answer::Absent(String::new()),
                |data| Answer::Data(data.clone()),
            )
        };
        match request {
            Request::ReadLatest => found(self.latest.as_ref()),
            Request::SwapLatest { new, .. } => {
                self.latest = Some(new.clone());
                Answer::Done
            }
            Request::ReadCache { key } => found(self.cache.get(key)),
            Request::WriteCache { key, data } => {
                self.cache.insert(key.clone(), data.clone());
                Answer::Done
            }
            Request::ReadRemote { path } => Answer::Absent(path.clone()),
        }
    }
}

async fn read(net: &Net, base: &Url, path: &str) -> Result<Answer, Failure> {
    let fetched = fetch(
        net,
        &join(base, path.trim_start_matches('/')),
        Part::Whole,
        LARGEST,
    )
    .await;
    let url = fetched.url;
    let answer = fetched.result?;
    if let Some(broken) = answer.broken {
        return Err(broken);
    }
    let failed = |label| answer.failed(label, &url);
    match answer.status {
        200..=299 if answer.is_html() => Err(failed(Label::CaptivePortalHtml)),
        200..=299 => Ok(Answer::Data(answer.body)),
        404 | 410 => Ok(Answer::Absent(answer.first_line().unwrap_or_default())),
        429 | 500..=599 => Err(failed(Label::Sumdb5xx)),
        _ => Err(failed(Label::SumdbUnreachable)),
    }
}
