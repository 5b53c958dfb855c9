"""What a cache takes of its disk, of memory and of its process, and what gives way."""
import concurrent.futures
import contextlib
import ctypes
import hashlib
import mmap
import os
import subprocess
import threading
import unittest

from caching import (MIB, cache_options, cached_bytes, used_bytes, wait_until,
                     wait_until_cached)
from harness import SHOAL, open_files
from media import MediaTest


def used_of_file_system(path):
    room = os.statvfs(path)
    return (room.f_blocks - room.f_bfree) * room.f_frsize


class Mapping:
    """Of a file that is closed again. Python's own keeps the file open."""

    def __init__(self, path):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.mmap.restype = ctypes.c_void_p
        self.libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int,
                                   ctypes.c_int, ctypes.c_long)
        self.libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
        descriptor = os.open(path, os.O_RDONLY)
        self.size = os.fstat(descriptor).st_size
        self.address = self.libc.mmap(None, self.size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor,
                                      0)
        os.close(descriptor)
        if self.address == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), f"mapping {path}")

    def bytes(self):
        return ctypes.string_at(self.address, self.size)

    def close(self):
        self.libc.munmap(self.address, self.size)


class Capacity(MediaTest):
    def test_the_cache_never_takes_more_than_its_capacity_while_4_times_as_much_is_read(self):
        kinds = {"tmpfs": lambda: self.tmpfs(256),
                 "ext4 with blocks of 1 KiB": lambda: self.ext4(256, block_bytes=1024)[0],
                 "ext4 with blocks of 4 KiB": lambda: self.ext4(256, block_bytes=4096)[0],
                 "xfs": lambda: self.xfs(320)}
        # What XFS reserves for trees and has not freed yet is no file's: see docs/operations.md.
        used_of = {kind: used_of_file_system for kind in kinds} | {"xfs": used_bytes}
        for kind, make in kinds.items():
            with self.subTest(kind):
                disk = make()
                origin = self.origin()
                written = self.objects(origin, 30, 2 * MIB) | self.objects(
                    origin, 300, 20_000, "small")
                before = used_of[kind](disk)
                mount, admin = self.mount_with_metrics(origin, cache_options(disk, disk_mib=16))
                most, ended = [0], threading.Event()

                def watch():
                    while not ended.is_set():
                        most[0] = max(most[0], used_of[kind](disk) - before)

                watcher = threading.Thread(target=watch)
                watcher.start()
                try:
                    self.read_in_time(mount, written, seconds_max=30)
                finally:
                    ended.set()
                    watcher.join()
                self.assertLessEqual(admin.cache_metric("used_bytes", disk), 16 * MIB)
                mount.close()  # nothing is on its way any more
                self.assertLessEqual(used_bytes(disk / "shoal-cache"), 16 * MIB)
                # A walk may count an object that goes and the one that comes in its room.
                counted_twice = 2 * MIB + 30 if kind == "xfs" else 0
                self.assertLessEqual(most[0], 16 * MIB + counted_twice)
                self.assertGreater(cached_bytes(disk), 8 * MIB, "it is made use of")

    def test_the_memory_cache_never_takes_more_than_its_capacity(self):
        origin = self.origin()
        written = self.objects(origin, 30, 2 * MIB) | self.objects(origin, 300, 20_000, "small")
        mount = self.mount(origin, cache_options(memory_mib=16))
        memory = self.memory_of(mount)
        for _ in range(2):
            self.read_in_time(mount, written, seconds_max=30)
            self.assertLessEqual(used_of_file_system(memory), 16 * MIB)
        self.assertGreater(used_of_file_system(memory), 8 * MIB, "it is made use of")

    @staticmethod
    def memory_of(mount):
        """The tmpfs that no path leads to: its root is a descriptor of the daemon."""
        for descriptor, name in open_files(mount.worker()):
            if name == "/" and descriptor.stat().st_dev != os.stat("/").st_dev:
                return descriptor
        raise AssertionError("there is no memory cache")

    def test_a_mount_with_a_disk_cache_lives_in_a_control_group_of_96_mib(self):
        group = self.small_memory_group(96 * MIB)
        origin = self.origin()
        written = self.objects(origin, 8, 20 * MIB)
        mount = self.mount(origin, cache_options(self.directory(), disk_mib=200),
                           shoal=self.shoal_in(group))
        worker = mount.worker()
        for _ in range(3):
            self.read_in_time(mount, written, seconds_max=60, readers=8)
        self.assertEqual(mount.worker(), worker, mount.log())
        self.assertIn("read_memory_mb: 16 instead of 256", mount.log())
        # 49 of them at once took 84 MiB, and a worker with 90 MiB was killed.
        self.assertIn("max_connections: 21 instead of 64", mount.log())

    def test_a_mount_says_so_where_its_cache_or_its_descriptors_cannot_be_what_it_was_told(self):
        origin = self.origin()
        disk = self.ext4(64)[0]
        shoal = self.shoal_after("ulimit -n 300")
        mount = self.mount(origin, cache_options(disk, disk_mib=1000), shoal=shoal)
        wait_until(lambda: "may take 1000 MiB, and its file system has " in mount.log())
        self.assertIn("no more than 300 descriptors may be open, too few for 320 connections",
                      mount.log())

    def test_a_file_that_is_mapped_does_not_give_way_though_nobody_has_it_open(self):
        for medium in ("disk", "memory"):
            with self.subTest(medium):
                origin = self.origin()
                models, others = self.objects(origin, 2, 4 * MIB), self.objects(
                    origin, 12, 2 * MIB, "other")
                if medium == "disk":
                    place = self.tmpfs(64)
                    mount = self.mount(origin, cache_options(place, disk_mib=16))
                else:
                    mount = self.mount(origin, cache_options(memory_mib=16))
                    place = self.memory_of(mount)
                self.assert_reads(mount, models)
                wait_until(lambda: self.reads_without_a_get(origin, mount, models))
                mappings = [Mapping(mount / key) for key in models]
                most = 0
                for key in others:
                    self.assert_reads(mount, {key: others[key]})
                    most = max(most, used_of_file_system(place))
                self.assertLessEqual(most, 16 * MIB)
                self.assertEqual(
                    [hashlib.sha256(mapping.bytes()).hexdigest() for mapping in mappings],
                    list(models.values()))
                for mapping in mappings:
                    mapping.close()
                # And once nobody has it mapped it gives way as any other.
                self.assert_reads(mount, others)
                wait_until(lambda: not self.reads_without_a_get(origin, mount, models))

    def test_who_opens_files_of_the_cache_while_they_give_way_does_the_worker_no_harm(self):
        origin, directory = self.origin(), self.directory()
        written = self.objects(origin, 60, 300_000)
        mount = self.mount(origin, cache_options(directory, disk_mib=4))
        worker = mount.worker()
        over = threading.Event()

        def look():
            while not over.is_set():
                for path in (directory / "shoal-cache").glob("*/*.data"):
                    with contextlib.suppress(FileNotFoundError):
                        os.close(os.open(path, os.O_RDONLY))

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            looking = [pool.submit(look) for _ in range(4)]
            try:
                for _ in range(8):
                    self.assert_reads(mount, written)
            finally:
                over.set()
        for one in looking:
            one.result()
        self.assertEqual(mount.worker(), worker)
        self.assertNotIn("is not used until it works again", mount.log())

    def test_what_an_earlier_mount_left_is_brought_under_a_smaller_capacity(self):
        origin, directory = self.origin(), self.directory()
        written = self.objects(origin, 30, MIB)
        first = self.mount(origin, cache_options(directory))
        self.assert_reads(first, written)
        wait_until_cached(30 * MIB, directory)
        first.close()
        second = self.mount(origin, cache_options(directory, disk_mib=8))
        wait_until(lambda: used_bytes(directory / "shoal-cache") <= 8 * MIB)
        self.assert_reads(second, written)

    def test_the_free_room_asked_for_is_left_to_others(self):
        origin, disk = self.origin(), self.tmpfs(100)
        written = self.objects(origin, 120, MIB)
        # A twentieth of the disk, as that is less than 1 GiB.
        mount = self.mount(origin, cache_options(disk, disk_mib=200), "cache_min_free_mb=1024")
        self.assert_reads(mount, written)
        mount.close()
        self.assertGreaterEqual(self.free_bytes(disk), 5 * MIB)
        self.assertGreater(cached_bytes(disk), 80 * MIB)

    def test_that_room_changes_without_another_process(self):
        origin, disk = self.origin(), self.tmpfs(100)
        written = self.objects(origin, 120, MIB)
        mount = self.mount(origin, cache_options(disk, disk_mib=200))
        worker = mount.worker()

        def is_filled():
            self.assert_reads(mount, written)
            return self.free_bytes(disk) < 4 * MIB
        wait_until(is_filled)
        subprocess.run([SHOAL, "update", mount.point, "-o", "cache_min_free_mb=1024"], check=True)
        wait_until(lambda: self.free_bytes(disk) >= 5 * MIB)
        self.assertEqual(mount.worker(), worker)
        self.assert_reads(mount, written)

    @staticmethod
    def free_bytes(disk):
        room = os.statvfs(disk)
        return room.f_bavail * room.f_frsize


if __name__ == "__main__":
    unittest.main(verbosity=2)
