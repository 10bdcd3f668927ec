//! The labels: one row for each thing that can go wrong.

use std::fmt;
use std::str::FromStr;

use crate::{Hop, ParseError, Party};

/// What a repetition of the same request can be expected to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outlook {
    /// The same again until something is changed.
    Firm,
    /// It may succeed later without any change.
    Retry,
    /// The same again, because the thing does not exist: a GOPROXY server says 404 or 410.
    Absent,
}

macro_rules! labels {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $hop:ident, $party:ident, $outlook:ident;)+) => {
        /// A cause of failure with a stable name.
        ///
        /// The order of the variants is the order of [`Hop`], so sorting labels sorts them along the request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Label { $($(#[doc = $doc])+ $variant,)+ }

        impl Label {
            /// All labels, in path order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name, in kebab case.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The hop at which this cause sits.
            pub const fn hop(self) -> Hop {
                match self { $(Self::$variant => Hop::$hop,)+ }
            }

            /// Who can usually remove the cause.
            pub const fn party(self) -> Party {
                match self { $(Self::$variant => Party::$party,)+ }
            }

            const fn outlook(self) -> Outlook {
                match self { $(Self::$variant => Outlook::$outlook,)+ }
            }
        }
    };
}

labels! {
    /// A GOPROXY entry that is no URL, or a wrong separator.
    CfgGoproxySyntax = "cfg-goproxy-syntax", Config, User, Firm;
    /// A GOPROXY list without a usable entry.
    CfgGoproxyEmpty = "cfg-goproxy-empty", Config, User, Firm;
    /// Downloads forbidden by `GOPROXY=off`.
    CfgGoproxyOff = "cfg-goproxy-off", Config, User, Firm;
    /// A private path asked at a public mirror, because no private rule covers it.
    CfgGoproxyNoDirect = "cfg-goproxy-no-direct", Config, User, Firm;
    /// A flag in GOFLAGS that blocks the command.
    CfgGoflagsMod = "cfg-goflags-mod", Config, User, Firm;
    /// GOPATH mode, in which GOPROXY is ignored.
    CfgGopathMode = "cfg-gopath-mode", Config, User, Firm;
    /// No network at all in this sandbox or build step.
    EnvNoNetwork = "env-no-network", ClientEnv, User, Firm;
    /// A preload wrapper that does not catch Go's system calls.
    EnvProxyBypassed = "env-proxy-bypassed", ClientEnv, User, Firm;
    /// Neither HOME nor a cache directory is set.
    EnvHomeUnset = "env-home-unset", ClientEnv, User, Firm;
    /// The resolver answers unusably (SERVFAIL, REFUSED, malformed).
    DnsServfail = "dns-servfail", Dns, Network, Retry;
    /// The resolver does not know the name.
    DnsNxdomain = "dns-nxdomain", Dns, Network, Firm;
    /// The resolver does not answer.
    DnsTimeout = "dns-timeout", Dns, Network, Retry;
    /// No resolver is configured, so Go asks localhost.
    DnsNoResolver = "dns-no-resolver", Dns, User, Firm;
    /// A listed IPv6 resolver cannot be used.
    DnsIpv6Resolver = "dns-ipv6-resolver", Dns, Network, Firm;
    /// The resolver returns a wrong address.
    DnsPoisoned = "dns-poisoned", Dns, Network, Firm;
    /// The connection is actively refused.
    TcpRefused = "tcp-refused", Tcp, Network, Retry;
    /// The connection attempt is never answered.
    TcpTimeout = "tcp-timeout", Tcp, Network, Retry;
    /// The destination is filtered for a country or company.
    TcpBlockedRegion = "tcp-blocked-region", Tcp, Network, Firm;
    /// The connection is reset in flight.
    TcpReset = "tcp-reset", Tcp, Network, Retry;
    /// No route to the address.
    TcpNoRoute = "tcp-no-route", Tcp, Network, Retry;
    /// The IPv6 path fails while IPv4 works.
    TcpIpv6Broken = "tcp-ipv6-broken", Tcp, Network, Firm;
    /// Big packets are lost on the way.
    TcpMtu = "tcp-mtu", Tcp, Network, Firm;
    /// Interception with a certificate authority that is not trusted here.
    TlsUnknownCaMitm = "tls-unknown-ca-mitm", Tls, Network, Firm;
    /// No public root certificates are installed.
    TlsMissingCaBundle = "tls-missing-ca-bundle", Tls, User, Firm;
    /// The server's certificate has lapsed.
    TlsCertExpired = "tls-cert-expired", Tls, SourceHost, Firm;
    /// The local clock is wrong.
    TlsClockSkew = "tls-clock-skew", Tls, User, Firm;
    /// A server for another name answered.
    TlsHostnameMismatch = "tls-hostname-mismatch", Tls, Network, Firm;
    /// The TLS handshake is never answered.
    TlsHandshakeTimeout = "tls-handshake-timeout", Tls, Network, Retry;
    /// A certificate without subject alternative names.
    TlsLegacyCn = "tls-legacy-cn", Tls, SourceHost, Firm;
    /// HTTP is spoken on a port where TLS was expected.
    TlsPlainHttp = "tls-plain-http", Tls, User, Firm;
    /// The HTTP proxy wants credentials.
    Httpproxy407 = "httpproxy-407", HttpProxy, User, Firm;
    /// Nothing listens at the configured HTTP proxy address.
    HttpproxyRefused = "httpproxy-refused", HttpProxy, User, Firm;
    /// The HTTP proxy closes the tunnel request.
    HttpproxyConnectFailed = "httpproxy-connect-failed", HttpProxy, Network, Retry;
    /// The policy of the HTTP proxy denies the host.
    HttpproxyConnectForbidden = "httpproxy-connect-forbidden", HttpProxy, Network, Firm;
    /// An `https://` proxy URL for a proxy that speaks plain HTTP.
    HttpproxyScheme = "httpproxy-scheme", HttpProxy, User, Firm;
    /// A proxy URL that cannot be used.
    HttpproxyMalformed = "httpproxy-malformed", HttpProxy, User, Firm;
    /// Only `HTTP_PROXY` is set; module traffic is https.
    HttpproxyHttpsUnset = "httpproxy-https-unset", HttpProxy, User, Firm;
    /// A portal or block page answers in place of the server.
    CaptivePortalHtml = "captive-portal-html", HttpProxy, Network, Firm;
    /// The module proxy wants a login.
    Goproxy401 = "goproxy-401", Goproxy, User, Firm;
    /// The module proxy denies the request.
    Goproxy403 = "goproxy-403", Goproxy, Proxy, Firm;
    /// The module proxy does not have it, and the chain ends there.
    Goproxy404 = "goproxy-404", Goproxy, Proxy, Absent;
    /// As 404, said as "Gone".
    Goproxy410 = "goproxy-410", Goproxy, Proxy, Absent;
    /// The module proxy limits the request rate.
    Goproxy429 = "goproxy-429", Goproxy, Proxy, Retry;
    /// Another client error from the module proxy.
    Goproxy4xx = "goproxy-4xx", Goproxy, Proxy, Firm;
    /// The module proxy or its upstream fails.
    Goproxy5xx = "goproxy-5xx", Goproxy, Proxy, Retry;
    /// A request to the module proxy takes tens of seconds.
    GoproxySlow = "goproxy-slow", Goproxy, Proxy, Retry;
    /// The version is newer than the module proxy's view.
    GoproxyLag = "goproxy-lag", Goproxy, Proxy, Retry;
    /// The first entry failed, and `|direct` reported another error.
    GoproxyFallbackMasksError = "goproxy-fallback-masks-error", Goproxy, User, Firm;
    /// The answer is not what the protocol says.
    GoproxyHtml = "goproxy-html", Goproxy, Proxy, Firm;
    /// An archive or encoding that cannot be read.
    GoproxyCorrupt = "goproxy-corrupt", Goproxy, Proxy, Firm;
    /// The body was cut short.
    GoproxyTruncated = "goproxy-truncated", Goproxy, Proxy, Retry;
    /// An HTTP/2 stream was reset.
    Http2StreamError = "http2-stream-error", Goproxy, Proxy, Retry;
    /// The HTTP/2 connection was closed by the server in mid-flight.
    Http2Goaway = "http2-goaway", Goproxy, Proxy, Retry;
    /// The checksum database cannot be reached.
    SumdbUnreachable = "sumdb-unreachable", Sumdb, Network, Retry;
    /// A private module was sent to the public checksum database.
    SumdbPrivateLeak = "sumdb-private-leak", Sumdb, User, Firm;
    /// The checksum database cannot know the version.
    Sumdb404 = "sumdb-404", Sumdb, Sumdb, Absent;
    /// The checksum database failed to fetch the module itself.
    SumdbUpstreamFetch = "sumdb-upstream-fetch", Sumdb, Sumdb, Retry;
    /// The checksum database, or the proxy relaying it, fails.
    Sumdb5xx = "sumdb-5xx", Sumdb, Sumdb, Retry;
    /// The module proxy mishandles `/sumdb/`.
    SumdbProxyUnsupported = "sumdb-proxy-unsupported", Sumdb, Proxy, Firm;
    /// The download differs from the checksum database.
    SumdbMismatch = "sumdb-mismatch", Sumdb, Proxy, Firm;
    /// git (or another version control tool) is not installed.
    VcsGitMissing = "vcs-git-missing", Vcs, User, Firm;
    /// GOVCS forbids the version control tool.
    VcsGovcsDisallowed = "vcs-govcs-disallowed", Vcs, User, Firm;
    /// The host offers plain HTTP only.
    VcsInsecureHttp = "vcs-insecure-http", Vcs, SourceHost, Firm;
    /// The ssh port is filtered.
    VcsSshBlocked = "vcs-ssh-blocked", Vcs, Network, Firm;
    /// A clone or fetch was cut in the middle.
    GitTransferBroken = "git-transfer-broken", Vcs, Network, Retry;
    /// The repository is owned by another user.
    VcsDubiousOwnership = "vcs-dubious-ownership", Vcs, User, Firm;
    /// git needs a credential and has none.
    AuthHttpsNoCredential = "auth-https-no-credential", Auth, User, Firm;
    /// The credential is wrong, expired or too weak.
    AuthTokenRejected = "auth-token-rejected", Auth, User, Firm;
    /// Logged in, but no access or no such repository.
    AuthRepoNotFound = "auth-repo-not-found", Auth, SourceHost, Firm;
    /// The ssh key is refused.
    AuthSshPublickey = "auth-ssh-publickey", Auth, User, Firm;
    /// The ssh host key is unknown or has changed.
    AuthSshHostkey = "auth-ssh-hostkey", Auth, User, Firm;
    /// The tag, branch or commit does not exist.
    ModUnknownRevision = "mod-unknown-revision", Module, Author, Absent;
    /// A v2+ version without `/vN` in its path.
    ModMajorSuffix = "mod-major-suffix", Module, Author, Absent;
    /// The module declares another path than was required.
    ModPathMismatch = "mod-path-mismatch", Module, User, Absent;
    /// Two spellings of one import path.
    ModCaseCollision = "mod-case-collision", Module, User, Firm;
    /// A package is provided by two modules.
    ModAmbiguousImport = "mod-ambiguous-import", Module, User, Firm;
    /// The module does not contain the package.
    ModNoPackage = "mod-no-package", Module, User, Firm;
    /// The discovery page has no go-import meta tag.
    ModGoImportMissing = "mod-go-import-missing", Module, SourceHost, Absent;
    /// The host of the import path does not resolve.
    ModImportHostGone = "mod-import-host-gone", Module, SourceHost, Firm;
    /// The repository was deleted, renamed or made private.
    ModRepoGone = "mod-repo-gone", Module, SourceHost, Absent;
    /// The tag was moved after publication.
    ModRetagged = "mod-retagged", Module, Author, Firm;
    /// The download differs from go.sum.
    GosumMismatch = "gosum-mismatch", Module, Proxy, Firm;
    /// The author withdrew the version.
    ModRetracted = "mod-retracted", Module, Author, Firm;
    /// The module exceeds the size limit.
    ModZipTooLarge = "mod-zip-too-large", Module, Author, Absent;
    /// The module contains file names a zip may not have.
    ModZipBadFile = "mod-zip-bad-file", Module, Author, Absent;
    /// go.sum lacks an entry.
    GosumMissing = "gosum-missing", Project, User, Firm;
    /// go.sum has a broken line.
    ProjGosumMalformed = "proj-gosum-malformed", Project, User, Firm;
    /// go.mod cannot be parsed.
    ProjGomodSyntax = "proj-gomod-syntax", Project, User, Firm;
    /// An old tool cannot read a new `go` line.
    ProjGoDirectiveFormat = "proj-go-directive-format", Project, User, Firm;
    /// go.mod must change, and read-only mode forbids it.
    ProjUpdatesNeeded = "proj-updates-needed", Project, User, Firm;
    /// The command ran outside a module.
    ProjNoGomod = "proj-no-gomod", Project, User, Firm;
    /// A local replacement directory does not exist.
    ProjReplaceMissingDir = "proj-replace-missing-dir", Project, User, Firm;
    /// The vendor directory does not agree with go.mod.
    VendorInconsistent = "vendor-inconsistent", Project, User, Firm;
    /// An internal package is imported from outside.
    ProjInternalPackage = "proj-internal-package", Project, User, Firm;
    /// No such Go release, or none for this platform.
    ToolchainNotAvailable = "toolchain-not-available", Toolchain, User, Firm;
    /// The local Go is older than required.
    ToolchainGoTooOld = "toolchain-go-too-old", Toolchain, User, Firm;
    /// A standard library package newer than the local Go.
    ProjStdMissing = "proj-std-missing", Toolchain, User, Firm;
    /// No space or inodes left.
    DiskFull = "disk-full", Disk, User, Firm;
    /// The directory is not writable by this user.
    DiskPermission = "disk-permission", Disk, User, Firm;
    /// The file system is mounted read-only.
    DiskReadonly = "disk-readonly", Disk, User, Firm;
    /// A limit of the process is reached.
    OsResourceLimit = "os-resource-limit", Disk, User, Firm;
    /// An entry of the local cache is damaged.
    DiskCacheCorrupt = "disk-cache-corrupt", Disk, User, Firm;
}

