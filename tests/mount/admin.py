"""The management interface of a mount, for tests and measurements."""
import json
import re
import socket
import urllib.error
import urllib.parse
import urllib.request

from caching import wait_until
from harness import WAIT_SECONDS

ENDED = ("completed", "canceled", "failed")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Admin:
    """The management interface of a mount."""

    def __init__(self, port):
        self.port = port

    def get(self, path, method="GET", **parameters):
        query = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{self.port}{path}?{query}"
        request = urllib.request.Request(url, method=method)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def post(self, path, **parameters):
        return self.get(path, method="POST", **parameters)

    def metric(self, name, **labels):
        """The value of the one series of that name that has these labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics",
                                    timeout=WAIT_SECONDS) as answer:
            lines = answer.read().decode().splitlines()
        found = [line for line in lines if re.match(name + "[{ ]", line) and
                 all(f'{label}="{value}"' in line for label, value in labels.items())]
        assert len(found) == 1, [line for line in lines if line.startswith(name)]
        return float(found[0].rsplit(" ", 1)[1])

    def cache_metric(self, name, directory):
        """Of the cache in that directory."""
        return self.metric("shoal_cache_" + name, directory=f"{directory}/")

    def answers(self):
        try:
            self.get("/v1/warmup/stat", target_path="nothing")
        except OSError:
            return False
        return True

    def warmup(self, command, target_path, **parameters):
        """The results, one for each path."""
        return self.get(f"/v1/warmup/{command}", target_path=target_path, **parameters)["Results"]

    def load(self, target_path, **parameters):
        for result in self.warmup("load", target_path, **parameters):
            assert result["ErrorCode"] == 0, result

    def tasks(self, path):
        """Of one path, the newest first."""
        return self.warmup("stat", path.replace(",", "\\,"))[0].get("TaskInfos", [])

    def wait(self, path):
        """The newest task of a path, once it has ended."""
        wait_until(lambda: self.tasks(path)[0]["Status"] in ENDED)
        return self.tasks(path)[0]

    def run(self, path, **parameters):
        self.load(path.replace(",", "\\,"), **parameters)
        return self.wait(path)
