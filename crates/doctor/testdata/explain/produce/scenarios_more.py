"""The second half of the scenarios: checksum database, version control, modules, projects, toolchains, disks."""

import os

from rig import HOME, HOSTS, sh
from scenarios import GET, each, lib, plain, scenario

MISSING_SUMS = {"GOFLAGS": "-modcacherw"}


def proxied(rig, **more):
    """A working module proxy with github.com/acme/lib; the checksum database is up to the scenario."""
    lib(rig, **more)
    rig.dns()
    rig.serve("proxy.golang.org")
    rig.web["proxy.golang.org"] = rig.goproxy()


def answering_sumdb(rig, status, body="", path="github.com/acme/lib"):
    proxied(rig, path=path)
    rig.serve("sum.golang.org")
    rig.web["sum.golang.org"] = lambda request: (status, body)


# -- checksum database ---------------------------------------------------------------------------------------------------
@each("sumdb-unreachable", "timeout", ["1.21", "1.26"])
def _(rig):
    proxied(rig)
    return rig.run(GET)


@scenario("sumdb-unreachable", "refused", "1.24")
def _(rig):
    proxied(rig)
    rig.address(HOSTS["sum.golang.org"])
    return rig.run("go mod tidy")


@scenario("sumdb-unreachable", "no-such-host", "1.25")
def _(rig):
    proxied(rig)
    rig.names.pop("sum.golang.org")
    return rig.run("go get github.com/acme/lib@v1.2.0")


@each("sumdb-private-leak", "no-prompts", ["1.21", "1.26"])
def _(rig):
    answering_sumdb(rig, 404, "not found: git.corp.example.com/team/lib@v1.2.0: invalid version: git ls-remote -q --end-of-options origin in /tmp/gopath/pkg/mod/cache/vcs/"
                    "7c0f8f1b: exit status 128:\n\tfatal: could not read Username for 'https://git.corp.example.com': terminal prompts disabled\n"
                    "Confirm the import path was entered correctly.\nIf this is a private repository, see https://golang.org/doc/faq#git_https for additional information.",
                    "git.corp.example.com/team/lib")
    return rig.run(GET)


@scenario("sumdb-private-leak", "forge", "1.24")
def _(rig):
    answering_sumdb(rig, 404, "not found: github.com/acme/billing@v1.2.0: invalid version: git ls-remote -q origin in /tmp/gopath/pkg/mod/cache/vcs/03ab: exit status 128:\n"
                    "\tremote: Repository not found.\n\tfatal: Authentication failed for 'https://github.com/acme/billing/'", "github.com/acme/billing")
    return rig.run(GET)


@scenario("sumdb-private-leak", "gone", "1.19")
def _(rig):
    answering_sumdb(rig, 410, "", "gitlab.internal/platform/lib")
    return rig.run("go mod tidy")


@each("sumdb-404", "unknown-revision", ["1.22", "1.26"])
def _(rig):
    answering_sumdb(rig, 404, "not found: github.com/acme/lib@v1.2.0: invalid version: unknown revision v1.2.0")
    return rig.run(GET)


@scenario("sumdb-404", "bare", "1.25")
def _(rig):
    answering_sumdb(rig, 404)
    return rig.run("go get github.com/acme/lib@v1.2.0")


@each("sumdb-upstream-fetch", "timed-out", ["1.23", "1.26"])
def _(rig):
    answering_sumdb(rig, 404, "not found: github.com/acme/lib@v1.2.0: invalid version: git fetch -f origin refs/heads/*:refs/heads/* refs/tags/*:refs/tags/* in /tmp/gopath/pkg/mod/"
                    "cache/vcs/9e41: exit status 128:\n\terror: RPC failed; curl 18 transfer closed with outstanding read data remaining\n\tfatal: early EOF")
    return rig.run(GET)


@scenario("sumdb-upstream-fetch", "fetch", "1.24")
def _(rig):
    answering_sumdb(rig, 404, "not found: fetch timed out")
    return rig.run("go mod tidy")


@each("sumdb-5xx", "status-500", ["1.21", "1.27"])
def _(rig):
    answering_sumdb(rig, 500, "Internal Server Error")
    return rig.run(GET)


@scenario("sumdb-5xx", "relay", "1.25")
def _(rig):
    proxied(rig)
    correct = rig.goproxy()
    rig.web["proxy.golang.org"] = lambda request: ((200, "") if request["path"].endswith("/supported") else (502, "bad gateway")) if "/sumdb/" in request["path"] else correct(request)
    return rig.run(GET)


@each("sumdb-proxy-unsupported", "status-400", ["1.22", "1.26"])
def _(rig):
    proxied(rig)
    correct = rig.goproxy()
    rig.web["proxy.golang.org"] = lambda request: (400, "unsupported") if "/sumdb/" in request["path"] else correct(request)
    return rig.run(GET)


