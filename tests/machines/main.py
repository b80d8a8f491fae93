"""From bare Debian machines to a running federation, by the guides alone: the package on real systemd, the sandbox on.

usage: main.py BIN_DIR BASE_FOLDER

Three machines get the package, and every command of deploy/INSTALL.md and deploy/TWO-CITIES.md is typed as it stands there. Then the backup of the
timer's unit, a lost machine and its restore, an upgrade, the way back, a third city and three stewards, removal and purge, as deploy/DAY-TWO.md says.
TOKEN, WORDS and ID are taken from what was printed, as a person would. exit codes: 0 as it should be, 1 not, 77 cannot run here
"""
import itertools
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

from machine import PATIENCE, Machine, Skipped, base, sh, switch

BIN, BASES = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
TOP = pathlib.Path(__file__).parents[2]
CITIES = {"strasbourg": "10.98.8.1", "kehl": "10.98.8.2", "esch": "10.98.8.3"}
# Who the guide's capital letters are at each city.
PEOPLE = {"OPERATOR": "anna", "COORDINATOR": "marie"}
DATA, BACKUPS = "/var/lib/havenlink", "/var/backups/havenlink"
failed = 0


def check(what, holds, seen=""):
    global failed
    print(f"  {what}" if holds else f"  FAILED {what}: {seen}")
    failed += not holds


def blocks(guide):
    """The commands of a guide, each with the city that its block names."""
    for kind, body in re.findall(r"```sh ?(\w*)\n(.*?)```", (TOP / "deploy" / guide).read_text(), re.S):
        for command in body.strip().splitlines():
            yield kind, command.strip()


def package(folder, version):
    """The package of these binaries, under a version."""
    environment = os.environ | {"HAVENLINK_VERSION": version, "HAVENLINK_DEB_COMPRESSION": "-Znone"}
    done = sh(str(TOP / "deploy" / "debian" / "build"), str(BIN), str(folder), env=environment)
    if done.returncode:
        raise SystemExit(f"no package: {done.stderr}")
    return pathlib.Path(done.stdout.strip())


class Typed:
    """One person at one city's keyboard."""

    def __init__(self, machine):
        self.machine, self.commands, self.recovery = machine, 0, None

    def __call__(self, command, typed="", user="root", fine=True):
        return self.shown(command, self.machine.run(command, typed, user), fine)

    def shown(self, command, done, fine=True):
        print(f"  {self.machine.name}$ {command}")
        said = (done.stdout + done.stderr).strip().splitlines()
        print("".join(f"      {line}\n" for line in said if "(Reading database" not in line), end="")
        if fine and done.returncode:
            raise SystemExit(f"{self.machine.name}: {command!r} ended with {done.returncode}")
        return done

    def eventually(self, command, holds=lambda done: done.returncode == 0):
        end = time.monotonic() + PATIENCE
        while not holds(done := self.machine.run(command)):
            if time.monotonic() > end:
                raise SystemExit(f"{self.machine.name}: waited for {command!r}: {done.stdout}{done.stderr}")
            time.sleep(0.1)
        return self.shown(command, done)


def install(city):
    """The guide from the package on, up to where it leads to the other guide."""
    for _, command in blocks("INSTALL.md"):
        if command.startswith("apt-get install"):
            city(command)
            check(f"{city.machine.name}: no node before a federation", city("systemctl is-active havenlink", fine=False).stdout == "inactive\n")
        elif command.startswith("usermod"):
            *words, who = command.split()
            city(f"useradd {PEOPLE[who]}")
            city(" ".join([*words, PEOPLE[who]]))


def first_alert():
    """TWO-CITIES.md as far as the first alert."""
    return itertools.takewhile(lambda block: block[0], blocks("TWO-CITIES.md"))


def third_city():
    """What Kehl and Strasbourg typed to be one federation, for Esch."""
    names = {"de-kehl": "lu-esch-sur-alzette", "de=Kehl": "fr=Esch", "kehl": "esch"}
    for name, command in first_alert():
        if "agreement" in command:
            return
        if "init" not in command and (name, command) != ("strasbourg", "systemctl start havenlink"):
            yield names.get(name, name), re.sub("|".join(names), lambda found: names[found.group(0)], command)


