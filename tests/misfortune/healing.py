"""Whether a federation is well, and what brings it back: only commands that the programs printed, run as they stand.

Nothing here knows what happened. One parser reads what a command, a node's last words or its doctor say; a command with a placeholder
in it is not one that can be run as it stands.
"""
import concurrent.futures
import dataclasses
import re
import time

from city import City

# For so long nobody looks for advice; after the last that was followed, or where there is none, so long is waited; and in all; in
# seconds.
BY_ITSELF, AFTER_ADVICE, IN_ALL = 25, 75, 300
# For a change to arrive everywhere, and how often it is looked at.
ONE_HEAD, LOOK = 5, 0.5
# Advice stands in a doctor's remedy, and behind these words of an error; it ends where the next clause begins. At another desk:
# "at de-kehl: havenctl …".
ADVICE = re.compile(r"^\s*(?:fix|first|next:|check:)\s+(.*)$", re.M)
COMMAND = re.compile(r"(?:\bat ([a-z]{2}-[a-z-]+): )?\b(?<!-u )((?:havenctl|havenlink|systemctl) [a-z][^,;()\n]*?)(?=[,;()\n]|: |\.(?:\s|$)| {3}"
                     r"| (?:shows|tells|names|asks|agrees|makes|recomputes|keeps|lets|and|then|with the|for an?|on its|with (?:that|the|a))\b|$)")
PLACEHOLDER = re.compile(r"(?<![A-Za-z0-9-])(?:[A-Z]{2,}(?:-[A-Z]+)*|…)(?![A-Za-z0-9])")
# The words by which a program says that a person has to decide; what it offers stands behind them.
DECISION = re.compile(r"\b(?:your decision|decide between)\b", re.I)
RETRY = re.compile(r"^\s*retry\s+in\b", re.M)
# How often a command that was refused for now is tried.
AGAIN = 4
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
    """Every command that a text advises, with the city at whose desk it is typed. What a person has to decide is not run."""
    for line in (line for line in ADVICE.findall(text) if not DECISION.search(line)):
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
        for city, (done, checks) in zip(self.world.cities, together(City.doctor, self.world.cities)):
            if not checks:
                found.add((city.authority, "answers", "no"))
            found |= {(city.authority, name, check["result"]) for name, check in checks.items()
                      if short(check["result"]) in ("CRITICAL", "WARNING")}
        return found

    def new(self):
        """What the event caused: whatever was not there before, and all that is critical."""
        return {f for f in self.findings() if f not in self.before or short(f[2]) == "CRITICAL"}

    def examine(self, quick):
        """What is not well, in words that hold commands: of the doctors, and of the errors; nothing when all is."""
        wrong = [(city.authority, "the node does not run: " + city.log(1_500)) for city in self.world.cities if not city.runs()]
        if quick and wrong:
            return [], wrong
        wrong += self.register() or self.one_head()
        if quick and wrong:
            return [], wrong
        wrong += self.alerts()
        if quick and wrong:
            return [], wrong
        return self.said(), wrong

    def said(self):
        """What the doctors find, with their remedies."""
        new = self.new()
        cities = [city for city in self.world.cities if any(city.authority == at for at, _, _ in new)]
        said = []
        for city, (done, checks) in zip(cities, together(City.doctor, cities)):
            for name in sorted(name for at, name, _ in new if at == city.authority):
                check = checks.get(name)
                if check:
                    said.append((city.authority, f"{name}: {check['finding']}\nfix  {check.get('remedy', '')}"))
                elif not checks:
                    said.append((city.authority, done.text))
        return said

    def register(self):
        """A change is decided, whoever asks for it: one that puts nothing right, of the entry as it is."""
        ask = lambda city: city.sh(f"havenctl node update --endpoint {listed(city)} --timeout 10s")
        cities = self.world.cities[:1] + self.world.cities[-1:]
        asked = zip(cities, together(ask, cities))
        return [(city.authority, "a change is not decided: " + done.text) for city, done in asked if done.code != 0]

    def one_head(self):
        """All stand on one head, and are fresh."""
        end = time.monotonic() + ONE_HEAD
        while True:
            seen = [done.json() for done in together(lambda city: city.sh("havenctl directory status -o json"), self.world.cities)]
            heads = {(status.get("register_number"), status.get("register_head")) for status in seen}
            if len(heads) == 1 and all(status.get("fresh") for status in seen):
                return []
            if time.monotonic() > end:
                return [(city.authority, f"not on one fresh head: {status}") for city, status in zip(self.world.cities, seen)]
            time.sleep(LOOK)

    def alerts(self):
        """One passes each way."""
        pairs = [pair for pair in self.world.pairs() if frozenset(city.authority for city in pair) not in self.world.ended]
        sent, wrong = {}, []
        for (a, b), done in zip(pairs, together(lambda pair: publish(*pair), pairs)):
            record = done.json().get("recordId") or done.json().get("record_id")
            if done.code != 0 or not record:
                wrong.append((a.authority, "an alert is not taken: " + done.text))
            else:
                sent[(a, b.authority, record)] = "QUEUED"
        end = time.monotonic() + 6
        while sent and time.monotonic() < end:
            sent = {key: now for key, now in zip(sent, together(state, list(sent))) if now != "DELIVERED"}
            time.sleep(LOOK)
        return wrong + [(a.authority, f"an alert to {b} is {s}: {why(a, b)}") for (a, b, _), s in sent.items()]


