"""The bad days. Each function does to a world what happened, with what its operators did before they knew of this program's advice.

An event says in its name what happened and takes the city that it happens to. What an operator would do anyway, as starting a machine
again, belongs to the event; what puts things right does not: that is `healing`'s, which knows no event.
"""
import shutil
import subprocess
import time

from city import first
from healing import publish
from world import until

HOUR, DAY = 3_600, 86_400
# A certificate lives 90 days and is renewed in its last month: time that passes in larger steps would leave that out.
STEP = 15 * DAY


def backup(city):
    city.must(f"havenlink backup {city.dir}/backups")


def newest(city):
    """The backup that an operator finds by its date."""
    return max((city.dir / "backups").glob("*.backup"), key=lambda path: path.stat().st_mtime)


def disk_lost(city):
    city.stop()
    shutil.rmtree(city.dir / "data")
    (city.dir / "data").mkdir()


def restore(world, city):
    world.say(city.must(f"havenlink restore {newest(city)}").text)
    city.start()


def some_life(world):
    """What an hour of an ordinary day leaves behind: a change of the register, an alert each way."""
    for city in world.cities:
        city.sh(f"havenctl node update --endpoint {city.address}")
    for a, b in world.pairs():
        publish(a, b)
    time.sleep(1)


def restored_from_now(world, city):
    backup(city)
    disk_lost(city)
    restore(world, city)


def restored_from_an_hour_ago(world, city):
    backup(city)
    some_life(world)
    disk_lost(city)
    restore(world, city)


def restored_from_before_an_end(world, city):
    backup(city)
    partner = next(other for other in world.cities if other is not city)
    listed = city.sh("havenctl agreement list -o json").text
    for number in set(ids(listed)):
        city.sh(f"havenctl agreement end {number} --yes")
    until("the partner knows of the end", 30, lambda: "ENDED" in partner.sh("havenctl agreement list").out)
    world.ended = {frozenset((city.authority, other.authority)) for other in world.cities if other is not city}
    disk_lost(city)
    restore(world, city)


def ids(text):
    import re
    return re.findall(r"\b[0-9a-f]{64}\b", text)


def restored_twice(world, city):
    restored_from_an_hour_ago(world, city)
    some_life(world)
    disk_lost(city)
    restore(world, city)


def disk_lost_without_a_backup(world, city):
    disk_lost(city)
    shutil.rmtree(city.dir / "backups")
    (city.dir / "backups").mkdir()
    city.start()


def clock_wrong(seconds):
    def happens(world, city):
        city.set_clock(world.moved + seconds)
        some_life(world)
        city.stop()
        city.start()
        some_life(world)
        city.set_clock(world.moved)
        # Whoever sets a clock by days starts the machine again.
        if abs(seconds) >= DAY:
            city.stop()
            city.start()
    return happens


def away(seconds):
    def happens(world, city):
        city.stop()
        others = [other for other in world.cities if other is not city]
        left = seconds
        while left > 0:
            step = min(left, STEP)
            left -= step
            world.moved += step
            for other in others:
                other.stop()
                other.set_clock(world.moved)
                other.start()
            time.sleep(2)
        city.set_clock(world.moved)
        city.start()
        # The timer of the unit makes a backup each night, away or not.
        for each in world.cities:
            each.sh(f"havenlink backup {each.dir}/backups")
    return happens


def address_changed(world, city):
    """The machine moved; whoever moved it wrote the new address into the configuration."""
    host, port = city.address.rsplit(":", 1)
    city.stop()
    city.move(f"{host}:{int(port) + 40}")
    city.start()


def certificate_renewed(world, city):
    city.sh("havenctl node renew")


def authority_key_rotated(world, city):
    city.sh("havenctl node rotate-key --yes")


def authority_key_lost(world, city):
    city.stop()
    (city.dir / "data" / "authority.key").unlink()
    city.start()


def authority_key_stolen(world, city):
    """A thief has a copy; the desk knows, and does what it was told to do."""
    city.sh("havenctl node rotate-key --compromised --yes")


def most_steward_keys_lost(world, _):
    for city in world.cities[: world.stewards // 2 + 1]:
        authority_key_lost(world, city)


def log_purged(world, city):
    for _ in range(40):
        city.sh(f"havenctl node update --endpoint {city.address}")
    city.stop()
    city.start()


def run_as_another_user(world, city):
    """Somebody ran the backup and the check as root, on a node that has a user of its own."""
    city.sh(f"havenlink check; havenlink backup {city.dir}/backups")
    subprocess.run(["chown", "-R", "root:root", str(city.dir / "data")], check=True)
    city.stop()
    city.start()


def disk_full(world, city):
    city.stop()
    disk = city.dir / "disk"
    shutil.move(city.dir / "data", disk)
    (city.dir / "data").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "full", city.dir / "data"], check=True)
    subprocess.run(["cp", "-a", f"{disk}/.", city.dir / "data"], check=True)
    world.mounts.append(city.dir / "data")
    city.start()
    ballast = city.dir / "data" / "ballast"
    subprocess.run(["sh", "-c", f"cat /dev/zero >{ballast}"], stderr=subprocess.DEVNULL, check=False)
    some_life(world)
    # Somebody made room.
    ballast.unlink()


EVENTS = {
    "restored from now": restored_from_now,
    "restored from an hour ago": restored_from_an_hour_ago,
    "restored from before an end": restored_from_before_an_end,
    "restored twice": restored_twice,
    "disk lost without a backup": disk_lost_without_a_backup,
    "clock -3 d": clock_wrong(-3 * DAY),
    "clock -1 h": clock_wrong(-HOUR),
    "clock +1 h": clock_wrong(HOUR),
    "clock +3 d": clock_wrong(3 * DAY),
    "clock +10 y": clock_wrong(3_652 * DAY),
    "away 1 h": away(HOUR),
    "away 3 d": away(3 * DAY),
    "away 40 d": away(40 * DAY),
    "away 100 d": away(100 * DAY),
    "address changed": address_changed,
    "certificate renewed": certificate_renewed,
    "authority key rotated": authority_key_rotated,
    "authority key lost": authority_key_lost,
    "authority key stolen": authority_key_stolen,
    "most stewards' keys lost": most_steward_keys_lost,
    "log purged": log_purged,
    "run as another user": run_as_another_user,
    "disk full": disk_full,
}
# They happen to the federation, not to one of its cities.
OF_ALL = {"most stewards' keys lost"}
