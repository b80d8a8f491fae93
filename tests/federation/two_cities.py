"""Runs the commands of deploy/TWO-CITIES.md, one by one, in two network namespaces, and counts them.

usage: two_cities.py BIN_DIR

Each city has a namespace, a host name, a folder, and the binaries; nothing else. Blocks marked `sh strasbourg` and
`sh kehl` are run as they stand. TOKEN, ID and the six words are taken from what the commands before them printed, as a
person would. At most five commands per city until the partners are connected, the service start not counted; no file is
edited. exit codes: 0 as it should be, 1 not, 77 cannot run here (needs root and network namespaces)
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BIN = pathlib.Path(sys.argv[1]).resolve()
GUIDE = pathlib.Path(__file__).parents[2] / "deploy" / "TWO-CITIES.md"
# Longest wait for anything, in seconds; and the exit code of havenctl where a node does not answer, or not yet.
PATIENCE, UNAVAILABLE = 60, 6
CITIES = {"strasbourg": "10.98.7.1", "kehl": "10.98.7.2"}


def sh(*command):
    return subprocess.run(command, capture_output=True, text=True)


class City:
    def __init__(self, root, name):
        self.name, self.ns, self.dir = name, f"hl-{name}", root / name
        self.node, self.commands = None, 0
        for folder in ("data", "run", "etc"):
            (self.dir / folder).mkdir(parents=True)
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("HAVENLINK_", "OTEL_"))}
        self.env = keep | {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HAVENLINK_CONFIG": str(self.dir / "etc" / "node.toml"),
            "HAVENLINK_DATA_DIR": str(self.dir / "data"),
            "HAVENLINK_RUN_DIR": str(self.dir / "run"),
            "HAVENLINK_SOCKETS": str(self.dir / "run"),
        }

    def inside(self, command):
        return ["ip", "netns", "exec", self.ns, "sh", "-c", command]

    def start(self):
        log = open(self.dir / "node.log", "ab")
        self.node = subprocess.Popen(self.inside("exec havenlink run"), env=self.env, stdout=log, stderr=log)

    def run(self, command, typed=""):
        done = subprocess.run(self.inside(command), env=self.env, input=typed, capture_output=True, text=True, timeout=120)
        print(f"  {self.name}$ {command}")
        for line in (done.stdout + done.stderr).strip().splitlines():
            print(f"      {line}")
        return done


def blocks():
    text = GUIDE.read_text()
    for city, body in re.findall(r"```sh (\w+)\n(.*?)```", text, re.S):
        for command in body.strip().splitlines():
            yield city, command.strip()


def eventually(what, deadline, ask):
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if value := ask():
            return value
        time.sleep(0.05)
    raise SystemExit(f"waited {deadline} s for: {what}")


def network():
    made = [sh("ip", "netns", "add", f"hl-{n}") for n in CITIES]
    made.append(sh("ip", "link", "add", "hl-s", "type", "veth", "peer", "name", "hl-k"))
    for (name, address), link in zip(CITIES.items(), ("hl-s", "hl-k")):
        made.append(sh("ip", "link", "set", link, "netns", f"hl-{name}"))
        for args in (["addr", "add", f"{address}/24", "dev", link], ["link", "set", link, "up"], ["link", "set", "lo", "up"]):
            made.append(sh("ip", "-n", f"hl-{name}", *args))
        etc = pathlib.Path(f"/etc/netns/hl-{name}")
        etc.mkdir(parents=True, exist_ok=True)
        (etc / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{a} {n}.example\n" for n, a in CITIES.items()))
    return all(m.returncode == 0 for m in made)


def away():
    for name in CITIES:
        sh("ip", "netns", "del", f"hl-{name}")
        shutil.rmtree(f"/etc/netns/hl-{name}", ignore_errors=True)


def play(cities):
    known = {}
    connected_at = None
    for name, command in blocks():
        city = cities[name]
        if command.startswith("systemctl start"):
            city.start()
            eventually("the node's socket", PATIENCE, lambda: (city.dir / "run" / "operator.sock").exists())
            continue
        for word, value in known.items():
            command = command.replace(word, value)
        typed = known.get("WORDS", "") + "\n"
        city.commands += 1
        if "alert list" in command:
            done = eventually("the alert at Kehl", PATIENCE, lambda: (d := city.run(command)).stdout.count("SUSPICIOUS") and d)
        elif "agreement sign" in command:
            done = eventually("the proposal at Kehl", PATIENCE, lambda: (d := city.run(command, typed)).returncode == 0 and d)
            connected_at = {n: c.commands for n, c in cities.items()}
        elif "member approve" in command:
            done = city.run(command, typed)
            known.pop("WORDS", None)
        elif "invite create" in command:
            # The socket's file is there a moment before anybody answers on it.
            done = eventually("the node answers", PATIENCE, lambda: (d := city.run(command)).returncode != UNAVAILABLE and d)
        elif "alert publish" in command:
            done = eventually("the agreement in force", PATIENCE, lambda: (d := city.run(command)).returncode == 0 and d)
        else:
            done = city.run(command, typed)
        if done.returncode != 0:
            raise SystemExit(f"{name}: {command!r} ended with {done.returncode}")
        if token := re.search(r"^hl1[a-z2-7]{20,}(\n[a-z2-7]+)*$", done.stdout, re.M):
            known["TOKEN"] = token.group(0)
        for line in done.stdout.splitlines():
            words = line.rsplit(":", 1)[-1].split()
            if "join" in command and len(words) == 6 and all(re.fullmatch("[a-z]{3,8}", w) for w in words):
                known["WORDS"] = " ".join(words)
        if "agreement propose" in command and (made := re.search(r"\b[0-9a-f]{64}\b", done.stdout)):
            known["ID"] = made.group(0)
    return connected_at


if os.geteuid() != 0 or not shutil.which("ip"):
    print("skipped: needs root and network namespaces")
    sys.exit(77)
away()
if not network():
    away()
    print("skipped: needs network namespaces")
    sys.exit(77)
root = pathlib.Path(tempfile.mkdtemp(prefix="havenlink-two-"))
cities = {name: City(root, name) for name in CITIES}
try:
    counted = play(cities)
finally:
    for city in cities.values():
        if city.node:
            city.node.send_signal(signal.SIGTERM)
            try:
                city.node.wait(15)
            except subprocess.TimeoutExpired:
                city.node.kill()
    away()
print(f"commands until connected: {counted}")
if not counted or max(counted.values()) > 5:
    sys.exit("more than five commands")
shutil.rmtree(root)
print("two cities, from the binary alone: connected, published, received")
