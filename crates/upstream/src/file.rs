//! A GOPROXY tree in a directory, as named by a `file://` URL.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use bytes::Bytes;
use fault::Label;
use url::Url;

use crate::check::{Refusal, check_body, check_zip_start};
use crate::http::NoAnswer;
use crate::{Absence, BodyStream, Failure, Reply, Request, Small, Validators, ZipReply};

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct FileUpstream {
    directory: PathBuf,
    source: String,
}

impl FileUpstream {
    /// `None`: the URL names no directory of this machine.
    pub(crate) fn new(url: &Url) -> Option<Self> {
        let directory = url.to_file_path().ok()?;
        Some(Self {
            directory,
            source: url.as_str().trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    pub(crate) async fn fetch_small(&self, request: &Request) -> Result<Small, NoAnswer> {
        let path = self.path(request);
        let limit = request.expect.limit();
        let read = tokio::task::spawn_blocking(move || {
            let mut body = Vec::new();
            File::open(path)?.take(limit + 1).read_to_end(&mut body)?;
            Ok(body)
        });
        let body = read
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| self.no_answer(request, &error))?;
        if body.len() as u64 > limit {
            let reason = format!("the file is longer than the limit of {} MiB", limit >> 20);
            return Err(self
                .refused(
                    request,
                    &Refusal {
                        label: Label::GoproxyCorrupt,
                        reason,
                    },
                )
                .into());
        }
        check_body(&request.expect, &body).map_err(|refusal| self.refused(request, &refusal))?;
        Ok(Small::Body(Reply {
            source: self.source.clone(),
            validators: Validators::default(),
            body: body.into(),
        }))
    }

    pub(crate) async fn fetch_zip(&self, request: &Request) -> Result<ZipReply, NoAnswer> {
        let path = self.path(request);
        let opened = tokio::task::spawn_blocking(move || {
            let mut file = File::open(path)?;
            let len = file.metadata()?.len();
            let first = read_piece(&mut file)?;
            Ok((file, len, first))
        });
        let (file, len, first) = opened
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| self.no_answer(request, &error))?;
        check_zip_start(&first).map_err(|refusal| self.refused(request, &refusal))?;
        Ok(ZipReply {
            source: self.source.clone(),
            etag: None,
            len: Some(len),
            body: self.stream(request, file, first),
        })
    }

    fn stream(&self, request: &Request, file: File, first: Bytes) -> BodyStream {
        let failed = {
            let (source, place) = (
                self.source.clone(),
                format!("{}/{}", self.source, request.path),
            );
            move |error: io::Error| Failure {
                source: source.clone(),
                label: io_label(&error),
                detail: format!("reading {place}: {error}"),
                retry_after: None,
            }
        };
        Box::pin(futures_util::stream::unfold(
            (Some(file), Some(first)),
            move |(file, first)| {
                let failed = failed.clone();
                async move {
                    if let Some(first) = first {
                        return Some((Ok(first), (file, None)));
                    }
                    let mut file = file?;
                    let read = tokio::task::spawn_blocking(move || {
                        read_piece(&mut file).map(|piece| (piece, file))
                    });
                    match read
                        .await
                        .unwrap_or_else(|error| Err(io::Error::other(error)))
                    {
                        Ok((piece, _)) if piece.is_empty() => None,
                        Ok((piece, file)) => Some((Ok(piece), (Some(file), None))),
                        Err(error) => Some((Err(failed(error)), (None, None))),
                    }
                }
            },
        ))
    }

    fn path(&self, request: &Request) -> PathBuf {
        // The path was put together from checked elements; it has no `..` and no leading slash.
        self.directory.join(&request.path)
    }

    fn no_answer(&self, request: &Request, error: &io::Error) -> NoAnswer {
        let place = format!("{}/{}", self.source, request.path);
        match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidFilename => NoAnswer::Absent(Absence {
                source: self.source.clone(),
                gone: false,
                reason: format!("reading {place}: no such file or directory"),
            }),
            _ => NoAnswer::Failed(Failure {
                source: self.source.clone(),
                label: io_label(error),
                detail: format!("reading {place}: {error}"),
                retry_after: None,
            }),
        }
    }

    fn refused(&self, request: &Request, refusal: &Refusal) -> Failure {
        Failure {
            source: self.source.clone(),
            label: refusal.label,
            detail: format!(
                "reading {}/{}: {}",
                self.source, request.path, refusal.reason
            ),
            retry_after: None,
        }
    }
}

fn io_label(error: &io::Error) -> Label {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Label::DiskPermission,
        _ => Label::DiskCacheCorrupt,
    }
}

fn read_piece(file: &mut File) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(PIECE);
    file.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece.into())
}
