"""Bad input to the admin port while a program reads: its bytes are right, it reads on as quickly,
and the process that serves is afterwards as it was before."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import unittest
import urllib.parse

from admin import free_port
from caching import MIB, CacheTest, wait_until
from harness import WAIT_SECONDS, pattern

# The first take what the process keeps for good: threads, and the history of tasks.
FIRST_ROUNDS, ROUNDS = 2, 4
# Each round sends some 26 MB, and is answered as much: half of what was sent is more than this.
RESIDENT_BYTES_MORE_MAX = 48 * MIB
# Reserves of connections and threads, which come and go. A round makes more than a thousand.
DESCRIPTORS_MORE_MAX = THREADS_MORE_MAX = 16
# The one who sends takes a share of the processors as well.
RATE_SHARE_MIN = 0.2
# Enough to take about as long as a round, on a machine whose other work comes and goes.
QUIET_READS = 20_000

# Reads the file past the kernel's pages, at places taken at random, and compares. For each number
# on stdin it reads so many times more and says how many reads there were, how many of them wrong,
# and when.
READER = """
import mmap, os, random, select, sys, time
path, truth = sys.argv[1], open(sys.argv[2], "rb").read()
descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
page = mmap.mmap(-1, 1 << 16)
count = wrong = 0
answer_at = None
while True:
    offset = random.randrange(len(truth) >> 16) << 16
    wrong += (os.preadv(descriptor, [page], offset) != len(page)
              or page[:] != truth[offset:offset + len(page)])
    count += 1
    if answer_at is None and select.select([sys.stdin], [], [], 0)[0]:
        line = sys.stdin.readline()
        if not line:
            break
        answer_at = count + int(line)
    if answer_at is not None and count >= answer_at:
        print(count, wrong, time.monotonic(), flush=True)
        answer_at = None
"""


class BadInput(CacheTest):
    def after_reads(self, count):
        """(reads, wrong ones, time) once there were so many more."""
        self.reader.stdin.write(f"{count}\n")
        self.reader.stdin.flush()
        reads, wrong, time = self.reader.stdout.readline().split()
        return int(reads), int(wrong), float(time)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS)

    def ask(self, sent, hang_up=False):
        """(status, the answer as JSON) of bytes on a connection of their own, which is closed."""
        with self.connect() as client:
            client.sendall(sent)
            if hang_up:
                client.shutdown(socket.SHUT_WR)
            got = b""
            while piece := client.recv(1 << 20):
                got += piece
        head, _, body = got.partition(b"\r\n\r\n")
        return int(head[9:12]), json.loads(body)

    def get(self, target, method="GET"):
        return self.ask(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n"
                        "Connection: close\r\n\r\n".encode())

    def has_room(self):
        try:
            return self.get("/v1/tier")[0] == 200
        except (ConnectionError, ValueError):  # it was refused, or even without an answer
            return False

    def send_a_round_of_bad_input(self):
        quote, path = urllib.parse.quote, "/v1/warmup/{}?target_path={}".format
        # With half a head, half a body, or an answer that is not read. Many of these would have
        # others refused (503), as they should.
        waiting = [self.connect() for _ in range(9)]
        many = ",".join(f"directory/with/a/name/{i:05}" for i in range(10_000))
        for number, client in enumerate(waiting):
            client.sendall((
                b"GET /v1/ti",
                b"POST /v1/tier HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nh",
                f"GET {path('stat', many)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
            )[number % 3])
        for verb in ("load", "stat", "cancel"):
            for wrong in ["/etc/passwd", "..", "a/../b", "a\0b"] + ["x" * (100 << 10)] * 80:
                status, answer = self.get(path(verb, quote(wrong)))
                self.assertEqual((status, answer["Results"][0]["ErrorCode"]), (200, 22), wrong[:20])
            for _ in range(2):
                status, answer = self.get(path(verb, many))
                self.assertEqual((status, len(answer["Results"])), (200, 10_000))
        for expression in ("(", "[a", "a{1001}", "(?P<", "\\", "a" * 5000):
            status, answer = self.get(path("load", "file&pattern=" + quote(expression)))
            self.assertEqual((status, answer["Results"][0]["ErrorCode"]), (200, 22), expression[:20])
        for target in ("/v1/warmup/load", path("load", "%zz"), path("load", ",,,"),
                       path("stat", "a&preceding_time=x")):
            status, answer = self.get(target)
            self.assertEqual((status, answer["ErrorCode"]), (400, 22), target)
        self.assertEqual(self.get("/v1/nothing")[0], 404)
        for method in ("DELETE", "PUT", "PATCH", "BREW"):
            self.assertEqual(self.get("/v1/tier", method)[0], 405)
        for _ in range(20):
            self.assertEqual(self.ask(b"GET /v1/tier HT", hang_up=True)[0], 400)
            self.assertEqual(self.ask(b"\0\1\2\3\r\n\r\n")[0], 400)
        crowd = [self.connect() for _ in range(1000)]
        for client in crowd:
            client.sendall(b"GET /v1/ti")
        for client in crowd + waiting:
            client.close()
        wait_until(self.has_room)

    def resources(self):
        process = pathlib.Path(f"/proc/{self.worker}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        return {"descriptors": len(os.listdir(process / "fd")), "threads": int(status["Threads"]),
                "resident": int(status["VmRSS"].split()[0]) << 10}

    def are_as(self, before):
        now = self.resources()
        return (now["descriptors"] <= before["descriptors"] + DESCRIPTORS_MORE_MAX
                and now["threads"] <= before["threads"] + THREADS_MORE_MAX
                and now["resident"] <= before["resident"] + RESIDENT_BYTES_MORE_MAX)

    def test_bad_input_slows_no_reader_and_leaves_nothing_behind(self):
        origin = self.origin()
        truth = origin.put("file", pattern(8 * MIB))
        self.port = free_port()
        mount = self.mount(origin, f"g_server_Port={self.port}", "g_tier_DadiIsDistributed=false",
                           "g_tier_DadiMemCacheCapacityMB=64",
                           # Or what is free in the arenas of ninety threads hides what leaks.
                           shoal=self.shoal_after("export MALLOC_ARENA_MAX=1"))
        self.worker = mount.worker()
        self.reader = subprocess.Popen([sys.executable, "-c", READER, mount / "file", truth],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.reader.communicate)  # which ends it
        for _ in range(FIRST_ROUNDS):
            self.send_a_round_of_bad_input()
        wait_until(lambda: self.get("/v1/warmup/running")[1]["TaskInfos"] == [])
        before = self.resources()
        quiet, loaded = [0, 0.0], [0, 0.0]
        for _ in range(ROUNDS):
            first = self.after_reads(0)
            second = self.after_reads(QUIET_READS)
            self.send_a_round_of_bad_input()
            third = self.after_reads(0)
            for sum_, begin, end in ((quiet, first, second), (loaded, second, third)):
                sum_[0] += end[0] - begin[0]
                sum_[1] += end[2] - begin[2]
            self.assertEqual(third[1], 0, "every byte is right")
        share = (loaded[0] / loaded[1]) / (quiet[0] / quiet[1])
        self.assertGreater(share, RATE_SHARE_MIN)
        try:
            wait_until(lambda: self.are_as(before))
        except TimeoutError:
            self.fail(f"{before} became {self.resources()}")
        self.assertEqual(mount.worker(), self.worker)


if __name__ == "__main__":
    unittest.main()
