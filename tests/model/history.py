"""What a bucket was at each moment, and what a user of a mount may see of that."""
import dataclasses
import itertools
import math
import os
import pathlib
import time


@dataclasses.dataclass
class Freshness:
    """How many seconds old what is seen may be: 0 is as it is now, infinity is since what is kept
    of names was cleared."""
    opens: float = 0
    # The 5 seconds of a listing, the one of entry_timeout, and some for a machine that is busy.
    stats: float = 5 + 1 + 5
    listings: float = math.inf


class History:
    """Of a bucket that changes only while nobody uses its mounts."""

    def __init__(self, origin):
        self.origin = origin
        self.moments = [(time.monotonic(), {})]  # since when, and the objects: the newest last
        self.cleared_at = 0.0

    def change(self, written, removed=()):
        for name in removed:
            path = self.origin.bucket / name
            path.unlink()
            while path.parent != self.origin.bucket and not os.listdir(path.parent):
                path = path.parent
                path.rmdir()
        for name, body in written.items():
            self.origin.put(name, body)
        objects = {name: body for name, body in self.now().items() if name not in removed}
        self.moments.append((time.monotonic(), objects | written))

    def cleared(self):
        """What is kept of names was, just now."""
        self.cleared_at = time.monotonic()

    def now(self):
        return self.moments[-1][1]

    def since(self, age):
        """The objects at each moment that may be seen from now on, by what may be `age` old."""
        begin = max(self.cleared_at, time.monotonic() - age)
        ends = itertools.chain((at for at, _ in self.moments[1:]), [math.inf])
        return [objects for (_, objects), end in zip(self.moments, ends) if end > begin]


def bodies(moments, name):
    """What an object was at those; None where there was none."""
    return [objects.get(name) for objects in moments]


def listing(objects, folder):
    depth = len(pathlib.PurePath(folder).parts)
    return {parts[depth] for name in objects
            if (parts := pathlib.PurePath(name).parts)[:depth] == pathlib.PurePath(folder).parts}


def tree(root):
    """Everything below a directory: the bytes of files, None of directories."""
    found = {}
    for path in pathlib.Path(root).rglob("*"):
        found[str(path.relative_to(root))] = None if path.is_dir() else path.read_bytes()
    return found
