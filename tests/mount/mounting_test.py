"""Mounting and unmounting: what people type, and what they are told when it fails."""
import datetime
import errno
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from admin import free_port
from harness import (KEY_ID, KEY_SECRET, SHOAL, TRANSPORTS, WAIT_SECONDS, MountTest, mounted,
                     pattern, state_directory, wait_for_mount_table)


class MountCommand(MountTest):
    """`shoal mount` and mount.alinas in the background, as people use them."""

    def setUp(self):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="shoal-mounting-"))
        self.addCleanup(subprocess.run, ["rm", "-rf", self.base], check=True)
        self.point = self.base / "mnt"
        self.point.mkdir()
        self.addCleanup(self.unmount_all)
        self.password = self.write_secret("passwd", f"{KEY_ID}:{KEY_SECRET}\n")

    def unmount_all(self):
        while mounted(self.point):
            subprocess.run(["umount", "-l", self.point], check=True)

    def write_secret(self, name, text, mode=0o600):
        path = self.base / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def run_mount(self, *options, source="data:/", point=None, helper=False, plain=()):
        program = [SHOAL, "mount"]
        if helper:
            link = self.base / "mount.alinas"
            if not link.exists():
                link.symlink_to(os.path.abspath(SHOAL))
            program = [link]
        return subprocess.run([*program, source, self.point if point is None else point, *plain,
                               *(w for o in options for w in ("-o", o))],
                              capture_output=True, text=True, timeout=WAIT_SECONDS)

    def basic(self, origin):
        return f"efc,protocol=oss,passwd_file={self.password},endpoint={origin.endpoint}"

    def assert_refused(self, result, status, *words):
        self.assertEqual(result.returncode, status, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertNotIn(KEY_SECRET, result.stderr)
        self.assertIsNone(mounted(self.point))

    def test_the_helper_mounts_in_the_background_and_umount_ends_it(self):
        origin = self.origin()
        origin.put("file", b"hello")
        result = self.run_mount(self.basic(origin), helper=True, plain=["-n"])
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(mounted(self.point), ("data:/", "fuse.alinas"))
        self.assertEqual((self.point / "file").read_bytes(), b"hello")
        subprocess.run(["umount", self.point], check=True)
        self.assertIsNone(mounted(self.point))

    def test_the_helper_takes_the_words_of_fstab(self):
        origin = self.origin()
        result = self.run_mount("rw,_netdev,nofail,noauto,nosuid,nodev,noatime,x-systemd.automount",
                                self.basic(origin), helper=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_errno(errno.EROFS, os.mkdir, self.point / "new")

    def test_after_shoal_umount_the_caches_file_system_can_be_unmounted(self):
        origin = self.origin()
        origin.put("file", pattern(1 << 20))
        cache = self.base / "cache"
        cache.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", cache], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", cache], stderr=subprocess.DEVNULL)
        for _ in range(5):
            mounted_ = self.run_mount(
                self.basic(origin) + f",g_tier_DadiIsDistributed=false,cache_min_free_mb=0,"
                f"g_tier_DadiDiskCacheCapacityMB=16,g_tier_DadiDiskCachePath={cache}/")
            self.assertEqual(mounted_.returncode, 0, mounted_.stderr)
            (self.point / "file").read_bytes()
            subprocess.run([SHOAL, "umount", self.point], check=True)
            subprocess.run(["umount", cache], check=True)
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", cache], check=True)

    def test_shoal_umount_waits_for_nobody_where_it_is_mounted_elsewhere_as_well(self):
        origin = self.origin()
        origin.put("file", b"hello")
        self.assertEqual(self.run_mount(self.basic(origin)).returncode, 0)
        other = self.base / "other"
        other.mkdir()
        subprocess.run(["mount", "--bind", self.point, other], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", other], stderr=subprocess.DEVNULL)
        done = subprocess.run([SHOAL, "umount", self.point], capture_output=True, text=True,
                              timeout=WAIT_SECONDS, check=True)
        self.assertIn("mounted elsewhere as well", done.stderr)
        self.assertEqual((other / "file").read_bytes(), b"hello")
        subprocess.run([SHOAL, "umount", other], timeout=WAIT_SECONDS, check=True)

    def test_shoal_mount_shows_its_own_type_and_what_was_mounted(self):
        origin = self.origin()
        origin.put("a/file", b"x")
        self.assertEqual(self.run_mount(self.basic(origin), source="data:/a").returncode, 0)
        self.assertEqual(mounted(self.point), ("data:/a", "fuse.shoal"))
        self.assertEqual(os.listdir(self.point), ["file"])

    def test_a_program_that_mounts_is_told_who_serves_and_warned_or_why_nobody_does(self):
        origin = self.origin()
        result = self.run_mount(self.basic(origin) + ",g_tier_DadiP2PPort=1", plain=["--json"],
                                source="data:/later")
        self.assertEqual(result.returncode, 0, result.stderr)
        state = json.loads((state_directory(self.point) / "state.json").read_text())
        warnings = [line.partition(": ")[2].removeprefix("warning: ")
                    for line in result.stderr.splitlines()]
        self.assertEqual(len(warnings), 2, warnings)
        self.assertEqual(json.loads(result.stdout), {
            "MountPoint": str(self.point), "WorkerPid": state["worker_pid"], "ReplacedFor": [],
            "AtNextMount": [], "Warnings": warnings})
        changed = self.run_mount("remount,transport=dev", plain=["--json"])
        self.assertEqual((changed.returncode, changed.stderr), (0, ""), changed)
        told = json.loads(changed.stdout)
        self.assertEqual((told["MountPoint"], told["AtNextMount"]), (str(self.point), ["transport"]))
        subprocess.run([SHOAL, "umount", self.point], check=True)
        for plain in (["--json"], ["-f", "--json"]):
            failed = self.run_mount(self.basic(origin), source="none:/", plain=plain)
            self.assert_refused(failed, 32, "NoSuchBucket")
            told = json.loads(failed.stdout)
            self.assertEqual(told["ExitStatus"], 32)
            self.assertIn(f"shoal mount: {told['ErrorMessage']}\n", failed.stderr)

    def test_in_the_foreground_a_program_is_told_once_it_serves(self):
        origin = self.origin()
        process = subprocess.Popen(
            [SHOAL, "mount", "-f", "--json", "data:/", self.point, "-o", self.basic(origin)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        told = ""
        while not told.endswith("}\n"):
            told += process.stdout.readline()
        self.assertEqual(json.loads(told)["MountPoint"], str(self.point))
        self.assertEqual(os.listdir(self.point), [])
        process.terminate()
        self.assertEqual(process.communicate(timeout=WAIT_SECONDS)[0], "")
        self.assertEqual(process.returncode, 0)

    def test_a_prefix_with_nothing_below_it_is_mounted_and_warned_of(self):
        origin = self.origin()
        result = self.run_mount(self.basic(origin), source="data:/later")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("holds nothing below 'later/'", result.stderr)
        origin.put("later/file", b"x")
        self.assertEqual((self.point / "file").read_bytes(), b"x")

    def test_an_object_is_no_directory_to_mount(self):
        origin = self.origin()
        origin.put("a/file", b"x")
        self.assert_refused(self.run_mount(self.basic(origin), source="data:/a/file"), 32,
                            "'a/file' in bucket 'data' is an object")

    def test_a_wrong_secret_is_said_with_the_stores_code(self):
        origin = self.origin()
        wrong = self.write_secret("wrong", f"{KEY_ID}:not-the-secret")
        result = self.run_mount(f"efc,protocol=oss,passwd_file={wrong},endpoint={origin.endpoint}")
        self.assert_refused(result, 32, "SignatureDoesNotMatch")

    def test_an_unknown_key_is_said_with_the_stores_code(self):
        origin = self.origin()
        wrong = self.write_secret("wrong", "nobody:secret")
        result = self.run_mount(f"efc,protocol=oss,passwd_file={wrong},endpoint={origin.endpoint}")
        self.assert_refused(result, 32, "InvalidAccessKeyId")

    def test_name_servers_that_are_silent_hold_up_no_deadline(self):
        # Addresses of this host that nobody else is at, where what comes in is not read.
        servers = [f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{i}" for i in (1, 2, 3)]
        for server in servers:
            silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(silent.close)
            silent.bind((server, 53))
        names = self.base / "resolv.conf"
        names.write_text("".join(f"nameserver {server}\n" for server in servers))
        begun = time.monotonic()
        result = subprocess.run(
            ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"',
             names, SHOAL, "mount", "data:/", self.point, "-o",
             f"protocol=oss,passwd_file={self.password},endpoint=http://store.silent.example,"
             "addressing=path,connect_timeout=1,request_deadline=2"],
            capture_output=True, text=True, timeout=WAIT_SECONDS)
        self.assertLess(time.monotonic() - begun, 9)
        self.assert_refused(result, 32, "http://store.silent.example: Resolving timed out")

    def test_an_expired_token_is_said_with_its_file(self):
        origin = self.origin()
        sts = self.write_secret("sts", json.dumps(
            {"SecurityToken": "token", "AccessKeyId": KEY_ID, "AccessKeySecret": KEY_SECRET,
             "Expiration": "2020-01-01T00:00:00Z"}))
        result = self.run_mount(f"efc,protocol=oss,g_oss_STSFile={sts},endpoint={origin.endpoint}")
        self.assert_refused(result, 32, f"credential file {sts}: its keys expired at 2020-01-01")
        self.assertNotIn("refuses", result.stderr)

    def test_a_credential_file_others_can_read_is_refused(self):
        origin = self.origin()
        loose = self.write_secret("loose", f"{KEY_ID}:{KEY_SECRET}", 0o644)
        result = self.run_mount(f"efc,protocol=oss,passwd_file={loose},endpoint={origin.endpoint}")
        self.assert_refused(result, 32, str(loose), "chmod 600")

    def test_a_missing_credential_file_is_named(self):
        origin = self.origin()
        result = self.run_mount(f"efc,passwd_file=/nonexistent/p,endpoint={origin.endpoint}")
        self.assert_refused(result, 32, "/nonexistent/p")

    def test_a_missing_bucket_is_named(self):
        origin = self.origin()
        result = self.run_mount(self.basic(origin), source="no-such-bucket:/")
        self.assert_refused(result, 32, "'no-such-bucket'", "NoSuchBucket",
                            "there is no such bucket")

    def test_an_unreachable_endpoint_is_named_within_the_deadline(self):
        origin = self.origin()
        options = self.basic(origin) + ",request_deadline=3"
        origin.stop()
        result = self.run_mount(options)
        self.assert_refused(result, 32, f"127.0.0.1:{origin.port}")

    def test_a_missing_right_is_named(self):
        origin = self.origin(keys=[{"id": KEY_ID, "secret": KEY_SECRET, "deny": ["ListObjects"]}])
        self.assert_refused(self.run_mount(self.basic(origin)), 32, "oss:ListObjects")

    def test_a_file_or_nothing_as_mount_point_is_refused(self):
        origin = self.origin()
        file = self.base / "file"
        file.touch()
        result = self.run_mount(self.basic(origin), point=file)
        self.assertEqual(result.returncode, 32)
        self.assertIn("not a directory", result.stderr)
        result = self.run_mount(self.basic(origin), point=self.base / "nothing")
        self.assertEqual(result.returncode, 32)
        self.assertIn(f"{self.base / 'nothing'} does not exist; make the directory first",
                      result.stderr)
        result = self.run_mount(self.basic(origin), point="")
        self.assertEqual(result.returncode, 32)
        self.assertIn("the mount point is an empty text", result.stderr)

    def test_an_unmount_of_nothing_says_that_it_does_not_exist(self):
        result = subprocess.run([SHOAL, "umount", self.base / "nothing"], capture_output=True,
                                text=True, timeout=WAIT_SECONDS)
        self.assertEqual(result.returncode, 32)
        self.assertIn("does not exist\n", result.stderr)

    def test_root_without_the_right_to_mount_is_told_the_right(self):
        origin = self.origin()
        result = subprocess.run(
            ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", SHOAL, "mount",
             "data:/", self.point, "-o", self.basic(origin)],
            capture_output=True, text=True, timeout=WAIT_SECONDS)
        self.assert_refused(result, 32, "Operation not permitted", "CAP_SYS_ADMIN")

    def test_an_endpoint_of_plain_http_is_told_from_one_that_is_slow(self):
        origin = self.origin()
        options = self.basic(origin).replace("http://", "https://")
        result = self.run_mount(options)
        self.assert_refused(result, 32, "write endpoint=http://")
        self.assertNotIn("attempts", result.stderr)

    def test_a_mount_point_in_use_is_refused(self):
        origin = self.origin()
        self.assertEqual(self.run_mount(self.basic(origin)).returncode, 0)
        result = self.run_mount(self.basic(origin))
        self.assertEqual(result.returncode, 32, result.stderr)
        self.assertIn("already", result.stderr)
        other_type = self.run_mount(self.basic(origin), helper=True)
        self.assertEqual(other_type.returncode, 32, other_type.stderr)
        self.assertIn("already mounted, from data:/", other_type.stderr)
        subprocess.run([SHOAL, "restart", self.point], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["umount", self.point], check=True)
        self.assertIsNone(mounted(self.point), "the first mount was the only one")

    def test_an_option_of_a_later_build_mounts_and_says_so(self):
        origin = self.origin()
        result = self.run_mount(self.basic(origin) + ",g_tier_DadiIsDistributed=true")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("g_tier_DadiIsDistributed: not in this build", result.stderr)

    def test_an_unknown_option_suggests_the_nearest(self):
        origin = self.origin()
        result = self.run_mount(self.basic(origin) + ",g_tier_DadiMemCacheCapacity=1")
        self.assert_refused(result, 1, "g_tier_DadiMemCacheCapacity",
                            "g_tier_DadiMemCacheCapacityMB")

    def test_a_bad_value_names_its_option(self):
        origin = self.origin()
        result = self.run_mount(self.basic(origin) + ",request_deadline=soon")
        self.assert_refused(result, 1, "request_deadline", "soon")

    def test_every_wrong_value_is_a_wrong_command_line(self):
        origin = self.origin()
        for option in ("transport=pigeon", "passthrough=on", "warmup_connections=0",
                       "max_connections=0", "protocol=ftp", "ca_file=/nonexistent",
                       "g_server_Port=1,admin_token_file=/nonexistent"):
            with self.subTest(option):
                result = self.run_mount(f"{self.basic(origin)},{option}")
                self.assert_refused(result, 1, option.rsplit("=", 1)[0].rsplit(",", 1)[-1].replace(
                    "ca_file", "CA file"))

    def test_doctor_names_what_a_mount_would_refuse(self):
        origin = self.origin()

        def doctor(options):
            return subprocess.run([SHOAL, "doctor", "data:/", "-o", options], capture_output=True,
                                  text=True, timeout=WAIT_SECONDS)

        good = doctor(self.basic(origin))
        self.assertEqual(good.returncode, 0, good.stdout + good.stderr)
        disk = f"g_tier_DadiDiskCacheCapacityMB=16,g_tier_DadiDiskCachePath={self.base}"
        for option in ("g_tier_DadiDiskCacheCapacityMB=16", f"{disk}:cache",
                       f"{disk}:{self.base}/mnt/..", f"{disk},g_tier_DadiCachePageSizeKB=48",
                       f"g_server_Port={free_port()},admin_token_file=/nonexistent",
                       f"g_server_Port={free_port()},admin_cert_file=/a,admin_key_file=/b",
                       "log_level=loud", "max_connections=0", "passthrough=on", "nonsense"):
            with self.subTest(option):
                mount = self.run_mount(f"{self.basic(origin)},{option}")
                self.assert_refused(mount, 1)
                reason = mount.stderr.splitlines()[-1].removeprefix("shoal mount: ")
                said = doctor(f"{self.basic(origin)},{option}")
                self.assertNotEqual(said.returncode, 0, said.stdout)
                self.assertIn(reason, said.stdout + said.stderr)

    def test_a_source_that_is_none_shows_the_right_form(self):
        origin = self.origin()
        self.assert_refused(self.run_mount(self.basic(origin), source="data"), 1, "BUCKET")

    def test_secrets_are_not_in_the_command_line_of_the_daemon(self):
        origin = self.origin()
        self.assertEqual(self.run_mount(self.basic(origin)).returncode, 0)
        found = 0
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if str(self.point).encode() in command:
                found += 1
                self.assertNotIn(KEY_SECRET.encode(), command)
        self.assertGreater(found, 0)


class Ending(MountTest):
    """However a mount ends, the daemon ends with 0 and nothing is left behind."""

    def end(self, how):
        origin = self.origin()
        origin.put("file", b"x")
        mount = self.mount(origin)
        self.assertEqual((mount / "file").read_bytes(), b"x")
        how(mount)
        self.assertEqual(mount.wait(), 0, mount.log())
        self.assertIsNone(mounted(mount.point))

    def test_sigterm(self):
        self.end(lambda mount: mount.process.send_signal(signal.SIGTERM))

    def test_umount(self):
        self.end(lambda mount: subprocess.run(["umount", mount.point], check=True))

    def test_lazy_umount(self):
        self.end(lambda mount: subprocess.run(["umount", "-l", mount.point], check=True))

    def test_fusermount(self):
        self.end(lambda mount: subprocess.run(["fusermount3", "-u", mount.point], check=True))

    def test_sigterm_while_a_file_is_open(self):
        origin = self.origin()
        origin.put("file", b"x")
        mount = self.mount(origin)
        with open(mount / "file", "rb"):
            mount.process.send_signal(signal.SIGTERM)
            self.assertEqual(mount.wait(), 0, mount.log())
        self.assertIsNone(mounted(mount.point))

    def test_sigterm_to_a_daemon_that_was_unmounted_leaves_the_next_mount_alone(self):
        origin = self.origin()
        origin.put("file", b"x")
        first = self.mount(origin)
        with open(first / "file", "rb"):
            subprocess.run(["umount", "-l", first.point], check=True)
            second = self.mount(origin, point=first.point)
            first.process.send_signal(signal.SIGTERM)
            self.assertEqual(first.wait(), 0, first.log())
        self.assertEqual((second / "file").read_bytes(), b"x")

    def test_sigterm_while_the_origin_hangs(self):
        origin = self.origin()
        origin.put("file", pattern(1 << 20))
        mount = self.mount(origin, "request_deadline=5")
        origin.configure(faults=[{"kind": "hang", "match": {"op": "Get"}}])
        reader = subprocess.Popen(["cat", mount / "file"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        while origin.control("stats")["faults_injected"] == 0:
            pass
        mount.process.send_signal(signal.SIGTERM)
        self.assertEqual(mount.wait(), 0, mount.log())
        reader.wait(WAIT_SECONDS)

    def test_after_kill_9_the_next_mount_on_the_path_works_and_says_so(self):
        origin = self.origin()
        origin.put("file", b"x")
        mount = self.mount(origin)
        mount.process.kill()
        mount.wait()
        with self.assertRaises(OSError) as raised:
            os.listdir(mount.point)
        # ECANCELED: it came in the moment in which the dead daemon's ring went.
        self.assertIn(raised.exception.errno,
                      (errno.ENOTCONN, errno.ECONNABORTED, errno.ECANCELED))
        again = self.mount(origin, point=mount.point)
        self.assertEqual((again / "file").read_bytes(), b"x")
        self.assertIn("whose daemon is gone", again.log())


class Credentials(MountTest):
    def sts(self, path, token, expires):
        temporary = path.with_suffix(".new")
        temporary.touch(0o600)
        temporary.write_text(json.dumps(
            {"SecurityToken": token, "AccessKeyId": "sts-id", "AccessKeySecret": KEY_SECRET,
             "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}))
        os.rename(temporary, path)

    def test_a_new_token_in_the_file_is_used_without_a_remount(self):
        later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        expires = later.strftime("%Y-%m-%dT%H:%M:%SZ")

        def key(token):
            return {"id": "sts-id", "secret": KEY_SECRET, "token": token, "expiration": expires}

        origin = self.origin(keys=[key("first")])
        origin.put("d/file", b"x")
        path = origin.root / "sts"
        self.sts(path, "first", later)
        mount = self.mount(origin, f"g_oss_STSFile={path}")
        self.assertEqual((mount / "d/file").read_bytes(), b"x")
        origin.write_credentials([key("second")])
        self.sts(path, "second", later)
        origin.put("d/new", b"y")
        wait_for_mount_table(lambda: self.reads(mount / "d/new", b"y"))

    def reads(self, path, expected):
        try:
            return path.read_bytes() == expected
        except PermissionError:
            return False  # until the file is looked at again, a second at most

    def test_secrets_reach_no_log_even_at_its_most_talkative(self):
        origin = self.origin()
        origin.put("file", b"x")
        mount = self.mount(origin, "log_level=trace")
        self.assertEqual((mount / "file").read_bytes(), b"x")
        origin.configure(faults=[{"kind": "status503", "match": {"op": "Head"}, "count": 2}])
        self.assert_errno(errno.ENOENT, os.stat, mount.point / "missing")
        self.assertEqual(origin.control("stats")["faults_injected"], 2)
        self.assertNotIn(KEY_SECRET, mount.log())
        self.assertNotIn("Authorization", mount.log())


class Facts(MountTest):
    def test_the_log_says_which_transport_passthrough_and_request_size_are_in_force(self):
        origin = self.origin()
        for transport in ("auto", *TRANSPORTS):
            mount = self.mount(origin, f"transport={transport}")
            os.stat(mount.point)
            for word in ("io_uring", "passthrough: not in use: no cache",
                         "requests of up to 1024 KiB"):
                self.assertIn(word, mount.log())
            switch = pathlib.Path("/sys/module/fuse/parameters/enable_uring")
            if switch.exists() and transport != "dev":
                self.assertEqual(switch.read_text(), "Y\n")
                self.assertIn("io_uring: in use", mount.log())

    def test_systemd_is_told_when_the_mount_answers(self):
        origin = self.origin()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.bind("\0shoal-notified-" + str(os.getpid()))
            notified.settimeout(WAIT_SECONDS)
            os.environ["NOTIFY_SOCKET"] = "@shoal-notified-" + str(os.getpid())
            self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
            self.mount(origin)
            self.assertEqual(notified.recv(100), b"READY=1")

    def test_an_idle_daemon_is_small(self):
        origin = self.origin()
        mount = self.mount(origin)
        os.listdir(mount.point)
        for process, most_kib in ((mount.worker(), 64 * 1024), (mount.process.pid, 16 * 1024)):
            status = pathlib.Path(f"/proc/{process}/status").read_text()
            resident_kib = int(status.split("VmRSS:")[1].split()[0])
            self.assertLess(resident_kib, most_kib)


if __name__ == "__main__":
    unittest.main(verbosity=2)
