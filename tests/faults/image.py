"""A small ext4 file system in a file, mounted over a loop device: a disk that may be filled or lose its power.

The file stands in memory where there is room: what is tested is what reaches the loop device, not what is below it.
"""
import os
import shutil
import subprocess
import tempfile
import time

MEMORY = "/dev/shm"


class Skipped(Exception):
    """This machine cannot mount one."""


def sh(*command):
    return subprocess.run(command, capture_output=True, text=True)


class Image:
    def __init__(self, name, megabytes):
        self.megabytes = megabytes
        if os.geteuid() != 0:
            raise Skipped("needs root")
        room = os.path.isdir(MEMORY) and shutil.disk_usage(MEMORY).free >= 2 * megabytes << 20
        self.work = tempfile.mkdtemp(prefix=f"havenlink-{name}-", dir=MEMORY if room else None)
        self.file, self.mount = f"{self.work}/image", f"{self.work}/mnt"

    def __enter__(self):
        os.mkdir(self.mount)
        sh("truncate", "-s", f"{self.megabytes}M", self.file)
        # No room for root alone: full means full.
        made = sh("mkfs.ext4", "-q", "-m", "0", self.file)
        if made.returncode == 0:
            made = self._mount()
        if made.returncode:
            shutil.rmtree(self.work)
            raise Skipped(f"needs loop devices and ext4 ({made.stderr.strip()})")
        return self

    def _mount(self):
        return sh("mount", "-o", "loop", self.file, self.mount)

    def remount(self):
        """Forgets everything that did not reach the device."""
        deadline = time.monotonic() + 30
        while (result := sh("umount", self.mount)).returncode:
            if time.monotonic() > deadline:
                raise RuntimeError(f"cannot unmount: {result.stderr}")
            time.sleep(0.01)
        result = self._mount()
        if result.returncode:
            raise RuntimeError(f"cannot mount again: {result.stderr}")

    def __exit__(self, *_):
        sh("umount", "-l", self.mount)
        shutil.rmtree(self.work, ignore_errors=True)


if __name__ == "__main__":
    # Whether this machine can.
    try:
        with Image("probe", 16):
            pass
    except Skipped as why:
        print(f"skipped: {why}")
        raise SystemExit(77)
