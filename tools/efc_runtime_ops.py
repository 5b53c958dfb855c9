#!/usr/bin/env python3
"""Changes the options of a mount without unmounting it, and undoes that.

    efc_runtime_ops.py update MOUNTPOINT -o OPTIONS [-o OPTIONS]... [--json]
    efc_runtime_ops.py rollback MOUNTPOINT [--json]

Runs `shoal` (SHOAL_BIN, the one beside this file, in PATH or in /usr/local/bin) and ends with its
status: 0, 1 for a wrong command line, 32 for what failed.
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
        print(f"efc_runtime_ops.py: cannot find shoal, neither in PATH nor in {INSTALLED}",
              file=sys.stderr)
        sys.exit(32)
    return found


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    update = commands.add_parser("update", help="serve the mount with other options from now on")
    update.add_argument("mount_point")
    update.add_argument("-o", dest="options", action="append", required=True, metavar="OPTIONS",
                        help="name=value, with commas between them; may be repeated")
    rollback = commands.add_parser("rollback", help="undo the last update")
    rollback.add_argument("mount_point")
    for command in (update, rollback):
        command.add_argument("--json", action="store_true",
                             help="have shoal print what came of it as one object")
    arguments = parser.parse_args()
    shoal = find_shoal()
    words = [shoal, arguments.command, arguments.mount_point]
    for options in getattr(arguments, "options", []):
        words += ["-o", options]
    words += ["--json"] if arguments.json else []
    os.execv(shoal, words)


if __name__ == "__main__":
    main()
