"""What a reader of a mount with a cache sees, and what the origin is spared."""
import concurrent.futures
import contextlib
import mmap
import os
import pathlib
import random
import signal
import subprocess
import threading
import unittest

from caching import (MIB, CacheTest, cache_options, cached_bytes, drop_pages, files_of, wait_until,
                     wait_until_cached)
from harness import needs_passthrough, pattern, sha256

SIZES = {"empty": 0, "byte": 1, "page": 16384, "odd": 40_961, "d/mib": MIB, "d/more": MIB + 1,
         "d/large": 6 * MIB + 17}


class Hits(CacheTest):
    def objects(self, origin, seed=0):
        return {key: sha256(origin.put(key, pattern(size, seed + number)))
                for number, (key, size) in enumerate(SIZES.items())}

    def test_what_was_read_is_read_again_from_the_disk_cache_without_a_get(self):
        for passthrough in ("auto", "off"):
            with self.subTest(passthrough=passthrough):
                origin, directory = self.origin(), self.directory()
                written = self.objects(origin)
                mount = self.mount(origin, cache_options(directory), f"passthrough={passthrough}")
                self.assert_reads(mount, written)
                self.assertEqual(self.get_bytes(origin), sum(SIZES.values()), "each byte once")
                wait_until_cached(sum(SIZES.values()), directory)
                for _ in range(2):
                    self.assert_reads_without_a_get(origin, mount, written)

    def test_what_was_read_is_read_again_from_the_memory_cache_without_a_get(self):
        for passthrough in ("auto", "off"):
            with self.subTest(passthrough=passthrough):
                origin = self.origin()
                written = self.objects(origin)
                mount = self.mount(origin, cache_options(memory_mib=64),
                                   f"passthrough={passthrough}")
                self.assert_reads(mount, written)
                self.assertEqual(self.get_bytes(origin), sum(SIZES.values()), "each byte once")
                # The last bytes of a file are kept just after its reader has them.
                wait_until(lambda: self.reads_without_a_get(origin, mount, written))

    def test_memory_in_front_of_a_disk_serves_the_same_bytes_without_a_get(self):
        origin, directory = self.origin(), self.directory()
        written = self.objects(origin)
        mount = self.mount(origin, cache_options(directory, memory_mib=64))
        self.assert_reads(mount, written)
        wait_until_cached(sum(SIZES.values()), directory)
        for _ in range(3):  # from the second opening on it is in memory
            self.assert_reads_without_a_get(origin, mount, written)

    def test_the_disk_cache_serves_what_it_had_after_a_remount_and_after_kill_9(self):
        for ending in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(ending):
                origin, directory = self.origin(), self.directory()
                written = self.objects(origin)
                first = self.mount(origin, cache_options(directory))
                self.assert_reads(first, written)
                wait_until_cached(sum(SIZES.values()), directory)
                first.process.send_signal(ending)
                first.wait()
                second = self.mount(origin, cache_options(directory))
                self.assert_reads_without_a_get(origin, second, written)

    def test_a_clean_unmount_writes_what_waits_to_be_written(self):
        origin, directory = self.origin(), self.directory()
        written = {"file": sha256(origin.put("file", pattern(32 * MIB)))}
        first = self.mount(origin, cache_options(directory))
        self.assert_reads(first, written)
        first.close()
        self.assertEqual(cached_bytes(directory), 32 * MIB)
        self.assert_reads_without_a_get(origin, self.mount(origin, cache_options(directory)),
                                        written)

    def test_a_mount_without_capacities_has_no_cache_and_does_not_complain(self):
        origin = self.origin()
        written = self.objects(origin)
        mount = self.mount(origin)
        for _ in range(2):
            origin.reset_stats()
            self.assert_reads(mount, written)
            self.assertEqual(self.get_bytes(origin), sum(SIZES.values()))
        self.assertEqual([line for line in mount.log().splitlines() if line.split()[1] in "WE"], [])

    def test_switched_off_nothing_is_cached_whatever_the_capacities(self):
        origin, directory = self.origin(), self.directory()
        written = self.objects(origin)
        mount = self.mount(origin, cache_options(directory, memory_mib=64),
                           "g_tier_EnableClusterCache=false")
        for _ in range(2):
            origin.reset_stats()
            self.assert_reads(mount, written)
            self.assertEqual(self.get_bytes(origin), sum(SIZES.values()))
        self.assertEqual(os.listdir(directory), [])

    def test_an_object_that_changes_is_fetched_anew_and_the_old_one_is_not_shown_again(self):
        origin, directory = self.origin(), self.directory()
        options = cache_options(directory, memory_mib=64)
        mount = self.mount(origin, options)
        for seed in range(6):
            written = self.objects(origin, seed * 100)
            for _ in range(2):
                self.assert_reads(mount, written)
            if seed % 2:
                mount.close()
                mount = self.mount(origin, options)
                self.assert_reads(mount, written)

    def test_64_readers_of_one_cold_object_fetch_each_byte_once_with_the_cache_as_well(self):
        for options in (cache_options(memory_mib=64), cache_options(self.directory()),
                        cache_options(self.directory(), memory_mib=64)):
            with self.subTest(options):
                origin = self.origin()
                expected = sha256(origin.put("once", pattern(8 * MIB)))
                mount = self.mount(origin, options)
                origin.reset_stats()
                with concurrent.futures.ThreadPoolExecutor(64) as pool:
                    self.assertEqual(set(pool.map(sha256, [mount / "once"] * 64)), {expected})
                self.assertEqual(self.get_bytes(origin), 8 * MIB)
                self.assertLessEqual(origin.requests()["Get"], 8, "one for each block")

    def test_random_reads_are_cached_by_the_page(self):
        for page_kib in (4, 16, 256):
            with self.subTest(page_kib=page_kib):
                origin, directory = self.origin(), self.directory()
                body = pattern(20 * MIB + 5)
                origin.put("file", body)
                mount = self.mount(origin, cache_options(directory),
                                   f"g_tier_DadiCachePageSizeKB={page_kib}")
                descriptor = os.open(mount / "file", os.O_RDONLY)
                self.addCleanup(os.close, descriptor)
                offsets = [random.Random(seed).randrange(20 * MIB) for seed in range(20)]

                def read_all():
                    drop_pages(descriptor)
                    for offset in offsets:
                        self.assertEqual(os.pread(descriptor, 4096, offset),
                                         body[offset:offset + 4096])

                read_all()
                wait_until_cached(self.get_bytes(origin), directory)
                self.assertLess(cached_bytes(directory), len(body), "not the whole of it")
                origin.reset_stats()
                read_all()
                self.assertEqual(origin.requests().get("Get", 0), 0)


