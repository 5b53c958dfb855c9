"""What readers notice when the process that serves their mount is killed, or replaced.

    bench/survival.py [--kills N] [--restarts N] [--transport dev|io_uring] [--seed N]

Seven readers check every byte and time every call (tests/mount/survival_readers.py). Prints one
line: kills or restarts, calls, failed, wrong, hung, the longest death or restart command, the
longest call. Ends with 1 if anything failed, was wrong or hung.
"""
import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/mount"))
os.environ.setdefault("SHOAL_BIN", str(ROOT / "build/release/bin/shoal"))
from caching import cache_options, wait_until  # noqa: E402
from harness import SHOAL, Mount, Origin  # noqa: E402
from surviving import KINDS, Readers, pauses_in, put_tree, warm  # noqa: E402

# A mount whose workers die more than 20 times a minute is given up, on purpose.
INTERVAL_SECONDS = 3.1
HUNG_SECONDS = 10


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


def run(title, times, step, transport, chance, interval_seconds):
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
            longest = max(pauses_in(mount.log()), default=longest)
            calls = sum(reader["count"] for reader in met)
            failed = sum(reader["failed_count"] for reader in met)
            wrong = sum(len(reader["wrong"]) for reader in met)
            worst = max(reader["worst_seconds"] for reader in met)
            hung = sum(reader["worst_seconds"] > HUNG_SECONDS for reader in met)
            print(f"transport={transport}: {done} {title}, {calls} calls, {failed} failed, "
                  f"{wrong} wrong, {hung} hung, {longest * 1000:.0f} ms the longest {title[:-1]}, "
                  f"longest call {worst * 1000:.0f} ms", flush=True)
            for line in [line for reader in met for line in reader["wrong"] + reader["failed"]][:5]:
                print("  " + line)
            return done == times and failed == wrong == hung == 0
    finally:
        if readers:
            readers.close()
        if mount:
            mount.close()
        origin.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--restarts", type=int, default=0)
    parser.add_argument("--transport", choices=["dev", "io_uring"], default="io_uring")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    good = True
    if arguments.kills:
        good &= run("kills", arguments.kills, kill, arguments.transport, chance, INTERVAL_SECONDS)
    if arguments.restarts:
        good &= run("restarts", arguments.restarts, restart, arguments.transport, chance, 0.1)
    sys.exit(not good)


if __name__ == "__main__":
    main()
