"""What a mount says of itself: counters, metrics and state."""
import concurrent.futures
import errno
import json
import mmap
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import unittest
import urllib.error
import urllib.request

from admin import Admin, free_port
from caching import MIB, cached_bytes, wait_until
from harness import SHOAL, WAIT_SECONDS, needs_passthrough, needs_survival, pattern
from reporting import COUNTERS, ReportsTest, run

ROOT = pathlib.Path(__file__).parents[2]


class Reports(ReportsTest):
    def test_names_that_were_listed_are_opened_without_a_look_up(self):
        names = [f"directory-with-many-names/{i:05}" for i in range(3000)]
        _, mount = self.node("g_metadata_CacheEnable=true", objects=[(name, 9) for name in names])

        def look_ups():
            return int(re.search(r'request_duration_seconds_count{op="lookup"} (\d+)',
                                 self.text("/metrics"))[1])

        os.listdir(mount / "directory-with-many-names")
        before = look_ups()
        for name in names:
            self.assertEqual((mount / name).read_bytes(), pattern(9, seed=len(name)))
        self.assertLess(look_ups() - before, 10)

    def test_the_tier_counters_tell_misses_hits_and_fetches_apart(self):
        _, mount = self.node()
        self.assertEqual(self.tier(), dict.fromkeys(COUNTERS, 0))
        self.read(mount, "file", MIB)
        cold = self.tier_once_read(MIB)
        self.assertEqual(cold["tier_read_miss_bytes"], MIB)
        self.assertEqual(cold["tier_root_read_source_bytes"], MIB)
        self.assertEqual(cold["tier_read_hit"], 0)
        self.assertEqual(cold["tier_read"], cold["tier_read_miss"])
        self.assertGreater(cold["tier_read"], 0)

        wait_until(lambda: cached_bytes(self.cache) == MIB)
        self.read(mount, "file", MIB)
        warm = self.tier_once_read(2 * MIB)
        self.assertEqual(warm["tier_read_hit_bytes"], MIB)
        self.assertEqual(warm["tier_read_miss_bytes"], MIB)
        self.assertEqual(warm["tier_read"], warm["tier_read_hit"] + warm["tier_read_miss"])
        self.assertEqual(warm["tier_root_read_source"], cold["tier_root_read_source"])
        self.assertEqual(warm["tier_direct_read"], 0)

        self.assertEqual(self.admin.get("/v1/tier/clear")["ErrorCode"], 0)
        self.assertEqual(self.tier(), dict.fromkeys(COUNTERS, 0))

    def test_a_small_read_counts_with_its_own_size_cold_and_warm(self):
        _, mount = self.node()
        size = 4096
        descriptor = os.open(mount / "file", os.O_RDONLY | os.O_DIRECT)
        self.addCleanup(os.close, descriptor)
        buffer = mmap.mmap(-1, size)
        self.assertEqual(os.preadv(descriptor, [buffer], 600 * 1024 + size), size)
        cold = self.tier_once_read(size)
        self.assertEqual((cold["tier_read_miss"], cold["tier_read_miss_bytes"]), (1, size))
        self.assertEqual((cold["tier_read"], cold["tier_read_bytes"]), (1, size))
        self.assertEqual(cold["tier_root_read_source_bytes"], 16 * 1024)
        wait_until(lambda: cached_bytes(self.cache) >= 16 * 1024)
        self.assertEqual(os.preadv(descriptor, [buffer], 600 * 1024 + size), size)
        warm = self.tier_once_read(2 * size)
        self.assertEqual((warm["tier_read_hit"], warm["tier_read_hit_bytes"]), (1, size))
        self.assertEqual(warm["tier_read_bytes"], 2 * size)

    def test_warm_up_counts_as_fetched_and_not_as_read(self):
        _, mount = self.node()
        self.assertEqual(self.admin.run("file")["Status"], "completed")
        warmed = self.tier()
        self.assertEqual(warmed["tier_root_read_source_bytes"], MIB)
        self.assertEqual((warmed["tier_read"], warmed["tier_read_miss"]), (0, 0))
        self.assertIn(f'shoal_warmup_bytes_total{{place="origin"}} {MIB}\n', self.text("/metrics"))
        self.read(mount, "file", MIB)
        self.assertEqual(self.tier_once_read(MIB)["tier_read_miss"], 0)

    def test_without_a_cache_there_is_no_cache_path_to_count(self):
        origin = self.origin()
        origin.put("file", pattern(MIB, seed=4))
        self.admin = Admin(free_port())
        mount = self.mount(origin, f"g_server_Port={self.admin.port}",
                           f"state_directory={self.directory()}")
        self.read(mount, "file", MIB)
        self.assertEqual(self.tier(), dict.fromkeys(COUNTERS, 0))

    def test_the_metrics_are_those_of_the_document_and_lint_clean(self):
        _, mount = self.node()
        self.read(mount, "file", MIB)
        self.tier_once_read(MIB)
        text = self.text("/metrics")
        kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.M))
        document = (ROOT / "docs/metrics.md").read_text()
        rows = re.findall(r"^\| `((?:shoal|process)_\w+)` \| (\w+) \| (.*?) \|$", document, re.M)
        self.assertEqual({name: (kind, doc) for name, kind, doc in rows},
                         {name: (kinds[name], helps[name]) for name in kinds})
        self.assertIn(f"shoal_tier_read_miss_bytes_total {MIB}\n", text)
        if shutil.which("promtool"):
            lint = subprocess.run(["promtool", "check", "metrics"], input=text,
                                  capture_output=True, text=True, timeout=WAIT_SECONDS)
            self.assertEqual((lint.returncode, lint.stdout + lint.stderr), (0, ""))

    def test_the_dashboard_and_the_alerts_ask_for_metrics_that_there_are(self):
        self.node()
        known = set(re.findall(r"^(\w+?)(?:_bucket|_sum|_count)?[{ ]", self.text("/metrics"), re.M))
        for path in ["packaging/grafana/shoal.json", "packaging/prometheus/shoal.rules.yml"]:
            asked = set(re.findall(r"\b((?:shoal|process)_[a-z_]+?)(?:_bucket|_sum|_count)?\b(?=[{\s)\[])",
                                   (ROOT / path).read_text()))
            self.assertTrue(asked, path)
            self.assertEqual(asked - known, set(), path)
        if shutil.which("promtool"):
            lint = subprocess.run(["promtool", "check", "rules",
                                   ROOT / "packaging/prometheus/shoal.rules.yml"],
                                  capture_output=True, text=True, timeout=WAIT_SECONDS)
            self.assertEqual((lint.returncode, lint.stderr), (0, ""))

    def test_the_status_has_the_members_of_the_sample(self):
        _, mount = self.node()
        self.read(mount, "file", MIB)
        sample = json.loads((ROOT / "src/testing/sample_status.json").read_text())
        status = self.admin.get("/v1/status")
        self.assertEqual(set(sample) - set(status), set())
        for part in ["mount", "process", "open", "history"]:
            self.assertEqual(set(sample[part]) - set(status[part]), set(), part)
        self.assertEqual(set(sample["tiers"][1]), set(status["tiers"][0]))
        self.assertEqual([o["name"] for o in sample["operations"]],
                         [o["name"] for o in status["operations"]])
        self.assertEqual(status["mount"]["mount_point"], str(mount.point))
        self.assertEqual(status["tiers"][0]["path"], self.cache + "/")
        wait_until(lambda: sum(self.admin.get("/v1/status")["history"]["origin_bytes"]) == MIB)

    @needs_survival
    def test_deaths_of_the_worker_and_its_replacements_are_counted(self):
        _, mount = self.node()

        def told():
            metrics = self.text("/metrics")
            counts = [int(re.search(rf"^shoal_worker_{name}_total (\d+)$", metrics, re.M)[1])
                      for name in ("deaths", "replacements")]
            before = self.admin.get("/v1/status")["workers_before"]
            self.assertEqual([before["death_count"], before["replaced_count"]], counts)
            self.assertEqual(before["last_death_unix_seconds"] is None, counts[0] == 0)
            return counts

        def after(change):
            worker = mount.worker()
            change(worker)
            wait_until(lambda: mount.worker() != worker and self.admin.answers())
            return told()

        def kill(worker):
            os.kill(worker, signal.SIGKILL)

        def restart(_):
            self.assertEqual(run(SHOAL, "restart", mount.point).returncode, 0)

        self.assertEqual(told(), [0, 0])
        self.assertEqual(after(kill), [1, 0])
        self.assertEqual(after(restart), [1, 1])
        self.assertEqual(after(kill), [2, 1])
        worker = mount.worker()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            failed = run(SHOAL, "update", mount.point, "-o", f"g_server_Port={taken.getsockname()[1]}")
            self.assertEqual(failed.returncode, 32, failed)
        self.assertNotEqual(mount.worker(), worker, "one with the old options follows")
        wait_until(self.admin.answers)
        self.assertEqual(told()[0], 2, "a next one that cannot serve is no death")

    @needs_passthrough
    def test_files_handed_to_the_kernel_are_told_beside_what_is_read(self):
        _, mount = self.node()
        self.read(mount, "file", MIB)
        wait_until(lambda: cached_bytes(self.cache) == MIB)

        def handed():
            metrics = self.text("/metrics")
            return [int(re.search(rf"^shoal_passthrough_{name}_total (\d+)$", metrics, re.M)[1])
                    for name in ("opens", "opened_bytes")]

        def is_handed():
            self.read(mount, "file", MIB)
            return handed()[0] > 0

        def told():
            history = self.admin.get("/v1/status")["history"]
            return [sum(history[f"passthrough_{name}"]) for name in ("open_count", "opened_bytes")]

        wait_until(is_handed)
        wait_until(lambda: told() == handed())

    @needs_survival
    def test_what_is_open_is_told_over_a_change_of_the_process_that_serves(self):
        _, mount = self.node()

        def open_now():
            told = self.admin.get("/v1/status")["open"]
            return told["file_count"], told["directory_count"]

        def restart():
            self.assertEqual(run(SHOAL, "restart", mount.point).returncode, 0)
            wait_until(self.admin.answers)

        def kill():
            worker = mount.worker()
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: mount.worker() != worker and self.admin.answers())

        def open_more(count):
            return [os.open(mount / "file", os.O_RDONLY) for _ in range(count)]

        first = open_more(5)
        with os.scandir(mount.point):
            for change in (restart, kill):
                change()
                self.assertEqual(open_now(), (5, 1))
                self.assertIn("shoal_open_files 5\n", self.text("/metrics"))
        second = open_more(4)
        for descriptor in first:
            os.close(descriptor)
        wait_until(lambda: open_now() == (4, 0))  # the kernel tells of a close after it
        for descriptor in second:
            os.close(descriptor)
        wait_until(lambda: open_now() == (0, 0))

    def test_no_token_is_sent_to_whoever_has_the_port_of_a_mount_that_is_gone(self):
        token = self.directory() / "token"
        token.write_text("a-token-that-is-for-the-mount-alone\n")
        token.chmod(0o600)
        _, mount = self.node(f"admin_token_file={token}")
        self.assertEqual(run(SHOAL, "stat", mount / "file").returncode, 0)
        mount.process.kill()
        mount.process.wait()
        wait_until(lambda: not self.admin.answers())  # its worker ends with it
        with socket.create_server(("127.0.0.1", self.admin.port)) as other:
            asked = run(SHOAL, "stat", mount / "file")
            self.assertEqual(asked.returncode, 32, asked)
            self.assertIn("is gone", asked.stderr)
            other.settimeout(0)
            with self.assertRaises(BlockingIOError):
                other.accept()

    def test_the_port_changes_options_that_can_change_as_it_is(self):
        _, mount = self.node("log_level=info")
        worker = mount.worker()

        def post(**options):
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.admin.port}/v1/options", json.dumps(options).encode(),
                {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.load(error)

        status, answer = post(g_tier_DadiDiskCacheCapacityMB=6, log_level="debug")
        self.assertEqual((status, answer["ErrorCode"]), (200, 0), answer)
        self.assertEqual(self.admin.get("/v1/status")["tiers"][0]["capacity_bytes"], 6 * MIB)
        before = mount.state()
        self.assertIn("log_level=debug", ",".join(before["options"]))
        # What changes nothing is no update: the rollback below has what it had.
        self.assertEqual(post(log_level="debug")[0], 200)
        for wanted, options, word in ((409, {"connect_timeout": 2}, "connect_timeout"),
                                      (400, {"log_level": "loud"}, "loud"),
                                      (400, {"nonsense": 1}, "nonsense"),
                                      (403, {"passwd_file": "/etc/shadow"}, "passwd_file")):
            status, answer = post(**options)
            self.assertEqual(status, wanted, answer)
            self.assertIn(word, answer["ErrorMessage"])
        self.assertEqual(mount.state(), before)
        self.assertEqual(mount.worker(), worker)
        self.assertEqual(run(SHOAL, "rollback", mount.point).returncode, 0)
        self.assertEqual(self.admin.get("/v1/status")["tiers"][0]["capacity_bytes"], 64 * MIB)

    def test_a_store_in_trouble_is_no_ready_node_and_the_reason_is_shown(self):
        origin, mount = self.node("request_deadline=1")
        self.assertTrue(self.admin.get("/v1/status")["ready"])
        origin.configure(faults=[{"match": {}, "kind": "status503", "probability": 1.0}])
        self.assertRaises(OSError, os.stat, mount / "another")
        status = self.admin.get("/v1/status")
        self.assertFalse(status["ready"])
        self.assertIn("503", status["reason"])
        self.assertIn("503", status["errors"][0]["reason"])
        doctor = run(SHOAL, "doctor", mount.point)
        self.assertEqual(doctor.returncode, 32)
        self.assertIn("503", doctor.stdout)
        origin.configure(faults=[])
        self.assertRaises(FileNotFoundError, os.stat, mount / "a third")
        self.assertTrue(self.admin.get("/v1/status")["ready"])

    def test_an_outage_is_few_lines_and_what_a_program_saw_before_stays(self):
        origin, mount = self.node("request_deadline=2")
        origin.configure(faults=[{"match": {"op": "Get"}, "kind": "status500"}])
        self.assertRaises(OSError, (mount / "file").read_bytes)
        origin.configure(faults=[])
        origin.stop()
        names = [f"name {i} of 120" for i in range(120)]
        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            for call in [pool.submit(os.stat, mount / name) for name in names]:
                self.assertIn(call.exception().errno, (errno.EIO, errno.ETIMEDOUT))
        lines = [line for line in mount.log().splitlines() if "name" in line]
        # Of each look-up its two requests, once when they first failed, and what came of it.
        self.assertLess(len(lines), 4 * len(names))
        errors = self.admin.get("/v1/status")["errors"]
        reasons = [error["reason"] for error in errors]
        self.assertLess(len(errors), 10, reasons)
        self.assertTrue(any("read: GetObject 'file': HTTP 500" in reason and "gave up after" in reason
                            for reason in reasons), reasons)
        self.assertGreater(max(error["count"] for error in errors), 100)

    def test_a_node_that_nobody_uses_is_not_ready_while_its_store_is_gone(self):
        origin, _ = self.node()
        self.assertEqual(self.text("/readyz"), "ready\n")
        origin.configure(faults=[{"match": {}, "kind": "status503", "probability": 1.0}])
        reasons = []

        def refused():
            try:
                self.text("/readyz")
            except urllib.error.HTTPError as error:
                with error:
                    reasons.append((error.code, error.read().decode()))
            return reasons
        wait_until(refused)
        self.assertEqual(reasons[0][0], 503)
        self.assertIn("503", reasons[0][1])

    def test_the_last_request_for_a_file_is_told_by_the_stores_own_id(self):
        origin, mount = self.node("request_deadline=2", objects=[("file", MIB), ("untouched", MIB)])

        def last_request(name):
            answer = run(SHOAL, "stat", "--json", mount / name)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            return json.loads(answer.stdout)["LastRequest"]

        self.assertIsNone(last_request("untouched"))
        self.read(mount, "file", MIB)
        good = last_request("file")
        self.assertEqual((good["Operation"], good["Status"], good["Failure"]), ("GetObject", 206, ""))
        self.assertRegex(good["Id"], r"^[0-9A-F]{24}$")

        descriptor = os.open(mount / "untouched", os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        origin.configure(faults=[{"kind": "status500", "match": {"op": "Get"}}])
        self.assert_errno(errno.EIO, os.pread, descriptor, 4096, 0)
        bad = last_request("untouched")
        self.assertEqual((bad["Operation"], bad["Status"]), ("GetObject", 500))
        self.assertIn(bad["Id"], bad["Failure"])
        self.assertIn(bad["Id"], mount.log())
        self.assertGreaterEqual(bad["EndTime"], good["EndTime"])
        self.assertEqual(last_request("untouched"), bad, "asking for it is not what is told")

    def test_sizes_and_limits_change_without_another_process(self):
        _, mount = self.node(objects=[(f"f{i}", 2 * MIB) for i in range(8)])
        for i in range(8):
            self.read(mount, f"f{i}", 2 * MIB)
        wait_until(lambda: cached_bytes(self.cache) == 16 * MIB)
        worker = mount.state()["worker_pid"]
        done = run(SHOAL, "update", mount.point, "-o",
                   "g_tier_DadiDiskCacheCapacityMB=6,log_level=debug,g_readdircache_RemainTime=1")
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_until(lambda: cached_bytes(self.cache) <= 6 * MIB)
        self.assertEqual(self.admin.get("/v1/status")["tiers"][0]["capacity_bytes"], 6 * MIB)
        self.assertEqual(mount.state()["worker_pid"], worker)
        back = run(SHOAL, "rollback", mount.point)
        self.assertEqual(back.returncode, 0, back.stderr)
        self.assertEqual(self.admin.get("/v1/status")["tiers"][0]["capacity_bytes"], 64 * MIB)
        self.assertEqual(mount.state()["worker_pid"], worker)
        # This one takes another worker.
        done = run(SHOAL, "update", mount.point, "-o", "connect_timeout=7")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(mount.state()["worker_pid"], worker)


if __name__ == "__main__":
    unittest.main()
