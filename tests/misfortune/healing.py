"""Whether a federation is well, and what brings it back: only commands that the programs printed, run as they stand.

Nothing here knows what happened. One parser reads what a command, a node's last words or its doctor say; a command with a placeholder
in it is not one that can be run as it stands.
"""
import dataclasses
import re
import time

# How long a federation may take to heal by itself, and how long in all, in seconds.
BY_ITSELF, IN_ALL = 25, 120
# Advice stands in a doctor's remedy, and behind these words of an error; it ends where the next clause begins. At another desk:
# "at de-kehl: havenctl …".
ADVICE = re.compile(r"^\s*(?:fix|first|next:|check:)\s+(.*)$", re.M)
COMMAND = re.compile(r"(?:\bat ([a-z]{2}-[a-z-]+): )?\b((?:havenctl|havenlink|systemctl) [a-z][^,;\n]*?)(?=[,;\n]|: |\.(?:\s|$)| {3}"
                     r"| (?:shows|tells|names|asks|agrees|makes|recomputes|keeps|lets|and|then|with the|for an?|with (?:that|the|a))\b|$)")
PLACEHOLDER = re.compile(r"(?<![A-Za-z0-9-])(?:[A-Z]{2,}(?:-[A-Z]+)*|…)(?![A-Za-z0-9])")
# The words by which a program says that a person has to decide; what it offers stands behind them.
DECISION = re.compile(r"\b(?:your decision|decide between)\b", re.I)
SUMMARY = "en:Leaflets promise kitchen work with lodging; the papers are kept."


@dataclasses.dataclass
class Result:
    """How a case ended."""
    ending: str
    seconds: float
    ran: list
    left: list


def publish(a, b):
    return a.sh(f"havenctl alert publish --to {b.authority} --kind SUSPICIOUS_ADVERTISING --channel LEAFLET --place NUTS:FRF11 "
                f"--indicator ilo11:2 --basis OBSERVED --tlp GREEN --summary '{SUMMARY}' -o json")


def commands(text, own):
    """Every command that a text advises, with the city at whose desk it is typed."""
    for line in ADVICE.findall(text):
        for city, command in COMMAND.findall(line):
            command = command.strip().rstrip(".")
            if not PLACEHOLDER.search(command):
                yield city or own, command


def same(command):
    """A repeated call is the same advice, whatever its request id."""
    return re.sub(r" --request-id \S+", "", command)


class Doctor:
    """Looks at a federation, and knows what was wrong with it before."""

    def __init__(self, world):
        self.world = world
        self.before = self.findings()

    def findings(self):
        found = set()
        for city in self.world.cities:
            done, checks = city.doctor()
            if not checks:
                found.add((city.authority, "answers", "no"))
            found |= {(city.authority, name, check["result"]) for name, check in checks.items()
                      if short(check["result"]) in ("CRITICAL", "WARNING")}
        return found

    def new(self):
        """What the event caused: whatever was not there before, and all that is critical."""
        return {f for f in self.findings() if f not in self.before or short(f[2]) == "CRITICAL"}

    def examine(self, quick):
        """What is not well, in words that hold commands; empty when all is."""
        wrong = []
        for city in self.world.cities:
            if not city.runs():
                wrong.append((city.authority, "the node does not run: " + city.log(1_500)))
        if wrong and quick:
            return wrong
        wrong += self.register()
        wrong += self.alerts()
        if wrong and quick:
            return wrong
        for name in sorted(self.new()):
            city = next(c for c in self.world.cities if c.authority == name[0])
            done, checks = city.doctor()
            check = checks.get(name[1])
            text = f"{name[1]}: {check['finding']}\nfix  {check.get('remedy', '')}" if check else done.text
            wrong.append((city.authority, text))
        return wrong

    def register(self):
        wrong = []
        for city in self.world.cities[:1] + self.world.cities[-1:]:
            done = city.sh(f"havenctl node update --endpoint {city.address} --timeout 10s")
            if done.code != 0:
                wrong.append((city.authority, "a change is not decided: " + done.text))
        return wrong

    def alerts(self):
        sent, wrong = {}, []
        for a, b in self.world.pairs():
            if frozenset((a.authority, b.authority)) in self.world.ended:
                continue
            done = publish(a, b)
            record = done.json().get("recordId") or done.json().get("record_id")
            if done.code != 0 or not record:
                wrong.append((a.authority, "an alert is not taken: " + done.text))
            else:
                sent[(a, b.authority, record)] = "QUEUED"
        end = time.monotonic() + 6
        while sent and time.monotonic() < end:
            for key in list(sent):
                sent[key] = state(key)
                if sent[key] == "DELIVERED":
                    del sent[key]
            time.sleep(0.2)
        return wrong + [(a.authority, f"an alert to {b} is {s}: {why(a, b)}") for (a, b, _), s in sent.items()]


def short(name):
    return name.rsplit("RESULT_", 1)[-1]


def state(key):
    city, to, record = key
    for row in city.sh(f"havenctl delivery list --to {to} --limit 20 -o json").json().get("deliveries") or []:
        if record in (row.get("recordId"), row.get("record_id")):
            return (row.get("state") or "").rsplit("DELIVERY_STATE_", 1)[-1]
    return "UNKNOWN"


def why(city, to):
    """What the list says of the newest one, and what the catalogue says of its reason."""
    listed = city.sh(f"havenctl delivery list --to {to} --limit 1").out
    reasons = re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", listed)
    return listed + "".join(city.sh(f"havenctl explain {reason}").out for reason in reasons[:2])


def heal(doctor):
    """Waits, then runs what is advised until all is well, or nothing new is advised."""
    world, ran, began = doctor.world, Ran(doctor.world), time.monotonic()
    while True:
        spent = time.monotonic() - began
        revive(world)
        wrong = doctor.examine(quick=spent < BY_ITSELF)
        if not wrong:
            return Result("by a command" if ran.list else "by itself", spent, ran.list, [])
        if spent > IN_ALL:
            return Result("a decision" if decides(wrong) else "STUCK", spent, ran.list, wrong)
        if spent < BY_ITSELF:
            time.sleep(1)
        elif not ran.new([(at, command) for own, what in wrong for at, command in commands(what, own)]):
            if decides(wrong):
                return Result("a decision", spent, ran.list, wrong)
            time.sleep(2)


def decides(wrong):
    return any(DECISION.search(what) for _, what in wrong)


class Ran:
    """The advice that was followed."""

    def __init__(self, world):
        self.world, self.list, self.seen = world, [], set()
        self.by = {city.authority: city for city in world.cities}

    def new(self, advice, depth=0):
        """Follows what was not followed yet, and what that advises when it is refused; whether there was anything."""
        any_new = False
        for at, command in advice:
            if at not in self.by or (at, same(command)) in self.seen:
                continue
            any_new = True
            self.seen.add((at, same(command)))
            self.list.append((at, command))
            done = self.by[at].sh(command, "y\n" * 3)
            self.world.say(f"{at}$ {command}   [{done.code}]\n{done.text}")
            asked = "--yes" in done.err and "--yes" not in command
            if asked:
                self.new([(at, f"{command} --yes")], depth + 1)
            elif depth < 3:
                self.new(list(commands(done.text, at)), depth + 1)
        return any_new


def revive(world):
    """The unit restarts a node that ended by a fault."""
    for city in world.cities:
        if not city.runs():
            city.start()
