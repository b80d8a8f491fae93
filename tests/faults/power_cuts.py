"""Power cuts of the store: forced ext4 shutdown on a loop image while a writer acknowledges.

usage: power_cuts.py WRITER CUTS [--seed N] [--expect-loss]

WRITER is the `durable-writer` binary: `WRITER write DIR` prints one line per acknowledgement, `WRITER check DIR` prints one
line per thing that is stored. Only acknowledgements read before the cut count. The file system is made once and lives through
all cuts, so each recovery starts from what the last one left; the data directory is a new one every 20 cuts, so that the first
opening is cut as well. The same seed (otherwise HAVENLINK_SEED, or 1) cuts after the same times. With --expect-loss (a seeded bug) the run must find a loss: it ends with 0 as soon as it does and with
1 if it never does.

exit codes: 0 as it should be, 1 not, 77 cannot run here (needs root and loop devices)
"""
import argparse
import collections
import fcntl
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import time

from image import Image, Skipped

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
# Nothing more reaches the device; or: the file system's own journal still does, file contents do not.
NO_LOG_FLUSH, LOG_FLUSH = 2, 1
CUTS_PER_DIRECTORY = 20

parser = argparse.ArgumentParser()
parser.add_argument("writer")
parser.add_argument("cuts", type=int)
parser.add_argument("--seed", type=int, default=int(os.environ.get("HAVENLINK_SEED", 1)))
parser.add_argument("--expect-loss", action="store_true")
arguments = parser.parse_args()
writer, cuts, seed, expect_loss = arguments.writer, arguments.cuts, arguments.seed, arguments.expect_loss
chance = random.Random(seed)
print(f"seed {seed}", flush=True)


class Lines:
    """What a process has said so far, in whole lines."""

    def __init__(self, process):
        self.pipe, self.rest, self.whole = process.stdout, b"", []

    def read_until(self, deadline, last=None):
        """Reads until the deadline, or until the line `last`; what is not read then is not acknowledged."""
        while last not in self.whole and (left := deadline - time.monotonic()) > 0:
            if not select.select([self.pipe], [], [], left)[0]:
                break
            chunk = os.read(self.pipe.fileno(), 65536)
            if not chunk:
                break
            *whole, self.rest = (self.rest + chunk).split(b"\n")
            self.whole.extend(whole)


def one_cut(image, data):
    """Lets the writer work for a while, cuts the power, gives it back. Returns what was acknowledged, and what went wrong."""
    with open(f"{image.work}/writer.log", "wb") as log:
        process = subprocess.Popen([writer, "write", data], stdout=subprocess.PIPE, stderr=log)
    lines = Lines(process)
    # Every eighth cut hits while the writer still opens and recovers.
    if chance.randrange(8) == 0:
        lines.read_until(time.monotonic() + chance.uniform(0.0, 0.1))
    else:
        lines.read_until(time.monotonic() + 30, last=b"ready")
        lines.read_until(time.monotonic() + chance.uniform(0.02, 0.35))
    ended = process.poll()
    fd = os.open(image.mount, os.O_RDONLY)
    fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", LOG_FLUSH if chance.randrange(4) == 0 else NO_LOG_FLUSH))
    os.close(fd)
    process.kill()
    process.wait()
    process.stdout.close()
    image.remount()
    with open(f"{image.work}/writer.log", errors="replace") as log:
        problems = [] if ended is None else [f"the writer ended by itself ({ended}): {log.read().strip()[:300]}"]
    acknowledged = {line.decode() for line in lines.whole} - {"ready"}
    return acknowledged, problems


def check(data, acknowledged):
    """What was acknowledged and is not stored, or is stored twice, or damage that the check itself found."""
    result = subprocess.run([writer, "check", data], capture_output=True, text=True)
    if result.returncode:
        return [f"check failed: {result.stderr.strip() or result.stdout.strip()}"]
    stored = result.stdout.split()
    stored = list(zip(stored[::2], stored[1::2]))
    lost = acknowledged - {f"{what} {name}" for what, name in stored}
    twice = [key for key, n in collections.Counter(stored).items() if n > 1] if len(set(stored)) < len(stored) else []
    return [f"lost {line}" for line in sorted(lost)] + [f"twice {what} {name}" for what, name in sorted(twice)]


def run(image):
    total, acknowledged, data = collections.Counter(), set(), None
    for done in range(1, cuts + 1):
        if done % CUTS_PER_DIRECTORY == 1:
            if data:
                shutil.rmtree(data)
            data, acknowledged = f"{image.mount}/data-{done}", set()
        new, problems = one_cut(image, data)
        acknowledged |= new
        total.update(line.split()[0] for line in new)
        problems += check(data, acknowledged)
        if problems:
            return done, total, problems
    return cuts, total, []


started = time.monotonic()
try:
    with Image("power", 512) as image:
        done, total, problems = run(image)
except Skipped as why:
    print(f"skipped: {why}")
    sys.exit(77)
kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(total.items()))
print(f"{done} power cuts in {time.monotonic() - started:.1f} s, {total.total()} acknowledgements read before a cut ({kinds}), "
      f"{len(problems)} problems, seed {seed}")
for problem in problems[:6]:
    print(f"  {problem}")
if expect_loss:
    print("the harness caught the seeded bug" if problems else "THE HARNESS DID NOT CATCH THE SEEDED BUG")
    sys.exit(0 if problems else 1)
missing = {"publish", "queue", "settle", "inbox", "vote", "log", "agree", "owe", "fulfil", "postpone"} - set(total)
if missing and not problems:
    print(f"nothing of this sort was acknowledged, so nothing is shown: {', '.join(sorted(missing))}")
sys.exit(1 if problems or missing else 0)
