"""The figures of the single-node cache: against the machine itself, and against other
clients that cache.

Native is the same bytes in a file on the file system of the tier, its pages in memory.
"""
import contextlib
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import time
import urllib.request

from measure import (Figure, GIB, MIB, ROOT, at_least, interleaved, make_object, mb_per_second,
                     operations_per_second)
from admin import Admin, free_port
from caching import wait_until
from harness import KEY_ID, KEY_SECRET, SHOAL, Mount, Origin
from peers import Rclone, S3fs

SMALL_FILE_BYTES = 110 * 1024


@contextlib.contextmanager
def scratch(directory=ROOT / "build"):
    path = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=directory))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def closing(thing):
    try:
        yield thing
    finally:
        thing.close()


@contextlib.contextmanager
def cached_mount(origin, *options, memory_mib=0, disk_mib=0):
    """A mount with an empty cache."""
    with scratch() as directory:
        tiers = [f"g_tier_DadiMemCacheCapacityMB={memory_mib}"]
        if disk_mib:
            tiers += [f"g_tier_DadiDiskCacheCapacityMB={disk_mib}",
                      f"g_tier_DadiDiskCachePath={directory}/"]
        with closing(Mount(origin, "g_tier_EnableClusterCache=true",
                           "g_tier_DadiIsDistributed=false", *tiers, *options)) as mount:
            yield mount


def make_small_files(origin, count, size=SMALL_FILE_BYTES):
    """`count` files in the bucket's directory "small"; each has other bytes."""
    folder = origin.bucket / "small"
    folder.mkdir()
    chance = os.urandom(16 * MIB + size)
    for i in range(count):
        at = i * 4099 % (16 * MIB)
        (folder / f"{i:06}").write_bytes(chance[at:at + size])
    os.sync()  # writing them out is not what is measured
    return folder


def make_tree(root, directories, files_each):
    for i in range(directories):
        folder = root / f"{i:03}"
        folder.mkdir(parents=True)
        for j in range(files_each):
            (folder / f"{j:04}").touch()


def whole_object_rows(tier, repeat, ours, native, kind):
    """Reads of a complete object through the mount, and of the same bytes without it."""
    def pair(measure, command, **options):
        return interleaved(repeat, lambda: measure(command, ours, **options),
                           lambda: measure(command, native, **options))

    for path in (ours, native):  # fetched, then opened again as what it is now: complete
        mb_per_second("seq", path, passes=1)
        mb_per_second("seq", path, passes=1)
    for threads in (1, 2):
        yield at_least(0.95, f"cached sequential 1 MiB reads, {tier} tier, threads: {threads}",
                       *unit("MB/s", pair(mb_per_second, "seq", threads=threads, passes=4)), kind)
    for threads in (1, 4):
        yield at_least(0.90, f"cached random 4 KiB reads, {tier} tier, threads: {threads}",
                       *unit("reads/s", pair(operations_per_second, "random", threads=threads,
                                             reads=1_000_000)), kind)
    yield at_least(0.93, f"mmap first touch, {tier} tier",
                   *unit("MB/s", pair(mb_per_second, "mmap", passes=2)), kind)


def unit(name, values):
    ours, theirs = values
    return ours, name, theirs


def tier_rows(tier, repeat, native_directory, kind, **capacity):
    with closing(Origin()) as origin, scratch(native_directory) as native:
        made = make_object(origin, "big", GIB)
        # In pieces as large as the cache writes: how the kernel lays pages out depends on it.
        subprocess.run(["dd", f"if={made}", f"of={native / 'big'}", "bs=1M", "status=none"],
                       check=True)
        with cached_mount(origin, **capacity) as mount:
            return list(whole_object_rows(tier, repeat, mount / "big", native / "big", kind))


def memory_tier(repeat):
    return tier_rows("memory", repeat, "/dev/shm", "native tmpfs", memory_mib=2048)


def disk_tier(repeat):
    return tier_rows("disk", repeat, ROOT / "build", "native, the directory's file system",
                     disk_mib=4096)