def walk(cities, commands):
    """Types what a guide says at the cities that it names; returns the commands that each needed, the service's start not counted."""
    known = {}
    for name, command in commands:
        city = cities[name]
        for word, value in known.items():
            command = re.sub(rf"\b{word}\b", value, command)
        city.commands += not command.startswith("systemctl")
        typed = known.get("WORDS", "") + "\n"
        if "alert list" in command:
            done = city.eventually(command, lambda done: "SUSPICIOUS" in done.stdout)
        elif re.search("agreement sign|alert publish", command):
            done = city.eventually(command)
        else:
            done = city(command, typed)
        if token := re.search(r"^hl1[a-z2-7]{20,}(\n[a-z2-7]+)*$", done.stdout, re.M):
            known["TOKEN"] = token.group(0)
        if key := re.search(r"AGE-SECRET-KEY-1\w+", done.stdout):
            city.recovery = key.group(0)
        for words in (line.rsplit(":", 1)[-1].split() for line in done.stdout.splitlines()):
            if "join" in command and len(words) == 6 and all(re.fullmatch("[a-z]{3,8}", word) for word in words):
                known["WORDS"] = " ".join(words)
        if "agreement propose" in command and (made := re.search(r"\b[0-9a-f]{64}\b", done.stdout)):
            known["ID"] = made.group(0)
    return {name: city.commands for name, city in cities.items() if city.commands}


def sandbox(city):
    """What the unit says holds for the process that runs."""
    for command in [command for _, command in blocks("INSTALL.md")][-4:]:
        # A doctor that warns says so by its exit code: this federation has one steward, and no backup yet.
        done = city(command, fine=False)
        check(f"{command} answers", done.returncode == 0 or (command == "havenctl doctor" and done.returncode == 1), done.stderr)
    status = city("cat /proc/$(systemctl show --property MainPID --value havenlink)/status").stdout
    user = city("id -u havenlink").stdout.strip()
    for what, line in [("its own user", rf"Uid:\t{user}\t{user}"), ("no privilege", r"CapEff:\t0+$"), ("calls filtered", r"Seccomp:\t2"), ("no new privilege", r"NoNewPrivs:\t1")]:
        check(f"the node has {what}", re.search(line, status, re.M), status)
    exposed = city("systemd-analyze security --no-pager havenlink.service | tail -1").stdout
    check("systemd finds it exposed by 1.5 at most", float(re.search(r"(\d+\.\d+)", exposed).group(1)) <= 1.5, exposed)
    said = city("systemd-analyze verify havenlink.service havenlink-backup.timer 2>&1", fine=False).stdout
    check("and nothing wrong in its units", "havenlink" not in said, said)
    doors = city("stat --format '%n %a %G' /run/havenlink/*.sock").stdout
    check("each door is its group's", all(f"{role}.sock 660 havenlink-{role}\n" in doors for role in ("operator", "coordinator", "consumer")), doors)
    check("a coordinator reads the alerts", city("havenctl alert list", user=PEOPLE["COORDINATOR"]).returncode == 0)
    refused = city("havenctl status", user="nobody", fine=False)
    check("who is in no group does not", refused.returncode == 3, refused)
    check("the journal has what the node says", city("journalctl --unit havenlink --output cat").stdout.strip())


def audited(city, other):
    """The ledger of one city, verified by somebody with the keys that another one's register has; as DAY-TWO.md says."""
    export, shown, verify = [command for _, command in blocks("DAY-TWO.md") if "ledger.jsonl" in command or "keys.json" in command]
    keys = other(shown.split(" > ")[0].replace("AUTHORITY", "de-kehl")).stdout
    city("cat > keys.json", typed=keys)
    verify = verify.replace(" --seen EARLIER", "")
    young = city(f"{export} && {verify}", fine=False)
    check("a ledger of which nothing is signed yet is not called damaged", "DAMAGED" not in young.stdout, young)
    # A node signs once a minute.
    verified = city.eventually(f"{export} && {verify}")
    check("the package's auditor finds the ledger whole", "consistent with itself: de-kehl" in verified.stdout, verified)
    check("and has its manual page", city("ls /usr/share/man/man1/havenlink-audit.1.gz", fine=False).returncode == 0)


def backup(city):
    """By the unit that the timer starts."""
    check("the timer waits", city("systemctl is-active havenlink-backup.timer").stdout == "active\n")
    city("systemctl start havenlink-backup.service || ! journalctl --unit havenlink-backup --output cat")
    newest = city(f"ls {BACKUPS} | tail -1").stdout.strip()
    check("the backup is sealed", city(f"head -c 21 {BACKUPS}/{newest}").stdout == "age-encryption.org/v1", newest)
    return newest


def alert(cities, summary):
    """Strasbourg tells Kehl."""
    publish = next(command for _, command in blocks("TWO-CITIES.md") if "alert publish" in command)
    cities["strasbourg"].eventually(re.sub('"en:.*"', f'"en:{summary}"', publish))
    cities["kehl"].eventually("havenctl alert list", lambda done: summary in done.stdout)


