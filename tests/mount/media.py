"""What tests of media that a cache lies on have in common."""
import concurrent.futures
import time

from admin import Admin, free_port
from caching import CacheTest
from harness import pattern, sha256


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
