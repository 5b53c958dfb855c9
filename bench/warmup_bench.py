"""The figures of warm-up: against the link, against a raw client, and for those who read
meanwhile."""
import contextlib
import pathlib
import tempfile
import time

from admin import Admin, free_port
from cache_bench import cached_mount, closing, make_small_files
from caching import wait_until
from measure import (GIB, at_least, interleaved, make_object, operations_per_second,
                     read_seconds)
from harness import KEY_ID, KEY_SECRET, Origin

LINK_BYTES_PER_SECOND = 250_000_000
SMALL_FILES = 20_000


@contextlib.contextmanager
def warm_mount(origin, *options, **capacity):
    port = free_port()
    with cached_mount(origin, f"g_server_Port={port}", *options, **capacity) as mount:
        admin = Admin(port)
        wait_until(admin.answers)
        yield mount, admin


def seconds_to_load(admin, path):
    """Asks seldom: asking every few milliseconds took 8 % of both cores."""
    begun = time.monotonic()
    admin.load(path)
    while (task := admin.tasks(path)[0])["Status"] == "running":
        time.sleep(0.03)
    if task["Status"] != "completed":
        raise RuntimeError(task["ErrorMessage"])
    return time.monotonic() - begun


def one_object(repeat):
    """1 GiB over a limited link."""
    link = LINK_BYTES_PER_SECOND / 1e6

    def load(origin, **capacity):
        with warm_mount(origin, **capacity) as (_, admin):
            return GIB / seconds_to_load(admin, "big") / 1e6

    with closing(Origin()) as origin:
        make_object(origin, "big", GIB)
        origin.configure(latency_ms=20, bytes_per_second=LINK_BYTES_PER_SECOND)
        for tier, capacity in (("disk", dict(disk_mib=4096)), ("memory", dict(memory_mib=2048))):
            rate, = interleaved(repeat, lambda capacity=capacity: load(origin, **capacity))
            yield at_least(0.9, f"warm-up of 1 GiB in one object, {tier} tier, "
                                f"{link:.0f} MB/s link, 20 ms first byte",
                           rate, "MB/s", link, "the link")


def small_objects(repeat):
    """Many small objects, against a client that throws them away, and one that writes them one
    behind the other; and from a store that is 20 ms away, where it counts how many are in flight."""
    with (closing(Origin()) as origin, tempfile.TemporaryDirectory() as scratch,
          tempfile.TemporaryDirectory(dir="/dev/shm") as memory):
        make_small_files(origin, SMALL_FILES)
        urls = pathlib.Path(scratch) / "urls"
        urls.write_text("".join(f"{origin.endpoint}/data/small/{i:06}\n"
                                for i in range(SMALL_FILES)))

        def load(**capacity):
            with warm_mount(origin, **capacity) as (_, admin):
                return SMALL_FILES / seconds_to_load(admin, "small")

        def raw(threads):
            return operations_per_second("http-get", urls, threads=threads,
                                         user=f"{KEY_ID}:{KEY_SECRET}")

        def keeping(directory):
            rate = operations_per_second("http-get", urls, threads=2, keep=directory,
                                         user=f"{KEY_ID}:{KEY_SECRET}")
            for file in pathlib.Path(directory).glob("[0-9]"):
                file.unlink()
            return rate

        raw(2)  # the origin works out its ETags, once
        name = f"warm-up of {SMALL_FILES:,} objects of 110 KiB"
        for tier, capacity, directory in (("disk", dict(disk_mib=8192), scratch),
                                          ("memory", dict(memory_mib=4096), memory)):
            ours, theirs, kept = interleaved(repeat, lambda capacity=capacity: load(**capacity),
                                             lambda: raw(2),
                                             lambda directory=directory: keeping(directory))
            yield at_least(0.8, f"{name}, {tier} tier", ours, "objects/s", theirs,
                           "raw HTTP, two connections")
            yield at_least(0.8, f"{name}, {tier} tier, against one that keeps", ours, "objects/s",
                           kept, "raw HTTP, two connections, written to files")
        origin.configure(latency_ms=20)
        # As many as warm-up may have by default.
        ours, theirs = interleaved(repeat, lambda: load(disk_mib=8192), lambda: raw(256))
        yield at_least(0.8, f"{name}, disk tier, 20 ms first byte", ours, "objects/s", theirs,
                       "raw HTTP, 256 connections")


def demand(repeat):
    """A cold sequential read over a limited link, with a warm-up of something else and without."""
    with closing(Origin()) as origin:
        make_object(origin, "read", GIB)
        make_object(origin, "warmed", 4 * GIB)
        origin.configure(latency_ms=20, bytes_per_second=LINK_BYTES_PER_SECOND)

        def read(warms):
            with warm_mount(origin, disk_mib=8192) as (mount, admin):
                if warms:
                    admin.load("warmed")
                    wait_until(lambda: admin.tasks("warmed")[0]["CompletedSize"] > 0)
                rate = GIB / read_seconds(mount / "read") / 1e6
                if warms:
                    assert admin.tasks("warmed")[0]["Status"] == "running", "it was too quick"
                    admin.warmup("cancel", "warmed")
                return rate

        beside, alone = interleaved(repeat, lambda: read(True), lambda: read(False))
    yield at_least(0.9, "cold sequential 1 GiB while a warm-up runs, "
                        f"{LINK_BYTES_PER_SECOND / 1e6:.0f} MB/s link, 20 ms first byte",
                   beside, "MB/s", alone, "without")


def warmup(repeat):
    for rows in (one_object, small_objects, demand):
        yield from rows(repeat)


FIGURES = dict(warmup=warmup)