@scenario("sumdb-proxy-unsupported", "status-500", "1.24")
def _(rig):
    lib(rig)
    rig.dns()
    rig.serve("goproxy.corp.example.com")
    correct = rig.goproxy()
    rig.web["goproxy.corp.example.com"] = lambda request: (500, "no route") if "/sumdb/" in request["path"] else correct(request)
    return rig.run("go get github.com/acme/lib@v1.2.0", {"GOPROXY": "https://goproxy.corp.example.com/api/go"})


@scenario("sumdb-proxy-unsupported", "page", "1.26")
def _(rig):
    proxied(rig)
    correct = rig.goproxy()
    rig.web["proxy.golang.org"] = lambda request: (200, "<html>index</html>") if "/sumdb/" in request["path"] else correct(request)
    return rig.run(GET)


@scenario("vcs-insecure-http", "no-secure-protocol", "1.26")
def _(rig):
    lib(rig, "git.corp.example.com/team/lib.git")
    rig.dns()
    rig.address(HOSTS["git.corp.example.com"])
    return rig.run(GET, {"GOPRIVATE": "git.corp.example.com"})


WRONG = "h1:qnu4F9xvXQbSTrTTBBIhGIlJSCy1tpmZkLTp/LrHo2Q="


def mismatch(rig):
    proxied(rig)
    record = f"github.com/acme/lib v1.2.0 {WRONG}\ngithub.com/acme/lib v1.2.0/go.mod {WRONG}\n"
    verifier, answer = rig.sumdb({"github.com/acme/lib@v1.2.0": record})
    rig.serve("sum.golang.org")
    rig.web["sum.golang.org"] = answer
    return verifier


@each("sumdb-mismatch", "download", ["1.21", "1.26"])
def _(rig):
    return rig.run(GET, {"GOSUMDB": mismatch(rig)})


@scenario("sumdb-mismatch", "tidy", "1.24")
def _(rig):
    return rig.run("go mod tidy", {"GOSUMDB": mismatch(rig)})


@each("gosum-mismatch", "zip", ["1.19", "1.26"])
def _(rig):
    proxied(rig)
    rig.project(extra={"go.sum": f"github.com/acme/lib v1.2.0 {WRONG}\ngithub.com/acme/lib v1.2.0/go.mod {WRONG}\n"})
    rig.project("require github.com/acme/lib v1.2.0", "package main\n\nimport \"github.com/acme/lib\"\n\nfunc main() { lib.F() }\n")
    return rig.run(GET, {"GONOSUMDB": "*"})


@scenario("gosum-mismatch", "build", "1.23")
def _(rig):
    proxied(rig)
    rig.run(GET, {"GONOSUMDB": "*"})
    sums = open(f"{HOME}/app/go.sum").read().splitlines()
    rig.project("require github.com/acme/lib v1.2.0", extra={"go.sum": f"github.com/acme/lib v1.2.0 {WRONG}\n{sums[1]}\n" if len(sums) > 1 else f"github.com/acme/lib v1.2.0 {WRONG}\n"})
    sh(f"rm -rf {HOME}/go")
    return rig.run("go build ./...", {"GONOSUMDB": "*"})


@scenario("mod-retagged", "direct", "1.26")
def _(rig):
    lib(rig)
    rig.dns()
    rig.serve("github.com", "sum.golang.org")
    rig.repository("acme/lib", ["v1.2.0"])
    rig.web["github.com"] = rig.git_http
    record = f"github.com/acme/lib v1.2.0 {WRONG}\ngithub.com/acme/lib v1.2.0/go.mod {WRONG}\n"
    verifier, answer = rig.sumdb({"github.com/acme/lib@v1.2.0": record})
    rig.web["sum.golang.org"] = answer
    return rig.run("GOPROXY=direct go mod download", {"GOSUMDB": verifier}, show=True)


# -- version control -----------------------------------------------------------------------------------------------------
@each("vcs-git-missing", "path", ["1.19", "1.26"])
def _(rig):
    plain(rig)
    sh("mkdir -p /home/bin; ln -s /bin/bash /bin/env /home/bin/")
    return rig.run(GET, {"GOPROXY": "direct", "GONOSUMDB": "*", "PATH": "/usr/local/go/bin:/home/bin"})


@scenario("vcs-git-missing", "shell", tool="sh, go")
def _(rig):
    plain(rig)
    sh("mkdir -p /home/bin; ln -s /bin/bash /home/bin/; ln -s /bin/sh /home/bin/")
    return rig.run("git --version; go get github.com/acme/lib@v1.2.0", {"GOPRIVATE": "github.com/acme", "PATH": "/usr/local/go/bin:/home/bin"})


