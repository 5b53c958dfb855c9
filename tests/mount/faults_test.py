"""When the origin is slow, wrong or gone: the truth or an error, in time, and never wrong bytes."""
import concurrent.futures
import errno
import http.server
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest

from caching import cache_options, wait_until
from harness import (KEY_ID, KEY_SECRET, WAIT_SECONDS, MountTest, needs_rings, pattern,
                     sha256)

MIB = 1 << 20

# Opens and reads a file once, past the kernel's pages, and prints the first errno there is, or a
# digest. Not by Python's own calls, which go on after EINTR.
READ_ONCE = """
import ctypes, errno, hashlib, mmap, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGINT, lambda *_: None)
def call(function, *arguments):
    done = function(*arguments)
    if done < 0:
        print(errno.errorcode[ctypes.get_errno()])
        sys.exit()
    return done
size = int(sys.argv[2])
room = mmap.mmap(-1, size)
address = ctypes.addressof(ctypes.c_char.from_buffer(room))
file = call(libc.open, os.fsencode(sys.argv[1]), os.O_RDONLY | os.O_DIRECT)
got = call(libc.read, file, ctypes.c_void_p(address), ctypes.c_size_t(size))
print(hashlib.sha256(room[:got]).hexdigest())
"""

# Reads through the kernel's pages, by one read(2) or through a mapping, and goes on after a signal
# as programs in C do (SA_RESTART).
READ_PAGES = """
import ctypes, errno, hashlib, mmap, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.siginterrupt(signal.SIGUSR1, False)
file = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(file).st_size
if sys.argv[2] == "mapped":
    got = mmap.mmap(file, size, prot=mmap.PROT_READ)[:]
else:
    room = ctypes.create_string_buffer(size)
    done = libc.read(file, room, ctypes.c_size_t(size))
    got = room.raw[:done] if done >= 0 else errno.errorcode[ctypes.get_errno()].encode()
print(hashlib.sha256(got).hexdigest())
"""


