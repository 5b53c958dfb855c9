"""Mounts of a bucket that is spoken to over HTTPS: the origin, behind a door with certificates."""
import asyncio
import errno
import os
import pathlib
import ssl
import subprocess
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

from admin import free_port
from harness import KEY_ID, KEY_SECRET, SHOAL, WAIT_SECONDS, MountTest, mounted, pattern, sha256

MIB = 1 << 20


class Authority:
    """What signs the certificate of `owner`; PEM files in `folder`."""

    def __init__(self, folder, name, owner="IP:127.0.0.1"):
        self.file = folder / f"{name}.pem"
        self.server = folder / f"{name}-server.pem"
        self.server_key = folder / f"{name}-server.key"
        key, request, names = (folder / f"{name}.{end}" for end in ("key", "csr", "san"))
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        self.openssl("req", "-x509", *curve, "-keyout", key, "-out", self.file, "-days", "1",
                     "-subj", f"/CN={name}")
        self.openssl("req", *curve, "-keyout", self.server_key, "-out", request,
                     "-subj", f"/CN=server of {name}")
        names.write_text(f"subjectAltName={owner}\n")
        self.openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", key,
                     "-CAcreateserial", "-out", self.server, "-days", "1", "-extfile", names)

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Door:
    """Ends TLS and hands the bytes on to the origin, as a load balancer does."""

    def __init__(self, origin, authority, port=0):
        self.origin = origin
        self.authority = authority
        self.connection_count = 0
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(self.listen(port))
        self.port = self.server.sockets[0].getsockname()[1]
        self.endpoint = f"https://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    async def listen(self, port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority.server, self.authority.server_key)
        return await asyncio.start_server(self.serve, "127.0.0.1", port, ssl=context)

    async def serve(self, reader, writer):
        self.connection_count += 1
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.origin.port)

        async def pump(source, sink):
            try:
                while piece := await source.read(256 << 10):
                    sink.write(piece)
                    await sink.drain()
            except ConnectionError:
                pass
            finally:
                sink.close()

        try:
            await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
        except asyncio.CancelledError:
            for end in (writer, inner_writer):  # the door closes
                end.transport.abort()

    def close(self):
        """With every connection."""
        if self.loop.is_closed():
            return

        async def end():
            self.server.close()
            serving = asyncio.all_tasks() - {asyncio.current_task()}
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
            self.loop.stop()

        asyncio.run_coroutine_threadsafe(end(), self.loop)
        self.thread.join(WAIT_SECONDS)
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())  # what is aborted ends
        self.loop.close()


class Https(MountTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix="shoal-tls-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.known = Authority(cls.folder, "known")
        cls.stranger = Authority(cls.folder, "stranger")

    def setUp(self):
        self.store = self.origin()

    def door(self, authority, port=0):
        door = Door(self.store, authority, port)
        self.addCleanup(door.close)
        return door

    def run_mount(self, door, *options):
        point = pathlib.Path(tempfile.mkdtemp(prefix="shoal-mount-"))
        self.addCleanup(point.rmdir)
        password = self.folder / "passwd"
        password.write_text(f"{KEY_ID}:{KEY_SECRET}\n")
        password.chmod(0o600)
        self.addCleanup(lambda: mounted(point) and
                        subprocess.run(["umount", "-l", point], check=True))
        result = subprocess.run(
            [SHOAL, "mount", "data:/", point, "-o",
             ",".join([f"endpoint={door.endpoint}", f"passwd_file={password}", *options])],
            capture_output=True, text=True, timeout=WAIT_SECONDS)
        return result, mounted(point)

    def test_a_bucket_is_read_back_whole_over_https(self):
        sizes = {"empty": 0, "small": 1, "d/odd": 3 * MIB + 17, "d/large": 24 * MIB}
        paths = {key: self.store.put(key, pattern(size, seed=seed))
                 for seed, (key, size) in enumerate(sizes.items())}
        door = self.door(self.known)
        mount = self.mount(door, f"ca_file={self.known.file}")
        self.assertEqual(sorted(os.listdir(mount.point)), ["d", "empty", "small"])
        for key, path in paths.items():
            self.assertEqual(sha256(mount / key), sha256(path), key)
        self.assertGreater(door.connection_count, 0)

    def test_an_authority_that_is_not_known_fails_the_mount_and_says_so(self):
        door = self.door(self.stranger)
        result, is_mounted = self.run_mount(door, f"ca_file={self.known.file}")
        self.assertNotEqual(result.returncode, 0)
        self.assertIsNone(is_mounted)
        self.assertIn(door.endpoint, result.stderr)
        self.assertIn("SSL certificate problem: unable to get local issuer certificate",
                      result.stderr)
        self.assertNotIn("attempts", result.stderr)
        self.assertEqual(sum(self.store.requests().values()), 0, "who is not known is sent no credentials")

    def test_without_verification_a_stranger_is_taken(self):
        self.store.put("file", pattern(MIB))
        mount = self.mount(self.door(self.stranger), "verify_certificate=false")
        self.assertEqual((mount / "file").read_bytes(), pattern(MIB))

    def test_a_certificate_that_goes_bad_under_a_mount_is_told_until_it_is_good_again(self):
        for name in ("first", "second", "third"):
            self.store.put(name, pattern(MIB))
        admin_port = free_port()
        door = self.door(self.known)
        mount = self.mount(door, f"ca_file={self.known.file}", f"g_server_Port={admin_port}",
                           "g_metadata_CacheEnable=false")

        def ready():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/readyz",
                                            timeout=WAIT_SECONDS) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        self.assertEqual((mount / "first").read_bytes(), pattern(MIB))
        self.assertEqual(ready(), (200, "ready\n"))
        door.close()
        bad = self.door(self.stranger, door.port)
        for name in ("second", "third"):
            self.assert_errno(errno.EIO, os.stat, mount / name)
        status, reason = ready()
        self.assertEqual(status, 503)
        self.assertIn("SSL certificate problem", reason)
        self.assertIn("SSL certificate problem", mount.log())
        bad.close()
        self.door(self.known, door.port)
        self.assertEqual((mount / "second").read_bytes(), pattern(MIB))
        self.assertEqual(ready(), (200, "ready\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
