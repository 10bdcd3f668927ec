//! User name and password of a URL.

use super::encoding::{Part, escape, unescape};
use crate::mask::MASK;
use crate::url_fault::UrlFault;

/// User name and password of a URL, decoded.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Userinfo {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

impl Userinfo {
    pub(super) fn parse(text: &str) -> Result<Self, UrlFault> {
        if !text.chars().all(may_be_userinfo) {
            return Err(UrlFault::Userinfo);
        }
        let decode = |part: &str| unescape(part.as_bytes(), Part::Userinfo);
        match text.split_once(':') {
            Some((name, password)) => Ok(Self {
                name: decode(name)?,
                password: Some(decode(password)?),
            }),
            None => Ok(Self {
                name: decode(text)?,
                password: None,
            }),
        }
    }

    /// Redacted, a password becomes `xxxxx` as in Go. So does a user name without password, unlike
    /// Go: over HTTP that is how access tokens are written.
    pub(super) fn assemble(&self, redacted: bool) -> String {
        let name = escape(&self.name, Part::Userinfo);
        match (&self.password, redacted) {
            (None, false) => name,
            (None, true) if name.is_empty() => name,
            (None, true) => MASK.to_owned(),
            (Some(password), false) => {
                format!("{name}:{}", escape(password, Part::Userinfo))
            }
            (Some(_), true) => format!("{name}:{MASK}"),
        }
    }
}

fn may_be_userinfo(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c)
}
