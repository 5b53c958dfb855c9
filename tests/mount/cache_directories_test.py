"""The cache's directories: who may use them, what may change, and what if somebody tampers."""
import contextlib
import os
import pathlib
import random
import subprocess
import time
import unittest

from admin import Admin, free_port
from caching import (MIB, CacheTest, cache_options, files_of, used_bytes, wait_until,
                     wait_until_cached)
from harness import KEY_ID, KEY_SECRET, SHOAL, WAIT_SECONDS, pattern, sha256


class Sharing(CacheTest):
    def refused(self, origin, *options):
        with self.assertRaises(AssertionError) as raised:
            self.mount(origin, *options)
        return str(raised.exception)

    def test_a_second_mount_on_a_cache_directory_is_refused_and_the_first_goes_on(self):
        origin, directory = self.origin(), self.directory()
        written = {"file": sha256(origin.put("file", pattern(3 * MIB)))}
        first = self.mount(origin, cache_options(directory))
        self.assert_reads(first, written)
        wait_until_cached(3 * MIB, directory)
        said = self.refused(origin, cache_options(directory))
        self.assertIn("the mount ended, 32:", said)
        self.assertIn(f"g_tier_DadiDiskCachePath: {directory}/shoal-cache is the cache of another "
                      f"mount (process {first.worker()}): give each mount a directory of its "
                      "own", said)
        self.assert_reads_without_a_get(origin, first, written)

    def test_two_mounts_have_caches_of_their_own(self):
        origin, directories = self.origin(), [self.directory(), self.directory()]
        written = {"file": sha256(origin.put("file", pattern(3 * MIB)))}
        mounts = [self.mount(origin, cache_options(d)) for d in directories]
        for mount, directory in zip(mounts, directories):
            self.assert_reads(mount, written)
            wait_until_cached(3 * MIB, directory)
        for mount in mounts:
            self.assert_reads_without_a_get(origin, mount, written)

    def test_two_buckets_of_the_same_names_do_not_meet_in_one_directory(self):
        one, two, directory = self.origin(), self.origin(), self.directory()
        for origin, seed in ((one, 1), (two, 2), (one, 1)):
            path = origin.put("file", pattern(2 * MIB, seed))
            os.utime(path, (1_700_000_000, 1_700_000_000))
            mount = self.mount(origin, cache_options(directory))
            self.assert_reads(mount, {"file": sha256(path)})
            mount.close()

    def test_a_mount_of_another_prefix_uses_what_is_cached_and_confuses_no_names(self):
        origin, directory = self.origin(), self.directory()
        written = {f"{folder}/same name": sha256(origin.put(f"{folder}/same name",
                                                            pattern(2 * MIB, number)))
                   for number, folder in enumerate(["a", "b"])}
        first = self.mount(origin, cache_options(directory))
        self.assert_reads(first, written)
        first.close()
        for folder in ("a", "b"):
            mount = self.mount(origin, cache_options(directory), source=f"data:/{folder}")
            self.assert_reads_without_a_get(origin, mount, {
                "same name": written[f"{folder}/same name"]})
            mount.close()

    def test_after_umount_the_cache_can_be_mounted_again_at_once_also_in_the_background(self):
        origin, directory, base = self.origin(), self.directory(), self.directory()
        written = {"file": sha256(origin.put("file", pattern(20 * MIB)))}
        password, point = base / "passwd", base / "mnt"
        point.mkdir()
        password.write_text(f"{KEY_ID}:{KEY_SECRET}\n")
        password.chmod(0o600)
        self.addCleanup(subprocess.run, ["umount", "-q", "-l", point], check=False)
        for round_ in range(4):
            subprocess.run([SHOAL, "mount", "data:/", point, "-o",
                            f"efc,protocol=oss,endpoint={origin.endpoint},passwd_file={password},"
                            + cache_options(directory)], check=True, timeout=WAIT_SECONDS)
            if round_:
                origin.reset_stats()
            self.assert_reads(point, written)
            subprocess.run(["umount", point], check=True)  # what was read is still being written
        self.assertEqual(origin.requests().get("Get", 0), 0)

    def test_capacity_directories_and_page_size_may_change_between_mounts(self):
        origin, a, b = self.origin(), self.directory(), self.directory()
        written = {f"d/{i}": sha256(origin.put(f"d/{i}", pattern(MIB + i, i))) for i in range(30)}
        size = sum(MIB + i for i in range(30))
        for directories, capacity_mib, page_kib in (
                ((a,), 64, 16), ((a, b), 64, 16), ((b,), 64, 16), ((b, a), 16, 16),
                ((a, b), 64, 64), ((b, a), 64, 4)):
            with self.subTest(directories=directories, capacity=capacity_mib, page=page_kib):
                mount = self.mount(origin, cache_options(*directories, disk_mib=capacity_mib),
                                   f"g_tier_DadiCachePageSizeKB={page_kib}")
                for _ in range(2):
                    self.assert_reads(mount, written)
                if capacity_mib == 64:
                    wait_until_cached(size, *directories)
                    self.assert_reads_without_a_get(origin, mount, written)
                mount.close()
                for directory in directories:
                    self.assertLessEqual(used_bytes(directory / "shoal-cache"), capacity_mib * MIB)

    def test_a_cache_that_cannot_be_had_ends_the_mount_with_the_reason(self):
        origin = self.origin()
        linked, foreign, file = self.directory(), self.directory(), self.directory() / "file"
        (linked / "shoal-cache").symlink_to(self.directory())
        (foreign / "shoal-cache").mkdir()
        os.chown(foreign / "shoal-cache", 1, 1)
        file.touch()
        disk = "g_tier_DadiDiskCacheCapacityMB=64"
        path = "g_tier_DadiDiskCachePath"
        for options, status, words in (
                ((disk, f"{path}=/nowhere/at/all/"), 1, (path, "/nowhere/at/all/", "No such file")),
                ((disk, f"{path}={file}/"), 1, (path, "Not a directory")),
                ((disk, f"{path}={linked}/"), 1, (f"{linked}/shoal-cache is not a plain dir",)),
                ((disk, f"{path}={foreign}/"), 32, ("belongs to another user", "remove it")),
                ((disk, f"{path}=relative/path/"), 1, (path, "not an absolute path")),
                ((disk,), 1, ("g_tier_DadiDiskCacheCapacityMB: needs g_tier_DadiDiskCachePath",)),
                ((disk, f"{path}={linked}/", "g_tier_DadiCachePageSizeKB=5"), 1,
                 ("g_tier_DadiCachePageSizeKB: 5",))):
            with self.subTest(options):
                said = self.refused(origin, *options)
                self.assertIn(f"the mount ended, {status}:", said)
                for word in words:
                    self.assertIn(word, said)

    def test_a_directory_that_is_no_place_for_a_cache_is_refused(self):
        origin, directory, other = self.origin(), self.directory(), self.directory()
        link = self.directory() / "link"
        link.symlink_to(directory)
        bound = self.directory()
        subprocess.run(["mount", "--bind", directory, bound], check=True)
        self.addCleanup(subprocess.run, ["umount", bound], check=True)
        for again in (directory, f"{directory}/.", f"{other}/../{directory.name}", link, bound):
            with self.subTest(again):
                begun = time.monotonic()
                said = self.refused(origin, cache_options(directory, other, again))
                self.assertLess(time.monotonic() - begun, 3)
                self.assertIn("the mount ended, 1:", said)
                self.assertIn("g_tier_DadiDiskCachePath: ", said)
                self.assertIn("is named twice", said)
        mount = self.mount(origin, cache_options(other))
        origin.put("below/file", b"")
        for place in (mount.point, mount / "below"):
            with self.subTest(place):
                said = subprocess.run([SHOAL, "update", mount.point, "-o",
                                       f"g_tier_DadiDiskCachePath={place}/"], check=False,
                                      capture_output=True, text=True, timeout=WAIT_SECONDS)
                self.assertEqual(said.returncode, 32)
                self.assertIn(f"is in the mount itself, at {mount.point}", said.stderr)
        self.assertEqual(sorted(os.listdir(mount.point)), ["below"])


