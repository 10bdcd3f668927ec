//! Setups in which nothing is wrong: not one warning.

use fault::{Lang, Rule};
use goenv::Finding;

use crate::world::{World, world};

#[test]
fn healthy_setups_give_no_warning() {
    let netrc = "home/.netrc: machine git.corp.example login u password p\n";
    let setups: &[(&str, &[&str])] = &[
        ("default", &[]),
        ("a Chinese mirror", &["GOPROXY=https://goproxy.cn,direct"]),
        (
            "mirrors with bars",
            &["GOPROXY=https://goproxy.cn|https://goproxy.io|direct"],
        ),
        (
            "several mirrors with commas",
            &["GOPROXY=https://goproxy.cn,https://proxy.golang.org,direct"],
        ),
        (
            "Aliyun",
            &["home/.config/go/env: GOPROXY=https://mirrors.aliyun.com/goproxy/,direct\n"],
        ),
        (
            "the Chinese database",
            &[
                "GOSUMDB=sum.golang.google.cn",
                "GOPROXY=https://goproxy.cn,direct",
            ],
        ),
        (
            "a company proxy",
            &[
                "HTTPS_PROXY=http://proxy.corp.example:3128",
                "HTTP_PROXY=http://proxy.corp.example:3128",
                "NO_PROXY=localhost,127.0.0.1,.corp.example,10.0.0.0/8,*.internal.example,[::1],host.example:8443",
            ],
        ),
        (
            "both spellings",
            &[
                "HTTPS_PROXY=http://p.example:1",
                "https_proxy=http://p.example:1",
                "no_proxy=a.example",
                "NO_PROXY=a.example",
            ],
        ),
        (
            "a socks proxy",
            &[
                "HTTPS_PROXY=socks5://127.0.0.1:1080",
                "ALL_PROXY=socks5://127.0.0.1:1080",
            ],
        ),
        (
            "a proxy with TLS",
            &["HTTPS_PROXY=https://proxy.corp.example"],
        ),
        ("-mod=mod", &["GOFLAGS=-mod=mod"]),
        (
            "several flags",
            &["GOFLAGS=-buildvcs=false '-ldflags=-s -w' -trimpath"],
        ),
        (
            "a vendored project",
            &[
                "GOFLAGS=-mod=vendor",
                "project/go.mod: module m\n\ngo 1.24\n",
                "project/vendor/modules.txt: # a v1\n",
            ],
        ),
        (
            "a workspace",
            &[
                "project/go.work: go 1.24\n\nuse ./a\n",
                "project/a/go.mod: module a\n\ngo 1.24\n",
                "GOWORK={}/project/go.work",
            ],
        ),
        ("no workspace", &["GOWORK=off"]),
        (
            "private modules with netrc",
            &[
                "GOPRIVATE=git.corp.example,*.internal.example/team,github.com/acme/*",
                netrc,
                "home/.netrc:0600",
            ],
        ),
        (
            "a private proxy with patterns",
            &[
                "GOPROXY=https://goproxy.corp.internal,https://proxy.golang.org,direct",
                "GONOSUMDB=corp.internal,git.corp.example",
            ],
        ),
        (
            "private modules through the proxy",
            &[
                "GOPROXY=https://goproxy.corp.internal",
                "GOPRIVATE=git.corp.example",
                "GONOPROXY=none",
                netrc,
                "home/.netrc:0600",
            ],
        ),
        ("one insecure host", &["GOINSECURE=git.lab.internal/team"]),
        (
            "ssh with a key",
            &[
                "home/.gitconfig: [url \"git@github.com:\"]\n\tinsteadOf = https://github.com/\n",
                "home/.ssh/id_ed25519: key",
                "home/.ssh/id_ed25519:0600",
                "home/.ssh/known_hosts: github.com ssh-ed25519 AAAA\n",
            ],
        ),
        (
            "ssh with an agent",
            &[
                "home/.gitconfig: [url \"ssh://git@github.com/\"]\n\tinsteadOf = https://github.com/\n",
                "SSH_AUTH_SOCK=/run/agent",
            ],
        ),
        (
            "a credential helper",
            &[
                "home/.gitconfig: [credential]\n\thelper = store\n",
                "GOPRIVATE=git.corp.example",
            ],
        ),
        (
            "a company CA",
            &[
                "home/ca.pem: x",
                "home/.gitconfig: [http]\n\tsslCAInfo = {}/home/ca.pem\n\tsslVerify = true\n",
            ],
        ),
        (
            "a proxy for git as well",
            &[
                "home/.gitconfig: [http]\n\tproxy = http://127.0.0.1:7890\n",
                "HTTPS_PROXY=http://127.0.0.1:7890",
            ],
        ),
        (
            "the same value twice",
            &[
                "home/.config/go/env: GOPROXY=https://goproxy.cn,direct\n",
                "GOPROXY=https://goproxy.cn,direct",
            ],
        ),
        (
            "set in a shell file",
            &[
                "home/.bashrc: export GOPROXY=https://goproxy.cn,direct\n",
                "GOPROXY=https://goproxy.cn,direct",
            ],
        ),
        ("a pinned toolchain", &["GOTOOLCHAIN=go1.24.3+auto"]),
        (
            "local toolchain, older line",
            &["GOTOOLCHAIN=local", "project/go.mod: module m\n\ngo 1.24\n"],
        ),
        ("a GOAUTH command", &["GOAUTH=netrc; my-helper --flag"]),
        (
            "a narrow GOVCS",
            &["GOVCS=git.corp.example:svn,public:git,private:all"],
        ),
        (
            "CI",
            &[
                "CI=true",
                "GITHUB_ACTIONS=true",
                "GOFLAGS=-mod=readonly",
                "GOPROXY=https://proxy.golang.org",
            ],
        ),
        (
            "a file proxy",
            &[
                "proxy/x: y",
                "GOPROXY=file://{}/proxy,https://proxy.golang.org,direct",
            ],
        ),
        (
            "caches elsewhere",
            &[
                "GOCACHE={}/home/build",
                "GOMODCACHE={}/home/mod",
                "GOPATH={}/home/gopath",
            ],
        ),
        ("GO111MODULE=on", &["GO111MODULE=on"]),
    ];
    assert!(setups.len() >= 20);
    for (what, steps) in setups {
        let found = world(steps).findings();
        // The space on this machine's disk is not part of the setup.
        let warnings: Vec<String> = found
            .iter()
            .filter(|finding| finding.severity.is_warning())
            .filter(|finding| {
                !matches!(
                    finding.rule,
                    Rule::DiskFull | Rule::DiskLow | Rule::DiskInodes
                )
            })
            .map(|finding| format!("{}: {}", finding.rule, finding.sentence(Lang::En)))
            .collect();
        assert!(warnings.is_empty(), "{what}: {warnings:?}");
    }
    println!("{} healthy setups", setups.len());
}

#[test]
fn the_default_setup_has_not_even_a_note() {
    let found = World::new().findings();
    let found: Vec<&Finding> = found
        .iter()
        .filter(|finding| {
            !matches!(
                finding.rule,
                Rule::DiskFull | Rule::DiskLow | Rule::DiskInodes
            )
        })
        .collect();
    assert!(found.is_empty(), "{found:?}");
}
