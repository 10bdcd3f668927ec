//! The version control systems that the `go` command knows (cmd/go/internal/vcs).

use std::fmt;

use goenv::go_url::GoUrl;

/// A version control system, or a module proxy in the place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VersionControl {
    /// Git.
    Git,
    /// Mercurial.
    Mercurial,
    /// Subversion.
    Subversion,
    /// Bazaar.
    Bazaar,
    /// Fossil.
    Fossil,
    /// No version control at all: the address is that of a server that speaks the GOPROXY protocol.
    Mod,
}

impl VersionControl {
    /// The systems, in the order in which Go tries the names. [`Self::Mod`] is none of them.
    pub const ALL: [Self; 5] = [
        Self::Mercurial,
        Self::Git,
        Self::Subversion,
        Self::Bazaar,
        Self::Fossil,
    ];

    /// The name of its program, by which GOVCS and go-import tags call it.
    pub const fn command(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Mercurial => "hg",
            Self::Subversion => "svn",
            Self::Bazaar => "bzr",
            Self::Fossil => "fossil",
            Self::Mod => "mod",
        }
    }

    /// The system of that name; `mod` is none.
    pub fn from_command(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|system| system.command() == name)
    }

    /// The URL schemes tried for a path that names the system but no scheme, in this order.
    pub(crate) const fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::Git => &["git", "https", "http", "git+ssh", "ssh"],
            Self::Mercurial => &["https", "http", "ssh"],
            Self::Subversion => &["https", "http", "svn", "svn+ssh"],
            Self::Bazaar => &["https", "http", "bzr", "bzr+ssh"],
            Self::Fossil => &["https", "http"],
            Self::Mod => &["https"],
        }
    }

    /// Whether repositories are reached securely with `scheme`. `git_allow_protocol` is the variable
    /// `GIT_ALLOW_PROTOCOL`: when it is set, it alone decides for Git.
    pub fn is_secure_scheme(self, scheme: &str, git_allow_protocol: Option<&str>) -> bool {
        match (self, git_allow_protocol) {
            (Self::Git, Some(list)) if !list.is_empty() => list.split(':').any(|s| s == scheme),
            _ => matches!(scheme, "https" | "git+ssh" | "bzr+ssh" | "svn+ssh" | "ssh"),
        }
    }

    /// Whether `repository` is a URL with a secure scheme.
    pub fn is_secure_url(self, repository: &str, git_allow_protocol: Option<&str>) -> bool {
        GoUrl::parse(repository)
            .is_ok_and(|url| self.is_secure_scheme(url.scheme(), git_allow_protocol))
    }
}

impl fmt::Display for VersionControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.command())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_found_by_the_name_of_their_program() {
        for system in VersionControl::ALL {
            assert_eq!(VersionControl::from_command(system.command()), Some(system));
        }
        for unknown in ["mod", "cvs", "Git", ""] {
            assert_eq!(VersionControl::from_command(unknown), None);
        }
    }

    #[test]
    fn encrypted_schemes_are_secure_and_a_path_is_not() {
        let git = VersionControl::Git;
        for (url, secure) in [
            ("https://example.com/x", true),
            ("ssh://git@example.com/x", true),
            ("git+ssh://example.com/x", true),
            ("http://example.com/x", false),
            ("git://example.com/x", false),
            ("file:///x", false),
            ("git@example.com:x", false),
            ("ext::sh -c x", false),
            ("", false),
        ] {
            assert_eq!(git.is_secure_url(url, None), secure, "{url}");
        }
        assert!(git.is_secure_url("git://example.com/x", Some("git:http")));
        assert!(!git.is_secure_url("https://example.com/x", Some("git:http")));
        assert!(VersionControl::Mercurial.is_secure_url("https://example.com/x", Some("git:http")));
    }
}
