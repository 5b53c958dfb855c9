"""Directories of small files, read in order from a store that is far away.

What is asserted are counts and not times: how often each object was fetched, and how many
requests were under way at once.
"""
import concurrent.futures
import mmap
import os
import pathlib
import random
import subprocess
import tempfile
import unittest

from harness import MountTest, pattern

LATENCY_MS = 50
COUNT = 500
SEVERAL_AT_ONCE = 16  # where nothing is fetched ahead there are as many as readers, and a few


class InOrder(MountTest):
    def bucket(self, count=COUNT):
        """An origin with a directory of small objects, and what they hold by name."""
        origin = self.origin()
        written = {f"{i:04}": pattern(5000 + 37 * i, i) for i in range(count)}
        for name, body in written.items():
            origin.put(f"small/{name}", body)
        return origin, written

    def far(self, origin, mount):
        """The names in the mount, listed; from now on the store is far away, and counts."""
        names = os.listdir(mount / "small")
        origin.configure(latency_ms=LATENCY_MS)
        origin.reset_stats()
        return names

    def assert_each_was_fetched_once_and_ahead(self, origin, written):
        stats = origin.control("stats")
        self.assertEqual(stats["requests"]["Get"], len(written))
        self.assertEqual(stats["bytes"]["Get"], sum(map(len, written.values())))
        self.assert_many_at_once(stats)

    def assert_many_at_once(self, stats):
        self.assertGreaterEqual(stats["in_flight_peak"], SEVERAL_AT_ONCE)

    def read(self, mount, names):
        return {name: (mount / "small" / name).read_bytes() for name in names}

    def test_files_read_in_listing_order_are_each_fetched_once_and_many_at_a_time(self):
        origin, written = self.bucket()
        mount = self.mount(origin, "g_metadata_CacheEnable=true")
        names = self.far(origin, mount)
        self.assertEqual(self.read(mount, names), written)
        self.assert_each_was_fetched_once_and_ahead(origin, written)

    def test_so_are_those_that_two_programs_share(self):
        origin, written = self.bucket()
        for shares in ([slice(0, None, 2), slice(1, None, 2)],
                       [slice(0, COUNT // 2), slice(COUNT // 2, None)]):
            with self.subTest(shares=shares):
                origin.configure(latency_ms=0)
                mount = self.mount(origin, "g_metadata_CacheEnable=true")
                names = self.far(origin, mount)
                with concurrent.futures.ThreadPoolExecutor(len(shares)) as pool:
                    parts = list(pool.map(lambda share: self.read(mount, names[share]), shares))
                self.assertEqual({**parts[0], **parts[1]}, written)
                # Of two that read every other file one can fall so far behind that what was
                # fetched for it is gone.
                stats = origin.control("stats")
                self.assertLess(stats["requests"]["Get"], 1.5 * len(written))
                self.assert_many_at_once(stats)

    def test_cp_and_tar_and_sha256sum_fetch_many_at_a_time(self):
        origin, written = self.bucket()
        for command in ("cp -r small {out}", "tar -cf - small | tar -xf - -C {out}",
                        "cd small && sha256sum * > {out}/sums",
                        "find small -type f -exec cp {{}} {out} \\;"):
            with self.subTest(command=command), tempfile.TemporaryDirectory() as out:
                origin.configure(latency_ms=0)
                mount = self.mount(origin, "g_metadata_CacheEnable=true")
                self.far(origin, mount)
                subprocess.run(command.format(out=out), shell=True, cwd=mount.point, check=True)
                self.assert_each_was_fetched_once_and_ahead(origin, written)
                copied = {path.name: path.read_bytes()
                          for path in pathlib.Path(out).rglob("*") if path.is_file()}
                if "sums" in copied:
                    subprocess.run(["sha256sum", "--quiet", "-c", f"{out}/sums"],
                                   cwd=origin.bucket / "small", check=True)
                else:
                    self.assertEqual(copied, written)

    def test_with_a_cache_it_keeps_what_was_fetched_ahead(self):
        origin, written = self.bucket()
        mount = self.mount(origin, "g_metadata_CacheEnable=true", "g_tier_DadiIsDistributed=false",
                           "g_tier_DadiMemCacheCapacityMB=64")
        names = self.far(origin, mount)
        self.assertEqual(self.read(mount, names), written)
        self.assert_each_was_fetched_once_and_ahead(origin, written)
        for name in names:
            descriptor = os.open(mount / "small" / name, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
        self.assertEqual(self.read(mount, names), written)
        self.assertEqual(origin.requests()["Get"], COUNT)

    def test_files_whose_pages_the_kernel_has_are_not_fetched_ahead(self):
        origin, written = self.bucket()
        mount = self.mount(origin, "g_metadata_CacheEnable=true")
        names = self.far(origin, mount)
        self.read(mount, names)
        for name in names:
            self.lock_pages(mount / "small" / name)
        origin.reset_stats()
        self.assertEqual(self.read(mount, names), written)
        self.assertEqual(sum(origin.requests().values()), 0)

    def lock_pages(self, path):
        """For the rest of the test: a machine may page out what is idle (DAMON)."""
        map_locked = 0x2000  # of mmap(2); Python has no name for it
        with open(path, "rb") as file:
            mapping = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED | map_locked,
                                prot=mmap.PROT_READ)
        self.addCleanup(mapping.close)

    def test_an_open_asks_the_store_though_the_file_was_fetched_ahead(self):
        origin, written = self.bucket(100)
        mount = self.mount(origin)
        names = self.far(origin, mount)
        self.assertEqual(self.read(mount, names[:20]), {n: written[n] for n in names[:20]})
        for i, name in enumerate(names[20:]):
            written[name] = pattern(6000 + i, 1000 + i)
            origin.put(f"small/{name}", written[name])
        self.assertEqual(self.read(mount, names[20:]), {n: written[n] for n in names[20:]})

    def test_that_costs_one_head_an_open_and_each_file_is_fetched_once(self):
        origin, written = self.bucket(100)
        mount = self.mount(origin)
        names = self.far(origin, mount)
        self.assertEqual(self.read(mount, names), written)
        requests = origin.requests()
        self.assertEqual(requests["Get"], 100)
        self.assertEqual(requests["Head"], 100)

    def test_a_random_order_fetches_almost_nothing_in_vain(self):
        origin, written = self.bucket(1000)
        mount = self.mount(origin, "g_metadata_CacheEnable=true")
        names = self.far(origin, mount)
        origin.configure(latency_ms=0)
        for seed in range(5):  # a quarter each, so that nothing fetched in vain is read later
            names.sort()
            random.Random(seed).shuffle(names)
            part = names[:len(names) // 4]
            mount_again = self.mount(origin, "g_metadata_CacheEnable=true")
            os.listdir(mount_again / "small")
            origin.reset_stats()
            self.assertEqual(self.read(mount_again, part), {n: written[n] for n in part})
            self.assertLessEqual(origin.requests()["Get"], len(part) + 40)


if __name__ == "__main__":
    unittest.main()
