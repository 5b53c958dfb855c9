"""A room includes only rooms printed below it in src/README.md, and the libraries that talk to the
outside each enter through one room."""
import pathlib
import re
import sys

SRC = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "src")
# testing/ speaks with a store as a client would.
ROOM_OF = {"fuse": "fuse", "liburing": "fuse", "curl/": "net", "sqlite3": "control", "re2/": "control"}

rooms = re.findall(r"^\| (\w+) \| ", (SRC / "README.md").read_text(), re.M)[1:]
folders = sorted(p.name for p in SRC.iterdir() if p.is_dir())
# A row without a folder is a room still to be built; a folder without a row is not.
problems = [f"src/README.md: no row for {f}/" for f in folders if f not in rooms]
for path in sorted(SRC.rglob("*.[hc]*")):
    room = path.relative_to(SRC).parts[0]
    if room not in rooms or path.stem.endswith("_test"):
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        target = re.match(r'#include "(\w+)/', line)
        if target and target[1] in rooms and rooms.index(target[1]) < rooms.index(room):
            problems.append(f"{path}:{number}: {room}/ may not include {target[1]}/")
        library = re.match("#include <(" + "|".join(ROOM_OF) + ")", line)
        if library and room not in (ROOM_OF[library[1]], "testing"):
            problems.append(f"{path}:{number}: {library[1]} enters through {ROOM_OF[library[1]]}/")
print("\n".join(problems) or f"{len(folders)} rooms, no include points up")
sys.exit(bool(problems))
