//! Repositories as a source, beside the chain: private modules come from them and from nowhere else, public ones when
//! the chain ends in `direct` and its servers have no answer.
//!
//! What is made here has the shape of an upstream's reply, so that everything behind it (checks, verification, keeping)
//! does not know the difference.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use fault::Label;
use futures_util::StreamExt as _;
use goenv::redact::redact_text;
use gomod::ModulePath;
use store::{AnswerKey, FileKey, FileKind};
use upstream::{
    AddressRule, Chain, ChainError, Failure, Reply, Request, Small, Validators, ZipReply,
};
use url::Url;
use vcs::{Vcs, VersionControl};

use crate::DepotError;
use crate::publish::not_published;
use crate::shared::{Shared, describe, name_of};
use crate::source::{at_commit, is_hash};

/// What repositories are called among the upstreams.
const DIRECT: &str = "direct";
/// How many servers that stand in for repositories are remembered.
const MOST_STAND_INS: usize = 256;
/// A zip is read back in pieces of this size.
const PIECE: usize = 256 * 1024;

/// A question for a small file or answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    File(&'a FileKey),
    Answer(&'a AnswerKey),
}

impl Wanted<'_> {
    /// The module it is about; a checksum database is none.
    fn module(&self) -> Option<&ModulePath> {
        match self {
            Self::File(key) => Some(&key.module),
            Self::Answer(
                AnswerKey::List(module) | AnswerKey::Latest(module) | AnswerKey::Query(module, _),
            ) => Some(module),
            Self::Answer(AnswerKey::Sumdb { .. }) => None,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::File(key) => name_of(&key.module, key.version.as_str()),
            Self::Answer(key) => describe(key),
        }
    }
}

impl Shared {
    /// Asks whoever may be asked for a small file or answer.
    pub(crate) async fn ask_small(
        self: &Arc<Self>,
        wanted: Wanted<'_>,
        request: &Request,
    ) -> Result<Small, DepotError> {
        let module = wanted.module().ok_or(DepotError::Lost)?;
        if self.is_published(module) {
            return Err(not_published(&wanted.name()));
        }
        self.check_online(&wanted.name())?;
        let said = if self.is_private(module) {
            None
        } else {
            match self.chain.load_full().fetch_small(request).await {
                Ok(small) => return Ok(small),
                Err(ChainError::Direct(said)) => said,
                Err(error) => return Err(DepotError::from_chain(error, &wanted.name())),
            }
        };
        let vcs = self.repositories(module, &wanted.name())?;
        if let Some(proxy) = self.stand_in(&vcs, module, &wanted.name()).await? {
            let small = proxy.fetch_small(request).await;
            return small.map_err(|error| after(said, error, &wanted.name()));
        }
        let source = source_of(&vcs, module).await;
        if is_passed_over(request, &source) {
            return Err(passed_over(said, &wanted.name()));
        }
        match self.small(&vcs, wanted).await {
            Ok((body, commit)) => Ok(Small::Body(Reply {
                source: at_commit(source, commit.as_deref()),
                validators: Validators::default(),
                body,
            })),
            Err(error) => Err(judge(&error, module, said, &wanted.name())),
        }
    }

    /// Asks whoever may be asked for a zip.
    pub(crate) async fn ask_zip(
        self: &Arc<Self>,
        key: &FileKey,
        request: &Request,
    ) -> Result<ZipReply, DepotError> {
        let name = name_of(&key.module, key.version.as_str());
        if self.is_published(&key.module) {
            return Err(not_published(&name));
        }
        self.check_online(&name)?;
        let said = if self.is_private(&key.module) {
            None
        } else {
            match self.chain.load_full().fetch_zip(request).await {
                Ok(reply) => return Ok(reply),
                Err(ChainError::Direct(said)) => said,
                Err(error) => return Err(DepotError::from_chain(error, &name)),
            }
        };
        let vcs = self.repositories(&key.module, &name)?;
        if let Some(proxy) = self.stand_in(&vcs, &key.module, &name).await? {
            let zip = proxy.fetch_zip(request).await;
            return zip.map_err(|error| after(said, error, &name));
        }
        let source = source_of(&vcs, &key.module).await;
        if is_passed_over(request, &source) {
            return Err(passed_over(said, &name));
        }
        match self.zip(&vcs, key, source).await {
            Ok(reply) => Ok(reply),
            Err(error) => Err(judge(&error, &key.module, said, &name)),
        }
    }

    /// Whether a module's name is sent to its own repository only.
    pub(crate) fn is_private(&self, module: &ModulePath) -> bool {
        self.settings.load().private.matches(module)
    }