class SmallFiles(CacheTest):
    def test_a_small_object_is_fetched_whole_by_one_get(self):
        for size, offset in ((1_000_000, 0), (200_000, 0), (200_000, 150_000)):
            with self.subTest(size=size, offset=offset):
                origin, directory = self.origin(), self.directory()
                body = pattern(size)
                origin.put("small", body)
                mount = self.mount(origin, cache_options(directory))
                descriptor = os.open(mount / "small", os.O_RDONLY)
                self.addCleanup(os.close, descriptor)
                origin.reset_stats()
                self.assertEqual(os.pread(descriptor, 10, offset), body[offset:offset + 10])
                wait_until_cached(len(body), directory)
                self.assertEqual((mount / "small").read_bytes(), body)
                self.assertEqual((origin.requests()["Get"], self.get_bytes(origin)),
                                 (1, len(body)))

    def test_with_the_metadata_cache_a_second_read_of_small_files_makes_no_request_at_all(self):
        for options in ("memory", "disk"):
            with self.subTest(options):
                origin, directory = self.origin(), self.directory()
                written = {f"d/{i}": sha256(origin.put(f"d/{i}", pattern(4096 + i, i)))
                           for i in range(200)}
                mount = self.mount(origin, "g_metadata_CacheEnable=true",
                                   cache_options(directory) if options == "disk" else
                                   cache_options(memory_mib=64))
                os.listdir(mount / "d")
                self.assert_reads(mount, written)
                if options == "disk":
                    wait_until_cached(sum(4096 + i for i in range(200)), directory)
                else:
                    wait_until(lambda: self.reads_without_a_get(origin, mount, written))
                origin.reset_stats()
                self.assert_reads(mount, written)
                self.assertEqual(sum(origin.requests().values()), 0)


