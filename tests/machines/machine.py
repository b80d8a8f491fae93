"""Debian machines with a systemd of their own, where none runs outside: namespaces, a layer over what debootstrap made, a cable each.

What is in a machine stays in it: its own processes, network, devices, cgroup. It is switched off by ending its init.
"""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import time

# Longest wait for anything, in seconds.
PATIENCE = 120
INCLUDED = "procps,systemd,systemd-sysv,systemd-timesyncd,dbus,iproute2,ca-certificates"
BOOT = """
set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$LAYER/upper,workdir=$LAYER/work" "$LAYER/root"
cd "$LAYER/root"
mount -t proc proc proc
mount -t sysfs sys sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for device in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"; done
mknod -m 666 dev/tty c 5 0
exec env -i container=namespaces PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /sbin/init
"""


class Skipped(Exception):
    """What this machine cannot do."""


def sh(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, **more)


def base(folder):
    """The system under every machine, made once and then kept."""
    made = folder / "bookworm"
    if made.exists():
        return made
    if not shutil.which("debootstrap"):
        raise Skipped("needs debootstrap")
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / "bookworm.half"
    shutil.rmtree(half, ignore_errors=True)
    done = sh("debootstrap", "--variant=minbase", f"--include={INCLUDED}", "bookworm", str(half))
    if done.returncode != 0:
        raise Skipped("debootstrap did not get Debian: " + (done.stdout + done.stderr).strip().splitlines()[-1])
    half.rename(made)
    return made


def cgroup_of(name):
    """A cgroup of its own for a machine, whose systemd takes it for the root."""
    mounts = (line.split() for line in pathlib.Path("/proc/mounts").read_text().splitlines())
    place = next((pathlib.Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)
    if place is None:
        raise Skipped("needs cgroups, version 2")
    group = place / f"havenlink-{name}"
    group.mkdir(exist_ok=True)
    return group


@contextlib.contextmanager
def switch(name="hlm-switch"):
    """What the cables lead to: a bridge in a namespace of its own."""
    sh("ip", "netns", "del", name)
    if any(sh("ip", *words).returncode for words in (
        ["netns", "add", name], ["-n", name, "link", "add", "bridge", "type", "bridge"], ["-n", name, "link", "set", "bridge", "up"]
    )):
        raise Skipped("needs network namespaces and a bridge")
    try:
        yield name
    finally:
        sh("ip", "netns", "del", name)


class Machine:
    def __init__(self, root, base, name, address, hosts):
        self.name, self.address, self.pid = name, address, None
        self.layer, self.group = root / name, cgroup_of(name)
        for folder in ("upper/etc", "upper/root", "work", "root"):
            (self.layer / folder).mkdir(parents=True)
        etc = self.layer / "upper" / "etc"
        (etc / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{a} {n}.example\n" for n, a in hosts.items()))
        (etc / "hostname").write_text(f"{name}\n")
        (etc / "machine-id").write_text("")
        environment = os.environ | {"BASE": str(base), "LAYER": str(self.layer)}
        enter = f'echo $$ >"{self.group}/cgroup.procs" && exec unshare --mount --pid --fork --uts --ipc --net --cgroup sh -c "$0"'
        quiet = {"stdin": subprocess.DEVNULL, "stdout": open(self.layer / "console", "w"), "stderr": subprocess.STDOUT}
        self.outside = subprocess.Popen(["sh", "-c", enter, BOOT], env=environment, **quiet)

    def booted(self):
        """Waits for its systemd; why it does not come stands on its console."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.outside.poll() is None:
            children = pathlib.Path(f"/proc/{self.outside.pid}/task/{self.outside.pid}/children").read_text().split()
            self.pid = children[0] if children else None
            if self.pid and self.run("systemctl is-system-running").stdout.strip() in ("running", "degraded"):
                return
            time.sleep(0.1)
        raise Skipped(f"no systemd in namespaces here: {(self.layer / 'console').read_text()[-300:]}")

    def cable(self, switch):
        """From its one socket to the switch, with its address."""
        made = sh("ip", "link", "add", "eth0", "netns", self.pid, "type", "veth", "peer", "name", self.name, "netns", switch)
        ends = [sh("ip", "-n", switch, "link", "set", self.name, *words) for words in (["master", "bridge"], ["up"])]
        ends.append(self.run(f"ip address add {self.address}/24 dev eth0 && ip link set eth0 up && ip link set lo up"))
        for done in (made, *ends):
            if done.returncode:
                raise Skipped(f"no network between machines here: {done.stderr}")

    def run(self, command, typed="", user="root"):
        """A line typed into a shell of the machine, in /root."""
        inside = ["nsenter", "-t", self.pid, "-m", "-p", "-u", "-i", "-n", "-r", "-w", "--"]
        login = ["runuser", "-u", user, "--"] if user != "root" else []
        clean = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]
        # What is typed counts as the machine's own time; beside systemd's groups, which may have no process between them.
        typed_at = self.group / "typed"
        typed_at.mkdir(exist_ok=True)
        counted = ["sh", "-c", f'echo $$ >"{typed_at}/cgroup.procs"; exec "$@"', "sh"]
        line = [*counted, *inside, *clean, *login, "sh", "-c", f"cd /root 2>/dev/null; {command}"]
        return subprocess.run(line, input=typed, capture_output=True, text=True, timeout=300)

    def put(self, file):
        """Into its /root, as if it had been downloaded."""
        shutil.copy(file, f"/proc/{self.pid}/root/root/")

    def seconds(self):
        """Processor time that it has taken, in all."""
        used = re.search(r"usage_usec (\d+)", (self.group / "cpu.stat").read_text())
        return int(used.group(1)) / 1e6

    def off(self):
        """Pulls the plug, and takes away what was the machine."""
        if self.pid:
            sh("kill", "-9", self.pid)
        else:
            self.outside.kill()
        self.outside.wait()
        for _ in range(100):
            try:
                self.group.rmdir()
                return
            except OSError:
                # Its processes end one after the other; systemd's own groups lie below.
                for below in sorted(self.group.rglob("*/"), reverse=True):
                    sh("rmdir", str(below))
                time.sleep(0.1)
