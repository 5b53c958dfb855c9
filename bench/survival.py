"""What readers notice when the process that serves their mount is killed, or replaced.

    bench/survival.py [--kills N] [--restarts N] [--updates N] [--transport dev|io_uring] [--seed N]

Seven readers check every byte and time every call (tests/mount/survival_readers.py). Prints one
line: kills, restarts or updates, calls, failed, wrong, readers that met a call of more than ten
seconds, the longest death or command, the longest call. Ends with 1 if anything failed, was wrong
or hung. An update is `efc_runtime_ops.py update` with an option that takes another worker.

`./dev bench survival` makes rows of 100 updates over io_uring and of 200 kills over either transport,
which takes half an hour; SHOAL_SURVIVAL_UPDATES and SHOAL_SURVIVAL_KILLS are other numbers.
"""
import argparse
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from measure import ROOT, Figure
from caching import cache_options, wait_until
from harness import SHOAL, Mount, Origin
from surviving import KINDS, Readers, pauses_in, put_tree, warm

# A mount whose workers die more than 20 times a minute is given up, on purpose.
KILL_INTERVAL_SECONDS = 3.1
INTERVAL_SECONDS = 0.1
HUNG_SECONDS = 10
PAUSE_MS_MAX = 500


def has_ended(mount):
    try:
        return mount.process.poll() is not None or mount.state() is None
    except FileNotFoundError:
        mount.process.wait()
        return True


def kill(mount):
    worker = mount.worker()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: has_ended(mount) or mount.worker() != worker)


def restart(mount):
    subprocess.run([SHOAL, "restart", mount.point], check=True, stdout=subprocess.DEVNULL)


def updates():
    """A step that gives the mount another value each time."""
    values = itertools.cycle((512, 1024))

    def update(mount):
        worker = mount.worker()
        subprocess.run([sys.executable, ROOT / "tools/efc_runtime_ops.py", "update", mount.point,
                        "-o", f"readahead_kb={next(values)}"],
                       env=os.environ | {"SHOAL_BIN": SHOAL}, check=True, stdout=subprocess.DEVNULL)
        assert mount.worker() != worker, "the update took no other worker"

    return update


class Met(NamedTuple):
    """What the readers met together."""
    done: int  # kills, restarts or updates
    calls: int
    failed: int
    wrong: int
    hung: int  # readers, not calls
    step_ms_max: float  # from a death to the next worker, or the command
    call_ms_max: float
    examples: list

    def harmed(self):
        return self.failed + self.wrong + self.hung


def run(times, step, transport, chance, interval_seconds):
    origin = Origin()
    mount = readers = None
    try:
        with tempfile.TemporaryDirectory(prefix="shoal-cache-") as directory:
            put_tree(origin)
            mount = Mount(origin, cache_options(directory, disk_mib=32), f"transport={transport}")
            warm(mount, directory)
            readers = Readers(mount.point, origin.bucket, chance.randrange(1 << 32), KINDS)
            done, longest = 0, 0.0
            while done < times and mount.process.poll() is None:
                time.sleep(interval_seconds * (1 + 0.3 * chance.random()))
                begun = time.monotonic()
                step(mount)
                longest = max(longest, time.monotonic() - begun)
                done += 1
            met = readers.finish()
            return Met(
                done=done,
                calls=sum(reader["count"] for reader in met),
                failed=sum(reader["failed_count"] for reader in met),
                wrong=sum(reader["wrong_count"] for reader in met),
                hung=sum(reader["worst_seconds"] > HUNG_SECONDS for reader in met),
                step_ms_max=max(pauses_in(mount.log()), default=longest) * 1000,
                call_ms_max=max(reader["worst_seconds"] for reader in met) * 1000,
                examples=[line for reader in met
                          for line in reader["wrong"] + reader["failed"]][:5])
    finally:
        if readers:
            readers.close()
        if mount:
            mount.close()
        origin.close()


def rows(title, times, step, transport, interval_seconds):
    """A figure for each thing that readers may meet."""
    met = run(times, step, transport, random.Random(1), interval_seconds)
    for line in met.examples:
        print("  " + line, file=sys.stderr)
    what = f"{met.done} of {times} {title} under seven readers, {transport}"
    for name, value, unit, of, of_unit in (
            ("failed", met.failed, "calls", met.calls, "calls"),
            ("wrong bytes", met.wrong, "calls", met.calls, "calls"),
            (f"hung for more than {HUNG_SECONDS} s", met.hung, "readers", len(KINDS), "readers")):
        yield Figure(f"{what}: {name}", value, unit, of, of_unit, value / max(1, of), "0",
                     value == 0 and met.done == times)
    pauses = [("the longest call", met.call_ms_max)]
    if step is kill:  # what readers wait for; their calls also wait for busy processors
        pauses.append(("the longest from a death until another process serves", met.step_ms_max))
    for name, ms in pauses:
        yield Figure(f"{what}: {name}", ms, "ms", PAUSE_MS_MAX, "ms, the goal", ms / PAUSE_MS_MAX,
                     f"< {PAUSE_MS_MAX} ms", ms < PAUSE_MS_MAX and met.done == times)


def survival(_):
    kills = int(os.environ.get("SHOAL_SURVIVAL_KILLS", 200))
    update_count = int(os.environ.get("SHOAL_SURVIVAL_UPDATES", 100))
    yield from rows("updates", update_count, updates(), "io_uring", INTERVAL_SECONDS)
    yield from rows("kill -9", kills, kill, "dev", KILL_INTERVAL_SECONDS)
    yield from rows("kill -9", kills, kill, "io_uring", KILL_INTERVAL_SECONDS)


FIGURES = dict(survival=survival)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--restarts", type=int, default=0)
    parser.add_argument("--updates", type=int, default=0)
    parser.add_argument("--transport", choices=["dev", "io_uring"], default="io_uring")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    good = True
    for title, times, step, interval_seconds in (
            ("kills", arguments.kills, kill, KILL_INTERVAL_SECONDS),
            ("restarts", arguments.restarts, restart, INTERVAL_SECONDS),
            ("updates", arguments.updates, updates(), INTERVAL_SECONDS)):
        if not times:
            continue
        met = run(times, step, arguments.transport, chance, interval_seconds)
        print(f"transport={arguments.transport}: {met.done} {title}, {met.calls} calls, "
              f"{met.failed} failed, {met.wrong} wrong, {met.hung} hung, {met.step_ms_max:.0f} ms "
              f"the longest {title[:-1]}, longest call {met.call_ms_max:.0f} ms", flush=True)
        for line in met.examples:
            print("  " + line)
        good &= met.done == times and not met.harmed()
    sys.exit(not good)


if __name__ == "__main__":
    main()
