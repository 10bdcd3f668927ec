use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Component, Path};
use std::time::{Duration, SystemTime};

use super::{Request, Shared};
use crate::fault::{Answer, Fault};

/// How to answer one request.
pub(super) enum Plan {
    Answer(Response),
    Garbage(Vec<u8>),
    Close,
    Reset,
    Hang,
}

/// An answer, with what is wrong about it.
pub(super) struct Response {
    pub(super) wait: Duration,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) framing: Framing,
    pub(super) ending: Ending,
    pub(super) pace: Option<(usize, Duration)>,
    pub(super) corrupt: Option<u64>,
    pub(super) hold_at: Option<u64>,
    /// Where in the file the body begins.
    pub(super) offset: u64,
}

pub(super) enum Body {
    Bytes(Vec<u8>),
    File { file: File, len: u64 },
    Endless,
}

pub(super) enum Framing {
    Length { off_by: i64 },
    Chunked,
    UntilClose,
}

/// What happens to the body on the way.
pub(super) enum Ending {
    Whole,
    StallAt(u64),
    ResetAt(u64),
    TruncateAt(u64),
}

impl Body {
    /// Length in bytes; `None` for one without end.
    pub(super) fn len(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File { len, .. } => Some(*len),
            Self::Endless => None,
        }
    }

    pub(super) fn into_reader(self) -> Box<dyn Read> {
        match self {
            Self::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
            Self::File { file, len } => Box::new(file.take(len)),
            Self::Endless => Box::new(io::repeat(b'x')),
        }
    }
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Self {
        Self {
            wait: Duration::ZERO,
            status: answer.status,
            headers: answer.headers,
            body: Body::Bytes(answer.body),
            framing: Framing::Length { off_by: 0 },
            ending: Ending::Whole,
            pace: None,
            corrupt: None,
            hold_at: None,
            offset: 0,
        }
    }
}

/// Decides on the answer, and uses up the fault if there is one.
pub(super) fn plan(shared: &Shared, request: &Request) -> (Duration, Plan) {
    let (delay, fault, canned, validators, ranges) = {
        let mut state = shared.state();
        let rule = state
            .rules
            .iter_mut()
            .find(|rule| rule.left != Some(0) && rule.paths.matches(&request.path))
            .and_then(|rule| {
                rule.left = rule.left.map(|left| left - 1);
                rule.what.next()
            });
        let canned = state
            .answers
            .iter()
            .find(|(paths, _)| paths.matches(&request.path))
            .map(|(_, answer)| answer.clone());
        (state.delay, rule, canned, state.validators, state.ranges)
    };
    let right = match canned {
        Some(answer) => answer.into(),
        None => from_tree(&shared.root, request, validators, ranges),
    };
    let plan = match fault {
        Some(fault) => spoil(Plan::Answer(right), fault),
        None => Plan::Answer(right),
    };
    (delay, plan)
}

fn spoil(plan: Plan, fault: Fault) -> Plan {
    let Plan::Answer(mut response) = plan else {
        return plan;
    };
    match fault {
        Fault::Answer(answer) => {
            response = Response {
                wait: response.wait,
                ..answer.into()
            }
        }
        Fault::Delay(wait) => response.wait += wait,
        Fault::StallAt(position) => response.ending = Ending::StallAt(position),
        Fault::HoldAt(position) => response.hold_at = Some(position),
        Fault::ResetAt(position) => response.ending = Ending::ResetAt(position),
        Fault::TruncateAt(position) => response.ending = Ending::TruncateAt(position),
        Fault::WrongLength(off_by) => response.framing = Framing::Length { off_by },
        Fault::Endless => {
            response.body = Body::Endless;
            response.framing = Framing::UntilClose;
        }
        Fault::Html => {
            let page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Sign in</body></html>\n";
            let answer = Answer::status(200)
                .header("Content-Type", "text/html; charset=utf-8")
                .body(page);
            response = Response {
                wait: response.wait,
                ..answer.into()
            };
        }
        Fault::ContentEncoding(name) => {
            response.headers.push(("Content-Encoding".to_owned(), name));
        }
        Fault::OtherVersion(version) => {
            let text =
                serde_json::json!({"Version": version, "Time": "2019-01-02T03:04:05Z"}).to_string();
            response.body = Body::Bytes(text.into_bytes());
        }
        Fault::Redirect(url) => {
            response = Response {
                wait: response.wait,
                ..Answer::status(302).header("Location", &url).into()
            };
        }
        Fault::Drip { bytes, every } => response.pace = Some((bytes.max(1), every)),
        Fault::Corrupt(position) => response.corrupt = Some(position),
        Fault::Chunked => response.framing = Framing::Chunked,
        Fault::UntilClose => response.framing = Framing::UntilClose,
        Fault::Garbage(bytes) => return Plan::Garbage(bytes),
        Fault::CloseWithoutAnswer => return Plan::Close,
        Fault::ResetWithoutAnswer => return Plan::Reset,
        Fault::Hang => return Plan::Hang,
        Fault::All(faults) => return faults.into_iter().fold(Plan::Answer(response), spoil),
    }
    Plan::Answer(response)
}

