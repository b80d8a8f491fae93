"""A full disk: the store on a small loop image, filled until SQLite says so.

usage: full_disk.py WRITER [--expect-loss]

Shown: what was acknowledged is there afterwards; new records are refused with STORAGE_FULL; the room set aside is given up, so
that withdrawals still go out; a kill and a start on the full disk lose nothing; and when there is room again the same process
goes on and sets its room aside anew. With --expect-loss (a seeded bug) the run must find a fault.

exit codes: 0 as it should be, 1 not, 77 cannot run here (needs root and loop devices)
"""
import collections
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

from image import Image, Skipped

MIB = 1 << 20
IMAGE, LEFT, BALLAST = 96, 24 * MIB, 6 * MIB
# More than fits into the room that is left.
AT_MOST = 4_000
WITHDRAWALS = 100 * 4

writer = sys.argv[1]
expect_loss = "--expect-loss" in sys.argv


class Fill:
    """A running `durable-writer fill`."""

    def __init__(self, image, data):
        self.log = f"{image.work}/writer.log"
        command = [writer, "fill", data, "--ballast", str(BALLAST), "--at-most", str(AT_MOST)]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.said = []

    def until(self, last):
        """Reads lines until this one; the writer's end is a fault."""
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if self.said[-1] == last:
                return []
        self.process.wait()
        with open(self.log, errors="replace") as log:
            return [f"the writer ended by itself ({self.process.returncode}): {log.read().strip()[:300]}"]

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def acknowledged(self):
        kinds = ("publish ", "queue ", "log ")
        return {line for line in self.said if line.startswith(kinds)}


def fill_up(image, left=0):
    """Others take all room but this much."""
    # What was removed is free once the file system's journal says so.
    os.sync()
    with contextlib.suppress(OSError), open(f"{image.mount}/others-{time.monotonic_ns()}", "wb", buffering=0) as file:
        room = os.statvfs(image.mount)
        with contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - left)
        # The file's own extents may have taken the last of it from the call: block by block then.
        while left == 0:
            file.seek(0, os.SEEK_END)
            file.write(bytes(1024))


def make_room(image):
    for name in os.listdir(image.mount):
        if name.startswith("others"):
            os.remove(f"{image.mount}/{name}")


def check(data, acknowledged):
    result = subprocess.run([writer, "check", data], capture_output=True, text=True)
    if result.returncode:
        return [f"check failed: {result.stderr.strip() or result.stdout.strip()}"]
    stored = [line for line in result.stdout.split("\n") if line]
    twice = [line for line, n in collections.Counter(stored).items() if n > 1]
    return [f"lost {line}" for line in sorted(acknowledged - set(stored))] + [f"twice {line}" for line in twice]


def expected(fill, lines):
    return [f"not said: {line}" for line in lines if line not in fill.said]


def goes_on(fill):
    """On the full disk: new records are refused by name, withdrawals go out on the room that was set aside."""
    before = sum(line.startswith("queue ") for line in fill.said)
    problems = fill.until("waiting")
    if problems:
        return problems
    withdrawn = sum(line.startswith("queue ") for line in fill.said) - before
    if withdrawn != WITHDRAWALS:
        problems.append(f"{withdrawn} of {WITHDRAWALS} withdrawals were queued on the full disk: {fill.said[-5:]}")
    return problems + expected(fill, ["full", "refused STORAGE_FULL"])


def works_again(image, fill):
    make_room(image)
    fill.go_on()
    return fill.until("done") or expected(fill, ["again", "ballast restored"])


def filled_while_running(image, data):
    """The disk fills under the running store; then there is room again."""
    fill_up(image, LEFT)
    fill = Fill(image, data)
    problems = goes_on(fill) or expected(fill, ["ballast set aside", "ballast released"]) or works_again(image, fill)
    fill.kill()
    make_room(image)
    return problems + check(data, fill.acknowledged()), fill


def killed_on_the_full_disk(image, data):
    """Killed while it is full, the room set aside used up as well: a start is refused by its name, and nothing is lost."""
    fill_up(image, LEFT)
    fill = Fill(image, data)
    problems = goes_on(fill)
    fill.kill()
    fill_up(image)
    refused = check(data, fill.acknowledged())
    problems += [problem for problem in refused if "the disk is full" not in problem]
    make_room(image)
    return problems + check(data, fill.acknowledged()), fill


def filled_while_stopped(image, data):
    """Others take everything while the store is down: it starts on the room that it had set aside."""
    fill = Fill(image, data)
    problems = fill.until("ballast set aside")
    fill.said += [fill.process.stdout.readline().rstrip("\n") for _ in range(200)]
    fill.kill()
    acknowledged = fill.acknowledged()
    fill_up(image)
    fill = Fill(image, data)
    problems += goes_on(fill) or works_again(image, fill)
    fill.kill()
    make_room(image)
    return problems + check(data, acknowledged | fill.acknowledged()), fill


def run(image):
    for scene in [filled_while_running, killed_on_the_full_disk, filled_while_stopped]:
        began = time.monotonic()
        problems, fill = scene(image, f"{image.mount}/{scene.__name__}")
        counts = collections.Counter(line.split()[0] for line in fill.said)
        print(f"{scene.__name__} in {time.monotonic() - began:.1f} s: {counts['publish']} records, {counts['queue']} deliveries and "
              f"{counts['log']} log entries acknowledged, {counts['unknown']} of unknown outcome, {'the register stopped' if 'register stopped' in fill.said else 'the register goes on'}, {len(problems)} problems", flush=True)
        if problems:
            return problems
        shutil.rmtree(f"{image.mount}/{scene.__name__}")
    return []


started = time.monotonic()
try:
    with Image("full-disk", IMAGE) as image:
        problems = run(image)
except Skipped as why:
    print(f"skipped: {why}")
    sys.exit(77)
print(f"full disk in {time.monotonic() - started:.1f} s, {len(problems)} problems")
for problem in problems[:6]:
    print(f"  {problem}")
if expect_loss:
    print("the harness caught the seeded bug" if problems else "THE HARNESS DID NOT CATCH THE SEEDED BUG")
    sys.exit(0 if problems else 1)
sys.exit(1 if problems else 0)
