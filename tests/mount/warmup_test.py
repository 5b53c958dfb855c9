"""Warm-up as its users meet it: the specification's interface, a mount, and what the origin
is asked for."""
import contextlib
import errno
import hashlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest

from admin import Admin, free_port
from caching import MIB, CacheTest, cache_options, cached_bytes, wait_until
from harness import LINUX, SHOAL, WAIT_SECONDS, needs_survival, pattern, sha256

KILLS_OF_THE_WORKER = ("kill -9 of the worker",) if LINUX >= (6, 9) else ()

class Warmup(CacheTest):
    def warm_mount(self, origin, *options, point=None, **capacity):
        """A mount with a cache, and its management interface."""
        port = free_port()
        directories = capacity.pop("directories", ())
        mount = self.mount(origin, cache_options(*directories, **capacity),
                           f"g_server_Port={port}", *options, point=point)
        admin = Admin(port)
        wait_until(admin.answers)
        return mount, admin

    def put(self, origin, sizes, seed=0):
        return {key: sha256(origin.put(key, pattern(size, seed + number)))
                for number, (key, size) in enumerate(sizes.items())}

    def assert_completed(self, task, size):
        self.assertEqual((task["Status"], task["ErrorCode"], task["ErrorMessage"]),
                         ("completed", 0, ""))
        self.assertEqual((task["CompletedSize"], task["TotalSize"]), (size, size))

    def test_a_file_is_loaded_and_read_without_a_get(self):
        for capacity in ({"disk": True}, {"memory_mib": 64}, {"disk": True, "memory_mib": 64}):
            with self.subTest(capacity):
                origin = self.origin()
                directories = [self.directory()] if capacity.get("disk") else []
                written = self.put(origin, {"model/weights.bin": 9 * MIB + 77, "other": 100})
                mount, admin = self.warm_mount(origin, directories=directories,
                                               memory_mib=capacity.get("memory_mib", 0))
                task = admin.run("model/weights.bin")
                self.assert_completed(task, 9 * MIB + 77)
                self.assertFalse(task["IsDir"])
                self.assertEqual(self.get_bytes(origin), 9 * MIB + 77, "each byte once")
                del written["other"]
                for _ in range(2):
                    self.assert_reads_without_a_get(origin, mount, written)

    def test_progress_follows_the_bytes_and_never_falls(self):
        origin = self.origin()
        self.put(origin, {"file": 24 * MIB})
        mount, admin = self.warm_mount(origin, f"g_tier_DadiSdkGetTrafficLimit={12 * MIB}",
                                       directories=[self.directory()])
        admin.load("file")
        seen = [0]
        while (task := admin.tasks("file")[0])["Status"] == "running":
            self.assertGreaterEqual(task["CompletedSize"], seen[-1])
            if task["CompletedSize"] > seen[-1]:
                seen.append(task["CompletedSize"])
        self.assert_completed(task, 24 * MIB)
        self.assertGreater(len(seen), 10, seen)

    def test_a_directory_and_the_root_are_loaded_with_all_that_is_below(self):
        origin, directory = self.origin(), self.directory()
        below = self.put(origin, {f"d/{i % 7}/{i}": i * 3001 for i in range(80)})
        beside = self.put(origin, {"e": 12_345, "f/g": MIB}, seed=100)
        mount, admin = self.warm_mount(origin, directories=[directory])
        task = admin.run("d")
        self.assert_completed(task, sum(i * 3001 for i in range(80)))
        self.assertTrue(task["IsDir"])
        self.assert_reads_without_a_get(origin, mount, below)
        origin.reset_stats()
        self.assert_completed(admin.run(""), sum(i * 3001 for i in range(80)) + 12_345 + MIB)
        self.assertEqual(self.get_bytes(origin), 12_345 + MIB, "the others were there")
        self.assert_reads_without_a_get(origin, mount, below | beside)

    def test_a_mount_of_a_prefix_loads_what_is_below_it(self):
        origin, directory = self.origin(), self.directory()
        self.put(origin, {"a/b/c": 1000, "a/d": 2000, "b/c": 3000})
        port = free_port()
        self.mount(origin, cache_options(directory), f"g_server_Port={port}", source="data:/a/")
        admin = Admin(port)
        wait_until(admin.answers)
        self.assert_completed(admin.run("b"), 1000)
        self.assert_completed(admin.run(""), 3000)

    def test_a_pattern_picks_files(self):
        origin, directory = self.origin(), self.directory()
        written = self.put(origin, {"d/a_1": 1000, "d/a_2": 2000, "d/e/b_2": 3000})
        mount, admin = self.warm_mount(origin, directories=[directory])
        task = admin.run("d", pattern=".*_2$")
        self.assert_completed(task, 5000)
        self.assertEqual(task["Pattern"], ".*_2$")
        del written["d/a_1"]
        self.assert_reads_without_a_get(origin, mount, written)
        self.assertEqual(len(admin.warmup("stat", "d", pattern="x")[0].get("TaskInfos", [])), 0)

    def test_a_list_of_paths_is_a_task_each_and_names_may_have_commas(self):
        origin, directory = self.origin(), self.directory()
        written = self.put(origin, {"a": 1000, "b/c": 2000, "d,e": 3000, "f\\": 4000})
        mount, admin = self.warm_mount(origin, directories=[directory])
        results = admin.warmup("load", "a,b,d\\,e")
        self.assertEqual([(r["Path"], r["ErrorCode"]) for r in results],
                         [("a", 0), ("b", 0), ("d,e", 0)])
        for path, size in (("a", 1000), ("b", 2000), ("d,e", 3000)):
            self.assert_completed(admin.wait(path), size)

        def load(*paths):
            return subprocess.run([SHOAL, "warmup", "load", "-m", mount.point, *paths],
                                  capture_output=True, text=True, timeout=WAIT_SECONDS)

        self.assertEqual(load("f\\", "d,e").returncode, 0)
        self.assert_completed(admin.wait("f\\"), 4000)
        self.assert_reads_without_a_get(origin, mount, written)
        for paths in (("", "a"), ("a", "")):
            refused = load(*paths)
            self.assertEqual(refused.returncode, 32, refused)
            self.assertIn("name it in a command of its own", refused.stderr)

    def test_the_specifications_cli_takes_the_root_lists_and_a_time_and_cancels(self):
        origin, directory = self.origin(), self.directory()
        self.put(origin, {"a": 1000, "b/c": 2000, "d,e": 3000})
        mount, admin = self.warm_mount(origin, directories=[directory])
        cli = self.directory() / "aliyun-alinas-efc-cli"
        os.symlink(os.path.abspath(SHOAL), cli)

        def ask(operation, path, *words):
            """(exit status, [(path, error, [(pattern, status) of each task])])"""
            done = subprocess.run([cli, "-m", mount.point, "-r", f"warmup/{operation}",
                                   "--path", path, *words],
                                  capture_output=True, text=True, timeout=WAIT_SECONDS)
            self.assertEqual(done.stderr, "")
            return done.returncode, [
                (r["Path"], r["ErrorCode"],
                 [(t["Pattern"], t["Status"]) for t in r.get("TaskInfos", [])])
                for r in json.loads(done.stdout)["Results"]]

        origin.configure(faults=[{"kind": "hang", "match": {"op": "Get"}}])
        self.assertEqual(ask("load", ""), (0, [("", 0, [])]))
        self.assertEqual(ask("load", "a,b,d\\,e,none", "--pattern", "[a-e]$"),
                         (0, [("a", 0, []), ("b", 0, []), ("d,e", 0, []), ("none", 0, [])]))
        admin.wait("none")
        running, canceled = [("[a-e]$", "running")], [("[a-e]$", "canceled")]
        self.assertEqual(ask("stat", "a,b,"), (0, [("a", 0, running), ("b", 0, running)]))
        self.assertEqual(ask("stat", "", "--preceding_time", "3600"),
                         (0, [("", 0, [("", "running")])]))
        self.assertEqual(ask("cancel", "a,b"), (0, [("a", 0, []), ("b", 0, [])]))
        self.assertEqual(ask("stat", "a,b"), (0, [("a", 0, canceled), ("b", 0, canceled)]))
        self.assertEqual(ask("cancel", ""), (0, [("", 0, [])]))
        # Only what runs can be canceled, of what is known.
        self.assertEqual(ask("cancel", "a,none,never,d\\,e"),
                         (32, [("a", 22, []), ("none", 22, []), ("never", 2, []), ("d,e", 0, [])]))
        wait_until(lambda: ask("stat", "a", "--preceding_time", "1") == (32, [("a", 2, [])]))
        self.assertEqual(ask("stat", "a", "--preceding_time", "3600"), (0, [("a", 0, canceled)]))

    def test_cached_files_are_skipped_and_changed_ones_are_loaded_again(self):
        origin, directory = self.origin(), self.directory()
        written = self.put(origin, {f"d/{i}": 50_000 for i in range(20)})
        mount, admin = self.warm_mount(origin, directories=[directory])
        self.assert_reads(mount, {"d/3": written["d/3"]})
        wait_until(lambda: cached_bytes(directory) == 50_000)
        admin.run("d")
        self.assertEqual(self.get_bytes(origin), 20 * 50_000, "each byte once, by whomever")
        origin.reset_stats()
        self.assert_completed(admin.run("d"), 20 * 50_000)
        self.assertEqual(origin.requests().get("Get", 0), 0)
        written["d/7"] = sha256(origin.put("d/7", pattern(60_000, 99)))
        self.assert_completed(admin.run("d"), 20 * 50_000 + 10_000)
        self.assertEqual(self.get_bytes(origin), 60_000)
        self.assert_reads_without_a_get(origin, mount, written)

    def test_a_reader_and_a_warm_up_of_one_file_fetch_each_byte_once(self):
        for capacity in ({"disk_mib": 256}, {"memory_mib": 128}):
            for first in ("warm-up", "reader"):
                with self.subTest(capacity, first=first):
                    origin = self.origin()
                    directories = [self.directory()] if "disk_mib" in capacity else []
                    size = 40 * MIB + 77
                    written = self.put(origin, {"large": size})
                    mount, admin = self.warm_mount(origin, directories=directories, **capacity)
                    origin.configure(bytes_per_second=16 * MIB, latency_ms=5)
                    with open(mount / "large", "rb", buffering=0) as file:
                        head = b""
                        if first == "reader":
                            head = file.read(MIB)
                        admin.load("large")
                        if first == "warm-up":
                            wait_until(lambda: self.get_bytes(origin) > 0)
                        digest = hashlib.sha256(head)
                        while block := file.read(MIB):
                            digest.update(block)
                    self.assertEqual(digest.hexdigest(), written["large"])
                    self.assert_completed(admin.wait("large"), size)
                    self.assertEqual(self.get_bytes(origin), size, "each byte once")
                    self.assert_reads_without_a_get(origin, mount, written)

    def test_two_warm_ups_of_one_file_fetch_each_byte_once(self):
        origin, directory = self.origin(), self.directory()
        written = self.put(origin, {"d/large": 40 * MIB + 77})
        mount, admin = self.warm_mount(origin, directories=[directory], disk_mib=256)
        origin.configure(bytes_per_second=16 * MIB)
        admin.load("d/large")
        admin.load("d")
        for path in ("d/large", "d"):
            self.assert_completed(admin.wait(path), 40 * MIB + 77)
        self.assertEqual(self.get_bytes(origin), 40 * MIB + 77, "each byte once")
        self.assert_reads_without_a_get(origin, mount, written)

    def test_a_canceled_task_stops_and_says_so(self):
        origin, directory = self.origin(), self.directory()
        self.put(origin, {"large": 60 * MIB})
        _, admin = self.warm_mount(origin, directories=[directory], disk_mib=128)
        origin.configure(bytes_per_second=4 * MIB)
        admin.load("large")
        wait_until(lambda: self.get_bytes(origin) > 0)
        result = admin.warmup("cancel", "large")[0]
        self.assertEqual(result["ErrorCode"], 0)
        self.assertEqual(admin.tasks("large")[0]["Status"], "canceled")
        self.assertLess(self.get_bytes(origin), 60 * MIB)
        again = admin.warmup("cancel", "large")[0]
        self.assertNotEqual(again["ErrorCode"], 0)
        self.assertIn("canceled", again["ErrorMessage"])
        origin.configure(bytes_per_second=0)
        self.assert_completed(admin.run("large"), 60 * MIB)

    def test_a_task_goes_on_after_an_unmount_and_after_kill_9_in_the_middle(self):
        for ending in ("umount", "kill -9 of both", *KILLS_OF_THE_WORKER):
            with self.subTest(ending):
                origin, directory = self.origin(), self.directory()
                written = self.put(origin, {f"d/{i}": 500_000 for i in range(60)})
                mount, admin = self.warm_mount(origin, directories=[directory])
                origin.configure(bytes_per_second=10 * MIB)
                admin.load("d")
                wait_until(lambda: cached_bytes(directory) > 2 * MIB)
                submitted = admin.tasks("d")[0]["SubmitTime"]
                self.end(mount, ending)
                origin.configure(bytes_per_second=0)
                if ending not in KILLS_OF_THE_WORKER:
                    mount, admin = self.warm_mount(origin, directories=[directory],
                                                   point=mount.point)
                wait_until(admin.answers)
                task = admin.wait("d")
                self.assertEqual(task["SubmitTime"], submitted, "the same task")
                self.assert_completed(task, 60 * 500_000)
                self.assert_reads_without_a_get(origin, mount, written)

    @needs_survival
    def test_a_state_directory_whose_disk_hangs_keeps_no_worker_from_serving(self):
        origin, disk = self.origin(), self.ext4(64)[0]
        written = self.put(origin, {f"d/{i}": 500_000 for i in range(4)})
        mount, admin = self.warm_mount(origin, f"state_directory={disk}/state",
                                       directories=[self.directory()])
        self.assert_completed(admin.run("d"), 4 * 500_000)
        completed = 1  # of WarmupTask::Status
        wait_until(lambda: self.tasks_in(disk / "state") == {("d", completed)})
        self.freeze(disk)
        begun = time.monotonic()
        os.kill(mount.worker(), signal.SIGKILL)
        self.assert_reads(mount, written)
        self.assertLess(time.monotonic() - begun, 5)
        wait_until(admin.answers)
        self.assertIn("earlier warm-up tasks are not known", mount.log())
        self.assertEqual(admin.warmup("stat", "d")[0].get("TaskInfos", []), [])
        self.thaw(disk)
        wait_until(lambda: admin.warmup("stat", "d")[0].get("TaskInfos"))
        # Those of now are kept beside those of before.
        admin.run("d/1")
        wait_until(lambda: self.tasks_in(disk / "state") == {
            ("d", completed), ("d/1", completed)})

    def tasks_in(self, folder):
        """(path, status) of the tasks that are on the disk."""
        tasks = set()
        for file in folder.glob("*/*.warmup"):
            copies = pathlib.Path(tempfile.mkdtemp(prefix="shoal-tasks-"))
            self.addCleanup(shutil.rmtree, copies)
            for part in folder.glob(f"*/{file.name}*"):  # the log beside it
                shutil.copy(part, copies)
            with contextlib.closing(sqlite3.connect(copies / file.name)) as database:
                with contextlib.suppress(sqlite3.DatabaseError):  # copied while it was written
                    rows = database.execute("SELECT path, status FROM tasks").fetchall()
                    tasks |= {(path.decode(), status) for path, status in rows}
        return tasks

    def test_a_mount_ends_though_a_warm_up_waits_for_a_store_that_does_not_answer(self):
        origin, directory = self.origin(), self.directory()
        written = self.put(origin, {f"d/{i}": 500_000 for i in range(40)})
        mount, admin = self.warm_mount(origin, "request_deadline=300", directories=[directory])
        origin.configure(faults=[{"kind": "hang", "match": {"op": "Get", "key_prefix": "d/3"}}])
        admin.load("d")
        wait_until(lambda: origin.control("stats")["faults_injected"] > 0)
        mount.process.send_signal(signal.SIGTERM)
        self.assertEqual(mount.process.wait(20), 0)
        origin.configure(faults=[])
        mount, admin = self.warm_mount(origin, directories=[directory], point=mount.point)
        wait_until(admin.answers)
        self.assert_completed(admin.wait("d"), 40 * 500_000)
        self.assert_reads_without_a_get(origin, mount, written)

    def end(self, mount, how):
        if how == "umount":
            mount.process.send_signal(signal.SIGTERM)
            mount.wait()
        elif how in KILLS_OF_THE_WORKER:
            os.kill(mount.worker(), signal.SIGKILL)
        else:
            worker = mount.worker()
            mount.process.kill()
            mount.wait()
            wait_until(lambda: not pathlib.Path(f"/proc/{worker}").exists())

    def test_what_does_not_fit_fails_at_once_with_both_figures(self):
        origin, directory = self.origin(), self.directory()
        self.put(origin, {"d/1": 5 * MIB, "d/2": 5 * MIB})
        _, admin = self.warm_mount(origin, directories=[directory], disk_mib=8)
        task = admin.run("d")
        self.assertEqual((task["Status"], task["ErrorCode"]), ("failed", 28))
        self.assertIn("11 MiB", task["ErrorMessage"])
        self.assertIn("room for 8 MiB", task["ErrorMessage"])
        self.assertEqual(origin.requests().get("Get", 0), 0)
        self.assert_completed(admin.run("d/2"), 5 * MIB)

    def test_files_that_fail_are_counted_and_the_others_are_loaded(self):
        origin, directory = self.origin(), self.directory()
        written = self.put(origin, {f"d/{i}": 10_000 for i in range(20)})
        origin.put_object("d/archived", b"x" * 100, "Archive")
        origin.configure(faults=[{"match": {"op": "Get", "key_prefix": "d/7"},
                                  "kind": "wrong_etag"}])
        mount, admin = self.warm_mount(origin, "request_deadline=1", directories=[directory])
        task = admin.run("d")
        self.assertEqual((task["Status"], task["ErrorCode"]), ("failed", 13))
        self.assertIn("2 of 21 files", task["ErrorMessage"])
        origin.configure(faults=[])
        del written["d/7"]
        self.assert_reads_without_a_get(origin, mount, written)
        self.assertEqual(admin.run("nothing/here")["ErrorCode"], 2)

    def test_connections_that_break_and_answers_that_are_wrong_fail_no_task(self):
        origin, directory = self.origin(), self.directory()
        written = self.put(origin, {f"d/{i}": 300_000 for i in range(40)})
        mount, admin = self.warm_mount(origin, directories=[directory])
        origin.configure(faults=[
            {"match": {"op": "Get"}, "kind": "cut_after_bytes", "bytes": 100_000,
             "probability": 0.3},
            {"match": {"op": "Get"}, "kind": "status503", "probability": 0.2}])
        self.assert_completed(admin.run("d"), 40 * 300_000)
        origin.configure(faults=[])
        self.assert_reads_without_a_get(origin, mount, written)

    def test_an_object_that_changes_meanwhile_is_loaded_as_it_is_now(self):
        origin, directory = self.origin(), self.directory()
        origin.put("large", os.urandom(120 * MIB))  # more than is asked for at once
        replacement = pattern(20 * MIB, 5)
        mount, admin = self.warm_mount(origin, directories=[directory], disk_mib=256)
        origin.configure(bytes_per_second=20 * MIB)
        admin.load("large")
        wait_until(lambda: self.get_bytes(origin) > 0)
        written = {"large": sha256(origin.put("large", replacement))}
        origin.configure(bytes_per_second=0)
        self.assert_completed(admin.wait("large"), 20 * MIB)
        self.assert_reads_without_a_get(origin, mount, written)

    def test_thousands_of_paths_are_taken_in_one_request(self):
        origin, directory = self.origin(), self.directory()
        paths = [f"d/{i}" for i in range(5000)]
        self.put(origin, {path: 10 for path in paths[::50]})
        _, admin = self.warm_mount(origin, directories=[directory])
        results = admin.warmup("load", ",".join(paths))
        self.assertEqual([r["Path"] for r in results], paths)
        self.assert_completed(admin.wait("d/4950"), 10)
        self.assertEqual(admin.wait("d/4999")["ErrorCode"], 2)

    def test_shoal_warmup_takes_thousands_of_long_paths(self):
        origin, directory = self.origin(), self.directory()
        paths = [f"d/{i:05}-" + "x" * 62 for i in range(9000)]
        self.put(origin, {paths[0]: 10, paths[-1]: 10})
        mount, admin = self.warm_mount(origin, directories=[directory])

        def warmup(*words):
            return subprocess.run([SHOAL, "warmup", *words, "-m", mount.point, *paths],
                                  capture_output=True, text=True, timeout=WAIT_SECONDS)

        load = warmup("load")
        self.assertEqual((load.returncode, load.stderr), (0, ""))
        for path in (paths[0], paths[-1]):
            self.assert_completed(admin.wait(path), 10)
        stat = warmup("stat", "--json")
        self.assertEqual((stat.returncode, stat.stderr), (0, ""))
        self.assertEqual([r["Path"] for r in json.loads(stat.stdout)["Results"]], paths)
        self.assertNotIn("header limit", warmup("cancel").stderr)

    def test_a_mount_without_a_cache_says_what_it_lacks(self):
        origin = self.origin()
        _, admin = self.warm_mount(origin)
        result = admin.warmup("load", "a")[0]
        self.assertNotEqual(result["ErrorCode"], 0)
        self.assertIn("g_tier_DadiDiskCacheCapacityMB", result["ErrorMessage"])

    @needs_survival
    def test_while_the_cache_is_off_earlier_tasks_are_known(self):
        origin, directory = self.origin(), self.directory()
        self.put(origin, {"a": 1000})
        mount, admin = self.warm_mount(origin, directories=[directory])
        self.assert_completed(admin.run("a"), 1000)
        for enabled in ("false", "true"):
            done = subprocess.run([SHOAL, "update", mount.point, "-o",
                                   f"g_tier_EnableClusterCache={enabled}"],
                                  capture_output=True, text=True, timeout=WAIT_SECONDS)
            self.assertEqual(done.returncode, 0, done)
            wait_until(admin.answers)
            self.assert_completed(admin.tasks("a")[0], 1000)
            refused = admin.warmup("load", "a")[0]["ErrorCode"]
            self.assertEqual(refused, 0 if enabled == "true" else errno.EOPNOTSUPP)


if __name__ == "__main__":
    unittest.main()
