#!/usr/bin/env python3
"""gpu-check without a GPU: its goldens through drun-emulated, and what it says of failures, hangs and what is
missing."""
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "models")]
import environment  # noqa: E402
import goldens  # noqa: E402
import harness  # noqa: E402
import kernels  # noqa: E402
import start  # noqa: E402
import steps  # noqa: E402

MODEL = "llama_linear_tied"


class GpuCheck(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plans = cls.scratch / "plans"
        subprocess.run([sys.executable, "-B", HERE / "make_plans.py", cls.plans, MODEL], check=True,
                       env={**os.environ, "DCC_BIN": str(harness.BIN)}, timeout=60)

    def check(self, *options, bin_=None):
        out = self.scratch / "out.json"
        done = subprocess.run(
            [sys.executable, "-B", HERE / "gpu-check", "--bin", bin_ or self.scratch / "none", "--drun",
             harness.BIN / "drun-emulated", "--plans", self.plans, "--models", MODEL, "--jobs", "2", "--ranks", "2",
             "--json", out, *options], capture_output=True, text=True, check=False, timeout=200)
        return done, json.loads(out.read_text()) if out.exists() else None

    def program(self, name, text):
        """A script among our programs."""
        folder = self.scratch / "bin"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return folder

    def test_goldens_pass_with_plans_that_were_compiled_before(self):
        # There is no dcc in --bin.
        done, said = self.check("--steps", "goldens-1,goldens-ranks")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for name in ("goldens-1", "goldens-ranks"):
            self.assertEqual(said[name]["status"], "passed")
            self.assertEqual(said[name]["figures"]["tests"][0], f"golden {MODEL} TP {1 if name[-1] == '1' else 2}")
        self.assertIn("2 of 2 equal", said["goldens-1"]["line"])  # f32 and bf16

    def test_wrong_numbers_fail(self):
        # A drun that answers nothing: no test of it may count as equal.
        folder = self.program("drun", "exit 0\n")
        done, said = self.check("--steps", "goldens-1", "--drun", folder / "drun")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(said["goldens-1"]["status"], "failed")
        self.assertIn("0 of 2 equal", said["goldens-1"]["line"])

    def test_a_step_that_hangs_is_cut_and_the_next_one_runs(self):
        folder = self.program("cuda_test", "sleep 1000 &\nsleep 1000\n")
        (folder / "device_collectives").write_text(
            '#!/bin/sh\necho \'{"ranks": 2, "via": "host memory", "call": "all-reduce", "bytes": 512, "us": 9.5}\'\n'
            'echo \'{"ranks": 2, "via": "NCCL", "refused": "too old"}\'\n')
        (folder / "device_collectives").chmod(0o755)
        begin = time.monotonic()
        clock, report = steps.Clock(60), steps.Report(self.scratch / "steps.json")
        report.run("kernels", kernels.unit_tests(folder / "cuda_test", {}), 1, clock)
        report.run("collectives", kernels.collectives(folder / "device_collectives", 2, {}), 5, clock)
        self.assertLess(time.monotonic() - begin, 20)
        said = json.loads((self.scratch / "steps.json").read_text())
        self.assertIn("killed at its time limit", said["kernels"]["line"])
        self.assertEqual(said["collectives"]["status"], "passed")
        self.assertEqual(said["collectives"]["line"], "equal over host memory; refused: NCCL: too old")
        self.assertEqual(report.failed(), ["kernels"])

    def test_unit_tests_are_counted_and_failures_named(self):
        file = json.dumps({"tests": 3, "testsuites": [{"name": "Gemv", "testsuite": [
            {"name": "a", "result": "COMPLETED"}, {"name": "b", "result": "SKIPPED"},
            {"name": "c", "result": "COMPLETED", "failures": [{"failure": "off"}]}]}]})
        folder = self.program("cuda_test", f"for a; do echo '{file}' > ${{a#--gtest_output=json:}}; done\nexit 1\n")
        passed, line, figures = kernels.unit_tests(folder / "cuda_test", {})(steps.Clock(5))
        self.assertFalse(passed)
        self.assertEqual(line, "1 of 3 passed, 1 skipped: not Gemv.c")
        self.assertEqual(figures["failed"], ["Gemv.c"])

    def test_what_is_not_there_is_skipped_aloud(self):
        done, said = self.check("--steps", "kernels,collectives,start")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual({r["status"] for r in said.values()}, {"skipped"})
        self.assertIn("cuda_test: No such file", said["kernels"]["line"])
        self.assertIn("skipped", done.stdout.splitlines()[-1])

    def test_sanitizer_findings_are_not_passed_off(self):
        folder = self.program("compute-sanitizer", "echo '[  PASSED  ] 2 tests.'; echo Race reported; exit 9\n")
        path = {"PATH": f"{folder}:{os.environ['PATH']}"}
        with unittest.mock.patch.dict(os.environ, path):
            passed, line, _ = kernels.sanitized("cuda_test", "racecheck", {})(steps.Clock(5))
            self.assertFalse(passed)
            self.assertIn("Race reported", line)
            self.program("compute-sanitizer", "echo 'Error: Device not supported'; exit 1\n")
            with self.assertRaisesRegex(steps.Skip, "does not work here"):
                kernels.sanitized("cuda_test", "memcheck", {})(steps.Clock(5))
            self.program("compute-sanitizer", "echo '[  PASSED  ] 2 tests.'\n")
            passed, line, _ = kernels.sanitized("cuda_test", "memcheck", {})(steps.Clock(5))
            self.assertTrue(passed)
            self.assertEqual(line, f"{2 * kernels.SHARDS} tests without a finding")

    def test_arguments(self):
        for options, error in ((["--models", "llama9"], "--models: llama9; there are"), (["--jobs", "0"], "--jobs"),
                               (["--steps", "nothing"], "there is none"), (["--ranks", "two"], "--ranks: two")):
            done, _ = self.check(*options)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(error, done.stderr)

    def test_every_model_has_its_goldens(self):
        for model in goldens.golden_models():
            scripts = [golden.script for golden in goldens.goldens_of(model, 1)]
            self.assertIn(scripts, (["golden_test.py"], ["golden_test.py", "half_test.py"], ["encode_test.py"]), model)

    def test_nccl_is_asked_for_its_version(self):
        with self.assertRaisesRegex(steps.Skip, "--nccl"):
            environment.nccl_version(None)
        with self.assertRaisesRegex(steps.Skip, "missing.so"):
            environment.nccl_version("/missing.so")


class Start(harness.EndToEnd):
    CONFIG = {"hidden_size": 64, "intermediate_size": 96, "vocab_size": 128, "num_attention_heads": 4,
              "num_key_value_heads": 2, "num_hidden_layers": 2, "tie_word_embeddings": True, "rms_norm_eps": 1e-5,
              "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "bfloat16", "hidden_act": "silu",
              "max_position_embeddings": 128, "rope_theta": 10000.0}

    def test_a_plan_of_an_empty_checkpoint_reads_a_full_one(self):
        shape = self.scratch / "shape"
        shape.mkdir()
        (shape / "config.json").write_text(json.dumps(self.CONFIG))
        empty = start.write_checkpoint(shape, self.scratch / "empty", False)
        plan = self.scratch / "start"
        done = harness.run("dcc", "compile", empty.parent, "--target", "cuda", "-o", plan)
        self.assertEqual(done.status, 0, done)
        full = start.write_checkpoint(shape, self.scratch / "full", True)
        self.assertEqual(full.stat().st_size, empty.stat().st_size)
        self.assertNotEqual(full.read_bytes(), empty.read_bytes())
        empty.unlink()
        done = harness.run("drun-emulated", plan, "bench", "--json", "--checkpoint", full.parent, "--prompt-tokens", 4,
                           "--new-tokens", 2)
        self.assertEqual(done.status, 0, done)
        self.assertGreater(json.loads(done.out.splitlines()[-1])["load_s"], 0)

    def test_the_disk_is_read_past_the_page_cache(self):
        path = self.scratch / "file"
        path.write_bytes(os.urandom(start.BLOCK + 12345))
        try:
            start.evict(path)
            self.assertGreater(start.sequential_seconds(path, steps.Clock(60)), 0)
        except steps.Skip as why:
            self.skipTest(str(why))


if __name__ == "__main__":
    harness.main([])