    /// The GOPROXY server that stands in for the repository of a module, if its page names one (a go-import tag whose
    /// system is `mod`).
    async fn stand_in(
        &self,
        vcs: &Vcs,
        module: &ModulePath,
        name: &str,
    ) -> Result<Option<Arc<Chain>>, DepotError> {
        let Ok(root) = vcs.root(module).await else {
            // Whoever asks the repository is told why.
            return Ok(None);
        };
        if root.system != VersionControl::Mod {
            return Ok(None);
        }
        let failed = |detail: String| {
            let failure = Failure {
                source: redact_text(&root.repository),
                label: Label::ModGoImportMissing,
                detail: format!("{name}: {detail}"),
                retry_after: None,
            };
            DepotError::Upstream(vec![failure].into())
        };
        let url = Url::parse(&root.repository).map_err(|error| failed(error.to_string()))?;
        let is_secure = url.scheme() == "https"
            || url.scheme() == "http" && vcs.discovery().allows_insecure(module.as_str());
        if !is_secure {
            return Err(failed(format!("refusing insecure scheme {}", url.scheme())));
        }
        let known = {
            let known = self.stand_ins.lock();
            let known = known.unwrap_or_else(PoisonError::into_inner);
            known.get(&root.repository).cloned()
        };
        if known.is_some() {
            return Ok(known);
        }
        let outbound = vcs.outbound(&root.repository, &root.root);
        let rule: AddressRule = Arc::new(move |host, address| {
            outbound
                .as_ref()
                .is_none_or(|outbound| outbound.permits(host, address))
        });
        let chain = self.chain.load().beside(&url, rule).map_err(failed)?;
        let chain = Arc::new(chain);
        let known = self.stand_ins.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_STAND_INS {
            known.clear();
        }
        known.insert(root.repository, Arc::clone(&chain));
        Ok(Some(chain))
    }

    fn repositories(&self, module: &ModulePath, name: &str) -> Result<Vcs, DepotError> {
        let settings = self.settings.load();
        settings
            .repositories
            .clone()
            .ok_or_else(|| DepotError::DirectOff {
                what: name.into(),
                why: if settings.private.matches(module) {
                    "it matches the private patterns, so that no GOPROXY server may be asked"
                } else {
                    "the upstream chain has no GOPROXY server to ask"
                },
            })
    }
}

/// What clients are told of a failure, and what the log is told. `said` is what the servers of the chain had to say.
fn judge(
    error: &vcs::Error,
    module: &ModulePath,
    said: Option<Box<ChainError>>,
    name: &str,
) -> DepotError {
    let label = error.label();
    let (mut failed_before, mut circles) = (Vec::new(), Vec::new());
    match said.map(|said| *said) {
        Some(ChainError::Trouble(failures)) => failed_before = failures,
        Some(ChainError::Circle(failures)) => circles = failures,
        _ => {}
    }
    let hidden = error.is_without_rights();
    if hidden || !error.is_absence() {
        tracing::warn!(%module, %label, %error, "a repository could not be used");
    }
    if (hidden || error.is_absence()) && !circles.is_empty() {
        return DepotError::Circle(circles.into());
    }
    if (hidden || error.is_absence()) && failed_before.is_empty() {
        let reason = if hidden || label == Label::ModRepoGone {
            // Whoever may not see a repository must not learn that there is one.
            format!("{name}: there is no such repository, or it may not be read")
        } else {
            crate::error::name_first(name, &error.to_string())
        };
        return DepotError::Absent {
            gone: false,
            reason: reason.into(),
        };
    }
    let failure = Failure {
        source: DIRECT.to_owned(),
        label,
        detail: format!("{error}{}", what_to_do(label)),
        retry_after: None,
    };
    let mut failures = failed_before;
    // What servers could not tell stays unknown; that the repository has nothing does not change it.
    if !error.is_absence() || failures.is_empty() {
        failures.push(failure);
    }
    DepotError::Upstream(failures.into())
}

/// What is told when the server that stands in for a repository has no answer. What servers before it could not tell
/// stays unknown.
fn after(said: Option<Box<ChainError>>, error: ChainError, name: &str) -> DepotError {
    match said {
        Some(said) if matches!(error, ChainError::Absent(_)) => DepotError::from_chain(*said, name),
        _ => DepotError::from_chain(error, name),
    }
}

fn what_to_do(label: Label) -> &'static str {
    match label {
        Label::VcsGitMissing => "; install git 2.31 or newer where modkeep runs",
        _ => "",
    }
}

