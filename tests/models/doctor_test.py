#!/usr/bin/env python3
"""drun doctor: never fails, tells the same as text and as JSON, and names what it finds."""
import json
import os
import pathlib
import subprocess

import harness

SECTIONS = ["drun", "cpu", "memory", "limits", "nvidia", "starters", "environment"]
LAUNCHER = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "10.0.0.7",
            "MASTER_PORT": "29500"}


class Doctor(harness.EndToEnd):
    def doctor(self, *options, env=None, stdout=subprocess.PIPE):
        """Runs it with these variables and no others."""
        done = subprocess.run([harness.BIN / "drun", "doctor", *options], env=env or {},
                              stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def json(self, **env):
        out = self.doctor("--json", env=env)
        self.assertEqual(out.count("\n"), 1)
        return json.loads(out)

    def test_text_and_json_tell_the_same(self):
        found = self.json()
        self.assertEqual(list(found), SECTIONS)
        lines = [line for line in self.doctor().splitlines() if line]
        self.assertEqual(len(lines), sum(len(section) for section in found.values()))
        # All texts begin in one column.
        column = lines[0].index(found["drun"]["version"])
        for line in lines:
            self.assertRegex(line[:column], r"  $")
            self.assertRegex(line[column:], r"^\S")
        self.assertEqual([line.split()[0] for line in lines if line[0] != " "], SECTIONS)

    def test_this_machine(self):
        found = self.json()
        self.assertLessEqual(1, found["cpu"]["cores"])
        self.assertLessEqual(found["cpu"]["cores"], len(os.sched_getaffinity(0)))
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self.assertEqual(found["memory"]["total"], pages)
        self.assertEqual(found["nvidia"]["devices"] != [], pathlib.Path("/dev/nvidia0").exists())
        self.assertRegex(found["drun"]["ICU"], r"^\d+\.\d+")
        self.assertRegex(found["drun"]["PCRE2"], r"^\d+\.\d+")

    def test_forced_instructions(self):
        name = "sse4" if os.uname().machine == "x86_64" else "neon"
        self.assertIn(f"({name})", self.json(DRUN_INSTRUCTIONS=name)["cpu"]["kernels"])

    def test_environment(self):
        def meaning(**env):
            found = self.json(**env)["environment"]
            for name in LAUNCHER:
                self.assertEqual(found[name], env.get(name))
            return found["meaning"]
        self.assertIn("starts ranks of its own", meaning())
        joins = meaning(**LAUNCHER)
        self.assertIn("rank 1 of 4", joins)
        self.assertIn("at 10.0.0.7:29501", joins)  # the port after torchrun's
        self.assertIn("LOCAL_RANK", meaning(RANK="0", WORLD_SIZE="2"))
        self.assertIn("RANK=x", meaning(**(LAUNCHER | {"RANK": "x"})))
        self.assertIn("AVX9", meaning(DRUN_INSTRUCTIONS="AVX9"))
        self.assertIn("meet on this host", meaning(**LAUNCHER, LOCAL_WORLD_SIZE="4"))
        self.assertNotIn("swordfish", self.doctor("--json", env={"DRUN_SECRET": "swordfish"}))

    def test_starters(self):
        """The table of what they call a rank, and which of them has started this process."""
        found = self.json()["starters"]
        self.assertIsNone(found.pop("found"))
        self.assertEqual(list(found), ["torchrun", "Open MPI", "PMI", "PMIx", "Slurm"])
        self.assertEqual(found["Open MPI"][:2], ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"])
        slurm = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1",
                 "SLURM_STEP_NUM_NODES": "1", "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}
        report = self.json(**slurm)
        self.assertEqual(report["starters"]["found"], "Slurm")
        self.assertEqual({name: report["environment"][name] for name in slurm}, slurm)
        self.assertIn("rank 1 of 4, which meet on this host", report["environment"]["meaning"])
        self.assertEqual(self.json(**LAUNCHER, **slurm)["starters"]["found"], "torchrun")

    def test_nvidia_libraries(self):
        found = self.json(LD_LIBRARY_PATH=self.fake_nvidia)["nvidia"]
        self.assertEqual(found["libcuda.so.1"], "CUDA 12.8")
        self.assertEqual(found["libnccl.so.2"], "2.21.5")
        self.assertEqual(found["libcublasLt.so"], "12.8.4")

    def test_a_damaged_library(self):
        (self.scratch / "libnccl.so.2").write_text("no library")
        lines = self.doctor(env={"LD_LIBRARY_PATH": str(self.scratch)}).splitlines()
        (line,) = [line for line in lines if "nccl" in line]
        self.assertIn("cannot be loaded: ", line)
        self.assertIsNone(self.json(LD_LIBRARY_PATH=str(self.scratch))["nvidia"]["libnccl.so.2"])

    def test_closed_stdout(self):
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as closed:
            self.doctor(stdout=closed)


if __name__ == "__main__":
    harness.main(["fake_nvidia"])
