"""The matrix of bad days: what happened × to whom × how many stewards × how many cities, singly and in pairs.

usage: main.py BIN_DIR [--singles N|all] [--pairs N] [--seed N] [--only TEXT] [--list] [--keep] [--workers N]

Each case begins with a federation of real nodes that works, and ends in one of three ways: it healed by itself; a command that the
programs printed healed it, run as it stood; or a person has to decide, and is told so and offered what there is. Any other end is a
failure. exit codes: 0 as it should be, 1 not, 77 cannot run here
"""
import argparse
import collections
import concurrent.futures
import itertools
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

from events import EVENTS, OF_ALL
from healing import Doctor, Result, heal
from world import World, copied, found, shim

SHAPES = [(2, 1), (2, 2), (3, 1), (3, 2), (3, 3)]
PORTS = 21_000


def targets(cities, stewards):
    """Whom it can happen to: the first steward, another steward, a member that is none."""
    found = {"the first steward": 0}
    if stewards > 1:
        found["another steward"] = stewards - 1
    if cities > stewards:
        found["a member"] = cities - 1
    return found


def cases():
    for (cities, stewards), event in itertools.product(SHAPES, EVENTS):
        for name, place in targets(cities, stewards).items():
            if event not in OF_ALL or place == 0:
                yield (cities, stewards), ((event, name, place),)


def pairs(chance, number):
    """Two bad days of one federation, one after the other, by chance."""
    singles = list(cases())
    for _ in range(number):
        shape, first = chance.choice(singles)
        second = chance.choice([happens for other, happens in singles if other == shape])
        yield shape, first + second


def name(case):
    (cities, stewards), happens = case
    days = ", then ".join(f"{event} at {who}" for event, who, _ in happens)
    return f"{cities} cities, {stewards} stewards: {days}"


def play(template, case, root, binaries, port):
    world = copied(template, root, binaries, port)
    try:
        world.start()
        doctor = Doctor(world)
        began = doctor.examine(quick=True)
        if began:
            return Result("STUCK before anything happened", 0, [], began), world
        for event, _, place in case[1]:
            EVENTS[event](world, world.cities[place])
        return heal(doctor), world
    except Exception:
        return Result("STUCK", 0, [], [("the matrix", traceback.format_exc())]), world
    finally:
        world.end()


def work(options, cases, number):
    """Plays its share of the cases, in a network of its own, where there is one."""
    root = pathlib.Path(tempfile.mkdtemp(prefix=f"havenlink-misfortune-{number}-"))
    shim(root)
    templates, results = {}, []
    for n, case in enumerate(cases):
        port = PORTS + number * 100
        shape = case[0]
        if shape not in templates:
            template = World(root / f"shape-{shape[0]}-{shape[1]}", *shape, options.binaries, port)
            try:
                found(template)
            finally:
                template.stop()
            templates[shape] = template
        result, world = play(templates[shape], case, root / f"case-{n}", options.binaries, port)
        results.append((name(case), result))
        print(f"{result.ending:>14} {result.seconds:5.0f} s  {name(case)}", flush=True)
        for at, command in result.ran:
            print(f"{'':>24}{at}$ {command}", flush=True)
        stuck = result.ending.startswith("STUCK")
        if stuck or options.verbose:
            for at, what in result.left:
                print(f"{'':>24}{at}: {what.strip()[:1_500]}", flush=True)
            for note in world.notes[-8:]:
                print(f"{'':>24}| {note.strip()[:1_500]}", flush=True)
        if stuck and options.keep:
            print(f"{'':>24}kept in {world.root}", flush=True)
        else:
            shutil.rmtree(world.root, ignore_errors=True)
    if not options.keep:
        shutil.rmtree(root, ignore_errors=True)
    return results


def arguments():
    read = argparse.ArgumentParser()
    read.add_argument("binaries", type=lambda path: pathlib.Path(path).resolve())
    read.add_argument("--singles", default="40")
    read.add_argument("--pairs", type=int, default=20)
    read.add_argument("--seed", type=int, default=1)
    read.add_argument("--only", default="")
    read.add_argument("--workers", type=int, default=3)
    read.add_argument("--list", action="store_true")
    read.add_argument("--keep", action="store_true")
    read.add_argument("--verbose", action="store_true")
    return read.parse_args()


def chosen(options):
    chance = random.Random(options.seed)
    singles = [case for case in cases() if options.only in name(case)]
    if options.singles != "all":
        singles = chance.sample(singles, min(int(options.singles), len(singles)))
    return singles + [pair for pair in pairs(chance, options.pairs)]


def report(results, began):
    ends = collections.Counter(result.ending for _, result in results)
    ran = collections.Counter(" ".join(command.split()[:3]) for _, result in results for _, command in result.ran)
    print(f"\n{len(results)} cases in {time.monotonic() - began:.0f} s: " + ", ".join(f"{n} {end}" for end, n in ends.most_common()))
    needed = sum(1 for _, result in results if result.ran)
    print(f"{100 * needed / max(1, len(results)):.0f} % needed a command:")
    for command, n in ran.most_common():
        print(f"  {n:4} {command}")
    stuck = [case for case, result in results if result.ending.startswith("STUCK")]
    for case in stuck:
        print(f"STUCK: {case}")
    return 1 if stuck else 0


def main():
    options = arguments()
    if not shutil.which("cc"):
        print("skipped: needs a C compiler for the clock")
        return 77
    todo = chosen(options)
    if options.list:
        print("\n".join(name(case) for case in todo))
        return 0
    print(f"seed {options.seed}, {len(todo)} cases")
    began = time.monotonic()
    # Cases of one shape stand together, so that a worker founds few of them.
    shares = [[] for _ in range(options.workers)]
    for n, case in enumerate(sorted(todo, key=lambda case: case[0])):
        shares[n * options.workers // max(1, len(todo))].append(case)
    with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:
        results = [row for rows in pool.map(lambda n: work(options, shares[n], n), range(options.workers)) for row in rows]
    return report(results, began)


if __name__ == "__main__":
    sys.exit(main())
