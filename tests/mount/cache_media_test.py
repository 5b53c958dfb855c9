"""A cache on a disk that is full, frozen, read-only, failing or gone: reads go on."""
import contextlib
import errno
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

from caching import MIB, cache_options, drop_pages, wait_until, wait_until_cached
from harness import SHOAL, WAIT_SECONDS, mounted, needs_passthrough, needs_survival, pattern
from media import MediaTest
from surviving import end_every_worker


def states_of_threads(pid):
    return [stat.read_text().rpartition(")")[2].split()[0]
            for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")]


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
