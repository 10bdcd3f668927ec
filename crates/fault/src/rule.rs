//! The rules: what can be found wrong with settings, projects and caches before any request is sent.

use std::fmt;
use std::str::FromStr;

use crate::{Hop, Label, ParseError, Severity};

macro_rules! rules {
    ($($variant:ident = $name:literal, $label:ident, $severity:ident;)+) => {
        /// Something that can be found by reading settings and files. What it means stands in its
        /// [texts](Self::texts).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the message files describe every rule, and a test holds them complete")]
        pub enum Rule { $($variant,)+ }

        impl Rule {
            /// All rules, grouped by what they look at.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name, in kebab case.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The cause of failure that the finding is, or leads to.
            pub const fn label(self) -> Label {
                match self { $(Self::$variant => Label::$label,)+ }
            }

            /// How much it matters where nothing more is known.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }
        }
    };
}

rules! {
    // GOPROXY
    GoproxySeparator = "goproxy-separator", CfgGoproxySyntax, Fault;
    GoproxyQuotes = "goproxy-quotes", CfgGoproxySyntax, Fault;
    GoproxyScheme = "goproxy-scheme", CfgGoproxySyntax, Fault;
    GoproxyInvalid = "goproxy-invalid", CfgGoproxySyntax, Fault;
    GoproxyBlanks = "goproxy-blanks", CfgGoproxySyntax, Note;
    GoproxyEmpty = "goproxy-empty", CfgGoproxyEmpty, Fault;
    GoproxyOff = "goproxy-off", CfgGoproxyOff, Fault;
    GoproxyUnreachable = "goproxy-unreachable", CfgGoproxySyntax, Risk;
    GoproxyDirectOnly = "goproxy-direct-only", TcpBlockedRegion, Note;
    GoproxyNoFallback = "goproxy-no-fallback", Goproxy404, Note;
    GoproxyCommaMirrors = "goproxy-comma-mirrors", Goproxy5xx, Note;
    GoproxyDuplicate = "goproxy-duplicate", CfgGoproxySyntax, Note;
    GoproxyDeadMirror = "goproxy-dead-mirror", DnsNxdomain, Risk;
    GoproxyPublicFirst = "goproxy-public-first", CfgGoproxyNoDirect, Risk;
    GoproxyCleartextPassword = "goproxy-cleartext-password", Goproxy401, Fault;
    GoproxyPassword = "goproxy-password", Goproxy401, Note;
    GoproxyFileMissing = "goproxy-file-missing", Goproxy404, Fault;
    // Layers of settings
    SettingShadowed = "setting-shadowed", CfgGoproxySyntax, Risk;
    SettingConflict = "setting-conflict", CfgGoproxySyntax, Note;
    EnvFileLine = "env-file-line", CfgGoproxySyntax, Risk;
    EnvFileUnknownKey = "env-file-unknown-key", CfgGoproxySyntax, Note;
    EnvFileDeafKey = "env-file-deaf-key", CfgGoproxySyntax, Risk;
    EnvFileCarriageReturn = "env-file-carriage-return", CfgGoproxySyntax, Risk;
    EnvFileUnreadable = "env-file-unreadable", DiskPermission, Risk;
    EnvFileMissing = "env-file-missing", CfgGoproxySyntax, Risk;
    GorootFileMissing = "goroot-file-missing", CfgGoproxyEmpty, Fault;
    SettingInvalid = "setting-invalid", EnvHomeUnset, Fault;
    SettingBlanks = "setting-blanks", CfgGoproxySyntax, Risk;
    HomeUnset = "home-unset", EnvHomeUnset, Fault;
    UnknownVariable = "unknown-variable", SumdbUnreachable, Note;
    // Private patterns and checksums
    PrivateUrl = "private-url", CfgGoproxyNoDirect, Risk;
    PrivateSeparator = "private-separator", CfgGoproxyNoDirect, Risk;
    PrivateBadGlob = "private-bad-glob", CfgGoproxyNoDirect, Risk;
    PrivateNoMatch = "private-no-match", CfgGoproxyNoDirect, Risk;
    PrivateEverything = "private-everything", SumdbUnreachable, Risk;
    PrivateTooWide = "private-too-wide", SumdbUnreachable, Risk;
    PrivateNotCovered = "private-not-covered", SumdbPrivateLeak, Risk;
    GosumdbOff = "gosumdb-off", SumdbUnreachable, Risk;
    GosumdbInvalid = "gosumdb-invalid", SumdbUnreachable, Fault;
    NosumdbEverything = "nosumdb-everything", SumdbUnreachable, Risk;
    InsecureEverything = "insecure-everything", VcsInsecureHttp, Risk;
    GoauthInvalid = "goauth-invalid", AuthHttpsNoCredential, Fault;
    GoauthOff = "goauth-off", AuthHttpsNoCredential, Note;
    GovcsInvalid = "govcs-invalid", VcsGovcsDisallowed, Fault;
    GovcsEverything = "govcs-everything", VcsGovcsDisallowed, Risk;
    // Flags and modes
    GoflagsInvalid = "goflags-invalid", CfgGoflagsMod, Fault;
    GoflagsInsecure = "goflags-insecure", CfgGoflagsMod, Fault;
    GoflagsVendor = "goflags-vendor", CfgGoflagsMod, Risk;
    ModuleModeOff = "module-mode-off", CfgGopathMode, Fault;
    ModuleModeAuto = "module-mode-auto", CfgGopathMode, Risk;
    ModuleModeOn = "module-mode-on", CfgGopathMode, Note;
    GopathIsGoroot = "gopath-is-goroot", CfgGopathMode, Risk;
    GoworkMissing = "gowork-missing", ProjNoGomod, Fault;
    // HTTP proxies
    ProxyMalformed = "proxy-malformed", HttpproxyMalformed, Fault;
    ProxyScheme = "proxy-scheme", HttpproxyMalformed, Fault;
    ProxyTls = "proxy-tls", HttpproxyScheme, Risk;
    ProxyHttpOnly = "proxy-http-only", HttpproxyHttpsUnset, Risk;
    ProxyAllOnly = "proxy-all-only", HttpproxyHttpsUnset, Risk;
    ProxyCases = "proxy-cases", HttpproxyMalformed, Risk;
    NoProxySeparator = "no-proxy-separator", HttpproxyConnectForbidden, Risk;
    NoProxyEntry = "no-proxy-entry", HttpproxyConnectForbidden, Risk;
    NoProxyPrivate = "no-proxy-private", HttpproxyConnectForbidden, Note;
    // git, netrc, ssh
    GitSslVerifyOff = "git-ssl-verify-off", TlsUnknownCaMitm, Risk;
    GitCaMissing = "git-ca-missing", TlsMissingCaBundle, Fault;
    GitProxyOnly = "git-proxy-only", HttpproxyHttpsUnset, Note;
    GitProxyMalformed = "git-proxy-malformed", HttpproxyMalformed, Fault;
    GitInsteadOfNoKey = "git-instead-of-no-key", AuthSshPublickey, Risk;
    GitMissing = "git-missing", VcsGitMissing, Note;
    GitSecret = "git-secret", AuthTokenRejected, Note;
    GitConfigBroken = "git-config-broken", VcsGitMissing, Fault;
    NetrcReadable = "netrc-readable", DiskPermission, Risk;
    NetrcUnreadable = "netrc-unreadable", DiskPermission, Fault;
    NetrcIncomplete = "netrc-incomplete", AuthHttpsNoCredential, Risk;
    NetrcDefault = "netrc-default", AuthHttpsNoCredential, Note;
    NetrcMissing = "netrc-missing", AuthHttpsNoCredential, Note;
    SshKeyReadable = "ssh-key-readable", AuthSshPublickey, Risk;
    SshHostUnknown = "ssh-host-unknown", AuthSshHostkey, Note;
    // Toolchains
    GoMissing = "go-missing", ToolchainNotAvailable, Note;
    GoSeveral = "go-several", ToolchainGoTooOld, Note;
    GorootMismatch = "goroot-mismatch", ProjStdMissing, Risk;
    GoOld = "go-old", ToolchainGoTooOld, Risk;
    ToolchainInvalid = "toolchain-invalid", ToolchainNotAvailable, Fault;
    ToolchainLocal = "toolchain-local", ToolchainGoTooOld, Fault;
    ToolchainDownload = "toolchain-download", ToolchainNotAvailable, Note;
    // Disks and clock
    DiskFull = "disk-full", DiskFull, Fault;
    DiskLow = "disk-low", DiskFull, Risk;
    DiskInodes = "disk-inodes", DiskFull, Fault;
    CacheNotWritable = "cache-not-writable", DiskPermission, Fault;
    CacheForeign = "cache-foreign", DiskPermission, Fault;
    CacheReadOnly = "cache-read-only", DiskReadonly, Fault;
    CacheNoexec = "cache-noexec", DiskPermission, Risk;
    CacheWorldWritable = "cache-world-writable", DiskPermission, Risk;
    CacheNested = "cache-nested", DiskCacheCorrupt, Risk;
    ClockBehind = "clock-behind", TlsClockSkew, Risk;
    // Projects
    GomodSyntax = "gomod-syntax", ProjGomodSyntax, Fault;
    GomodMissing = "gomod-missing", ProjNoGomod, Note;
    GoLineFormat = "go-line-format", ProjGoDirectiveFormat, Fault;
    ReplaceMissing = "replace-missing", ProjReplaceMissingDir, Fault;
    ReplaceLocal = "replace-local", ProjReplaceMissingDir, Note;
    GosumMalformed = "gosum-malformed", ProjGosumMalformed, Fault;
    GosumMissing = "gosum-missing", GosumMissing, Risk;
    VendorDrift = "vendor-drift", VendorInconsistent, Fault;
    WorkspaceUse = "workspace-use", ProjReplaceMissingDir, Fault;
    WorkspaceShadows = "workspace-shadows", ProjNoGomod, Risk;
    // Module cache
    CacheFileDamaged = "cache-file-damaged", DiskCacheCorrupt, Fault;
    CacheHashMismatch = "cache-hash-mismatch", DiskCacheCorrupt, Fault;
    CacheDirChanged = "cache-dir-changed", DiskCacheCorrupt, Fault;
    CacheUnreadable = "cache-unreadable", DiskPermission, Fault;
    CacheLeftover = "cache-leftover", DiskCacheCorrupt, Note;
}

impl Rule {
    /// The hop the rule belongs to.
    pub const fn hop(self) -> Hop {
        self.label().hop()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Rule {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|rule| rule.as_str() == name)
            .ok_or_else(|| ParseError::Rule(name.to_owned()))
    }
}
