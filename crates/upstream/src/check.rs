//! Whether a body is what was asked for. A page of a captive portal, a login form or an error text under status 200
//! must never be taken for a module's file.

use fault::Label;
use gomod::Version;
use gomod::info::RevInfo;

use crate::Expect;

/// Why a body is refused.
pub(crate) struct Refusal {
    pub(crate) label: Label,
    pub(crate) reason: String,
}

impl Refusal {
    fn new(label: Label, reason: impl Into<String>) -> Self {
        Self {
            label,
            reason: reason.into(),
        }
    }
}

/// Judges response headers, before any of the body.
pub(crate) fn check_headers(
    content_type: Option<&str>,
    content_encoding: Option<&str>,
) -> Result<(), Refusal> {
    if let Some(encoding) =
        content_encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity"))
    {
        return Err(Refusal::new(
            Label::GoproxyCorrupt,
            format!(
                "the body is encoded as {:?} although no encoding was asked for",
                shorten(encoding)
            ),
        ));
    }
    let media_type = content_type
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .unwrap_or_default();
    if media_type.eq_ignore_ascii_case("text/html")
        || media_type.eq_ignore_ascii_case("application/xhtml+xml")
    {
        return Err(Refusal::new(
            Label::GoproxyHtml,
            "the answer is a web page (text/html), not a module file",
        ));
    }
    Ok(())
}

/// Judges a whole body.
pub(crate) fn check_body(expect: &Expect, body: &[u8]) -> Result<(), Refusal> {
    // The first of so many random bytes may well be a `<`.
    if let Expect::Hashes(len) = expect {
        return check_tile(*len, body);
    }
    if looks_like_html(body) {
        return Err(Refusal::new(
            Label::GoproxyHtml,
            "the body is a web page, not a module file",
        ));
    }
    match expect {
        Expect::Info(version) => check_info(version.as_ref(), body),
        Expect::Mod if body.contains(&0) => Err(Refusal::new(
            Label::GoproxyCorrupt,
            "the go.mod contains NUL bytes",
        )),
        Expect::List => match std::str::from_utf8(body) {
            Ok(text) if !text.contains('\0') => Ok(()),
            _ => Err(Refusal::new(
                Label::GoproxyCorrupt,
                "the version list is not text",
            )),
        },
        Expect::Zip => check_zip_start(body),
        Expect::Text => check_text(body),
        Expect::Mod | Expect::Opaque | Expect::Hashes(_) => Ok(()),
    }
}

/// Judges the first bytes of a zip.
pub(crate) fn check_zip_start(first: &[u8]) -> Result<(), Refusal> {
    // An archive without entries begins with its end record.
    if first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06") {
        Ok(())
    } else if looks_like_html(first) {
        Err(Refusal::new(
            Label::GoproxyHtml,
            "the body is a web page, not a zip file",
        ))
    } else {
        Err(Refusal::new(
            Label::GoproxyCorrupt,
            "zip: not a valid zip file (the body does not begin as one)",
        ))
    }
}

fn check_info(version: Option<&Version>, body: &[u8]) -> Result<(), Refusal> {
    let info = RevInfo::parse(body).map_err(|error| {
        Refusal::new(
            Label::GoproxyCorrupt,
            format!("invalid response from proxy: {error}"),
        )
    })?;
    match version {
        Some(version) if info.version != version.as_str() => Err(Refusal::new(
            Label::GoproxyCorrupt,
            format!(
                "invalid response from proxy: it was asked for {version} and answered about {:?}",
                shorten(&info.version)
            ),
        )),
        Some(_) => Ok(()),
        None => Version::new(&info.version).map(drop).map_err(|_| {
            Refusal::new(
                Label::GoproxyCorrupt,
                format!(
                    "invalid response from proxy: {:?} is no canonical version",
                    shorten(&info.version)
                ),
            )
        }),
    }
}

fn check_tile(len: u64, body: &[u8]) -> Result<(), Refusal> {
    if body.len() as u64 == len {
        return Ok(());
    }
    let found = body.len();
    Err(Refusal::new(
        Label::Sumdb5xx,
        format!("the tile has {found} bytes, and its hashes take {len}"),
    ))
}

fn check_text(body: &[u8]) -> Result<(), Refusal> {
    match std::str::from_utf8(body) {
        Ok(text) if text.trim().is_empty() => {
            Err(Refusal::new(Label::Sumdb5xx, "the answer is empty"))
        }
        Ok(text) if !text.contains('\0') => Ok(()),
        _ => Err(Refusal::new(Label::Sumdb5xx, "the answer is not text")),
    }
}

/// No module file can begin with `<`: not a list, JSON, go.mod or zip.
fn looks_like_html(body: &[u8]) -> bool {
    body.trim_ascii_start()
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(body.trim_ascii_start())
        .starts_with(b"<")
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}
