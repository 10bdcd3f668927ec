#!/usr/bin/env python3
"""Makes the produced part of the test set again.

    GO_DISTS=DIR python3 produce.py [LABEL[/NAME] ...]

DIR holds Go releases as DIR/1.26/bin/go and so on; a scenario whose release is missing is skipped. Needs root (for
namespaces), git, ssh, sshd, curl, openssl, dig, proxychains4. Nothing leaves the machine: every scenario runs in a network
namespace of its own. Texts are scrubbed and written to ../<label>/<name>.txt, rows of ../manifest.tsv are replaced.
"""

import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
sys.path.insert(0, HERE)


def scenarios():
    import scenarios as first
    import scenarios_more  # registers itself with the first
    return first.ALL, scenarios_more


def scrub(text, work):
    text = text.replace(os.path.realpath(work), "/srv").replace(work, "/srv")
    text = re.sub(r"(?<=[ (])(?:\d+\.){3}\d+:(\d{4,5})->((?:\d+\.){3}\d+:(?:443|80|53|3128))", r"192.168.1.23:\1->\2", text)
    text = re.sub(r"/tmp/go-build\d+", "/tmp/go-build1234567890", text)
    return text.strip("\n") + "\n" if text.strip() else ""


def inside(key):
    """Runs one scenario; we are in the namespaces already."""
    from rig import Rig
    everything, _ = scenarios()
    item = next(s for s in everything if f"{s['label']}/{s['name']}" == key)
    go = os.path.join(os.environ["GO_DISTS"], item["go"])
    os.environ["GO_RELEASE"] = item["go"]
    with tempfile.TemporaryDirectory(prefix="rig") as work:
        os.chmod(work, 0o755)
        rig = Rig(go, work)
        try:
            text = item["run"](rig)
        finally:
            rig.close()
        sys.stdout.write(scrub(text, work))


def one(item):
    key = f"{item['label']}/{item['name']}"
    if not os.path.exists(os.path.join(os.environ["GO_DISTS"], item["go"], "bin/go")):
        return key, None, f"Go {item['go']} is not there"
    done = subprocess.run(["unshare", "-n", "-m", sys.executable, __file__, "--inside", key], capture_output=True, text=True, timeout=400)
    return key, done.stdout, done.stderr


def main():
    if sys.argv[1:2] == ["--inside"]:
        return inside(sys.argv[2])
    everything, _ = scenarios()
    wanted = sys.argv[1:]
    chosen = [s for s in everything if not wanted or s["label"] in wanted or f"{s['label']}/{s['name']}" in wanted]
    manifest = os.path.join(TOP, "manifest.tsv")
    rows = dict(line.split("\t", 1) for line in open(manifest).read().splitlines() if not line.startswith("#")) if os.path.exists(manifest) else {}
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "6"))) as pool:
        for item, (key, text, error) in zip(chosen, pool.map(one, chosen)):
            if not text:
                print(f"{key}: no text: {error.strip().splitlines()[-1:] if error else ''}", file=sys.stderr)
                continue
            os.makedirs(os.path.join(TOP, item["label"]), exist_ok=True)
            with open(os.path.join(TOP, key + ".txt"), "w") as out:
                out.write(text)
            tool = item["tool"] if item["tool"] != "go" else f"go {item['go']}"
            rows[f"{key}.txt"] = f"{item['label']}\t{tool}\tproduced"
    with open(manifest, "w") as out:
        out.write("# file\tlabel\ttool\torigin\n")
        for name in sorted(rows):
            out.write(f"{name}\t{rows[name]}\n")


if __name__ == "__main__":
    main()
