#!/usr/bin/env python3
"""--log-dir: what ranks say is kept, each rank's by itself, and still comes through, behind the first error."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
import harness  # noqa: E402


class Logs(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Its end is said on stderr.
        cls.plan = cls.compile(harness.BUNDLED, "plan", "--tp", "2", "--max-seq-len", "16")
        cls.args = [cls.plan, "--prompt", "ROMEO:", "--ignore-eos", "--max-new-tokens", "100"]

    def contents(self, logs):
        return {path.name: path.read_text() for path in sorted(logs.iterdir())}

    def test_each_rank_has_a_file(self):
        plain = harness.run("drun", *self.args)
        self.assertEqual(plain.status, 0, plain)
        self.assertIn("16", plain.err)
        logs = self.scratch / "new" / "logs"
        for _ in range(2):  # the second time over the first
            done = harness.run("drun", *self.args, "--log-dir", logs)
            self.assertEqual((done.status, done.out), (0, plain.out), done)
            self.assertEqual(done.err, "".join(f"[rank 0] {line}\n" for line in plain.err.splitlines()))
            self.assertEqual(self.contents(logs), {"rank-0.log": plain.err, "rank-1.log": ""})

    def test_the_first_error_comes_first(self):
        logs = self.scratch / "failed"
        program = f"ulimit -c 0; exec {harness.BIN}/drun \"$@\""
        environment = {**os.environ, "DRUN_INJECT": "rank=1,at=decode:2,do=abort"}
        done = subprocess.run(["sh", "-c", program, "sh", *map(str, self.args), "--log-dir", str(logs)],
                              env=environment, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1, done)
        self.assertTrue(done.stderr.startswith("error: rank 1: killed by signal 6 (Aborted), last seen in "
                                               "step 3, entry 'decode'"), done)
        self.assertEqual(sorted(self.contents(logs)), ["rank-0.log", "rank-1.log"])

    def test_where_none_can_be_made(self):
        file = self.scratch / "file"
        file.write_text("")
        for logs, why in [(file, "Not a directory"), (file / "below", "Not a directory"),
                          ("/proc/none", "No such file or directory")]:
            done = harness.run("drun", *self.args, "--log-dir", logs)
            self.assertEqual(done.status, 2, done)
            self.assertRegex(done.err, rf"^error: --log-dir {logs}\S*: cannot be (made|written): {why}\n$")

    def test_a_full_disk_is_no_reason_to_end(self):
        logs = self.scratch / "full"
        logs.mkdir()
        (logs / "rank-0.log").symlink_to("/dev/full")
        done = harness.run("drun", *self.args, "--log-dir", logs)
        self.assertEqual(done.status, 0, done)
        self.assertIn("rank-0.log: cannot be written: No space left on device; the log ends here\n", done.err)

    def test_each_host_keeps_its_own(self):
        port = str(harness.free_port())
        hosts = []
        for host in range(2):
            hosts.append(subprocess.Popen(
                [harness.BIN / "drun", *map(str, self.args), "--nnodes", "2", "--node-rank", str(host),
                 "--master-addr", "127.0.0.1", "--master-port", port, "--log-dir", self.scratch / f"host{host}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env={**os.environ, "DRUN_SECRET": "x"}))
        said = [process.communicate(timeout=60) for process in hosts]
        self.assertEqual([process.returncode for process in hosts], [0, 0], said)
        self.assertRegex(said[0][1], r"\A\[rank 0\] .*16.*\n\Z")
        self.assertEqual(said[1], ("", ""))
        self.assertEqual([list(self.contents(self.scratch / f"host{host}")) for host in range(2)],
                         [["rank-0.log"], ["rank-1.log"]])

    def test_not_for_ranks_that_others_start(self):
        environment = {**os.environ, "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0",
                       "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
        done = subprocess.run([harness.BIN / "drun", *map(str, self.args), "--log-dir", self.scratch / "x"],
                              env=environment, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("--log-dir: for ranks that drun starts", done.stderr)


if __name__ == "__main__":
    harness.main([])
