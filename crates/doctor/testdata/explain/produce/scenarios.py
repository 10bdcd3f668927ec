"""What is broken, one function each: given a rig it breaks one thing, runs a real tool and returns what that printed."""

import os
import time

from rig import HOME, HOSTS, RESOLVER, sh

ALL = []
GET = "go mod download"


def scenario(label, name, go="1.26", tool="go"):
    def add(function):
        ALL.append({"label": label, "name": name, "go": go, "tool": tool, "run": function})
        return function
    return add


def each(label, name, versions, tool="go"):
    """The same scenario under several Go releases."""
    def add(function):
        for version in versions:
            ALL.append({"label": label, "name": f"{name}-go{version}", "go": version, "tool": tool, "run": function})
        return function
    return add


def lib(rig, path="github.com/acme/lib", version="v1.2.0", **more):
    rig.module(path, version, {"lib.go": "package lib\n\nfunc F() {}\n"}, **more)
    rig.project(f"require {path} {version}", f'package main\n\nimport "{path}"\n\nfunc main() {{ lib.F() }}\n')


def plain(rig, sums=False):
    lib(rig)
    if sums:
        rig.project(extra={"go.sum": "github.com/acme/lib v1.2.0 h1:" + "A" * 43 + "=\n"})
    rig.dns()


# -- config --------------------------------------------------------------------------------------------------------------
for name, value in {"semicolon": "https://goproxy.cn;direct", "no-scheme": "goproxy", "quoted": '"https://goproxy.cn,direct"',
                    "scheme": "ftp://mirror.example.com", "blank": "https://goproxy.cn direct", "fullwidth": "https://goproxy.cn，direct",
                    "file": "file://share/modules"}.items():
    def one(rig, value=value):
        plain(rig)
        return rig.run(GET, {"GOPROXY": value, "GONOSUMDB": "*"})
    scenario("cfg-goproxy-syntax", name, "1.24" if name == "quoted" else "1.26")(one)


@each("cfg-goproxy-empty", "comma", ["1.21", "1.27"])
def _(rig):
    plain(rig)
    return rig.run(GET, {"GOPROXY": ","})


@scenario("cfg-goproxy-empty", "blank-get", "1.23")
def _(rig):
    plain(rig)
    return rig.run("go get github.com/acme/lib@latest", {"GOPROXY": " | "})


@each("cfg-goproxy-off", "build", ["1.19", "1.22", "1.26"])
def _(rig):
    plain(rig)
    return rig.run(GET, {"GOPROXY": "off"})


@scenario("cfg-goproxy-off", "get", "1.25")
def _(rig):
    plain(rig)
    return rig.run("go get github.com/acme/other@latest; go list -m -u all", {"GOPROXY": "off"})


@each("cfg-goproxy-no-direct", "mirror-404", ["1.21", "1.26"])
def _(rig):
    lib(rig, "git.corp.example.com/team/lib")
    rig.modules.clear()
    rig.dns()
    rig.serve("proxy.golang.org")
    body = ("not found: git.corp.example.com/team/lib@v1.2.0: unrecognized import path \"git.corp.example.com/team/lib\": https fetch: "
            "Get \"https://git.corp.example.com/team/lib?go-get=1\": dial tcp: lookup git.corp.example.com on 8.8.8.8:53: no such host")
    rig.web["proxy.golang.org"] = lambda request: (404, body)
    return rig.run(GET, {"GOPROXY": "https://proxy.golang.org"})


@scenario("cfg-goproxy-no-direct", "gone", "1.19")
def _(rig):
    lib(rig, "gitlab.corp.example.com/payments/ledger")
    rig.modules.clear()
    rig.dns()
    rig.serve("goproxy.cn")
    rig.web["goproxy.cn"] = lambda request: (410, "not found")
    return rig.run("go mod tidy", {"GOPROXY": "https://goproxy.cn", "GONOSUMDB": "*"})


@each("cfg-goflags-mod", "vendor", ["1.19", "1.25"])
def _(rig):
    plain(rig)
    rig.project(extra={"vendor/modules.txt": "# github.com/acme/lib v1.2.0\n## explicit\n"})
    rig.project("require github.com/acme/lib v1.2.0")
    return rig.run("go list -m -u all; go list -m github.com/acme/lib@latest", {"GOFLAGS": "-mod=vendor"})


@scenario("cfg-goflags-mod", "no-flag", "1.24")
def _(rig):
    plain(rig)
    return rig.run("go build ./...", {"GOFLAGS": "mod=vendor"})


@scenario("cfg-goflags-mod", "list", "1.22")
def _(rig):
    plain(rig)
    rig.project(extra={"vendor/modules.txt": "# github.com/acme/lib v1.2.0\n## explicit\n"})
    return rig.run("go list -m all; go mod why github.com/acme/lib; go list -m -versions github.com/acme/lib", {"GOFLAGS": "-mod=vendor"})


