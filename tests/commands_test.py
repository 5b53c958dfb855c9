"""The manual, the completions and the help are of one piece with the commands."""
import os
import re
import subprocess
import unittest

SHOAL = os.environ.get("SHOAL_BIN", "build/release/bin/shoal")
COMMANDS = ["mount", "umount", "warmup load", "warmup stat", "warmup cancel", "top", "stat",
            "restart", "update", "rollback", "doctor", "completion", "manual", "origin"]


def run(*arguments, **options):
    return subprocess.run([SHOAL, *arguments], capture_output=True, text=True, timeout=60,
                          **options)


def complete(*words):
    """What bash offers for the last of `words`."""
    script = """
        source <("$0" completion bash)
        COMP_WORDS=(shoal "$@"); COMP_CWORD=$#
        _shoal
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", script, SHOAL, *words], capture_output=True, text=True,
                          timeout=60)
    return sorted(done.stdout.split())


class Commands(unittest.TestCase):
    def test_every_command_has_help_and_a_wrong_command_line_points_to_it(self):
        for command in COMMANDS:
            with self.subTest(command):
                help_ = run(*command.split(), "--help")
                self.assertEqual(help_.returncode, 0, help_.stderr)
                self.assertIn("shoal " + command, help_.stdout)
                wrong = run(*command.split(), "--no-such-option")
                self.assertIn(wrong.returncode, (1, 2))
                self.assertIn("--help", wrong.stderr)

    def test_the_origin_takes_no_negative_numbers(self):
        for option in ("--latency-ms", "--max-connections", "--bytes-per-second"):
            wrong = run("origin", "--root", "/nonexistent", option, "-5")
            self.assertEqual(wrong.returncode, 2)
            self.assertIn(f"{option}: may not be negative", wrong.stderr)

    def test_a_command_that_is_none_is_refused_with_those_there_are(self):
        wrong = run("warmup", "lod", "x")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("warmup load", wrong.stderr)
        asked = run("warmup", "--help")
        self.assertEqual((asked.returncode, asked.stderr), (0, ""))
        self.assertIn("warmup load", asked.stdout)
        self.assertNotIn("umount", asked.stdout)

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
                (["-r", "tier"], "-m")]:
            with self.subTest(arguments):
                done = subprocess.run([cli, *arguments], capture_output=True, text=True,
                                      timeout=60)
                self.assertEqual(done.returncode, 1)
                self.assertIn(message, done.stderr)
        done = subprocess.run([cli, "-m", "/", "-r", "tier"], capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 32)
        self.assertIn("is in no mounted bucket", done.stderr)


if __name__ == "__main__":
    unittest.main()