class Damage(CacheTest):
    def test_a_format_that_is_damaged_fails_no_mount_and_costs_nothing(self):
        origin, directory = self.origin(), self.directory()
        written = {"file": sha256(origin.put("file", pattern(3 * MIB))),
                   "small": sha256(origin.put("small", pattern(20_000, 1)))}
        first = self.mount(origin, cache_options(directory))
        self.assert_reads(first, written)
        wait_until_cached(3 * MIB + 20_000, directory)
        first.close()
        for damaged in (bytes(14), b"shoal ca", b"shoal cachE 2\n"):
            with self.subTest(damaged):
                (directory / "shoal-cache/FORMAT").write_bytes(damaged)
                mount = self.mount(origin, cache_options(directory))
                self.assert_reads_without_a_get(origin, mount, written)
                self.assertIn("FORMAT was damaged", mount.log())
                mount.close()
        (directory / "shoal-cache/FORMAT").write_bytes(b"shoal cache 3\n")
        with self.assertRaisesRegex(AssertionError, "a cache of another version"):
            self.mount(origin, cache_options(directory))

    def test_what_was_put_aside_gives_way_to_a_smaller_capacity(self):
        origin, directory = self.origin(), self.directory()
        large = {f"d/{i}": sha256(origin.put(f"d/{i}", pattern(3 * MIB + i, i))) for i in range(8)}
        few = {f"e/{i}": sha256(origin.put(f"e/{i}", pattern(300_000 + i, i))) for i in range(10)}

        def put_aside():
            return used_bytes(directory / "shoal-cache/quarantine")

        first = self.mount(origin, cache_options(directory, disk_mib=256))
        self.assert_reads(first, large)
        wait_until_cached(24 * MIB, directory)
        first.close()
        for path in files_of(directory, "data"):
            with open(path, "r+b") as file:
                file.seek(100)
                file.write(b"damaged")
        mount = self.mount(origin, cache_options(directory, disk_mib=256))
        self.assert_reads(mount, large)
        wait_until(lambda: mount.log().count("aside") == 8)
        self.assertGreater(put_aside(), 9 * MIB)
        subprocess.run([SHOAL, "update", mount.point, "-o", "g_tier_DadiDiskCacheCapacityMB=64"],
                       check=True, timeout=WAIT_SECONDS)
        wait_until(lambda: put_aside() < 4 * MIB)
        mount.close()
        mount = self.mount(origin, cache_options(directory, disk_mib=8))
        self.assertLess(put_aside(), MIB)
        self.assert_reads(mount, few)
        wait_until(lambda: self.reads_without_a_get(origin, mount, few))
        mount.close()
        self.assertLessEqual(used_bytes(directory / "shoal-cache"), 8 * MIB)


