"""Over io_uring another process goes on, too, and nobody notices.

SHOAL_SURVIVAL_KILLS is how often it is killed.
"""
import contextlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

from caching import MIB, wait_until
from harness import SHOAL, WAIT_SECONDS, needs_rings, pattern
from surviving import SurvivalTest, pauses_in, workers

KILLS = int(os.environ.get("SHOAL_SURVIVAL_KILLS", 10))


@contextlib.contextmanager
def connections():
    """What the kernel says of each FUSE mount, by its minor number."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["mount", "-t", "fusectl", "none", directory], check=True)
        try:
            yield pathlib.Path(directory)
        finally:
            subprocess.run(["umount", directory], check=True)


def blocks(pid, number):
    """Whether a signal waits until the process takes it; else it would end it."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return bool(int(re.search(r"^SigBlk:\s+(\w+)", status, re.MULTILINE)[1], 16) >> number - 1 & 1)


@needs_rings
class Rings(SurvivalTest):
    def restart_worker(self, mount, *words):
        worker = mount.worker()
        subprocess.run([SHOAL, *(words or ("restart",)), mount.point], check=True,
                       stdout=subprocess.DEVNULL, timeout=WAIT_SECONDS)
        self.assertNotEqual(mount.worker(), worker)

    def test_readers_do_not_notice_restarts_and_updates(self):
        origin, mount = self.loaded_mount("transport=io_uring")
        readers = self.readers(mount, origin)
        for i in range(10):
            self.restart_worker(mount)
            self.restart_worker(mount, "update", "-o", f"connect_timeout={i + 32}")
        self.assert_unharmed(readers.finish(), 20)
        self.assertIn("io_uring: in use", mount.log())

    def test_a_worker_told_to_hold_before_it_has_begun_loses_nothing(self):
        origin = self.origin()
        names = [f"directory/{i}" for i in range(40)]
        for name in ("file", *names):
            origin.put(name, f"contents of {name}".encode())
        mount = self.mount(origin, "transport=io_uring")
        with open(mount / "file", "rb") as held, connections() as directory:
            waiting = directory / str(os.minor(os.fstat(held.fileno()).st_dev)) / "waiting"
            for _ in range(3):
                self.restart_worker(mount)
            for _ in range(3):
                self.restart_into_one_on_hold(mount)
                self.restart_worker(mount)
                wait_until(lambda: waiting.read_text() == "0\n")
            readers = [subprocess.Popen(["taskset", "-c", str(cpu), "cat", mount / name],
                                        stdout=subprocess.PIPE)
                       for name, cpu in zip(names, itertools.cycle(os.sched_getaffinity(0)))]
            for reader in readers:
                self.addCleanup(reader.kill)
            for reader, name in zip(readers, names):
                self.assertEqual(reader.communicate(timeout=WAIT_SECONDS)[0],
                                 (origin.bucket / name).read_bytes())

    def restart_into_one_on_hold(self, mount):
        """The next worker is told to hold as soon as it can be, which is before it serves."""
        before = mount.worker()
        restart = subprocess.Popen([SHOAL, "restart", mount.point], stdout=subprocess.DEVNULL)
        while restart.poll() is None:
            for worker in workers(mount.process.pid):
                if worker != before and blocks(worker, signal.SIGUSR2):
                    os.kill(worker, signal.SIGUSR2)
        self.assertEqual(restart.returncode, 0)

    def test_readers_do_not_notice_over_rings_that_the_worker_was_killed(self):
        origin, mount = self.loaded_mount("transport=io_uring")
        readers = self.readers(mount, origin)
        for _ in range(KILLS):
            self.wait_until_back_for_good(mount, 1 if KILLS <= 20 else 3)
            self.kill_worker(mount)
        self.assert_unharmed(readers.finish(), KILLS)
        pauses = pauses_in(mount.log())
        self.assertEqual(len(pauses), KILLS)
        self.assertLess(max(pauses), 0.5)
        self.assertEqual((mount / "cold/0").read_bytes(), (origin.bucket / "cold/0").read_bytes())

    def test_nor_that_it_was_asked_to_end(self):
        origin, mount = self.loaded_mount("transport=io_uring")
        readers = self.readers(mount, origin)
        for _ in range(5):
            self.wait_until_back_for_good(mount)
            self.kill_worker(mount, signal.SIGTERM)
        self.assert_unharmed(readers.finish(), 5)

    def test_a_call_that_came_while_nobody_served_is_answered_though_the_path_is_gone(self):
        for held in ("file", "directory"):
            with self.subTest(held):
                self.assert_answered_though_the_path_is_gone(held)

    def assert_answered_though_the_path_is_gone(self, held):
        """`held` is all that anybody has of the mount."""
        origin = self.origin()
        body = pattern(2 * MIB, 1)
        for key in ("file", *(f"directory/{cpu}" for cpu in os.sched_getaffinity(0))):
            origin.put(key, body)
        mount = self.mount(origin, "transport=io_uring")
        descriptor = os.open(mount / held, os.O_RDONLY)
        subprocess.run(["umount", "-l", mount.point], check=True)
        worker = mount.worker()
        mount.process.send_signal(signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{worker}/fd/0"))  # it has ended
        readers = [subprocess.Popen(["taskset", "-c", str(cpu), "cat", f"/dev/fd/{descriptor}" +
                                     (f"/{cpu}" if held == "directory" else "")],
                                    pass_fds=[descriptor], stdout=subprocess.PIPE)
                   for cpu in sorted(os.sched_getaffinity(0))]
        for reader in readers:
            self.addCleanup(reader.kill)
        # One that has nothing to read yet is in the kernel; /dev/fd opens the file once more.
        wait_until(lambda: all(self.waits_for_the_mount(reader.pid) for reader in readers))
        mount.process.send_signal(signal.SIGCONT)
        for reader in readers:
            self.assertEqual(reader.communicate(timeout=WAIT_SECONDS)[0], body)
        os.close(descriptor)
        self.assertEqual(mount.wait(), 0)

    @staticmethod
    def waits_for_the_mount(pid):
        return "fuse" in pathlib.Path(f"/proc/{pid}/wchan").read_text() or pathlib.Path(
            f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "DS"

    def test_threads_that_a_rings_thread_made_may_run_where_the_mount_may(self):
        origin = self.origin()
        origin.put("file", pattern(20 * MIB, 1))
        mount = self.mount(origin, "transport=io_uring")
        self.assertEqual((mount / "file").read_bytes(), (origin.bucket / "file").read_bytes())
        names = set()
        for task in pathlib.Path(f"/proc/{mount.worker()}/task").iterdir():
            name = (task / "comm").read_text().strip()
            names.add(name)
            if not name.startswith("fuse-ring-"):
                self.assertEqual(os.sched_getaffinity(int(task.name)), os.sched_getaffinity(0), name)
        self.assertIn("shoal-fetch", names)

    @unittest.skipIf(os.cpu_count() == 1, "needs two processors")
    def test_a_mount_that_may_not_run_everywhere_takes_dev_fuse(self):
        origin = self.origin()
        pinned = self.directory() / "shoal"
        pinned.write_text(f'#!/bin/sh\nexec taskset -c 0 {os.path.abspath(SHOAL)} "$@"\n')
        pinned.chmod(0o755)
        mount = self.mount(origin, shoal=pinned)
        self.assertIn("io_uring: not in use: this process may not run on all processors",
                      mount.log())

    def test_what_waited_for_the_store_is_asked_again(self):
        for replace in (self.kill_worker, self.restart_worker):
            with self.subTest(replace.__name__):
                origin = self.origin()
                origin.put("file", pattern(5 * MIB, 1))
                mount = self.mount(origin, "transport=io_uring")
                os.stat(mount / "file")
                self.assert_asked_again(mount, origin, "file", "Get", replace)

    def test_a_name_that_waited_for_the_store_is_looked_up_again(self):
        for replace in (self.kill_worker, self.restart_worker):
            with self.subTest(replace.__name__):
                origin = self.origin()
                origin.put("a/rather/long-name-of-a-file", b"contents")
                mount = self.mount(origin, "transport=io_uring")
                os.stat(mount / "a/rather")
                self.assert_asked_again(mount, origin, "a/rather/long-name-of-a-file", "Head", replace)

    def test_a_worker_killed_again_before_it_has_answered_loses_nothing_either(self):
        origin = self.origin()
        origin.put("file", b"contents")
        mount = self.mount(origin, "transport=io_uring")
        os.stat(mount / "file")
        origin.configure(faults=[{"kind": "hang"}])
        reader = subprocess.Popen(["cat", mount / "file"], stdout=subprocess.PIPE)
        self.addCleanup(reader.kill)
        for count in range(1, 4):
            wait_until(lambda: origin.control("stats")["faults_injected"] >= count)
            self.kill_worker(mount)
        origin.configure(faults=[])
        self.kill_worker(mount)
        self.assertEqual(reader.communicate(timeout=WAIT_SECONDS)[0], b"contents")

    def test_more_readers_wait_than_a_queue_has_entries_and_all_are_answered(self):
        origin = self.origin()
        bodies = [pattern(40_000 + i, i) for i in range(600)]
        for i, body in enumerate(bodies):
            origin.put(f"{i}", body)
        mount = self.mount(origin, "transport=io_uring", "g_metadata_CacheEnable=true")
        os.listdir(mount.point)
        for i in range(600):
            os.stat(mount / f"{i}")
        origin.configure(faults=[{"kind": "hang"}])
        readers = [subprocess.Popen(["cat", mount / f"{i}"], stdout=subprocess.PIPE)
                   for i in range(600)]
        for reader in readers:
            self.addCleanup(reader.kill)
        wait_until(lambda: origin.control("stats")["faults_injected"] > 0)
        origin.configure(faults=[])
        self.restart_worker(mount)
        for reader, body in zip(readers, bodies):
            self.assertEqual(reader.communicate(timeout=WAIT_SECONDS)[0], body)
        # And the next process has entries, though this one took over as many as it had.
        for _ in range(3):
            self.restart_worker(mount)
        self.assertNotIn("the worker of", mount.log(), "none died")
        self.assertEqual((mount / "5").read_bytes(), bodies[5])

    def test_a_mount_whose_worker_is_on_hold_ends_when_it_is_told_to(self):
        origin = self.origin()
        origin.put("file", b"contents")
        mount = self.mount(origin, "transport=io_uring")
        os.kill(mount.worker(), signal.SIGUSR2)
        mount.process.send_signal(signal.SIGTERM)
        self.assertEqual(mount.wait(), 0, mount.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
