"""open_requests=off: the kernel opens and closes files by itself."""
import errno
import mmap
import os
import signal
import subprocess
import unittest

from admin import Admin, free_port
from caching import MIB, CacheTest, wait_until
from harness import SHOAL, TRANSPORTS, WAIT_SECONDS, needs_survival, pattern

LONG = "g_metadata_CacheEnable=true,entry_timeout=3600"


def read_plainly(path, size):
    """As cat(1) does. open() of Python asks each file whether it is a terminal."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, size) + os.read(descriptor, size)
    finally:
        os.close(descriptor)


class OpenRequestsOff(CacheTest):
    def silent_mount(self, *options, transport="dev"):
        origin = self.origin()
        return origin, self.mount(origin, "open_requests=off", f"transport={transport}", *options)

    def test_files_read_once_are_opened_and_read_again_without_the_process_that_serves(self):
        for transport in TRANSPORTS:
            with self.subTest(transport):
                origin, mount = self.silent_mount(LONG, transport=transport)
                bodies = {f"d/{i}": pattern(110_000 + i, i) for i in range(50)}
                for name, body in bodies.items():
                    origin.put(name, body)
                for name, body in bodies.items():
                    self.assertEqual((mount / name).read_bytes(), body)
                worker = mount.worker()
                os.kill(worker, signal.SIGSTOP)
                try:
                    for name, body in bodies.items():
                        self.assertEqual(read_plainly(mount / name, 1 << 18), body)
                finally:
                    os.kill(worker, signal.SIGCONT)

    def test_large_files_are_read_right_by_all_ways(self):
        origin, mount = self.silent_mount()
        body = pattern(24 * MIB + 5, 1)
        origin.put("large", body)
        self.assertEqual((mount / "large").read_bytes(), body)
        reader = os.open(mount / "large", os.O_RDONLY | os.O_DIRECT)
        self.addCleanup(os.close, reader)
        page = mmap.mmap(-1, MIB)
        for offset in range(0, 24 * MIB, 5 * MIB):
            self.assertEqual(os.preadv(reader, [page], offset), MIB)
            self.assertEqual(page[:], body[offset:offset + MIB])

    def test_an_object_that_changed_fails_once_at_most_and_is_never_a_mixture(self):
        for options in ("entry_timeout=0", LONG):
            with self.subTest(options):
                self.change_an_object(options)

    def change_an_object(self, options):
        origin, mount = self.silent_mount(options)
        before, after = pattern(8 * MIB, 1), pattern(8 * MIB, 2)
        origin.put("file", before)
        with open(mount / "file", "rb", buffering=0) as old:
            self.assertEqual(os.pread(old.fileno(), 4096, 0), before[:4096])
            origin.put("file", after)
            with self.assertRaises(OSError) as failed:
                os.pread(old.fileno(), 4096, 7 * MIB)
            self.assertEqual(failed.exception.errno, errno.ESTALE)
            self.assertEqual((mount / "file").read_bytes(), after)
            self.assertEqual(os.pread(old.fileno(), 4096, 0), before[:4096])

    @needs_survival
    def test_a_file_that_is_open_outlives_the_process_that_serves(self):
        origin, mount = self.silent_mount()
        body = pattern(8 * MIB, 1)
        origin.put("file", body)
        with open(mount / "file", "rb", buffering=0) as file:
            self.assertEqual(os.pread(file.fileno(), 4096, 0), body[:4096])
            worker = mount.worker()
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: mount.worker() != worker)
            self.assertEqual(os.pread(file.fileno(), 4096, 5 * MIB), body[5 * MIB:][:4096])

    @needs_survival
    def test_a_file_that_a_listing_named_is_read_on_after_the_process_that_serves_has_died(self):
        origin, mount = self.silent_mount("entry_timeout=3600")
        bodies = {f"d/{i:04}": pattern(8192, i) for i in range(1500)}
        for name, body in bodies.items():
            origin.put(name, body)
        origin.put("other", b"contents")
        self.assertEqual((mount / "other").read_bytes(), b"contents")
        for entry in os.scandir(mount / "d"):
            entry.stat()
        files = {name: os.open(mount / name, os.O_RDONLY) for name in list(bodies)[::100]}
        for file in files.values():
            self.addCleanup(os.close, file)
        worker = mount.worker()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: mount.worker() != worker)
        for name, file in files.items():
            self.assertEqual(os.pread(file, 8192, 0), bodies[name])

    def test_a_file_that_was_deleted_while_open_is_stale(self):
        origin, mount = self.silent_mount("entry_timeout=3600")
        origin.put("other", b"contents")
        self.assertEqual((mount / "other").read_bytes(), b"contents")
        origin.put("d/file", pattern(8192, 1))
        origin.put("d/stays", b"contents")
        for entry in os.scandir(mount / "d"):
            entry.stat()
        with open(mount / "d/file", "rb", buffering=0) as file:
            (origin.bucket / "d/file").unlink()
            self.assert_errno(errno.ESTALE, os.pread, file.fileno(), 4096, 0)
        self.assert_errno(errno.ENOENT, open, mount / "d/file")

    def test_a_name_that_is_missing_or_denied_says_so(self):
        origin, mount = self.silent_mount()
        origin.put("file", b"contents")
        self.assert_errno(errno.ENOENT, open, mount / "missing")
        self.assert_errno(errno.EROFS, open, mount / "file", "r+b")
        self.assertEqual((mount / "file").read_bytes(), b"contents")

    def update(self, mount, value):
        return subprocess.run([SHOAL, "update", mount.point, "-o", f"open_requests={value}"],
                              capture_output=True, text=True, timeout=WAIT_SECONDS)

    def assert_waits_for_the_next_mount(self, mount, value):
        done = self.update(mount, value)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, "open_requests: takes effect at the next mount")
        self.assertEqual((mount / "file").read_bytes(), b"contents")

    def test_on_again_waits_for_the_next_mount_and_nonsense_is_refused(self):
        origin, mount = self.silent_mount()
        origin.put("file", b"contents")
        self.assert_waits_for_the_next_mount(mount, "on")
        self.assertIn("passthrough: not in use: open_requests=off", mount.log().splitlines()[-1])
        refused = self.update(mount, "maybe")
        self.assertEqual(refused.returncode, 1, refused)
        self.assertIn("'maybe' is not on or off", refused.stderr)
        self.assertEqual((mount / "file").read_bytes(), b"contents")

    def test_off_waits_for_the_next_mount_and_what_is_open_is_closed(self):
        for transport in ("dev", "io_uring"):
            with self.subTest(transport):
                origin, port = self.origin(), free_port()
                origin.put("file", b"contents")
                mount = self.mount(origin, f"g_server_Port={port}", f"transport={transport}")
                admin = Admin(port)
                with open(mount / "file", "rb"):
                    self.assert_waits_for_the_next_mount(mount, "off")
                    wait_until(admin.answers)
                    self.assertEqual(admin.get("/v1/status")["open"]["file_count"], 1)
                wait_until(lambda: admin.get("/v1/status")["open"]["file_count"] == 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
