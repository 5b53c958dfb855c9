"""The figures of docs/benchmarks.md: each a ratio of two things measured in one run.

    bench/bench.py [--repeat N] [--json FILE] [NAME...]

Without names all figures are measured. Prints a table, and writes what it printed to
build/bench.json, drawn in build/bench.png. Needs root: it mounts.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import statistics
import subprocess
import tempfile
import time

import cache_bench
import admin_bench
import survival
import warmup_bench
from measure import GIB, MIB, ROOT, Figure, make_object, read_seconds
from harness import KEY_ID, KEY_SECRET, Mount, Origin

LINK_BYTES_PER_SECOND = 500_000_000


def cold_read_mb_per_second(origin, name, *options):
    mount = Mount(origin, *options)
    try:
        return GIB / read_seconds(mount / name) / 1e6
    finally:
        mount.close()


def cold_limited(repeat):
    origin = Origin()
    try:
        make_object(origin, "big", GIB)
        origin.configure(latency_ms=20, bytes_per_second=LINK_BYTES_PER_SECOND)
        rate = statistics.median(cold_read_mb_per_second(origin, "big") for _ in range(repeat))
    finally:
        origin.close()
    link = LINK_BYTES_PER_SECOND / 1e6
    return [Figure("cold sequential 1 GiB, 500 MB/s link, 20 ms first byte", rate, "MB/s", link,
                   "MB/s, the link", rate / link, ">= 0.92", rate / link >= 0.92)]


def curl_mb_per_second(origin, name, streams=4):
    """Four range streams of the same object, each by a curl of its own."""
    part = GIB // streams
    begun = time.monotonic()
    running = [subprocess.Popen(
        ["curl", "-sf", "-o", "/dev/null", "-r", f"{i * part}-{(i + 1) * part - 1}",
         "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{KEY_ID}:{KEY_SECRET}",
         "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", f"{origin.endpoint}/data/{name}"])
        for i in range(streams)]
    if any([process.wait() for process in running]):
        raise RuntimeError("curl failed")
    return GIB / (time.monotonic() - begun) / 1e6


def cold_unlimited(repeat):
    origin = Origin()
    try:
        make_object(origin, "big", GIB)
        pairs = [(cold_read_mb_per_second(origin, "big"), curl_mb_per_second(origin, "big"))
                 for _ in range(repeat)]
    finally:
        origin.close()
    ours, curls = (statistics.median(column) for column in zip(*pairs))
    return [Figure("cold sequential 1 GiB, loopback unlimited", ours, "MB/s", curls,
                   "MB/s, four curl range streams", ours / curls, ">= 0.55", ours / curls >= 0.55)]


@contextlib.contextmanager
def on_core(core):
    """For what is started meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def origin_core(repeat):
    goal = 2000
    with on_core(0):
        origin = Origin()
    try:
        make_object(origin, "big", GIB)
        with on_core(1):
            rate = statistics.median(curl_mb_per_second(origin, "big") for _ in range(repeat))
    finally:
        origin.close()
    return [Figure("the embedded origin on one core, to four curls on another", rate, "MB/s", goal,
                   "MB/s, the goal", rate / goal, ">= 2000 MB/s", rate >= goal)]


