"""Readers that check every byte and time every call: one kind a process, until stdin ends.

    survival_readers.py KIND MOUNT TRUTH SEED

prints "ready", and at the end what it met, as JSON.
"""
import json
import mmap
import os
import pathlib
import random
import select
import sys
import time

KIB, MIB = 1 << 10, 1 << 20


class Reader:
    def __init__(self, kind, mount_point, truth, seed):
        self.kind, self.mount, self.truth = kind, pathlib.Path(mount_point), pathlib.Path(truth)
        self.chance = random.Random(seed)
        self.met = {"kind": kind, "count": 0, "worst_seconds": 0.0, "wrong": [], "failed": []}
        self.bodies = {}
        self.prepare = getattr(self, f"prepare_{kind}", lambda: None)
        self.step = getattr(self, kind)

    def body(self, name):
        if name not in self.bodies:
            self.bodies[name] = (self.truth / name).read_bytes()
        return self.bodies[name]

    def timed(self, call, *arguments):
        begun = time.monotonic()
        try:
            return call(*arguments)
        except OSError as error:
            self.met["failed"].append(f"{self.kind}: {call.__name__} {arguments[:1]}: {error}")
            return None
        finally:
            self.met["count"] += 1
            self.met["worst_seconds"] = max(self.met["worst_seconds"], time.monotonic() - begun)

    # Where a later page could not be read, read(2) says how many bytes it has.
    def check(self, what, found, expected):
        if found is None or found == expected:
            return
        if isinstance(found, bytes) and expected.startswith(found):
            self.met["failed"].append(
                f"{self.kind}: {what}: {len(found)} of {len(expected)} bytes")
        else:
            self.met["wrong"].append(f"{self.kind}: {what}: {found!r:.100} for {expected!r:.100}")

    def open(self, name, flags=0):
        return self.timed(os.open, self.mount / name, os.O_RDONLY | flags)

    def pread(self, descriptor, name, size, offset):
        found = self.timed(os.pread, descriptor, size, offset)
        self.check(f"{name} at {offset}", found, self.body(name)[offset:offset + size])

    # Large files from the store, from a random place on.
    def cold(self):
        name = f"cold/{self.chance.randrange(4)}"
        descriptor = self.open(name)
        if descriptor is None:
            return
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        offset = self.chance.randrange(20) * MIB
        for i in range(8):
            self.pread(descriptor, name, 512 * KIB, offset + i * 512 * KIB)
        os.close(descriptor)

    # Past the kernel's pages. The file stays open.
    def prepare_direct(self):
        self.direct_fd = self.open("cold/1", os.O_DIRECT)
        self.page = mmap.mmap(-1, 16 * KIB)

    def direct(self):
        offset = self.chance.randrange(24 * MIB // (16 * KIB)) * 16 * KIB
        count = self.timed(os.preadv, self.direct_fd, [self.page], offset)
        if count is not None:
            self.check(f"cold/1 at {offset}", self.page[:count],
                       self.body("cold/1")[offset:offset + count])

    # Files of the cache, opened anew each time: the kernel reads them by itself.
    def passthrough(self):
        name = f"warm/{self.chance.randrange(3)}"
        descriptor = self.open(name)
        if descriptor is None:
            return
        for _ in range(4):
            self.pread(descriptor, name, 64 * KIB, self.chance.randrange(3 * MIB))
        os.close(descriptor)

    def mapped(self):
        name = f"{self.chance.choice(['cold', 'warm'])}/{self.chance.randrange(3)}"
        descriptor = self.open(name)
        if descriptor is None:
            return
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as view:
            for _ in range(8):
                offset = self.chance.randrange(len(view) - 4096)
                found = self.timed(view.__getitem__, slice(offset, offset + 4096))
                self.check(f"{name} at {offset}", found, self.body(name)[offset:offset + 4096])
        os.close(descriptor)

    # By path: stat, readdir, small files opened anew.
    def names(self):
        folder = f"names/d{self.chance.randrange(5)}/deep"
        listed = self.timed(os.listdir, self.mount / folder)
        if listed is None:
            return
        self.check(folder, sorted(listed), sorted(os.listdir(self.truth / folder)))
        name = f"{folder}/{self.chance.choice(listed)}"
        status = self.timed(os.stat, self.mount / name)
        self.check(f"size of {name}", status and status.st_size, len(self.body(name)))
        descriptor = self.open(name)
        if descriptor is not None:
            self.pread(descriptor, name, 4096, 0)
            os.close(descriptor)

    # From a working directory inside, which no path leads the kernel to again.
    def prepare_openat(self):
        os.chdir(self.mount / "names/d3")

    def openat(self):
        listed = self.timed(os.listdir, "deep")
        if listed is None:
            return
        name = self.chance.choice(listed)
        status = self.timed(os.stat, f"deep/{name}")
        self.check(f"size of {name}", status and status.st_size,
                   len(self.body(f"names/d3/deep/{name}")))
        descriptor = self.timed(os.open, f"deep/{name}", os.O_RDONLY)
        if descriptor is not None:
            self.pread(descriptor, f"names/d3/deep/{name}", 4096, 0)
            os.close(descriptor)
        self.timed(os.stat, ".")

    # Files of both kinds that stay open from the first to the last.
    def prepare_kept(self):
        self.open_files = {name: self.open(name) for name in ("cold/0", "cold/2", "warm/0")}
        for name in self.open_files:
            self.body(name)

    def kept(self):
        name, descriptor = self.chance.choice(list(self.open_files.items()))
        if not name.startswith("warm"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        self.pread(descriptor, name, 128 * KIB, self.chance.randrange(len(self.body(name))))
        self.timed(os.fstat, descriptor)

    def run(self):
        self.prepare()
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            self.step()
            time.sleep(0.002)  # the machine is for several readers, and the worker
        for harm in ("failed", "wrong"):
            self.met[f"{harm}_count"] = len(self.met[harm])
            self.met[harm] = self.met[harm][:5]
        print(json.dumps(self.met))


if __name__ == "__main__":
    Reader(*sys.argv[1:4], int(sys.argv[4])).run()
