"""The bad days. Each function does to a world what happened, with what its operators did before they knew of this program's advice.

An event says in its name what happened and takes the city that it happens to. What an operator would do anyway, as starting a machine
again, belongs to the event; what puts things right does not: that is `healing`'s, which knows no event.
"""
import itertools
import re
import shutil
import subprocess
import time

from healing import publish

HOUR, DAY = 3_600, 86_400
# A certificate lives 90 days and is renewed in its last month: time that passes in larger steps would leave that out.
STEP = 15 * DAY


def backup(world, city):
    """Of a node that another bad day has hit before, there may be none but an older one; a healthy one makes it."""
    make = city.sh if world.days else city.must
    make(f"havenlink backup {city.dir}/backups")


def newest(city):
    """The backup that an operator finds by its date; `None`: there is none."""
    return max((city.dir / "backups").glob("*.backup"), key=lambda path: path.stat().st_mtime, default=None)


def disk_lost(city):
    city.stop()
    if city.mounted:
        subprocess.run(["umount", "-l", city.dir / "data"], check=True)
        city.mounted = False
    shutil.rmtree(city.dir / "data")
    (city.dir / "data").mkdir()


def restore(world, city):
    if file := newest(city):
        world.say(city.must(f"havenlink restore {file} --identity {city.safe}").text)
    city.start()


def some_life(world):
    """What an hour of an ordinary day leaves behind: a change of the register, an alert each way."""
    for city in world.cities:
        city.sh(f"havenctl node update --endpoint {city.address}")
    for a, b in world.pairs():
        publish(a, b)
    time.sleep(1)


def restored_from_now(world, city):
    backup(world, city)
    disk_lost(city)
    restore(world, city)


def restored_from_an_hour_ago(world, city):
    backup(world, city)
    some_life(world)
    disk_lost(city)
    restore(world, city)


def restored_from_before_an_end(world, city):
    backup(world, city)
    partner = next(other for other in world.cities if other is not city)
    for number in set(ids(city.sh("havenctl agreement list -o json").text)):
        city.sh(f"havenctl agreement end {number} --reason NO_LONGER_NEEDED --yes")
    if "ENDED" in city.sh("havenctl agreement list").out:
        world.ended |= {frozenset((city.authority, other.authority)) for other in world.cities if other is not city}
        ended(partner)
    disk_lost(city)
    restore(world, city)


def ended(partner):
    """Waits for a moment until it knows; another bad day may keep that from it."""
    for _ in range(100):
        if "ENDED" in partner.sh("havenctl agreement list").out:
            return
        time.sleep(0.1)


def ids(text):
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
    (city.dir / "data" / "authority.key").unlink(missing_ok=True)
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
    """Something else on the disk grew until there was no room left; then somebody made room."""
    data = city.dir / "data"
    city.stop()
    if not city.mounted:
        disk, image = city.dir / "disk", city.dir / "image"
        shutil.move(data, disk)
        data.mkdir()
        # A sparse image: what fills it is reserved, and never written.
        subprocess.run(["truncate", "-s", "4G", image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, data], check=True)
        world.mounts.append(data)
        city.mounted = True
        subprocess.run(["cp", "-a", f"{disk}/.", data], check=True)
        shutil.rmtree(disk)
    city.start()
    filler = data / "somebody-elses"
    filler.mkdir()
    for size in ("1G", "128M", "16M", "1M", "4K"):
        reserve = lambda n: subprocess.run(["fallocate", "-l", size, filler / f"{size}-{n}"], stderr=subprocess.DEVNULL).returncode == 0
        next(n for n in itertools.count() if not reserve(n))
    some_life(world)
    shutil.rmtree(filler)


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
# What only root can do, and whoever may mount.
OF_ROOT = {"run as another user", "disk full"}