@needs_passthrough
class Passthrough(CacheTest):
    """Large objects that are cached whole are read by the kernel from the cache's file."""

    def warm(self, *sizes):
        """A fresh mount, of which the kernel has no pages yet, on a cache that has it all."""
        origin, directory = self.origin(), self.directory()
        bodies = [pattern(size, number) for number, size in enumerate(sizes)]
        for number, body in enumerate(bodies):
            origin.put(f"file-{number}", body)
        first = self.mount(origin, cache_options(directory))
        for number in range(len(sizes)):
            sha256(first / f"file-{number}")
        wait_until_cached(sum(sizes), directory)
        first.close()
        # It is compared as the disk has it, and who opens it waits for that a moment only.
        subprocess.run(["sync", "-f", directory], check=True)
        mount = self.mount(origin, cache_options(directory))
        self.assertIn("passthrough: in use", mount.log())
        origin.reset_stats()
        return origin, mount, directory, bodies

    @contextlib.contextmanager
    def stopped(self, mount):
        """The daemon does nothing meanwhile. Whoever waits for it is freed in the end."""
        rescued = threading.Event()

        def rescue():
            rescued.set()
            os.kill(worker, signal.SIGCONT)

        worker = mount.worker()
        timer = threading.Timer(20, rescue)
        timer.start()
        os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: "State:\tT" in pathlib.Path(f"/proc/{worker}/status").read_text())
        try:
            yield
        finally:
            timer.cancel()
            os.kill(worker, signal.SIGCONT)
        self.assertFalse(rescued.is_set(), "somebody waited for the daemon")

    def test_a_warm_large_file_is_read_and_mapped_right(self):
        origin, mount, _, bodies = self.warm(2 * MIB, 7 * MIB + 5)
        for number, body in enumerate(bodies):
            with open(mount / f"file-{number}", "rb", buffering=0) as file:
                self.assertEqual(file.readall(), body)
                with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
                    self.assertEqual(view[:], body)
        self.assertEqual(origin.requests().get("Get", 0), 0)

    def test_reading_a_warm_large_file_goes_on_while_the_daemon_is_stopped(self):
        _, mount, _, (body,) = self.warm(7 * MIB + 5)
        descriptor = os.open(mount / "file-0", os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        with self.stopped(mount):
            self.assertEqual(os.pread(descriptor, len(body) + 1, 0), body)

    def test_an_open_file_stays_readable_after_its_cache_file_was_removed(self):
        _, mount, directory, (body,) = self.warm(7 * MIB + 5)
        with open(mount / "file-0", "rb", buffering=0) as file:
            for path in files_of(directory, "*"):
                path.unlink()
            self.assertEqual(file.readall(), body)
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
                self.assertEqual(view[:], body)
        self.assertEqual((mount / "file-0").read_bytes(), body)

    def test_a_file_larger_than_is_checked_at_its_open_is_read_right_before_and_after(self):
        origin, mount, _, (body,) = self.warm(40 * MIB + 1)
        for _ in range(3):  # the first open makes the daemon check it, meanwhile it is read
            self.assertEqual((mount / "file-0").read_bytes(), body)
        self.assertEqual(origin.requests().get("Get", 0), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
