"""Options change while the mount is in use, and a planned restart is not noticed."""
import concurrent.futures
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest

from admin import Admin, free_port
from caching import cache_options, wait_until
from harness import (KEY_ID, KEY_SECRET, SHOAL, TRANSPORTS, WAIT_SECONDS, mounted, needs_linux,
                     open_files, pattern, state_directory)
from surviving import SurvivalTest

TOOL = pathlib.Path(__file__).parents[2] / "tools/efc_runtime_ops.py"


def shoal(*words):
    return subprocess.run([SHOAL, *words], capture_output=True, text=True, timeout=WAIT_SECONDS)


class Updates(SurvivalTest):
    def update(self, mount, *options):
        return shoal("update", mount.point, *(w for o in options for w in ("-o", o)))

    def assert_untouched(self, mount, before):
        self.assertEqual(mount.state(), before)
        self.assertEqual((mount / "file").read_bytes(), b"contents")
        self.assertFalse((state_directory(mount.point) / "state.next.json").exists())

    def mount_of_a_program_of_its_own(self):
        """(mount, the file that serves it): one that may be replaced."""
        binary = self.directory() / "shoal"
        binary.write_bytes(pathlib.Path(SHOAL).read_bytes())
        binary.chmod(0o755)
        origin = self.origin()
        origin.put("file", b"contents")
        return self.mount(origin, shoal=binary), binary

    def small_mount(self, *options):
        origin = self.origin()
        origin.put("file", b"contents")
        return origin, self.mount(origin, *options)

    def test_options_that_are_updated_are_in_force_and_a_rollback_takes_them_back(self):
        origin, mount = self.small_mount("log_level=info")
        before = mount.state()
        done = self.update(mount, "log_level=debug,connect_timeout=35", "readahead_kb=256")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        self.assertEqual(done.stdout, f"shoal update: {mount.point} is served with the new options\n"
                                      "connect_timeout, readahead_kb: took another process to serve it\n")
        after = mount.state()
        self.assertNotEqual(after["worker_pid"], before["worker_pid"])
        self.assertEqual(after["keeper_pid"], mount.process.pid)
        self.assertIn("readahead 256 KiB", mount.log())
        self.assertEqual((mount / "file").read_bytes(), b"contents")
        self.assertEqual(sum("log_level" in o for o in after["options"]), 1)

        back = shoal("rollback", mount.point)
        self.assertEqual(back.returncode, 0, back.stderr)
        self.assertEqual(mount.state()["options"], before["options"])
        self.assertEqual(mount.log().count("readahead 1024 KiB"), 2)

    def test_a_rollback_takes_one_update_back_and_no_rollback(self):
        _, mount = self.small_mount()
        self.assertIn("no update to take back", shoal("rollback", mount.point).stderr)
        self.assertEqual(self.update(mount, "log_level=debug").returncode, 0)
        self.assertEqual(shoal("rollback", mount.point).returncode, 0)
        before = mount.state()
        again = shoal("rollback", mount.point)
        self.assertEqual((again.returncode, again.stdout), (32, ""), again)
        self.assertIn("no update to take back", again.stderr)
        self.assert_untouched(mount, before)

    def test_only_the_options_given_stay_where_that_is_asked_for(self):
        _, mount = self.small_mount("log_level=debug", "read_memory_mb=128")
        given = ",".join(o for o in ",".join(mount.state()["options"]).split(",")
                         if not o.startswith(("log_level", "read_memory_mb")))
        worker = mount.worker()
        done = shoal("update", mount.point, "--only", "-o", given)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        self.assertEqual(mount.state()["options"], [given])
        self.assertEqual(mount.worker(), worker)
        again = shoal("update", mount.point, "--only", "-o", given)
        self.assertIn("has these options already", again.stdout)
        back = shoal("rollback", mount.point)
        self.assertEqual((back.returncode, back.stderr), (0, ""), back)
        self.assertIn("read_memory_mb=128", ",".join(mount.state()["options"]))

    def test_a_reload_of_the_service_puts_the_options_of_its_file_in_force(self):
        _, mount = self.small_mount("readahead_kb=256")
        unit = (TOOL.parents[1] / "packaging/systemd/shoal@.service").read_text()
        line = next(l for l in unit.splitlines() if l.startswith("ExecReload="))
        _, *words = line.removeprefix("ExecReload=").split()
        edited = ",".join(mount.state()["options"]).replace("readahead_kb=256", "log_level=debug")
        values = {"%f": str(mount.point), "${OPTIONS}": edited}
        done = shoal(*(values.get(word, word) for word in words))
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        self.assertIn("readahead 1024 KiB", mount.log())
        self.assertEqual(mount.state()["options"], [edited])

    def test_the_commands_that_change_a_mount_answer_with_one_object_of_json(self):
        _, mount = self.small_mount("transport=dev")
        for words in (("update", "-o", "noatime,log_level=debug"), ("restart",), ("rollback",)):
            done = shoal(words[0], mount.point, *words[1:], "--json")
            self.assertEqual((done.returncode, done.stderr), (0, ""), done)
            answer = json.loads(done.stdout)
            self.assertEqual(answer["MountPoint"], str(mount.point))
            self.assertEqual(answer["WorkerPid"], mount.worker())
            self.assertEqual(bool(answer["AtNextMount"]), words[0] != "restart")
            self.assertEqual(answer["ReplacedFor"],
                             [] if words[0] == "restart" else ["exec, atime and their like"])
        done = shoal("umount", mount.point, "--json")
        self.assertEqual(json.loads(done.stdout), {"MountPoint": str(mount.point)})

    def test_an_update_names_the_options_that_took_another_process_and_no_others(self):
        _, mount = self.small_mount("log_level=info")
        worker = mount.worker()
        done = self.update(mount, "log_level=debug,read_memory_mb=128")
        self.assertEqual(done.stdout, f"shoal update: {mount.point} is served with the new options\n")
        self.assertEqual(mount.worker(), worker)
        done = self.update(mount, "log_level=info,request_deadline=7,connect_timeout=9")
        self.assertEqual(done.stdout, f"shoal update: {mount.point} is served with the new options\n"
                                      "connect_timeout, request_deadline: took another process to serve it\n")
        self.assertNotEqual(mount.worker(), worker)

    def test_the_runtime_tool_takes_what_the_specification_shows(self):
        _, mount = self.small_mount()
        before = mount.state()["options"]

        def run(*words):
            return subprocess.run([sys.executable, TOOL, *words], capture_output=True, text=True,
                                  env=os.environ | {"SHOAL_BIN": SHOAL}, timeout=WAIT_SECONDS)

        done = run("update", mount.point,
                   "-o", "g_tier_EnableClusterCache=true,g_tier_DadiP2PPort=23456",
                   "-o", "g_tier_BlockSize=1048576")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("g_tier_DadiP2PPort=23456", ",".join(mount.state()["options"]))
        self.assertEqual(run("rollback", mount.point).returncode, 0)
        self.assertEqual(mount.state()["options"], before)
        self.assertEqual(run("update", mount.point, "-o", "nonsense=1").returncode, 1)

    def test_a_wrong_option_is_named_and_the_mount_is_not_touched(self):
        _, mount = self.small_mount()
        before = mount.state()
        for option, word in (("entry_timout=5", "entry_timeout"), ("readahead_kb=much", "much"),
                             ("g_tier_DadiDiskCachePath=relative", "absolute")):
            refused = self.update(mount, option)
            self.assertEqual(refused.returncode, 1, refused)
            self.assertIn(word, refused.stderr)
            self.assert_untouched(mount, before)

    def test_where_the_new_worker_cannot_serve_the_old_options_come_back(self):
        _, mount = self.small_mount()
        directory = self.directory()
        other = self.mount(self.origin(), cache_options(directory))
        before = mount.state()
        refused = self.update(mount, cache_options(directory))
        self.assertEqual(refused.returncode, 32, refused)
        self.assertIn("is the cache of another mount", refused.stderr)
        self.assertIn("goes on as before", refused.stderr)
        after = mount.state()
        self.assertEqual(after["options"], before["options"])
        self.assert_untouched(mount, after)
        self.assertIsNotNone(mounted(other.point))

    def test_a_restart_without_the_files_it_needs_is_refused_and_changes_nothing(self):
        token = self.directory() / "token"
        token.write_text("a-token-that-is-long-enough\n")
        token.chmod(0o600)
        _, mount = self.small_mount(f"g_server_Port={free_port()},admin_token_file={token}")
        before = mount.state()
        for path in (mount.password, token):
            os.rename(path, f"{path}.gone")
            for command in (("restart", mount.point),
                            ("update", mount.point, "-o", "readahead_kb=256")):
                refused = shoal(*command)
                self.assertEqual(refused.returncode, 32, refused)
                self.assertIn(str(path), refused.stderr)
                self.assertIn("nothing has changed", refused.stderr)
                self.assert_untouched(mount, before)
            os.rename(f"{path}.gone", path)
        self.assertEqual(shoal("restart", mount.point).returncode, 0)

    def test_another_store_has_to_answer_before_it_is_taken(self):
        origin, mount = self.small_mount()
        before = mount.state()
        refused = self.update(mount, "endpoint=http://127.0.0.1:1")
        self.assertEqual(refused.returncode, 32, refused)
        self.assertIn("127.0.0.1:1", refused.stderr)
        self.assert_untouched(mount, before)
        # The same one need not, for what is no concern of its.
        origin.stop()
        self.assertEqual(self.update(mount, "readahead_kb=256").returncode, 0)
        origin.start()
        other = self.origin()
        other.put("file", b"another's")
        done = self.update(mount, f"endpoint={other.endpoint}")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        self.assertEqual((mount / "file").read_bytes(), b"another's")

    def test_updates_that_fail_do_not_end_the_mount_however_many(self):
        origin, mount = self.loaded_mount()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            for _ in range(25):
                done = subprocess.run(
                    [SHOAL, "update", mount.point, "-o", f"g_server_Port={taken.getsockname()[1]}"],
                    capture_output=True, text=True, check=False)
                self.assertIn("the mount goes on as before", done.stderr)
        self.assertEqual((mount / "cold/0").read_bytes(), (origin.bucket / "cold/0").read_bytes())

    def test_a_worker_that_cannot_even_start_is_said_before_anything_is_touched(self):
        mount, binary = self.mount_of_a_program_of_its_own()
        directory = binary.parent
        broken = directory / "broken"
        broken.write_text("#!/bin/false\n")
        broken.chmod(0o755)
        os.rename(broken, binary)
        before = mount.state()
        refused = shoal("restart", mount.point)
        self.assertEqual(refused.returncode, 32, refused)
        self.assertIn("nothing has changed", refused.stderr)
        self.assert_untouched(mount, before)

    def test_a_program_that_cannot_read_what_is_handed_over_is_refused_and_changes_nothing(self):
        _, mount = self.small_mount()
        # As docs/hand_over.md has it.
        path = next(path for path, name in open_files(mount.process.pid)
                    if "memfd:shoal-mount" in name)
        with open(path, "r+b", buffering=0) as memory, open(mount / "file", "rb") as opened:
            os.pwrite(memory.fileno(), (99).to_bytes(4, "little"), 65536 + 8)
            before = mount.state()
            refused = shoal("restart", mount.point)
            self.assertEqual(refused.returncode, 32, refused)
            self.assertIn("version 99", refused.stderr)
            self.assertIn("nothing has changed", refused.stderr)
            self.assert_untouched(mount, before)
            self.assertEqual(opened.read(), b"contents")

    def test_a_restart_runs_what_an_upgrade_put_in_the_place_of_the_program(self):
        mount, binary = self.mount_of_a_program_of_its_own()
        directory = binary.parent
        new = directory / "new"
        new.write_bytes(pathlib.Path(SHOAL).read_bytes())
        new.chmod(0o755)
        os.rename(new, binary)
        self.assertEqual(shoal("restart", mount.point).returncode, 0)
        self.assertEqual(os.readlink(f"/proc/{mount.worker()}/exe"), str(binary))
        self.assertIn("(deleted)", os.readlink(f"/proc/{mount.process.pid}/exe"))

    def test_a_change_has_to_fit_into_the_memory_of_the_worker_and_not_of_who_asks(self):
        group = self.small_memory_group(1 << 30)
        _, mount = self.small_mount("g_tier_DadiMemCacheCapacityMB=64")
        (group / "cgroup.procs").write_text(str(mount.worker()))
        before = mount.state()
        refused = self.update(mount, "g_tier_DadiMemCacheCapacityMB=2000")
        self.assertEqual(refused.returncode, 32, refused)
        self.assertIn("2000 MiB do not fit", refused.stderr)
        self.assert_untouched(mount, before)

    def test_a_change_may_be_asked_for_from_where_there_is_less_memory(self):
        group = self.small_memory_group(200 << 20)
        _, mount = self.small_mount("g_tier_DadiMemCacheCapacityMB=64")
        done = subprocess.run(
            ["sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"', group, SHOAL, "update",
             mount.point, "-o", "g_tier_DadiMemCacheCapacityMB=512"],
            capture_output=True, text=True, timeout=WAIT_SECONDS)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)

    def test_a_memory_cache_that_had_to_go_comes_back_with_a_size_that_fits(self):
        group = self.small_memory_group(300 << 20)
        port = free_port()
        _, mount = self.small_mount(f"g_server_Port={port},g_tier_DadiMemCacheCapacityMB=512")
        for process in (mount.process.pid, mount.worker()):
            (group / "cgroup.procs").write_text(str(process))
        os.kill(mount.worker(), signal.SIGKILL)
        wait_until(lambda: "served without the memory cache" in mount.log())
        admin = Admin(port)
        wait_until(admin.answers)
        self.assertEqual(admin.get("/v1/status")["tiers"], [])
        done = self.update(mount, "g_tier_DadiMemCacheCapacityMB=100")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        self.assertEqual([t["capacity_bytes"] for t in admin.get("/v1/status")["tiers"]],
                         [100 << 20])

    def test_an_update_whose_command_was_killed_does_not_mix_with_the_next(self):
        new = {"id": "another-key", "secret": "another-secret"}
        for word in ("change", "replace"):
            with self.subTest(word):
                origin = self.origin(keys=[{"id": KEY_ID, "secret": KEY_SECRET}, new])
                mount = self.mount(origin)
                origin.configure(latency_ms=1500)  # the keys are tried for so long
                command = subprocess.Popen(
                    [SHOAL, "update", mount.point, "-o", f"passwd_file={self.keys(*new.values())}"])
                wait_until(lambda: (state_directory(mount.point) / "state.next.json").exists())
                command.kill()
                command.wait()
                option = {"change": "g_readdircache_MaxCount=333", "replace": "connect_timeout=39"}[word]
                done = self.update(mount, option)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done)
                words = ",".join(mount.state()["options"])
                self.assertIn(option, words)
                # What is signed with is what the state says.
                used = new["id"] if "another-key" in words else KEY_ID
                origin.write_credentials([k for k in (new, {"id": KEY_ID, "secret": KEY_SECRET})
                                          if k["id"] == used])
                origin.put("later", b"contents")
                self.assertEqual((mount / "later").read_bytes(), b"contents")

    def test_a_rollback_whose_command_was_killed_is_done_once_though_it_is_asked_for_again(self):
        new = {"id": "another-key", "secret": "another-secret"}
        origin = self.origin(keys=[{"id": KEY_ID, "secret": KEY_SECRET}, new])
        mount = self.mount(origin)
        before = mount.state()["options"]
        updated = self.update(mount, f"passwd_file={self.keys(*new.values())}")
        self.assertEqual(updated.returncode, 0, updated.stderr)
        origin.configure(latency_ms=1500)  # the keys are tried for so long
        command = subprocess.Popen([SHOAL, "rollback", mount.point])
        wait_until(lambda: (state_directory(mount.point) / "state.next.json").exists())
        command.kill()
        command.wait()
        wait_until(lambda: mount.state()["options"] == before)
        again = shoal("rollback", mount.point)
        self.assertIn("no update to take back", again.stderr)
        self.assertEqual(mount.state()["options"], before)

    def test_the_admin_port_of_a_mount_does_not_change_the_one_that_has_its_path(self):
        origin = self.origin()
        origin.put("file", b"contents")
        port = free_port()
        first = self.mount(origin, f"g_server_Port={port}")
        with open(first / "file", "rb"):
            subprocess.run(["umount", "-l", first.point], check=True)
            second = self.mount(origin, point=first.point)
            before = second.state()
            refused = Admin(port).post("/v1/options", g_readdircache_MaxCount=777)
            self.assertIn("another mount has the path", refused["ErrorMessage"])
            self.assertEqual(second.state(), before)
        second.close()

    def test_what_the_kernel_was_told_is_said_to_wait_for_the_next_mount(self):
        _, mount = self.small_mount("transport=dev,passthrough=off")
        done = self.update(mount, "transport=io_uring,passthrough=auto,noatime")
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in ("transport", "passthrough", "atime"):
            self.assertRegex(done.stdout, f"{name}.*takes effect at the next mount")

    def test_mount_o_remount_is_an_update(self):
        _, mount = self.small_mount()
        # What mount(8) makes of `mount -o remount,readahead_kb=512 MOUNTPOINT`.
        shown = "ro,nosuid,nodev,relatime,user_id=0,group_id=0,default_permissions,allow_other"
        done = subprocess.run([self.helper(mount), "data:/", mount.point, "-o",
                               shown + ",remount,readahead_kb=512"],
                              capture_output=True, text=True, timeout=WAIT_SECONDS)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertIn("readahead 512 KiB", mount.log())
        self.assertNotIn("user_id", ",".join(mount.state()["options"]))
        self.assertNotIn("relatime", ",".join(mount.state()["options"]))

    def helper(self, mount):
        path = mount.base / "mount.alinas"
        if not path.exists():
            path.symlink_to(os.path.abspath(SHOAL))
        return path

    def test_a_remount_says_what_it_cannot_change_now(self):
        _, mount = self.small_mount("transport=dev")
        done = subprocess.run([self.helper(mount), "data:/", mount.point, "-o", "ro,nosuid,nodev,relatime,"
                               "remount,noatime,transport=io_uring,g_tier_DadiP2PPort=23456"],
                              capture_output=True, text=True, timeout=WAIT_SECONDS)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done)
        self.assertRegex(done.stderr, "transport: takes effect at the next mount")
        self.assertRegex(done.stderr, "atime.*takes effect at the next mount")
        self.assertRegex(done.stderr, "g_tier_DadiP2PPort.*not in this build")

    def test_a_remount_that_changes_nothing_leaves_a_rollback_what_it_had(self):
        _, mount = self.small_mount("connect_timeout=31")
        helper = self.helper(mount)
        self.assertEqual(self.update(mount, "connect_timeout=35").returncode, 0)
        worker = mount.worker()
        for words in ("ro,nosuid,nodev,relatime,remount", "ro,remount,connect_timeout=35"):
            subprocess.run([helper, "data:/", mount.point, "-o", words], check=True)
        self.assertEqual(mount.worker(), worker)
        self.assertEqual(shoal("rollback", mount.point).returncode, 0)
        self.assertIn("connect_timeout=31", ",".join(mount.state()["options"]))

    def test_a_remount_that_is_only_to_be_checked_changes_nothing(self):
        _, mount = self.small_mount()
        before = mount.state()
        for words, status in (("remount,log_level=debug", 0), ("remount,log_levl=debug", 1)):
            done = subprocess.run([self.helper(mount), "data:/", mount.point, "-f", "-o", words],
                                  capture_output=True, timeout=WAIT_SECONDS)
            self.assertEqual(done.returncode, status, done)
            self.assert_untouched(mount, before)

    def keys(self, key, secret):
        path = self.directory() / key
        path.write_text(f"{key}:{secret}\n")
        path.chmod(0o600)
        return path

    def test_other_credentials_are_used_without_another_process(self):
        old, new = ({"id": KEY_ID, "secret": KEY_SECRET},
                    {"id": "another-key", "secret": "another-secret-never-to-be-logged"})
        origin = self.origin(keys=[old, new])
        body = pattern(8 << 20)
        origin.put("file", body)
        mount = self.mount(origin)
        worker = mount.worker()
        with open(mount / "file", "rb", buffering=0) as file:
            self.assertEqual(file.read(1 << 20), body[:1 << 20])
            done = self.update(mount, f"passwd_file={self.keys(new['id'], new['secret'])}")
            self.assertEqual((done.returncode, done.stderr), (0, ""), done)
            origin.write_credentials([new])  # from here on the old ones open nothing
            self.assertEqual(file.read(8 << 20) + file.read(), body[1 << 20:])
        origin.put("later", b"contents")
        self.assertEqual((mount / "later").read_bytes(), b"contents")
        self.assertEqual(mount.worker(), worker)
        self.assertNotIn(new["secret"], mount.log())

    def test_credentials_that_are_missing_or_refused_change_nothing(self):
        origin, mount = self.small_mount()
        before = mount.state()
        for path, word in ((self.keys("unknown-key", "secret"), "refuses the credentials in"),
                           ("/nowhere/passwd", "/nowhere/passwd")):
            refused = self.update(mount, f"passwd_file={path}", "log_level=debug")
            self.assertEqual(refused.returncode, 32, refused)
            self.assertIn(word, refused.stderr)
            self.assertIn(str(path), refused.stderr)
            self.assert_untouched(mount, before)
        origin.put("later", b"new")
        self.assertEqual((mount / "later").read_bytes(), b"new")

    @needs_linux(6, 16, "the kernel can be told to forget names")
    def test_a_shorter_trust_in_listed_names_holds_for_those_that_the_kernel_has(self):
        origin, mount = self.small_mount("entry_timeout=3600", "g_readdircache_Enable=false")
        for entry in os.scandir(mount.point):
            entry.stat()
        worker = mount.worker()
        origin.put("file", b"other contents")
        self.assertEqual(self.update(mount, "entry_timeout=1").returncode, 0)
        # A listing answers for its names for some seconds as well.
        wait_until(lambda: os.stat(mount / "file").st_size == len(b"other contents"))
        self.assertEqual(mount.worker(), worker)

    def test_how_long_a_name_is_believed_to_be_missing_changes_without_another_process(self):
        origin, mount = self.small_mount("g_metadata_CacheEnable=true")
        worker = mount.worker()
        self.assertFalse((mount / "late").exists())
        origin.put("late", b"late")
        self.assertFalse((mount / "late").exists())
        self.assertEqual(self.update(mount, "g_readdircache_RemainTime=0").returncode, 0)
        self.assertEqual((mount / "late").read_bytes(), b"late")
        self.assertEqual(mount.worker(), worker)

    def test_connections_change_without_another_process(self):
        origin = self.origin()
        names = [f"f{i:02}" for i in range(24)]
        body = pattern(1 << 20)
        for name in names:
            origin.put(name, body)
        mount = self.mount(origin, "max_connections=2")
        worker = mount.worker()
        os.listdir(mount.point)
        origin.configure(latency_ms=200)

        def most_at_once(names):
            origin.reset_stats()
            with concurrent.futures.ThreadPoolExecutor(len(names)) as readers:
                for read in readers.map(lambda name: (mount / name).read_bytes(), names):
                    self.assertTrue(read == body)
            return origin.control("stats")["in_flight_peak"]

        own_stats_call = 1
        self.assertLessEqual(most_at_once(names[:6]), 2 + own_stats_call)
        self.assertEqual(self.update(mount, "max_connections=16").returncode, 0)
        self.assertGreaterEqual(most_at_once(names[6:18]), 8)
        self.assertEqual(self.update(mount, "max_connections=2").returncode, 0)
        self.assertLessEqual(most_at_once(names[18:]), 2 + own_stats_call)
        self.assertEqual(mount.worker(), worker)

    def test_a_warm_up_under_way_takes_the_connections_that_it_is_given(self):
        origin, port = self.origin(), free_port()
        for i in range(600):
            origin.put(f"small/{i:03}", b"contents of %d" % i)
        mount = self.mount(origin, cache_options(self.directory(), disk_mib=64),
                           f"g_server_Port={port}", "warmup_connections=2")
        worker, admin = mount.worker(), Admin(port)
        origin.configure(latency_ms=100)
        origin.reset_stats()
        admin.load("small")
        wait_until(lambda: admin.tasks("small")[0]["CompletedSize"] > 0)
        few = origin.control("stats")["in_flight_peak"]
        self.assertLessEqual(few, 2 + 2, "one that lists, and this call")
        self.assertEqual(self.update(mount, "warmup_connections=64").returncode, 0)
        wait_until(lambda: admin.tasks("small")[0]["Status"] == "completed")
        self.assertGreaterEqual(origin.control("stats")["in_flight_peak"], 32)
        self.assertEqual(mount.worker(), worker)

    def test_memory_for_reads_changes_without_another_process_under_readers(self):
        origin, mount = self.loaded_mount()
        worker = mount.worker()
        readers = self.readers(mount, origin)
        for i in range(10):
            done = self.update(mount, f"read_memory_mb={8 if i % 2 else 128}")
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_unharmed(readers.finish(), 0)
        self.assertEqual(mount.worker(), worker)

    def test_a_path_that_is_no_mount_of_ours_is_said_to_be_none(self):
        for command in ("restart", "rollback"):
            result = shoal(command, "/proc")
            self.assertEqual(result.returncode, 32)
            self.assertIn("/proc is not a mount of shoal", result.stderr)
        _, mount = self.small_mount()
        self.assertIn("no update to take back", shoal("rollback", mount.point).stderr)

    def test_a_change_names_who_serves_and_one_that_fails_keeps_what_a_rollback_needs(self):
        _, mount = self.small_mount("connect_timeout=31")
        self.assertEqual(self.update(mount, "connect_timeout=35").returncode, 0)
        self.assertEqual(self.update(mount, "log_level=debug").returncode, 0)
        served = mount.state()
        self.assertTrue(served["worker_pid"] and served["version"])
        worker = served["worker_pid"]
        os.kill(worker, signal.SIGSTOP)  # a worker that takes no options
        refused = self.update(mount, "log_level=info")
        self.assertEqual(refused.returncode, 32, refused)
        wait_until(lambda: mount.worker() != worker)
        self.assertEqual(mount.state()["options"], served["options"])
        self.assertEqual(shoal("rollback", mount.point).returncode, 0)
        back = mount.state()
        self.assertIn("connect_timeout=35", ",".join(back["options"]))
        self.assertNotIn("log_level=debug", ",".join(back["options"]))
        stat = pathlib.Path(f"/proc/{back['worker_pid']}/stat").read_text()
        self.assertEqual(int(stat.rsplit(")", 1)[1].split()[1]), mount.process.pid)

    def test_a_rollback_does_not_go_back_to_a_mount_before_this_one(self):
        _, mount = self.small_mount()
        self.assertEqual(self.update(mount, "connect_timeout=35").returncode, 0)
        mount.process.kill()
        mount.process.wait()
        again = self.mount(self.origin(), point=mount.point)
        self.assertIn("no update to take back", shoal("rollback", again.point).stderr)
        other = again.state() | {"source": "data:/other"}
        (state_directory(again.point) / "state.previous.json").write_text(json.dumps(other))
        refused = shoal("rollback", again.point)
        self.assertEqual(refused.returncode, 32)
        self.assertIn("data:/other", refused.stderr)

    def test_the_files_of_a_mount_are_roots_alone_and_go_with_it(self):
        _, mount = self.small_mount()
        folder = state_directory(mount.point)
        self.assertEqual(folder.stat().st_mode & 0o777, 0o700)
        for path in folder.iterdir():
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)
        for name in ("state.json.new", "state.next.json.new", "admin.json.new"):
            (folder / name).write_text("of one that was killed when it wrote")
        subprocess.run(["umount", mount.point], check=True)
        self.assertEqual(mount.wait(), 0)
        self.assertFalse(folder.exists())

    def test_readers_do_not_notice_restarts_and_updates(self):
        for transport in TRANSPORTS:
            with self.subTest(transport):
                origin, mount = self.loaded_mount(f"transport={transport}")
                readers = self.readers(mount, origin)
                for i in range(10):
                    done = (shoal("restart", mount.point) if i % 2 else
                            self.update(mount, f"connect_timeout={i + 31},read_memory_mb={64 + i}"))
                    self.assertEqual(done.returncode, 0, done.stderr)
                self.assert_unharmed(readers.finish(), 10)

    def test_a_large_file_is_read_whole_over_a_restart(self):
        origin = self.origin()
        body = pattern(40 << 20, 3)
        origin.put("file", body)
        mount = self.mount(origin)
        with open(mount / "file", "rb", buffering=0) as file:
            found = file.read(1 << 20)
            while chunk := file.read(1 << 20):
                found += chunk
                if len(found) % (10 << 20) == 0:
                    self.assertEqual(shoal("restart", mount.point).returncode, 0)
        self.assertTrue(found == body)


if __name__ == "__main__":
    unittest.main(verbosity=2)
