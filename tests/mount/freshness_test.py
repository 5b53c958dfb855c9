"""What a mount keeps of directories and names, and how a change in the bucket shows."""
import errno
import os
import signal
import subprocess
import unittest

from admin import Admin, free_port
from harness import MountTest, pattern, wait_for_mount_table


class TheDirectoryCache(MountTest):
    def test_a_directory_opened_again_is_shown_from_its_kept_listing(self):
        origin = self.origin()
        origin.put("d/one", b"1")
        mount = self.mount(origin)
        self.assertEqual(os.listdir(mount / "d"), ["one"])
        origin.put("d/two", b"2")
        origin.reset_stats()
        self.assertEqual(os.listdir(mount / "d"), ["one"])
        self.assertEqual(sum(origin.requests().values()), 0)

    def test_a_new_file_that_no_listing_shows_yet_opens_at_once_and_is_listed_then(self):
        origin = self.origin()
        origin.put("d/one", b"1")
        mount = self.mount(origin)
        self.assertEqual(os.listdir(mount / "d"), ["one"])
        origin.put("d/two", b"2")
        self.assertEqual((mount / "d/two").read_bytes(), b"2")
        self.assertEqual(sorted(os.listdir(mount / "d")), ["one", "two"])

    def test_switched_off_a_directory_opened_again_is_listed_again(self):
        origin = self.origin()
        origin.put("d/one", b"1")
        mount = self.mount(origin, "g_readdircache_Enable=false")
        self.assertEqual(os.listdir(mount / "d"), ["one"])
        origin.put("d/two", b"2")
        self.assertEqual(sorted(os.listdir(mount / "d")), ["one", "two"])

    def test_past_its_time_a_listing_is_not_shown(self):
        origin = self.origin()
        origin.put("d/one", b"1")
        mount = self.mount(origin, "g_readdircache_RemainTime=0")
        self.assertEqual(os.listdir(mount / "d"), ["one"])
        origin.put("d/two", b"2")
        self.assertEqual(sorted(os.listdir(mount / "d")), ["one", "two"])

    def test_ls_l_of_a_kept_listing_costs_no_request_an_entry(self):
        origin = self.origin()
        for i in range(3000):
            origin.put(f"d/{i}", b"x")
        mount = self.mount(origin)
        os.listdir(mount / "d")
        origin.reset_stats()
        listed = subprocess.run(["ls", "-l", mount / "d"], capture_output=True, check=True)
        self.assertEqual(len(listed.stdout.splitlines()), 3001)
        self.assertLessEqual(sum(origin.requests().values()), 2)  # for "d" itself, at most


class TheMetadataCacheOff(MountTest):
    def test_an_updated_file_shows_when_it_is_reopened_whatever_listing_is_kept(self):
        origin = self.origin()
        origin.put("d/file", b"old")
        mount = self.mount(origin)
        os.listdir(mount / "d")
        self.assertEqual((mount / "d/file").read_bytes(), b"old")
        origin.put("d/file", b"newer")
        os.listdir(mount / "d")
        self.assertEqual((mount / "d/file").read_bytes(), b"newer")


    def test_the_same_bytes_uploaded_again_show_their_new_time_to_stat_ls_and_open(self):
        origin = self.origin()
        stored = origin.put("d/file", pattern(1 << 20))
        os.utime(stored, (1_600_000_000, 1_600_000_000))
        mount = self.mount(origin)
        os.listdir(mount / "d")
        (mount / "d/file").read_bytes()
        self.assertEqual(os.stat(mount / "d/file").st_mtime, 1_600_000_000)
        number = os.stat(mount / "d/file").st_ino
        origin.put("d/file", pattern(1 << 20))
        os.utime(stored, (1_700_000_000, 1_700_000_000))
        origin.reset_stats()
        with open(mount / "d/file", "rb") as file:
            self.assertEqual(os.fstat(file.fileno()).st_mtime, 1_700_000_000)
            self.assertEqual(file.read(), pattern(1 << 20))
        self.assertEqual(os.stat(mount / "d/file").st_mtime, 1_700_000_000)
        with os.scandir(mount / "d") as entries:
            self.assertEqual([entry.stat().st_mtime for entry in entries], [1_700_000_000])
        self.assertEqual(os.stat(mount / "d/file").st_ino, number)
        self.assertEqual(origin.requests()["Get"], 0)  # the kernel has its pages still


