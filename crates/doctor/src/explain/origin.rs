//! Whose error it is: that of go, git and the download chain, or of any other program with the same words.
//!
//! Programs that are written in Go print `dial tcp: lookup H: no such host` exactly as the go command does. What tells
//! them apart stands around it: the words that lead to it, the request, and the name that was looked up.

use super::case::Case;
use super::url::{self, Purpose};

impl Case<'_> {
    /// Whether the client's text comes from go, git or a host of the download chain, so that bare network errors in it
    /// are about modules.
    pub(crate) fn is_about_modules(&self) -> bool {
        self.speaks_go() || self.names_chain_host() || self.is_git()
    }

    /// Whether a network error without any sign of its origin may be taken for one of a module download.
    pub(crate) fn may_be_about_modules(&self) -> bool {
        const PORTS: &[&str] = &[
            ":443", ":80", ":22", ":8080", ":8081", ":3128", ":7890", ":1080",
        ];
        if self.is_about_modules() {
            return true;
        }
        let sockets = &self.client.sockets;
        let service = sockets
            .iter()
            .any(|(_, socket)| !PORTS.iter().any(|port| socket.address.ends_with(port)));
        let program = service
            || self.client.lower().any(is_program_output)
            || self.client.lower().any(is_told_by_a_program)
            || self.asks_another_service()
            || self.seeks_another_name();
        !program && (self.log.fragment || self.client.has("proxyconnect"))
    }

    /// Whether all requests are to hosts that have to do with Go in no way: a program that is written in Go, and says so
    /// in the same words.
    fn asks_another_service(&self) -> bool {
        let requested =
            self.client
                .has_any(&["get \"http", "head \"http", "post \"http", "put \"http"]);
        let urls = &self.client.urls;
        !urls.is_empty()
            && urls.iter().all(|(_, url)| {
                let path = url.text.splitn(4, '/').nth(3).unwrap_or_default();
                url.purpose == Purpose::Other
                    && (!path.is_empty() || requested)
                    && !url::is_chain_host(&url.host)
                    && !names_a_module_service(&url.text)
            })
    }

    /// Whether all names that were looked up are ones that nothing connects with modules: any program's, such as that of
    /// a database.
    fn seeks_another_name(&self) -> bool {
        let mut names = self
            .client
            .lookups
            .iter()
            .filter(|(_, lookup)| !lookup.of_proxy)
            .peekable();
        names.peek().is_some()
            && !self.log.go
            && names.all(|(_, lookup)| !names_a_module_service(&lookup.host))
    }

    /// Whether the block is another tool's.
    pub(crate) fn is_foreign(&self) -> bool {
        const TOOLS: &[&str] = &[
            "npm err!",
            "npm error",
            "npm warn",
            "yarn ",
            "pnpm",
            "pip ",
            "pip._vendor",
            "pypi",
            "maven",
            "gradle",
            "[error] failed to execute goal",
            "could not transfer artifact",
            "cargo",
            "crates.io",
            "gem ",
            "bundler",
            "composer",
            "e: failed to fetch",
            "w: failed to fetch",
            "e: unable to",
            "e: could not",
            "err:",
            "error response from daemon",
            "helm ",
            "kubectl",
            "terraform",
            "docker: ",
            "conda",
            "nuget",
            "dotnet",
            "at java.",
            "javax.",
            "node_modules",
            "econnrefused",
            "etimedout",
            "enotfound",
            "getaddrinfo ",
            "urllib3",
            "requests.exceptions",
            "traceback",
            "python",
            "ruby",
            "gem::",
            "faraday",
            "guzzle",
            "cmake",
            "conanfile",
            "vcpkg",
            "swift package",
            "xcodebuild",
            "cocoapods",
            "[!] ",
            "curl error",
            "could not get lock",
            "dpkg",
            "brew ",
            "homebrew",
            "sbt",
            "resolving dependencies of",
            "stack.yaml",
            "cabal",
            "org.springframework",
            "android",
            "failed to pull image",
            "failed to resolve source metadata",
            "pull access denied",
            "unable to locate package",
            "debconf",
            "no matching distribution",
            "unable to connect to the server",
            "jdbc",
        ];
        let registry = self
            .client
            .urls
            .iter()
            .any(|(_, url)| url::is_other_registry(&url.host))
            || self
                .client
                .lookups
                .iter()
                .any(|(_, lookup)| url::is_other_registry(&lookup.host));
        let tool = self.client.has_any(TOOLS);
        let own = self.speaks_go() && !registry;
        (registry || tool) && !own
    }

    fn speaks_go(&self) -> bool {
        const STARTS: &[&str] = &[
            "go: ",
            "go get",
            "go mod",
            "go list",
            "go install",
            "go build",
            "go run",
            "go test",
            "go vet",
            "package ",
        ];
        const INSIDE: &[&str] = &[
            " go: ",
            "unrecognized import path",
            "git ls-remote",
            "goproxy",
            "gosumdb",
            "/@v/",
            "go-get=1",
            "/@latest",
            "go.mod",
            "go.sum",
            "module lookup",
            "cannot find module",
            "gopls",
            "pkg/mod",
            "go mod ",
            "go get ",
            "verifying module",
            "go install ",
            "go list ",
            "module source tree",
            "go: downloading",
        ];
        self.client
            .lower()
            .any(|text| STARTS.iter().any(|start| text.starts_with(start)))
            || self.client.has_any(INSIDE)
    }

    fn names_chain_host(&self) -> bool {
        let urls = self.client.urls.iter().map(|(_, url)| url.host.as_str());
        let lookups = self
            .client
            .lookups
            .iter()
            .map(|(_, lookup)| lookup.host.as_str());
        // A program's own stack and log lines name the packages that it is built from.
        let program = self.client.lower().any(is_program_output);
        urls.chain(lookups).any(url::is_chain_host)
            || (!program || self.client.has("@v"))
                && [
                    "proxy.golang.org",
                    "sum.golang.org",
                    "goproxy.",
                    "github.com",
                    "gitlab.com",
                    "golang.org",
                ]
                .iter()
                .any(|host| self.client.has(host))
    }

    fn is_git(&self) -> bool {
        self.client.lower().any(|text| {
            let text = text.trim_start();
            text.starts_with("fatal: ")
                || text.starts_with("ssh: ")
                || text.starts_with("git@")
                || text.starts_with("remote: ")
        }) || self.client.has_any(&[
            "unable to access '",
            "remote repository",
            "git fetch",
            "git clone",
            "host key verification failed",
        ])
    }
}

