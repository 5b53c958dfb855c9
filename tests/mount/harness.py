"""A real origin process and real mounts of it, which end with the test whatever happens.

Needs root, /dev/fuse and SHOAL_BIN (the program under test). Nothing here sleeps: it waits
for pipes, for processes, and for the kernel to say that the mount table changed.
"""
import base64
import contextlib
import email.utils
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

SHOAL = os.environ.get("SHOAL_BIN", "build/release/bin/shoal")
KEY_ID, KEY_SECRET = "test-key-id", "test-key-secret-never-to-be-logged"
WAIT_SECONDS = 60  # for what takes milliseconds, on a machine that is busy
LINUX = tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())
TRANSPORTS = ("dev", "io_uring") if LINUX >= (6, 14) else ("dev",)


def needs_linux(major, minor, what):
    """Leaves out, and says so, what no older kernel can do."""
    return unittest.skipUnless(LINUX >= (major, minor), f"needs Linux {major}.{minor}: {what}")


needs_passthrough = needs_linux(6, 9, "FUSE passthrough")
needs_survival = needs_linux(6, 9, "requests are sent again to the next worker")
needs_rings = needs_linux(6, 14, "FUSE over io_uring")


def mounted(path):
    """The (source, type) of the mount on top at `path`, or None."""
    found = None
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ")
        if left.split()[4] == str(path):
            kind, source = right.split()[:2]
            found = (source, kind)
    return found


def wait_for_mount_table(condition, give_up=lambda: None):
    """Until `condition()` holds; the kernel wakes us at each change of the table."""
    end = time.monotonic() + WAIT_SECONDS
    with open("/proc/self/mountinfo") as table:
        poll = select.poll()
        poll.register(table, select.POLLPRI | select.POLLERR)
        while not condition():
            give_up()
            if time.monotonic() > end:
                raise TimeoutError("the mount table did not change as expected")
            poll.poll(100)
            table.seek(0)
            table.read()


def state_directory(mount_point):
    """As `systemd-escape --path` names it."""
    name = "".join("-" if c == "/" else c if c.isascii() and (c.isalnum() or c in ":_.") else
                   "".join(f"\\x{byte:02x}" for byte in os.fsencode(c))
                   for c in str(mount_point).strip("/"))
    return pathlib.Path("/run/shoal") / name


