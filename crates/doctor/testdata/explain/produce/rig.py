"""A small broken internet in a network and mount namespace of its own.

One instance serves one scenario: a resolver, web servers for any host name (module proxy, checksum database, git over
HTTP, portals), HTTP proxies and an ssh server, each with the fault that the scenario asks for. Everything listens on
addresses of the namespace's loopback interface; packets to any other address are dropped silently.
"""

import base64
import hashlib
import io
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import zipfile

HOSTS = {
    "proxy.golang.org": "142.251.42.17",
    "sum.golang.org": "142.250.72.145",
    "golang.org": "142.250.190.81",
    "storage.googleapis.com": "142.250.185.123",
    "github.com": "140.82.121.3",
    "gitlab.com": "172.65.251.78",
    "goproxy.cn": "113.96.149.74",
    "goproxy.corp.example.com": "10.20.0.12",
    "git.corp.example.com": "10.20.0.15",
    "gateway.corp.example.com": "10.20.0.8",
    "go.example.org": "203.0.113.20",
}
RESOLVER = "10.0.0.2"
HOME = "/home/dev"


def sh(command, check=False):
    return subprocess.run(command, shell=True, check=check, capture_output=True, text=True)


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


class Authority:
    """A certificate authority; `issue` makes a certificate file for names, with whatever is wrong with it."""

    def __init__(self, where, name="Example Root CA"):
        self.where = where
        os.makedirs(where, exist_ok=True)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{where}/ca.key", "-out", f"{where}/ca.pem",
                "-days", "3650", "-subj", f"/O={name}/CN={name}")

    def issue(self, names, days=("-days", "365"), san=True, stamp="ok"):
        base = f"{self.where}/{names[0]}-{stamp}"
        if os.path.exists(base + ".pem"):
            return base + ".pem"
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", base + ".key", "-out", base + ".csr", "-subj", f"/CN={names[0]}")
        with open(base + ".ext", "w") as out:
            alternatives = ",".join(("IP:" if re.fullmatch(r"[\d.]+", n) else "DNS:") + n for n in names)
            out.write((f"subjectAltName={alternatives}\n" if san else "") + "extendedKeyUsage=serverAuth\n")
        args = ["x509", "-req", "-in", base + ".csr", "-CA", f"{self.where}/ca.pem", "-CAkey", f"{self.where}/ca.key",
                "-CAcreateserial", "-out", base + ".crt", "-extfile", base + ".ext"]
        openssl(*args, *days)
        with open(base + ".pem", "wb") as out:
            for part in (".crt", ".key"):
                out.write(open(base + part, "rb").read())
        return base + ".pem"