/// Whether a host name or URL has a word in it that module proxies, mirrors and code hosts are called by.
fn names_a_module_service(text: &str) -> bool {
    const WORDS: &[&str] = &["go", "vcs", "scm", "sumdb", "modules", "mirror", "mirrors"];
    const STARTS: &[&str] = &[
        "goproxy",
        "gomod",
        "golang",
        "gosum",
        "git",
        "proxy",
        "nexus",
        "artifactory",
        "jfrog",
        "athens",
        "modkeep",
        "bitbucket",
    ];
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| WORDS.contains(&word) || STARTS.iter().any(|start| word.starts_with(start)))
}

/// Whether other words than those of go lead to the network error of a line: `error dialing backend: dial tcp …`. What go
/// and its HTTP client put before it is the module, the request, or nothing.
fn is_told_by_a_program(lower: &str) -> bool {
    const ERRORS: &[&str] = &["dial tcp", "dial udp", "lookup ", "read tcp", "write tcp"];
    /// Words that people and loggers put before whatever went wrong.
    const NEUTRAL: &[&str] = &[
        "error", "errors", "err", "e", "fatal", "failed", "failure", "warning", "warn", "cause",
        "caused", "by", "message", "msg", "stderr", "output", "log", "get", "head", "exit",
        "status", "code", "build", "command", "run", "because", "reason", "details",
    ];
    const OURS: &[&str] = &[
        "module",
        "modules",
        "mod",
        "dependency",
        "dependencies",
        "import",
        "toolchain",
        "proxyconnect",
    ];
    let Some(at) = ERRORS.iter().filter_map(|error| lower.find(error)).min() else {
        return false;
    };
    let before = lower.get(..at).unwrap_or_default();
    // The request is judged by its URL.
    let before = ["get \"http", "head \"http", "get http", "head http"]
        .iter()
        .find_map(|request| before.split_once(request).map(|(before, _)| before))
        .unwrap_or(before);
    if before.contains("socks connect") {
        return false;
    }
    let words = || {
        before
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic()))
    };
    words().any(|word| !NEUTRAL.contains(&word)) && !words().any(|word| OURS.contains(&word))
}

