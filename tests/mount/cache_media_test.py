"""A cache on a disk that is too small, full, frozen, read-only, failing or gone: reads go on."""
import concurrent.futures
import contextlib
import ctypes
import errno
import hashlib
import mmap
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

from admin import Admin, free_port
from caching import (MIB, CacheTest, cache_options, cached_bytes, drop_pages, files_of, used_bytes,
                     wait_until, wait_until_cached)
from harness import SHOAL, WAIT_SECONDS, mounted, needs_passthrough, needs_survival, pattern, sha256
from surviving import end_every_worker


def used_of_file_system(path):
    room = os.statvfs(path)
    return (room.f_blocks - room.f_bfree) * room.f_frsize


def states_of_threads(pid):
    return [stat.read_text().rpartition(")")[2].split()[0]
            for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")]


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


class MediaTest(CacheTest):
    def objects(self, origin, count, size, folder="d"):
        return {f"{folder}/{i}": sha256(origin.put(f"{folder}/{i}", pattern(size + i, i)))
                for i in range(count)}

    def mount_with_metrics(self, origin, *options):
        admin = Admin(free_port())
        return self.mount(origin, f"g_server_Port={admin.port}", *options), admin

    def read_in_time(self, mount, written, seconds_max=5, readers=4):
        """By some readers at once, none of whom waits for long."""
        def read(key):
            begun = time.monotonic()
            self.assert_reads(mount, {key: written[key]})
            return time.monotonic() - begun

        with concurrent.futures.ThreadPoolExecutor(readers) as pool:
            longest = max(pool.map(read, written))
        self.assertLess(longest, seconds_max)


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
        for descriptor in pathlib.Path(f"/proc/{mount.worker()}/fd").iterdir():
            if os.readlink(descriptor) == "/" and descriptor.stat().st_dev != os.stat("/").st_dev:
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
        self.assertIn("no more than 300 descriptors may be open, too few for 192 connections",
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


class Trouble(MediaTest):
    def test_room_is_given_back_while_nobody_reads_when_others_fill_the_disk(self):
        origin, disk = self.origin(), self.tmpfs(100)
        written = self.objects(origin, 60, MIB)
        mount = self.mount(origin, cache_options(disk, disk_mib=80), "cache_min_free_mb=1024")
        self.assert_reads(mount, written)
        wait_until(lambda: self.reads_without_a_get(origin, mount, written))  # else it takes more
        room = os.statvfs(disk)
        with open(disk / "of somebody else", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - MIB)
        wait_until(lambda: os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize >= 5 * MIB)
        self.assert_reads(mount, written)

    def test_a_full_disk_fails_no_read_and_is_used_again_when_there_is_room(self):
        origin, disk = self.origin(), self.tmpfs(16)
        written = self.objects(origin, 40, MIB)
        mount = self.mount(origin, cache_options(disk))
        self.read_in_time(mount, written)
        self.fill(disk / "of somebody else")
        self.read_in_time(mount, written)
        (disk / "of somebody else").unlink()
        few = dict(list(written.items())[:4])
        wait_until(lambda: self.reads_without_a_get(origin, mount, few))

    @staticmethod
    def fill(path):
        """The rest of the disk, to the last byte."""
        with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def test_a_disk_with_no_inode_left_fails_no_read(self):
        origin, disk = self.origin(), self.tmpfs(64)
        subprocess.run(["mount", "-o", "remount,nr_inodes=40", disk], check=True)
        written = self.objects(origin, 60, 50_000)
        mount = self.mount(origin, cache_options(disk))
        for _ in range(2):
            self.read_in_time(mount, written)

    def test_a_frozen_disk_holds_up_no_read_for_long_and_is_used_again_when_it_thaws(self):
        origin = self.origin()
        warm, cold = self.objects(origin, 12, 300_000, "warm"), self.objects(
            origin, 12, 1_200_000, "cold")
        disk, _ = self.ext4(64)
        first = self.mount(origin, cache_options(disk))
        self.assert_reads(first, warm)
        wait_until_cached(12 * 300_000, disk)
        first.close()
        mount, admin = self.mount_with_metrics(origin, cache_options(disk))
        self.assertEqual(admin.cache_metric("working", disk), 1)
        self.freeze(disk)
        self.read_in_time(mount, warm | cold)
        wait_until(lambda: admin.cache_metric("working", disk) == 0)
        self.thaw(disk)
        wait_until(lambda: self.reads_without_a_get(origin, mount, warm | cold))
        self.assertEqual(admin.cache_metric("working", disk), 1)

    def test_doctor_names_a_frozen_disk_and_ends(self):
        origin = self.origin()
        disk, _ = self.ext4(64)
        mount = self.mount(origin, cache_options(disk))
        self.freeze(disk)
        doctor = subprocess.run([SHOAL, "doctor", mount.point], capture_output=True, text=True,
                                timeout=WAIT_SECONDS)
        self.thaw(disk)
        self.assertEqual(doctor.returncode, 32, doctor)
        self.assertIn(f"BAD   cache {disk}/: does not answer\n", doctor.stdout)

    def test_64_readers_of_a_frozen_disk_wait_no_longer_than_a_few(self):
        origin = self.origin()
        written = self.objects(origin, 64, 100_000)
        disk, _ = self.ext4(64)
        first = self.mount(origin, cache_options(disk))
        self.assert_reads(first, written)
        wait_until_cached(64 * 100_000, disk)
        first.close()
        mount = self.mount(origin, cache_options(disk, memory_mib=16))
        self.freeze(disk)
        self.read_in_time(mount, written, readers=64)
        self.thaw(disk)

    @needs_survival
    def test_a_killed_worker_that_a_frozen_disk_keeps_from_ending_is_replaced_all_the_same(self):
        origin = self.origin()
        written = self.objects(origin, 24, 1_200_000)
        disk, _ = self.ext4(64)
        mount = self.mount(origin, cache_options(disk))
        self.freeze(disk)
        self.read_in_time(mount, written)
        worker = mount.worker()
        # Else it can end, and this is no test.
        wait_until(lambda: "D" in states_of_threads(worker))
        os.kill(worker, signal.SIGKILL)
        self.read_in_time(mount, written, seconds_max=10)
        self.assertNotEqual(mount.worker(), worker)
        self.thaw(disk)

    @needs_survival
    def test_where_no_worker_comes_after_such_a_one_readers_get_errors_and_do_not_hang(self):
        origin = self.origin()
        written = self.objects(origin, 24, 1_200_000)
        disk, _ = self.ext4(64)
        mount = self.mount(origin, cache_options(disk), "recovery_limit=2")
        self.freeze(disk)
        self.read_in_time(mount, written)
        worker = mount.worker()
        wait_until(lambda: "D" in states_of_threads(worker))
        end_every_worker(mount).join()
        self.assertEqual(mount.wait(), 32, mount.log())
        asks = subprocess.Popen(["ls", mount.point], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)
        try:
            _, said = asks.communicate(timeout=10)  # long before the disk thaws
        finally:
            self.thaw(disk)
        self.assertIn("Transport endpoint is not connected", said)
        self.assertIsNotNone(mounted(mount.point), "and nobody sees an empty directory")

    def mount_with_the_next_program(self, text, *options):
        """(mount, disk): the next worker is this program, which has DISK for the disk's path."""
        origin, directory = self.origin(), self.directory()
        origin.put("file", b"contents")
        disk, _ = self.ext4(64)
        binary, program = directory / "shoal", directory / "program"
        binary.write_bytes(pathlib.Path(SHOAL).read_bytes())
        program.write_text(text.replace("DISK", str(disk)))
        for path in (binary, program):
            path.chmod(0o755)
        mount = self.mount(origin, *options, shoal=binary)
        os.rename(program, binary)
        return mount, disk

    @needs_survival
    def test_nor_do_they_where_the_one_that_was_to_come_cannot_be_ended(self):
        mount, disk = self.mount_with_the_next_program("#!/bin/sh\n: > DISK/file\n",
                                                       "recovery_limit=2")
        self.freeze(disk)
        try:
            os.kill(mount.worker(), signal.SIGKILL)
            self.assertEqual(mount.wait(), 32, mount.log())
            asks = subprocess.run(["ls", mount.point], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True, timeout=10)
        finally:
            self.thaw(disk)
        self.assertIn("was killed and does not end", mount.log())
        self.assertIn("Transport endpoint is not connected", asks.stderr)

    @needs_survival
    def test_one_that_was_killed_before_it_served_and_does_not_end_is_not_waited_for(self):
        mount, disk = self.mount_with_the_next_program(f"""#!{sys.executable}
import os, pathlib, signal, threading
threading.Thread(target=open, args=("DISK/file", "w")).start()
while not any(") D " in stat.read_text() for stat in pathlib.Path("/proc/self/task").glob("*/stat")):
    pass
os.kill(os.getpid(), signal.SIGKILL)
""", "recovery_limit=20")
        self.freeze(disk)
        try:
            os.kill(mount.worker(), signal.SIGKILL)
            self.assertEqual((mount / "file").read_bytes(), b"contents")
        finally:
            self.thaw(disk)
        self.assertIn("a disk that hangs keeps it from ending", mount.log())

    def test_a_directory_that_is_full_at_the_start_fails_no_mount_and_is_used_when_there_is_room(self):
        for trouble in ("room", "inodes"):
            with self.subTest(trouble):
                origin, disk = self.origin(), self.tmpfs(16)
                written = self.objects(origin, 12, 300_000)
                if trouble == "room":
                    self.fill(disk / "of somebody else")
                else:
                    subprocess.run(["mount", "-o", "remount,nr_inodes=2", disk], check=True)
                mount, admin = self.mount_with_metrics(origin, cache_options(disk))
                self.read_in_time(mount, written)
                self.assertIn(f"the cache at {disk}/shoal-cache is not used until it works again",
                              mount.log())
                self.assertEqual(admin.cache_metric("working", disk), 0)
                if trouble == "room":
                    (disk / "of somebody else").unlink()
                else:
                    subprocess.run(["mount", "-o", "remount,nr_inodes=1000", disk], check=True)
                wait_until(lambda: self.reads_without_a_get(origin, mount, written))
                self.assertEqual(admin.cache_metric("working", disk), 1)

    def test_a_directory_that_is_read_only_at_the_start_fails_no_mount_and_is_used_later(self):
        origin, good, (disk, _) = self.origin(), self.directory(), self.ext4(64)
        written = self.objects(origin, 12, 300_000)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        mount, admin = self.mount_with_metrics(origin, cache_options(good, disk))
        self.read_in_time(mount, written)
        self.assertIn(f"the cache at {disk}/shoal-cache is not used until it works again: ",
                      mount.log())
        self.assertEqual([admin.cache_metric("working", d) for d in (good, disk)], [1, 0])
        wait_until(lambda: self.reads_without_a_get(origin, mount, written))  # by the other
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        wait_until(lambda: f"the cache at {disk}/shoal-cache works again" in mount.log())
        self.assertEqual([admin.cache_metric("working", d) for d in (good, disk)], [1, 1])

    def test_a_directory_that_is_frozen_at_the_start_holds_up_no_mount_and_is_used_when_it_thaws(
            self):
        origin, good, (disk, _) = self.origin(), self.directory(), self.ext4(64)
        warm, cold = self.objects(origin, 12, 300_000, "warm"), self.objects(
            origin, 12, 300_000, "cold")
        first = self.mount(origin, cache_options(disk))
        self.assert_reads(first, warm)
        wait_until_cached(12 * 300_000, disk)
        first.close()
        (disk / "shoal-cache/lock").unlink()  # so that it cannot be opened without a write
        self.freeze(disk)
        begun = time.monotonic()
        mount = self.mount(origin, cache_options(disk, good))
        self.assertLess(time.monotonic() - begun, 5)
        self.read_in_time(mount, cold)
        self.assertIn(f"the cache at {disk}/shoal-cache is not used until it works again: it does "
                      "not answer", mount.log())
        self.thaw(disk)
        wait_until(lambda: self.reads_without_a_get(origin, mount, warm))

    def test_a_worker_that_comes_while_a_disk_is_frozen_uses_it_when_it_thaws(self):
        origin, (disk, _) = self.origin(), self.ext4(64)
        warm, cold = self.objects(origin, 12, 300_000, "warm"), self.objects(
            origin, 12, 300_000, "cold")
        mount = self.mount(origin, cache_options(disk))
        self.assert_reads(mount, warm)
        wait_until_cached(12 * 300_000, disk)
        self.freeze(disk)
        self.read_in_time(mount, cold)  # so that a thread hangs in a write, and with it the lock
        subprocess.run([SHOAL, "restart", mount.point], check=True, timeout=WAIT_SECONDS)
        self.read_in_time(mount, warm | cold)
        self.assertIn("is not used until it works again: the process that served before",
                      mount.log())
        self.thaw(disk)
        wait_until(lambda: self.reads_without_a_get(origin, mount, warm | cold))

    def test_a_mount_whose_cache_is_frozen_can_be_unmounted_and_ends_when_the_disk_thaws(self):
        origin = self.origin()
        written = self.objects(origin, 12, 300_000)
        disk, _ = self.ext4(64)
        mount = self.mount(origin, cache_options(disk))
        self.freeze(disk)
        self.read_in_time(mount, written)
        begun = time.monotonic()
        subprocess.run(["umount", mount.point], check=True)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertIsNone(mounted(mount.point))
        self.thaw(disk)
        self.assertEqual(mount.wait(), 0)

    def test_a_disk_that_turns_read_only_fails_no_read(self):
        origin = self.origin()
        warm, cold = self.objects(origin, 12, 300_000, "warm"), self.objects(
            origin, 12, 1_200_000, "cold")
        disk, _ = self.ext4(64)
        mount, admin = self.mount_with_metrics(origin, cache_options(disk))
        self.assert_reads(mount, warm)
        wait_until_cached(12 * 300_000, disk)
        # As ext4 does when it meets an error that it cannot put right.
        subprocess.run(["mount", "-o", "remount,abort", disk], check=True)
        self.assert_errno(errno.EROFS, (disk / "new").touch)
        for _ in range(2):
            self.read_in_time(mount, warm | cold)
        self.assertIn("is not used until it works again", mount.log())
        self.assertEqual(admin.cache_metric("working", disk), 0)

    def test_a_disk_that_fails_to_read_fails_no_read_and_is_used_again_when_it_works(self):
        origin = self.origin()
        written = self.objects(origin, 12, 1_200_000) | self.objects(origin, 50, 20_000, "small")
        disk, image = self.ext4(64)
        first = self.mount(origin, cache_options(disk))
        self.assert_reads(first, written)
        wait_until_cached(12 * 1_200_000 + 50 * 20_000, disk)
        first.close()
        subprocess.run(["sync", "-f", disk], check=True)
        for path in disk.glob("shoal-cache/**/*.*"):  # so that the disk is asked
            with open(path, "rb") as file:
                drop_pages(file.fileno())
        sound = image.read_bytes()
        os.truncate(image, 0)  # a loop device answers reads past the end with an I/O error
        mount, admin = self.mount_with_metrics(origin, cache_options(disk))
        for _ in range(2):
            self.read_in_time(mount, written)
        self.assertIn("Input/output error", mount.log())
        self.assertEqual(admin.cache_metric("working", disk), 0)
        self.mend(image, sound)
        wait_until(lambda: self.reads_without_a_get(origin, mount, written))
        self.assertEqual(admin.cache_metric("working", disk), 1)

    @needs_passthrough
    def test_a_disk_that_fails_under_an_open_file_fails_its_reads_until_nobody_has_it_open(self):
        origin = self.origin()
        body = pattern(8 * MIB)
        origin.put("file", body)
        disk, image = self.ext4(64)
        mount = self.mount(origin, cache_options(disk))
        self.assertEqual((mount / "file").read_bytes(), body)
        wait_until_cached(8 * MIB, disk)
        subprocess.run(["sync", "-f", disk], check=True)
        with open(mount / "file", "rb", buffering=0) as file:
            data = next(disk.glob("shoal-cache/*/*.data"))
            with open(data, "rb") as cached:
                drop_pages(cached.fileno())
            os.truncate(image, 0)
            self.assert_errno(errno.EIO, os.pread, file.fileno(), MIB, 4 * MIB)
        self.assertEqual((mount / "file").read_bytes(), body)

    @staticmethod
    def mend(image, sound):
        """What was written meanwhile stays."""
        with open(image, "r+b", buffering=0) as file:
            at = 0
            file.truncate(len(sound))
            while at < len(sound):
                hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
                try:
                    at = os.lseek(file.fileno(), hole, os.SEEK_DATA)
                except OSError:  # none comes any more
                    at = len(sound)
                os.pwrite(file.fileno(), sound[hole:at], hole)

    def test_what_a_disk_did_not_take_is_not_given_out_by_the_next_process_either(self):
        origin, thin = self.origin(), self.tmpfs(20)
        written = self.objects(origin, 250, 64 << 10, "small") | self.objects(origin, 12, MIB)
        disk = self.disk_without_a_journal(thin / "image", 100)
        mount = self.mount(origin, cache_options(disk))
        self.assert_reads(mount, written)
        wait_until(lambda: self.reads_without_a_get(origin, mount, written))
        # The kernel tells an error to whoever asks first, and keeps the pages.
        synced = subprocess.run(["sync", "-f", disk], capture_output=True, check=False)
        self.assertNotEqual(synced.returncode, 0)
        cached = [path for path in disk.glob("shoal-cache/**/*") if path.is_file()]
        for path in cached:
            subprocess.run(["sync", path], capture_output=True, check=False)
        subprocess.run(["mount", "-o", "remount,size=120m", thin], check=True)
        subprocess.run([SHOAL, "restart", mount.point], check=True, timeout=WAIT_SECONDS)
        origin.reset_stats()
        self.assert_reads(mount, written)
        for path in cached:
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                drop_pages(file.fileno())
        self.assert_reads(mount, written)
        # What it did take is still there.
        self.assertIn(origin.requests().get("Get", 0), range(1, len(written)))

    def disk_without_a_journal(self, image, size_mib):
        """So that what it cannot take is lost, and it goes on."""
        with open(image, "wb") as file:
            file.truncate(size_mib * MIB)
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard",
                        image], check=True)
        return self.loop_mount(image, "errors=continue,nodiscard")

    def test_a_cache_directory_that_is_removed_under_the_mount_fails_no_read(self):
        origin, directory = self.origin(), self.directory()
        warm, cold = self.objects(origin, 12, 300_000, "warm"), self.objects(
            origin, 12, 1_200_000, "cold")
        mount = self.mount(origin, cache_options(directory))
        self.assert_reads(mount, warm)
        wait_until_cached(12 * 300_000, directory)
        shutil.rmtree(directory / "shoal-cache")
        for _ in range(2):
            self.read_in_time(mount, warm | cold)


if __name__ == "__main__":
    unittest.main(verbosity=2)