def open_files(pid):
    """Path and name of each file that the process has open. It may close some meanwhile."""
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield path, os.readlink(path)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def pattern(size, seed=0):
    """Bytes of which no two 8-byte words in one object are the same."""
    words = range(seed << 40, (seed << 40) + (size + 7) // 8)
    return b"".join(w.to_bytes(8, "little") for w in words)[:size]


class Origin:
    """`shoal origin` on a directory of its own, with one bucket, "data"."""

    def __init__(self, keys=None, extra=()):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="shoal-origin-"))
        self.bucket = self.root / "store" / "data"
        self.bucket.mkdir(parents=True)
        self.credentials = self.root / "credentials.json"
        self.write_credentials(keys or [{"id": KEY_ID, "secret": KEY_SECRET}])
        self.process = None
        self.port = 0
        self.extra = list(extra)
        self.start()

    def write_credentials(self, keys):
        self.credentials.write_text(json.dumps(keys))
        self.credentials.chmod(0o600)

    def start(self, address="127.0.0.1"):
        self.process = subprocess.Popen(
            [SHOAL, "origin", "--root", self.root / "store", "--listen", f"{address}:{self.port}",
             "--bucket", "data", "--credentials", self.credentials, *self.extra],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert f"listening on http://{address}:" in line, line
        self.port = int(line.rsplit(":", 1)[1])
        self.endpoint = f"http://{address}:{self.port}"

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(WAIT_SECONDS)
            self.process.stdout.close()
            self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.root)

    def put(self, key, body):
        """As another program on the origin would: a new file, renamed into place."""
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.root, delete=False) as file:
            file.write(body)
        os.rename(file.name, path)
        return path

    def put_object(self, key, body, storage_class="Standard"):
        """Through the store's own interface, for keys and classes that files do not have."""
        date = email.utils.formatdate(usegmt=True)
        signed = f"PUT\n\n\n{date}\nx-oss-storage-class:{storage_class}\n/data/{key}"
        signature = base64.b64encode(
            hmac.digest(KEY_SECRET.encode(), signed.encode(), "sha1")).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        connection.request("PUT", "/data/" + urllib.parse.quote(key), body,
                           {"Date": date, "x-oss-storage-class": storage_class,
                            "Authorization": f"OSS {KEY_ID}:{signature}"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.status == 200, text

    def control(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/__origin/{path}", data=data,
                                         method="GET" if data is None else "POST")
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
            return json.loads(answer.read() or b"{}")

    def configure(self, **settings):
        self.control("config", settings)

    def reset_stats(self):
        self.control("stats/reset", {})

    def requests(self):
        """Requests since the last reset, by kind."""
        return self.control("stats")["requests"]


class Mount:
    """`shoal mount -f` of an origin's bucket."""

    def __init__(self, origin, *options, source="data:/", keep=False, point=None,
                 shoal=SHOAL):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="shoal-mount-"))
        self.point = point or self.base / "mnt"
        self.point.mkdir(exist_ok=True)
        self.password = self.base / "passwd"
        self.password.write_text(f"{KEY_ID}:{KEY_SECRET}\n")
        self.password.chmod(0o600)
        self.log_path = self.base / "log"
        credentials = () if any("g_oss_STSFile" in o or "passwd_file" in o for o in options) else (
            f"passwd_file={self.password}",)
        words = ["efc", "protocol=oss", f"endpoint={origin.endpoint}", *credentials, *options]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [shoal, "mount", "-f", source, self.point, "-o", ",".join(words)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_for_mount_table(self._serves, self._fail_if_ended)
            os.stat(self.point)
        except BaseException:
            self.close()
            raise

    def _serves(self):
        # The path may still show the mount of a daemon that was killed.
        return mounted(self.point) and "requests of up to" in self.log()

    def _fail_if_ended(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the mount ended, {self.process.returncode}: {self.log()}")

    def log(self):
        return self.log_path.read_text(errors="replace")

    def state(self):
        return json.loads((state_directory(self.point) / "state.json").read_text())

    def worker(self):
        """The process that serves; self.process is its keeper."""
        return self.state()["worker_pid"]

    def worker_threads(self):
        """Their names."""
        names = []
        for comm in pathlib.Path(f"/proc/{self.worker()}/task").glob("*/comm"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                names.append(comm.read_text().strip())
        return names

    def wait(self):
        """The daemon's exit status."""
        return self.process.wait(WAIT_SECONDS)

    def close(self):
        hung = False
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(WAIT_SECONDS)
            except subprocess.TimeoutExpired:
                hung = True
                self.process.kill()
                self.process.wait()
        while mounted(self.point):
            subprocess.run(["umount", "-l", self.point], check=True)
        shutil.rmtree(self.base, ignore_errors=True)  # a test may have closed it before
        if self.process.returncode == -signal.SIGKILL:
            shutil.rmtree(state_directory(self.point), ignore_errors=True)
        assert not hung, "the daemon did not end on SIGTERM"

    def __truediv__(self, name):
        return self.point / name


class MountTest(unittest.TestCase):
    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        # A test that is skipped for such a reason would count as passed.
        assert os.geteuid() == 0, "mounting needs root"
        assert os.path.exists("/dev/fuse"), "mounting needs /dev/fuse"

    def origin(self, **arguments):
        origin = Origin(**arguments)
        self.addCleanup(origin.close)
        return origin

    def mount(self, origin, *options, **arguments):
        mount = Mount(origin, *options, **arguments)
        self.addCleanup(mount.close)
        return mount

    def assert_errno(self, expected, call, *arguments):
        with self.assertRaises(OSError) as raised:
            call(*arguments)
        self.assertEqual(raised.exception.errno, expected, str(raised.exception))