def state_of(process):
    stat = pathlib.Path(f"/proc/{process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0]


def waits_in_the_kernel(process):
    return pathlib.Path(f"/proc/{process.pid}/wchan").read_text() in (
        "d_alloc_parallel", "request_wait_answer")


class Faults(MountTest):
    def test_a_tenth_of_requests_failing_fails_no_read(self):
        origin = self.origin()
        written = {f"d/{i}": sha256(origin.put(f"d/{i}", pattern(3 * MIB + i, i)))
                   for i in range(30)}
        mount = self.mount(origin)
        origin.configure(faults=[{"kind": "status503", "probability": 0.05},
                                 {"kind": "reset", "probability": 0.05}])
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            read = dict(zip(written, pool.map(lambda key: sha256(mount / key), written)))
        self.assertEqual(read, written)
        self.assertGreater(origin.control("stats")["faults_injected"], 0)

    def test_connections_cut_in_the_middle_of_a_body_fail_no_read(self):
        origin = self.origin()
        expected = sha256(origin.put("file", pattern(32 * MIB)))
        mount = self.mount(origin)
        origin.configure(faults=[{"kind": "cut_after_bytes", "bytes": 300_000,
                                  "match": {"op": "Get"}, "probability": 0.3}])
        self.assertEqual(sha256(mount / "file"), expected)
        self.assertGreater(origin.control("stats")["faults_injected"], 0)

    def test_answers_that_are_not_what_was_asked_for_are_never_data(self):
        for kind in ("wrong_etag", "wrong_content_range"):
            with self.subTest(kind):
                origin = self.origin()
                origin.put("file", pattern(MIB))
                mount = self.mount(origin, "request_deadline=2")
                origin.configure(faults=[{"kind": kind, "match": {"op": "Get"}}])
                with self.assertRaises(OSError) as raised:
                    sha256(mount / "file")
                self.assertIn(raised.exception.errno, (errno.EIO, errno.ETIMEDOUT, errno.ESTALE))

    def test_bytes_of_an_object_that_came_whole_are_compared_with_the_stores_checksum(self):
        origin = self.origin()
        written = {name: sha256(origin.put(name, pattern(size, size))) for name, size in
                   (("small", 100_000), ("a_block", MIB), ("damaged", 50_000))}
        wrong = {"kind": "wrong_bytes", "match": {"op": "Get"}}
        for options in ([], [cache_options(memory_mib=256)]):
            with self.subTest(options):
                mount = self.mount(origin, "request_deadline=2", *options)
                origin.configure(faults=[wrong])
                self.assert_errno(errno.EIO, (mount / "damaged").read_bytes)
                with open(mount / "damaged", "rb", buffering=0) as file:
                    self.assert_errno(errno.EIO, os.pread, file.fileno(), 4096, 20480)
                self.assertRegex(mount.log(), "'damaged': what came is not the object: its CRC-64 is .*after 3 attempts")
                origin.configure(faults=[
                    {"kind": "wrong_bytes", "match": {"op": "Get", "key_prefix": name}, "count": 2}
                    for name in written])
                read = {name: sha256(mount / name) for name in written}
                self.assertEqual(read, written)
                self.assertEqual([rule["count"] for rule in origin.control("config")["faults"]],
                                 [0, 0, 0])
                mount.close()

    def test_a_mangled_list_document_is_an_error_and_not_an_empty_directory(self):
        origin = self.origin()
        origin.put("d/file", b"x")
        mount = self.mount(origin, "request_deadline=2")
        os.stat(mount / "d")
        origin.configure(faults=[{"kind": "mangled_list", "match": {"op": "List"}}])
        with self.assertRaises(OSError) as raised:
            os.listdir(mount / "d")
        self.assertIn(raised.exception.errno, (errno.EIO, errno.ETIMEDOUT))
        origin.configure(faults=[])
        self.assertEqual(os.listdir(mount / "d"), ["file"])

    def test_a_bucket_that_is_gone_is_an_error_and_not_an_empty_directory(self):
        origin = self.origin()
        expected = origin.put("d/file", pattern(MIB)).read_bytes()
        mount = self.mount(origin, "g_readdircache_Enable=false", "entry_timeout=0")
        self.assertEqual(os.listdir(mount.point), ["d"])
        origin.bucket.rename(origin.bucket.with_suffix(".gone"))
        for call in (lambda: os.listdir(mount.point), lambda: os.listdir(mount / "d"),
                     lambda: os.stat(mount / "other"), lambda: (mount / "d/file").read_bytes()):
            self.assert_errno(errno.EIO, call)
        lines = [line for line in mount.log().splitlines() if "readdir: ListObjects ''" in line]
        self.assertEqual(len(lines), 1, mount.log())
        for word in ("HTTP 404", "NoSuchBucket", "request ", "there is no such bucket"):
            self.assertIn(word, lines[0])
        origin.bucket.with_suffix(".gone").rename(origin.bucket)
        self.assertEqual((mount / "d/file").read_bytes(), expected)

    def test_a_page_of_a_proxy_is_an_error_and_not_a_missing_name(self):
        class Page(http.server.BaseHTTPRequestHandler):
            status = 404

            def do_GET(self):
                self.send_response(self.status)
                self.send_header("Content-Length", "13")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(b"<html></html>")

            do_HEAD = do_GET

            def version_string(self):
                return "proxy/1"

            def log_message(self, *_):
                pass

        origin = self.origin()
        origin.put("d/file", b"x")
        mount = self.mount(origin, "g_readdircache_Enable=false", "entry_timeout=0")
        origin.stop()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", origin.port), Page)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(lambda: (server.shutdown(), thread.join(), server.server_close()))
        for Page.status in (301, 302, 400, 404, 405, 409, 410, 411):
            with self.subTest(Page.status):
                self.assert_errno(errno.EIO, os.listdir, mount.point)
                self.assert_errno(errno.EIO, os.stat, mount / "other")
                self.assertIn(f"HTTP {Page.status} of proxy/1", mount.log())

    def test_an_origin_that_is_gone_is_an_error_in_time_and_works_when_it_is_back(self):
        origin = self.origin()
        expected = sha256(origin.put("d/file", pattern(MIB)))
        mount = self.mount(origin, "request_deadline=2")
        os.stat(mount / "d/file")
        origin.stop()
        for call in (lambda: os.stat(mount / "d/other"), lambda: sha256(mount / "d/file"),
                     lambda: os.listdir(mount / "d")):
            begun = time.monotonic()
            with self.assertRaises(OSError) as raised:
                call()
            self.assertIn(raised.exception.errno, (errno.EIO, errno.ETIMEDOUT))
            self.assertLess(time.monotonic() - begun, 2 + 1.5)
        os.stat(mount.point)
        os.statvfs(mount.point)
        origin.start()
        begun = time.monotonic()
        wait_until((mount / "d/file").exists)
        self.assertLess(time.monotonic() - begun, 1 + 1)
        self.assertEqual(sha256(mount / "d/file"), expected)

    def test_an_origin_that_hangs_does_not_hold_up_the_root_or_df(self):
        origin = self.origin()
        origin.put("file", pattern(MIB))
        mount = self.mount(origin, "request_deadline=5")
        origin.configure(faults=[{"kind": "hang"}])
        with concurrent.futures.ThreadPoolExecutor(80) as pool:
            waiting = [pool.submit(os.stat, mount / f"missing-{i}") for i in range(80)]
            while origin.control("stats")["faults_injected"] < 10:
                pass
            begun = time.monotonic()
            os.stat(mount.point)
            os.statvfs(mount.point)
            self.assertLess(time.monotonic() - begun, 1)
            for call in waiting:
                self.assertIn(call.exception().errno, (errno.ETIMEDOUT, errno.EIO))

    def assert_fail_together(self, calls, seconds):
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
            ended = [pool.submit(call) for call in calls]
        for call in ended:
            self.assertIn(call.exception().errno, (errno.ETIMEDOUT, errno.EIO))
        self.assertLess(time.monotonic() - begun, seconds)

    def test_programs_that_ask_for_one_name_of_an_origin_that_is_gone_fail_together(self):
        origin = self.origin()
        origin.put("d/file", b"x")
        mount = self.mount(origin, "request_deadline=3", "entry_timeout=0",
                           "g_readdircache_Enable=false")
        os.stat(mount / "d/file")
        origin.stop()
        self.assert_fail_together([lambda: os.stat(mount / "missing")] * 8, 3 + 1.5)
        # Each asks whether the directory is still there, and when that failed looks it up.
        self.assert_fail_together([lambda i=i: os.stat(mount / f"d/{i}") for i in range(12)],
                                  3 + 1.5)
        origin.start()
        wait_until((mount / "d/file").exists)
        self.assertEqual((mount / "d/file").read_bytes(), b"x")

    def test_readers_of_one_page_of_an_origin_that_is_gone_fail_together(self):
        for options in ((), ("open_requests=off",),
                        ("open_requests=off", "g_metadata_CacheEnable=true"),
                        (cache_options(memory_mib=64),)):
            with self.subTest(options):
                origin = self.origin()
                body = pattern(16 * MIB)
                origin.put("file", body)
                mount = self.mount(origin, "request_deadline=3", *options)
                descriptor = os.open(mount / "file", os.O_RDONLY)
                self.addCleanup(os.close, descriptor)
                origin.stop()
                self.assert_fail_together(
                    [lambda: os.pread(descriptor, 4096, 8 * MIB)] * 8, 3 + 1.5)
                origin.start()
                wait_until(lambda: self.read_or_fail(descriptor, 8 * MIB) == body[8 * MIB:][:4096])

    @staticmethod
    def read_or_fail(descriptor, offset):
        try:
            return os.pread(descriptor, 4096, offset)
        except OSError:
            return None

    def test_reads_that_queue_for_a_connection_end_in_time_as_well(self):
        origin = self.origin()
        origin.put("file", pattern(64 * MIB))
        mount = self.mount(origin, "request_deadline=2,max_connections=4")
        descriptor = os.open(mount / "file", os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        origin.configure(faults=[{"kind": "hang", "match": {"op": "Get"}}])
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(48) as pool:
            calls = [pool.submit(os.pread, descriptor, 4096, i * MIB + 8192) for i in range(48)]
        for call in calls:
            self.assertIn(call.exception().errno, (errno.ETIMEDOUT, errno.EIO))
        self.assertLess(time.monotonic() - begun, 2 + 1.5)

    def test_sequential_reads_that_queue_for_a_connection_end_in_time_as_well(self):
        origin, part = self.origin(), 256 * 1024
        for i in range(24):
            origin.put(f"file{i}", pattern(16 * MIB, i))
        mount = self.mount(origin, "request_deadline=2,max_connections=4")
        descriptors = [os.open(mount / f"file{i}", os.O_RDONLY) for i in range(24)]
        for descriptor in descriptors:
            self.addCleanup(os.close, descriptor)
            for i in range(4):
                os.pread(descriptor, part, i * part)
        origin.configure(faults=[{"kind": "hang", "match": {"op": "Get"}}])

        def read_until_it_fails(descriptor):
            for offset in range(MIB, 16 * MIB, part):
                begun = time.monotonic()
                try:
                    os.pread(descriptor, part, offset)
                except OSError as error:
                    return error.errno, time.monotonic() - begun
            return 0, 0

        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            for failed_with, seconds in pool.map(read_until_it_fails, descriptors):
                self.assertIn(failed_with, (errno.ETIMEDOUT, errno.EIO))
                # The kernel may have asked for two parts of it one after the other.
                self.assertLess(seconds, 2 * 2 + 1.5)

    def test_a_look_up_behind_listings_that_hang_ends_in_time(self):
        origin = self.origin()
        for i in range(200):
            origin.put(f"d{i}/file", b"x")
        mount = self.mount(origin, "request_deadline=3")
        os.listdir(mount.point)
        origin.configure(faults=[{"kind": "hang", "match": {"op": "List"}}])
        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            listings = [pool.submit(os.listdir, mount / f"d{i}") for i in range(200)]
            # As many as there are threads for them; the others wait for their turn.
            while origin.control("stats")["faults_injected"] < 64:
                pass
            begun = time.monotonic()
            with self.assertRaises(OSError) as raised:
                os.stat(mount / "missing")
            took = time.monotonic() - begun
            for call in listings:
                self.assertIn(call.exception().errno, (errno.ETIMEDOUT, errno.EIO))
        self.assertIn(raised.exception.errno, (errno.ETIMEDOUT, errno.EIO))
        self.assertLess(took, 3 + 1.5)

    def test_a_reader_that_is_killed_ends_at_once_though_the_origin_hangs(self):
        origin = self.origin()
        origin.put("file", pattern(MIB))
        mount = self.mount(origin, "request_deadline=30")
        origin.configure(faults=[{"kind": "hang"}])
        for command in (["stat", mount / "missing"], ["cat", mount / "file"]):
            seen = origin.control("stats")["faults_injected"]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            while origin.control("stats")["faults_injected"] == seen:
                pass
            begun = time.monotonic()
            process.send_signal(signal.SIGKILL)
            process.wait(WAIT_SECONDS)
            self.assertLess(time.monotonic() - begun, 5)

    def test_readers_that_queue_for_one_name_all_end_at_once_when_they_are_killed(self):
        for transport in ("dev", "auto"):
            with self.subTest(transport):
                origin = self.origin()
                for i in range(12):
                    origin.put(f"d/{i}", b"x")
                mount = self.mount(origin, "request_deadline=30", "entry_timeout=0",
                                   "g_readdircache_Enable=false", f"transport={transport}")
                origin.configure(faults=[{"kind": "hang"}])
                readers = [subprocess.Popen(["cat", mount / f"d/{i}"]) for i in range(12)]
                for reader in readers:
                    self.addCleanup(reader.wait)
                    self.addCleanup(reader.kill)
                # One asks for the directory, and the kernel keeps the others until it knows.
                wait_until(lambda: origin.control("stats")["faults_injected"] > 0 and
                           all(waits_in_the_kernel(reader) for reader in readers))
                begun = time.monotonic()
                for reader in readers:
                    reader.kill()
                for reader in readers:
                    reader.wait(WAIT_SECONDS)
                self.assertLess(time.monotonic() - begun, 2)

    def read_once(self, path):
        """In a process group of its own, as a shell's job."""
        process = subprocess.Popen([sys.executable, "-c", READ_ONCE, path, str(64 * 1024)],
                                   stdout=subprocess.PIPE, text=True, process_group=0)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_a_program_that_is_stopped_while_it_waits_goes_on_when_it_is_continued(self):
        for number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
            with self.subTest(number.name):
                origin = self.origin()
                expected = sha256(origin.put("file", pattern(64 * 1024)))
                mount = self.mount(origin)
                origin.configure(latency_ms=1000)
                origin.reset_stats()
                reader = self.read_once(mount / "file")
                wait_until(lambda: origin.requests().get("Head", 0) > 0)
                reader.send_signal(number)
                wait_until(lambda: state_of(reader) == "T")
                reader.send_signal(signal.SIGCONT)
                self.assertEqual(reader.communicate(timeout=WAIT_SECONDS)[0], expected + "\n")

    def test_a_program_that_catches_a_signal_while_it_waits_for_pages_reads_on(self):
        for transport in ("auto", "dev"):
            for way in ("read", "mapped"):
                with self.subTest(transport=transport, way=way):
                    origin = self.origin()
                    expected = sha256(origin.put("file", pattern(64 * 1024)))
                    mount = self.mount(origin, f"transport={transport}")
                    # Long enough for whoever waits to be looked at several times.
                    origin.configure(latency_ms=1000)
                    origin.reset_stats()
                    reader = subprocess.Popen([sys.executable, "-c", READ_PAGES, mount / "file", way],
                                              stdout=subprocess.PIPE, text=True)
                    self.addCleanup(reader.stdout.close)
                    self.addCleanup(reader.wait)
                    self.addCleanup(reader.kill)
                    wait_until(lambda: origin.requests().get("Get", 0) > 0)
                    reader.send_signal(signal.SIGUSR1)
                    self.assertEqual(reader.communicate(timeout=WAIT_SECONDS)[0], expected + "\n")

    def reader_that_hangs(self, operation, transport):
        """One that waits for the store's answer to that, and its mount."""
        origin = self.origin()
        origin.put("file", pattern(64 * 1024))
        mount = self.mount(origin, "request_deadline=30", f"transport={transport}")
        origin.configure(faults=[{"kind": "hang", "match": {"op": operation}}])
        reader = self.read_once(mount / "file")
        wait_until(lambda: origin.control("stats")["faults_injected"] > 0)
        return reader, mount

    @needs_rings
    def test_over_rings_a_direct_read_ends_at_a_signal_that_is_caught(self):
        reader, _ = self.reader_that_hangs("Get", "io_uring")
        reader.send_signal(signal.SIGINT)
        self.assertEqual(reader.communicate(timeout=10)[0], "EINTR\n")

    def test_one_that_was_stopped_and_continued_ends_at_once_at_ctrl_c(self):
        reader, mount = self.reader_that_hangs("Head", "dev")
        reader.send_signal(signal.SIGTSTP)
        # It comes when the first signal was found to be no reason; over rings it is there before.
        wait_until(lambda: "fuse-interrupt" in mount.worker_threads())
        reader.send_signal(signal.SIGCONT)
        begun = time.monotonic()
        reader.send_signal(signal.SIGINT)
        self.assertEqual(reader.communicate(timeout=WAIT_SECONDS)[0], "EINTR\n")
        self.assertLess(time.monotonic() - begun, 5)

    def test_rights_that_are_missing_are_eacces_and_named_in_the_log(self):
        origin = self.origin()
        origin.put("d/file", pattern(MIB))
        mount = self.mount(origin)
        os.stat(mount / "d/file")
        origin.write_credentials([{"id": KEY_ID, "secret": KEY_SECRET,
                                   "deny": ["GetObject", "GetBucketStat"]}])
        self.assert_errno(errno.EACCES, os.open, mount / "d/file", os.O_RDONLY)
        self.assertIn("oss:GetObject", mount.log())
        self.assertEqual(os.listdir(mount / "d"), ["file"])

    def test_an_error_in_the_log_names_operation_key_status_code_and_request(self):
        origin = self.origin()
        origin.put("file", pattern(MIB))
        mount = self.mount(origin, "request_deadline=2")
        descriptor = os.open(mount / "file", os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        origin.configure(faults=[{"kind": "status500", "match": {"op": "Get"}}])
        self.assert_errno(errno.EIO, os.pread, descriptor, 4096, 0)
        for word in ("GetObject", "'file'", "HTTP 500", "InternalError", "request"):
            self.assertIn(word, mount.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
