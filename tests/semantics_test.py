"""Every promise in docs/semantics.md names a test, and that test exists."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
tests = set()
for path in (ROOT / "src").rglob("*_test.cc"):
    for suite, name in re.findall(r"^TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", path.read_text(), re.M):
        tests.add(f"{suite}.{name}")
for path in (ROOT / "tests").rglob("*_test.py"):
    tests |= set(re.findall(r"^    def (test_\w+)", path.read_text(), re.M))

problems = []
promises = 0
for number, line in enumerate((ROOT / "docs/semantics.md").read_text().splitlines(), 1):
    if not line.startswith("- "):
        continue
    promises += 1
    named = re.findall(r"`(test_\w+|\w+\.\w+)`$", line)
    if not named:
        problems.append(f"docs/semantics.md:{number}: no test at the end of the sentence")
    problems += [f"docs/semantics.md:{number}: there is no test {name}"
                 for name in named if name not in tests]
print("\n".join(problems) or f"{promises} promises, each with its test")
sys.exit(bool(problems) or promises == 0)
