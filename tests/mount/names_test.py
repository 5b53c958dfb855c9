"""What a mount remembers of names is bounded, whatever the kernel would keep."""
import os
import pathlib
import unittest

from admin import Admin, free_port
from caching import CacheTest, wait_until
from harness import needs_linux


class Names(CacheTest):
    @needs_linux(6, 18, "the kernel can be asked to let go of files")
    def test_of_more_files_than_memory_is_planned_for_the_kernel_lets_some_go(self):
        group = self.small_memory_group(96 << 20)
        origin = self.origin()
        (pathlib.Path(origin.bucket) / "d").mkdir()
        for i in range(40_000):
            (pathlib.Path(origin.bucket) / f"d/{i}").write_bytes(b"x" * (i % 7 + 1))
        admin = Admin(free_port())
        mount = self.mount(origin, f"g_server_Port={admin.port}", shoal=self.shoal_in(group))
        worker = mount.worker()
        most = admin.metric("shoal_known_inodes_max")
        self.assertLess(most, 10_000)
        with open(mount / "d/6", "rb", buffering=0) as opened:
            self.assertEqual(len(os.listdir(mount / "d")), 40_000)
            for i in range(40_000):
                self.assertEqual(os.stat(mount / f"d/{i}").st_size, i % 7 + 1)
            wait_until(lambda: admin.metric("shoal_known_inodes") <= most)
            self.assertEqual(opened.read(), b"x" * 7)
        self.assertEqual((mount / "d/39999").read_bytes(), b"x" * (39_999 % 7 + 1))
        self.assertEqual(mount.worker(), worker, mount.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
