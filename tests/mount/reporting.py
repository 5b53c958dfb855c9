"""A node with an admin port, and what it says of itself."""
import os
import subprocess
import urllib.request

from admin import Admin, free_port
from caching import CacheTest, MIB, cache_options, drop_pages, wait_until
from harness import WAIT_SECONDS, pattern

COUNTERS = ["tier_read", "tier_read_bytes", "tier_read_hit", "tier_read_hit_bytes",
            "tier_read_miss", "tier_read_miss_bytes", "tier_direct_read",
            "tier_direct_read_bytes", "tier_root_read_source", "tier_root_read_source_bytes"]


def run(*words):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True,
                          timeout=WAIT_SECONDS)


class ReportsTest(CacheTest):
    def node(self, *options, objects=(("file", MIB),)):
        origin = self.origin()
        for key, size in objects:
            origin.put(key, pattern(size, seed=len(key)))
        self.cache = str(self.directory())
        self.admin = Admin(free_port())
        mount = self.mount(origin, cache_options(self.cache), f"state_directory={self.directory()}",
                           f"g_server_Port={self.admin.port}", *options)
        return origin, mount

    def tier(self):
        answer = self.admin.get("/v1/tier")
        return {name: answer[name] for name in COUNTERS}

    def tier_once_read(self, size):
        """A reader has its last bytes before the read that brings them has ended and counts."""
        wait_until(lambda: self.tier()["tier_read_bytes"] >= size)
        return self.tier()

    def text(self, path):
        url = f"http://127.0.0.1:{self.admin.port}{path}"
        with urllib.request.urlopen(url, timeout=WAIT_SECONDS) as answer:
            return answer.read().decode()

    def read(self, mount, name, size):
        """Whole, by the mount and not the kernel's pages."""
        descriptor = os.open(mount / name, os.O_RDONLY)
        try:
            drop_pages(descriptor)
            got = b""
            while piece := os.read(descriptor, MIB):
                got += piece
            self.assertEqual(got, pattern(size, seed=len(name)))
        finally:
            os.close(descriptor)
