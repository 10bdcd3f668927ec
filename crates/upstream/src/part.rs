//! The rest of a file that had been begun.

use futures_util::StreamExt as _;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use reqwest::Response;

use crate::check::Refusal;
use crate::exchange::Exchange;
use crate::http::{HttpUpstream, NoAnswer, text_header};
use crate::{BodyStream, Request};
use fault::Label;

/// Where a transfer was cut.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// How many bytes are there, and which were the last of them.
    pub(crate) offset: u64,
    /// The whole file's length, if it is known.
    pub(crate) len: Option<u64>,
    /// The upstream that announced it, and the entity tag it gave.
    pub(crate) begun_by: String,
    pub(crate) etag: Option<String>,
    /// The upstream that is not to be asked, because it is too slow.
    pub(crate) too_slow: Option<String>,
}

/// What an answer to a request for a range is.
#[derive(Debug, PartialEq, Eq)]
enum Answered {
    /// The range, from this byte on.
    From(u64),
    /// The whole file: what is there already must be skipped.
    Whole,
    /// A file of another length. Which of the two is the right one is not for this place to say.
    OfAnother(u64),
}

impl HttpUpstream {
    /// Asks for what is missing of a file. The stream begins at the cut, whatever the server sends.
    pub(crate) async fn fetch_rest(
        &self,
        request: &Request,
        cut: &Cut,
    ) -> Result<BodyStream, NoAnswer> {
        let (exchange, request) = Exchange::begin(self.source(), request);
        let answer = self.begin_rest(&request, cut).await;
        exchange.end(&answer);
        answer
    }

    async fn begin_rest(&self, request: &Request, cut: &Cut) -> Result<BodyStream, NoAnswer> {
        let mut headers = HeaderMap::new();
        if let Ok(range) = HeaderValue::try_from(format!("bytes={}-", cut.offset)) {
            headers.insert(header::RANGE, range);
        }
        // Tags mean something to the server alone that gave them; a weak one is no good for ranges (RFC 9110, 13.1.5).
        let tag = cut
            .etag
            .as_deref()
            .filter(|tag| cut.begun_by == self.source() && !tag.starts_with("W/"));
        if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(tag).ok()) {
            headers.insert(header::IF_RANGE, tag);
        }
        let response = self.send(request, headers).await?;
        let response = self
            .accept(response, request, StatusCode::PARTIAL_CONTENT)
            .await?;
        let skip = match judge(&response, cut).map_err(|reason| {
            self.refused(
                request,
                &Refusal {
                    label: Label::GoproxyCorrupt,
                    reason,
                },
            )
        })? {
            Answered::From(_) => 0,
            Answered::Whole => cut.offset,
            Answered::OfAnother(len) => {
                tracing::info!(
                    from = self.source(),
                    len,
                    announced = cut.len,
                    by = cut.begun_by,
                    "the rest is of another file"
                );
                return Err(NoAnswer::NotServed);
            }
        };
        Ok(without_first(skip, self.stream(response, request)))
    }
}

/// Whether an answer can be the rest of what was begun.
fn judge(response: &Response, cut: &Cut) -> Result<Answered, String> {
    let range = text_header(response.headers(), &header::CONTENT_RANGE);
    judge_parts(
        response.status(),
        range.as_deref(),
        response.content_length(),
        cut,
    )
}

fn judge_parts(
    status: StatusCode,
    range: Option<&str>,
    content: Option<u64>,
    cut: &Cut,
) -> Result<Answered, String> {
    let is_another = |len: &u64| cut.len.is_some_and(|known| known != *len);
    if status != StatusCode::PARTIAL_CONTENT {
        return Ok(content
            .filter(is_another)
            .map_or(Answered::Whole, Answered::OfAnother));
    }
    let bad = || {
        format!(
            "the range is not what was asked for: {:?}",
            range.unwrap_or_default()
        )
    };
    let (bounds, len) = range
        .and_then(|range| range.strip_prefix("bytes "))
        .and_then(|range| range.split_once('/'))
        .ok_or_else(bad)?;
    let start = bounds
        .split_once('-')
        .and_then(|(start, _)| start.trim().parse::<u64>().ok())
        .ok_or_else(bad)?;
    if start != cut.offset {
        return Err(bad());
    }
    let len = len.trim().parse().ok();
    Ok(len
        .filter(is_another)
        .map_or(Answered::From(start), Answered::OfAnother))
}

/// A body without its first bytes, which are read and thrown away.
fn without_first(skip: u64, body: BodyStream) -> BodyStream {
    let mut skip = skip;
    Box::pin(body.filter_map(move |piece| {
        let kept = match piece {
            Ok(mut piece) if skip > 0 => {
                let here = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
                skip -= here as u64;
                let rest = piece.split_off(here);
                (!rest.is_empty()).then_some(Ok(rest))
            }
            other => Some(other),
        };
        std::future::ready(kept)
    }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn only_the_rest_of_the_same_length_is_taken() {
        let cut = |len| Cut {
            offset: 100,
            len,
            begun_by: "https://a.example".into(),
            etag: None,
            too_slow: None,
        };
        let table = [
            (
                206,
                Some("bytes 100-199/200"),
                Some(100),
                Some(200),
                Some(Answered::From(100)),
            ),
            (
                206,
                Some("bytes 100-199/*"),
                Some(100),
                Some(200),
                Some(Answered::From(100)),
            ),
            (
                206,
                Some("bytes 100-199/200"),
                None,
                None,
                Some(Answered::From(100)),
            ),
            (
                206,
                Some("bytes 100-299/300"),
                Some(200),
                Some(200),
                Some(Answered::OfAnother(300)),
            ),
            (206, Some("bytes 0-199/200"), Some(200), Some(200), None),
            (206, Some("bytes */200"), Some(200), Some(200), None),
            (206, Some("lines 100-199/200"), Some(100), Some(200), None),
            (206, None, Some(100), Some(200), None),
            (200, None, Some(200), Some(200), Some(Answered::Whole)),
            (200, None, None, Some(200), Some(Answered::Whole)),
            (
                200,
                None,
                Some(201),
                Some(200),
                Some(Answered::OfAnother(201)),
            ),
        ];
        for (status, range, content, len, expected) in table {
            let status = StatusCode::from_u16(status).unwrap();
            let judged = judge_parts(status, range, content, &cut(len));
            assert_eq!(
                judged.ok(),
                expected,
                "{status} {range:?} {content:?} {len:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_there_already_is_skipped() {
        let pieces =
            || futures_util::stream::iter(["abc", "def", "g"].map(|piece| Ok(Bytes::from(piece))));
        for skip in 0..=8_usize {
            let rest: Vec<_> = without_first(skip as u64, Box::pin(pieces()))
                .collect()
                .await;
            let rest: Vec<u8> = rest.into_iter().flat_map(Result::unwrap).collect();
            assert_eq!(rest, "abcdefg".as_bytes().get(skip..).unwrap_or_default());
        }
    }
}
