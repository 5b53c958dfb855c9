"""Random use of a mount by many threads, while objects come, change and go between its rounds,
compared with what the objects are known to be, and with the plain directory they lie in.

SHOAL_SEED repeats a run (but for what the threads do to each other), SHOAL_MODEL_ROUNDS makes
it longer.
"""
import concurrent.futures
import dataclasses
import errno
import math
import mmap
import os
import pathlib
import random
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))
from caching import MIB, CacheTest, cache_options, drop_pages, wait_until  # noqa: E402
from history import Freshness, History, bodies, listing, tree  # noqa: E402

ROUNDS = int(os.environ.get("SHOAL_MODEL_ROUNDS", 6))
THREADS = 6
STEPS = 120  # of a thread in a round
SIZES = [0, 1, 100, 4095, 4096, 16384, 16385, 70_000, 300_000, MIB - 1, MIB, MIB + 1, 3 * MIB + 9]
FOLDERS = ["a", "b", "a/deep", "b/deep"]  # the deep ones come and go
NAMES = [f"{folder}/{number}" for folder in FOLDERS for number in range(8)]
ALWAYS = ["a/0", "b/0"]  # are never removed
FORGOT = "forgot what was kept of names"


@dataclasses.dataclass
class OpenFile:
    name: str
    descriptor: int
    versions: list  # that it may be, by all that was seen of it


class Thread:
    """One user of the mount, with files open, some of them over a round's end."""

    def __init__(self, seed, mount, history, freshness):
        self.chance = random.Random(seed)
        self.mount = mount
        self.history = history
        self.freshness = freshness
        self.files = []
        self.asked = set()  # in this round by an open
        self.count = 0

    def run(self):
        self.asked.clear()
        weights = {self.open: 3, self.read_range: 8, self.read_through: 2, self.map: 2,
                   self.close: 2, self.stat: 2, self.list: 2, self.forget_pages: 3,
                   self.read_whole: 3}
        for step in self.chance.choices(list(weights), list(weights.values()), k=STEPS):
            step()
            self.count += 1

    def end(self):
        while self.files:
            self.close()

    def is_current(self, file, version):
        return version == self.history.now().get(file.name)

    def pick(self):
        while not self.files:
            self.open()
        return self.chance.choice(self.files)

    def check(self, file, call, part, what):
        """What `call` returns is that part of a version, or the object is not that one any more."""
        try:
            found = call()
        except OSError as error:
            # The kernel makes EIO of a failed read of several pages.
            if error.errno not in (errno.ESTALE, errno.EIO):
                raise
            file.versions = [v for v in file.versions if not self.is_current(file, v)]
            if not file.versions:
                raise
            return
        file.versions = [version for version in file.versions if part(version) == found]
        if not file.versions:
            raise AssertionError(f"{file.name} {what}: {len(found)} bytes, which are no version's")

    def open(self):
        if len(self.files) >= 8:
            return self.close()
        name = self.chance.choice(NAMES)
        versions = bodies(self.history.since(self.freshness.opens), name)
        self.asked.add(name)
        try:
            descriptor = os.open(self.mount / name, os.O_RDONLY)
        except FileNotFoundError:
            return self.check_missing(name, versions)
        size = os.fstat(descriptor).st_size
        file = OpenFile(name, descriptor, [v for v in versions if v is not None and len(v) == size])
        self.files.append(file)
        if not file.versions:
            raise AssertionError(f"{name} was opened with {size} bytes")
        return None

    @staticmethod
    def check_missing(name, versions):
        if None not in versions:
            raise AssertionError(f"{name} is said to be missing")

    def close(self):
        if self.files:
            os.close(self.files.pop(self.chance.randrange(len(self.files))).descriptor)

    @staticmethod
    def read(file, offset, length, step):
        # One read gives less where pages it has are followed by some that cannot be had.
        found = b""
        while part := os.pread(file.descriptor, min(step, length - len(found)),
                               offset + len(found)):
            found += part
        return found

    def read_range(self):
        file = self.pick()
        offset = self.chance.randrange(max(map(len, file.versions)) + 5000)
        length = self.chance.choice([1, 511, 4096, 16384, 100_000, MIB])
        self.check(file, lambda: self.read(file, offset, length, length),
                   lambda body: body[offset:offset + length], f"at {offset}+{length}")

    def read_through(self):
        file = self.pick()
        step = self.chance.choice([30_000, 131_072, MIB])
        self.check(file, lambda: self.read(file, 0, sys.maxsize, step), lambda body: body,
                   f"by {step}")

    def read_whole(self):
        name = self.chance.choice(NAMES)
        versions = bodies(self.history.since(self.freshness.opens), name)
        self.asked.add(name)
        try:
            found = self.read_by_name(name)
        except OSError as error:
            # An old version was opened, of which not all is cached: the next open has the new.
            if error.errno not in (errno.ESTALE, errno.EIO) or all(
                    version in (None, versions[-1]) for version in versions):
                raise
            found, versions = self.read_by_name(name), versions[-1:]
        if found not in versions:
            raise AssertionError(f"{name}: {found and len(found)} bytes, which are no version's")

    def read_by_name(self, name):
        try:
            return (self.mount / name).read_bytes()
        except FileNotFoundError:
            return None

    def map(self):
        # A mapping of a replaced object could end the test with SIGBUS, and rightly so.
        current = [file for file in self.files
                   if all(version and self.is_current(file, version) for version in file.versions)]
        if not current:
            return
        file = self.chance.choice(current)
        body = file.versions[0]
        with mmap.mmap(file.descriptor, 0, prot=mmap.PROT_READ) as view:
            for _ in range(5):
                begin = self.chance.randrange(len(body))
                end = begin + self.chance.choice([1, 5000, 200_000])
                if view[begin:end] != body[begin:end]:
                    raise AssertionError(f"{file.name} mapped at {begin}")

    def stat(self):
        name = self.chance.choice(NAMES)
        versions = bodies(self.history.since(self.freshness.stats), name)
        try:
            size = os.stat(self.mount / name).st_size
        except FileNotFoundError:
            return self.check_missing(name, versions)
        if size not in [len(version) for version in versions if version is not None]:
            raise AssertionError(f"{name} is said to have {size} bytes")
        return None

    def list(self):
        folder = self.chance.choice(FOLDERS + [""])
        moments = self.history.since(self.freshness.listings)
        if self.freshness.opens == 0:
            moments = [objects for objects in moments if not self.found_wrong(folder, objects)]
        try:
            found = set(os.listdir(self.mount / folder))
        except FileNotFoundError:
            found = set()
        if found not in [listing(objects, folder) for objects in moments]:
            raise AssertionError(f"{folder}: {found}")

    def found_wrong(self, folder, objects):
        """Whether an open of ours showed that a listing from then is not right any more."""
        return any((name in objects) != (name in self.history.now()) for name in self.asked
                   if os.path.dirname(name) == folder)

    def forget_pages(self):
        drop_pages(self.pick().descriptor)


