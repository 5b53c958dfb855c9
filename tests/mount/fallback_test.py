"""Without io_uring, or where the kernel cannot read a cache by itself, all goes on another way."""
import mmap
import subprocess
import sys
import unittest

from caching import MIB, CacheTest, cache_options, drop_pages, wait_until
from harness import SHOAL, needs_passthrough, needs_rings, pattern, sha256

# A system call filter for the rest of the process's life: io_uring_setup (425 on all machines)
# fails with EPERM, as where kernel.io_uring_disabled is 2 or a container forbids it.
WITHOUT_IO_URING = f"""#!{sys.executable}
import ctypes, os, struct, sys
code = struct.pack("HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, 425, 0x06, 0, 0, 0x00050001,
                   0x06, 0, 0, 0x7fff0000)
kept = ctypes.create_string_buffer(code)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(kept)))
if ctypes.CDLL(None, use_errno=True).prctl(22, 2, program, 0, 0) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
os.execv({SHOAL!r}, [{SHOAL!r}, *sys.argv[1:]])
"""


class Fallbacks(CacheTest):
    def objects(self, origin):
        bodies = {"small": pattern(40_961, 1), "large": pattern(6 * MIB + 17, 2)}
        for name, body in bodies.items():
            origin.put(name, body)
        return bodies

    def assert_mapped_and_read(self, mount, bodies):
        for name, body in bodies.items():
            with open(mount / name, "rb", buffering=0) as file:
                drop_pages(file.fileno())
                with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
                    self.assertEqual(view[:], body)
                self.assertEqual(file.readall(), body)

    @needs_rings
    def test_where_io_uring_may_not_be_used_the_log_says_so_once_and_all_is_read(self):
        origin, program = self.origin(), self.directory() / "shoal"
        program.write_text(WITHOUT_IO_URING)
        program.chmod(0o755)
        bodies = self.objects(origin)
        mount = self.mount(origin, cache_options(self.directory()), shoal=program)
        for _ in range(2):
            self.assert_mapped_and_read(mount, bodies)
        self.assertIn("io_uring: not in use: io_uring_setup: Operation not permitted", mount.log())
        self.assertEqual(mount.log().count("io_uring_setup"), 1, mount.log())

    @needs_passthrough
    def test_a_cache_on_a_stacked_file_system_is_read_by_the_daemon_and_that_is_said_once(self):
        origin, base, merged = self.origin(), self.tmpfs(64), self.directory()
        for name in ("lower", "upper", "work"):
            (base / name).mkdir()
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work",
                        merged], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", merged], check=True)
        bodies = self.objects(origin)
        mount = self.mount(origin, cache_options(merged, disk_mib=32))
        written = {name: sha256(origin.bucket / name) for name in bodies}
        wait_until(lambda: self.reads_without_a_get(origin, mount, written))
        for _ in range(2):
            self.assert_mapped_and_read(mount, bodies)
        self.assertEqual(mount.log().count("passthrough: not for every file"), 1, mount.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