@each("cfg-gopath-mode", "off", ["1.19", "1.26"])
def _(rig):
    plain(rig)
    sh("sysctl -w net.ipv4.tcp_syn_retries=2")
    return rig.run("go get -v github.com/acme/lib; go build ./...; go install github.com/acme/tool@latest", {"GO111MODULE": "off"})


# -- client environment --------------------------------------------------------------------------------------------------
@each("env-no-network", "unreachable", ["1.21", "1.26"])
def _(rig):
    lib(rig)
    sh("ip link set v0 down; ip link set v1 down")
    return rig.run(GET)


@scenario("env-no-network", "get", "1.24")
def _(rig):
    rig.project()
    sh("ip link set v0 down")
    rig.overlay("/etc/resolv.conf", "nameserver 192.168.65.7\n")
    return rig.run("go get golang.org/x/text@latest golang.org/x/net@latest")


@scenario("env-proxy-bypassed", "proxychains", "1.26", "go under proxychains4")
def _(rig):
    plain(rig)
    rig.overlay("/etc/resolv.conf", "nameserver 127.0.0.53\n")
    with open(f"{HOME}/app/proxychains.conf", "w") as out:
        out.write("strict_chain\nproxy_dns\ntcp_connect_time_out 2000\n[ProxyList]\nsocks5 127.0.0.1 1080\n")
    return rig.run("proxychains4 -f proxychains.conf go mod download")


@scenario("env-proxy-bypassed", "proxychains-timeout", "1.23", "go under proxychains4")
def _(rig):
    plain(rig)
    with open(f"{HOME}/app/proxychains.conf", "w") as out:
        out.write("dynamic_chain\ntcp_connect_time_out 2000\n[ProxyList]\nhttp 127.0.0.1 7890\n")
    return rig.run("proxychains4 -f proxychains.conf go get github.com/acme/lib@latest")