impl Label {
    /// Whether the same request may succeed later although nobody changed anything.
    pub const fn is_retryable(self) -> bool {
        matches!(self.outlook(), Outlook::Retry)
    }

    /// Whether a GOPROXY server answers this cause with 404 or 410, which sends `go` to the next entry of its chain.
    ///
    /// True only for what is deterministic and final, as in the module proxy protocol: everything else must be a 5xx
    /// (or 403), so that trouble never looks like absence.
    pub const fn means_absent(self) -> bool {
        matches!(self.outlook(), Outlook::Absent)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Label {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|label| label.as_str() == name)
            .ok_or_else(|| ParseError::Label(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_label_is_read_back_from_its_name() {
        for &label in Label::ALL {
            assert_eq!(label.as_str().parse::<Label>().unwrap(), label);
        }
        let names: HashSet<_> = Label::ALL.iter().map(|label| label.as_str()).collect();
        assert_eq!(names.len(), Label::ALL.len());
        assert_eq!(names.len(), 102);
    }

    #[test]
    fn names_are_kebab_case() {
        for label in Label::ALL {
            let name = label.as_str();
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{name}"
            );
            assert!(
                !name.starts_with('-') && !name.ends_with('-') && !name.contains("--"),
                "{name}"
            );
        }
    }

    #[test]
    fn labels_are_ordered_along_the_request() {
        assert!(
            Label::ALL
                .windows(2)
                .all(|pair| pair[0] < pair[1] && pair[0].hop() <= pair[1].hop())
        );
        for hop in Hop::ALL {
            assert!(
                Label::ALL.iter().any(|label| label.hop() == hop),
                "{hop} has no label"
            );
        }
    }

    #[test]
    fn trouble_on_the_way_never_means_absent() {
        for label in Label::ALL.iter().filter(|label| label.means_absent()) {
            assert!(!label.is_retryable());
            assert!(
                matches!(label.hop(), Hop::Goproxy | Hop::Sumdb | Hop::Module),
                "{label} sits at {}, which says nothing about existence",
                label.hop()
            );
        }
        for trouble in [
            Label::Goproxy5xx,
            Label::Goproxy403,
            Label::AuthRepoNotFound,
            Label::SumdbMismatch,
        ] {
            assert!(!trouble.means_absent(), "{trouble}");
        }
        assert!(Label::Goproxy404.means_absent() && Label::ModUnknownRevision.means_absent());
    }

    #[test]
    fn a_hash_mismatch_is_never_retried() {
        for label in [
            Label::SumdbMismatch,
            Label::GosumMismatch,
            Label::ModRetagged,
            Label::GoproxyCorrupt,
        ] {
            assert!(!label.is_retryable(), "{label}");
        }
    }
}
