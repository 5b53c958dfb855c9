"""The process that serves is killed, again and again: whoever reads notices a short pause only.

SHOAL_SURVIVAL_KILLS is how often, SHOAL_SEED repeats a run.
"""
import concurrent.futures
import errno
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import time
import unittest

from admin import Admin, free_port
from caching import MIB, cache_options, wait_until
from harness import SHOAL, TRANSPORTS, WAIT_SECONDS, mounted, pattern, state_directory
from surviving import SurvivalTest, end_every_worker, pauses_in, workers

KILLS = int(os.environ.get("SHOAL_SURVIVAL_KILLS", 20))


class Survival(SurvivalTest):
    def test_readers_do_not_notice_that_the_worker_was_killed(self):
        seed = int(os.environ.get("SHOAL_SEED", random.randrange(1 << 32)))
        print(f"SHOAL_SEED={seed} SHOAL_SURVIVAL_KILLS={KILLS}", flush=True)
        chance = random.Random(seed)
        origin, mount = self.loaded_mount("transport=dev")
        readers = self.readers(mount, origin, seed)
        for _ in range(KILLS):
            self.wait_until_back_for_good(mount, (1 if KILLS <= 20 else 3) + 0.2 * chance.random())
            self.kill_worker(mount)
        self.assert_unharmed(readers.finish(), KILLS)
        pauses = pauses_in(mount.log())
        self.assertEqual(len(pauses), KILLS)
        self.assertLess(max(pauses), 0.5)

    def test_a_worker_that_is_asked_to_end_by_itself_is_replaced_and_the_mount_stays(self):
        origin = self.origin()
        origin.put("file", b"contents")
        mount = self.mount(origin)
        self.kill_worker(mount, signal.SIGTERM)
        self.assertEqual((mount / "file").read_bytes(), b"contents")
        self.assertIsNone(mount.process.poll())

    def test_signals_that_are_for_others_end_no_mount_and_hold_up_no_reader(self):
        for transport in TRANSPORTS:
            with self.subTest(transport):
                origin = self.origin()
                origin.put("file", b"contents")
                mount = self.mount(origin, f"transport={transport}")
                mount.process.send_signal(signal.SIGUSR2)
                if transport == "io_uring":  # it answers no more, and another does
                    self.kill_worker(mount, signal.SIGUSR2)
                else:
                    os.kill(mount.worker(), signal.SIGUSR2)
                self.assertEqual((mount / "file").read_bytes(), b"contents")
                os.kill(mount.worker(), signal.SIGHUP)
                self.assertEqual(os.listdir(mount.point), ["file"])
                self.assertIsNone(mount.process.poll())

    def test_what_a_signal_asks_to_forget_while_no_worker_serves_the_next_one_forgets(self):
        directory = self.directory()
        binary, late, word = directory / "shoal", directory / "late", directory / "word"
        binary.write_bytes(pathlib.Path(SHOAL).read_bytes())
        late.write_text(f'#!/bin/sh\nread _ <{word}\nexec {os.path.abspath(SHOAL)} "$@"\n')
        for path in (binary, late):
            path.chmod(0o755)
        os.mkfifo(word)
        mount = self.mount(self.origin(), shoal=binary)
        os.rename(late, binary)
        worker = mount.worker()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: set(workers(mount.process.pid)) - {worker})
        mount.process.send_signal(signal.SIGUSR1)
        word.write_text("come\n")
        wait_until(lambda: "forgot what was kept of names" in mount.log())
        self.assertNotEqual(mount.worker(), worker)

    def test_a_log_that_nobody_reads_holds_up_no_worker_that_comes(self):
        origin = self.origin()
        origin.put("file", b"contents")
        directory = self.directory()
        shoal, log, reader = directory / "shoal", directory / "log", directory / "reader"
        os.mkfifo(log)
        shoal.write_text(f'#!/bin/sh\ncat {log} >&2 &\necho $! >{reader}\n'
                         f'exec {os.path.abspath(SHOAL)} "$@" 2>{log}\n')
        shoal.chmod(0o755)
        mount = self.mount(origin, shoal=shoal)
        reader = int(reader.read_text())
        os.kill(reader, signal.SIGSTOP)
        self.addCleanup(os.kill, reader, signal.SIGCONT)
        with open(os.open(log, os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0) as pipe:
            while pipe.write(b"x" * 4096):
                pass
        self.kill_worker(mount)
        self.assertEqual((mount / "file").read_bytes(), b"contents")

    def test_a_process_that_knows_keys_leaves_no_core(self):
        directory = self.directory()

        def cores():
            return list(directory.glob("core*"))
        allow = f"cd {directory} && ulimit -c unlimited"
        subprocess.run(["sh", "-c", f"{allow} && kill -SEGV $$"], check=False)
        if not cores():
            self.skipTest("cores go elsewhere here (kernel.core_pattern)")
        for core in cores():
            core.unlink()
        mount = self.mount(self.origin(), shoal=self.shoal_after(allow))
        self.assertEqual(os.readlink(f"/proc/{mount.worker()}/cwd"), str(directory))
        self.kill_worker(mount, signal.SIGSEGV)
        self.assertEqual(cores(), [])

    def test_a_worker_that_was_stopped_does_not_keep_the_mount_from_ending(self):
        mount = self.mount(self.origin())
        os.kill(mount.worker(), signal.SIGSTOP)
        mount.process.send_signal(signal.SIGTERM)
        mount.process.send_signal(signal.SIGINT)  # do not wait for it
        self.assertEqual(mount.process.wait(10), 0)
        self.assertIsNone(mounted(mount.point))

    def test_a_worker_comes_back_without_what_readers_can_do_without(self):
        origin = self.origin()
        origin.put("file", b"contents")
        directory = self.directory()
        port = free_port()
        mount = self.mount(origin, cache_options(directory),
                           f"g_server_Port={port}")
        keeper = mount.process
        keeper.send_signal(signal.SIGSTOP)  # until the worker's port and directory are taken
        self.addCleanup(keeper.send_signal, signal.SIGCONT)
        worker = mount.worker()
        handle = os.pidfd_open(worker)
        self.addCleanup(os.close, handle)
        os.kill(worker, signal.SIGKILL)
        self.assertEqual(select.select([handle], [], [], WAIT_SECONDS)[0], [handle])
        taken = socket.create_server(("127.0.0.1", port))
        self.addCleanup(taken.close)
        os.rename(directory, f"{directory}.gone")
        pathlib.Path(directory).write_bytes(b"")
        keeper.send_signal(signal.SIGCONT)
        wait_until(lambda: mount.worker() != worker)
        self.assertEqual((mount / "file").read_bytes(), b"contents")
        self.assertIn(f"the cache at {directory}/shoal-cache is not used until it works again: ",
                      mount.log())
        self.assertIn("served without the admin port", mount.log())
        self.assertFalse((state_directory(mount.point) / "admin.json").exists(),
                         "and nobody sends a token to who has the port now")
        self.assert_no_port(mount, "is gone, or could not open it")
        doctor = subprocess.run([SHOAL, "doctor", mount.point], capture_output=True, text=True)
        self.assertEqual(doctor.returncode, 32)
        self.assertIn("a port that could not be opened is tried again", doctor.stdout)
        os.unlink(directory)
        os.rename(f"{directory}.gone", directory)
        taken.close()
        wait_until(lambda: "works again" in mount.log())
        wait_until(lambda: subprocess.run([SHOAL, "stat", mount / "file"],
                                          capture_output=True).returncode == 0)
        loaded = subprocess.run([SHOAL, "warmup", "load", mount.point, "--watch"],
                                capture_output=True, text=True, timeout=WAIT_SECONDS)
        self.assertEqual(loaded.returncode, 0, loaded.stderr)

    def test_a_worker_comes_back_without_keys_and_takes_them_when_they_are_there(self):
        origin = self.origin()
        origin.put("file", b"contents")
        for wrong in (None, b"half a line", b"readable by others"):
            with self.subTest(wrong):
                mount = self.mount(origin)
                right = mount.password.read_bytes()
                mount.password.unlink()
                if wrong:
                    mount.password.write_bytes(wrong)  # mode 644
                self.kill_worker(mount)
                self.assert_errno(errno.EACCES, (mount / "file").read_bytes)
                self.assertIn("requests are refused until it can be used", mount.log())
                mount.password.unlink(missing_ok=True)
                new = mount.base / "new"
                new.write_bytes(right)
                new.chmod(0o600)
                os.rename(new, mount.password)
                wait_until(lambda: self.reads(mount / "file"))
                mount.close()

    @staticmethod
    def reads(path):
        try:
            return path.read_bytes() == b"contents"
        except PermissionError:
            return False

    def test_where_no_more_threads_may_be_made_calls_wait_and_none_fails(self):
        origin = self.origin()
        for i in range(80):
            origin.put(f"{i}/file", pattern(1000 + i, i))
        group, limit = self.thread_group()
        mount = self.mount(origin, cache_options(self.directory()), f"g_server_Port={free_port()}",
                           shoal=self.shoal_in(group))
        worker = mount.worker()
        origin.configure(latency_ms=500)
        limit.write_text(str(int((group / "pids.current").read_text()) + 6))

        def sizes(numbers):
            with concurrent.futures.ThreadPoolExecutor(40) as pool:
                return list(pool.map(lambda i: os.stat(mount / f"{i}/file").st_size, numbers))

        self.assertEqual(sizes(range(40)), [1000 + i for i in range(40)])
        self.assertEqual(mount.worker(), worker)
        said = [line for line in mount.log().splitlines() if "pids.max" in line]
        self.assertEqual(len(said), len({re.search(r" W (\S+): ", line)[1] for line in said}), said)
        self.assertGreater(len(said), 0, "the limit was met")
        limit.write_text("max")
        self.assertEqual(sizes(range(40, 80)), [1000 + i for i in range(40, 80)])
        self.assertGreater(mount.worker_threads().count("fuse-wait"), 20, "it makes use of more")

    def test_a_worker_that_may_not_have_the_threads_it_needs_says_so_and_comes_when_it_may(self):
        origin = self.origin()
        origin.put("file", b"contents")
        group, limit = self.thread_group()
        mount = self.mount(origin, shoal=self.shoal_in(group))
        limit.write_text("6")
        worker = mount.worker()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: "no thread can be made" in mount.log())
        self.assertIn("pids.max", mount.log())
        self.assertNotIn("was ended by signal 6", mount.log())
        limit.write_text("max")
        self.assertEqual((mount / "file").read_bytes(), b"contents")
        refused = self.directory()
        limit.write_text(str(int((group / "pids.current").read_text()) + 6))
        told = subprocess.run([self.shoal_in(group), "mount", "-f", "data:/", refused, "-o",
                               f"efc,protocol=oss,endpoint={origin.endpoint},"
                               f"passwd_file={mount.password}"],
                              capture_output=True, text=True, timeout=WAIT_SECONDS)
        self.assertEqual(told.returncode, 32, told)
        self.assertIn("no thread can be made", told.stderr)
        self.assertIsNone(mounted(refused))

    def test_warm_ups_that_go_on_leave_serving_the_threads_that_it_needs(self):
        origin = self.origin()
        for i in range(64):
            origin.put(f"warm{i}/file", b"x")
        origin.put("file", b"contents")
        group, limit = self.thread_group()
        port = free_port()
        mount = self.mount(origin, cache_options(self.directory()), f"g_server_Port={port}",
                           "recovery_limit=10", shoal=self.shoal_in(group))
        idle = int((group / "pids.current").read_text())
        file = os.open(mount / "file", os.O_RDONLY)
        self.addCleanup(os.close, file)
        origin.configure(faults=[{"kind": "hang", "match": {"op": "List"}}])
        admin = Admin(port)
        wait_until(admin.answers)
        admin.warmup("load", ",".join(f"warm{i}" for i in range(64)))
        wait_until(lambda: mount.worker_threads().count("warmup-task") == 64)
        limit.write_text(str(idle + 2))
        worker = mount.worker()
        os.kill(worker, signal.SIGKILL)
        self.assertEqual(os.pread(file, 100, 0), b"contents")
        self.assertNotEqual(mount.worker(), worker)
        limit.write_text("max")

    def test_the_store_need_not_answer_while_a_worker_comes_back(self):
        origin = self.origin()
        origin.put("d/file", b"contents")
        mount = self.mount(origin, "request_deadline=3")
        with open(mount / "d/file", "rb") as file:
            os.stat(mount / "d")
            origin.stop()
            self.kill_worker(mount)
            self.assertEqual(os.fstat(file.fileno()).st_size, 8)
            os.statvfs(mount.point)
            origin.start()

    def test_requests_that_waited_for_the_store_are_asked_again(self):
        origin = self.origin()
        origin.put("file", pattern(5 * MIB, 1))
        mount = self.mount(origin)
        os.stat(mount / "file")
        self.assert_asked_again(mount, origin, "file", "Get", self.kill_worker)

    def test_a_directory_that_is_being_read_is_read_on(self):
        origin = self.origin()
        names = {f"{i:05}" for i in range(5000)}
        for name in names:
            origin.put(f"d/{name}", b"")
        mount = self.mount(origin)
        with os.scandir(mount / "d") as entries:
            seen = [next(entries).name for _ in range(100)]
            self.kill_worker(mount)
            seen += [entry.name for entry in entries]
        self.assertEqual(len(seen), len(names))
        self.assertEqual(set(seen), names)

    def test_where_no_worker_comes_back_readers_get_errors_and_do_not_hang(self):
        origin = self.origin()
        origin.put("file", pattern(4 * MIB))
        mount = self.mount(origin)
        worker = mount.worker()
        subprocess.run([SHOAL, "update", mount.point, "-o", "recovery_limit=2"], check=True)
        self.assertEqual(mount.worker(), worker, "it can change as it is")
        with open(mount / "file", "rb", buffering=0) as file:
            begun = time.monotonic()
            self.addCleanup(end_every_worker(mount).join)
            wait_until(lambda: "was ended by signal 9" in mount.log())
            with self.assertRaises(OSError):
                file.read(MIB)
                file.seek(2 * MIB)
                file.read(MIB)
            self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual(mount.wait(), 32, mount.log())
        self.assertIn("no worker came back within 2 s", mount.log())
        self.assertIsNotNone(mounted(mount.point), "and nobody sees an empty directory")
        self.assert_errno(errno.ENOTCONN, os.listdir, mount.point)
        self.assert_no_port(mount, "nobody keeps this mount any more")

    def assert_no_port(self, mount, reason):
        stat = subprocess.run([SHOAL, "stat", mount / "file"], capture_output=True, text=True,
                              timeout=WAIT_SECONDS)
        self.assertEqual((stat.returncode, stat.stdout), (32, ""))
        self.assertIn(reason, stat.stderr)

    def test_an_upgrade_that_cannot_serve_does_not_end_mounts_that_are_there(self):
        origin, directory = self.origin(), self.directory()
        origin.put("file", b"contents")
        binary = directory / "shoal"
        binary.write_bytes(pathlib.Path(SHOAL).read_bytes())
        binary.chmod(0o755)
        mount = self.mount(origin, shoal=binary)
        broken = directory / "broken"
        broken.write_text("#!/bin/false\n")
        broken.chmod(0o755)
        os.rename(broken, binary)
        self.kill_worker(mount)
        self.assertEqual((mount / "file").read_bytes(), b"contents")

    def test_nor_does_one_whose_workers_serve_for_a_moment_and_die(self):
        origin, directory = self.origin(), self.directory()
        origin.put("file", b"contents")
        binary, upgrade = directory / "shoal", directory / "upgrade"
        for path in (binary, upgrade):
            path.write_bytes(pathlib.Path(SHOAL).read_bytes())
            path.chmod(0o755)
        mount = self.mount(origin, "recovery_limit=10", shoal=binary)
        mounted_by = os.stat(binary)
        os.rename(upgrade, binary)
        self.kill_worker(mount)
        while not os.path.samestat(os.stat(f"/proc/{mount.worker()}/exe"), mounted_by):
            self.kill_worker(mount)  # as soon as it says that it serves
        self.assertEqual((mount / "file").read_bytes(), b"contents")

    def test_a_worker_is_killed_before_its_keeper_when_memory_runs_out(self):
        mount = self.mount(self.origin())
        scores = [int(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text())
                  for pid in (mount.worker(), mount.process.pid)]
        self.assertGreater(*scores)

    def test_one_that_dies_soon_after_a_restart_is_replaced_however_long_ago_another_died(self):
        origin, mount = self.loaded_mount("recovery_limit=2")
        self.kill_worker(mount)
        self.wait_until_back_for_good(mount, 2)
        subprocess.run([SHOAL, "restart", mount.point], check=True, stdout=subprocess.DEVNULL)
        self.kill_worker(mount)
        self.assertEqual((mount / "cold/0").read_bytes(), (origin.bucket / "cold/0").read_bytes())

    def test_the_mount_goes_on_though_its_files_in_run_were_removed(self):
        origin, mount = self.loaded_mount()
        worker = mount.worker()
        shutil.rmtree(state_directory(mount.point))
        os.kill(worker, signal.SIGKILL)
        self.assertEqual((mount / "cold/0").read_bytes(), (origin.bucket / "cold/0").read_bytes())
        self.assertNotEqual(mount.worker(), worker)
        subprocess.run([SHOAL, "restart", mount.point], check=True, stdout=subprocess.DEVNULL)

    def test_a_mount_that_is_still_open_goes_on_beside_the_next_one_at_its_path(self):
        origin, other = self.origin(), self.origin()
        origin.put("file", pattern(5 * MIB, 1))
        other.put("file", pattern(5 * MIB, 2))
        first = self.mount(origin, "g_server_Port=0")
        worker = first.worker()
        with open(first / "file", "rb", buffering=0) as opened:
            subprocess.run(["umount", "-l", first.point], check=True)
            second = self.mount(other, "log_level=debug,readahead_kb=512", point=first.point)
            device = os.stat(second.point).st_dev
            ahead = pathlib.Path(
                f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")
            self.assertEqual(ahead.read_text(), "512\n")
            os.kill(worker, signal.SIGKILL)
            self.assertEqual(opened.readall(), (origin.bucket / "file").read_bytes())
            wait_until(lambda: "a new worker serves" in first.log())
            self.assertEqual(ahead.read_text(), "512\n")
            state = second.state()
            self.assertEqual(state["keeper_pid"], second.process.pid)
            self.assertIn("another mount has the path", first.log())
            subprocess.run([SHOAL, "restart", second.point], check=True,
                           stdout=subprocess.DEVNULL)
        self.assertEqual((second / "file").read_bytes(), (other.bucket / "file").read_bytes())
        self.assertEqual(first.wait(), 0)
        self.assertEqual(second.state()["keeper_pid"], second.process.pid)

    def test_a_signal_ends_a_mount_whose_store_does_not_answer(self):
        for transport in TRANSPORTS:
            with self.subTest(transport):
                origin = self.origin()
                origin.put("file", b"contents")
                mount = self.mount(origin, f"transport={transport}")
                os.stat(mount / "file")
                origin.configure(faults=[{"kind": "hang"}])
                reader = subprocess.Popen(["cat", mount / "file"], stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL)
                self.addCleanup(reader.kill)
                wait_until(lambda: origin.control("stats")["faults_injected"] > 0)
                begun = time.monotonic()
                mount.process.send_signal(signal.SIGTERM)
                self.assertEqual(mount.wait(), 0)
                self.assertLess(time.monotonic() - begun, 8)
                self.assertNotEqual(reader.wait(WAIT_SECONDS), 0)

    def test_unmounting_between_two_workers_ends_the_keeper(self):
        origin = self.origin()
        origin.put("file", b"x")
        mount = self.mount(origin)
        os.kill(mount.worker(), signal.SIGKILL)
        subprocess.run(["umount", mount.point], check=True)
        self.assertEqual(mount.wait(), 0, mount.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
