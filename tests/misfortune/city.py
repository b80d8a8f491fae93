"""One city of the matrix: its folder, its clock, and a shell as its operator has it."""
import dataclasses
import json
import os
import pathlib
import re
import signal
import struct
import subprocess

HERE = pathlib.Path(__file__).parent
# Longest that any one command may take, in seconds.
PATIENCE = 60


@dataclasses.dataclass
class Done:
    """What a command came to."""
    city: str
    command: str
    code: int
    out: str
    err: str

    @property
    def text(self):
        return self.out + self.err

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError:
            return {}


class City:
    def __init__(self, root, authority, address, binaries, network):
        self.authority, self.address = authority, address
        self.inside = [] if network is None else ["nsenter", f"--net=/run/netns/{network}"]
        # Whether its data directory is a disk of its own.
        self.mounted = False
        self.dir = pathlib.Path(root) / authority
        for folder in ("data", "run", "etc", "backups"):
            (self.dir / folder).mkdir(parents=True, exist_ok=True)
        self.clock_file = self.dir / "clock"
        if not self.clock_file.exists():
            self.set_clock(0)
        country, name = authority.split("-", 1)
        config = f'authority = "{authority}"\n'
        (self.dir / "etc" / "node.toml").write_text(config)
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("HAVENLINK_", "OTEL_"))}
        self.env = keep | {
            "PATH": f"{HERE}:{binaries}:{os.environ['PATH']}",
            "CITY_DIR": str(self.dir),
            "HAVENLINK_CONFIG": str(self.dir / "etc" / "node.toml"),
            "HAVENLINK_AUTHORITY": authority,
            "HAVENLINK_DATA_DIR": str(self.dir / "data"),
            "HAVENLINK_RUN_DIR": str(self.dir / "run"),
            "HAVENLINK_SOCKETS": str(self.dir / "run"),
            "HAVENLINK_HTTP": "off",
            "HAVENLINK_LISTEN": address,
            "HAVENLINK_ENDPOINTS": address,
            "NO_COLOR": "1",
            "LD_PRELOAD": str(pathlib.Path(root).parent / "clock.so"),
            "CLOCK_FILE": str(self.clock_file),
        }
        self.name = f"{country}={name.title()}"

    def move(self, address):
        """Its machine has another address from its next start on."""
        self.address = address
        self.env |= {"HAVENLINK_LISTEN": address, "HAVENLINK_ENDPOINTS": address}

    def sh(self, command, typed="", env=None):
        """A line, as it is typed; whatever it left behind after its time goes with it."""
        shell = subprocess.Popen([*self.inside, "sh", "-c", command], env=self.env | (env or {}), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, cwd=self.dir, start_new_session=True)
        try:
            out, err = shell.communicate(typed, timeout=PATIENCE)
            # The recovery key that is printed once goes into the town hall's safe.
            if secret := re.search(r"AGE-SECRET-KEY-1\S+", out):
                self.safe.write_text(secret.group(0) + "\n")
            return Done(self.authority, command, shell.returncode, out, err)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.communicate()
            return Done(self.authority, command, 124, "", f"no answer in {PATIENCE} s")

    @property
    def safe(self):
        return self.dir / "safe"

    def typed(self, command):
        """What a person types when asked: the recovery key from the safe, or yes."""
        return self.safe.read_text() if "--identity -" in command and self.safe.exists() else "y\n" * 3

    def must(self, command, typed=""):
        done = self.sh(command, typed)
        if done.code != 0:
            raise RuntimeError(f"{self.authority}$ {command}: ended with {done.code}\n{done.text}")
        return done

    def set_clock(self, seconds):
        """How far its wall clock is off, in seconds, from now on."""
        with open(self.clock_file, "r+b" if self.clock_file.exists() else "w+b") as file:
            file.write(struct.pack("<q", seconds))
            file.flush()

    def clock(self):
        return struct.unpack("<q", self.clock_file.read_bytes())[0]

    def start(self):
        self.sh("systemctl start havenlink")

    def stop(self):
        self.sh("systemctl stop havenlink")

    def runs(self):
        try:
            pid = int((self.dir / "node.pid").read_text())
            os.kill(pid, 0)
            # A process that ended and that nobody waited for is not one that runs.
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except (OSError, ValueError):
            return False

    def log(self, most=4_000):
        """The end of what the node wrote."""
        path = self.dir / "node.log"
        return path.read_text(errors="replace")[-most:] if path.exists() else ""

    def doctor(self):
        """Its checks, by name; none when it does not answer."""
        done = self.sh("havenctl doctor -o json")
        checks = done.json().get("checks") or []
        return done, {check.get("name"): check for check in checks}


def first(pattern, text):
    found = re.search(pattern, text)
    return found.group(0) if found else None
