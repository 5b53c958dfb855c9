"""The figure of the admin port: how long it takes to answer while programs read."""
import http.client
import subprocess
import time

from cache_bench import closing
from harness import Origin
from measure import Figure, GIB, LOAD, make_object, read_seconds
from warmup_bench import warm_mount

CALLS = 2000


def p99_ms(port):
    """Of one call after the other, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    took = []
    for _ in range(CALLS):
        begun = time.monotonic()
        connection.request("GET", "/v1/tier")
        connection.getresponse().read()
        took.append(time.monotonic() - begun)
    connection.close()
    return sorted(took)[int(CALLS * 0.99)] * 1e3


def admin(_):
    """Direct 4 KiB reads that reach the daemon, by as many threads as there are cores and more."""
    with closing(Origin()) as origin:
        make_object(origin, "big", GIB)
        with warm_mount(origin, "passthrough=off", memory_mib=2048) as (mount, admin_port):
            read_seconds(mount / "big")
            reader = subprocess.Popen([LOAD, "random", mount / "big", "--threads=8",
                                       "--reads=100000000", "--direct"],
                                      stdout=subprocess.DEVNULL)
            try:
                loaded = p99_ms(admin_port.port)
                assert reader.poll() is None, "the readers ended"
            finally:
                reader.kill()
                reader.wait()
            idle = p99_ms(admin_port.port)
    yield Figure("/v1/tier, p99, under 8 threads of direct 4 KiB reads", loaded, "ms", idle,
                 "ms, idle", loaded / idle, "< 5 ms", loaded < 5)


FIGURES = dict(admin=admin)
