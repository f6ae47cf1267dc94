#!/usr/bin/env python3
"""What dcc and drun do when the machine has no more: room on the disk, descriptors, memory, shared
memory, a stdout. One line and status 1, nothing half-written; or they do without."""
import json
import os
import pathlib
import resource
import shlex
import subprocess
import sys
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
import bad  # noqa: E402
import harness  # noqa: E402
from harness import run  # noqa: E402

SMALL = harness.model_dir("llama_bias_mha")
SHARDED = harness.model_dir("llama3")  # six files


def can_mount():
    return subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], check=False,
                          capture_output=True).returncode == 0


class Exhaustion(bad.BadInput):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan = cls.compile(SHARDED, "plan", "--tp", "2")
        cls.input = harness.write_jsonl(cls.scratch / "in.jsonl", [{"input_ids": [1, 2, 3]}])
        cls.generate = [cls.plan, "--input", cls.input, "--max-new-tokens", "2", "--json"]

    def fails(self, done, *words):
        """Status 1 and one line that contains all the words."""
        self.assertEqual(done.status, 1, done)
        lines = done.err.splitlines()
        self.assertEqual(len(lines), 1, done)
        self.assertTrue(lines[0].startswith("error: "), done)
        for word in words:
            self.assertIn(str(word), lines[0])

    def works_or_fails(self, done, *words):
        """Returns whether it worked."""
        if done.status != 0:
            self.fails(done, *words)
        return done.status == 0

    def in_small_disk(self, size, command):
        """Runs a command line where $DISK is a file system of its own; what is left there."""
        disk = self.scratch / "disk"
        disk.mkdir(exist_ok=True)
        script = (f"mount -t tmpfs -o size={size} none {disk} && cd {disk} && "
                  f"{{ {command}; echo $? >&2; ls -A; }}")
        done = subprocess.run(["unshare", "-rm", "sh", "-c", script], text=True, check=False,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
        *err, status = done.stderr.splitlines()
        return harness.Done([command], int(status), "", "\n".join(err)), done.stdout.split()

    # Files that cannot grow.

    def test_file_size_limit(self):
        out = self.scratch / "out"
        out.mkdir()
        for limit in [0, 100, 5000, 20000]:
            with self.subTest(limit=limit):
                done = run("dcc", "compile", SMALL, "--tp", "2", "-o", out / "plan",
                           limits={resource.RLIMIT_FSIZE: limit})
                self.fails(done, "cannot be written: File too large")
                self.assertEqual(list(out.iterdir()), [], "left behind")

    def test_full_disk_keeps_the_old_plan(self):
        plan = self.compile(SMALL, "old", "--tp", "2")
        before = bad.snapshot(plan)
        done = run("dcc", "compile", SMALL, "--tp", "4", "-o", plan,
                   limits={resource.RLIMIT_FSIZE: 5000})
        self.fails(done, plan)
        self.assertEqual(bad.snapshot(plan), before)

    @unittest.skipUnless(can_mount(), "no file system can be mounted here")
    def test_full_disk(self):
        dcc, drun = (shlex.quote(str(harness.BIN / name)) for name in ["dcc", "drun"])
        done, left = self.in_small_disk("32k", f"{dcc} compile {SMALL} --tp 2 -o plan")
        self.fails(done, "No space left on device")
        self.assertEqual(left, [])
        source = harness.write_jsonl(self.scratch / "long.jsonl", [{"input_ids": [1] * 100}])
        done, left = self.in_small_disk("32k", f"{drun} {self.plan} logits --input {source} "
                                               "--output out.safetensors")
        self.fails(done, "out.safetensors", "No space left on device")
        self.assertEqual(left, [])
        done, left = self.in_small_disk("32k", f"{drun} {self.plan} --input {source} --max-new-tokens 20 "
                                               "--ignore-eos --trace trace.json > /dev/null")
        self.fails(done, "--trace trace.json", "No space left on device")
        self.assertEqual(left, [])

    @unittest.skipUnless(can_mount(), "no file system can be mounted here")
    def test_shared_memory_needs_no_file_system(self):
        drun = " ".join(shlex.quote(str(a)) for a in [harness.BIN / "drun", *self.generate])
        done, _ = self.in_small_disk("4k", "mount --bind . /dev/shm && head -c 4096 /dev/zero > "
                                           f"/dev/shm/full && {drun} > /dev/null")
        self.assertEqual((done.status, done.err), (0, ""))

    # Descriptors.

    def test_descriptors(self):
        few = {resource.RLIMIT_NOFILE: 5}
        self.fails(run("drun", *self.generate, limits=few), "Too many open files")
        for transport in ["shm", "tcp"]:
            worked = []
            for limit in range(6, 17):
                with self.subTest(transport=transport, limit=limit):
                    done = run("drun", *self.generate, "--collectives", transport,
                               limits={resource.RLIMIT_NOFILE: limit})
                    worked.append(self.works_or_fails(done))
                    self.assertNotIn("no sign of", done.err)  # no rank is to blame, and none is waited for
            self.assertTrue(worked[-1])
        for limit in [4, 5, 6]:
            done = run("dcc", "compile", SMALL, "-o", self.scratch / "few",
                       limits={resource.RLIMIT_NOFILE: limit})
            self.works_or_fails(done)

    def test_descriptors_that_may_be_had(self):
        done = run("drun", *self.generate, "--collectives", "tcp", limits={resource.RLIMIT_NOFILE: (4, 64)})
        self.assertEqual((done.status, done.err), (0, ""))

    # Memory.

    def memory(self, program, args, step):
        """Runs a program with ever more address space, from a little more than its libraries need."""
        least = next(m for m in range(16 << 20, 2 << 30, 4 << 20)
                     if run(program, "--help", limits={resource.RLIMIT_AS: m}).status == 0)
        return [self.works_or_fails(run(program, *args, limits={resource.RLIMIT_AS: least + i * step}))
                for i in range(1, 13)]

    def test_memory_of_drun(self):
        self.memory("drun", [*self.generate, "--threads", "4"], 3 << 20)

    def test_memory_of_tokenize(self):
        source = self.scratch / "long.jsonl"
        source.write_text(json.dumps({"text": "word " * 1_000_000}) + "\n")
        worked = self.memory("drun", ["tokenize", harness.BUNDLED, "--input", source], 8 << 20)
        self.assertFalse(worked[0])

    def test_memory_of_dcc(self):
        self.memory("dcc", ["compile", SMALL, "-o", self.scratch / "lean"], 2 << 20)

    def test_model_larger_than_memory(self):
        plan = self.compile(harness.ROOT / "benchmarks/shapes/qwen2.5-0.5b", "large", "--weights",
                            "dummy")
        done = run("drun", plan, "--input", self.input, limits={resource.RLIMIT_AS: 800 << 20})
        self.fails(done, "memory: cannot map 988208640 bytes", "more ranks")

    def test_ranks_that_do_not_fit_in_the_host(self):
        """Refused before anything is taken, for what they are to do: a cache that is not filled takes nothing."""
        plan = self.compile(harness.BUNDLED, "wide", "--tp", "2", "--max-seqs", "65536", "--max-tokens", "65536")
        large = harness.write_jsonl(self.scratch / "large.jsonl", [{"input_ids": [1]}] * 65536)
        args = ["--max-new-tokens", "500", "--input", large]
        for transport in ["shm", "tcp"]:
            done = run("drun", plan, *args, "--collectives", transport)
            self.fails(done, "rank 0: memory: the 2 ranks of this host need ", "KV cache 192.0 GiB", "are available",
                       "shorter sequences", "--dtype", "more hosts")
        self.drun(plan, "--prompt", "A", "--max-new-tokens", "2")
        with unittest.mock.patch.dict(os.environ, {"DRUN_OVERCOMMIT": "1"}):
            done = run("drun", plan, "bench", "--batch", "60000", "--new-tokens", "300", "--prompt-tokens", "1",
                       "--checkpoint", "/nowhere")
        self.assertIn("/nowhere", done.err)

    # A stdout that takes nothing.

    def test_stdout_of_dcc(self):
        for args in [["strategies"], ["explain", self.plan], ["inspect", self.plan],
                     ["inspect", self.plan, "--rank", "0"], ["--help"],
                     ["compile", SMALL, "--stop-after", "shard", "-o", "-"]]:
            with self.subTest(args=args):
                command = " ".join(shlex.quote(str(a)) for a in [harness.BIN / "dcc", *args])
                for sink, status in [("> /dev/full", 1), (">&-", 0), ("| true", 0)]:
                    done = subprocess.run(
                        ["bash", "-o", "pipefail", "-c", f"{command} {sink}"], text=True,
                        capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
                    said = harness.Done([command, sink], done.returncode, "", done.stderr)
                    self.assertEqual(done.returncode, status, said)
                    if status:
                        self.fails(said, "stdout: cannot be written")
                    else:
                        self.assertEqual(done.stderr, "", said)

    def test_help_of_drun(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([harness.BIN / "drun", "--help"], stdout=full, text=True,
                                  stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr,
                         "error: stdout: cannot be written: No space left on device\n")


if __name__ == "__main__":
    harness.main([])