@each("env-home-unset", "no-home", ["1.19", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    rig.web["proxy.golang.org"] = rig.goproxy()
    return rig.run("env -i PATH=$PATH GOTOOLCHAIN=local go mod download")


@scenario("env-home-unset", "build", "1.22")
def _(rig):
    rig.project(main="package main\n\nfunc main() {}\n")
    return rig.run("env -i PATH=$PATH GOTOOLCHAIN=local go build -o app .")


@scenario("env-home-unset", "env-w", "1.25")
def _(rig):
    return rig.run("env -i PATH=$PATH GOTOOLCHAIN=local go env -w GOPROXY=https://goproxy.cn,direct; env -i PATH=$PATH GOTOOLCHAIN=local go install golang.org/x/tools/gopls@latest")


# -- dns -----------------------------------------------------------------------------------------------------------------
@each("dns-servfail", "download", ["1.19", "1.27"])
def _(rig):
    plain(rig)
    rig.dns_mode = "servfail"
    return rig.run(GET)


@scenario("dns-servfail", "refused", "1.24")
def _(rig):
    plain(rig)
    rig.dns_mode = "refused"
    return rig.run("go get github.com/acme/lib@v1.2.0 golang.org/x/text@latest")


@scenario("dns-timeout", "garbage", "1.26")
def _(rig):
    plain(rig)
    rig.dns_mode = "garbage"
    return rig.run(GET)


@scenario("dns-servfail", "dig", tool="dig")
def _(rig):
    plain(rig)
    rig.dns_mode = "servfail"
    return rig.run("dig proxy.golang.org; nslookup proxy.golang.org", show=True)


@each("dns-nxdomain", "download", ["1.21", "1.26"])
def _(rig):
    plain(rig)
    rig.names.pop("goproxy.corp.example.com")
    return rig.run(GET, {"GOPROXY": "https://goproxy.corp.example.com"})


@scenario("dns-nxdomain", "public", "1.25")
def _(rig):
    plain(rig)
    rig.names.clear()
    return rig.run("go mod tidy")


@scenario("dns-nxdomain", "git", tool="git")
def _(rig):
    plain(rig)
    rig.names.clear()
    return rig.run("git clone https://git.corp.example.com/team/lib; git ls-remote ssh://git@git.corp.example.com/team/lib")


@scenario("dns-nxdomain", "curl", tool="curl")
def _(rig):
    plain(rig)
    rig.names.clear()
    return rig.run("curl -sS https://proxy.golang.org/golang.org/x/text/@v/list; nslookup proxy.golang.org", show=True)


@each("dns-timeout", "download", ["1.23", "1.26"])
def _(rig):
    plain(rig)
    rig.dns_mode = "silent"
    return rig.run(GET)


@scenario("dns-timeout", "unreachable", "1.24")
def _(rig):
    plain(rig)
    rig.overlay("/etc/resolv.conf", "nameserver 10.96.0.10\n")
    sh("ip route add unreachable 10.96.0.10")
    return rig.run(GET)


@scenario("dns-timeout", "refused", "1.26")
def _(rig):
    plain(rig)
    rig.address("192.168.65.5")
    rig.overlay("/etc/resolv.conf", "nameserver 192.168.65.5\n")
    return rig.run(GET)


@scenario("dns-timeout", "cgo-tools", tool="git, curl, ssh")
def _(rig):
    plain(rig)
    rig.dns_mode = "silent"
    rig.overlay("/etc/resolv.conf", f"nameserver {RESOLVER}\noptions timeout:1 attempts:1\n")
    return rig.run("ssh -T git@github.com; getent hosts proxy.golang.org || python3 -c 'import socket; socket.getaddrinfo(\"proxy.golang.org\", 443)' 2>&1 | tail -1; dig +tries=1 +time=2 proxy.golang.org")


@each("dns-no-resolver", "empty", ["1.19", "1.22", "1.26"])
def _(rig):
    plain(rig)
    rig.overlay("/etc/resolv.conf", "")
    return rig.run(GET)


@scenario("dns-no-resolver", "stub-down", "1.25")
def _(rig):
    plain(rig)
    rig.overlay("/etc/resolv.conf", "nameserver 127.0.0.53\noptions edns0 trust-ad\n")
    return rig.run("go get github.com/acme/lib@latest")


@scenario("dns-ipv6-resolver", "site-local", "1.26")
def _(rig):
    plain(rig)
    sh("ip -6 route add unreachable fec0:0:0:ffff::1")
    rig.overlay("/etc/resolv.conf", "nameserver fec0:0:0:ffff::1\n")
    return rig.run(GET)


@scenario("dns-ipv6-resolver", "link-local", "1.24")
def _(rig):
    plain(rig)
    rig.overlay("/etc/resolv.conf", "nameserver fe80::1\n")
    return rig.run(GET)


@scenario("dns-ipv6-resolver", "unreachable", "1.21")
def _(rig):
    plain(rig)
    sh("ip -6 route flush dev v0; ip -6 addr flush dev v0")
    rig.overlay("/etc/resolv.conf", "nameserver 2001:4860:4860::8888\n")
    return rig.run("go mod tidy")


@scenario("dns-poisoned", "loopback", "1.26")
def _(rig):
    plain(rig)
    rig.names.update({"proxy.golang.org": "127.0.0.1", "sum.golang.org": "127.0.0.1"})
    return rig.run(GET)


@scenario("dns-poisoned", "null", "1.23")
def _(rig):
    plain(rig)
    rig.names.update({"proxy.golang.org": "0.0.0.0"})
    return rig.run("go get github.com/acme/lib@v1.2.0")


@scenario("dns-poisoned", "foreign-address", "1.25")
def _(rig):
    plain(rig)
    rig.names.update({"proxy.golang.org": "31.13.94.37"})
    return rig.run(GET)


# -- tcp -----------------------------------------------------------------------------------------------------------------
@each("tcp-refused", "mirror", ["1.21", "1.26"])
def _(rig):
    plain(rig)
    rig.address(HOSTS["goproxy.corp.example.com"])
    return rig.run(GET, {"GOPROXY": "http://goproxy.corp.example.com:8081/repository/go"})


@scenario("tcp-refused", "loopback-proxy", "1.24")
def _(rig):
    plain(rig)
    return rig.run(GET, {"GOPROXY": "http://localhost:3000"})


@scenario("tcp-refused", "git-curl", tool="git, curl")
def _(rig):
    plain(rig)
    rig.address(HOSTS["github.com"])
    return rig.run("git clone https://github.com/acme/lib; curl -sS https://github.com/acme/lib")


@scenario("tcp-refused", "ssh", tool="git over ssh")
def _(rig):
    plain(rig)
    rig.address(HOSTS["git.corp.example.com"])
    return rig.run("git ls-remote git@git.corp.example.com:team/lib.git")


@each("tcp-timeout", "download", ["1.22", "1.26"])
def _(rig):
    plain(rig)
    return rig.run(GET)


@scenario("tcp-timeout", "corp", "1.19")
def _(rig):
    plain(rig)
    return rig.run("go mod tidy", {"GOPROXY": "https://goproxy.corp.example.com/go,direct"})


@scenario("tcp-timeout", "git", tool="git")
def _(rig):
    plain(rig)
    sh("sysctl -w net.ipv4.tcp_syn_retries=2")
    return rig.run("git clone https://github.com/acme/lib")


@scenario("tcp-timeout", "direct", "1.25")
def _(rig):
    plain(rig)
    sh("sysctl -w net.ipv4.tcp_syn_retries=2")
    return rig.run(GET, {"GOPROXY": "direct", "GONOSUMDB": "*"})


@scenario("tcp-blocked-region", "mixed", "1.26")
def _(rig):
    lib(rig)
    rig.dns()
    rig.serve("goproxy.cn")
    rig.web["goproxy.cn"] = rig.goproxy()
    return rig.run("go env GOPROXY; go mod download; GOPROXY=https://goproxy.cn go list -m -versions github.com/acme/lib", {"GOPROXY": "https://proxy.golang.org,direct"}, show=True)


@scenario("tcp-blocked-region", "reset", "1.24")
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    rig.web["proxy.golang.org"] = "reset-on-accept"
    rig.serve("goproxy.cn")
    return rig.run("curl -sSI https://goproxy.cn | head -1; go mod download", show=True, limit=40)


@each("tcp-reset", "after-request", ["1.21", "1.27"])
def _(rig):
    plain(rig)
    rig.serve("goproxy.corp.example.com")
    rig.web["goproxy.corp.example.com"] = "reset"
    return rig.run(GET, {"GOPROXY": "https://goproxy.corp.example.com"})


@scenario("tcp-reset", "accept", "1.26")
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    rig.web["proxy.golang.org"] = "reset-on-accept"
    return rig.run(GET)


@scenario("tcp-reset", "eof", "1.25")
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    rig.web["proxy.golang.org"] = "close"
    return rig.run(GET)


@scenario("tcp-reset", "git-curl", tool="git, curl")
def _(rig):
    plain(rig)
    rig.serve("github.com")
    rig.web["github.com"] = "reset"
    return rig.run("git clone https://github.com/acme/lib; curl -sS https://github.com/acme/lib")


@each("tcp-no-route", "unreachable-host", ["1.22", "1.26"])
def _(rig):
    plain(rig)
    sh(f"ip route add unreachable {HOSTS['proxy.golang.org']}")
    return rig.run(GET)


@scenario("tcp-no-route", "network", "1.24")
def _(rig):
    plain(rig)
    sh("ip route del default")
    return rig.run("go mod tidy")


@scenario("tcp-no-route", "git", tool="git, ssh")
def _(rig):
    plain(rig)
    sh(f"ip route add unreachable {HOSTS['github.com']}; ip route add unreachable {HOSTS['gitlab.com']}")
    return rig.run("git ls-remote https://github.com/acme/lib; git ls-remote git@gitlab.com:acme/lib.git")


@scenario("tcp-ipv6-broken", "timeout", "1.26")
def _(rig):
    plain(rig)
    rig.names.update({"proxy.golang.org": "2404:6800:4005:80b::2011"})
    return rig.run(GET)


@scenario("tcp-ipv6-broken", "no-route", "1.23")
def _(rig):
    plain(rig)
    rig.names.update({"proxy.golang.org": "2a00:1450:4001:82a::2011"})
    sh("ip -6 route add unreachable 2a00:1450:4001:82a::2011")
    return rig.run(GET)


@scenario("tcp-ipv6-broken", "unreachable", "1.25")
def _(rig):
    plain(rig)
    rig.names.update({"proxy.golang.org": "2607:f8b0:4004:c07::8d"})
    sh("ip -6 route flush dev v0; ip -6 addr flush dev v0")
    return rig.run("go get github.com/acme/lib@v1.2.0")


@scenario("tcp-mtu", "ping", "1.26", "go, ping-like probe")
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    rig.web["proxy.golang.org"] = "silent"
    probe = ("python3 - <<'P'\nimport socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.setsockopt(0, 10, 2)\n"
             "try:\n    s.sendto(b'x' * 1472, ('192.168.1.77', 9))\nexcept OSError as e:\n    print('ping: local error: message too long, mtu=1400')\nP")
    sh("ip link set v0 mtu 1400")
    return rig.run(f"{probe}\ngo mod download")


# -- tls -----------------------------------------------------------------------------------------------------------------
def other_ca(rig, host, name, san=True, days=("-days", "365"), names=None):
    from rig import Authority
    rig.certificates[host] = Authority(f"{rig.work}/{name.replace(' ', '-')}", name).issue(names or [host], san=san, days=days)


@each("tls-unknown-ca-mitm", "zscaler", ["1.19", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    other_ca(rig, "proxy.golang.org", "Zscaler Root CA")
    return rig.run(GET)


@scenario("tls-unknown-ca-mitm", "redirect-target", "1.24")
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org", "storage.googleapis.com")
    other_ca(rig, "storage.googleapis.com", "Corp Inspection CA")
    correct = rig.goproxy()
    rig.web["proxy.golang.org"] = lambda request: (302, "", {"Location": "https://storage.googleapis.com/proxy-golang-org-prod/0a1b-lib-v1.2.0.zip"}) if request["path"].endswith(".zip") else correct(request)
    return rig.run("go mod download -x", {"GONOSUMDB": "*"})


@scenario("tls-unknown-ca-mitm", "git", tool="git, curl")
def _(rig):
    plain(rig)
    rig.serve("git.corp.example.com")
    other_ca(rig, "git.corp.example.com", "Corp Root CA")
    return rig.run("git ls-remote https://git.corp.example.com/team/lib; curl -sS https://git.corp.example.com/")


@scenario("tls-unknown-ca-mitm", "direct", "1.25")
def _(rig):
    lib(rig, "git.corp.example.com/team/lib")
    rig.dns()
    rig.serve("git.corp.example.com")
    other_ca(rig, "git.corp.example.com", "Corp Root CA")
    return rig.run(GET, {"GOPRIVATE": "git.corp.example.com"})


@scenario("tls-missing-ca-bundle", "empty-store", "1.26", "go, curl")
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org", "github.com", "sum.golang.org")
    sh("rm -f /etc/ssl/certs/*")
    return rig.run("cat /etc/os-release | head -1; ls /etc/ssl/certs/ca-certificates.crt; go mod download; curl -sS https://github.com", show=True)


@scenario("tls-missing-ca-bundle", "git-bundle", tool="git")
def _(rig):
    plain(rig)
    rig.serve("github.com")
    sh("rm -f /etc/ssl/certs/*")
    return rig.run("git clone https://github.com/acme/lib; curl --cacert /etc/ssl/certs/ca-certificates.crt -sS https://github.com")


PAST = ("-not_before", "230101000000Z", "-not_after", "231201000000Z")


def dated(rig, host, start, end):
    """A certificate with other dates, made by `openssl ca`, the one command that can."""
    base = f"{rig.work}/dated"
    os.makedirs(base, exist_ok=True)
    open(f"{base}/index.txt", "w").close()
    open(f"{base}/serial", "w").write("1000\n")
    open(f"{base}/ca.cnf", "w").write(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}/index.txt\nserial={base}/serial\nnew_certs_dir={base}\ndefault_md=sha256\npolicy=p\n"
        f"x509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=DNS:{host}\nextendedKeyUsage=serverAuth\n")
    sh(f"openssl req -newkey rsa:2048 -nodes -keyout {base}/k -out {base}/r -subj /CN={host} && "
       f"openssl ca -batch -config {base}/ca.cnf -cert {rig.work}/ca/ca.pem -keyfile {rig.work}/ca/ca.key -in {base}/r -out {base}/c -startdate {start} -enddate {end} && "
       f"openssl x509 -in {base}/c > {base}/{host}.pem && cat {base}/k >> {base}/{host}.pem")
    rig.certificates[host] = f"{base}/{host}.pem"


@each("tls-cert-expired", "mirror", ["1.22", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("goproxy.corp.example.com")
    dated(rig, "goproxy.corp.example.com", "240101000000Z", "260301000000Z")
    return rig.run(GET, {"GOPROXY": "https://goproxy.corp.example.com"})


@scenario("tls-cert-expired", "vanity", "1.24")
def _(rig):
    lib(rig, "go.example.org/kit")
    rig.dns()
    rig.serve("go.example.org")
    dated(rig, "go.example.org", "240101000000Z", "260801000000Z")
    return rig.run(GET, {"GOPROXY": "direct", "GONOSUMDB": "*"})


@scenario("tls-cert-expired", "git", tool="git, curl")
def _(rig):
    plain(rig)
    rig.serve("git.corp.example.com")
    dated(rig, "git.corp.example.com", "240101000000Z", "260301000000Z")
    return rig.run("git ls-remote https://git.corp.example.com/team/lib; curl -sS https://git.corp.example.com")


@each("tls-clock-skew", "before", ["1.21", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    dated(rig, "proxy.golang.org", "290101000000Z", "290401000000Z")
    return rig.run(GET)


@scenario("tls-clock-skew", "git", tool="git, curl")
def _(rig):
    plain(rig)
    rig.serve("github.com")
    dated(rig, "github.com", "290101000000Z", "290401000000Z")
    return rig.run("git ls-remote https://github.com/acme/lib; curl -sS https://github.com")


@each("tls-hostname-mismatch", "other-site", ["1.19", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    rig.certificates["proxy.golang.org"] = rig.ca.issue(["portal.hotel.example", "*.hotel.example"], stamp="other")
    return rig.run(GET)


@scenario("tls-hostname-mismatch", "address", "1.25")
def _(rig):
    plain(rig)
    rig.serve("goproxy.corp.example.com")
    return rig.run(GET, {"GOPROXY": "https://10.20.0.12"})


@scenario("tls-hostname-mismatch", "git", tool="git, curl")
def _(rig):
    plain(rig)
    rig.serve("github.com")
    rig.certificates["github.com"] = rig.ca.issue(["block.corp.example.com"], stamp="other")
    return rig.run("git ls-remote https://github.com/acme/lib; curl -sS https://github.com")


@each("tls-handshake-timeout", "silent", ["1.23", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    rig.web["proxy.golang.org"] = "silent"
    return rig.run(GET)


@scenario("tls-handshake-timeout", "direct", "1.19")
def _(rig):
    lib(rig, "go.example.org/kit")
    rig.dns()
    rig.serve("go.example.org")
    rig.web["go.example.org"] = "silent"
    return rig.run(GET, {"GOPROXY": "direct", "GONOSUMDB": "*"})


@each("tls-legacy-cn", "no-san", ["1.19", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("goproxy.corp.example.com")
    rig.certificates["goproxy.corp.example.com"] = rig.ca.issue(["goproxy.corp.example.com"], san=False, stamp="cn")
    return rig.run(GET, {"GOPROXY": "https://goproxy.corp.example.com"})


@scenario("tls-legacy-cn", "direct", "1.24")
def _(rig):
    lib(rig, "git.corp.example.com/team/lib")
    rig.dns()
    rig.serve("git.corp.example.com")
    rig.certificates["git.corp.example.com"] = rig.ca.issue(["git.corp.example.com"], san=False, stamp="cn")
    return rig.run(GET, {"GOPRIVATE": "git.corp.example.com"})


@each("tls-plain-http", "http-on-443", ["1.21", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("goproxy.corp.example.com", port=8080)
    rig.web["goproxy.corp.example.com"] = "plain"
    return rig.run(GET, {"GOPROXY": "https://goproxy.corp.example.com:8080"})


@scenario("tls-plain-http", "git-curl", tool="git, curl")
def _(rig):
    plain(rig)
    rig.serve("git.corp.example.com", port=8443)
    rig.web["git.corp.example.com"] = "plain"
    return rig.run("git ls-remote https://git.corp.example.com:8443/team/lib; curl -sS https://git.corp.example.com:8443/")


# -- http proxy ----------------------------------------------------------------------------------------------------------
def via(rig, answer, **env):
    plain(rig)
    rig.forward_proxy(answer)
    return {"HTTPS_PROXY": "http://gateway.corp.example.com:3128", **env}


@each("httpproxy-407", "connect", ["1.21", "1.26"])
def _(rig):
    return rig.run(GET, via(rig, b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"))


@scenario("httpproxy-407", "git-curl", tool="git, curl")
def _(rig):
    env = via(rig, b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n")
    return rig.run("git ls-remote https://github.com/acme/lib; curl -sS https://proxy.golang.org/", {**env, "https_proxy": env["HTTPS_PROXY"]})


@scenario("httpproxy-407", "direct", "1.24")
def _(rig):
    env = via(rig, b"HTTP/1.1 407 Proxy Authentication Required ( Access is denied.  )\r\nContent-Length: 0\r\n\r\n", GOPROXY="direct", GONOSUMDB="*")
    lib(rig, "go.example.org/kit")
    return rig.run(GET, env)


@each("httpproxy-refused", "local", ["1.22", "1.26"])
def _(rig):
    plain(rig)
    return rig.run(GET, {"HTTPS_PROXY": "http://127.0.0.1:7890"})


@scenario("httpproxy-refused", "socks", "1.25")
def _(rig):
    plain(rig)
    return rig.run("go mod tidy", {"HTTPS_PROXY": "socks5://127.0.0.1:1080"})


@scenario("httpproxy-refused", "git", tool="git, curl")
def _(rig):
    plain(rig)
    return rig.run("git -c http.proxy=http://127.0.0.1:7890 clone https://github.com/acme/lib; curl -sS -x http://127.0.0.1:1087 https://proxy.golang.org/")


@each("httpproxy-connect-failed", "eof", ["1.19", "1.26"])
def _(rig):
    return rig.run(GET, via(rig, b""))


@scenario("httpproxy-connect-failed", "reset", "1.24")
def _(rig):
    return rig.run(GET, via(rig, "reset"))


@scenario("httpproxy-connect-failed", "bad-gateway", "1.25", "go, git, curl")
def _(rig):
    env = via(rig, b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    return rig.run("go mod download; git ls-remote https://github.com/acme/lib; curl -sS https://goproxy.cn", {**env, "https_proxy": env["HTTPS_PROXY"]})


@scenario("httpproxy-connect-failed", "timeout", "1.26")
def _(rig):
    plain(rig)
    return rig.run(GET, {"HTTPS_PROXY": "http://gateway.corp.example.com:3128"})


@each("httpproxy-connect-forbidden", "policy", ["1.22", "1.27"])
def _(rig):
    return rig.run(GET, via(rig, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))


@scenario("httpproxy-connect-forbidden", "git-curl", tool="git, curl")
def _(rig):
    env = via(rig, b"HTTP/1.1 403 Filtered\r\nContent-Length: 0\r\n\r\n")
    return rig.run("git ls-remote https://github.com/acme/lib; curl -sS https://proxy.golang.org", {"https_proxy": env["HTTPS_PROXY"]})


@each("httpproxy-scheme", "https-proxy", ["1.21", "1.26"])
def _(rig):
    return rig.run(GET, {**via(rig, b"HTTP/1.1 400 Bad Request\r\n\r\n"), "HTTPS_PROXY": "https://gateway.corp.example.com:3128"})


@scenario("httpproxy-scheme", "get", "1.24")
def _(rig):
    return rig.run("go get golang.org/x/text@latest", {**via(rig, b"HTTP/1.1 400 Bad Request\r\n\r\n"), "HTTPS_PROXY": "https://10.20.0.8:3128"})


@scenario("httpproxy-malformed", "double-scheme", "1.26")
def _(rig):
    plain(rig)
    return rig.run(GET, {"HTTPS_PROXY": "http://http://gateway.corp.example.com:3128"})


@scenario("httpproxy-malformed", "password", "1.25")
def _(rig):
    plain(rig)
    return rig.run(GET, {"HTTPS_PROXY": "http://dev:pa#ss@gateway.corp.example.com:3128"})


@scenario("httpproxy-malformed", "curl", tool="curl, git")
def _(rig):
    plain(rig)
    return rig.run("curl -sS -x htp://gateway:99 https://proxy.golang.org; git -c http.proxy=http//gateway:3128 ls-remote https://github.com/acme/lib")


@scenario("httpproxy-https-unset", "http-only", "1.26")
def _(rig):
    plain(rig)
    return rig.run("env | grep -i _proxy; go mod download", {"HTTP_PROXY": "http://gateway.corp.example.com:3128", "http_proxy": "http://gateway.corp.example.com:3128"}, show=True)


@scenario("captive-portal-html", "login-page", "1.26")
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    page = "<!DOCTYPE html><html><head><title>Guest Wi-Fi login</title></head><body>Please sign in to use the network</body></html>"
    rig.web["proxy.golang.org"] = lambda request: (200, page, {"Content-Type": "text/html"})
    return rig.run("curl -s https://proxy.golang.org/golang.org/x/text/@v/list; echo; go mod download", {"GONOSUMDB": "*"}, show=True)


@scenario("captive-portal-html", "redirect", "1.24", "curl, go")
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org", "go.example.org")
    rig.web["proxy.golang.org"] = lambda request: (302, "", {"Location": "https://go.example.org/portal/login?redirect=1"})
    rig.web["go.example.org"] = lambda request: (200, "<html><body>captive portal: log in</body></html>", {"Content-Type": "text/html"})
    return rig.run("curl -sSi https://proxy.golang.org/golang.org/x/text/@v/v0.14.0.info; curl -sSL https://proxy.golang.org/; go mod download", {"GONOSUMDB": "*"}, show=True)


# -- goproxy -------------------------------------------------------------------------------------------------------------
def answering(rig, status, body="", host="proxy.golang.org", headers=None, only=None):
    plain(rig)
    rig.serve(host)
    correct = rig.goproxy()
    rig.web[host] = lambda request: (status, body, headers) if not only or only in request["path"] else correct(request)
    return {"GOPROXY": f"https://{host}" + ("" if host == "proxy.golang.org" else "/go")}


for status, label, host, body in [
    (401, "goproxy-401", "goproxy.corp.example.com", "Unauthorized"),
    (403, "goproxy-403", "proxy.golang.org", "<html><title>403</title>Forbidden</html>"),
    (404, "goproxy-404", "goproxy.corp.example.com", ""),
    (410, "goproxy-410", "goproxy.cn", "gone"),
    (429, "goproxy-429", "proxy.golang.org", "rate limit"),
    (400, "goproxy-4xx", "goproxy.corp.example.com", "bad path"),
    (500, "goproxy-5xx", "goproxy.corp.example.com", "internal error"),
    (502, "goproxy-5xx", "goproxy.cn", "<html><h1>502 Bad Gateway</h1><hr>nginx</html>"),
]:
    def one(rig, status=status, host=host, body=body):
        env = answering(rig, status, body, host, {"Content-Type": "text/html"} if "<" in body else None)
        return rig.run(GET, env)
    each(label, f"status-{status}", ["1.21", "1.26"])(one)


@scenario("goproxy-401", "get-nexus", "1.24")
def _(rig):
    env = answering(rig, 401, "", "goproxy.corp.example.com", {"WWW-Authenticate": 'BASIC realm="Sonatype Nexus Repository Manager"'})
    return rig.run("go get github.com/acme/lib@latest; curl -sSfI https://goproxy.corp.example.com/", env)


@scenario("goproxy-403", "policy", "1.25")
def _(rig):
    return rig.run("go mod tidy", answering(rig, 403, "policy: version is younger than 7 days", "goproxy.corp.example.com"))


@scenario("goproxy-404", "list", "1.19")
def _(rig):
    return rig.run("go get github.com/acme/lib", answering(rig, 404, "not found", "goproxy.corp.example.com"))


@scenario("goproxy-410", "zip", "1.23")
def _(rig):
    return rig.run(GET, {**answering(rig, 410, "", "proxy.golang.org", None, ".zip"), "GONOSUMDB": "*"})


@scenario("goproxy-429", "list-all", "1.24")
def _(rig):
    return rig.run("go list -m -u all; go mod tidy", answering(rig, 429, "", "goproxy.cn"))


@scenario("goproxy-5xx", "timeout-504", "1.27")
def _(rig):
    return rig.run("go mod tidy", answering(rig, 504, "upstream request timeout"))


@scenario("goproxy-5xx", "athens-body", "1.22")
def _(rig):
    return rig.run(GET, answering(rig, 503, "github.com/acme/lib@v1.2.0: upstream fetch failed", "goproxy.corp.example.com"))


@scenario("goproxy-slow", "trace", "1.26")
def _(rig):
    lib(rig)
    rig.dns()
    rig.serve("proxy.golang.org")
    correct = rig.goproxy()

    def late(request):
        time.sleep(14 if request["path"].endswith(".info") else 0)
        return correct(request)
    rig.web["proxy.golang.org"] = late
    return rig.run("go mod download -x", {"GONOSUMDB": "*"})


@each("goproxy-lag", "fresh-tag", ["1.22", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    rig.web["proxy.golang.org"] = rig.goproxy()
    bare = rig.repository("acme/lib", ["v1.2.0"])
    push = (f"git clone -q {bare} /home/dev/lib 2>/dev/null; cd /home/dev/lib; git tag v1.3.0; git push origin v1.3.0; cd /home/dev/app; "
            "go get github.com/acme/lib@v1.3.0")
    return rig.run(push, {"GOPROXY": "https://proxy.golang.org", "GONOSUMDB": "*"}).replace(bare, "github.com:acme/lib.git")


@scenario("goproxy-fallback-masks-error", "pipe-direct", "1.26")
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org", "github.com")
    rig.web["proxy.golang.org"] = lambda request: (503, "busy")
    rig.repository("acme/lib", ["v1.0.0"])
    rig.web["github.com"] = rig.git_http
    return rig.run("echo GOPROXY=$GOPROXY; go mod download", {"GOPROXY": "https://proxy.golang.org|direct", "GONOSUMDB": "*"}, show=True)


@each("goproxy-html", "wrong-path", ["1.21", "1.26"])
def _(rig):
    page = "<!DOCTYPE html><html><head><title>Repository Manager</title></head><body></body></html>"
    env = answering(rig, 200, page, "goproxy.corp.example.com", {"Content-Type": "text/html"})
    return rig.run("go get github.com/acme/lib@latest; go mod download", {**env, "GONOSUMDB": "*"})


@scenario("goproxy-html", "not-json", "1.24")
def _(rig):
    return rig.run("go get github.com/acme/lib@v1.2.0", {**answering(rig, 200, "OK", "goproxy.corp.example.com", None, ".info"), "GONOSUMDB": "*"})


@scenario("goproxy-html", "other-version", "1.25")
def _(rig):
    env = answering(rig, 200, '{"Version":"v1.1.9","Time":"2024-01-02T03:04:05Z"}', "goproxy.corp.example.com", None, ".info")
    return rig.run(GET, {**env, "GONOSUMDB": "*"})


@each("goproxy-corrupt", "not-a-zip", ["1.22", "1.26"])
def _(rig):
    return rig.run(GET, {**answering(rig, 200, "PK not really a zip archive" * 20, "proxy.golang.org", None, ".zip"), "GONOSUMDB": "*"})


@scenario("goproxy-corrupt", "gzip", "1.24")
def _(rig):
    return rig.run(GET, {**answering(rig, 200, "plain text", "goproxy.corp.example.com", {"Content-Encoding": "gzip"}, ".mod"), "GONOSUMDB": "*"})


@each("goproxy-truncated", "cut-zip", ["1.21", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    correct = rig.goproxy()
    rig.web["proxy.golang.org"] = lambda request: (*correct(request)[:2], None, 100) if request["path"].endswith(".zip") else correct(request)
    return rig.run(GET, {"GONOSUMDB": "*"})


@scenario("goproxy-truncated", "redirect-target", "1.25")
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org", "storage.googleapis.com")
    correct = rig.goproxy()
    rig.web["proxy.golang.org"] = lambda request: (302, "", {"Location": "https://storage.googleapis.com/proxy-golang-org-prod/1f-lib.zip"}) if request["path"].endswith(".zip") else correct(request)
    rig.web["storage.googleapis.com"] = lambda request: (200, b"PK" * 4000, None, 1000)
    return rig.run("go mod download -x", {"GONOSUMDB": "*"})


@each("http2-stream-error", "rst", ["1.23", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    rig.web["proxy.golang.org"] = "h2-reset"
    return rig.run(GET)


@each("http2-goaway", "goaway", ["1.23", "1.26"])
def _(rig):
    plain(rig)
    rig.serve("proxy.golang.org")
    rig.web["proxy.golang.org"] = "h2-goaway"
    return rig.run(GET)
