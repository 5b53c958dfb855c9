"""What a mount remembers of names is bounded, whatever the kernel would keep."""
import ctypes
import os
import pathlib
import unittest

from admin import Admin, free_port
from caching import CacheTest, wait_until
from harness import needs_linux


class Dirent(ctypes.Structure):
    _fields_ = [("inode", ctypes.c_uint64), ("place_after", ctypes.c_int64),
                ("length", ctypes.c_ushort), ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]


class OpenDirectory:
    """A directory as opendir(3) has it."""

    def __init__(self, path):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.opendir.restype = ctypes.c_void_p
        self.libc.readdir64.restype = ctypes.POINTER(Dirent)
        self.stream = ctypes.c_void_p(self.libc.opendir(os.fsencode(path)))

    def read(self, count):
        """Pairs of up to so many names and the places that telldir(3) would give behind them."""
        entries = []
        ctypes.set_errno(0)
        while len(entries) < count and (entry := self.libc.readdir64(self.stream)):
            entries.append((entry.contents.name.decode(), entry.contents.place_after))
        if ctypes.get_errno() != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return entries

    def seek(self, place):
        self.libc.seekdir(self.stream, ctypes.c_long(place))

    def close(self):
        self.libc.closedir(self.stream)


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

    def test_a_directory_is_read_that_memory_has_no_room_for(self):
        group = self.small_memory_group(64 << 20)
        origin = self.origin()
        directory = pathlib.Path(origin.bucket) / "d"
        directory.mkdir()
        self.tmpfs(256, directory)  # where long names are made fast
        names = [f"{i:06}-{'n' * 240}" for i in range(130_000)]  # 43 MB, as listings have them
        for name in names:
            os.close(os.open(directory / name, os.O_CREAT | os.O_WRONLY))
        mount = self.mount(origin, shoal=self.shoal_in(group))
        worker = mount.worker()
        with os.scandir(mount / "d") as entries:
            self.assertEqual([entry.name for entry in entries], names)
        self.assertEqual(mount.worker(), worker, mount.log())
        # Back to the middle and to the start, as telldir(3) and seekdir(3) go.
        opened = OpenDirectory(mount / "d")
        self.addCleanup(opened.close)
        entries = opened.read(len(names) + 3)[2:]  # "." and ".." come first
        self.assertEqual([name for name, _ in entries], names)
        for i in (100_000, 3, 129_998, 50_000):
            opened.seek(entries[i][1])
            self.assertEqual([name for name, _ in opened.read(5000)], names[i + 1:i + 5001])
        self.assertEqual(mount.worker(), worker, mount.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
