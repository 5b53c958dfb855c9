"""A worker that dies while another one is taking its place, whichever of the two it is and
however far they have come.

SHOAL_HAND_OVERS is how often; SHOAL_SEED what the moments are drawn from.
"""
import os
import pathlib
import random
import signal
import subprocess
import threading
import unittest

from caching import wait_until
from harness import SHOAL, TRANSPORTS, WAIT_SECONDS, needs_rings
from surviving import SurvivalTest

HAND_OVERS = int(os.environ.get("SHOAL_HAND_OVERS", 12))
SEED = int(os.environ.get("SHOAL_SEED", 1))
# A restart takes some 20 ms on an idle machine; later than this it is a death like any other.
LATEST_SECONDS = 0.05
FAILED = 32  # as of mount(8)


def children(pid):
    return [int(child) for child in
            pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class HandOver(SurvivalTest):
    def restart_and_kill(self, mount, chance, kills_new):
        old = mount.worker()
        restart = subprocess.Popen([SHOAL, "restart", mount.point], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(restart.kill)
        wait_until(lambda: set(children(mount.process.pid)) - {old} or restart.poll() is not None)
        threading.Event().wait(chance.uniform(0, LATEST_SECONDS))
        for child in children(mount.process.pid):
            if (child != old) == kills_new:
                os.kill(child, signal.SIGKILL)
        # It says whether it could; the mount goes on either way.
        self.assertIn(restart.wait(WAIT_SECONDS), (0, FAILED))
        self.wait_until_back_for_good(mount)

    def met_by_readers(self, *options):
        origin, mount = self.loaded_mount(*options)
        readers, chance = self.readers(mount, origin), random.Random(SEED)
        for number in range(HAND_OVERS):
            self.restart_and_kill(mount, chance, kills_new=number % 2 == 0)
        met = readers.finish()
        self.assertEqual((mount / "cold/0").read_bytes(), (origin.bucket / "cold/0").read_bytes())
        return met

    def test_no_reader_notices_over_dev_fuse(self):
        self.assert_unharmed(self.met_by_readers("transport=dev"), 20)

    @needs_rings
    def test_no_reader_notices_over_rings(self):
        self.assert_unharmed(self.met_by_readers("transport=io_uring"), 20)

    def test_a_mount_that_is_told_to_end_in_the_middle_ends(self):
        for transport in TRANSPORTS:
            chance = random.Random(SEED)
            for _ in range(6):
                with self.subTest(transport):
                    origin = self.origin()
                    origin.put("file", b"contents")
                    mount = self.mount(origin, f"transport={transport}")
                    self.assertEqual((mount / "file").read_bytes(), b"contents")
                    old = mount.worker()
                    restart = subprocess.Popen([SHOAL, "restart", mount.point],
                                               stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL)
                    self.addCleanup(restart.kill)
                    wait_until(lambda: set(children(mount.process.pid)) - {old}
                               or restart.poll() is not None)
                    threading.Event().wait(chance.uniform(0, LATEST_SECONDS))
                    mount.process.send_signal(signal.SIGTERM)
                    self.assertEqual(mount.wait(), 0, mount.log())
                    self.assertIn(restart.wait(WAIT_SECONDS), (0, FAILED))


if __name__ == "__main__":
    unittest.main(verbosity=2)
