"""What is installed works by the names that users type.

Installed beside the machine's own programs, in a mount namespace that ends with the test.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from admin import free_port
from harness import KEY_ID, KEY_SECRET, SHOAL, WAIT_SECONDS, MountTest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEES_WHAT_IS_INSTALLED = """
    set -e
    mount --bind "$root/usr/local/bin" /usr/local/bin
    sbin=$(readlink -f /sbin)
    mount -t overlay -o "lowerdir=$root/sbin:$sbin" overlay "$sbin"
    mount -t overlay -o "lowerdir=$root/usr/bin:/usr/bin" overlay /usr/bin
    trap 'umount "$point"' EXIT
"""

# Each command of the specification from "Cache operations" to "Data consistency", as it stands there.
SPECIFIED = r"""
curl -s "http://localhost:17871/v1/warmup/load?target_path=file100G"
curl -s "http://localhost:17871/v1/warmup/stat?target_path=file100G"
curl -s "http://localhost:17871/v1/warmup/cancel?target_path=file100G"
/usr/bin/aliyun-alinas-efc-cli -m /mnt/oss_data -r warmup/load --path "testDir" --pattern ".*_2$"
/usr/bin/aliyun-alinas-efc-cli -m /mnt/oss_data -r warmup/stat --path "testDir"
/usr/bin/aliyun-alinas-efc-cli -m /mnt/oss_data -r warmup/cancel --path "testDir"
curl -s "http://localhost:17871/v1/tier"
aliyun-alinas-efc-cli -m <mount_point> -r tier
curl -s "http://localhost:17871/v1/tier/clear"
aliyun-alinas-efc-cli -m <mount_point> -r tier -c
python3 efc_runtime_ops.py update /mnt/oss_data \
-o g_tier_EnableClusterCache=true,g_tier_DadiP2PPort=23456 \
-o g_tier_BlockSize=1048576
python3 efc_runtime_ops.py rollback /mnt/oss_data
curl -s "http://localhost:17871/v1/action/clear_readdir_cache"
aliyun-alinas-efc-cli -m <mount_point> -r action -k clear_readdir_cache
curl -s "http://localhost:17871/v1/action/clear_metadata_cache"
"""
COUNTERS = [f"tier_{name}{unit}" for name in ("read", "read_hit", "read_miss", "direct_read",
                                              "root_read_source") for unit in ("", "_bytes")]


def understood(printed):
    """The object that it is, of tasks what does not depend on the moment; or the text."""
    try:
        answer = json.loads(printed)
    except ValueError:
        return printed
    for result in answer.get("Results", []):
        for task in result.get("TaskInfos", []):
            for member in ("CompletedSize", "TotalSize", "IsDir", "SubmitTime"):
                del task[member]
    return answer


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
        subprocess.run(["sh", ROOT / "tools/install.sh", SHOAL, self.root], check=True,
                       capture_output=True, timeout=WAIT_SECONDS)

    def type(self, commands):
        """What a shell prints that sees the installed programs; the mount ends with it."""
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             SEES_WHAT_IS_INSTALLED + commands],
            env={**os.environ, "root": str(self.root), "point": str(self.point),
                 "options": self.options},
            check=True, stdout=subprocess.PIPE, text=True, timeout=WAIT_SECONDS).stdout

    def test_what_operators_are_told_of_is_where_they_look_for_it(self):
        local = self.root / "usr/local"
        installed = {str(path.relative_to(self.root)) for path in self.root.rglob("*")
                     if not path.is_dir()}
        self.assertEqual(installed, {
            "sbin/mount.alinas", "sbin/mount.fuse.alinas", "sbin/mount.fuse.shoal",
            "usr/bin/aliyun-alinas-efc-cli",
            "usr/local/bin/shoal",
            "usr/local/lib/systemd/system/shoal@.service",
            "usr/local/share/shoal/efc_runtime_ops.py",
            "usr/local/share/shoal/grafana/shoal.json",
            "usr/local/share/shoal/prometheus/shoal.rules.yml",
            "usr/local/share/man/man1/shoal.1", "usr/local/share/man/man8/mount.alinas.8",
            "usr/local/share/man/man1/aliyun-alinas-efc-cli.1",
            "usr/local/share/zsh/site-functions/_shoal",
            *(f"usr/local/share/{folder}/{name}{ending}"
              for folder, ending in (("bash-completion/completions", ""),
                                     ("fish/vendor_completions.d", ".fish"))
              for name in ("shoal", "aliyun-alinas-efc-cli", "mount.alinas", "efc_runtime_ops.py"))})
        for folder, file in (("lib/systemd/system", "systemd/shoal@.service"),
                             ("share/shoal/grafana", "grafana/shoal.json"),
                             ("share/shoal/prometheus", "prometheus/shoal.rules.yml")):
            there = local / folder / pathlib.Path(file).name
            self.assertEqual(there.read_bytes(), (ROOT / "packaging" / file).read_bytes())
            self.assertEqual(there.stat().st_mode & 0o777, 0o644)
        if shutil.which("systemd-analyze"):
            unit = local / "lib/systemd/system/shoal@.service"
            said = self.type(f'trap - EXIT; systemd-analyze verify --man=no "{unit}" 2>&1')
            self.assertEqual(said, "")

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

    def test_each_command_of_the_specification_does_as_it_stands_there_what_it_says(self):
        self.store.put("file100G", b"not quite")
        self.store.put("testDir/a_2", b"x")
        # So what is loaded is on its way until it is canceled.
        self.store.configure(faults=[{"kind": "hang", "match": {"op": "Get"}}])
        port = free_port()
        commands = [command.replace("17871", str(port)).replace("/mnt/oss_data", str(self.point))
                    .replace("<mount_point>", str(self.point))
                    for command in re.split(r"\n(?!-o)", SPECIFIED.strip())]
        typed = "\n".join(f"{command}\necho '#' $?" for command in commands)
        printed = self.type(f"""
            mount -t alinas -o "efc,protocol=oss,$options" \
              -o g_tier_EnableClusterCache=true,g_tier_DadiIsDistributed=false \
              -o g_tier_DadiMemCacheCapacityMB=64,g_server_Port={port} data:/ "$point"
            cd "$root/usr/local/share/shoal"
            {typed}
        """)
        *answers, rest = re.split(r"\n*# 0\n", printed)
        self.assertEqual(rest, "", printed)

        def done(message, **members):
            return {"ErrorCode": 0, "ErrorMessage": message, **members}

        def of_path(path, message, **members):
            result = done(message, Location=f"127.0.0.1:{port}", Path=path, **members)
            return done("Request processed", Results=[result])

        def of_task(path, pattern):
            loading = (f"The warm up ({path}) is processing in the background. Use the 'stat' "
                       "command to get status.")
            task = done("", Path=path, Pattern=pattern, Status="running")
            return [of_path(path, loading),
                    of_path(path, "Successfully stat the warm up", TaskInfos=[task]),
                    of_path(path, "Successfully cancel the warm up")]

        point = self.point
        self.maxDiff = None
        self.assertEqual([understood(answer) for answer in answers], [
            *of_task("file100G", ""), *of_task("testDir", ".*_2$"),
            done("Request processed", **dict.fromkeys(COUNTERS, 0)),
            "\n".join(f"{name}: 0" for name in COUNTERS),
            done("Successfully clear the tier counters"),
            "Successfully clear the tier counters",
            f"shoal update: {point} is served with the new options\n"
            "g_tier_DadiP2PPort: took another process to serve it\n"
            "g_tier_DadiP2PPort: not in this build; the mount runs without it",
            f"shoal rollback: {point} is served with the options before the last update\n"
            "g_tier_DadiP2PPort: took another process to serve it",
            done("Successfully clear the readdir cache"), "Successfully clear the readdir cache",
            done("Successfully clear the metadata cache")])


if __name__ == "__main__":
    unittest.main()