class Tampering(CacheTest):
    """Somebody writes to the cache directory while nobody uses it."""

    def tamper(self, directory, target, chance):
        """One random deed, described."""
        def pick(suffix="*"):  # never what an earlier deed made lead to the target
            shelves = (directory / "shoal-cache/shelves").glob(
                {"data": "*.bytes", "meta": "*.index"}.get(suffix, "*"))
            plain = [path for path in files_of(directory, suffix) + list(shelves) if path.is_file()
                     and not path.is_symlink() and path.stat().st_nlink == 1]
            return chance.choice(plain or [pathlib.Path("/nothing left")])

        def flip(path, low=0):
            body = bytearray(path.read_bytes())
            if len(body) > low:
                body[chance.randrange(low, len(body))] ^= 1 << chance.randrange(8)
                path.write_bytes(body)

        def swap(suffix):
            a, b = pick(suffix), pick(suffix)
            a_bytes, b_bytes = a.read_bytes(), b.read_bytes()
            a.write_bytes(b_bytes)
            b.write_bytes(a_bytes)

        def replace(make):
            path = pick()
            path.unlink()
            make(path)

        deeds = {
            "flip a bit of the bytes": lambda: flip(pick("data")),
            "flip a bit of a header": lambda: flip(pick("meta")),
            "flip a bit of a checksum": lambda: flip(pick("meta"), 2048),
            "swap bytes": lambda: swap("data"),
            "swap headers": lambda: swap("meta"),
            "cut short": lambda: os.truncate(path := pick(), path.stat().st_size // 2),
            "empty": lambda: os.truncate(pick(), 0),
            "lengthen": lambda: os.truncate(path := pick(), path.stat().st_size + 100_000),
            "zeros": lambda: (path := pick("data")).write_bytes(bytes(path.stat().st_size)),
            "remove": lambda: pick().unlink(),
            "a link to elsewhere": lambda: replace(lambda path: path.symlink_to(target)),
            "a hard link": lambda: replace(lambda path: path.hardlink_to(target)),
            "a pipe": lambda: replace(os.mkfifo),
            "a directory": lambda: replace(os.mkdir),
            "a foreign file": lambda: (directory / "shoal-cache/00").mkdir(exist_ok=True) or
                (directory / "shoal-cache/00/foreign").symlink_to(target),
            "another's file": lambda: os.chown(pick(), 1, 1),
        }
        deed = chance.choice(sorted(deeds))
        with contextlib.suppress(OSError):  # what one deed left need not suit the next
            deeds[deed]()
        return deed

    def test_whatever_was_done_to_the_directory_contents_are_right_and_nothing_else_changes(self):
        seed = int(os.environ.get("SHOAL_SEED", random.randrange(1 << 32)))
        chance = random.Random(seed)
        origin, directory, elsewhere = self.origin(), self.directory(), self.directory()
        target = elsewhere / "precious"
        written = {f"d/{i}": sha256(origin.put(f"d/{i}", pattern(chance.randrange(size_max), i)))
                   for i, size_max in enumerate([3 * MIB] * 16 + [100_000] * 40)}
        deeds = []
        for round_ in range(8):
            mount = self.mount(origin, cache_options(directory))
            try:
                self.assert_reads(mount, written)
            except AssertionError as error:
                raise AssertionError(f"SHOAL_SEED={seed}, round {round_}: {deeds}") from error
            mount.close()
            if target.exists():
                self.assertEqual(target.read_bytes(), b"not to be touched", f"SHOAL_SEED={seed}")
                self.assertEqual(target.stat().st_mode & 0o777, 0o644)
            self.assertEqual(list(elsewhere.iterdir()), [target] if target.exists() else [])
            target.unlink(missing_ok=True)
            target.write_bytes(b"not to be touched")
            target.chmod(0o644)
            deeds = [self.tamper(directory, target, chance) for _ in range(12)]

    def test_folders_that_lead_elsewhere_are_not_followed(self):
        origin, directory, elsewhere = self.origin(), self.directory(), self.directory()
        (elsewhere / "precious").write_bytes(b"not to be touched")
        written = {f"d/{i}": sha256(origin.put(f"d/{i}", pattern(40_000 + i, i)))
                   for i in range(300)}
        cache = directory / "shoal-cache"
        cache.mkdir(mode=0o700)
        for number in range(0, 256, 2):
            (cache / f"{number:02x}").symlink_to(elsewhere)
        mount = self.mount(origin, cache_options(directory))
        for _ in range(2):
            self.assert_reads(mount, written)
        mount.close()
        self.assertEqual(os.listdir(elsewhere), ["precious"])
        self.assertEqual((elsewhere / "precious").read_bytes(), b"not to be touched")

    def test_bytes_damaged_while_the_mount_has_them_unread_are_fetched_again(self):
        origin, directory = self.origin(), self.directory()
        written = {f"d/{i}": sha256(origin.put(f"d/{i}", pattern(300_000 + i, i)))
                   for i in range(10)}
        first = self.mount(origin, cache_options(directory))
        self.assert_reads(first, written)
        wait_until_cached(sum(300_000 + i for i in range(10)), directory)
        first.close()
        for path in files_of(directory, "data"):
            with open(path, "r+b") as file:
                file.seek(100_000)
                file.write(b"damaged")
        admin = Admin(free_port())
        second = self.mount(origin, cache_options(directory), f"g_server_Port={admin.port}")
        self.assert_reads(second, written)
        self.assertGreater(self.get_bytes(origin), 0)
        self.assertEqual(second.log().count("aside"), 10, second.log())
        self.assertEqual(admin.cache_metric("put_aside_objects_total", directory), 10)
        wait_until(lambda: self.reads_without_a_get(origin, second, written))


if __name__ == "__main__":
    unittest.main(verbosity=2)