def listed(city):
    """The address under which the register lists it."""
    shown = re.search(r"^endpoints\s+([^\s,]+)", city.sh(f"havenctl member show {city.authority}").out, re.M)
    return shown.group(1) if shown else city.address


def together(ask, of):
    """Asks all at once; the answers in their order."""
    of = list(of)
    if not of:
        return []
    with concurrent.futures.ThreadPoolExecutor(len(of)) as pool:
        return list(pool.map(ask, of))


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
    """Waits, then runs what is advised until all is well, or nothing new is advised. Doctors are asked before errors: they see more."""
    world, ran, began = doctor.world, Ran(doctor.world), time.monotonic()
    while True:
        spent = time.monotonic() - began
        revive(world)
        quick = spent < BY_ITSELF
        said, errors = doctor.examine(quick)
        wrong, spent = said + errors, time.monotonic() - began
        if not wrong:
            return Result("by a command" if ran.list else "by itself", spent, ran.list, [])
        if spent > IN_ALL or time.monotonic() - max(began + BY_ITSELF, ran.last) > AFTER_ADVICE:
            return Result("a decision" if ran.leaves(wrong) else "STUCK", spent, ran.list, wrong)
        if quick:
            time.sleep(1)
        elif ran.leaves(wrong) and not ran.untried(wrong):
            return Result("a decision", spent, ran.list, wrong)
        elif ran.follow(said) or ran.follow(errors):
            continue
        else:
            time.sleep(2)


def decides(text):
    """Whether a text leaves it to a person, and offers what there is."""
    return bool(DECISION.search(text) and COMMAND.search(text))


class Ran:
    """The advice that was followed. What was refused for now is followed again a little later; what is advised still, once something else
    has worked since: the node did not run yet, nothing could be decided, or it has to be done once more. What worked: once more."""

    def __init__(self, world):
        # Of each command that was run: whether it left it to a person, and what it advised in turn.
        self.world, self.list, self.seen, self.last, self.told = world, [], {}, 0, {}
        # Commands that worked.
        self.worked = 0
        self.by = {city.authority: city for city in world.cities}

    def leaves(self, wrong):
        """Whether what is wrong now is a person's to decide: it says so, or the commands that it advises did when they were run last.
        What was said about something that is well by now counts for nothing."""
        return any(decides(what) or any(self.left(at, command) for at, command in commands(what, own)) for own, what in wrong)

    def left(self, at, command, passed=frozenset()):
        """Whether this command, or one that it advised, left it to a person."""
        key = (at, same(command))
        said, advised = self.told.get(key, (False, []))
        return said or any(self.left(*next_one, passed | {key}) for next_one in advised if (next_one[0], same(next_one[1])) not in passed | {key})

    def untried(self, wrong):
        """Whether anything is advised that was never run."""
        return any(at in self.by and (at, same(command)) not in self.seen for own, what in wrong for at, command in commands(what, own))

    def follow(self, told):
        return self.new([advice for own, what in told for advice in commands(what, own)])

    def is_new(self, at, command):
        times, again, most, worked = self.seen.get((at, same(command)), (0, 0, AGAIN, 0))
        return at in self.by and times < most and (time.monotonic() >= again or worked < self.worked)

    def new(self, advice, depth=0):
        """Follows what was not followed yet, and what that advises when it is refused; whether there was anything."""
        any_new = False
        for at, command in advice:
            if not self.is_new(at, command):
                continue
            any_new = True
            done = self.by[at].sh(command, self.by[at].typed(command))
            self.list.append((at, command))
            self.last = time.monotonic()
            self.world.say(f"{at}$ {command}   [{done.code}]\n{done.text}")
            asked = "--yes" in done.err and "--yes" not in command
            # "retry in 1 s": an operator comes back to it after a while.
            times, *_ = self.seen.get((at, same(command)), (0,))
            again = time.monotonic() + 15 if RETRY.search(done.err) else float("inf")
            self.worked += done.code == 0
            self.seen[(at, same(command))] = (times + 1, again, 2 if done.code == 0 or asked else AGAIN, self.worked)
            advised = [(at, f"{command} --yes")] if asked else list(commands(done.text, at))
            self.told[(at, same(command))] = (decides(done.text), advised)
            if asked or depth < 3:
                self.new(advised, depth + 1)
        return any_new


def revive(world):
    """The unit restarts a node that ended by a fault."""
    for city in world.cities:
        if not city.runs():
            city.start()
