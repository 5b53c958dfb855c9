"""What all figures are made of: rows, objects to read, and the load generator."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ.setdefault("SHOAL_BIN", str(ROOT / "build/release/bin/shoal"))
sys.path.insert(0, str(ROOT / "tests/mount"))
LOAD = ROOT / "build/release/bin/load"

MIB = 1 << 20
GIB = 1 << 30


class Figure:
    """One row: what was measured, against what, and what was promised."""

    def __init__(self, name, value, unit, against, against_unit, ratio, goal, met):
        self.row = dict(name=name, value=round(value, 3), unit=unit, against=round(against, 3),
                        against_unit=against_unit, ratio=round(ratio, 3), goal=goal, met=met)


def at_least(goal, name, value, unit, against, other):
    """A figure of which more is better; `other` says what it is measured against."""
    ratio = value / against
    return Figure(name, value, unit, against, f"{unit}, {other}", ratio, f">= {goal:g}",
                  ratio >= goal)


def read_seconds(path):
    begun = time.monotonic()
    subprocess.run(["dd", f"if={path}", "of=/dev/null", "bs=1M", "status=none"], check=True)
    return time.monotonic() - begun


def make_object(origin, name, size):
    path = origin.bucket / name
    with open(path, "wb") as file:
        for _ in range(size // (16 * MIB)):
            file.write(os.urandom(16 * MIB))
    read_seconds(path)  # into the origin's page cache: its disk is not what is measured
    return path


def load(command, path, **options):
    """What `load` did: (operations a second, MB a second)."""
    words = [LOAD, command, path]
    for name, value in options.items():
        if value is not False:
            words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    out = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
    done = json.loads(out)
    return done["operations"] / done["seconds"], done["bytes"] / done["seconds"] / 1e6


def operations_per_second(command, path, **options):
    return load(command, path, **options)[0]


def mb_per_second(command, path, **options):
    return load(command, path, **options)[1]


def interleaved(repeat, *measures):
    """The median of each measure, taken A B A B ...: a machine that slows down slows both."""
    rounds = [[measure() for measure in measures] for _ in range(repeat)]
    return [statistics.median(column) for column in zip(*rounds)]