def incomplete(repeat):
    """A quarter of an object is cached and read at random past the kernel's pages, so that
    each read is a request to the daemon."""
    part = 256 * MIB
    with closing(Origin()) as origin:
        make_object(origin, "big", GIB)
        with cached_mount(origin, "transport=io_uring", memory_mib=2048) as ring, \
                cached_mount(origin, "transport=dev", memory_mib=2048) as device:
            for mount in (ring, device):
                mb_per_second("seq", mount / "big", bytes=part)
            rates = interleaved(repeat, *(
                lambda mount=mount: operations_per_second(
                    "random", mount / "big", threads=8, reads=200_000, bytes=part, direct=True)
                for mount in (ring, device)))
    name = "random 4 KiB direct reads of an incomplete object, 8 threads"
    return [at_least(2.5, f"{name}, io_uring", rates[0], "reads/s", rates[1], "transport=dev"),
            at_least(1, f"{name}: the rate", rates[0], "reads/s", 400_000, "the goal")]


def small_files(repeat):
    count = 20_000
    with closing(Origin()) as origin, scratch() as native:
        folder = make_small_files(origin, count)
        urls = native / "urls"
        urls.write_text("".join(f"{origin.endpoint}/data/small/{i:06}\n" for i in range(count)))
        copy = native / "small"
        shutil.copytree(folder, copy)

        def epoch(path):
            return operations_per_second("small-files", path, processes=2)

        asking = ("g_metadata_CacheEnable=true",)
        unasked = (*asking, "open_requests=off")

        def first_epoch(options):
            with cached_mount(origin, *options, disk_mib=4096) as mount:
                return epoch(mount / "small")

        def raw():
            return operations_per_second("http-get", urls, threads=2,
                                         user=f"{KEY_ID}:{KEY_SECRET}")

        raw()  # the origin works out its ETags, once
        cold = interleaved(repeat, lambda: first_epoch(asking), lambda: first_epoch(unasked), raw)

        def warm_rate(options):
            """(ours, native's): one mount at a time, or all their pages are more than stay."""
            with cached_mount(origin, *options, disk_mib=4096) as mount:
                paths = (mount / "small", copy)
                for path in (*paths, *paths):
                    epoch(path)
                return interleaved(repeat, *(lambda path=path: epoch(path) for path in paths))

        warm = [warm_rate(options) for options in (asking, unasked, ())]
    files = "20,000 files of 110 KiB, open + read + close, 2 processes"
    name = f"{files}, g_metadata_CacheEnable=true"
    native = "native, the directory's file system"
    ours, theirs = zip(*warm)
    return [at_least(0.55, f"{name}, warm", ours[0], "files/s", theirs[0], native),
            at_least(0.55, f"{name}, warm, open_requests=off", ours[1], "files/s", theirs[1],
                     native),
            at_least(0.55, f"{files}, warm, a HEAD an open", ours[2], "files/s", theirs[2], native),
            at_least(0.7, f"{name}, first epoch", cold[0], "files/s", cold[2],
                     "raw HTTP, two connections"),
            at_least(0.7, f"{name}, first epoch, open_requests=off", cold[1], "files/s", cold[2],
                     "raw HTTP, two connections")]


def small_files_far(repeat):
    """Cold files in the order of their listing from a store that is 20 ms away, by two readers
    that wait for each: what is measured is what is fetched ahead of them. A file is opened
    asked for (one HEAD) and, with the metadata cache, unasked."""
    count, away_ms = 2000, 20
    with closing(Origin()) as origin, scratch() as place:
        make_small_files(origin, count)
        urls = place / "urls"
        urls.write_text("".join(f"{origin.endpoint}/data/small/{i:06}\n" for i in range(count)))
        origin.configure(latency_ms=away_ms)

        def first_epoch(*options):
            with closing(Mount(origin, *options)) as mount:
                return operations_per_second("small-files", mount / "small", processes=2)

        asking, unasked, raw = interleaved(
            repeat, first_epoch, lambda: first_epoch("g_metadata_CacheEnable=true"),
            lambda: operations_per_second("http-get", urls, threads=64,
                                          user=f"{KEY_ID}:{KEY_SECRET}"))
    name = f"2,000 files of 110 KiB in listing order, {away_ms} ms first byte, 2 processes, cold"
    waits = 2 * 1000 / away_ms  # what two readers can do that wait once a file
    return [at_least(0.7, f"{name}, g_metadata_CacheEnable=true", unasked, "files/s", raw,
                     "raw HTTP, 64 connections"),
            at_least(0.7, f"{name}, a HEAD an open", asking, "files/s", waits,
                     "two readers that wait once a file")]