@each("vcs-govcs-disallowed", "off", ["1.21", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("github.com")
    return rig.run(GET, {"GOPROXY": "direct", "GONOSUMDB": "*", "GOVCS": "public:off,private:all"})


@scenario("vcs-govcs-disallowed", "svn", "1.24")
def _(rig):
    lib(rig, "go.example.org/kit")
    rig.dns()
    rig.serve("go.example.org")
    rig.web["go.example.org"] = lambda request: (200, '<html><head><meta name="go-import" content="go.example.org/kit svn https://go.example.org/svn/kit"></head></html>', {"Content-Type": "text/html"})
    return rig.run(GET, {"GOPROXY": "direct", "GONOSUMDB": "*"})


@scenario("vcs-insecure-http", "refused", "1.26")
def _(rig):
    lib(rig, "git.corp.example.com/team/lib")
    rig.dns()
    rig.address(HOSTS["git.corp.example.com"])
    return rig.run(GET, {"GOPRIVATE": "git.corp.example.com"})


@scenario("vcs-insecure-http", "redirect", "1.25")
def _(rig):
    lib(rig, "git.corp.example.com/team/lib")
    rig.dns()
    rig.serve("git.corp.example.com")
    rig.web["git.corp.example.com"] = lambda request: (302, "", {"Location": "http://git.corp.example.com/team/lib?go-get=1"})
    return rig.run(GET, {"GOPRIVATE": "git.corp.example.com"})


@scenario("vcs-insecure-http", "flag", "1.22")
def _(rig):
    plain(rig)
    return rig.run("go get -insecure git.corp.example.com/team/lib")


@scenario("vcs-ssh-blocked", "timeout", tool="git over ssh")
def _(rig):
    plain(rig)
    sh("sysctl -w net.ipv4.tcp_syn_retries=2")
    return rig.run("git ls-remote git@github.com:acme/lib.git")


@scenario("vcs-ssh-blocked", "go-direct", "1.26")
def _(rig):
    plain(rig)
    sh("sysctl -w net.ipv4.tcp_syn_retries=2")
    sh(f"git config --file {HOME}/.gitconfig url.ssh://git@github.com/.insteadOf https://github.com/")
    return rig.run(GET, {"GOPRIVATE": "github.com/acme"})


@scenario("vcs-ssh-blocked", "kex-reset", tool="git over ssh")
def _(rig):
    plain(rig)
    rig.serve("github.com", port=22, tls=False)
    rig.web["github.com"] = "close-on-accept"
    return rig.run("git ls-remote git@github.com:acme/lib.git")


def broken_clone(rig):
    plain(rig)
    rig.serve("github.com")
    noise = {f"data{n}.bin": os.urandom(60000) for n in range(4)}
    rig.repository("acme/lib", ["v1.2.0"], noise)
    rig.web["github.com"] = lambda request: rig.git_http(request, cut=30000)


@scenario("git-transfer-broken", "clone", tool="git")
def _(rig):
    broken_clone(rig)
    return rig.run("git clone https://github.com/acme/lib")


@each("git-transfer-broken", "direct", ["1.22", "1.26"])
def _(rig):
    broken_clone(rig)
    return rig.run(GET, {"GOPROXY": "direct", "GONOSUMDB": "*"})


@scenario("git-transfer-broken", "chinese", tool="git, Chinese locale")
def _(rig):
    broken_clone(rig)
    return rig.run("git clone https://github.com/acme/lib", {"LANG": "zh_CN.UTF-8", "LC_ALL": "zh_CN.UTF-8", "LANGUAGE": "zh_CN"})


@each("vcs-dubious-ownership", "build", ["1.22", "1.26"])
def _(rig):
    rig.project(main="package main\n\nfunc main() {}\n")
    sh(f"cd {HOME}/app && git init -q && git add -A && git -c user.name=d -c user.email=d@example.com commit -q -m one; chown -R nobody {HOME}/app")
    return rig.run("go build -buildvcs=true ./...; git status --short")


@scenario("vcs-dubious-ownership", "git", tool="git")
def _(rig):
    rig.project()
    sh(f"cd {HOME}/app && git init -q; chown -R nobody {HOME}/app")
    return rig.run("git describe --tags")


# -- authorisation -------------------------------------------------------------------------------------------------------
def asks(request):
    return 401, "HTTP Basic: Access denied", {"WWW-Authenticate": 'Basic realm="GitLab"'}


def forge(rig, host="git.corp.example.com"):
    """A forge whose discovery page is public and whose repositories are not."""
    lib(rig, f"{host}/team/lib")
    rig.dns()
    rig.serve(host)
    tag = f'<meta name="go-import" content="{host}/team/lib git https://{host}/team/lib.git">'
    rig.web[host] = lambda request: (200, tag, {"Content-Type": "text/html"}) if "go-get=1" in request["path"] else asks(request)
    return {"GOPRIVATE": "*.corp.example.com"}


@each("auth-https-no-credential", "github", ["1.19", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("github.com")
    rig.web["github.com"] = asks
    return rig.run(GET, {"GOPRIVATE": "github.com/acme"})


@scenario("auth-https-no-credential", "corp-git", "1.24")
def _(rig):
    return rig.run("go mod tidy", forge(rig))


@scenario("auth-https-no-credential", "get-new", "1.27")
def _(rig):
    rig.project()
    rig.dns()
    rig.serve("github.com")
    rig.web["github.com"] = asks
    return rig.run("go get github.com/acme/secret", {"GOPROXY": "direct", "GONOSUMDB": "*"})


@each("auth-token-rejected", "helper", ["1.23", "1.26"])
def _(rig):
    env = forge(rig)
    sh(f"git config --file {HOME}/.gitconfig credential.helper '!f() {{ echo username=oauth2; echo password=expired; }}; f'")
    return rig.run(GET, env)


@scenario("auth-token-rejected", "no-password", "1.25")
def _(rig):
    plain(rig)
    rig.serve("github.com")
    rig.web["github.com"] = asks
    sh(f"git config --file {HOME}/.gitconfig url.https://token@github.com/.insteadOf https://github.com/")
    return rig.run(GET, {"GOPRIVATE": "github.com/acme"})


@scenario("auth-token-rejected", "forbidden", tool="git")
def _(rig):
    plain(rig)
    rig.serve("github.com")
    rig.web["github.com"] = lambda request: (403, "forbidden")
    return rig.run("git ls-remote https://x-access-token:t0ken0000@github.com/acme/lib")


def shell_answer(rig, text, host="github.com"):
    """An ssh server that accepts the key and says this, as forges do."""
    plain(rig)
    kind, key = rig.ssh_server(host, options=f"ForceCommand printf '{text}' >&2; exit 1")
    os.makedirs(f"{HOME}/.ssh", exist_ok=True)
    sh(f"ssh-keygen -q -t ed25519 -N '' -f {HOME}/.ssh/id_ed25519; cp {HOME}/.ssh/id_ed25519.pub {rig.work}/sshd/authorized; chmod 600 {rig.work}/sshd/authorized")
    with open(f"{HOME}/.ssh/known_hosts", "w") as out:
        out.write(f"{host},{HOSTS[host]} {kind} {key}\n")
    sh(f"git config --file {HOME}/.gitconfig url.ssh://git@{host}/.insteadOf https://{host}/")
    return {"GIT_SSH_COMMAND": f"ssh -F /dev/null -o StrictHostKeyChecking=yes -o UserKnownHostsFile={HOME}/.ssh/known_hosts -i {HOME}/.ssh/id_ed25519 -l root", "GOPRIVATE": f"{host}/acme"}


@each("auth-repo-not-found", "ssh", ["1.22", "1.26"])
def _(rig):
    return rig.run(GET, shell_answer(rig, "ERROR: Repository not found.\\n"))


@scenario("auth-repo-not-found", "gitlab", tool="git over ssh")
def _(rig):
    text = "remote: \\nremote: ========================================================================\\nremote: \\nremote: ERROR: The project you were looking for could not be found or you do not have permission to view it.\\nremote: \\n"
    env = shell_answer(rig, text, "gitlab.com")
    return rig.run("git ls-remote git@gitlab.com:acme/lib.git", {**env, "GIT_SSH_COMMAND": env["GIT_SSH_COMMAND"].replace("git@", "")}).replace("root@", "git@")


@each("auth-ssh-publickey", "no-key", ["1.21", "1.26"])
def _(rig):
    env = shell_answer(rig, "")
    sh(f"rm -f {rig.work}/sshd/authorized")
    return rig.run(GET, {**env, "GIT_SSH_COMMAND": env["GIT_SSH_COMMAND"].replace("-l root", "-l git")}).replace("git@github.com: Permission denied", "git@github.com: Permission denied")


@scenario("auth-ssh-publickey", "git", tool="git over ssh")
def _(rig):
    env = shell_answer(rig, "")
    sh(f"rm -f {rig.work}/sshd/authorized {HOME}/.ssh/id_ed25519*")
    return rig.run("git clone git@github.com:acme/lib.git", {"GIT_SSH_COMMAND": env["GIT_SSH_COMMAND"].replace("-l root", "")})


@each("auth-ssh-hostkey", "unknown", ["1.22", "1.26"])
def _(rig):
    env = shell_answer(rig, "")
    sh(f": > {HOME}/.ssh/known_hosts")
    return rig.run(GET, env)


@scenario("auth-ssh-hostkey", "changed", tool="git over ssh")
def _(rig):
    env = shell_answer(rig, "")
    sh(f"ssh-keygen -q -t ed25519 -N '' -f {rig.work}/other; printf 'github.com,{HOSTS['github.com']} ' > {HOME}/.ssh/known_hosts; cut -d' ' -f1,2 {rig.work}/other.pub >> {HOME}/.ssh/known_hosts")
    return rig.run("git ls-remote git@github.com:acme/lib.git", {"GIT_SSH_COMMAND": env["GIT_SSH_COMMAND"].replace("-l root", "")})


# -- modules -------------------------------------------------------------------------------------------------------------
def repositories(rig, path="acme/lib", tags=("v1.0.0",), **more):
    rig.dns()
    rig.serve("github.com")
    rig.web["github.com"] = rig.git_http
    rig.repository(path, tags, **more)
    return {"GOPROXY": "direct", "GONOSUMDB": "*"}


@each("mod-unknown-revision", "direct", ["1.19", "1.26"])
def _(rig):
    env = repositories(rig)
    rig.project("require github.com/acme/lib v1.9.9")
    return rig.run(GET, env)


@scenario("mod-unknown-revision", "branch", "1.24")
def _(rig):
    env = repositories(rig)
    rig.project()
    return rig.run("go get github.com/acme/lib@develop; go get github.com/acme/lib@1.0.0", env)


@scenario("mod-unknown-revision", "proxy", "1.25")
def _(rig):
    proxied(rig)
    return rig.run("go get github.com/acme/lib@v1.9.0", {"GONOSUMDB": "*", "GOPROXY": "https://proxy.golang.org"})


@scenario("mod-unknown-revision", "pseudo", "1.22")
def _(rig):
    env = repositories(rig)
    rig.project("require github.com/acme/lib v0.0.0-20240102030405-abcdefabcdef")
    return rig.run(GET, env)


@scenario("mod-unknown-revision", "no-match", "1.27")
def _(rig):
    env = repositories(rig)
    rig.project()
    return rig.run("go get github.com/acme/lib@v3; go get 'github.com/acme/lib@>v8.0.0'", env)


@each("mod-major-suffix", "require", ["1.19", "1.26"])
def _(rig):
    rig.project("require github.com/acme/lib v2.1.0")
    return rig.run(GET)


@scenario("mod-major-suffix", "get", "1.24")
def _(rig):
    env = repositories(rig, tags=("v1.0.0", "v2.0.0"))
    rig.project()
    return rig.run("go get github.com/acme/lib@v2.0.0; go get github.com/acme/lib/v2", env)


@scenario("mod-major-suffix", "incompatible", "1.25")
def _(rig):
    env = repositories(rig, tags=("v2.0.0",))
    rig.project("require github.com/acme/lib v2.0.0+incompatible")
    return rig.run(GET, env)


@each("mod-path-mismatch", "renamed", ["1.21", "1.26"])
def _(rig):
    proxied(rig)
    rig.module("github.com/acme/old", "v1.0.0", {"old.go": "package old\n"}, "module github.com/acme/new\n\ngo 1.19\n")
    return rig.run("go get github.com/acme/old@v1.0.0", {"GONOSUMDB": "*"})


@scenario("mod-path-mismatch", "spelling", "1.24")
def _(rig):
    proxied(rig)
    rig.module("github.com/Acme/kit", "v1.0.0", {"kit.go": "package kit\n"}, "module github.com/acme/toolkit\n\ngo 1.19\n")
    rig.project("require github.com/Acme/kit v1.0.0", "package main\n\nimport _ \"github.com/Acme/kit\"\n\nfunc main() {}\n")
    return rig.run("go mod tidy", {"GONOSUMDB": "*"})


@each("mod-case-collision", "two-spellings", ["1.22", "1.26"])
def _(rig):
    proxied(rig)
    for path in ("github.com/Sirupsen/logrus", "github.com/sirupsen/logrus"):
        rig.module(path, "v1.9.0", {"logrus.go": "package logrus\n"}, f"module {path}\n")
    rig.project("require (\n github.com/Sirupsen/logrus v1.9.0\n github.com/sirupsen/logrus v1.9.0\n)",
                "package main\n\nimport _ \"github.com/Sirupsen/logrus\"\nimport _ \"github.com/sirupsen/logrus\"\n\nfunc main() {}\n")
    return rig.run("go mod download && go build ./...", {"GONOSUMDB": "*", "GOFLAGS": "-mod=mod -modcacherw"})


@each("mod-ambiguous-import", "split", ["1.19", "1.26"])
def _(rig):
    proxied(rig)
    rig.module("example.org/api", "v0.1.0", {"rpc/rpc.go": "package rpc\n", "api.go": "package api\n"})
    rig.module("example.org/api/rpc", "v0.2.0", {"rpc.go": "package rpc\n"})
    rig.project("require (\n example.org/api v0.1.0\n example.org/api/rpc v0.2.0\n)", "package main\n\nimport _ \"example.org/api/rpc\"\n\nfunc main() {}\n")
    return rig.run("go mod tidy; go build ./...", {"GONOSUMDB": "*", "GOFLAGS": "-mod=mod -modcacherw"})


@each("mod-no-package", "moved", ["1.21", "1.26"])
def _(rig):
    proxied(rig)
    rig.project("require github.com/acme/lib v1.2.0", "package main\n\nimport _ \"github.com/acme/lib/gone\"\n\nfunc main() {}\n")
    return rig.run("go mod tidy", {"GONOSUMDB": "*"})


@scenario("mod-no-package", "get", "1.24")
def _(rig):
    proxied(rig)
    return rig.run("go get github.com/acme/lib/old@v1.2.0; go install github.com/acme/lib/cmd/tool@latest", {"GONOSUMDB": "*"})


def page(rig, body, host="go.example.org", status=200):
    lib(rig, f"{host}/kit")
    rig.dns()
    rig.serve(host)
    rig.web[host] = lambda request: (status, body, {"Content-Type": "text/html"})
    return {"GOPROXY": "direct", "GONOSUMDB": "*"}


@each("mod-go-import-missing", "no-tag", ["1.19", "1.26"])
def _(rig):
    return rig.run(GET, page(rig, "<html><head><title>kit</title></head><body></body></html>"))


@scenario("mod-go-import-missing", "other-path", "1.24")
def _(rig):
    return rig.run("go mod tidy", page(rig, '<meta name="go-import" content="go.example.org/other git https://github.com/acme/other">'))


@scenario("mod-go-import-missing", "status", "1.25")
def _(rig):
    return rig.run(GET, page(rig, "nothing here", status=404))


@each("mod-import-host-gone", "direct", ["1.21", "1.26"])
def _(rig):
    lib(rig, "go.lapsed-domain.example/kit")
    rig.dns()
    return rig.run(GET, {"GOPROXY": "direct", "GONOSUMDB": "*"})


@scenario("mod-import-host-gone", "generated", "1.24")
def _(rig):
    rig.project(main="package main\n\nimport _ \"git.corp.example.net/gen/api\"\n\nfunc main() {}\n")
    rig.dns()
    return rig.run("go mod tidy", {"GOPRIVATE": "git.corp.example.net"})


@scenario("mod-repo-gone", "git-404", tool="git")
def _(rig):
    plain(rig)
    rig.serve("git.corp.example.com")
    rig.web["git.corp.example.com"] = rig.git_http
    return rig.run("git ls-remote https://git.corp.example.com/team/removed")


@each("mod-repo-gone", "direct", ["1.22", "1.26"])
def _(rig):
    env = repositories(rig)
    rig.project("require github.com/acme/removed v1.0.0")
    return rig.run(GET, env)


@each("mod-retracted", "get", ["1.21", "1.26"])
def _(rig):
    proxied(rig)
    rig.module("github.com/acme/lib", "v1.3.0", {"lib.go": "package lib\n\nfunc F() {}\n"}, "module github.com/acme/lib\n\ngo 1.19\n\nretract v1.2.0 // wrong results\n")
    return rig.run("go get github.com/acme/lib@v1.2.0", {"GONOSUMDB": "*"})


@each("mod-zip-too-large", "gomod", ["1.22", "1.26"])
def _(rig):
    env = repositories(rig, mod="module github.com/acme/lib\n\ngo 1.19\n" + "// filler comment line\n" * 800000)
    rig.project("require github.com/acme/lib v1.0.0")
    return rig.run(GET, env)


@each("mod-zip-bad-file", "characters", ["1.19", "1.26"])
def _(rig):
    env = repositories(rig, files={"docs/what:ever?.txt": "x"})
    rig.project("require github.com/acme/lib v1.0.0")
    return rig.run(GET, env)


@scenario("mod-zip-bad-file", "case", "1.24")
def _(rig):
    env = repositories(rig, files={"README.md": "x", "readme.md": "y"})
    rig.project("require github.com/acme/lib v1.0.0")
    return rig.run(GET, env)


# -- project -------------------------------------------------------------------------------------------------------------
@each("gosum-missing", "build", ["1.19", "1.23", "1.26"])
def _(rig):
    proxied(rig)
    return rig.run("go build ./...; go vet ./...", {"GONOSUMDB": "*"})


@scenario("gosum-missing", "list", "1.25")
def _(rig):
    proxied(rig)
    rig.module("github.com/acme/base", "v1.0.0", {"base.go": "package base\n"})
    rig.module("github.com/acme/lib", "v1.2.1", {"lib.go": "package lib\n\nimport _ \"github.com/acme/base\"\n\nfunc F() {}\n"}, "module github.com/acme/lib\n\ngo 1.19\n\nrequire github.com/acme/base v1.0.0\n")
    rig.project("require github.com/acme/lib v1.2.1")
    return rig.run("go mod download github.com/acme/lib; go list -deps ./... | tail -3; go mod verify; go run .", {"GONOSUMDB": "*"})


@each("proj-gosum-malformed", "conflict", ["1.22", "1.26"])
def _(rig):
    proxied(rig)
    rig.project(extra={"go.sum": "<<<<<<< HEAD\ngithub.com/acme/lib v1.2.0 h1:x=\n=======\n>>>>>>> main\n"})
    rig.project("require github.com/acme/lib v1.2.0", "package main\n\nimport _ \"github.com/acme/lib\"\n\nfunc main() {}\n")
    return rig.run("go build ./...")


for name, text in {"four-numbers": "require github.com/acme/lib v1.2.3.4", "no-version": "require github.com/acme/lib",
                   "directive": "requires github.com/acme/lib v1.2.0", "symbols": "require github.com/acme/lib v1.2.0 $x",
                   "bad-path": "require github.com/acme/li{b v1.2.0"}.items():
    def one(rig, text=text):
        proxied(rig)
        rig.project(text, "package main\n\nfunc main() {}\n")
        return rig.run("go build ./...; go mod tidy", {"GONOSUMDB": "*", "GOPROXY": "https://proxy.golang.org"})
    scenario("proj-gomod-syntax", name, {"directive": "1.19", "symbols": "1.23"}.get(name, "1.26"))(one)


@scenario("proj-gomod-syntax", "work", "1.24")
def _(rig):
    rig.project(extra={"go.work": "go 1.24\n\nuse (\n./app\n../lib extra\n)\n"})
    return rig.run("go list -m")


@scenario("proj-go-directive-format", "patch", "1.19")
def _(rig):
    rig.project(go="1.21.0", main="package main\n\nfunc main() {}\n")
    return rig.run("go build ./...")


@scenario("proj-go-directive-format", "toolchain-line", "1.19")
def _(rig):
    rig.project("toolchain go1.22.3\n\ntool golang.org/x/tools/cmd/stringer", go="1.22.0")
    return rig.run("go mod tidy")


@scenario("proj-go-directive-format", "toolchain-only", "1.19")
def _(rig):
    rig.project("toolchain go1.22.3", go="1.20")
    return rig.run("go mod download")


@each("proj-updates-needed", "readonly", ["1.21", "1.26"])
def _(rig):
    proxied(rig)
    rig.project("require github.com/acme/lib v1.2.0\n\nrequire github.com/acme/lib v1.1.0", "package main\n\nimport _ \"github.com/acme/other\"\n\nfunc main() {}\n")
    return rig.run("go list -mod=readonly -m all; go build ./...", {"GONOSUMDB": "*"})


@scenario("proj-updates-needed", "not-required", "1.25")
def _(rig):
    rig.project(main="package main\n\nimport _ \"github.com/acme/lib\"\n\nfunc main() {}\n")
    return rig.run("go build ./...")


@each("proj-no-gomod", "build", ["1.19", "1.26"])
def _(rig):
    sh(f"rm -f {HOME}/app/go.mod")
    return rig.run("go mod tidy; go get github.com/acme/lib; go build")


@scenario("proj-no-gomod", "list", "1.23")
def _(rig):
    sh(f"rm -f {HOME}/app/go.mod")
    return rig.run("go list -m all; go test ./...")


@each("proj-replace-missing-dir", "build", ["1.21", "1.26"])
def _(rig):
    rig.project("require github.com/acme/lib v1.2.0\n\nreplace github.com/acme/lib => ../lib", "package main\n\nimport _ \"github.com/acme/lib\"\n\nfunc main() {}\n")
    return rig.run("go mod download; go build ./...")


@scenario("proj-replace-missing-dir", "work", "1.24")
def _(rig):
    rig.project(extra={"go.work": "go 1.24\n\nuse (\n\t.\n\t../shared\n)\n"})
    return rig.run("go build ./...")


@each("vendor-inconsistent", "modules-txt", ["1.19", "1.26"])
def _(rig):
    lib(rig)
    rig.project("require github.com/acme/lib v1.2.0", "package main\n\nimport _ \"github.com/acme/lib\"\n\nfunc main() {}\n",
                extra={"vendor/modules.txt": "# github.com/acme/lib v1.1.0\n## explicit\ngithub.com/acme/lib\n", "vendor/github.com/acme/lib/lib.go": "package lib\n"})
    return rig.run("go build ./...")


@scenario("vendor-inconsistent", "missing-package", "1.24")
def _(rig):
    lib(rig)
    rig.project("require github.com/acme/lib v1.2.0", "package main\n\nimport _ \"github.com/acme/lib/sub\"\n\nfunc main() {}\n",
                extra={"vendor/modules.txt": "# github.com/acme/lib v1.2.0\n## explicit; go 1.19\ngithub.com/acme/lib\n", "vendor/github.com/acme/lib/lib.go": "package lib\n"})
    return rig.run("go build ./...")


@each("proj-internal-package", "import", ["1.22", "1.26"])
def _(rig):
    proxied(rig)
    rig.module("github.com/acme/lib", "v1.4.0", {"lib.go": "package lib\n\nfunc F() {}\n", "internal/core/core.go": "package core\n"})
    rig.project("require github.com/acme/lib v1.4.0", "package main\n\nimport _ \"github.com/acme/lib/internal/core\"\n\nfunc main() {}\n")
    return rig.run("go mod tidy && go build ./...", {"GONOSUMDB": "*", "GOFLAGS": "-modcacherw"})


# -- toolchain -----------------------------------------------------------------------------------------------------------
@each("toolchain-not-available", "language-version", ["1.21", "1.22"])
def _(rig):
    rig.project(go="1.24", main="package main\n\nfunc main() {}\n")
    rig.dns()
    rig.serve("proxy.golang.org")
    rig.web["proxy.golang.org"] = lambda request: (404, "not found")
    return rig.run("go build ./...", {"GOTOOLCHAIN": "auto"})


@scenario("toolchain-not-available", "path", "1.24")
def _(rig):
    rig.project()
    return rig.run("go version", {"GOTOOLCHAIN": "go1.99.0+path"})


@scenario("toolchain-not-available", "invalid", "1.26")
def _(rig):
    rig.project()
    rig.dns()
    rig.serve("proxy.golang.org")
    rig.web["proxy.golang.org"] = lambda request: (404, "not found")
    return rig.run("go version", {"GOTOOLCHAIN": "go1.99.9"})


@each("toolchain-go-too-old", "gomod", ["1.21", "1.26"])
def _(rig):
    rig.project(go="1.42.0", main="package main\n\nfunc main() {}\n")
    return rig.run("go build ./...; go mod tidy")


@scenario("toolchain-go-too-old", "dependency", "1.23")
def _(rig):
    proxied(rig)
    rig.module("github.com/acme/lib", "v1.5.0", {"lib.go": "package lib\n"}, "module github.com/acme/lib\n\ngo 1.25.0\n")
    return rig.run("go get github.com/acme/lib@v1.5.0; go install github.com/acme/lib@v1.5.0", {"GONOSUMDB": "*"})


@scenario("toolchain-go-too-old", "note", "1.19")
def _(rig):
    rig.project(go="1.20", main="package main\n\nimport \"errors\"\n\nfunc main() { errors.Join() }\n")
    return rig.run("go build ./...")


@each("proj-std-missing", "new-package", ["1.19", "1.22"])
def _(rig):
    rig.project(main="package main\n\nimport (\n\t_ \"iter\"\n\t_ \"unique\"\n)\n\nfunc main() {}\n")
    return rig.run("go build ./...")


@scenario("proj-std-missing", "local-path", "1.26")
def _(rig):
    rig.project(main="package main\n\nimport _ \"app/internal/config\"\n\nfunc main() {}\n")
    return rig.run("go build ./...; go mod tidy")


# -- disk ----------------------------------------------------------------------------------------------------------------
def small(where, size="60k"):
    sh(f"mkdir -p {where}; mount -t tmpfs -o size={size} tmpfs {where}")


@each("disk-full", "modcache", ["1.22", "1.26"])
def _(rig):
    proxied(rig)
    rig.module("github.com/acme/lib", "v1.2.0", {"lib.go": "package lib\n", "data.bin": os.urandom(200000).hex()})
    small(f"{HOME}/go", "100k")
    return rig.run(GET, {"GONOSUMDB": "*"})


@scenario("disk-full", "tmp", "1.24")
def _(rig):
    rig.project(main="package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println() }\n")
    small("/home/tmp", "1M")
    return rig.run("go build -o app .", {"GOTMPDIR": "/home/tmp"})


@each("disk-permission", "modcache", ["1.19", "1.26"])
def _(rig):
    proxied(rig)
    sh(f"mkdir -p {HOME}/go; chmod 755 {HOME} {HOME}/go {HOME}/app; chmod 700 {HOME}/go")
    return rig.run(GET, {"GONOSUMDB": "*", "GOCACHE": "/home/cache"}, user="nobody")


@scenario("disk-permission", "gocache", "1.24")
def _(rig):
    rig.project(main="package main\n\nfunc main() {}\n")
    sh(f"mkdir -p {HOME}/.cache; chmod 755 {HOME} {HOME}/.cache")
    return rig.run("go build ./...", user="nobody")


@scenario("disk-permission", "goroot-gopath", "1.22")
def _(rig):
    proxied(rig)
    return rig.run("go get github.com/acme/lib@v1.2.0; mkdir /usr/local/go/cache", {"GONOSUMDB": "*", "GOMODCACHE": "/usr/share/gomod", "GOCACHE": "/tmp/cache-of-nobody"}, user="nobody")


@each("disk-readonly", "modcache", ["1.21", "1.26"])
def _(rig):
    proxied(rig)
    small(f"{HOME}/go")
    sh(f"mount -o remount,ro {HOME}/go")
    return rig.run(GET, {"GONOSUMDB": "*"})


@scenario("disk-readonly", "gocache", "1.24")
def _(rig):
    rig.project(main="package main\n\nfunc main() {}\n")
    small(f"{HOME}/.cache")
    sh(f"mount -o remount,ro {HOME}/.cache")
    return rig.run("go build ./...; go mod tidy -v")


@each("os-resource-limit", "files", ["1.19", "1.26"])
def _(rig):
    proxied(rig)
    return rig.run("ulimit -n 9; go mod download", {"GONOSUMDB": "*"})


@scenario("os-resource-limit", "file-size", "1.24")
def _(rig):
    proxied(rig)
    rig.module("github.com/acme/lib", "v1.2.0", {"lib.go": "package lib\n", "data.bin": os.urandom(200000).hex()})
    return rig.run("ulimit -f 8; trap '' XFSZ; go mod download", {"GONOSUMDB": "*"})


@each("disk-cache-corrupt", "vcs", ["1.22", "1.26"])
def _(rig):
    env = repositories(rig)
    rig.project("require github.com/acme/lib v1.0.0")
    rig.run(GET, env)
    rig.project("require github.com/acme/lib v1.0.1")
    sh(f"for d in {HOME}/go/pkg/mod/cache/vcs/*/; do : > $d/config; done")
    return rig.run(GET, env)


@scenario("disk-cache-corrupt", "verify", "1.25")
def _(rig):
    proxied(rig)
    rig.run(GET, {"GONOSUMDB": "*"})
    sh(f"echo changed >> {HOME}/go/pkg/mod/github.com/acme/lib@v1.2.0/lib.go")
    return rig.run("go mod verify", {"GONOSUMDB": "*"})