class Rig:
    def __init__(self, go, work):
        self.work = work
        self.web = {}        # host -> behaviour: function(request) or the name of a socket fault
        self.certificates = {}
        self.names = dict(HOSTS)
        self.dns_mode = "ok"
        self.modules = {}
        self.records = None
        self.children = []
        self.network()
        self.files(go)
        self.ca = Authority(f"{work}/ca")
        sh(f"cp {work}/ca/ca.pem /etc/ssl/certs/ca-certificates.crt")

    # -- the machine -----------------------------------------------------------------------------------------------
    def network(self):
        sh("ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up")
        sh("ip addr add 192.168.1.23/24 dev v0; ip route add default via 192.168.1.1 dev v0")
        sh("ip neigh add 192.168.1.1 lladdr 02:00:00:00:00:01 dev v0 nud permanent")
        sh("ip -6 addr add 2001:db8::23/64 dev v0 nodad; ip -6 neigh add 2001:db8::1 lladdr 02:00:00:00:00:01 dev v0 nud permanent")
        sh("ip -6 route add default via 2001:db8::1 dev v0")

    def address(self, address):
        if address.startswith("127.") or address == "::1":
            return
        sh(f"ip addr add {address}/{128 if ':' in address else 32} dev lo nodad 2>/dev/null || ip addr add {address}/32 dev lo")

    def files(self, go):
        sh("mount -t tmpfs tmpfs /home; mount -t tmpfs tmpfs /root; mount -t tmpfs tmpfs /etc/ssl/certs")
        os.makedirs(f"{HOME}/app", exist_ok=True)
        if go:
            sh(f"mount --bind {os.path.realpath(go)} /usr/local/go")
        self.overlay("/etc/resolv.conf", f"nameserver {RESOLVER}\n")
        self.overlay("/etc/hosts", "127.0.0.1 localhost\n")
        self.overlay("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")

    def overlay(self, path, text):
        name = f"{self.work}/{os.path.basename(path)}.{time.monotonic_ns()}"
        with open(name, "w") as out:
            out.write(text)
        os.chmod(name, 0o644)
        sh(f"umount {path} 2>/dev/null; mount --bind {name} {path}", check=False)

    def environment(self, extra):
        env = {
            "PATH": "/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": HOME, "USER": "dev", "LANG": "C.UTF-8", "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local",
            "TERM": "dumb", "GOPATH": f"{HOME}/go", "GOCACHE": f"{HOME}/.cache/go-build", "GOTELEMETRY": "off",
        }
        env.update(extra or {})
        return {name: value for name, value in env.items() if value is not None}

    def run(self, command, env=None, cwd=f"{HOME}/app", user=None, limit=100, show=False):
        """Output of a shell command as a terminal would show it."""
        argv = ["bash", "-c", command]
        if user:
            argv = ["setpriv", "--reuid", user, "--regid", "nogroup", "--clear-groups", *argv]
        try:
            done = subprocess.run(argv, cwd=cwd, env=self.environment(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=limit)
            out = done.stdout
        except subprocess.TimeoutExpired as late:
            out = late.stdout or b""
        text = out.decode("utf8", "replace")
        return (f"$ {command}\n" if show else "") + text

    def project(self, requires="", main="", go="1.19", extra=None, where=f"{HOME}/app", module="example.com/app"):
        os.makedirs(where, exist_ok=True)
        files = {"go.mod": f"module {module}\n\ngo {go}\n\n{requires}\n"}
        if main:
            files["main.go"] = main
        files.update(extra or {})
        for name, text in files.items():
            path = os.path.join(where, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            mode = "wb" if isinstance(text, bytes) else "w"
            with open(path, mode) as out:
                out.write(text)
        return where

    # -- name resolution -------------------------------------------------------------------------------------------
    def dns(self, mode="ok", at=RESOLVER, names=None):
        """Serves DNS. Modes: ok, servfail, refused, nxdomain, silent, garbage; `names` overrides answers."""
        if names:
            self.names.update(names)
        self.dns_mode = mode
        self.address(at)
        family = socket.AF_INET6 if ":" in at else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.bind((at, 53))
        threading.Thread(target=self.dns_loop, args=(udp,), daemon=True).start()

    def dns_loop(self, udp):
        while True:
            query, client = udp.recvfrom(2048)
            if self.dns_mode == "silent":
                continue
            end, labels = 12, []
            while query[end]:
                labels.append(query[end + 1:end + 1 + query[end]].decode())
                end += 1 + query[end]
            name, kind = ".".join(labels).lower(), struct.unpack(">H", query[end + 1:end + 3])[0]
            question = query[12:end + 5]
            code = {"servfail": 2, "refused": 5}.get(self.dns_mode, 0)
            answer = b""
            address = self.names.get(name)
            if self.dns_mode == "garbage":
                udp.sendto(query[:6] + b"\x00", client)
                continue
            if code == 0 and address is None:
                code = 3
            if code == 0 and address != "none":
                for one in address.split(","):
                    if (kind == 1 and ":" not in one) or (kind == 28 and ":" in one):
                        raw = socket.inet_pton(socket.AF_INET6 if ":" in one else socket.AF_INET, one)
                        answer += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(raw)) + raw
            count = answer.count(b"\xc0\x0c") if answer else 0
            udp.sendto(query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, count, 0, 0) + question + answer, client)

    # -- web -------------------------------------------------------------------------------------------------------
    def serve(self, *hosts, port=443, tls=True, address=None):
        """Listens for the hosts; what each does is looked up in `self.web` when a request comes."""
        for host in hosts:
            where = address or self.names[host].split(",")[0]
            self.address(where)
            family = socket.AF_INET6 if ":" in where else socket.AF_INET
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((where, port))
            listener.listen(64)
            threading.Thread(target=self.accept, args=(listener, host, tls), daemon=True).start()

    def accept(self, listener, host, tls):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=self.guard, args=(client, host, tls), daemon=True).start()

    def guard(self, client, host, tls):
        try:
            self.talk(client, host, tls)
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            try:
                client.close()
            except OSError:
                pass

    def talk(self, client, host, tls):
        fault = self.web.get(host)
        if fault == "silent":
            time.sleep(200)
        if fault == "reset-on-accept":
            return self.reset(client)
        if fault == "close-on-accept":
            return client.close()
        if tls and fault != "plain":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificates.get(host) or self.ca.issue([host]))
            context.set_alpn_protocols(["h2"] if str(fault).startswith("h2") else ["http/1.1"])
            client = context.wrap_socket(client, server_side=True)
        if str(fault).startswith("h2"):
            return self.http2(client, fault)
        if fault == "plain":
            client.recv(65536)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            return client.close()
        while True:
            request = self.request(client, host)
            if request is None:
                return
            if fault == "reset":
                return self.reset(client)
            if fault == "close":
                return client.close()
            answer = fault(request) if callable(fault) else None
            status, body, headers, cut = (list(answer) + [None, None])[:4] if answer else [404, b"not found", None, None]
            body = body.encode() if isinstance(body, str) else body
            fields = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body)), **(headers or {})}
            reason = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 410: "Gone",
                      429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
                      504: "Gateway Timeout", 418: "I'm a teapot", 405: "Method Not Allowed"}.get(status, "Status")
            head = f"HTTP/1.1 {status} {reason}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
            client.sendall(head.encode() + (body[:cut] if cut is not None else body))
            if cut is not None:
                return client.close()

    def request(self, client, host):
        data = b""
        while b"\r\n\r\n" not in data:
            more = client.recv(65536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        first, *fields = head.decode("latin1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {k.lower(): v for k, v in (f.split(": ", 1) for f in fields if ": " in f)}
        while len(body) < int(headers.get("content-length", 0)):
            body += client.recv(65536)
        if headers.get("transfer-encoding") == "chunked":
            while not body.endswith(b"0\r\n\r\n"):
                body += client.recv(65536)
            out, rest = b"", body
            while rest and not rest.startswith(b"0\r\n"):
                size, _, rest = rest.partition(b"\r\n")
                out, rest = out + rest[:int(size, 16)], rest[int(size, 16) + 2:]
            body = out
        return {"method": method, "path": path, "headers": headers, "body": body, "host": host}

    def reset(self, client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw = socket.socket(fileno=client.detach()) if isinstance(client, ssl.SSLSocket) else client
        raw.close()

    def http2(self, client, fault):
        frame = lambda kind, flags, stream, payload=b"": struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
        client.sendall(frame(4, 0, 0))
        time.sleep(0.3)
        client.recv(65536)
        if fault == "h2-reset":
            client.sendall(frame(3, 0, 1, struct.pack(">I", 2)))
        else:
            client.sendall(frame(7, 0, 0, struct.pack(">II", 1, 0)))
            time.sleep(0.2)
            return client.close()
        time.sleep(3)

    # -- HTTP proxies ----------------------------------------------------------------------------------------------
    def forward_proxy(self, answer, host="gateway.corp.example.com", port=3128):
        """A CONNECT proxy that gives this raw answer (bytes), resets, or closes."""
        where = self.names[host]
        self.address(where)
        listener = socket.socket()
        listener.bind((where, port))
        listener.listen(64)

        def loop():
            while True:
                client, _ = listener.accept()
                client.settimeout(5)
                try:
                    client.recv(65536)
                    if answer == "reset":
                        self.reset(client)
                    elif answer:
                        client.sendall(answer)
                    client.close()
                except OSError:
                    pass

        threading.Thread(target=loop, daemon=True).start()

    # -- modules ---------------------------------------------------------------------------------------------------
    def module(self, path, version, files, mod=None):
        prefix = f"{path}@{version}/"
        mod = mod if mod is not None else f"module {path}\n\ngo 1.19\n"
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as out:
            for name, text in {"go.mod": mod, **files}.items():
                out.writestr(zipfile.ZipInfo(prefix + name), text)
        self.modules.setdefault(path, {})[version] = {"mod": mod.encode(), "zip": data.getvalue()}

    def goproxy(self, override=None, latency=0):
        """A correct module proxy over `self.modules`; `override(path)` may answer first."""
        def answer(request):
            path = request["path"].split("?")[0]
            special = override(path) if override else None
            if special:
                return special
            if latency:
                time.sleep(latency)
            where, _, name = path.strip("/").partition("/@v/")
            where = where.removesuffix("/@latest").split("/")
            module = unescape("/".join(where[next((n for n, part in enumerate(where) if "." in part), 0):]))
            versions = self.modules.get(module)
            if versions is None:
                return 404, f"not found: module {module}: no such module"
            if name == "list":
                return 200, "\n".join(versions) + "\n"
            wanted = unescape(name.rsplit(".", 1)[0]) if name else sorted(versions)[-1]
            if wanted not in versions:
                return 404, f"not found: {module}@{wanted}: invalid version: unknown revision {wanted}"
            kind = name.rsplit(".", 1)[1] if name else "info"
            if kind == "info":
                return 200, json.dumps({"Version": wanted, "Time": "2024-01-02T03:04:05Z"}), {"Content-Type": "application/json"}
            return 200, versions[wanted][kind]
        return answer

    # -- checksum database -----------------------------------------------------------------------------------------
    def sumdb(self, records, name="sum.golang.org"):
        """A database with one key of its own; returns the GOSUMDB value and the handler. `records`: module@version -> text."""
        key = openssl("genpkey", "-algorithm", "ed25519")
        open(f"{self.work}/sumdb.key", "wb").write(key)
        public = openssl("pkey", "-in", f"{self.work}/sumdb.key", "-pubout", "-outform", "DER")[-32:]
        identity = hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]
        texts = list(records.values())
        leaves = [hashlib.sha256(b"\x00" + text.encode()).digest() for text in texts]

        def root(nodes):
            if len(nodes) == 1:
                return nodes[0]
            split = 1 << ((len(nodes) - 1).bit_length() - 1)
            return hashlib.sha256(b"\x01" + root(nodes[:split]) + root(nodes[split:])).digest()

        tree = f"go.sum database tree\n{len(leaves)}\n{base64.b64encode(root(leaves)).decode()}\n"
        open(f"{self.work}/tree", "w").write(tree)
        signature = openssl("pkeyutl", "-sign", "-inkey", f"{self.work}/sumdb.key", "-rawin", "-in", f"{self.work}/tree")
        note = f"{tree}\n\u2014 {name} {base64.b64encode(identity + signature).decode()}\n"

        def answer(request):
            path = re.sub(r"^/sumdb/[^/]+", "", request["path"])
            if path == "/supported":
                return 200, ""
            if path == "/latest":
                return 200, note
            if path.startswith("/lookup/"):
                wanted = unescape(path[len("/lookup/"):])
                if wanted not in records:
                    return 404, f"not found: {wanted}: invalid version: unknown revision {wanted.split('@')[1]}"
                at = list(records).index(wanted)
                return 200, f"{at}\n{texts[at]}\n{note}"
            if path.startswith("/tile/8/data/"):
                return 200, "\n".join(texts)
            if path.startswith("/tile/8/0/"):
                return 200, b"".join(leaves)
            return 404, "not found"

        verifier = "+".join([name, identity.hex(), base64.b64encode(b"\x01" + public).decode()])
        return verifier, answer

    # -- git and ssh -----------------------------------------------------------------------------------------------
    def repository(self, path, tags=("v1.0.0",), files=None, mod=None):
        """A bare repository under the web root of the rig."""
        bare, tree = f"{self.work}/git/{path}.git", f"{self.work}/tree.{time.monotonic_ns()}"
        os.makedirs(tree)
        self.project(where=tree, extra={"go.mod": mod or f"module github.com/{path}\n\ngo 1.19\n", "lib.go": "package lib\n", **(files or {})})
        identity = "-c user.name=dev -c user.email=dev@example.com"
        sh(f"cd {tree} && git init -q -b main . && git add -A && git {identity} commit -q -m one && " +
           " && ".join(f"git tag {tag}" for tag in tags or []) + (" && " if tags else "") + f"git clone -q --bare . {bare}")
        sh(f"git -C {bare} config http.receivepack false; chown -R root {bare}")
        return bare

    def git_http(self, request, cut=None):
        """git's own HTTP backend."""
        path, _, query = request["path"].partition("?")
        top, _, rest = path.lstrip("/").partition(".git") if ".git" in path else (None, None, None)
        if top is None:
            parts = path.strip("/").split("/")
            top, rest = "/".join(parts[:2]), "/" + "/".join(parts[2:])
        if not os.path.isdir(f"{self.work}/git/{top}.git"):
            return 404, "not found"
        env = {"GIT_PROJECT_ROOT": f"{self.work}/git", "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": f"/{top}.git{rest}", "QUERY_STRING": query,
               "REQUEST_METHOD": request["method"], "CONTENT_TYPE": request["headers"].get("content-type", ""), "PATH": os.environ["PATH"],
               "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
               "CONTENT_LENGTH": str(len(request["body"])), "GIT_PROTOCOL": request["headers"].get("git-protocol", "")}
        body = request["body"]
        if request["headers"].get("content-encoding") == "gzip":
            env["HTTP_CONTENT_ENCODING"] = "gzip"
        out = subprocess.run(["/usr/lib/git-core/git-http-backend"], input=body, env=env, capture_output=True).stdout
        head, _, body = out.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(fields.pop("Status", "200 OK").split()[0])
        if cut and request["path"].endswith("git-upload-pack") and len(body) > cut:
            return status, body, fields, cut
        return status, body, fields

    def ssh_server(self, host="github.com", port=22, options=""):
        where = self.names[host]
        self.address(where)
        base = f"{self.work}/sshd"
        os.makedirs(base, exist_ok=True)
        os.makedirs("/run/sshd", exist_ok=True)
        sh(f"[ -f {base}/key ] || ssh-keygen -q -t ed25519 -N '' -f {base}/key")
        with open(f"{base}/config", "w") as out:
            out.write(f"ListenAddress {where}:{port}\nHostKey {base}/key\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
                      f"UsePAM no\nStrictModes no\nPidFile {base}/pid\nAuthorizedKeysFile {base}/authorized\n{options}\n")
        self.children.append(subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", f"{base}/config"], stderr=subprocess.DEVNULL))
        time.sleep(0.5)
        return open(f"{base}/key.pub").read().split(" ")[:2]

    def close(self):
        for child in self.children:
            child.terminate()


def unescape(text):
    return re.sub(r"!(.)", lambda found: found[1].upper(), text.replace("%21", "!"))