def lost(city):
    """The disk with its data is gone; the machine, its node.toml and the backups are there."""
    city(f"systemctl stop havenlink && rm -r {DATA}/*")
    city(f"havenlink restore {BACKUPS} --identity -", typed=f"{city.recovery}\n")
    city("systemctl start havenlink")
    city.eventually("havenctl agreement confirm --yes && havenctl agreement list | grep IN_FORCE")


def newer_and_back(city):
    before = set(city(f"ls {BACKUPS}").stdout.split())
    city("apt-get install ./havenlink_0.1.1_amd64.deb")
    made = set(city(f"ls {BACKUPS}").stdout.split()) - before
    check("an upgrade makes a backup first", len(made) == 1, made)
    check("and goes on where it was", city("systemctl is-active havenlink").stdout == "active\n")
    return made.pop()


def way_back(city, file):
    city("systemctl stop havenlink")
    city("apt-get install --allow-downgrades --yes ./havenlink_0.1.0_amd64.deb")
    city(f"havenlink restore {BACKUPS}/{file} --identity -", typed=f"{city.recovery}\n")
    city("systemctl start havenlink")
    city.eventually("havenctl agreement confirm --yes && havenctl agreement list | grep IN_FORCE")


def three_stewards(cities):
    """As the guide says: on one day, each with a sealed backup made. The second promotion wants the other steward's signature."""
    walk(cities, third_city())
    for city in cities.values():
        city("systemctl start havenlink-backup.service")
    guide = (TOP / "deploy" / "TWO-CITIES.md").read_text().split("## Three stewards")[1]
    first, second = re.search(r"```sh\n(.*?)```", guide, re.S).group(1).strip().splitlines()
    # Where nobody is at a terminal, the act is confirmed on the line.
    for name, command in [("strasbourg", first), ("strasbourg", second), ("kehl", second)]:
        cities[name].eventually(f"{command} --yes")
    def three(done):
        return done.returncode == 0 and len(json.loads(done.stdout)["stewards"]) == 3

    for city in cities.values():
        city.eventually("havenctl status -o json", three)


def away(city):
    """Removal and purge: keys, records and backups stay."""
    keys = f"sha256sum {DATA}/authority.key && ls {BACKUPS}"
    before = city(keys).stdout
    for word, configuration in [("remove", 0), ("purge", 2)]:
        city(f"apt-get {word} --yes havenlink")
        check(f"after {word} the node is gone", city("systemctl is-active havenlink; command -v havenlink", fine=False).returncode != 0)
        check(f"after {word} node.toml is {'gone' if configuration else 'there'}", city("ls /etc/havenlink/node.toml", fine=False).returncode == configuration)
        check(f"after {word} keys and backups are there", city(keys).stdout == before)


def story(root, network):
    started = time.monotonic()
    system = base(BASES)
    root_of = {name: Machine(root, system, name, address, CITIES) for name, address in CITIES.items()}
    try:
        for machine in root_of.values():
            machine.booted()
            machine.cable(network)
        print(f"machines stand after {time.monotonic() - started:.0f} s")
        for version in ("0.1.0", "0.1.1"):
            deb = package(root, version)
            for machine in root_of.values():
                machine.put(deb)
        cities = {name: Typed(machine) for name, machine in root_of.items()}
        begun = sum(machine.seconds() for machine in root_of.values())
        for city in cities.values():
            install(city)
        counted = walk(cities, first_alert())
        took = sum(machine.seconds() for machine in root_of.values()) - begun
        check(f"package to first alert: {counted} commands, {took:.0f} s of machine time", max(counted.values()) <= 6 and took <= 60, took)
        sandbox(cities["kehl"])
        audited(cities["kehl"], cities["strasbourg"])
        backup(cities["kehl"])
        lost(cities["kehl"])
        alert(cities, "After the restore.")
        file = newer_and_back(cities["kehl"])
        alert(cities, "After the upgrade.")
        way_back(cities["kehl"], file)
        alert(cities, "After the way back.")
        three_stewards(cities)
        away(cities["kehl"])
    finally:
        for machine in root_of.values():
            machine.off()


if os.geteuid() != 0 or not shutil.which("dh"):
    print("skipped: needs root and debhelper")
    sys.exit(77)
with tempfile.TemporaryDirectory(prefix="havenlink-machines-", ignore_cleanup_errors=True) as folder:
    try:
        with switch() as network:
            story(pathlib.Path(folder), network)
    except Skipped as why:
        print(f"skipped: {why}")
        sys.exit(77)
sys.exit(1 if failed else 0)
