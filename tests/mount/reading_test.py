"""What a reader of the mount sees: whole trees, whole contents."""
import concurrent.futures
import errno
import fcntl
import hashlib
import mmap
import os
import random
import subprocess
import unittest
import urllib.request

from admin import free_port
from harness import MountTest, needs_rings, pattern, sha256

MIB = 1 << 20
SIZES = [0, 1, 4095, 4096, 4097, 16384, MIB - 1, MIB, MIB + 1, 20 * MIB + 17]


class ReadingThroughEitherTransport:
    transport = None

    def mount_it(self, origin, *options):
        mount = self.mount(origin, f"transport={self.transport}", *options)
        uses_ring = self.transport == "io_uring"
        self.assertIn("io_uring: in use" if uses_ring else "io_uring: not in use", mount.log())
        return mount

    def test_a_tree_reads_back_byte_for_byte(self):
        origin = self.origin()
        written = {}
        for number, size in enumerate(SIZES):
            for folder in ("", "a/", "a/b c/", "数据/ü/"):
                key = f"{folder}file-{number}"
                written[key] = sha256(origin.put(key, pattern(size, number)))
        mount = self.mount_it(origin)
        read = {}
        for folder, _, names in os.walk(mount.point):
            for name in names:
                path = os.path.join(folder, name)
                read[os.path.relpath(path, mount.point)] = sha256(path)
        self.assertEqual(read, written)

    def test_64_readers_at_once_each_get_the_whole_file(self):
        origin = self.origin()
        expected = sha256(origin.put("shared", pattern(24 * MIB, 1)))
        mount = self.mount_it(origin)
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            digests = list(pool.map(sha256, [mount / "shared"] * 64))
        self.assertEqual(set(digests), {expected})

    def test_64_files_at_once_each_read_back(self):
        origin = self.origin()
        expected = [sha256(origin.put(f"d/{i}", pattern(2 * MIB + i, i))) for i in range(64)]
        mount = self.mount_it(origin, "read_memory_mb=16")
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            digests = list(pool.map(sha256, [mount / f"d/{i}" for i in range(64)]))
        self.assertEqual(digests, expected)

    def test_random_reads_by_many_threads_give_the_bytes_at_their_offsets(self):
        origin = self.origin()
        body = pattern(40 * MIB + 123, 3)
        origin.put("random", body)
        mount = self.mount_it(origin)
        descriptor = os.open(mount / "random", os.O_RDONLY)
        self.addCleanup(os.close, descriptor)

        def read_some(seed):
            chance = random.Random(seed)
            for _ in range(60):
                offset = chance.randrange(len(body) + 1000)
                length = chance.choice([1, 512, 4096, 65536, MIB, 3 * MIB])
                if os.pread(descriptor, length, offset) != body[offset:offset + length]:
                    return f"seed {seed}: wrong bytes at {offset}+{length}"
            return None

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            self.assertEqual(list(filter(None, pool.map(read_some, range(16)))), [])

    def test_a_mapped_file_has_the_same_bytes(self):
        origin = self.origin()
        body = pattern(5 * MIB + 5, 4)
        origin.put("mapped", body)
        mount = self.mount_it(origin)
        with open(mount / "mapped", "rb") as file:
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
                self.assertEqual(view[:], body)

    def test_the_ends_of_a_5_tb_object_can_be_read(self):
        origin = self.origin()
        size = 5 * 10**12
        path = origin.put("huge", b"begin")
        with open(path, "r+b") as file:
            file.truncate(size)
            file.seek(size - 3)
            file.write(b"end")
        mount = self.mount_it(origin)
        self.assertEqual(os.stat(mount / "huge").st_size, size)
        descriptor = os.open(mount / "huge", os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        self.assertEqual(os.pread(descriptor, 8, 0), b"begin\0\0\0")
        self.assertEqual(os.pread(descriptor, 100, size - 5), b"\0\0end")
        self.assertEqual(os.pread(descriptor, 100, size), b"")
        self.assertEqual(os.pread(descriptor, 10, size // 2), b"\0" * 10)

    def test_ls_l_of_100_000_objects_asks_for_the_pages_and_no_more(self):
        origin = self.origin()
        folder = origin.bucket / "many"
        folder.mkdir()
        for i in range(100_000):
            (folder / f"{i:06}").touch()
        mount = self.mount_it(origin)
        os.stat(mount / "many")
        origin.reset_stats()
        listed = subprocess.run(["ls", "-l", mount / "many"], capture_output=True, check=True)
        self.assertEqual(len(listed.stdout.splitlines()), 100_001)
        requests = origin.requests()
        self.assertEqual(requests.get("Head", 0), 0)
        # 100 pages; and if the machine is busy and they are slow, those that cutting costs.
        self.assertLessEqual(sum(requests.values()), 150, requests)


    def test_an_ioctl_is_refused_however_much_it_brings(self):
        origin = self.origin()
        origin.put("file", b"contents")
        mount = self.mount_it(origin)
        with open(mount / "file", "rb") as file:
            for size in (8, 4096, 16383):
                request = 1 << 30 | size << 16 | ord("z") << 8 | 1  # _IOW('z', 1, size)
                self.assert_errno(errno.ENOTTY, fcntl.ioctl, file, request, bytearray(size))
            self.assertEqual(file.read(), b"contents")


@needs_rings
class ReadingOverIoUring(ReadingThroughEitherTransport, MountTest):
    transport = "io_uring"


class ReadingOverDevFuse(ReadingThroughEitherTransport, MountTest):
    transport = "dev"


class Requests(MountTest):
    def test_random_4k_reads_fetch_16_kib_each(self):
        origin = self.origin()
        path = origin.put("big", b"")
        os.truncate(path, 1 << 30)
        mount = self.mount(origin)
        descriptor = os.open(mount / "big", os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        origin.reset_stats()
        chance = random.Random(1)
        for _ in range(200):
            os.pread(descriptor, 4096, chance.randrange(1 << 18) * 4096)
        sent = origin.control("stats")["bytes"]["Get"]
        self.assertLessEqual(sent, 200 * 16384 + 4 * MIB)  # a few neighbours look like a stream

    def test_one_sequential_pass_fetches_each_byte_once(self):
        origin = self.origin()
        origin.put("once", pattern(64 * MIB))
        mount = self.mount(origin)
        origin.reset_stats()
        sha256(mount / "once")
        self.assertEqual(origin.control("stats")["bytes"]["Get"], 64 * MIB)

    def test_the_smallest_and_the_largest_blocks_bring_each_byte_once_as_well(self):
        origin = self.origin()
        body = pattern(40 * MIB + 12345)
        origin.put("once", body)
        for block_bytes in (1 << 16, 8 * MIB):
            mount = self.mount(origin, f"g_tier_BlockSize={block_bytes}")
            origin.reset_stats()
            self.assertEqual(sha256(mount / "once"), hashlib.sha256(body).hexdigest())
            stats = origin.control("stats")
            self.assertEqual(stats["bytes"]["Get"], len(body))
            if block_bytes == 8 * MIB:
                self.assertEqual(stats["requests"]["Get"], 6)
            mount.close()

    def test_64_readers_of_one_cold_file_fetch_it_once(self):
        origin = self.origin()
        origin.put("once", pattern(8 * MIB))
        mount = self.mount(origin)
        origin.reset_stats()
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            list(pool.map(sha256, [mount / "once"] * 64))
        self.assertEqual(origin.control("stats")["bytes"]["Get"], 8 * MIB)

    def test_pages_stay_in_the_kernel_over_opens_while_the_object_is_unchanged(self):
        origin = self.origin()
        origin.put("kept", pattern(3 * MIB))
        mount = self.mount(origin)
        first = sha256(mount / "kept")
        origin.reset_stats()
        self.assertEqual(sha256(mount / "kept"), first)
        self.assertEqual(origin.requests().get("Get", 0), 0)
        self.assertEqual(origin.requests().get("Head", 0), 1, "each open asks once")


class Names(MountTest):
    def test_a_directory_is_shown_where_a_file_has_the_same_name(self):
        origin = self.origin()
        origin.put("a/b/c", b"leaf")
        # No directory can hold both, so the client's own way in: see put_object.
        origin.put_object("a/b", b"file")
        mount = self.mount(origin)
        self.assertEqual(os.listdir(mount / "a"), ["b"])
        self.assertEqual(os.listdir(mount / "a/b"), ["c"])
        self.assertEqual((mount / "a/b/c").read_bytes(), b"leaf")

    def test_keys_no_path_can_name_are_hidden_and_said_once(self):
        origin = self.origin()
        for key in ("/absolute", "x//y", "x/./y", "x/../y", "x/fine"):
            origin.put_object(key, b"1")
        port = free_port()
        mount = self.mount(origin, f"g_server_Port={port}")
        for _ in range(2):
            self.assertEqual(sorted(os.listdir(mount.point)), ["x"])
            self.assertEqual(os.listdir(mount / "x"), ["fine"])
        self.assertEqual(mount.log().count("cannot be named by a path"), 1, mount.log())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as metrics:
            self.assertIn("\nshoal_hidden_keys_total 8\n", metrics.read().decode())

    def test_names_over_255_bytes_list_and_open(self):
        origin = self.origin()
        name = "n" * 1000
        origin.put_object("d/" + name, b"long")
        mount = self.mount(origin)
        listed = subprocess.run(["ls", "-f", mount / "d"], capture_output=True, check=True)
        self.assertIn(name.encode(), listed.stdout.split())
        self.assertEqual((mount / "d" / name).read_bytes(), b"long")
        name_max = os.statvfs(mount.point).f_namemax
        self.assert_errno(errno.ENOENT, os.stat, mount / ("n" * name_max))
        self.assert_errno(errno.ENAMETOOLONG, os.stat, mount / ("n" * (name_max + 1)))

    def test_a_key_of_the_greatest_length_is_found(self):
        for protocol in ("oss", "s3"):
            with self.subTest(protocol):
                origin = self.origin()
                keys = ["k" * 1023, "d/" + "n" * 1021, "d/" + "m" * 1020]
                for key in keys:
                    origin.put_object(key, key.encode())
                mount = self.mount(origin, f"protocol={protocol}")
                for key in keys:
                    self.assertEqual((mount / key).read_bytes(), key.encode())
                    self.assert_errno(errno.ENOENT, os.stat, mount / ("x" + key[1:]))

    def test_empty_directories_and_markers(self):
        origin = self.origin()
        origin.put_object("marked/", b"")
        origin.put_object("marked/inner/", b"")
        mount = self.mount(origin)
        self.assertEqual(os.listdir(mount / "marked"), ["inner"])
        self.assertEqual(os.listdir(mount / "marked/inner"), [])
        self.assert_errno(errno.EISDIR, os.open, mount / "marked", os.O_WRONLY)

    def test_only_what_is_below_the_prefix_is_shown(self):
        origin = self.origin()
        origin.put("models/a/weights", b"w")
        origin.put("secret", b"s")
        mount = self.mount(origin, source="data:/models/a")
        self.assertEqual(os.listdir(mount.point), ["weights"])
        self.assert_errno(errno.ENOENT, os.stat, mount / "secret")

    def test_inode_numbers_are_unique_and_the_same_after_a_remount(self):
        origin = self.origin()
        for i in range(50):
            origin.put(f"d{i % 5}/f{i}", b"same bytes")

        def numbers(mount):
            return {os.path.relpath(os.path.join(folder, name), mount.point):
                    os.lstat(os.path.join(folder, name)).st_ino
                    for folder, folders, names in os.walk(mount.point) for name in folders + names}

        first = self.mount(origin)
        before = numbers(first)
        first.close()
        after = numbers(self.mount(origin))
        self.assertEqual(before, after)
        self.assertEqual(len(set(before.values())), 55)


class Attributes(MountTest):
    def test_everything_belongs_to_root_and_has_the_objects_size_and_time(self):
        origin = self.origin()
        path = origin.put("d/file", b"12345")
        os.utime(path, (1_700_000_000, 1_700_000_000))
        mount = self.mount(origin)
        found = os.stat(mount / "d/file")
        self.assertEqual((found.st_uid, found.st_gid, found.st_mode & 0o7777, found.st_size,
                          found.st_mtime), (0, 0, 0o644, 5, 1_700_000_000))
        self.assertEqual(os.stat(mount / "d").st_mode & 0o7777, 0o755)

    def test_df_shows_what_the_bucket_holds(self):
        origin = self.origin()
        origin.put("d/one", b"x" * 1_000_000)
        origin.put("two", b"x" * 500_000)
        mount = self.mount(origin)
        while (used := os.statvfs(mount.point)).f_blocks - used.f_bfree == 0:
            pass  # the first answer does not wait for the store
        blocks = used.f_blocks - used.f_bfree
        self.assertLess(abs(blocks * used.f_frsize - 1_500_000), used.f_frsize)
        self.assertEqual(used.f_files - used.f_ffree, 2)
        for total, free in ((used.f_blocks, used.f_bfree), (used.f_files, used.f_ffree)):
            self.assertGreater(free, total * 0.99)  # a bucket is never full

    def test_every_way_of_writing_is_refused_with_erofs(self):
        origin = self.origin()
        origin.put("file", b"x")
        mount = self.mount(origin)
        file, new = mount / "file", mount / "new"
        for call in ((os.open, file, os.O_WRONLY), (os.open, new, os.O_CREAT | os.O_WRONLY),
                     (os.mkdir, new), (os.unlink, file), (os.rename, file, new),
                     (os.symlink, "x", new), (os.link, file, new), (os.truncate, file, 0),
                     (os.chmod, file, 0), (os.chown, file, 1, 1), (os.utime, file),
                     (os.mkfifo, new), (os.setxattr, file, "user.a", b"b"),
                     (os.rmdir, mount.point / "file")):
            with self.subTest(call[0].__name__):
                self.assert_errno(errno.EROFS, *call)
        self.assert_errno(errno.EINVAL, os.readlink, file)
        self.assert_errno(errno.ENOTSUP, os.getxattr, file, "user.a")
        self.assertEqual(file.read_bytes(), b"x")

    def test_a_remount_by_force_makes_nothing_writable(self):
        origin = self.origin()
        origin.put("file", b"x")
        mount = self.mount(origin)
        subprocess.run(["mount", "-i", "-o", "remount,rw", mount.point], check=True)
        file, new = mount / "file", mount / "new"
        for call in (*((os.open, file, flags) for flags in
                       (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_APPEND | os.O_RDWR)),
                     (os.open, new, os.O_CREAT | os.O_WRONLY), (os.mkdir, new), (os.unlink, file),
                     (os.truncate, file, 0), (os.utime, file)):
            with self.subTest(call):
                self.assert_errno(errno.EROFS, *call)
        self.assertEqual(file.read_bytes(), b"x")


class Versions(MountTest):
    def test_reopening_a_replaced_object_sees_the_new_one_at_once(self):
        origin = self.origin()
        mount = self.mount(origin)
        for round_ in range(30):
            body = pattern(1000 + round_, round_)
            origin.put("file", body)
            self.assertEqual((mount / "file").read_bytes(), body)

    def test_a_listed_object_that_was_replaced_opens_as_the_new_one(self):
        origin = self.origin()
        origin.put("d/file", b"old")
        mount = self.mount(origin)
        os.listdir(mount / "d")
        os.stat(mount / "d/file")
        origin.put("d/file", b"newer")
        self.assertEqual((mount / "d/file").read_bytes(), b"newer")
        self.assertEqual(os.stat(mount / "d/file").st_size, 5)

    def test_a_handle_reads_its_own_version_or_estale_and_never_a_mixture(self):
        origin = self.origin()
        old, new = pattern(32 * MIB, 1), pattern(32 * MIB, 2)
        origin.put("file", old)
        mount = self.mount(origin)
        descriptor = os.open(mount / "file", os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        self.assertEqual(os.pread(descriptor, MIB, 0), old[:MIB])
        origin.put("file", new)
        self.assertEqual((mount / "file").read_bytes(), new)  # fills the new version's pages
        stale = 0
        for offset in range(0, 32 * MIB, MIB):
            try:
                self.assertEqual(os.pread(descriptor, MIB, offset), old[offset:offset + MIB])
            except OSError as error:
                self.assertIn(error.errno, (errno.ESTALE, errno.EIO))
                stale += 1
        self.assertGreater(stale, 0)

    def test_an_object_deleted_while_open_reads_its_old_bytes_or_estale(self):
        origin = self.origin()
        body = pattern(16 * MIB, 1)
        path = origin.put("file", body)
        mount = self.mount(origin)
        with open(mount / "file", "rb", buffering=0) as file:
            self.assertEqual(file.read(4096), body[:4096])
            path.unlink()
            self.assert_errno(errno.ESTALE, os.pread, file.fileno(), 4096, 15 * MIB)
        self.assert_errno(errno.ENOENT, os.open, mount / "file", os.O_RDONLY)

    def test_archived_objects_are_listed_and_refuse_to_open(self):
        origin = self.origin()
        origin.put_object("cold", b"x", storage_class="Archive")
        origin.put_object("colder", b"x", storage_class="DeepColdArchive")
        mount = self.mount(origin)
        self.assertEqual(sorted(os.listdir(mount.point)), ["cold", "colder"])
        self.assert_errno(errno.EACCES, os.open, mount / "cold", os.O_RDONLY)
        self.assert_errno(errno.EACCES, os.open, mount / "colder", os.O_RDONLY)
        self.assertIn("Deep Cold Archive", mount.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