impl Shared {
    /// A small file or answer, and the commit that it was made from if it is one.
    async fn small(
        self: &Arc<Self>,
        vcs: &Vcs,
        wanted: Wanted<'_>,
    ) -> Result<(Bytes, Option<String>), vcs::Error> {
        let info = match wanted {
            Wanted::File(key) => return self.small_file(vcs, key).await,
            Wanted::Answer(AnswerKey::List(module)) => {
                let versions = vcs.versions(module).await?;
                self.look_at_tags(vcs, module, &versions.origin.tag_sum);
                let mut lines = String::new();
                for version in &versions.list {
                    lines.push_str(version.as_str());
                    lines.push('\n');
                }
                return Ok((lines.into(), None));
            }
            Wanted::Answer(AnswerKey::Latest(module)) => {
                let latest = vcs.latest(module).await?;
                if let Some(origin) = &latest.origin {
                    self.look_at_tags(vcs, module, &origin.tag_sum);
                }
                latest
            }
            Wanted::Answer(AnswerKey::Query(module, revision)) => {
                vcs.info(module, revision).await?
            }
            Wanted::Answer(AnswerKey::Sumdb { .. }) => return Err(vcs::Error::Lost),
        };
        Ok((info.to_json().into(), None))
    }

    async fn small_file(
        self: &Arc<Self>,
        vcs: &Vcs,
        key: &FileKey,
    ) -> Result<(Bytes, Option<String>), vcs::Error> {
        self.watch.look_again(&key.module);
        let bound = self.bound(key).await;
        if key.kind == FileKind::Info && bound.is_none() {
            let revision = gomod::Revision::from(key.version.clone());
            let info = vcs.info(&key.module, &revision).await?;
            let commit = info.origin.as_ref().map(|origin| origin.hash.clone());
            return Ok((info.to_json().into(), commit));
        }
        let files = vcs.at(&key.module, &key.version, bound.as_deref()).await?;
        self.look_at_tag(key, &files).await;
        let commit = Some(files.commit().to_owned());
        Ok(match key.kind {
            FileKind::Info => (files.info().to_json().into(), commit),
            FileKind::Mod | FileKind::Zip => (files.go_mod().into(), commit),
        })
    }

    async fn zip(
        self: &Arc<Self>,
        vcs: &Vcs,
        key: &FileKey,
        source: String,
    ) -> Result<ZipReply, vcs::Error> {
        let io = |source: std::io::Error| vcs::Error::Io {
            doing: "writing a zip".to_owned(),
            source: Arc::new(source),
        };
        let scratch = self.store.root().join("tmp");
        let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(scratch))
            .await
            .map_err(|_| vcs::Error::Lost)?
            .map_err(io)?;
        let written = file.try_clone().map_err(io)?;
        let bound = self.bound(key).await;
        let files = vcs.at(&key.module, &key.version, bound.as_deref()).await?;
        self.look_at_tag(key, &files).await;
        let created = files.zip(written).await?;
        Ok(ZipReply {
            source: at_commit(source, Some(files.commit())),
            etag: None,
            len: Some(created.size),
            body: pieces(file, created.size).boxed(),
        })
    }
}

/// The bytes of a finished file.
fn pieces(file: File, len: u64) -> impl futures_util::Stream<Item = Result<Bytes, Failure>> + Send {
    let file = Arc::new(file);
    futures_util::stream::unfold(0_u64, move |at| {
        let file = file.clone();
        async move {
            let size = usize::try_from(len.saturating_sub(at))
                .unwrap_or(PIECE)
                .min(PIECE);
            if size == 0 {
                return None;
            }
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; size];
                file.read_exact_at(&mut piece, at).map(|()| piece)
            });
            let failed = |detail: String| Failure {
                source: DIRECT.to_owned(),
                label: Label::DiskCacheCorrupt,
                detail: format!("reading back a zip: {detail}"),
                retry_after: None,
            };
            match read.await {
                Ok(Ok(piece)) => Some((Ok(piece.into()), at + size as u64)),
                Ok(Err(error)) => Some((Err(failed(error.to_string())), len)),
                Err(error) => Some((Err(failed(error.to_string())), len)),
            }
        }
    })
}

/// The repository's bytes were refused already, so that nobody is left to ask.
fn passed_over(said: Option<Box<ChainError>>, name: &str) -> DepotError {
    said.map_or(DepotError::Lost, |said| DepotError::from_chain(*said, name))
}

/// Whether bytes from the repository `source` were refused already.
fn is_passed_over(request: &Request, source: &str) -> bool {
    let of_it = |refused: &String| {
        let rest = refused.strip_prefix(source);
        rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('#').is_some_and(is_hash))
    };
    request.without.iter().any(of_it)
}

/// The repository of a module, for records. It was asked a moment ago, so that the answer is at hand.
async fn source_of(vcs: &Vcs, module: &ModulePath) -> String {
    match vcs.root(module).await {
        Ok(root) => format!("{}+{}", root.system, redact_text(&root.repository)),
        Err(_) => DIRECT.to_owned(),
    }
}
