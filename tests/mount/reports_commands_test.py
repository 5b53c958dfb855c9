"""The commands that print what a mount says of itself."""
import contextlib
import errno
import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import unittest

from admin import free_port
from caching import MIB, wait_until
from harness import SHOAL, WAIT_SECONDS, needs_survival, open_files, state_directory
from reporting import COUNTERS, ReportsTest, run


class Commands(ReportsTest):
    def test_the_commands_print_what_the_port_says(self):
        _, mount = self.node(objects=[("dir/a_2", 3 * MIB), ("dir/b_1", MIB)])
        cli = os.path.join(self.directory(), "aliyun-alinas-efc-cli")
        os.symlink(os.path.abspath(SHOAL), cli)
        load = run(cli, "-m", mount.point, "-r", "warmup/load", "--path", "dir", "--pattern", ".*_2$")
        self.assertEqual(load.returncode, 0, load.stderr)
        self.assertIn("processing in the background", load.stdout)
        self.assertEqual(self.admin.wait("dir")["Status"], "completed")
        watched = run(SHOAL, "warmup", "load", mount / "dir", "--watch")
        self.assertEqual(watched.returncode, 0, watched.stderr)
        self.assertRegex(watched.stdout, r"dir  completed, 4\.0 MiB\n$")
        stat = run(cli, "-m", mount.point, "-r", "warmup/stat", "--path", "dir")
        tasks = json.loads(stat.stdout)["Results"][0]["TaskInfos"]
        self.assertEqual([t["Pattern"] for t in tasks], ["", ".*_2$"])
        tier = run(cli, "-m", mount.point, "-r", "tier")
        self.assertEqual(re.findall(r"^(\w+): \d+$", tier.stdout, re.M), COUNTERS)
        self.assertIn(f"tier_root_read_source_bytes: {4 * MIB}\n", tier.stdout)
        self.assertEqual(run(cli, "-m", mount.point, "-r", "tier", "-c").returncode, 0)
        self.assertEqual(self.tier(), dict.fromkeys(COUNTERS, 0))
        for action in ["clear_readdir_cache", "clear_metadata_cache"]:
            self.assertEqual(run(cli, "-m", mount.point, "-r", "action", "-k", action).returncode, 0)
        facts = run(SHOAL, "stat", mount / "dir/a_2")
        self.assertRegex(facts.stdout, r"cached  3\.0 MiB \(100%\)")
        self.assertRegex(facts.stdout, r"key  dir/a_2\n")
        self.assertRegex(facts.stdout, r"last request  [0-9A-F]{24}, GetObject at "
                                       r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: HTTP 206\n")
        missing = run(SHOAL, "stat", mount / "nothing")
        self.assertEqual(missing.returncode, 32)
        self.assertIn("nothing", missing.stderr)
        top = run(SHOAL, "top", mount.point, "-n", "1")
        self.assertRegex(top.stdout, r"^read .*cached 4\.0 MiB  ready\n$")
        self.assertEqual(run(SHOAL, "doctor", mount.point, "--json").returncode, 0)

    def test_the_specifications_cli_prints_the_ports_own_answers_for_programs(self):
        _, mount = self.node(objects=[("file", MIB)])
        cli = self.directory() / "aliyun-alinas-efc-cli"
        os.symlink(os.path.abspath(SHOAL), cli)

        def ask(*words):
            done = run(cli, "-m", mount.point, "-r", *words, "--json")
            return done.returncode, json.loads(done.stdout), done.stderr

        status, load, _ = ask("warmup/load", "--path", "file")
        self.assertEqual((status, load["Results"][0]["Path"]), (0, "file"))
        self.admin.wait("file")
        for words, target, parameters in (
                (["warmup/stat", "--path", "file"], "warmup/stat", {"target_path": "file"}),
                (["tier"], "tier", {}), (["tier", "-c"], "tier/clear", {}),
                (["action", "-k", "clear_readdir_cache"], "action/clear_readdir_cache", {})):
            answer = self.admin.get(f"/v1/{target}", **parameters)
            self.assertEqual(ask(*words), (0, answer, ""), words)
        status, refused, _ = ask("warmup/cancel", "--path", "file")
        self.assertEqual((status, refused["Results"][0]["ErrorCode"]), (32, errno.EINVAL))
        self.assertEqual(ask("warmup/stat", "--path", "file", "--preceding_time", str(2**64))[0], 0)
        status, refused, said = ask("warmup/stat", "--path", ",,")
        self.assertEqual((status, list(refused)), (32, ["ExitStatus", "ErrorMessage"]))
        self.assertEqual(said, f"aliyun-alinas-efc-cli: {refused['ErrorMessage']}\n")

    def test_doctor_checks_what_a_mount_that_is_there_depends_on(self):
        origin, mount = self.node()
        cache = f"cache {self.cache}/"

        def doctor():
            done = run(SHOAL, "doctor", mount.point, "--json")
            found = {finding["subject"]: finding for finding in json.loads(done.stdout)}
            bad = {name for name, finding in found.items() if finding["severity"] == "bad"}
            self.assertEqual(done.returncode, 32 if bad else 0, done)
            return found, bad

        found, bad = doctor()
        self.assertEqual(bad, set())
        self.assertLessEqual({cache, "endpoint", "clock", "credentials", f"mount {mount.point}"}, set(found))
        self.assertEqual(found["clock"]["text"], "agrees with the store's")

        os.chmod(self.cache, 0o777)
        found, _ = doctor()
        self.assertEqual((found[cache]["severity"], found[cache]["text"]), ("note", "has mode 777"))
        self.assertIn(f"chmod 755 {self.cache}", found[cache]["advice"])
        os.chmod(self.cache, 0o700)

        mount.password.chmod(0o644)
        found, bad = doctor()
        self.assertIn("credentials", bad)
        self.assertIn("chmod 600", found["credentials"]["text"])
        mount.password.write_text("somebody:else\n")
        mount.password.chmod(0o600)
        found, bad = doctor()
        self.assertIn("bucket", bad)
        self.assertIn("refuses the credentials", found["bucket"]["text"])

        origin.stop()
        found, bad = doctor()
        self.assertIn("endpoint", bad)
        self.assertIn("firewalls", found["endpoint"]["advice"])

    def test_doctor_sees_what_a_mount_without_an_admin_port_depends_on(self):
        origin = self.origin()
        mount = self.mount(origin)
        origin.stop()
        doctor = run(SHOAL, "doctor", mount.point)
        self.assertEqual(doctor.returncode, 32, doctor)
        self.assertRegex(doctor.stdout, r"BAD +endpoint: ")

    def test_what_a_mount_leaves_in_run_is_its_owners_alone(self):
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        _, mount = self.node()
        modes = {path.name: path.stat().st_mode & 0o777
                 for path in state_directory(mount.point).iterdir()}
        self.assertEqual(modes, dict.fromkeys(["state.json", "keeper.sock", "admin.json", "admin.lock"], 0o600))
        self.assertEqual(state_directory(mount.point).stat().st_mode & 0o777, 0o700)

    def test_a_mount_is_found_by_links_to_it_and_by_relative_paths(self):
        _, mount = self.node(objects=[("dir/file", MIB)])
        other = self.directory()
        (other / "link").symlink_to(mount.point)
        (other / "above").symlink_to("../" + mount.point.parent.name)
        for path in (other / "link/dir", other / "above" / mount.point.name / "dir",
                     other / "above/../" / other.name / "link" / "dir"):
            facts = run(SHOAL, "stat", path)
            self.assertEqual(facts.returncode, 0, facts.stderr)
            self.assertIn(f"path  {mount.point}/dir\n", facts.stdout)
        doctor = subprocess.run([SHOAL, "doctor", "link"], cwd=other, capture_output=True, text=True,
                                timeout=WAIT_SECONDS)
        self.assertIn(f"mount {mount.point}: is ready", doctor.stdout)

    def test_links_are_followed_though_the_mount_hangs(self):
        _, mount = self.node()
        (link := self.directory() / "link").symlink_to(mount.point)
        for process in (mount.process.pid, mount.worker()):
            os.kill(process, signal.SIGSTOP)
            self.addCleanup(os.kill, process, signal.SIGCONT)
        load = subprocess.Popen([SHOAL, "warmup", "load", link / "file"], stderr=subprocess.PIPE)
        self.addCleanup(load.stderr.close)
        self.addCleanup(load.kill)
        wait_until(lambda: any(name.startswith("socket") for _, name in open_files(load.pid)))

    def test_a_mount_that_nobody_keeps_is_bad(self):
        mounts = [self.node()[1], self.mount(self.origin())]
        for mount in mounts:
            for process in (mount.process.pid, mount.worker()):
                os.kill(process, signal.SIGKILL)
            mount.process.wait()
            doctor = run(SHOAL, "doctor", mount.point)
            self.assertEqual(doctor.returncode, 32, doctor)
            self.assertRegex(doctor.stdout, rf"BAD +mount {mount.point}: nobody keeps this mount")
            self.assertIn("unmount it and mount again", doctor.stdout)

    @contextlib.contextmanager
    def nobody_serving(self, mount):
        """The process that serves was killed, and the next one is begun at the end."""
        handle = os.pidfd_open(mount.worker())
        self.addCleanup(os.close, handle)
        mount.process.send_signal(signal.SIGSTOP)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            self.assertEqual(select.select([handle], [], [], WAIT_SECONDS)[0], [handle])
            yield
        finally:
            mount.process.send_signal(signal.SIGCONT)

    def begin(self, *words, **streams):
        process = subprocess.Popen([str(w) for w in (SHOAL, *words)], stderr=subprocess.PIPE,
                                   text=True, **{"stdout": subprocess.PIPE, **streams})
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    @needs_survival
    def test_top_goes_on_over_the_end_of_the_process_that_serves(self):
        _, mount = self.node()
        top = self.begin("top", mount.point, "--json")

        def next_process(before):
            while (process := json.loads(top.stdout.readline())["process"]["pid"]) == before:
                pass
            return process

        first = next_process(None)
        with self.nobody_serving(mount):
            self.assertIn("shoal top: waits for an answer: the admin port", top.stderr.readline())
        second = next_process(first)
        # It answers a moment before it is announced.
        wait_until(lambda: mount.worker() == second)
        done = run(SHOAL, "update", mount.point, "-o", f"g_server_Port={free_port()}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(next_process(second), mount.worker())
        subprocess.run(["umount", mount.point], check=True)
        self.assertEqual(top.wait(WAIT_SECONDS), 32)
        self.assertIn(f"shoal top: {mount.point} is not mounted\n", top.stderr.read())

    @needs_survival
    def test_on_a_terminal_top_keeps_its_screen_and_says_that_it_waits(self):
        _, mount = self.node()
        controller, terminal = pty.openpty()
        self.addCleanup(os.close, controller)
        top = self.begin("top", mount.point, stdout=terminal)
        os.close(terminal)

        def shown_until(text):
            seen = b""
            while text not in seen:
                self.assertTrue(select.select([controller], [], [], WAIT_SECONDS)[0])
                seen += os.read(controller, 65536)
            return seen

        shown_until(str(mount.point).encode())
        with self.nobody_serving(mount):
            waits = shown_until(b"no answer")
        self.assertNotIn(b"\033[2J", waits)
        shown_until(str(mount.point).encode())
        self.assertIsNone(top.poll())

    @needs_survival
    def test_a_warm_up_is_watched_over_the_end_of_the_process_that_serves(self):
        origin, mount = self.node(objects=[("file", 8 * MIB)])
        origin.configure(bytes_per_second=MIB)
        watched = self.begin("warmup", "load", mount / "file", "--watch")
        self.assertIn("file", watched.stdout.readline())
        with self.nobody_serving(mount):
            self.assertIn("shoal warmup: waits for an answer: the admin port",
                          watched.stderr.readline())
        origin.configure(bytes_per_second=0)
        self.assertRegex(watched.stdout.read(), r"file  completed, 8\.0 MiB\n$")
        self.assertEqual(watched.wait(WAIT_SECONDS), 0)

    def test_watched_as_json_each_line_is_a_task(self):
        _, mount = self.node()
        watched = run(SHOAL, "warmup", "load", mount / "file", "--watch", "--json")
        self.assertEqual((watched.returncode, watched.stderr), (0, ""))
        tasks = [json.loads(line) for line in watched.stdout.splitlines()]
        self.assertEqual((tasks[-1]["Path"], tasks[-1]["Status"]), ("file", "completed"))
        self.assertEqual(tasks[-1]["CompletedSize"], tasks[-1]["TotalSize"])

    def test_a_warm_up_that_was_refused_is_not_watched(self):
        _, mount = self.node()
        self.assertEqual(run(SHOAL, "warmup", "load", mount.point, "--watch").returncode, 0)
        refused = run(SHOAL, "warmup", "load", mount.point, "--watch", "--pattern", "(")
        self.assertEqual((refused.returncode, refused.stdout), (32, ""))
        self.assertRegex(refused.stderr, r"^shoal warmup: /: .*\n$")
        told = run(SHOAL, "warmup", "load", mount.point, "--watch", "--pattern", "(", "--json")
        self.assertEqual((told.returncode, told.stderr), (32, refused.stderr))
        self.assertEqual(json.loads(told.stdout)["ErrorCode"], errno.EINVAL)
        self.assertIn(json.loads(told.stdout)["ErrorMessage"], refused.stderr)

    def test_who_is_not_root_is_told_so(self):
        _, mount = self.node()
        cli = self.directory() / "aliyun-alinas-efc-cli"
        cli.write_bytes(pathlib.Path(SHOAL).read_bytes())
        for path in (cli.parent, cli):
            path.chmod(0o755)
        (shoal := cli.parent / "shoal").hardlink_to(cli)
        for words in ((shoal, "stat", mount / "file"), (shoal, "top", mount.point),
                      (shoal, "warmup", "stat", mount / "file"), (shoal, "restart", mount.point),
                      (shoal, "update", mount.point, "-o", "log_level=info"),
                      (shoal, "rollback", mount.point), (shoal, "umount", mount.point), (cli, "-m", mount.point, "-r", "tier")):
            done = subprocess.run(words, capture_output=True, text=True, timeout=WAIT_SECONDS,
                                  user=65534, group=65534, extra_groups=[], cwd="/")
            self.assertEqual(done.returncode, 1, (words, done))
            self.assertIn("only root", done.stderr)


if __name__ == "__main__":
    unittest.main()
