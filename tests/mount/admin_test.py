"""The admin port of a real mount: the specification's commands, bad input, and who may ask."""
import http.client
import json
import os
import socket
import ssl
import subprocess
import time
import unittest
import urllib.parse

from admin import free_port
from caching import wait_until
from harness import (KEY_ID, KEY_SECRET, MountTest, SHOAL, WAIT_SECONDS, mounted, pattern,
                     wait_for_mount_table)


def curl(*arguments):
    result = subprocess.run(["curl", "-s", "-m", str(WAIT_SECONDS), *arguments],
                            capture_output=True, text=True)
    return result.returncode, result.stdout


class AdminTest(MountTest):
    def node(self, *options, objects=(("file", 1 << 20),)):
        origin = self.origin()
        for key, size in objects:
            origin.put(key, pattern(size))
        self.port = free_port()
        mount = self.mount(origin, f"g_server_Port={self.port}",
                           "g_tier_DadiMemCacheCapacityMB=64", *options)
        return origin, mount

    def ask(self, target, method="GET", headers=None, host=None, context=None, body=None):
        """(status, headers, body) of one call."""
        kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
        extra = {"context": context} if context else {}
        connection = kind(host or "127.0.0.1", self.port, timeout=WAIT_SECONDS, **extra)
        try:
            connection.request(method, target, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def json(self, target, **arguments):
        status, _, body = self.ask(target, **arguments)
        return status, json.loads(body)

    def raw(self, sent, hang_up=False):
        with socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS) as client:
            client.sendall(sent)
            if hang_up:
                client.shutdown(socket.SHUT_WR)
            got = b""
            while True:
                try:
                    piece = client.recv(65536)
                except ConnectionResetError:
                    break
                if not piece:
                    break
                got += piece
            return got

    def test_the_commands_of_the_specification_work_as_they_are_written(self):
        self.node()
        at = f"http://localhost:{self.port}/v1"
        code, text = curl(f"{at}/warmup/load?target_path=file")
        self.assertEqual((code, json.loads(text)), (0, {
            "ErrorCode": 0, "ErrorMessage": "Request processed",
            "Results": [{
                "ErrorCode": 0,
                "ErrorMessage": "The warm up (file) is processing in the background. "
                                "Use the 'stat' command to get status.",
                "Location": f"127.0.0.1:{self.port}", "Path": "file"}]}))
        code, text = curl(f"{at}/warmup/stat?target_path=file")
        result = json.loads(text)["Results"][0]
        self.assertEqual(result["ErrorMessage"], "Successfully stat the warm up")
        self.assertEqual(list(result["TaskInfos"][0]),
                         ["CompletedSize", "ErrorCode", "ErrorMessage", "IsDir", "Path", "Pattern",
                          "Status", "SubmitTime", "TotalSize"])
        for path in ("warmup/cancel?target_path=file", "tier", "tier/clear",
                     "action/clear_readdir_cache", "action/clear_metadata_cache"):
            code, text = curl(f"{at}/{path}")
            self.assertEqual((code, json.loads(text)["ErrorCode"]), (0, 0), path)

    def test_bad_input_is_answered_with_json_and_harms_nothing(self):
        _, mount = self.node()
        quote = urllib.parse.quote
        load = "/v1/warmup/load?target_path="
        # Errors of a path are that path's own.
        for path in ("/etc/passwd", "/", "..", "a/../b", ".", "a/./b", "a//b", "a\0b",
                     "x" * (100 << 10)):
            reasons = set()
            for verb in ("load", "stat", "cancel"):
                status, answer = self.json(f"/v1/warmup/{verb}?target_path=" + quote(path))
                self.assertEqual((status, answer["ErrorCode"]), (200, 0), path[:40])
                self.assertEqual([r["ErrorCode"] for r in answer["Results"]], [22], path[:40])
                reasons.add(answer["Results"][0]["ErrorMessage"])
            self.assertRegex(reasons.pop(), "an absolute path|cannot be one of its parts|bytes long")
            self.assertEqual(reasons, set(), "each says the same")
        many = ",".join(f"directory/with/a/name/{i:05}" for i in range(10000))
        status, answer = self.json(load + many)
        self.assertEqual((status, len(answer["Results"])), (200, 10000))
        status, answer = self.json("/v1/warmup/cancel?target_path=" + many)
        self.assertEqual((status, len(answer["Results"])), (200, 10000))
        status, answer = self.json(load + "file&pattern=" + quote("(unclosed"))
        self.assertEqual((status, answer["Results"][0]["ErrorCode"]), (200, 22))
        for verb in ("stat", "cancel"):
            status, answer = self.json(f"/v1/warmup/{verb}?target_path=never-asked-for")
            self.assertEqual((status, answer["Results"][0]["ErrorCode"]), (200, 2))
        # Requests that are none.
        for target in ("/v1/warmup/load", load + "%zz", load + "%", load + "a&target_path=b",
                       load + "a&unknown=1", "/v1/warmup/stat?target_path=a&preceding_time=x",
                       load + "," * 10):
            status, answer = self.json(target)
            self.assertEqual((status, answer["ErrorCode"], answer["Results"]), (400, 22, []), target)
            self.assertTrue(answer["ErrorMessage"])
        status, headers, _ = self.ask("/v1/tier", method="DELETE")
        self.assertEqual((status, headers["Allow"]), (405, "HEAD, GET, POST"))
        status, answer = self.json("/v1/no/such")
        self.assertEqual(status, 404)
        self.assertIn("/v1/warmup/load", answer["ErrorMessage"])
        # Bytes that are no request.
        for sent, expected in (
                (b"GET /v1/tier HTTP/1.1\r\nHost: localhost\r\n\r\ngarbage\r\n\r\n", b"400"),
                (b"\0\1\2\3\r\n\r\n", b"400"),
                (b"GET /" + b"a" * (600 << 10) + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"431"),
                (b"POST /v1/tier HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n",
                 b"413")):
            self.assertIn(b"HTTP/1.1 " + expected, self.raw(sent), sent[:60])
        for half in (b"GET /v1/tier HT",
                     b"POST /v1/tier HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"):
            head, _, body = self.raw(half, hang_up=True).partition(b"\r\n\r\n")
            self.assertIn(b"HTTP/1.1 400", head, half)
            self.assertEqual(json.loads(body)["ErrorMessage"], "the request ended in its middle")
        self.assertEqual((mount / "file").read_bytes(), pattern(1 << 20))
        self.assertEqual(self.ask("/healthz")[0], 200)

    def test_a_thousand_connections_and_slow_clients_do_not_keep_others_out(self):
        self.node()
        slow = []
        self.addCleanup(lambda: [client.close() for client in slow])
        statuses = set()
        for i in range(1000):
            client = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS)
            client.sendall(b"GET /v1/ti")  # and no more
            slow.append(client)
        # Those beyond the bound were refused; the others have ten seconds for their heads.
        for client in slow:
            try:
                statuses.add(client.recv(65536)[9:12])
            except ConnectionResetError:  # there is a bound to the courtesy of an answer, too
                statuses.add(b"")
        self.assertEqual(statuses - {b""}, {b"408", b"503"})
        self.assertEqual(self.ask("/healthz")[0], 200)

    def test_half_bodies_keep_nobody_out_for_longer_than_ten_seconds(self):
        self.node()
        half = b"POST /v1/options HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"
        for _ in range(256):
            client = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS)
            self.addCleanup(client.close)
            client.sendall(half)
        begun = time.monotonic()
        while self.ask("/healthz")[0] != 200:
            self.assertLess(time.monotonic() - begun, 15)

    def test_pages_of_other_origins_and_other_names_are_refused(self):
        self.node()
        clear = "/v1/tier/clear"
        self.assertEqual(self.ask(clear)[0], 200)
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                        {"Origin": "http://evil.example"}, {"Origin": "null"},
                        {"Host": "evil.example"}, {"Host": f"evil.example:{self.port}"}):
            status, answer = self.json(clear, headers=headers)
            self.assertEqual((status, answer["ErrorCode"]), (403, 13), headers)
        self.assertEqual(self.ask("/v1/status", headers={"Host": "evil.example"})[0], 403)
        for name in ("localhost", f"localhost:{self.port}", "127.0.0.1", socket.gethostname()):
            self.assertEqual(self.ask("/v1/status", headers={"Host": name})[0], 200, name)
        self.assertIsNone(self.ask("/v1/status")[1]["Access-Control-Allow-Origin"])

    def refused_mount(self, *options):
        origin = self.origin()
        point = origin.root / "mnt"
        point.mkdir()
        password = origin.root / "passwd"
        password.write_text(f"{KEY_ID}:{KEY_SECRET}\n")
        password.chmod(0o600)
        words = [f"endpoint={origin.endpoint}", f"passwd_file={password}", *options]
        result = subprocess.run([SHOAL, "mount", "data:/", point, "-o", ",".join(words)],
                                stderr=subprocess.PIPE, text=True, timeout=WAIT_SECONDS)
        self.assertIn(result.returncode, (1, 32))
        wait_for_mount_table(lambda: not mounted(point))
        return result.stderr

    def test_it_is_not_opened_to_other_machines_without_a_token_or_certificates(self):
        said = self.refused_mount(f"g_server_Port={free_port()}", "admin_address=0.0.0.0")
        self.assertIn("admin_address: 0.0.0.0 can be reached from other machines; give "
                      "admin_token_file", said)

    def test_a_port_in_use_fails_the_mount_and_says_so(self):
        self.node()
        said = self.refused_mount(f"g_server_Port={self.port}")
        self.assertIn(f"g_server_Port: 127.0.0.1:{self.port}: Address already in use", said)

    def test_a_token_is_demanded(self):
        origin = self.origin()
        self.port = free_port()
        token = origin.root / "token"
        token.write_text("the-first-token-0123\n")
        token.chmod(0o600)
        self.mount(origin, f"g_server_Port={self.port}", "admin_address=0.0.0.0",
                   f"admin_token_file={token}")
        self.assertEqual(self.ask("/v1/tier")[0], 401)
        self.assertEqual(self.ask("/metrics")[0], 401)
        self.assertEqual(self.ask("/healthz")[0], 200)
        self.assertEqual(self.ask("/")[0], 200)
        bearer = {"Authorization": "Bearer the-first-token-0123", "Host": "any.name.example"}
        self.assertEqual(self.ask("/v1/tier", headers=bearer)[0], 200)

    def test_commands_on_this_machine_do_without_its_name_in_the_certificate(self):
        origin = self.origin()
        origin.put("file", pattern(1000))
        folder = origin.root
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server.key", "-out",
                        "server.pem", "-subj", "/CN=node7.example", "-days", "1"],
                       check=True, capture_output=True, cwd=folder)
        mount = self.mount(origin, f"g_server_Port={free_port()}",
                           f"admin_cert_file={folder}/server.pem",
                           f"admin_key_file={folder}/server.key")
        result = subprocess.run([SHOAL, "stat", mount / "file"], capture_output=True, text=True,
                                timeout=WAIT_SECONDS)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("1000 bytes", result.stdout)

    def test_with_certificates_only_those_who_have_one_are_served(self):
        origin = self.origin()
        self.port = free_port()
        folder = origin.root

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test-ca", "-days", "1")
        for name in ("server", "client"):
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                    "-CAcreateserial", "-out", f"{name}.pem", "-days", "1", "-extfile", "san")
        mount = self.mount(
            origin, f"g_server_Port={self.port}", "admin_address=0.0.0.0",
            f"admin_cert_file={folder}/server.pem", f"admin_key_file={folder}/server.key",
            f"admin_client_ca_file={folder}/ca.pem")
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        with self.assertRaises((ssl.SSLError, ConnectionError, http.client.BadStatusLine)):
            self.ask("/v1/tier", context=context)
        context.load_cert_chain(folder / "client.pem", folder / "client.key")
        self.assertEqual(self.ask("/v1/tier", context=context)[0], 200)
        with self.assertRaises((http.client.BadStatusLine, ConnectionError)):
            self.ask("/v1/tier")  # without TLS
        self.assertEqual(self.ask("/v1/tier", context=context)[0], 200)

        def shoal(*words, **environment):
            return subprocess.run([SHOAL, *words], capture_output=True, text=True,
                                  env=os.environ | environment, timeout=WAIT_SECONDS)

        shown = dict(SHOAL_ADMIN_CERT=str(folder / "client.pem"),
                     SHOAL_ADMIN_KEY=str(folder / "client.key"))
        top = shoal("top", mount.point, "-n", "1", **shown)
        self.assertEqual((top.returncode, top.stderr), (0, ""))
        self.assertIn(" ready", top.stdout)
        refused = shoal("top", mount.point, "-n", "1")
        self.assertEqual(refused.returncode, 32)
        self.assertIn("SHOAL_ADMIN_CERT and SHOAL_ADMIN_KEY", refused.stderr)
        self.assertIn("SHOAL_ADMIN_CERT", shoal("doctor", mount.point).stdout)
        missing = shoal("top", mount.point, "-n", "1", **shown | dict(SHOAL_ADMIN_KEY="/no/file"))
        self.assertIn("/no/file: No such file", missing.stderr)

    def test_readiness_and_warmth_are_told(self):
        _, mount = self.node(objects=(("model/a", 1 << 20), ("model/b", 300 << 10)))
        self.assertEqual(self.ask("/readyz")[::2], (200, "ready\n"))
        self.assertEqual(self.ask("/readyz?warm=model")[::2],
                         (503, "model: 0 of 2 objects and 0 of 1355776 bytes are cached\n"))
        self.assertEqual(self.ask("/readyz?warm=none")[0], 503)
        self.assertEqual(self.json("/v1/warmup/load?target_path=model")[0], 200)
        result = subprocess.run([SHOAL, "warmup", "load", "--watch", mount / "model"],
                                capture_output=True, text=True, timeout=WAIT_SECONDS)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.ask("/readyz?warm=model")[::2],
                         (200, "model: 2 of 2 objects and 1355776 of 1355776 bytes are cached\n"))

    def test_a_node_that_was_in_trouble_is_ready_again_without_being_used(self):
        origin, mount = self.node("request_deadline=1")
        origin.configure(faults=[{"match": {}, "kind": "status503", "probability": 1.0}])
        self.assertRaises(OSError, os.stat, mount / "another")
        status, _, reason = self.ask("/readyz")
        self.assertEqual(status, 503)
        self.assertIn("503", reason)
        origin.configure(faults=[])
        wait_until(lambda: self.ask("/readyz")[0] == 200)

    def test_the_port_ends_with_the_mount_and_is_free_for_the_next(self):
        _, mount = self.node()
        lingering = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS)
        self.addCleanup(lingering.close)
        self.assertEqual(self.ask("/healthz")[0], 200)
        subprocess.run(["umount", mount.point], check=True)
        self.assertEqual(mount.wait(), 0)
        self.assertEqual(lingering.recv(1), b"")
        origin = self.origin()
        self.mount(origin, f"g_server_Port={self.port}")
        self.assertEqual(self.ask("/healthz")[0], 200)


if __name__ == "__main__":
    unittest.main()