fn from_tree(root: &Path, request: &Request, validators: bool, ranges: bool) -> Response {
    if request.method != "GET" && request.method != "HEAD" {
        return Answer::status(405).header("Allow", "GET, HEAD").into();
    }
    let Some((file, len, modified)) = open(root, &request.path) else {
        return Answer::status(404)
            .header("Content-Type", "text/plain; charset=UTF-8")
            .body(format!("not found: {}\n", request.path))
            .into();
    };
    let mut response: Response = Answer::status(200)
        .header("Content-Type", content_type(&request.path))
        .into();
    let etag = entity_tag(len, modified);
    if validators {
        response.headers.push(("ETag".to_owned(), etag.clone()));
        response.headers.push((
            "Last-Modified".to_owned(),
            httpdate::fmt_http_date(modified),
        ));
        if is_unchanged(request, &etag, modified) {
            response.status = 304;
            return response;
        }
    }
    response.body = Body::File { file, len };
    if ranges {
        response
            .headers
            .push(("Accept-Ranges".to_owned(), "bytes".to_owned()));
        let same = request
            .header("If-Range")
            .is_none_or(|wanted| validators && wanted == etag);
        if let Some(range) = request.header("Range").filter(|_| same) {
            return part(response, range, len);
        }
    }
    response
}

fn open(root: &Path, path: &str) -> Option<(File, u64, SystemTime)> {
    let relative = Path::new(path.trim_start_matches('/'));
    if !relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        return None;
    }
    let name = root.join(relative);
    let known = fs::metadata(&name).ok().filter(fs::Metadata::is_file)?;
    let file = File::open(&name).ok()?;
    Some((file, known.len(), known.modified().ok()?))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit(['.', '/']).next() {
        Some("zip") => "application/zip",
        Some("info" | "@latest") => "application/json",
        _ => "text/plain; charset=UTF-8",
    }
}

fn entity_tag(len: u64, modified: SystemTime) -> String {
    let stamp = modified
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    format!("\"{len:x}-{stamp:x}\"")
}

fn is_unchanged(request: &Request, etag: &str, modified: SystemTime) -> bool {
    if let Some(known) = request.header("If-None-Match") {
        return known
            .split(',')
            .any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == etag);
    }
    request
        .header("If-Modified-Since")
        .and_then(|text| httpdate::parse_http_date(text).ok())
        .is_some_and(|since| modified <= since + Duration::from_secs(1))
}

/// Cuts the response down to one range, as RFC 9110 section 14 has it; of several ranges, or one that is not
/// understood, the whole is sent.
fn part(mut response: Response, range: &str, len: u64) -> Response {
    let bounds = range
        .strip_prefix("bytes=")
        .and_then(|text| text.split_once('-'));
    let (start, end) = match bounds {
        Some(("", last)) => match last.parse::<u64>() {
            Ok(count) => (len.saturating_sub(count), len),
            Err(_) => return response,
        },
        Some((first, last)) => match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => (first, len.min(last.saturating_add(1))),
            (Ok(first), Err(_)) if last.is_empty() => (first, len),
            _ => return response,
        },
        None => return response,
    };
    if start >= end {
        return Answer::status(416)
            .header("Content-Range", &format!("bytes */{len}"))
            .into();
    }
    if let Body::File { mut file, .. } = response.body {
        file.seek(SeekFrom::Start(start))
            .expect("a file can be read from anywhere");
        response.body = Body::File {
            file,
            len: end - start,
        };
    }
    response.status = 206;
    response.offset = start;
    response.headers.push((
        "Content-Range".to_owned(),
        format!("bytes {start}-{}/{len}", end - 1),
    ));
    response
}
