//! The settings this crate knows: one table with name, default and meaning of each.

use std::fmt;

/// A setting of the `go` command that matters for downloads. The variants are called what Go calls
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "Key::doc says what each one means")]
pub enum Key {
    GO111MODULE,
    GOAUTH,
    GOCACHE,
    GOENV,
    GOFLAGS,
    GOINSECURE,
    GOMODCACHE,
    GONOPROXY,
    GONOSUMDB,
    GOPATH,
    GOPRIVATE,
    GOPROXY,
    GOROOT,
    GOSUMDB,
    GOTOOLCHAIN,
    GOVCS,
    GOWORK,
}

/// Where the value comes from when nobody has set one (cmd/go/internal/cfg).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultRule {
    /// There is none: the value is empty.
    Empty,
    /// Always the same text.
    Fixed(&'static str),
    /// A line of `$GOROOT/go.env`. Go before 1.21 has no such file and knows this text itself; it
    /// also stands in when no Go is installed.
    GorootFile(&'static str),
    /// The value of another setting.
    SameAs(Key),
    /// A directory below the first entry of GOPATH.
    BelowGopath(&'static str),
    /// A directory below the user's home.
    BelowHome(&'static str),
    /// A directory below the user's cache directory.
    BelowUserCache(&'static str),
    /// A file below the user's configuration directory.
    BelowUserConfig(&'static str),
    /// The tree the `go` program belongs to.
    OwnTree,
}

struct Row {
    key: Key,
    name: &'static str,
    default: DefaultRule,
    doc: &'static str,
}

const fn row(key: Key, name: &'static str, default: DefaultRule, doc: &'static str) -> Row {
    Row {
        key,
        name,
        default,
        doc,
    }
}

/// In the order of the enum, so that a key is the index of its row.
const TABLE: [Row; 17] = [
    row(
        Key::GO111MODULE,
        "GO111MODULE",
        DefaultRule::Empty,
        "module mode: on, auto or off; empty means on since Go 1.16",
    ),
    row(
        Key::GOAUTH,
        "GOAUTH",
        DefaultRule::Fixed("netrc"),
        "where credentials for HTTPS come from: off, netrc, git DIR or commands, separated by semicolons",
    ),
    row(
        Key::GOCACHE,
        "GOCACHE",
        DefaultRule::BelowUserCache("go-build"),
        "directory of the build cache",
    ),
    row(
        Key::GOENV,
        "GOENV",
        DefaultRule::BelowUserConfig("go/env"),
        "file that 'go env -w' writes, or off; only the environment can set it",
    ),
    row(
        Key::GOFLAGS,
        "GOFLAGS",
        DefaultRule::Empty,
        "flags added to every go command that knows them",
    ),
    row(
        Key::GOINSECURE,
        "GOINSECURE",
        DefaultRule::Empty,
        "module patterns that may be fetched over HTTP or with a bad certificate",
    ),
    row(
        Key::GOMODCACHE,
        "GOMODCACHE",
        DefaultRule::BelowGopath("pkg/mod"),
        "directory of downloaded modules",
    ),
    row(
        Key::GONOPROXY,
        "GONOPROXY",
        DefaultRule::SameAs(Key::GOPRIVATE),
        "module patterns fetched from their origin, never through a proxy",
    ),
    row(
        Key::GONOSUMDB,
        "GONOSUMDB",
        DefaultRule::SameAs(Key::GOPRIVATE),
        "module patterns not checked against the checksum database",
    ),
    row(
        Key::GOPATH,
        "GOPATH",
        DefaultRule::BelowHome("go"),
        "directories of the workspace of old; the first holds the caches",
    ),
    row(
        Key::GOPRIVATE,
        "GOPRIVATE",
        DefaultRule::Empty,
        "module patterns that are private: default of GONOPROXY and GONOSUMDB",
    ),
    row(
        Key::GOPROXY,
        "GOPROXY",
        DefaultRule::GorootFile("https://proxy.golang.org,direct"),
        "chain of module proxies, direct or off",
    ),
    row(
        Key::GOROOT,
        "GOROOT",
        DefaultRule::OwnTree,
        "the Go tree in use",
    ),
    row(
        Key::GOSUMDB,
        "GOSUMDB",
        DefaultRule::GorootFile("sum.golang.org"),
        "checksum database: name, optional key and URL, or off",
    ),
    row(
        Key::GOTOOLCHAIN,
        "GOTOOLCHAIN",
        DefaultRule::GorootFile("auto"),
        "which Go toolchain to run, and whether others may be downloaded",
    ),
    row(
        Key::GOVCS,
        "GOVCS",
        DefaultRule::Empty,
        "version control systems allowed for which modules",
    ),
    row(
        Key::GOWORK,
        "GOWORK",
        DefaultRule::Empty,
        "go.work file to use, or off; empty means search upwards",
    ),
];

impl Key {
    /// All keys, by name.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        TABLE.iter().map(|row| row.key)
    }

    /// The key of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.key)
    }

    /// Its name, as it stands in the environment and in files.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Where its value comes from when nobody has set one.
    pub fn default_rule(self) -> DefaultRule {
        self.row().default
    }

    /// What it means, in one line.
    pub fn doc(self) -> &'static str {
        self.row().doc
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// True for every name Go 1.26 takes from its configuration files (internal/cfg `KnownEnv`).
pub(crate) fn is_known_to_go(name: &str) -> bool {
    Key::from_name(name).is_some() || OTHER_KNOWN_NAMES.contains(&name)
}

/// True for names that Go computes or takes from the environment alone: a line in a file does
/// nothing.
pub(crate) fn is_deaf_to_files(name: &str) -> bool {
    matches!(
        name,
        "GODEBUG"
            | "GOENV"
            | "GOEXE"
            | "GOGCCFLAGS"
            | "GOHOSTARCH"
            | "GOHOSTOS"
            | "GOMOD"
            | "GOTELEMETRY"
            | "GOTELEMETRYDIR"
            | "GOTOOLDIR"
            | "GOVERSION"
    )
}

const OTHER_KNOWN_NAMES: [&str; 44] = [
    "AR",
    "CC",
    "CGO_CFLAGS",
    "CGO_CFLAGS_ALLOW",
    "CGO_CFLAGS_DISALLOW",
    "CGO_CPPFLAGS",
    "CGO_CPPFLAGS_ALLOW",
    "CGO_CPPFLAGS_DISALLOW",
    "CGO_CXXFLAGS",
    "CGO_CXXFLAGS_ALLOW",
    "CGO_CXXFLAGS_DISALLOW",
    "CGO_ENABLED",
    "CGO_FFLAGS",
    "CGO_FFLAGS_ALLOW",
    "CGO_FFLAGS_DISALLOW",
    "CGO_LDFLAGS",
    "CGO_LDFLAGS_ALLOW",
    "CGO_LDFLAGS_DISALLOW",
    "CXX",
    "FC",
    "GCCGO",
    "GO386",
    "GOAMD64",
    "GOARCH",
    "GOARM",
    "GOARM64",
    "GOBIN",
    "GOCACHEPROG",
    "GOEXE",
    "GOEXPERIMENT",
    "GOFIPS140",
    "GOGCCFLAGS",
    "GOHOSTARCH",
    "GOHOSTOS",
    "GOMIPS",
    "GOMIPS64",
    "GOOS",
    "GOPPC64",
    "GORISCV64",
    "GOTMPDIR",
    "GOTOOLDIR",
    "GOWASM",
    "GO_EXTLINK_ENABLED",
    "PKG_CONFIG",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_the_index_of_its_row() {
        for (index, key) in Key::all().enumerate() {
            assert_eq!(key as usize, index);
            assert_eq!(format!("{key:?}"), key.name());
            assert_eq!(Key::from_name(key.name()), Some(key));
            assert!(!key.doc().is_empty());
        }
    }

    #[test]
    fn names_are_sorted_and_unknown_ones_are_not_found() {
        assert!(Key::all().map(Key::name).is_sorted());
        assert_eq!(Key::from_name("goproxy"), None);
        assert!(is_known_to_go("GOPROXY") && is_known_to_go("CC") && !is_known_to_go("HTTP_PROXY"));
    }
}