/// Lines that a compiled program, a test or the compiler prints: `x_test.go:12: …`, `panic: …`, a log line.
fn is_program_output(lower: &str) -> bool {
    const WORDS: &[&str] = &[
        "panic:",
        "tls handshake error from",
        "--- fail",
        "_test.go:",
        "goroutine ",
        "level=",
        "\"level\":",
        "redis",
        "postgres",
        "mysql",
        "mongo",
        "kafka",
        "rabbit",
        "grpc",
    ];
    let source_line = lower
        .match_indices(".go:")
        .any(|(at, _)| lower.as_bytes().get(at + 4).is_some_and(u8::is_ascii_digit));
    source_line || WORDS.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use crate::explain::{Options, explain};

    fn is_recognised(text: &str) -> bool {
        explain(text, &Options::default()).recognised
    }

    #[test]
    fn network_errors_of_downloads_are_taken_for_downloads() {
        for text in [
            "dial tcp: lookup proxy.golang.org on 10.1.1.1:53: no such host",
            "dial tcp: lookup goproxy.corp.example: no such host",
            "dial tcp: lookup git.corp.example on 10.1.1.1:53: server misbehaving",
            "Error: dial tcp: lookup gitlab.example.net: no such host",
            "dial tcp 192.0.2.7:443: i/o timeout",
            "错误: dial tcp 192.0.2.7:443: connect: connection refused",
            "Get \"https://nexus.corp.example/repository/go/x/y/@v/list\": dial tcp 192.0.2.7:443: i/o timeout",
            "failed to fetch module: dial tcp 192.0.2.7:443: i/o timeout",
            "$ go mod tidy\ndial tcp: lookup code.example.net: no such host",
            "main.go:4:2: github.com/acme/lib@v1.0.0: dial tcp 192.0.2.7:443: i/o timeout",
        ] {
            assert!(is_recognised(text), "{text}");
        }
    }

    #[test]
    fn network_errors_of_other_programs_are_not() {
        for text in [
            "dial tcp: lookup db.internal: no such host",
            "dial tcp: lookup orders-queue on 127.0.0.11:53: no such host",
            "could not open the store: dial tcp: lookup cache-1.prod on 10.1.1.1:53: server misbehaving",
            "error dialing backend: dial tcp 192.0.2.7:443: connect: connection refused",
            "session 7 ended: read tcp 10.0.0.2:4000->192.0.2.7:443: read: connection reset by peer",
            "Couldn't reach the origin dial tcp [2001:db8::7]:443: connect: network is unreachable",
            "Get \"https://whoami.example.net\": dial tcp 192.0.2.7:443: i/o timeout",
            "Get \"https://mongo.example.net/health\": dial tcp 192.0.2.7:443: i/o timeout",
            "Error from server: dial tcp: lookup worker-3 on 10.1.1.1:53: no such host",
            "2024/05/06 07:08:09 github.com/acme/app/store.go:41: dial tcp: lookup db.internal: no such host",
        ] {
            assert!(!is_recognised(text), "{text}");
        }
    }
}
