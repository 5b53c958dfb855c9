"""How fast a mount fetches is limited, and what it has at hand is not."""
import concurrent.futures
import hashlib
import subprocess
import time
import unittest

from admin import Admin, free_port
from caching import CacheTest, MIB, cache_options, sha256_anew, wait_until_cached
from harness import SHOAL, WAIT_SECONDS, pattern

RATE = 8 * MIB  # a second
# What a limit may let go by at once: its burst, and a turn (src/cache/traffic_bucket.h).
SLACK_BYTES = RATE // 20 + 64 * 1024


class Traffic(CacheTest):
    def objects(self, origin, count, size):
        """Name to SHA-256."""
        bodies = {f"f{i}": pattern(size, seed=i) for i in range(count)}
        for key, body in bodies.items():
            origin.put(key, body)
        return {key: hashlib.sha256(body).hexdigest() for key, body in bodies.items()}

    def assert_took(self, seconds, total_bytes):
        """No less than the limit asks for, and not much more."""
        self.assertGreaterEqual(seconds * RATE, total_bytes - SLACK_BYTES)
        self.assertLess(seconds * RATE, total_bytes * 1.5)

    def test_a_mount_fetches_no_more_a_second_than_the_limit_and_about_that(self):
        origin = self.origin()
        sums = self.objects(origin, 4, 6 * MIB)
        cache = self.directory()
        mount = self.mount(origin, cache_options(cache), f"g_tier_DadiSdkGetTrafficLimit={RATE}")
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            read = dict(zip(sums, pool.map(lambda key: sha256_anew(mount / key), sums)))
        seconds = time.monotonic() - began
        self.assertEqual(read, sums)
        self.assert_took(seconds, 24 * MIB)
        # What is in the cache is not limited.
        wait_until_cached(24 * MIB, cache)
        began = time.monotonic()
        self.assert_reads_without_a_get(origin, mount, sums)
        self.assertLess(time.monotonic() - began, 1)

    def test_warm_up_keeps_to_the_limit_and_lets_readers_go_first(self):
        origin = self.origin()
        sums = self.objects(origin, 2, 12 * MIB)
        admin = Admin(free_port())
        mount = self.mount(origin, cache_options(self.directory()),
                           f"g_tier_DadiSdkGetTrafficLimit={RATE},g_server_Port={admin.port}",
                           f"state_directory={self.directory()}")
        began = time.monotonic()
        warmup = subprocess.Popen([SHOAL, "warmup", "load", mount / "f0", "--watch"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(warmup.stdout.close)
        self.assertEqual(sha256_anew(mount / "f1"), sums["f1"])
        read_seconds = time.monotonic() - began
        output, _ = warmup.communicate(timeout=WAIT_SECONDS)
        seconds = time.monotonic() - began
        self.assertEqual(warmup.returncode, 0, output)
        self.assert_took(seconds, 24 * MIB)
        # Alone the reader would take 1.5 s; on equal terms, 3.
        self.assertLess(read_seconds, 2.5)

    def test_a_limit_that_is_lifted_lets_the_reader_go_on_at_full_speed(self):
        origin = self.origin()
        sums = self.objects(origin, 1, 64 * MIB)
        mount = self.mount(origin, f"g_tier_DadiSdkGetTrafficLimit={RATE}")
        worker = mount.worker()
        began = time.monotonic()
        digest = hashlib.sha256()
        with open(mount / "f0", "rb", buffering=0) as file:
            digest.update(file.read(MIB))
            done = subprocess.run([SHOAL, "update", mount.point, "-o",
                                   "g_tier_DadiSdkGetTrafficLimit=0"],
                                  capture_output=True, text=True, timeout=WAIT_SECONDS)
            self.assertEqual(done.returncode, 0, done.stderr)
            while block := file.read(MIB):
                digest.update(block)
        self.assertEqual(digest.hexdigest(), sums["f0"])
        self.assertLess(time.monotonic() - began, 64 * MIB / RATE / 2)
        self.assertEqual(mount.worker(), worker)


if __name__ == "__main__":
    unittest.main(verbosity=2)
