"""A bucket is read by every protocol, signature and kind of address, as the services have them.

Host names are known in a mount namespace alone that ends with the test.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from harness import KEY_ID, KEY_SECRET, SHOAL, WAIT_SECONDS, MountTest, pattern, sha256
from tls_test import Authority, Door

OSS_HOST, S3_HOST = "oss-cn-hangzhou.shoal.test", "s3.us-east-1.shoal.test"
HOSTS = "".join(f"127.0.0.1 {prefix}{host}\n" for host in (OSS_HOST, S3_HOST)
                for prefix in ("", "data."))
READS_ALL = """
    set -e
    hosts=$1 source=$2 point=$3 options=$4
    mount --bind "$hosts" /etc/hosts
    "$SHOAL" mount "$source" "$point" -o "$options"
    trap 'umount "$point"' EXIT
    cd "$point"
    find . -type f -exec sha256sum {} +
    cd /
"""


class Addresses(MountTest):
    def setUp(self):
        self.store = self.origin()
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="shoal-addresses-"))
        self.addCleanup(shutil.rmtree, self.base)
        self.hosts = self.base / "hosts"
        self.hosts.write_text(HOSTS)
        self.point = self.base / "point"
        self.point.mkdir()
        self.password = self.base / "passwd"
        self.password.write_text(f"{KEY_ID}:{KEY_SECRET}\n")
        self.password.chmod(0o600)
        names = ["small", "d/a name+with%20all&of=it", "d/数据/ü~'()*!", "d/large"]
        self.sums = {name: sha256(self.store.put(name, pattern(20 << 20 if i == 3 else 999, i)))
                     for i, name in enumerate(names)}

    def assert_reads(self, source, *options):
        self.store.reset_stats()
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", READS_ALL, "sh",
             self.hosts, source, self.point, ",".join([f"passwd_file={self.password}", *options])],
            env={**os.environ, "SHOAL": str(pathlib.Path(SHOAL).resolve())}, capture_output=True,
            text=True, timeout=WAIT_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        read = {name.removeprefix("./"): digest
                for digest, name in (line.split("  ", 1) for line in done.stdout.splitlines())}
        self.assertEqual(read, self.sums)
        self.assertGreater(self.store.requests()["Get"], 3, "no other store was asked")

    def test_oss_by_either_signature_at_a_bucket_s_own_host_and_below_an_address(self):
        for signature in ("v4", "v1"):
            for host in (OSS_HOST, "127.0.0.1"):
                with self.subTest(f"{signature} {host}"):
                    self.assert_reads("data:/", f"endpoint=http://{host}:{self.store.port}",
                                      f"protocol=oss,signature_version={signature}")

    def test_s3_at_a_bucket_s_own_host_and_below_an_address(self):
        for host in (S3_HOST, "127.0.0.1"):
            with self.subTest(host):
                self.assert_reads("data:/", f"endpoint=http://{host}:{self.store.port}",
                                  "protocol=s3")

    def test_a_store_at_an_ipv6_address(self):
        self.store.stop()
        self.store.start(address="[::1]")
        self.assert_reads("data:/", f"endpoint=http://[::1]:{self.store.port}")

    def test_a_source_that_names_the_bucket_s_host_is_read_over_https(self):
        authority = Authority(self.base, "authority", f"DNS:data.{OSS_HOST}")
        door = Door(self.store, authority)
        self.addCleanup(door.close)
        self.assert_reads(f"data.{OSS_HOST}:{door.port}:/",
                          f"efc,protocol=oss,ca_file={authority.file}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
