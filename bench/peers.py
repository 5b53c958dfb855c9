"""Other clients of the same origin, over its S3 dialect, as their manuals say to use them."""
import os
import pathlib
import shutil
import subprocess
import tempfile

from measure import ROOT
from harness import KEY_ID, KEY_SECRET, WAIT_SECONDS, mounted, wait_for_mount_table


class Peer:
    """A mount in the foreground, with an empty cache of its own, that ends with the bench."""

    def __init__(self, origin):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="peer-", dir=ROOT / "build"))
        self.point = self.base / "mnt"
        self.cache = self.base / "cache"
        self.point.mkdir()
        self.cache.mkdir()
        # What the caller has set for another store is none of theirs.
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("AWS_", "RCLONE_"))}
        with open(self.base / "log", "wb") as log:
            self.process = subprocess.Popen(
                self.command(origin), env=environment | self.environment(origin), stdout=log,
                stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_for_mount_table(lambda: mounted(self.point), self._fail_if_ended)
            os.listdir(self.point)
        except BaseException:
            self.close()
            raise

    def command(self, origin):
        raise NotImplementedError

    def environment(self, _):
        return {}

    def _fail_if_ended(self):
        if self.process.poll() is not None:
            log = (self.base / "log").read_text(errors="replace")
            raise RuntimeError(f"{self.name} ended, {self.process.returncode}: {log}")

    def close(self):
        if mounted(self.point):
            subprocess.run(["umount", "-l", self.point], check=True)
        self.process.terminate()
        try:
            self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.base)

    def __truediv__(self, name):
        return self.point / name


class Rclone(Peer):
    name = "rclone mount, VFS cache full"

    def command(self, origin):
        return ["rclone", "mount", ":s3:data", self.point, "--read-only", "--config", "",
                "--vfs-cache-mode", "full", "--cache-dir", self.cache]

    def environment(self, origin):
        return {"RCLONE_S3_PROVIDER": "Other", "RCLONE_S3_ENDPOINT": origin.endpoint,
                "RCLONE_S3_ACCESS_KEY_ID": KEY_ID, "RCLONE_S3_SECRET_ACCESS_KEY": KEY_SECRET,
                "RCLONE_S3_FORCE_PATH_STYLE": "true"}


class S3fs(Peer):
    name = "s3fs with use_cache"

    def command(self, origin):
        password = self.base / "passwd"
        password.write_text(f"{KEY_ID}:{KEY_SECRET}\n")
        password.chmod(0o600)
        return ["s3fs", "data", self.point, "-f", "-o",
                f"ro,url={origin.endpoint},use_path_request_style,passwd_file={password},"
                f"use_cache={self.cache}"]
