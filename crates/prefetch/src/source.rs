//! Where files are fetched: a depot in this process, or a server.

use bytes::Bytes;
use depot::{Context, Depot, FetchMode, FileReply, Party};
use futures_util::StreamExt as _;
use gomod::info::RevInfo;
use gomod::{ModulePath, Revision, Version};
use store::{AnswerKey, FileKey, FileKind};
use upstream::{Chain, ChainError, Expect, Request, Small};

/// Where files are fetched, and kept.
#[derive(Debug)]
pub enum Source {
    /// A depot in this process.
    Depot(Depot),
    /// A running modkeep.
    Server {
        /// Its base URL, as a chain of one.
        all: Chain,
        /// The same below `/cached-only`, where it answers from its store alone.
        cached: Chain,
    },
}

/// A file that is in the store now.
#[derive(Debug, Clone)]
pub struct Got {
    /// Its length in bytes.
    pub len: u64,
    /// Whether it was stored before.
    pub was_there: bool,
    /// The bytes of a small file.
    pub body: Option<Bytes>,
}

impl Source {
    /// Sees to it that a file is stored.
    ///
    /// # Errors
    /// Why it could not be had, in words for people.
    pub async fn get(&self, key: &FileKey) -> Result<Got, String> {
        match self {
            Self::Depot(depot) => from_depot(depot, key, Party::Own).await,
            Self::Server { all, cached } => match from_server(cached, key, true).await {
                Ok(got) => Ok(got),
                Err(ChainError::Absent(_)) => from_server(all, key, false)
                    .await
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    /// The version that a branch, tag, commit or `latest` stands for at this time.
    ///
    /// # Errors
    /// Why it could not be found out, in words for people.
    pub async fn resolve(
        &self,
        module: &ModulePath,
        revision: &Revision,
    ) -> Result<Version, String> {
        if let Some(version) = revision.canonical() {
            return Ok(version);
        }
        let (key, path) = if revision.as_str() == "latest" {
            let path = format!("{}/@latest", module.escaped());
            (AnswerKey::Latest(module.clone()), path)
        } else {
            let path = format!("{}/@v/{}.info", module.escaped(), revision.escaped());
            (AnswerKey::Query(module.clone(), revision.clone()), path)
        };
        let body = match self {
            Self::Depot(depot) => depot
                .answer(&key, FetchMode::Allowed, &Context::default())
                .await
                .map(|reply| reply.body)
                .map_err(|error| error.to_string())?,
            Self::Server { all, .. } => {
                match all.fetch_small(&request(path, Expect::Info(None))).await {
                    Ok(Small::Body(reply)) => reply.body,
                    Ok(Small::NotModified(_)) => return Err("an answer without content".to_owned()),
                    Err(error) => return Err(error.to_string()),
                }
            }
        };
        let info = RevInfo::parse(&body).map_err(|error| error.to_string())?;
        Version::new(&info.version).map_err(|error| error.to_string())
    }
}

pub(crate) async fn from_depot(depot: &Depot, key: &FileKey, party: Party) -> Result<Got, String> {
    let context = Context {
        party,
        ..Context::default()
    };
    let reply = depot
        .file(key, FetchMode::Allowed, &context)
        .await
        .map_err(|error| error.to_string())?;
    match reply {
        FileReply::Small(small, was_there) => Ok(Got {
            len: small.body.len() as u64,
            was_there,
            body: Some(small.body),
        }),
        FileReply::Stored(stored) => {
            let body = (key.kind == FileKind::Mod)
                .then(|| stored.read_small().ok()?.ok())
                .flatten();
            Ok(Got {
                len: stored.len(),
                was_there: true,
                body: body.map(Bytes::from),
            })
        }
        FileReply::Growing(mut growing) => match growing.wait_for(u64::MAX).await {
            depot::Progress::Complete(len) | depot::Progress::Growing(len) => Ok(Got {
                len,
                was_there: false,
                body: None,
            }),
            depot::Progress::Failed(error) => Err(error.to_string()),
        },
    }
}

/// `only_look`: nobody wants the bytes of a zip that is there.
async fn from_server(chain: &Chain, key: &FileKey, only_look: bool) -> Result<Got, ChainError> {
    let expect = match key.kind {
        FileKind::Info => Expect::Info(Some(key.version.clone())),
        FileKind::Mod => Expect::Mod,
        FileKind::Zip => Expect::Zip,
    };
    let request = request(key.url_path(), expect);
    if key.kind != FileKind::Zip {
        let body = match chain.fetch_small(&request).await? {
            Small::Body(reply) => reply.body,
            Small::NotModified(_) => Bytes::new(),
        };
        return Ok(Got {
            len: body.len() as u64,
            was_there: only_look,
            body: Some(body),
        });
    }
    let mut reply = chain.fetch_zip(&request).await?;
    let mut len = 0;
    if only_look {
        len = reply.len.unwrap_or_default();
    } else {
        while let Some(piece) = reply.body.next().await {
            let piece = piece.map_err(|failure| ChainError::Trouble(vec![failure]))?;
            len += piece.len() as u64;
        }
    }
    Ok(Got {
        len,
        was_there: only_look,
        body: None,
    })
}

fn request(path: String, expect: Expect) -> Request {
    Request {
        path,
        expect,
        revalidate: None,
        without: Vec::new(),
        traceparent: None,
        via: upstream::Via::default(),
    }
}
