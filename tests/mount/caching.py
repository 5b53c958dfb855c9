"""What tests of the cache share: places to keep one, and what is in it and in the kernel.

Places end with the test whatever happens. Needs losetup and mkfs.ext4,
and for some mkfs.xfs.
"""
import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from harness import SHOAL, WAIT_SECONDS, MountTest

MIB = 1 << 20


def wait_until(condition, seconds=WAIT_SECONDS):
    """For what nobody announces. Looks again every few milliseconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it did not come to that")
        time.sleep(0.005)


def drop_pages(descriptor):
    """Whoever reads next asks the mount, and not the kernel's own pages."""
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def sha256_anew(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        drop_pages(descriptor)
        digest = hashlib.sha256()
        while block := os.read(descriptor, MIB):
            digest.update(block)
        return digest.hexdigest()
    finally:
        os.close(descriptor)


def files_of(directory, suffix):
    """The cache's files, as they are just now."""
    return sorted(pathlib.Path(directory).glob(f"shoal-cache/??/*.{suffix}"))


def shelved(directory):
    """(shelf, offset of its meta) of each object on a shelf: see docs/disk_format.md."""
    for index in sorted(pathlib.Path(directory).glob("shoal-cache/shelves/*.index")):
        here, log = {}, index.read_bytes()
        for at in range(0, len(log) - 31, 32):
            kind, block = log[at + 23], int.from_bytes(log[at + 16:at + 20], "little")
            if kind == 1:
                here[log[at:at + 16]] = block
            elif kind == 3 and here.get(log[at:at + 16]) == block:
                del here[log[at:at + 16]]
        for block in here.values():
            yield index.with_suffix(".bytes"), block * 4096


def metas(directory):
    """The meta of each object that is cached, as it is just now."""
    for path in files_of(directory, "meta"):
        with contextlib.suppress(FileNotFoundError):  # evicted
            yield path.read_bytes()
    for path, offset in shelved(directory):
        with open(path, "rb") as shelf:
            shelf.seek(offset)
            yield shelf.read(4096)


def cached_bytes(directory):
    """Bytes in pages that have their checksum."""
    total = 0
    for meta in metas(directory):
        page_bytes, size_bytes = (int.from_bytes(meta[20:24], "little"),
                                  int.from_bytes(meta[24:32], "little"))
        for page, offset in enumerate(range(2048, len(meta), 8)):
            if any(meta[offset:offset + 8]):
                total += min(page_bytes, size_bytes - page * page_bytes)
    return total


def wait_until_cached(bytes_, *directories):
    wait_until(lambda: sum(map(cached_bytes, directories)) >= bytes_)


def used_bytes(directory):
    """As du counts."""
    return int(subprocess.run(["du", "-s", "-B1", directory], capture_output=True, text=True,
                              check=False).stdout.split()[0])  # 1: a file went meanwhile


def cache_options(*directories, disk_mib=64, memory_mib=0):
    words = ["g_tier_DadiIsDistributed=false", "cache_min_free_mb=0"]
    if directories:
        words += [f"g_tier_DadiDiskCacheCapacityMB={disk_mib}",
                  "g_tier_DadiDiskCachePath=" + "".join(f"{d}/:" for d in directories)]
    if memory_mib:
        words.append(f"g_tier_DadiMemCacheCapacityMB={memory_mib}")
    return ",".join(words)


class CacheTest(MountTest):
    def directory(self):
        path = pathlib.Path(tempfile.mkdtemp(prefix="shoal-cache-"))
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def tmpfs(self, size_mib, path=None):
        path = path or self.directory()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", path],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=True)
        return path

    def image(self, size_mib):
        image = self.directory() / "image"
        with open(image, "wb") as file:
            file.truncate(size_mib * MIB)
        return image

    def ext4(self, size_mib, options="defaults", block_bytes=1024):
        """A file system in an image file of its own: (mount point, image)."""
        image = self.image(size_mib)
        subprocess.run(["mkfs.ext4", "-q", "-b", str(block_bytes), "-E",
                        "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
        return self.loop_mount(image, options), image

    def xfs(self, size_mib):
        """Its mount point."""
        if shutil.which("mkfs.xfs") is None:
            self.skipTest("needs mkfs.xfs, of the package xfsprogs")
        image = self.image(size_mib)
        subprocess.run(["mkfs.xfs", "-q", image], check=True)
        return self.loop_mount(image)

    def loop_mount(self, image, options="defaults"):
        device = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, text=True,
                                check=True).stdout.strip()
        self.addCleanup(subprocess.run, ["losetup", "-d", device], check=True)
        path = self.directory()
        subprocess.run(["mount", "-o", options, device, path], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=True)
        return path

    def freeze(self, disk):
        """Thaws by itself, even if this process is stuck in a read."""
        rescue = subprocess.Popen(["sh", "-c", f"read _; fsfreeze -u {disk}"],
                                  stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        timer = threading.Timer(30, rescue.stdin.close)
        timer.start()

        def end():
            timer.cancel()
            rescue.stdin.close()
            rescue.wait()

        self.addCleanup(end)
        subprocess.run(["fsfreeze", "-f", disk], check=True)

    def thaw(self, disk):
        subprocess.run(["fsfreeze", "-u", disk], check=True)

    def small_memory_group(self, limit_bytes):
        """A control group with that limit, which the test's processes may enter."""
        group, limit = self.control_group("memory", "memory.limit_in_bytes", "memory.max")
        limit.write_text(str(limit_bytes))
        return group

    def thread_group(self):
        """A control group, and the file for its limit of threads: "max" at first."""
        return self.control_group("pids", "pids.max", "pids.max")

    def control_group(self, controller, limit_of_v1, limit_of_v2):
        for root, limit in ((f"/sys/fs/cgroup/{controller}", limit_of_v1),
                            ("/sys/fs/cgroup", limit_of_v2)):
            group = pathlib.Path(root, f"shoal-test-{os.getpid()}")
            try:
                group.mkdir()
            except OSError:
                continue
            self.addCleanup(group.rmdir)
            if (group / limit).exists():
                return group, group / limit
        raise unittest.SkipTest("needs a control group of its own")

    def shoal_in(self, group):
        """The program, in that group from its beginning."""
        return self.shoal_after(f"echo $$ > {group}/cgroup.procs")

    def shoal_after(self, command):
        """The program, from a shell that ran `command`."""
        program = self.directory() / "shoal"
        program.write_text(f'#!/bin/sh\n{command}\nexec {SHOAL} "$@"\n')
        program.chmod(0o755)
        return program

    def get_bytes(self, origin):
        """Bytes of objects that the origin sent since its statistics were reset."""
        return origin.control("stats")["bytes"]["Get"]

    def assert_reads(self, mount, written):
        """Every byte, from the mount and not from the kernel's pages."""
        self.assertEqual({key: sha256_anew(mount / key) for key in written}, written)

    def assert_reads_without_a_get(self, origin, mount, written):
        origin.reset_stats()
        self.assert_reads(mount, written)
        self.assertEqual(origin.requests().get("Get", 0), 0)

    def reads_without_a_get(self, origin, mount, written):
        origin.reset_stats()
        self.assert_reads(mount, written)
        return origin.requests().get("Get", 0) == 0
