"""The matrix of bad days: what happened × to whom × how many stewards × how many cities, singly and in pairs.

usage: main.py BIN_DIR [--singles N|all] [--pairs N] [--seed N] [--only REGEX] [--list] [--keep] [--workers N]
       [--seconds N] [--verbose]

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
import re
import shutil
import sys
import time

from events import EVENTS, OF_ALL, OF_ROOT
from healing import AFTER_ADVICE, BY_ITSELF, IN_ALL
from workers import Workers

SHAPES = [(2, 1), (2, 2), (3, 1), (3, 2), (3, 3)]


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
            if (event not in OF_ALL or place == 0) and (event not in OF_ROOT or os.geteuid() == 0):
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


def arguments():
    read = argparse.ArgumentParser()
    read.add_argument("binaries", type=lambda path: pathlib.Path(path).resolve())
    read.add_argument("--singles", default="40")
    read.add_argument("--pairs", type=int, default=20)
    read.add_argument("--seed", type=int, default=1)
    read.add_argument("--only", default="")
    read.add_argument("--seconds", type=int, default=0, help="begin no further case after this; 0: all of them")
    read.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1))
    read.add_argument("--list", action="store_true")
    read.add_argument("--keep", action="store_true")
    read.add_argument("--verbose", action="store_true")
    return read.parse_args()


def chosen(options):
    chance = random.Random(options.seed)
    singles = [case for case in cases() if re.search(options.only, name(case))]
    if options.singles != "all":
        singles = chance.sample(singles, min(int(options.singles), len(singles)))
    all_of_them = singles + [pair for pair in pairs(chance, options.pairs) if re.search(options.only, name(pair))]
    # What is begun in time is a mixture.
    chance.shuffle(all_of_them)
    return all_of_them


def report(results, began):
    ends = collections.Counter(result.ending for _, result in results)
    verb = lambda command: " ".join(word for word in command.split()[:3] if word[0] not in "-/")
    ran = collections.Counter(verb(command) for _, result in results for _, command in result.ran)
    print(f"\n{len(results)} cases in {time.monotonic() - began:.0f} s: " + ", ".join(f"{n} {end}" for end, n in ends.most_common()))
    alone = [result.seconds for _, result in results if result.ending == "by itself"]
    # With nothing to follow, a case has until then; what heals later than that, heals too late.
    print(f"by itself: nothing was run, and all was well within {max(alone, default=0):.0f} s; {sum(s > BY_ITSELF for s in alone)} took longer "
          f"than the {BY_ITSELF} s in which nobody looks for advice; the bound is {BY_ITSELF + AFTER_ADVICE} s, and {IN_ALL} s with advice")
    print(f"{100 * ends['by a command'] / max(1, len(results)):.0f} % needed a command; all that were run:")
    for command, n in ran.most_common():
        print(f"  {n:4} {command}")
    stuck = [case for case, result in results if result.ending.startswith("STUCK")]
    for case in stuck:
        print(f"STUCK: {case}")
    return 1 if stuck else 0


def main():
    options = arguments()
    if not shutil.which("cc"):
        print("skipped: misfortune: needs a C compiler for the clock")
        return 77
    if os.geteuid() != 0:
        print(f"skipped: misfortune: these need root: {', '.join(sorted(OF_ROOT))}")
    todo = chosen(options)
    if options.list:
        print("\n".join(name(case) for case in todo))
        return 0
    print(f"seed {options.seed}, {len(todo)} cases")
    began = time.monotonic()
    ends = began + options.seconds if options.seconds else float("inf")
    workers = Workers(options, todo, name)
    workers.ends_with_us()
    try:
        with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:
            played = pool.map(lambda n: workers.work(n, ends), range(options.workers))
            results = [row for rows in played for row in rows]
    finally:
        workers.end()
    if len(results) < len(todo):
        print(f"\n{len(todo) - len(results)} of {len(todo)} cases were not begun in {options.seconds} s")
    return report(results, began)


if __name__ == "__main__":
    sys.exit(main())
