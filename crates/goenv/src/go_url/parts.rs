//! The parts of a URL and where each begins and ends (net/url `parse`).

use super::encoding::{Part, normalize};
use super::host;
use super::userinfo::Userinfo;
use crate::url_fault::UrlFault;

/// A URL taken apart. Path and fragment have escapes where they are needed, the host has none.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) scheme: String,
    pub(super) opaque: String,
    pub(super) userinfo: Option<Userinfo>,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) path_needs_hint: bool,
    pub(super) query: Option<String>,
    pub(super) fragment: Option<String>,
    pub(super) omits_host: bool,
}

/// Takes `text`, which has no fragment, apart.
pub(super) fn parse(text: &str) -> Result<Parts, UrlFault> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(UrlFault::ControlCharacter);
    }
    let mut url = Parts::default();
    if text == "*" {
        text.clone_into(&mut url.path);
        return Ok(url);
    }

    let (scheme, rest) = split_scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    let (rest, query) = split_query(rest);
    url.query = query.map(str::to_owned);

    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            rest.clone_into(&mut url.opaque);
            return Ok(url);
        }
        if rest.split('/').next().unwrap_or_default().contains(':') {
            return Err(UrlFault::ColonInFirstSegment);
        }
    }

    let mut path = rest;
    let may_have_authority = !url.scheme.is_empty() || !rest.starts_with("///");
    if let (Some(behind), true) = (rest.strip_prefix("//"), may_have_authority) {
        let (authority, after) = behind.split_at(behind.find('/').unwrap_or(behind.len()));
        path = after;
        let (userinfo, host) = authority
            .rsplit_once('@')
            .map_or((None, authority), |(userinfo, host)| (Some(userinfo), host));
        url.host = host::parse(&url.scheme, host)?;
        url.userinfo = userinfo.map(Userinfo::parse).transpose()?;
    } else if !url.scheme.is_empty() && rest.starts_with('/') {
        url.omits_host = true;
    }
    (url.path, url.path_needs_hint) = normalize(path, Part::Path)?;
    Ok(url)
}

/// Splits the scheme off. Text whose first character rules a scheme out has an empty one.
fn split_scheme(text: &str) -> Result<(&str, &str), UrlFault> {
    let scheme_characters = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let end = text
        .bytes()
        .position(|byte| !scheme_characters(byte))
        .unwrap_or(text.len());
    let (scheme, behind) = text.split_at(end);
    match behind.strip_prefix(':') {
        Some(_) if scheme.is_empty() => Err(UrlFault::MissingScheme),
        Some(rest) if scheme.starts_with(|c: char| c.is_ascii_alphabetic()) => Ok((scheme, rest)),
        _ => Ok(("", text)),
    }
}

/// Splits at the first `?`. A `?` with nothing behind it is an empty query, which is not the same
/// as none.
fn split_query(text: &str) -> (&str, Option<&str>) {
    text.split_once('?')
        .map_or((text, None), |(rest, query)| (rest, Some(query)))
}
