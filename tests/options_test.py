"""docs/options.md is what the declarations of the options say."""
import pathlib
import subprocess
import sys

program, document = sys.argv[1:]
declared = subprocess.run([program, "options", "--markdown"], capture_output=True, text=True,
                          check=True).stdout
written = pathlib.Path(document).read_text()
if declared == written:
    print(f"{len(declared.splitlines())} lines, as declared")
else:
    sys.exit(f"{document} is out of date: shoal options --markdown > {document}")
