"""What is installed works by the names that users type.

Installed beside the machine's own programs, in a mount namespace that ends with the test.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from harness import KEY_ID, KEY_SECRET, SHOAL, WAIT_SECONDS, MountTest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
SEES_WHAT_IS_INSTALLED = """
    set -e
    mount --bind "$root/usr/local/bin" /usr/local/bin
    sbin=$(readlink -f /sbin)
    mount -t overlay -o "lowerdir=$root/sbin:$sbin" overlay "$sbin"
    trap 'umount "$point"' EXIT
"""


class Install(MountTest):
    def setUp(self):
        self.store = self.origin()
        self.store.put("file", b"what the bucket has")
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="shoal-install-"))
        self.addCleanup(shutil.rmtree, self.base)
        self.root, self.point = self.base / "root", self.base / "point"
        self.point.mkdir()
        password = self.base / "passwd"
        password.write_text(f"{KEY_ID}:{KEY_SECRET}\n")
        password.chmod(0o600)
        self.options = f"endpoint={self.store.endpoint},passwd_file={password}"
        subprocess.run(["sh", TOOLS / "install.sh", SHOAL, self.root], check=True,
                       capture_output=True, timeout=WAIT_SECONDS)

    def type(self, commands):
        """What a shell prints that sees the installed programs; the mount ends with it."""
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             SEES_WHAT_IS_INSTALLED + commands],
            env={**os.environ, "root": str(self.root), "point": str(self.point),
                 "options": self.options},
            check=True, stdout=subprocess.PIPE, text=True, timeout=WAIT_SECONDS).stdout

    def test_mount_8_mounts_changes_and_unmounts_by_the_types_it_shows(self):
        for kind in ("alinas", "fuse.alinas", "fuse.shoal"):
            with self.subTest(kind):
                shown = self.type(f"""
                    mount -t {kind} -o "efc,$options" data:/ "$point"
                    cat "$point/file"
                    mount -o remount,readahead_kb=512 "$point"
                    findmnt -n -o FSTYPE "$point"
                    cat /sys/class/bdi/$(mountpoint -d "$point")/read_ahead_kb
                """)
                self.assertEqual(shown, f"what the bucket hasfuse.{kind.split('.')[-1]}\n512\n")


if __name__ == "__main__":
    unittest.main()
