"""Federations of real nodes, founded once per shape and copied for each case."""
import re
import shutil
import subprocess
import time

from city import HERE, City, first

NAMES = ["fr-strasbourg", "de-kehl", "lu-esch"]
# So many changes lie between two snapshots of the register: a log is purged after a few of them.
SNAPSHOTS = 8


def until(what, seconds, ask, pause=0.2):
    """Asks until there is an answer. Raises when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(pause)
    raise RuntimeError(f"waited {seconds} s for: {what}")


class World:
    """Cities that run; the first `stewards` of them keep the register."""

    def __init__(self, root, cities, stewards, binaries, base_port, network=None):
        self.root, self.stewards, self.binaries, self.base_port = root, stewards, binaries, base_port
        root.mkdir(parents=True, exist_ok=True)
        self.cities = [City(root, NAMES[n], f"127.0.0.1:{base_port + n}", binaries, network) for n in range(cities)]
        # What was printed, how many bad days it has had, how far true time has gone on, who ended its agreements, what is mounted.
        self.notes, self.days, self.moved, self.ended, self.mounts = [], 0, 0, set(), []

    def start(self):
        for city in self.cities:
            city.start()

    def stop(self):
        for city in self.cities:
            city.stop()

    def end(self):
        """Leaves nothing that runs or is mounted."""
        self.stop()
        for place in self.mounts:
            subprocess.run(["umount", "-l", place], check=False)

    def say(self, what):
        self.notes.append(what)

    def pairs(self):
        return [(a, b) for a in self.cities for b in self.cities if a is not b]


def shim(folder):
    """The clock as a library. Raises when there is no C compiler."""
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", folder / "clock.so", HERE / "clock.c", "-ldl"], check=True)


def found(world):
    """Founds it as its operators would: invitation, six words, agreements with everybody."""
    head, *others = world.cities
    head.must(f"havenlink init --name {head.name} --snapshot-interval {SNAPSHOTS}")
    head.start()
    for other in others:
        token = until("an invitation", 30, lambda: first(r"hl1[a-z2-7\n]+", head.sh(f"havenctl invite create --for {other.authority}").out))
        joined = other.must(f"havenlink join '{token}' --name {other.name}")
        words = re.search(r"((?:[a-z]{3,8} ){5}[a-z]{3,8})\s*$", joined.out, re.M).group(1)
        other.start()
        until(f"{other.authority} is admitted", 60,
              lambda: head.sh(f"havenctl member approve {other.authority}", words + "\n").code == 0 or member(head, other))
        until(f"{other.authority} is ready", 60, lambda: "good standing" in other.sh("havenctl doctor").out)
    for number in range(1, world.stewards):
        promote(world, world.cities[number])
    for n, a in enumerate(world.cities):
        for b in world.cities[n + 1:]:
            agree(a, b)
    for city in world.cities:
        city.must(f"havenlink backup {city.dir}/backups")


def member(city, other):
    return other.authority in city.sh("havenctl member list").out


def promote(world, city):
    for steward in world.cities[:world.stewards]:
        steward.sh(f"havenctl steward promote {city.authority} --yes || havenctl steward promote {city.authority}")
        if city.authority in steward.sh("havenctl steward list").out:
            break
    until(f"{city.authority} votes", 60, lambda: votes(city))


def votes(city):
    return city.sh("havenctl status -o json").json().get("votes") is True


def agree(a, b):
    until(f"{a.authority} knows {b.authority}", 30, lambda: member(a, b) and member(b, a))
    made = a.must(f"havenctl agreement propose {b.authority} --share alerts --share practices --both-ways --until 700d")
    number = first(r"[0-9a-f]{64}", made.out)
    until("the agreement is signed", 30, lambda: b.sh(f"havenctl agreement sign {number}", "y\n").code == 0)


def copied(template, root, network):
    """The same federation in another folder and network, its nodes not started. The template's nodes are stopped."""
    shutil.copytree(template.root, root, symlinks=True, ignore=shutil.ignore_patterns("*.sock", "node.pid", "node.log"))
    # What names the place where backups lie: no case writes into another's.
    for noted in root.glob("*/data/last-backup-folder"):
        noted.write_text(noted.read_text().replace(str(template.root), str(root)))
    return World(root, len(template.cities), template.stewards, template.binaries, template.base_port, network)
