#!/usr/bin/env python3
"""Changes the options of a mount without unmounting it, and undoes that.

    efc_runtime_ops.py update MOUNTPOINT -o OPTIONS [-o OPTIONS]...
    efc_runtime_ops.py rollback MOUNTPOINT

Runs `shoal` (SHOAL_BIN, the one beside this file, in PATH or in /usr/local/bin) and ends with its
status.
"""
import argparse
import os
import pathlib
import shutil
import sys

# Where it is installed: the PATH of cron and of some services lacks it.
INSTALLED = "/usr/local/bin"


def find_shoal():
    beside = pathlib.Path(__file__).resolve().parent / "shoal"
    found = os.environ.get("SHOAL_BIN") or (str(beside) if os.access(beside, os.X_OK) else None)
    found = found or shutil.which("shoal") or shutil.which("shoal", path=INSTALLED)
    if not found:
        sys.exit(f"efc_runtime_ops.py: cannot find shoal, neither in PATH nor in {INSTALLED}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    update = commands.add_parser("update", help="serve the mount with other options from now on")
    update.add_argument("mount_point")
    update.add_argument("-o", dest="options", action="append", required=True, metavar="OPTIONS",
                        help="name=value, with commas between them; may be repeated")
    rollback = commands.add_parser("rollback", help="undo the last update")
    rollback.add_argument("mount_point")
    arguments = parser.parse_args()
    shoal = find_shoal()
    words = [shoal, arguments.command, arguments.mount_point]
    for options in getattr(arguments, "options", []):
        words += ["-o", options]
    os.execv(shoal, words)


if __name__ == "__main__":
    main()