class TheMetadataCacheOn(MountTest):
    def mount_it(self, origin):
        return self.mount(origin, "g_metadata_CacheEnable=true")

    def test_files_that_a_listing_showed_open_without_a_head(self):
        origin = self.origin()
        for i in range(200):
            origin.put(f"d/{i}", b"x" * (i + 1))
        mount = self.mount_it(origin)
        os.listdir(mount / "d")
        origin.reset_stats()
        for i in range(200):
            self.assertEqual((mount / f"d/{i}").read_bytes(), b"x" * (i + 1))
        self.assertEqual({k: n for k, n in origin.requests().items() if n}, {"Get": 200})

    def test_an_update_is_not_seen_by_stat_and_a_name_known_to_be_missing_stays_so(self):
        origin = self.origin()
        origin.put("d/file", b"old")
        mount = self.mount_it(origin)
        self.assertEqual((mount / "d/file").read_bytes(), b"old")
        self.assert_errno(errno.ENOENT, os.stat, mount / "d/new")
        origin.put("d/file", b"newer")
        origin.put("d/new", b"1")
        origin.reset_stats()
        self.assertEqual(os.stat(mount / "d/file").st_size, 3)
        self.assert_errno(errno.ENOENT, os.stat, mount / "d/new")
        self.assertEqual(sum(origin.requests().values()), 0)

    def test_a_read_that_meets_a_replaced_object_is_estale_and_the_next_open_has_the_new(self):
        origin = self.origin()
        origin.put("d/file", b"old")
        mount = self.mount_it(origin)
        os.listdir(mount / "d")
        origin.put("d/file", b"newer")
        with self.assertRaises(OSError) as raised:
            (mount / "d/file").read_bytes()
        self.assertIn(raised.exception.errno, (errno.ESTALE, errno.EIO))
        self.assertEqual((mount / "d/file").read_bytes(), b"newer")


class TheSpecificationsTableOfDataConsistency(MountTest):
    """Metadata cache off and on, an updated file and a new one: each row, then cleared, as the
    specification's commands do it."""

    def mount_with_admin(self, origin, *options):
        self.admin = Admin(free_port())
        return self.mount(origin, f"g_server_Port={self.admin.port}", *options)

    def clear(self, which):
        self.assertEqual(self.admin.get(f"/v1/action/clear_{which}_cache")["ErrorCode"], 0)

    def test_off_an_updated_file_shows_when_reopened(self):
        origin = self.origin()
        origin.put("d/file", b"old")
        mount = self.mount(origin)
        self.assertEqual((mount / "d/file").read_bytes(), b"old")
        origin.put("d/file", b"newer")
        self.assertEqual((mount / "d/file").read_bytes(), b"newer")

    def test_off_a_new_file_is_listed_once_the_directory_cache_is_cleared(self):
        origin = self.origin()
        origin.put("d/one", b"1")
        mount = self.mount_with_admin(origin)
        self.assertEqual(os.listdir(mount / "d"), ["one"])
        origin.put("d/two", b"2")
        self.clear("metadata")
        self.assertEqual(os.listdir(mount / "d"), ["one"])
        self.clear("readdir")
        self.assertEqual(sorted(os.listdir(mount / "d")), ["one", "two"])

    def test_on_an_updated_file_shows_when_reopened_once_the_metadata_cache_is_cleared(self):
        origin = self.origin()
        origin.put("d/file", b"old")
        mount = self.mount_with_admin(origin, "g_metadata_CacheEnable=true")
        os.listdir(mount / "d")
        self.assertEqual((mount / "d/file").read_bytes(), b"old")
        origin.put("d/file", b"newer")
        self.clear("readdir")
        self.assertEqual(os.stat(mount / "d/file").st_size, len(b"old"))
        self.clear("metadata")
        self.assertEqual((mount / "d/file").read_bytes(), b"newer")

    def test_on_a_new_file_shows_once_both_caches_are_cleared(self):
        origin = self.origin()
        origin.put("d/one", b"1")
        mount = self.mount_with_admin(origin, "g_metadata_CacheEnable=true")
        self.assertEqual(os.listdir(mount / "d"), ["one"])
        self.assert_errno(errno.ENOENT, os.stat, mount / "d/two")
        origin.put("d/two", b"2")
        self.assertEqual(os.listdir(mount / "d"), ["one"])
        self.assert_errno(errno.ENOENT, os.stat, mount / "d/two")
        self.clear("metadata")
        self.clear("readdir")
        self.assertEqual((mount / "d/two").read_bytes(), b"2")
        self.assertEqual(sorted(os.listdir(mount / "d")), ["one", "two"])

    def test_sigusr1_clears_both_caches(self):
        origin = self.origin()
        origin.put("d/one", b"1")
        mount = self.mount(origin, "g_metadata_CacheEnable=true")
        self.assertEqual((mount / "d/one").read_bytes(), b"1")
        self.assertEqual(os.listdir(mount / "d"), ["one"])
        origin.put("d/one", b"newer")
        origin.put("d/two", b"2")
        self.assertEqual(os.listdir(mount / "d"), ["one"])
        mount.process.send_signal(signal.SIGUSR1)
        wait_for_mount_table(lambda: "forgot what was kept of names" in mount.log())
        self.assertEqual((mount / "d/one").read_bytes(), b"newer")
        self.assertEqual(sorted(os.listdir(mount / "d")), ["one", "two"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