class RandomUse(CacheTest):
    def use(self, options, freshness=Freshness(), faults=()):
        seed = int(os.environ.get("SHOAL_SEED", random.randrange(1 << 32)))
        chance = random.Random(seed)
        origin = self.origin()
        history = History(origin)

        def body():
            return chance.randbytes(chance.choice(SIZES) + chance.randrange(3))

        def change():
            names, there = set(chance.sample(NAMES, 8)), history.now()
            removed = {name for name in names if name in there and chance.random() < 0.5}
            if chance.random() < 0.4:
                removed |= {name for name in there if name.startswith("a/deep/")}
            removed -= set(ALWAYS)
            same = {name: there[name] for name in sorted(there) if chance.random() < 0.05}
            written = same | {name: body() for name in sorted(names)}
            history.change({k: v for k, v in written.items() if k not in removed}, removed)

        history.change({name: body() for name in ALWAYS + chance.sample(NAMES, 20)})
        options += f",g_tier_DadiCachePageSizeKB={chance.choice([4, 16, 64])}"
        options += chance.choice(["", ",transport=dev"])
        told = f"SHOAL_SEED={seed} {options}"
        print(told, flush=True)
        mount = self.mount(origin, options)
        origin.configure(faults=list(faults))
        threads = [Thread(seed + number, mount, history, freshness) for number in range(THREADS)]
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for number in range(ROUNDS):
                calls = [pool.submit(thread.run) for thread in threads]
                errors = [error for call in calls if (error := call.exception())]
                if errors:
                    raise AssertionError(told) from errors[0]
                change()
                if number % 3 == 2:
                    self.clear(mount, history)
                    self.assertEqual(tree(mount.point), tree(origin.bucket), told)
        for thread in threads:
            thread.end()
        self.assertEqual({thread.count for thread in threads}, {ROUNDS * STEPS})

    @staticmethod
    def clear(mount, history):
        said = mount.log().count(FORGOT)
        history.cleared()
        mount.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: mount.log().count(FORGOT) > said)

    def test_random_use_without_a_cache_matches_the_objects(self):
        self.use("g_tier_EnableClusterCache=false")

    def test_random_use_with_a_disk_cache_matches_the_objects(self):
        self.use(cache_options(self.directory()))

    def test_random_use_with_a_memory_cache_that_is_too_small_matches_the_objects(self):
        self.use(cache_options(memory_mib=6))

    def test_random_use_with_both_caches_matches_the_objects(self):
        self.use(cache_options(self.directory(), self.directory(), disk_mib=5, memory_mib=4))

    def test_random_use_with_a_cache_and_a_store_that_fails_now_and_then_matches_the_objects(self):
        self.use(cache_options(self.directory(), disk_mib=8, memory_mib=4), faults=[
            {"kind": "status503", "probability": 0.02}, {"kind": "reset", "probability": 0.02},
            {"kind": "cut_after_bytes", "bytes": 30_000, "match": {"op": "Get"},
             "probability": 0.05}])

    def test_random_use_with_both_caches_and_no_passthrough_matches_the_objects(self):
        self.use(cache_options(self.directory(), memory_mib=64) + ",passthrough=off")

    def test_random_use_of_every_directory_listed_anew_matches_the_objects(self):
        self.use("g_readdircache_Enable=false", Freshness(listings=0))

    def test_random_use_of_names_that_are_believed_matches_the_objects_since_the_last_clear(self):
        for options in ("", ",entry_timeout=3600"):
            with self.subTest(options):
                self.use(cache_options(self.directory(), disk_mib=8, memory_mib=4) +
                         ",g_metadata_CacheEnable=true" + options, Freshness(math.inf, math.inf))

    def test_random_use_without_open_requests_matches_the_objects(self):
        self.use(cache_options(self.directory()) + ",open_requests=off",
                 Freshness(opens=Freshness.stats))

    def test_random_use_without_open_requests_of_believed_names_matches_the_objects(self):
        self.use(cache_options(self.directory()) + ",open_requests=off,entry_timeout=3600"
                 ",g_metadata_CacheEnable=true", Freshness(math.inf, math.inf))


if __name__ == "__main__":
    unittest.main(verbosity=2)