def stat_tree(repeat):
    with closing(Origin()) as origin, scratch() as native:
        for root in (origin.bucket / "tree", native / "tree"):
            make_tree(root, directories=100, files_each=1000)
        with cached_mount(origin, "g_metadata_CacheEnable=true",
                          "g_readdircache_MaxCount=200000", memory_mib=64) as mount:
            trees = (mount / "tree", native / "tree")
            for tree in trees:
                operations_per_second("stat", tree)
            rates = interleaved(repeat, *(
                lambda tree=tree: operations_per_second("stat", tree, passes=3)
                for tree in trees))
    return [at_least(0.8, "stat of a warm tree of 100,000 entries, g_metadata_CacheEnable=true, "
                     "g_readdircache_MaxCount=200000", rates[0], "stats/s", rates[1], "native")]


def start_up(repeat):
    """From the command to a mount that answers. Half of the objects have files of their own.
    All have the 4 KiB of a page at least: what is there is counted by its blocks."""
    count = 200_000
    with closing(Origin()) as origin, scratch() as full, scratch() as empty:
        origin.put("file", b"x")
        folder = origin.bucket / "tiny"
        folder.mkdir()
        for i in range(count // 2):
            (folder / f"{i:06}").write_bytes(b"%08d" % i * 512)
        with closing(Mount(origin, *cache_in(full))) as mount:
            for i in range(count // 2):
                (mount / f"tiny/{i:06}").read_bytes()
        # Else the store, on the same two cores, looks at each of them for the df of each mount.
        shutil.rmtree(folder)
        chance = random.Random(1)
        for _ in range(count // 2):
            name = f"{chance.getrandbits(128):032x}"
            folder = full / "shoal-cache" / name[:2]
            folder.mkdir(0o700, parents=True, exist_ok=True)
            for suffix in (".data", ".meta"):
                (folder / (name + suffix)).write_bytes(bytes(4096))

        point, password = empty / "mnt", empty / "passwd"
        point.mkdir()
        password.write_text(f"{KEY_ID}:{KEY_SECRET}\n")
        password.chmod(0o600)

        def mount_seconds(directory):
            """The command returns when the mount answers."""
            options = ",".join((f"endpoint={origin.endpoint},passwd_file={password}",
                                *cache_in(directory)))
            begun = time.monotonic()
            subprocess.run([SHOAL, "mount", "data:/", point, "-o", options], check=True)
            seconds = time.monotonic() - begun
            subprocess.run([SHOAL, "umount", point], check=True)
            return seconds

        mount_seconds(empty)
        ours, least = interleaved(max(repeat, 9), lambda: mount_seconds(full),
                                  lambda: mount_seconds(empty))
    return [Figure("start-up with 200,000 cached objects", ours * 1e3, "ms", least * 1e3,
                   "ms, an empty cache", ours / least, "<= 1.2", ours / least <= 1.2)]


def cache_in(directory, disk_mib=65536):
    return ("g_metadata_CacheEnable=true", "g_tier_DadiIsDistributed=false",
            f"g_tier_DadiDiskCacheCapacityMB={disk_mib}",
            f"g_tier_DadiDiskCachePath={directory}/")


def index_memory(_):
    """What the daemon remembers of what is cached, for objects of several sizes."""
    for size, count, shown in ((SMALL_FILE_BYTES, 20_000, "110 KiB"), (MIB, 4096, "1 MiB"),
                               (8 * MIB, 512, "8 MiB")):
        port = free_port()
        with closing(Origin()) as origin, cached_mount(origin, f"g_server_Port={port}",
                                                       disk_mib=8192):
            make_small_files(origin, count, size)
            admin = Admin(port)
            wait_until(admin.answers)
            admin.run("small")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                index_bytes = sum(float(line.split()[-1]) for line in answer.read().decode().split("\n")
                                  if line.startswith("shoal_cache_index_bytes"))
            cached_mib = count * size / MIB
            yield Figure(f"memory of the index, {count:,} objects of {shown}", index_bytes, "bytes",
                         cached_mib, "MiB cached", index_bytes / cached_mib,
                         "<= 32 bytes for each", index_bytes / cached_mib <= 32)


CLIENTS = (Rclone, S3fs)


def against_peers(repeat, measures, name, unit_name):
    """One row for each peer; the first measure is ours, and the others are in CLIENTS' order."""
    rates = interleaved(repeat, *measures)
    return [at_least(1, name, rates[0], unit_name, rate, client.name)
            for client, rate in zip(CLIENTS, rates[1:])]


def peers(repeat):
    """Everyone has an empty disk cache at first; then all are warm at once."""
    with closing(Origin()) as origin:
        make_object(origin, "big", GIB)
        make_small_files(origin, 5000)
        make_tree(origin.bucket / "tree", directories=20, files_each=500)

        def ours():
            return cached_mount(origin, "g_metadata_CacheEnable=true", disk_mib=4096)

        mounts = (ours, *(lambda client=client: closing(client(origin)) for client in CLIENTS))

        def cold(measure):
            def each(open_mount):
                with open_mount() as mount:
                    return measure(mount)
            return [lambda mount=mount: each(mount) for mount in mounts]

        yield from against_peers(repeat, cold(lambda mount: mb_per_second("seq", mount / "big")),
                                 "cold sequential 1 GiB", "MB/s")
        yield from against_peers(repeat, cold(incomplete_rate),
                                 "random 4 KiB direct reads of an incomplete object, 8 threads",
                                 "reads/s")
        yield from against_peers(repeat, cold(small_files_rate),
                                 "5,000 files of 110 KiB, first epoch, 2 processes", "files/s")
        with contextlib.ExitStack() as stack:
            yield from warm_against_peers(repeat, [stack.enter_context(each()) for each in mounts])


def small_files_rate(mount):
    return operations_per_second("small-files", mount / "small", processes=2)


def incomplete_rate(mount):
    part = 256 * MIB
    mb_per_second("seq", mount / "big", bytes=part)
    return operations_per_second("random", mount / "big", threads=8, reads=20_000, bytes=part,
                                 direct=True)


def warm_against_peers(repeat, mounts):
    for mount in mounts:
        mb_per_second("seq", mount / "big", passes=2)
        small_files_rate(mount)
        operations_per_second("stat", mount / "tree")

    def rows(name, unit_name, measure):
        return against_peers(repeat, [lambda mount=mount: measure(mount) for mount in mounts],
                             name, unit_name)

    for threads in (1, 2):
        yield from rows(
            f"cached sequential 1 MiB reads, threads: {threads}", "MB/s",
            lambda mount: mb_per_second("seq", mount / "big", threads=threads))
    for threads in (1, 4):
        yield from rows(
            f"cached random 4 KiB reads, threads: {threads}", "reads/s",
            lambda mount: operations_per_second("random", mount / "big", threads=threads,
                                                reads=100_000))
    yield from rows("mmap first touch", "MB/s", lambda mount: mb_per_second("mmap", mount / "big"))
    yield from rows("5,000 files of 110 KiB, warm, 2 processes", "files/s", small_files_rate)
    yield from rows("stat of a warm tree of 10,000 entries", "stats/s",
                    lambda mount: operations_per_second("stat", mount / "tree"))


FIGURES = dict(memory_tier=memory_tier, disk_tier=disk_tier, incomplete=incomplete,
               small_files=small_files, small_files_far=small_files_far,
               stat_tree=stat_tree, start_up=start_up, index_memory=index_memory,
               peers=peers)
