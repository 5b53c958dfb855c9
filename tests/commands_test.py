"""The manual, the completions and the help are of one piece with the commands."""
import importlib.util
import json
import os
import pathlib
import pty
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from unittest import mock

SHOAL = os.environ.get("SHOAL_BIN", "build/release/bin/shoal")
COMMANDS = ["mount", "umount", "warmup load", "warmup stat", "warmup cancel", "top", "stat",
            "restart", "update", "rollback", "doctor", "completion", "manual", "origin"]


def run(*arguments, **options):
    return subprocess.run([SHOAL, *arguments], capture_output=True, text=True, timeout=60,
                          **options)


def complete(*words, program="shoal", cwd=None):
    """What bash offers for the last of `words`, whole."""
    line = " ".join([program, *words])
    # As readline has it: = and : break words.
    broken = [program] + [p for w in words for p in re.findall(r"[=:]+|(?:[^=:\\\\]|\\\\.)+", w) or [""]]
    script = """
        source <("$0" completion bash)
        COMP_LINE=$1; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_POINT=${#COMP_LINE}
        _shoal
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", script, os.path.abspath(SHOAL), line, *broken],
                          capture_output=True, text=True, timeout=60, cwd=cwd)
    return sorted(line for line in done.stdout.splitlines() if line)


PREPARED = {
    "bash": "source <({shoal} completion bash); bind 'set bell-style none'",
    # As tools/install.sh has it.
    "zsh": "{shoal} completion zsh >_shoal; fpath=($PWD $fpath); autoload -U compinit; "
           "compinit -u -D; bindkey -e",
}


def typed(text, cwd, shell="bash"):
    """What an interactive shell makes of `text` and a tab."""
    controller, terminal = pty.openpty()
    options = {"bash": "--norc", "zsh": "-f"}[shell]
    process = subprocess.Popen([shell, options, "-i"], stdin=terminal, stdout=terminal,
                               stderr=terminal, cwd=cwd, start_new_session=True,
                               env={"PATH": os.environ["PATH"], "PS1": "", "TERM": "dumb",
                                    "HOME": cwd, "INPUTRC": "/dev/null"})
    os.close(terminal)
    try:
        prepared = PREPARED[shell].format(shoal=shlex.quote(os.path.abspath(SHOAL)))
        os.write(controller, f"{prepared}; stty -echo; echo re''ady\n".encode())
        seen = b""
        while b"ready\r\n" not in seen:
            seen += os.read(controller, 4096)
        # Ctrl-A and "echo" show what the line has become.
        os.write(controller, text.encode() + b"\t\x01printf '[%s]' \x05; echo do''ne\n")
        seen = b""
        while b"done\r\n" not in seen:
            seen += os.read(controller, 4096)
        shown = next(line for line in seen.decode().splitlines() if line.endswith("]done"))
        return re.findall(r"\[([^]]*)\]", shown)
    finally:
        process.kill()
        process.wait()
        os.close(controller)


class Commands(unittest.TestCase):
    def test_every_command_has_help_and_a_wrong_command_line_points_to_it(self):
        for command in COMMANDS:
            with self.subTest(command):
                help_ = run(*command.split(), "--help")
                self.assertEqual(help_.returncode, 0, help_.stderr)
                self.assertIn("shoal " + command, help_.stdout)
                wrong = run(*command.split(), "--no-such-option")
                self.assertEqual(wrong.returncode, 1)
                self.assertIn("--help", wrong.stderr)

    def test_the_origin_takes_no_negative_numbers(self):
        for option in ("--latency-ms", "--max-connections", "--bytes-per-second"):
            wrong = run("origin", "--root", "/nonexistent", option, "-5")
            self.assertEqual(wrong.returncode, 1)
            self.assertIn(f"{option}: may not be negative", wrong.stderr)

    def test_counts_are_not_negative(self):
        for words in (["top", "/", "-n", "-1"], ["warmup", "stat", "/a", "--since", "-5"]):
            done = run(*words)
            self.assertEqual(done.returncode, 1, done)
            self.assertIn("may not be negative", done.stderr)

    def test_doctor_refuses_options_that_it_would_not_look_at(self):
        for words in (["-o", "nonsense=1"], ["/", "-o", "log_level=debug"]):
            done = run("doctor", *words)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("-o goes with the SOURCE", done.stderr)

    def test_the_version_is_told_to_people_and_programs(self):
        version = json.loads(run("version", "--json").stdout)["version"]
        self.assertEqual(run("version").stdout, f"shoal {version}\n")

    def test_the_origin_says_why_it_cannot_start_and_fails_as_a_mount_does(self):
        for arguments, reason in ((["--root", "/nonexistent"], "/nonexistent"),
                                  (["--root", "/", "--faults", "{"], "--faults is not JSON")):
            failed = run("origin", "--listen", "127.0.0.1:0", *arguments)
            self.assertEqual((failed.returncode, failed.stdout), (32, ""))
            self.assertIn(f"shoal origin: {reason}", failed.stderr)

    def test_the_origin_tells_a_program_where_it_is_and_its_keys(self):
        with tempfile.TemporaryDirectory() as root:
            process = subprocess.Popen(
                [SHOAL, "origin", "--root", root, "--listen", "127.0.0.1:0", "--json"],
                stdout=subprocess.PIPE, text=True)
            try:
                told = json.loads(process.stdout.readline())
                self.assertEqual(list(told), ["Endpoint", "AccessKeyId", "AccessKeySecret"])
                with urllib.request.urlopen(told["Endpoint"] + "/__origin/stats") as stats:
                    self.assertEqual(stats.status, 200)
            finally:
                process.terminate()
                process.wait(60)
                process.stdout.close()

    def test_the_origin_takes_as_many_descriptors_as_it_may_have(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))

        with tempfile.TemporaryDirectory() as root:
            process = subprocess.Popen([SHOAL, "origin", "--root", root, "--listen", "127.0.0.1:0"],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                       preexec_fn=few)
            try:
                self.assertIn("listening", process.stdout.readline())
                self.assertEqual(resource.prlimit(process.pid, resource.RLIMIT_NOFILE), (4096, 4096))
            finally:
                process.terminate()
                process.communicate(timeout=60)

    def test_a_command_that_is_none_is_refused_with_those_there_are(self):
        wrong = run("warmup", "lod", "x")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("warmup load", wrong.stderr)
        asked = run("warmup", "--help")
        self.assertEqual((asked.returncode, asked.stderr), (0, ""))
        self.assertIn("warmup load", asked.stdout)
        self.assertNotIn("umount", asked.stdout)

    def test_the_options_of_a_mount_are_printed_as_the_document_or_it_is_said_how(self):
        for words in ([], ["markdown"], ["--markdown", "x"]):
            wrong = run("options", *words)
            self.assertEqual((wrong.returncode, wrong.stdout), (1, ""))
            self.assertIn("usage: shoal options --markdown", wrong.stderr)
        asked = run("options", "--help")
        self.assertEqual((asked.returncode, asked.stderr), (0, ""))
        self.assertIn("usage: shoal options --markdown", asked.stdout)

    def assert_fails_with_a_reason(self, done, reason):
        self.assertEqual((done.returncode, done.stdout), (32, ""), done.stderr)
        self.assertRegex(done.stderr, rf"^shoal[ a-z]*: .*{re.escape(reason)}.*\n$")

    def test_a_path_that_leads_nowhere_is_an_error_with_a_reason(self):
        for command in ("stat", "top", "warmup load", "warmup load x -m"):
            with self.subTest(command):
                if not command.endswith("-m"):
                    self.assert_fails_with_a_reason(run(*command.split(), ""), "the path is empty")
                with tempfile.TemporaryDirectory() as directory:
                    script = 'cd "$1/d" && rmdir "$1/d" && shift && exec "$0" "$@" file'
                    os.mkdir(os.path.join(directory, "d"))
                    done = subprocess.run(["sh", "-c", script, os.path.abspath(SHOAL), directory,
                                           *command.split()],
                                          capture_output=True, text=True, timeout=60)
                self.assert_fails_with_a_reason(done, "the working directory: No such file")

    def test_output_that_cannot_be_written_is_a_failure(self):
        for command in ("completion bash", "manual", "doctor --json", "options --markdown",
                        "version", "help", "warmup --help", "stat --help", "umount --help"):
            with self.subTest(command), open("/dev/full", "w") as full:
                done = subprocess.run([SHOAL, *command.split()], stdout=full,
                                      stderr=subprocess.PIPE, text=True, timeout=60)
                self.assertEqual(done.returncode, 32)
                self.assertRegex(done.stderr, r"^shoal[ a-z]*: .*No space left on device\n$")

    def test_a_failure_is_told_to_programs_as_one_object(self):
        for line, status in (
                ("stat", 1), ("stat /", 32), ("stat / --nonsense", 1), ("top /", 32),
                ("warmup load /", 32), ("warmup stat", 1), ("warmup cancel -m / x", 32),
                ("origin", 1), ("origin --root /proc/nothing", 32),
                ("umount", 1), ("umount /nonexistent", 32), ("restart /", 32), ("rollback /", 32),
                ("update / -o nonsense=1", 32), ("update /", 1), ("doctor b:/ -o nonsense=1", 1),
                ("mount", 1), ("mount b:/ /nonexistent -o nonsense=1", 1),
                ("mount b.e:/ / -o passwd_file=/nonexistent", 1),
                ("mount b.e:/ / -o remount,nonsense=1", 32)):
            with self.subTest(line):
                plain, told = run(*line.split()), run(*line.split(), "--json")
                self.assertEqual((plain.returncode, plain.stdout), (status, ""))
                self.assertEqual((told.returncode, told.stderr), (status, plain.stderr))
                reason = plain.stderr.rstrip("\n").partition(": ")[2]
                self.assertEqual(json.loads(told.stdout),
                                 {"ExitStatus": status, "ErrorMessage": reason})
                self.assertEqual(told.stdout.count("\n"), 1)

    def test_a_failure_that_cannot_be_said_is_one_still(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([SHOAL, "stat", "/nonexistent"], stdout=subprocess.PIPE,
                                  stderr=full, timeout=60)
        self.assertEqual(done.returncode, 32)

    def test_doctor_takes_what_has_no_colon_and_slash_for_a_path(self):
        for path in ("no-mount", "/nonexistent", "./x"):
            done = run("doctor", path)
            self.assertEqual(done.returncode, 32)
            self.assertIn("is in no mounted bucket", done.stdout)
            self.assertNotIn("-m MOUNTPOINT", done.stdout)

    def test_bash_completes_commands_options_and_mount_options(self):
        self.assertEqual(complete("war"), ["warmup"])
        self.assertEqual(complete("warmup", ""), ["cancel", "load", "stat"])
        self.assertEqual(complete("warmup", "load", "--w"), ["--watch"])
        self.assertEqual(complete("mount", "-o", "g_tier_DadiDisk"),
                         ["g_tier_DadiDiskCacheCapacityMB=", "g_tier_DadiDiskCachePath="])
        self.assertEqual(complete("mount", "-o", "efc,protoc"), ["efc,protocol="])

    def test_bash_goes_on_behind_the_value_of_an_option(self):
        # readline keeps what is before the last = or colon.
        self.assertEqual(complete("mount", "-o", "efc,protocol=oss,g_server"),
                         ["oss,g_server_Port="])
        self.assertEqual(complete("mount", "b:/", "/mnt", "-o", "endpoint=http://h:1,efc,g_server"),
                         ["1,efc,g_server_Port="])
        self.assertIn("/etc/passwd", complete("mount", "-o", "passwd_file=/etc/passw"))
        self.assertEqual(complete("update", "/mnt", "-o", "log_level=info,readahead"),
                         ["info,readahead_kb="])

    def test_bash_offers_what_an_argument_may_be(self):
        self.assertEqual(complete("completion", ""), ["bash", "fish", "zsh"])
        self.assertEqual(complete("manual", ""),
                         ["aliyun-alinas-efc-cli", "mount.alinas", "shoal"])
        cli = "aliyun-alinas-efc-cli"
        self.assertEqual(complete("-m", "/mnt", "-r", "warmup/s", program=cli), ["warmup/stat"])
        self.assertEqual(complete("-k", "clear_m", program=cli), ["clear_metadata_cache"])
        self.assertEqual(complete("--pre", program=cli), ["--preceding_time"])
        self.assertEqual(complete("", program="efc_runtime_ops.py"), ["rollback", "update"])
        self.assertEqual(complete("update", "/mnt", "-o", "g_server", program="efc_runtime_ops.py"),
                         ["g_server_Port="])
        self.assertEqual(complete("b:/", "/mnt", "-o", "efc,protoc", program="mount.alinas"),
                         ["efc,protocol="])

    def test_bash_completes_names_of_files_with_blanks(self):
        with tempfile.TemporaryDirectory() as directory:
            os.mkdir(os.path.join(directory, "two words"))
            self.assertEqual(complete("umount", "tw", cwd=directory), ["two words"])
            self.assertEqual(complete("umount", "two\\ w", cwd=directory), ["two words"])
            self.assertEqual(typed("shoal umount tw", directory), ["shoal", "umount", "two words/"])
            self.assertEqual(typed("shoal mount -o efc,protocol=oss,g_server_P", directory),
                             ["shoal", "mount", "-o", "efc,protocol=oss,g_server_Port="])
            self.assertEqual(typed("shoal mount b:/ two\\ words -o efc,trybi", directory)[-1],
                             "efc,trybind=")

    def test_the_shells_can_read_what_is_made_for_them(self):
        for shell in ("bash", "zsh", "fish"):
            with self.subTest(shell):
                self.need(shell)
                script = run("completion", shell).stdout
                read = subprocess.run([shell, "-n", "/dev/stdin"], input=script,
                                      capture_output=True, text=True, timeout=60)
                self.assertEqual((read.returncode, read.stdout + read.stderr), (0, ""))

    def need(self, shell):
        """./dev test installs them."""
        if not shutil.which(shell):
            self.skipTest(f"there is no {shell}")

    def test_fish_offers_the_same(self):
        self.need("fish")
        with tempfile.TemporaryDirectory() as directory:
            script = pathlib.Path(directory, "shoal.fish")
            script.write_text(run("completion", "fish").stdout)
            pathlib.Path(directory, "file").touch()

            def offered(line):
                done = subprocess.run(["fish", "--no-config", "-c",
                                       f"source {script}; complete -C {shlex.quote(line)}"],
                                      capture_output=True, text=True, timeout=60, cwd=directory,
                                      env=os.environ | {"HOME": directory})
                self.assertEqual(done.stderr, "")
                return [line.partition("\t")[0] for line in done.stdout.splitlines()]

            cli = "aliyun-alinas-efc-cli"
            for line, words in (
                    ("shoal war", ["warmup"]), ("shoal warmup ", ["cancel", "load", "stat"]),
                    ("shoal warmup load ", ["file", "shoal.fish"]),
                    ("shoal warmup load --w", ["--watch"]),
                    ("shoal completion ", ["bash", "fish", "zsh"]),
                    ("shoal mount -o g_tier_DadiDisk",
                     ["g_tier_DadiDiskCacheCapacityMB=", "g_tier_DadiDiskCachePath="]),
                    ("shoal mount -o efc,protocol=oss,g_server", ["efc,protocol=oss,g_server_Port="]),
                    (f"{cli} -m /mnt -r warmup/s", ["warmup/stat"]),
                    (f"{cli} -k clear_m", ["clear_metadata_cache"]),
                    ("efc_runtime_ops.py ", ["rollback", "update"]),
                    ("mount.alinas b:/ /mnt -o efc,protoc", ["efc,protocol="])):
                self.assertEqual(offered(line), words, line)

    def test_zsh_completes_the_same(self):
        self.need("zsh")
        with tempfile.TemporaryDirectory() as directory:
            cli = "aliyun-alinas-efc-cli"
            for line, words in (
                    ("shoal war", ["shoal", "warmup"]),
                    ("shoal warmup lo", ["shoal", "warmup", "load"]),
                    ("shoal warmup load --w", ["shoal", "warmup", "load", "--watch"]),
                    ("shoal completion fi", ["shoal", "completion", "fish"]),
                    ("shoal mount -o efc,protocol=oss,g_server",
                     ["shoal", "mount", "-o", "efc,protocol=oss,g_server_Port="]),
                    (f"{cli} -m /mnt -r warmup/s", [cli, "-m", "/mnt", "-r", "warmup/stat"]),
                    ("efc_runtime_ops.py up", ["efc_runtime_ops.py", "update"]),
                    ("mount.alinas b:/ /mnt -o efc,protoc",
                     ["mount.alinas", "b:/", "/mnt", "-o", "efc,protocol="])):
                self.assertEqual(typed(line, directory, "zsh"), words, line)

    def test_the_manual_formats_without_a_warning_and_has_every_command_and_option(self):
        options = re.findall(r"^\| `(\w+)` \|", run("options", "--markdown").stdout, re.M)
        for page, wanted in [("shoal", COMMANDS), ("mount.alinas", options),
                             ("aliyun-alinas-efc-cli", ["--preceding_time", "-k"])]:
            with self.subTest(page):
                roff = run("manual", page).stdout
                formatted = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-P-cbou"],
                                           input=roff, capture_output=True, text=True, timeout=60)
                self.assertEqual(formatted.stderr, "")
                text = formatted.stdout.replace("‐", "-").replace("−", "-")
                for word in wanted:
                    self.assertIn(word, text)

    def test_the_manual_has_units_and_examples_and_each_program_its_own_exit_statuses(self):
        helper = run("manual", "mount.alinas").stdout
        self.assertIn("\\fBconnect_timeout\\fR=\\fI5\\fR (s)\n", helper)
        self.assertIn("\\fBreadahead_kb\\fR=\\fI1024\\fR (KiB)\n", helper)
        self.assertIn("\\fBg_server_Port\\fR=\\fI0\\fR\n", helper)
        cli = run("manual", "aliyun-alinas-efc-cli").stdout
        for operation in ("warmup/load", "warmup/stat", "warmup/cancel", "tier", "action"):
            self.assertRegex(cli, rf"What to do: .*\b{operation}\b")
        self.assertIn("\n\\fB\\-m\\fR \\fIVALUE\\fR\n", cli, "has no brackets: it is required")
        self.assertIn("\n[\\fB\\-c\\fR]\n", cli)
        for page, statuses in ((helper, ["0", "1", "2", "8", "32"]), (cli, ["0", "1", "32"])):
            self.assertIn(".SH EXAMPLES\n", page)
            self.assertEqual(re.findall(r"^\.B (\d+)$", page, re.M), statuses)

    def test_the_specifications_cli_wants_what_its_operation_needs(self):
        directory = os.path.join(os.path.dirname(os.path.abspath(SHOAL)), "commands_test")
        os.makedirs(directory, exist_ok=True)
        cli = os.path.join(directory, "aliyun-alinas-efc-cli")
        if not os.path.lexists(cli):
            os.symlink(os.path.abspath(SHOAL), cli)
        for arguments, message in [
                (["-m", "/", "-r", "warmup/load"], "needs --path"),
                (["-m", "/", "-r", "action"], "-k clear_readdir_cache"),
                (["-m", "/", "-r", "warmup/stat", "--path", "", "--preceding_time", "abc"],
                 "'abc' is no number of seconds"),
                (["-m", "/", "-r", "warmup/stat", "--path", "", "--preceding_time", "-5"],
                 "--preceding_time"),
                (["-m", "/", "-r", "nonsense"], "warmup/load"),
                (["-m", "/", "-r", "tier", "-k", "clear_readdir_cache"], "-k is not used with -r tier"),
                (["-m", "/", "-r", "tier", "--path", ""], "--path is not used with -r tier"),
                (["-m", "/", "-r", "action", "-k", "clear_readdir_cache", "-c"],
                 "-c is not used with -r action"),
                (["-m", "/", "-r", "warmup/load", "--path", "", "--preceding_time", "5"],
                 "--preceding_time is not used with -r warmup/load"),
                (["-r", "tier"], "-m"),
                (["-m", "/", "-r", "tier"], "is in no mounted bucket")]:
            with self.subTest(arguments):
                plain, told = (subprocess.run([cli, *arguments, *json_flag], capture_output=True,
                                              text=True, timeout=60)
                               for json_flag in ([], ["--json"]))
                status = 32 if "mounted" in message else 1
                self.assertEqual((plain.returncode, plain.stdout), (status, ""))
                self.assertIn(message, plain.stderr)
                self.assertEqual((told.returncode, told.stderr), (status, plain.stderr))
                reason = plain.stderr.rstrip("\n").partition(": ")[2]
                self.assertEqual(json.loads(told.stdout),
                                 {"ExitStatus": status, "ErrorMessage": reason})

    def test_the_runtime_tool_ends_as_shoal_does_with_a_wrong_command_line(self):
        tool = pathlib.Path(__file__).parents[1] / "tools/efc_runtime_ops.py"
        environment = os.environ | {"SHOAL_BIN": os.path.abspath(SHOAL)}
        for words in ([], ["nonsense"], ["update", "/mnt"], ["rollback"],
                      ["update", "/mnt", "-o", "nonsense", "--json"]):
            done = subprocess.run([sys.executable, tool, *words], capture_output=True, text=True,
                                  env=environment, timeout=60)
            self.assertIn(done.returncode, (1, 32), done)
            self.assertEqual(done.returncode == 32, "--json" in words, done)
        self.assertEqual(json.loads(done.stdout)["ExitStatus"], 32)

    def test_the_runtime_tool_finds_the_installed_program_where_PATH_lacks_it(self):
        path = pathlib.Path(__file__).parents[1] / "tools/efc_runtime_ops.py"
        spec = importlib.util.spec_from_file_location("efc_runtime_ops", path)
        tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tool)
        self.assertEqual(tool.INSTALLED, "/usr/local/bin")
        with tempfile.TemporaryDirectory() as directory:
            installed, other, empty = (pathlib.Path(directory, name) for name in "abc")
            for folder in (installed, other, empty):
                folder.mkdir()
            for folder in (installed, other):
                (folder / "shoal").touch(0o755)
            with mock.patch.object(tool, "INSTALLED", str(installed)):
                with mock.patch.dict(os.environ, {"PATH": str(empty), "SHOAL_BIN": ""}):
                    self.assertEqual(tool.find_shoal(), str(installed / "shoal"))
                with mock.patch.dict(os.environ, {"PATH": str(other), "SHOAL_BIN": ""}):
                    self.assertEqual(tool.find_shoal(), str(other / "shoal"))
                with mock.patch.dict(os.environ, {"PATH": str(other), "SHOAL_BIN": "/x/shoal"}):
                    self.assertEqual(tool.find_shoal(), "/x/shoal")
                (installed / "shoal").unlink()
                with mock.patch.dict(os.environ, {"PATH": str(empty), "SHOAL_BIN": ""}):
                    with self.assertRaisesRegex(SystemExit, "32"):
                        tool.find_shoal()


if __name__ == "__main__":
    unittest.main()
