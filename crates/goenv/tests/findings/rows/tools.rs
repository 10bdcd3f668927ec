//! git, ssh, netrc, toolchains and caches.

use fault::Rule;

use super::Row;

pub(super) const ROWS: &[Row] = &[
    (
        "git accepts any certificate",
        Rule::GitSslVerifyOff,
        &["home/.gitconfig: [http]\n\tsslVerify = false\n"],
    ),
    (
        "git accepts any certificate of one host",
        Rule::GitSslVerifyOff,
        &["home/.gitconfig: [http \"https://a.example\"]\n\tsslVerify = 0\n"],
    ),
    (
        "a CA file that is not there",
        Rule::GitCaMissing,
        &["home/.gitconfig: [http]\n\tsslCAInfo = {}/ca.pem\n"],
    ),
    (
        "a proxy for git alone",
        Rule::GitProxyOnly,
        &["home/.gitconfig: [http]\n\tproxy = http://127.0.0.1:7890\n"],
    ),
    (
        "a bad proxy for git",
        Rule::GitProxyMalformed,
        &["home/.gitconfig: [http]\n\tproxy = htp://127.0.0.1:7890\n"],
    ),
    (
        "ssh without a key",
        Rule::GitInsteadOfNoKey,
        &["home/.gitconfig: [url \"git@github.com:\"]\n\tinsteadOf = https://github.com/\n"],
    ),
    (
        "ssh to an unknown host",
        Rule::SshHostUnknown,
        &[
            "home/.gitconfig: [url \"ssh://git@git.example/\"]\n\tinsteadOf = https://git.example/\n",
            "home/.ssh/id_ed25519: key",
            "home/.ssh/id_ed25519:0600",
            "home/.ssh/known_hosts: other.example ssh-ed25519 AAAA\n",
        ],
    ),
    ("no git", Rule::GitMissing, &["PATH={}/go/bin"]),
    (
        "a token in git's configuration",
        Rule::GitSecret,
        &[
            "home/.gitconfig: [url \"https://u:tok99@git.example/\"]\n\tinsteadOf = https://git.example/\n",
        ],
    ),
    (
        "a broken git configuration",
        Rule::GitConfigBroken,
        &["home/.gitconfig: [http\n"],
    ),
    (
        "netrc for everybody",
        Rule::NetrcReadable,
        &[
            "home/.netrc: machine a.example login u password secret99\n",
            "home/.netrc:0644",
        ],
    ),
    (
        "netrc is a directory",
        Rule::NetrcUnreadable,
        &["home/.netrc/x: y"],
    ),
    (
        "netrc without a password",
        Rule::NetrcIncomplete,
        &[
            "home/.netrc: machine a.example login u\n",
            "home/.netrc:0600",
        ],
    ),
    (
        "netrc with default",
        Rule::NetrcDefault,
        &[
            "home/.netrc: default login u password secret99\n",
            "home/.netrc:0600",
        ],
    ),
    (
        "a private host without credentials",
        Rule::NetrcMissing,
        &["GOPRIVATE=git.corp.example"],
    ),
    (
        "a key for everybody",
        Rule::SshKeyReadable,
        &["home/.ssh/id_ed25519: key", "home/.ssh/id_ed25519:0644"],
    ),
    ("no go", Rule::GoMissing, &["go/bin/go:-", "PATH={}/none"]),
    (
        "two versions of go",
        Rule::GoSeveral,
        &[
            "old/VERSION: go1.22.0\n",
            "old/bin/go: x",
            "old/bin/go:0755",
            "PATH={}/go/bin:{}/old/bin:/usr/bin:/bin",
        ],
    ),
    (
        "GOROOT of another go",
        Rule::GorootMismatch,
        &[
            "old/VERSION: go1.22.0\n",
            "old/go.env: GOPROXY=direct\n",
            "GOROOT={}/old",
        ],
    ),
    ("an old go", Rule::GoOld, &["go/VERSION: go1.15.2\n"]),
    (
        "a bad GOTOOLCHAIN",
        Rule::ToolchainInvalid,
        &["GOTOOLCHAIN=1.24"],
    ),
    (
        "a newer go line with local",
        Rule::ToolchainLocal,
        &[
            "GOTOOLCHAIN=local",
            "project/go.mod: module m\n\ngo 1.99.0\n",
        ],
    ),
    (
        "a newer go line",
        Rule::ToolchainDownload,
        &["project/go.mod: module m\n\ngo 1.99.0\n"],
    ),
    (
        "a cache everybody writes to",
        Rule::CacheWorldWritable,
        &["home/go/pkg/mod/x: y", "home/go/pkg/mod:0777"],
    ),
    (
        "one cache in the other",
        Rule::CacheNested,
        &["GOCACHE={}/home/c", "GOMODCACHE={}/home/c/mod"],
    ),
];
