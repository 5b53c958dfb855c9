"""The daemon is killed, and the power fails: what the cache has afterwards is right or fetched.

SHOAL_CRASH_KILLS is how often the daemon is killed, SHOAL_SEED repeats a run.
"""
import contextlib
import json
import os
import pathlib
import random
import select
import shutil
import signal
import subprocess
import sys
import time
import unittest

from caching import (MIB, CacheTest, cache_options, cached_bytes, files_of, sha256_anew,
                     wait_until)
from harness import SHOAL, needs_survival, pattern, sha256

KILLS = int(os.environ.get("SHOAL_CRASH_KILLS", 100))
READERS = 4


def compare(path, body, chance):
    """None, or what is wrong with the file: some of it is read, or all of it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        if chance.random() < 0.5:
            begin = chance.randrange(len(body) + 1)
            end = min(len(body), begin + chance.choice([1, 5000, 300_000]))
        else:
            begin, end = 0, len(body)
        while begin < end:
            found = os.pread(descriptor, min(MIB, end - begin), begin)
            if not found or found != body[begin:begin + len(found)]:
                return f"{path}: wrong bytes at {begin}, {len(found)} of {end - begin}"
            begin += len(found)  # less than asked for, when the daemon ends meanwhile
        return None
    finally:
        os.close(descriptor)


def read_until_told(mount_point, truth, seed):
    """A reader process. Ends when its input does; prints what it met."""
    chance = random.Random(seed)
    bodies = {str(path.relative_to(truth)): path.read_bytes()
              for path in pathlib.Path(truth).rglob("*") if path.is_file()}
    names = sorted(bodies)
    wrong, errors, count = [], [], 0
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        name = chance.choice(names)
        begun = time.monotonic()
        try:
            found = compare(os.path.join(mount_point, name), bodies[name], chance)
            count += 1
            if found:
                wrong.append(found)
        except OSError as error:
            errors.append((begun, time.monotonic(), f"{name}: {error}"))
    print(json.dumps({"wrong": wrong, "errors": errors, "count": count}))


class KilledDaemons(CacheTest):
    def readers(self, mount_point, truth, seed):
        processes = []
        for number in range(READERS):
            process = subprocess.Popen(
                [sys.executable, __file__, "read", mount_point, truth, str(seed + number)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            processes.append(process)
        for process in processes:
            self.assertEqual(process.stdout.readline(), "ready\n")
        return processes

    def test_after_kill_9_at_any_moment_every_byte_is_right(self):
        seed = int(os.environ.get("SHOAL_SEED", random.randrange(1 << 32)))
        print(f"SHOAL_SEED={seed} SHOAL_CRASH_KILLS={KILLS}", flush=True)
        chance = random.Random(seed)
        origin, directory, point = self.origin(), self.directory(), self.directory()
        sizes = [0, 1, 4095, 16384, 16385, MIB, 3 * MIB + 5, 9 * MIB + 7] + [
            chance.randrange(200_000) for _ in range(40)]
        written = {f"d{i % 3}/{i}": sha256(origin.put(f"d{i % 3}/{i}", pattern(size, i)))
                   for i, size in enumerate(sizes)}
        # Half of it fits, so that the daemon dies while it evicts as well.
        options = cache_options(directory, disk_mib=10)
        readers = self.readers(point, origin.bucket, seed)
        alive = []  # from when to when the mount was there
        for kill in range(KILLS):
            mount = self.mount(origin, options + chance.choice(
                ["", ",g_tier_DadiMemCacheCapacityMB=8", ",passthrough=off"]), point=point)
            since = time.monotonic()
            if kill % 4 == 3:
                self.assert_reads(mount, written)
            try:  # a moment that nothing announces
                mount.process.wait(chance.choice([0.002, 0.02, 0.1, 0.3]) * chance.random())
            except subprocess.TimeoutExpired:
                pass
            self.assertIsNone(mount.process.poll(), mount.log())
            alive.append((since, time.monotonic()))
            mount.process.kill()
            mount.wait()
        mount = self.mount(origin, options, point=point)
        alive.append((time.monotonic(), float("inf")))
        self.assert_reads(mount, written)
        for reader in readers:
            reader.stdin.close()
        met = [json.loads(reader.stdout.read()) for reader in readers]
        self.assertEqual([wrong for reader in met for wrong in reader["wrong"]], [])
        for reader in met:
            self.assertGreater(reader["count"], KILLS)
            unexcused = [text for begun, ended, text in reader["errors"]
                         if any(since < begun and ended < until for since, until in alive)]
            self.assertEqual(unexcused, [], "errors while the daemon was there")


@needs_survival
class KilledWorkers(CacheTest):
    def test_the_memory_cache_outlives_a_killed_worker_and_an_update(self):
        origin = self.origin()
        written = {}
        for i in range(20):
            origin.put(f"f{i}", pattern(600_000 + i, seed=i))
            written[f"f{i}"] = sha256(origin.bucket / f"f{i}")
        mount = self.mount(origin, cache_options(memory_mib=64))
        self.assert_reads(mount, written)
        held = open(mount / "f3", "rb")  # the kernel reads it by itself
        self.addCleanup(held.close)
        worker = mount.worker()
        os.kill(worker, signal.SIGKILL)
        self.assert_reads_without_a_get(origin, mount, written)
        self.assertNotEqual(mount.worker(), worker)
        update = subprocess.run([SHOAL, "update", mount.point, "-o", "connect_timeout=9"])
        self.assertEqual(update.returncode, 0)
        self.assert_reads_without_a_get(origin, mount, written)
        self.assertEqual(held.read(), pattern(600_003, seed=3))


class PowerLoss(CacheTest):
    def test_after_a_power_loss_every_byte_is_right_and_what_was_synced_is_still_cached(self):
        for options in ("data=ordered", "data=writeback"):
            with self.subTest(options):
                self.lose_power(options)

    def keep(self, mount, written, disk, held):
        """What a busy disk did not take at a first reading, it takes at a later one."""
        for _ in range(5):
            for key, digest in written.items():
                self.assertEqual(sha256_anew(mount / key), digest)
            with contextlib.suppress(TimeoutError):
                return wait_until(lambda: cached_bytes(disk) >= held, seconds=3)
        self.fail(f"{cached_bytes(disk)} bytes are cached, and not {held}")

    def lose_power(self, options):
        origin = self.origin()
        disk, image = self.ext4(96, options)

        def objects(folder, count, size):
            return {f"{folder}/{i}": sha256(origin.put(f"{folder}/{i}", pattern(size + i, i)))
                    for i in range(count)}

        synced = objects("synced", 10, 700_000)
        small = objects("small", 40, 60_000)
        half = objects("half", 10, 1_300_000)
        unsynced = objects("unsynced", 10, 300_000)
        mount = self.mount(origin, cache_options(disk))
        held = 0
        for written, size in ((small, 60_000), (synced, 700_000), (half, 1_300_000),
                              (unsynced, 300_000)):
            before = set(files_of(disk, "meta"))
            held += sum(size + i for i in range(len(written)))
            self.keep(mount, written, disk, held)
            if written is synced:
                subprocess.run(["sync", "-f", disk], check=True)
            if written is half:  # the checksums are written out, and not all of their pages
                for path in set(files_of(disk, "meta")) - before:
                    with open(path, "rb") as file:
                        os.fsync(file.fileno())
        after = self.directory() / "image"
        shutil.copyfile(image, after)  # what was not written out is not in it
        mount.close()

        checked = subprocess.run(["e2fsck", "-fy", after], capture_output=True, text=True)
        self.assertLess(checked.returncode, 4, checked.stdout)
        disk_after = self.loop_mount(after)
        self.assertLess(cached_bytes(disk_after), held, "something was lost")
        mount = self.mount(origin, cache_options(disk_after))
        self.assert_reads_without_a_get(origin, mount, small | synced)
        for _ in range(2):
            self.assert_reads(mount, small | synced | half | unsynced)
        self.assertIn("does not have its checksum", mount.log(), "pages were lost, not names only")


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        read_until_told(*sys.argv[2:4], int(sys.argv[4]))
    else:
        unittest.main(verbosity=2)
