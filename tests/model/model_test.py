"""Random use of a mount by many threads, compared with what the objects are known to be.

SHOAL_SEED repeats a run (but for what the threads do to each other), SHOAL_MODEL_ROUNDS makes
it longer.
"""
import concurrent.futures
import dataclasses
import errno
import mmap
import os
import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))
from caching import MIB, CacheTest, cache_options, drop_pages  # noqa: E402

ROUNDS = int(os.environ.get("SHOAL_MODEL_ROUNDS", 6))
THREADS = 6
STEPS = 120  # of a thread in a round
SIZES = [0, 1, 100, 4095, 4096, 16384, 16385, 70_000, 300_000, MIB - 1, MIB, MIB + 1, 3 * MIB + 9]


@dataclasses.dataclass
class Model:
    """Every object with each version it had, oldest first. Changed only between rounds."""
    versions: dict = dataclasses.field(default_factory=dict)  # name -> [bytes]

    def names(self, folder):
        return sorted(name.split("/")[1] for name in self.versions if name.startswith(folder + "/"))


@dataclasses.dataclass
class OpenFile:
    name: str
    version: int
    descriptor: int


class Thread:
    """One user of the mount, with files open, some of them over a round's end."""

    def __init__(self, seed, mount, model):
        self.chance = random.Random(seed)
        self.mount = mount
        self.model = model
        self.files = []
        self.count = 0

    def run(self):
        weights = {self.open: 3, self.read_range: 8, self.read_through: 2, self.map: 2,
                   self.close: 2, self.stat: 2, self.list: 1, self.forget_pages: 3,
                   self.read_whole: 3}
        for step in self.chance.choices(list(weights), list(weights.values()), k=STEPS):
            step()
            self.count += 1

    def end(self):
        while self.files:
            self.close()

    def body(self, file):
        return self.model.versions[file.name][file.version]

    def pick(self):
        if not self.files:
            self.open()
        return self.chance.choice(self.files)

    def attempt(self, file, call):
        """What `call` returns, or None where the object was replaced since the open."""
        try:
            return call()
        except OSError as error:
            replaced = file.version + 1 < len(self.model.versions[file.name])
            # The kernel makes EIO of a failed read of several pages.
            if replaced and error.errno in (errno.ESTALE, errno.EIO):
                return None
            raise

    def check(self, found, expected, what):
        if found != expected:
            raise AssertionError(f"{what}: {len(found)} bytes, not the {len(expected)} expected "
                                 f"or others")

    def open(self):
        if len(self.files) >= 8:
            return self.close()
        name = self.chance.choice(sorted(self.model.versions))
        version = len(self.model.versions[name]) - 1
        file = OpenFile(name, version, os.open(self.mount / name, os.O_RDONLY))
        self.files.append(file)
        size = os.fstat(file.descriptor).st_size
        if size != len(self.body(file)):
            raise AssertionError(f"{name} was opened with {size} bytes")
        return None

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
        body = self.body(file)
        offset = self.chance.randrange(len(body) + 5000)
        length = self.chance.choice([1, 511, 4096, 16384, 100_000, MIB])
        found = self.attempt(file, lambda: self.read(file, offset, length, length))
        if found is not None:
            self.check(found, body[offset:offset + length], f"{file.name} at {offset}+{length}")

    def read_through(self):
        file = self.pick()
        step = self.chance.choice([30_000, 131_072, MIB])
        found = self.attempt(file, lambda: self.read(file, 0, sys.maxsize, step))
        if found is not None:
            self.check(found, self.body(file), f"{file.name} by {step}")

    def read_whole(self):
        name = self.chance.choice(sorted(self.model.versions))
        self.check((self.mount / name).read_bytes(), self.model.versions[name][-1], name)

    def map(self):
        # A mapping of a replaced object could end the test with SIGBUS, and rightly so.
        current = [file for file in self.files
                   if file.version == len(self.model.versions[file.name]) - 1 and self.body(file)]
        if not current:
            return
        file = self.chance.choice(current)
        body = self.body(file)
        with mmap.mmap(file.descriptor, 0, prot=mmap.PROT_READ) as view:
            for _ in range(5):
                begin = self.chance.randrange(len(body))
                end = begin + self.chance.choice([1, 5000, 200_000])
                self.check(view[begin:end], body[begin:end], f"{file.name} mapped at {begin}")

    def stat(self):
        name = self.chance.choice(sorted(self.model.versions))
        size = os.stat(self.mount / name).st_size
        # For seconds it may be that of the listing before.
        if size not in [len(body) for body in self.model.versions[name][-2:]]:
            raise AssertionError(f"{name} is said to have {size} bytes")

    def list(self):
        folder = self.chance.choice(["a", "b"])
        found = sorted(os.listdir(self.mount / folder))
        if found != self.model.names(folder):
            raise AssertionError(f"{folder}: {found}")

    def forget_pages(self):
        drop_pages(self.pick().descriptor)


class RandomUse(CacheTest):
    def use(self, options, faults=()):
        seed = int(os.environ.get("SHOAL_SEED", random.randrange(1 << 32)))
        chance = random.Random(seed)
        origin, model = self.origin(), Model()

        def put(name):
            body = chance.randbytes(chance.choice(SIZES) + chance.randrange(3))
            model.versions.setdefault(name, []).append(body)
            origin.put(name, body)

        for number in range(20):
            put(f"{'ab'[number % 2]}/{number}")
        options += f",g_tier_DadiCachePageSizeKB={chance.choice([4, 16, 64])}"
        options += chance.choice(["", ",transport=dev"])
        told = f"SHOAL_SEED={seed} {options}"
        print(told, flush=True)
        mount = self.mount(origin, options)
        origin.configure(faults=list(faults))
        threads = [Thread(seed + number, mount, model) for number in range(THREADS)]
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for _ in range(ROUNDS):
                calls = [pool.submit(thread.run) for thread in threads]
                errors = [error for call in calls if (error := call.exception())]
                if errors:
                    raise AssertionError(told) from errors[0]
                for name in chance.sample(sorted(model.versions), 6):
                    put(name)
        for thread in threads:
            thread.end()
        self.assertEqual({thread.count for thread in threads}, {ROUNDS * STEPS})

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
