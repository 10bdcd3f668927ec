//! What can be wrong with a URL, in Go's words.

use gomod::quote;

use crate::mask::MASK;

/// What Go finds wrong with a URL; the texts are those of net/url.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlFault {
    /// A byte below blank, or DEL.
    #[error("net/url: invalid control character in URL")]
    ControlCharacter,
    /// It begins with a colon.
    #[error("missing protocol scheme")]
    MissingScheme,
    /// A colon before the first slash, but no scheme.
    #[error("first path segment in URL cannot contain colon")]
    ColonInFirstSegment,
    /// A character that cannot be part of user name or password.
    #[error("net/url: invalid userinfo")]
    Userinfo,
    /// Brackets around something other than an IPv6 address.
    #[error("invalid IP-literal")]
    IpLiteral,
    /// An opening bracket without the closing one.
    #[error("missing ']' in host")]
    MissingBracket,
    /// The text in brackets, quoted, is no IP address.
    #[error("invalid host: ParseAddr({0}): unable to parse IP")]
    IpAddress(String),
    /// The text behind the host, quoted, is no port.
    #[error("invalid port {0} after host")]
    Port(String),
    /// The text, quoted, is no percent escape that may stand here.
    #[error("invalid URL escape {0}")]
    Escape(String),
    /// The character, quoted, cannot be part of a host name.
    #[error("invalid character {0} in host name")]
    HostCharacter(String),
    /// A host name of bytes that are not text. Go would ask DNS for it.
    #[error("host name is not UTF-8")]
    HostEncoding,
}

impl UrlFault {
    /// The same without the piece of text it names, which may be part of a password.
    pub(crate) fn masked(self) -> Self {
        let mask = || quote(MASK);
        match self {
            Self::IpAddress(_) => Self::IpAddress(mask()),
            Self::Port(_) => Self::Port(mask()),
            Self::Escape(_) => Self::Escape(mask()),
            Self::HostCharacter(_) => Self::HostCharacter(mask()),
            other => other,
        }
    }
}
