"""Who plays the cases: several federations at once, since most of the time they wait.

As root each worker has a network of its own, so that all use the same addresses, and a federation that was founded once serves every
worker. Otherwise each has ports of its own, and founds for itself.
"""
import collections
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import traceback

from events import EVENTS
from healing import Doctor, Result, heal
from world import World, copied, found, shim

PORTS = 21_000


class Networks:
    """A network for each worker; none where that cannot be."""

    def __init__(self, number):
        names = [f"misfortune-{os.getpid()}-{n}" for n in range(number)]
        can = os.geteuid() == 0 and shutil.which("nsenter") and shutil.which("ip")
        self.names = names if can and all(self.made(name) for name in names) else [None] * number

    @staticmethod
    def made(name):
        add = ["ip", "netns", "add", name]
        up = ["ip", "-n", name, "link", "set", "lo", "up"]
        return all(subprocess.run(step, stderr=subprocess.DEVNULL).returncode == 0 for step in (add, up))

    def end(self):
        for name in self.names:
            if name:
                subprocess.run(["ip", "netns", "del", name], check=False)


class Workers:
    def __init__(self, options, cases, name):
        self.options, self.name, self.cases = options, name, collections.deque(cases)
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="havenlink-misfortune-"))
        self.networks = Networks(options.workers)
        self.templates, self.founding = {}, collections.defaultdict(threading.Lock)
        # What runs now: whoever ends the matrix ends it.
        self.live = set()

    def end(self):
        for world in list(self.live):
            world.end()
        self.networks.end()
        if not self.options.keep:
            shutil.rmtree(self.root, ignore_errors=True)

    def ends_with_us(self):
        def end(*_):
            self.end()
            os._exit(1)
        for how in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(how, end)

    def template(self, shape, port, network):
        """A federation of this shape, founded at the first call."""
        key = (shape, port)
        with self.founding[key]:
            if key not in self.templates:
                folder = self.root / f"templates-{port}"
                folder.mkdir(exist_ok=True)
                shim(folder)
                world = World(folder / f"{shape[0]}-{shape[1]}", *shape, self.options.binaries, port, network)
                self.live.add(world)
                try:
                    found(world)
                except RuntimeError as error:
                    raise RuntimeError(f"{error}\n{world.cities[0].log()}") from error
                finally:
                    world.stop()
                    self.live.discard(world)
                self.templates[key] = world
            return self.templates[key]

    def work(self, number, ends):
        """Plays what is next, until there is no more, or no more time."""
        network = self.networks.names[number]
        port = PORTS if network else PORTS + number * 100
        root, results = self.root / str(number), []
        root.mkdir()
        shim(root)
        while self.cases and time.monotonic() < ends:
            case = self.cases.popleft()
            world = copied(self.template(case[0], port, network), root / f"case-{len(results)}", network)
            result = self.play(case, world)
            results.append((self.name(case), result))
            self.tell(case, result, world)
        return results

    def play(self, case, world):
        self.live.add(world)
        try:
            world.start()
            doctor = Doctor(world)
            said, errors = doctor.examine(quick=True)
            if said or errors:
                return Result("STUCK before anything happened", 0, [], said + errors)
            for event, _, place in case[1]:
                EVENTS[event](world, world.cities[place])
                world.days += 1
            return heal(doctor)
        except Exception:
            return Result("STUCK", 0, [], [("the matrix", traceback.format_exc())])
        finally:
            world.end()
            self.live.discard(world)

    def tell(self, case, result, world):
        stuck = result.ending.startswith("STUCK")
        lines = [f"{result.ending:>14} {result.seconds:5.0f} s  {self.name(case)}"]
        lines += [f"{'':>24}{at}$ {command}" for at, command in result.ran]
        if stuck or self.options.verbose:
            lines += [f"{'':>24}{at}: {what.strip()[:1_500]}" for at, what in result.left]
            lines += [f"{'':>24}| {note.strip()[:1_500]}" for note in world.notes[-8:]]
        if stuck and self.options.keep:
            lines.append(f"{'':>24}kept in {world.root}")
        else:
            shutil.rmtree(world.root, ignore_errors=True)
        print("\n".join(lines), flush=True)
