"""What tests of a mount whose workers change share: a tree, readers of it, and how long they
were without a worker."""
import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

from caching import MIB, CacheTest, cache_options, wait_until, wait_until_cached
from harness import WAIT_SECONDS, needs_survival, pattern

KINDS = ("cold", "direct", "passthrough", "mapped", "names", "openat", "kept")
# No call takes longer, on a machine that is busy with everything else as well.
CALL_SECONDS_MAX = 5


class Readers:
    """survival_readers.py, one process a kind."""

    def __init__(self, mount_point, truth, seed, kinds=KINDS):
        self.kinds = kinds
        program = pathlib.Path(__file__).parent / "survival_readers.py"
        self.processes = [
            subprocess.Popen([sys.executable, program, kind, mount_point, truth, str(seed + number)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for number, kind in enumerate(kinds)]
        for process in self.processes:
            assert process.stdout.readline() == "ready\n"

    def finish(self):
        """What each met, as it prints it."""
        for process in self.processes:
            process.stdin.close()
        met = []
        for process, kind in zip(self.processes, self.kinds):
            worst_seconds = 0.0
            try:
                process.wait(WAIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                worst_seconds = WAIT_SECONDS
            if process.returncode == 0:
                met.append(json.loads(process.stdout.read()))
            else:  # by the kill, or by SIGBUS of a mapped file that could not be read
                failed = [f"{kind}: the reader ended with status {process.returncode}"]
                met.append({"kind": kind, "count": 0, "worst_seconds": worst_seconds, "wrong": [],
                            "wrong_count": 0, "failed": failed, "failed_count": 1})
        return met

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()


def put_tree(origin):
    """cold/ is never whole in the cache, warm/ is; names/ has what is only looked at."""
    for i in range(4):
        origin.put(f"cold/{i}", pattern(24 * MIB + i, i))
    for i in range(3):
        origin.put(f"warm/{i}", pattern(3 * MIB + i, 100 + i))
    for i in range(60):
        origin.put(f"names/d{i % 5}/deep/{i}", pattern(1000 + i, 200 + i))


def warm(mount, directory):
    for i in range(3):
        (mount / f"warm/{i}").read_bytes()
    wait_until_cached(9 * MIB, directory)


def workers(keeper_pid):
    """Those it started, also one that has not said that it serves."""
    found = []
    for child in pathlib.Path(f"/proc/{keeper_pid}/task/{keeper_pid}/children").read_text().split():
        try:
            words = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"worker" in words:
            found.append(int(child))
    return found


def end_every_worker(mount):
    """From now on none comes to serve, until the keeper gives up. A thread, to be joined."""
    def end():
        while mount.process.poll() is None:
            for worker in workers(mount.process.pid):
                try:
                    os.kill(worker, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            threading.Event().wait(0.01)

    thread = threading.Thread(target=end)
    thread.start()
    return thread


def age_seconds(pid):
    """0 for one that is gone."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    begun = int(stat.rpartition(")")[2].split()[19])
    now = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    return now - begun / os.sysconf("SC_CLK_TCK")


def pauses_in(log):
    """Seconds from each death of a worker until the next one served."""
    pauses, died = [], None
    for line in log.splitlines():
        time, _, text = line.partition(" ")
        if "the worker of" in text:
            died = datetime.datetime.fromisoformat(time)
        elif "a new worker serves" in text and died:
            pauses.append((datetime.datetime.fromisoformat(time) - died).total_seconds())
            died = None
    return pauses


@needs_survival
class SurvivalTest(CacheTest):
    def loaded_mount(self, *options):
        origin, directory = self.origin(), self.directory()
        put_tree(origin)
        mount = self.mount(origin, cache_options(directory, disk_mib=32), *options)
        warm(mount, directory)
        return origin, mount

    def kill_worker(self, mount, number=signal.SIGKILL):
        worker = mount.worker()
        os.kill(worker, number)
        wait_until(lambda: mount.worker() != worker)

    def wait_until_back_for_good(self, mount, seconds=1):
        """As the keeper counts: one that dies sooner has the next one wait, and of more than 20 a
        minute it makes an end."""
        wait_until(lambda: age_seconds(mount.worker()) > seconds + 0.1)

    def assert_asked_again(self, mount, origin, name, operation, replace):
        """A reader whose `operation` the store does not answer has the file's bytes once `replace`
        has put another worker in the place of this one."""
        origin.configure(faults=[{"kind": "hang", "match": {"op": operation}}])
        reader = subprocess.Popen(["cat", mount / name], stdout=subprocess.PIPE)
        self.addCleanup(reader.kill)
        wait_until(lambda: origin.control("stats")["faults_injected"] > 0)
        origin.configure(faults=[])
        replace(mount)
        self.assertEqual(reader.communicate(timeout=WAIT_SECONDS)[0],
                         (origin.bucket / name).read_bytes())

    def readers(self, mount, origin, seed=1):
        readers = Readers(mount.point, origin.bucket, seed)
        self.addCleanup(readers.close)
        return readers

    def assert_unharmed(self, met, count_min):
        self.assertEqual([line for reader in met for line in reader["wrong"]], [])
        self.assertEqual([line for reader in met for line in reader["failed"]], [])
        for reader in met:
            self.assertGreater(reader["count"], count_min, reader["kind"])
            self.assertLess(reader["worst_seconds"], CALL_SECONDS_MAX, reader["kind"])