def random_reads(repeat):
    origin = Origin()
    latencies, fetched = [], []
    try:
        make_object(origin, "big", GIB)
        origin.configure(latency_ms=20)
        for round_ in range(repeat):
            mount = Mount(origin)
            descriptor = os.open(mount / "big", os.O_RDONLY)
            try:
                origin.reset_stats()
                chance = random.Random(round_)
                for _ in range(200):
                    offset = chance.randrange(GIB // 4096) * 4096
                    begun = time.monotonic()
                    os.pread(descriptor, 4096, offset)
                    latencies.append((time.monotonic() - begun) * 1e3)
                fetched.append(origin.control("stats")["bytes"]["Get"] / MIB)
            finally:
                os.close(descriptor)
                mount.close()
    finally:
        origin.close()
    asked = 200 * 4096 / MIB
    median, most = statistics.median(latencies), max(fetched)
    return [Figure("200 random 4 KiB reads of 1 GiB: fetched", most, "MiB", asked, "MiB asked for",
                   most / asked, "<= 8 MiB", most <= 8),
            Figure("200 random 4 KiB reads, 20 ms first byte: median", median, "ms", 20,
                   "ms, the origin's first byte", median / 20, "<= 25 ms", median <= 25)]


def listing(_):
    origin = Origin()
    try:
        folder = origin.bucket / "many"
        folder.mkdir()
        for i in range(100_000):
            (folder / f"{i:06}").touch()
        mount = Mount(origin)
        try:
            os.stat(mount / "many")
            origin.reset_stats()
            begun = time.monotonic()
            subprocess.run(["ls", "-l", mount / "many"], stdout=subprocess.DEVNULL, check=True)
            seconds = time.monotonic() - begun
            requests = origin.requests()
        finally:
            mount.close()
    finally:
        origin.close()
    total, heads = sum(requests.values()), requests.get("Head", 0)
    return [Figure(f"ls -l of 100,000 objects ({seconds:.2f} s): requests", total, "requests", 100,
                   "pages of 1000", total / 100, "<= pages + 2, no HEAD",
                   total <= 102 and heads == 0)]


def warm(repeat):
    origin = Origin()
    try:
        local = make_object(origin, "big", GIB)
        with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
            copy = pathlib.Path(folder) / "copy"
            subprocess.run(["cp", local, copy], check=True)
            read_seconds(copy)
            mount = Mount(origin)
            try:
                read_seconds(mount / "big")
                pairs = [(GIB / read_seconds(mount / "big") / 1e6, GIB / read_seconds(copy) / 1e6)
                         for _ in range(max(repeat, 5))]
            finally:
                mount.close()
            kind = subprocess.run(["findmnt", "-n", "-o", "FSTYPE", "-T", folder],
                                  capture_output=True, text=True, check=True).stdout.strip()
    finally:
        origin.close()
    ours, native = (statistics.median(column) for column in zip(*pairs))
    return [Figure("second read of a warm 1 GiB file", ours, "MB/s", native, f"MB/s, {kind}",
                   ours / native, ">= 0.9", ours / native >= 0.9)]


def resident_mib(mount, what="VmRSS"):
    status = pathlib.Path(f"/proc/{mount.worker()}/status").read_text()
    return int(status.split(what + ":")[1].split()[0]) / 1024


def memory(_):
    budget = 128
    origin = Origin()
    try:
        make_object(origin, "big", GIB)
        mount = Mount(origin, f"read_memory_mb={budget}")
        try:
            os.listdir(mount.point)
            idle = resident_mib(mount)
            readers = [subprocess.Popen(["dd", f"if={mount / 'big'}", "of=/dev/null", "bs=1M",
                                         "status=none", f"skip={i * 128}", "count=128"])
                       for i in range(8)]
            if any([reader.wait() for reader in readers]):
                raise RuntimeError("dd failed")
            peak = resident_mib(mount, "VmHWM")
        finally:
            mount.close()
    finally:
        origin.close()
    return [Figure("idle daemon, resident", idle, "MiB", 64, "MiB", idle / 64, "< 64 MiB",
                   idle < 64),
            Figure("eight streams, peak resident", peak, "MiB", budget, "MiB, read_memory_mb",
                   peak / budget, "<= budget + 64 MiB", peak <= budget + 64)]


FIGURES = dict(cold_limited=cold_limited, cold_unlimited=cold_unlimited,
               origin_core=origin_core, random_reads=random_reads, listing=listing, warm=warm,
               memory=memory, **cache_bench.FIGURES, **warmup_bench.FIGURES, **admin_bench.FIGURES,
               **survival.FIGURES)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FIGURES))
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the median counts")
    parser.add_argument("--json", default=ROOT / "build/bench.json", help="where the rows go")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in FIGURES:
            parser.error(f"no figure '{name}'; there are {', '.join(FIGURES)}")
    rows = []
    print("| what | measured | against | ratio | goal | |\n|---|---|---|---|---|---|")
    for name in arguments.names or FIGURES:
        for figure in FIGURES[name](arguments.repeat):
            row = figure.row
            rows.append(row)
            print(f"| {row['name']} | {row['value']:.1f} {row['unit']} | {row['against']:.1f} "
                  f"{row['against_unit']} | {row['ratio']:.3f} | {row['goal']} | "
                  f"{'met' if row['met'] else '**short**'} |", flush=True)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True).stdout.strip()
    machine = f"{os.cpu_count()} cores, Linux {os.uname().release}"
    file = pathlib.Path(arguments.json)
    file.write_text(json.dumps(dict(commit=commit, machine=machine, figures=rows), indent=2) + "\n")
    # Debian's own Python is the one that has Debian's matplotlib.
    subprocess.run(["/usr/bin/python3", ROOT / "bench/plot.py", file, file.with_suffix(".png")],
                   check=True)
    print(f"\ncommit {commit}, {machine}")


if __name__ == "__main__":
    main()
