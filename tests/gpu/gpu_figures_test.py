#!/usr/bin/env python3
"""benchmarks/cuda/compare.py: its arithmetic by hand, and whole comparisons with a drun and peers that are scripts."""
import json
import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / "benchmarks/cuda"
sys.path[:0] = [str(HERE), str(HERE.parent / "models"), str(TOOLS)]
import cases  # noqa: E402
import figures  # noqa: E402
import harness  # noqa: E402
import projection  # noqa: E402
import report  # noqa: E402
import steps  # noqa: E402

# Decodes 100 tokens/s and reads prompts at 1e5, of a model of 16 GB on a device that copies 2 TB/s.
DRUN = """#!/usr/bin/env python3
import json
print(json.dumps({"decode_tokens_per_s": 100.0, "prefill_tokens_per_s": 1e5, "weight_bytes_per_token": 16e9,
                  "memory_bandwidth_bytes_per_s": 2e12, "host_p50_s": 2e-5}))
"""
# A Python that runs worker.py: half as fast when eager, as fast when compiled.
PEER = """#!/usr/bin/env python3
import json, socket, sys
_, worker, shape, mode, path = sys.argv
connection = socket.socket(socket.AF_UNIX)
connection.connect(path)
stream = connection.makefile("rw")
for line in stream:
    said = {"eager": {"decode_tokens_per_s": 50.0, "prefill_tokens_per_s": 5e4},
            "compiled": {"decode_tokens_per_s": 100.0, "prefill_tokens_per_s": 1e5},
            "limits": {"copy_bytes_per_s": 3.2e12, "gemm_flops_per_s": 2e15}}[mode]
    stream.write(json.dumps(said) + chr(10))
    stream.flush()
"""


def case_named(name):
    return next(c for c in cases.CASES if c.name == name)


class Arithmetic(unittest.TestCase):
    def test_bytes_of_a_decode_step(self):
        config = cases.config_of("llama-3-8b")
        # 32 layers of 8 heads of 128, keys and values, 2 bytes each.
        self.assertEqual(cases.kv_bytes(config, 1), 131072)
        case = case_named("decode, batch 8")
        # 1024 tokens of prompt, and half of 65 new ones on average; one is written.
        self.assertEqual(cases.decode_bytes(config, case, 2e9), 8 * (2e9 + 131072 * (1024 + 32.5 + 1)))

    def test_operations_of_a_prompt(self):
        flops = cases.prefill_flops(cases.config_of("llama-3-8b"), case_named("prefill 2048"))
        # 6.98e9 parameters in the layers' matrices, and half of a square of scores, in two products.
        layers = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
        self.assertEqual(flops, 2 * 2048 * layers + 32 * 4 * 2048 * 2048 / 2 * 4096 + 2 * 4096 * 128256)

    def test_plans_have_room_for_their_cases(self):
        for case in cases.CASES:
            sizes = dict(zip(*[iter(cases.PLANS[case.plan][1])] * 2))
            self.assertLessEqual(case.batch, int(sizes["--max-seqs"]), case.name)
            self.assertLessEqual(case.prompt_tokens + case.new_tokens, int(sizes["--max-seq-len"]), case.name)


class Projection(harness.EndToEnd):
    def test_by_hand(self):
        config = cases.config_of("llama-3-8b")
        self.assertEqual(projection.weight_bytes(config), 2 * (32 * 218103808 + 4096 * 128256))
        best, worst = projection.seconds(config, 4, 4e12, 0.8, 1024)
        ideal = (15009316864 + 131072 * 1024) / 4e12
        self.assertAlmostEqual(best, ideal / 0.8 / 4 + 65 * 4.8e-6)
        self.assertAlmostEqual(worst, ideal / 4 + ideal * 0.25 + 65 * 4.8e-6)

    def test_collectives_are_counted_as_the_compiler_makes_them(self):
        plan = self.scratch / "plan"
        shape = cases.SHAPES / "llama-3-8b"
        done = harness.run("dcc", "compile", shape, "--tp", 8, *cases.COMMON, "--max-seqs", 1,
                           "--max-seq-len", 64, "-o", plan)
        self.assertEqual(done.status, 0, done)
        explained = harness.run("dcc", "explain", plan).out
        self.assertIn(f", {projection.all_reduces(cases.config_of('llama-3-8b'))} collectives", explained)

    def test_the_page_has_the_table(self):
        page = (harness.ROOT / "docs/projection-8-gpus.md").read_text(encoding="utf-8")
        self.assertIn("\n".join(projection.table(4.3e12, 0.8)), page)


class Compare(harness.EndToEnd):
    def script(self, name, text):
        path = self.scratch / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def compare(self, *options):
        plans = self.scratch / "plans"
        for name in cases.PLANS:
            (plans / name).mkdir(parents=True, exist_ok=True)
            (plans / name / "manifest.json").write_text("{}")
        out = self.scratch / "figures.json"
        out.unlink(missing_ok=True)
        done = subprocess.run([sys.executable, "-B", TOOLS / "compare.py", "--plans", plans, "--drun",
                               self.script("drun", DRUN), "--json", out, "--out", out.with_suffix(".md"), "--rounds",
                               "2", *options], capture_output=True, text=True, check=False, timeout=60)
        return done, json.loads(out.read_text()) if out.exists() else {}

    def test_ratios_and_fractions(self):
        done, said = self.compare("--transformers", self.script("peer", PEER))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(list(said), [case.name for case in cases.CASES])
        first = said["decode, batch 1"]["figures"]
        self.assertEqual((first["over_eager"]["best"], first["over_compiled"]["median"]), (2, 1))
        # Of the faster of both copies.
        moved = 100 * (16e9 + 131072 * 1057.5)
        self.assertAlmostEqual(first["of_copy_bandwidth"]["median"], moved / 3.2e12)
        prompt = case_named("prefill 2048")
        flops = cases.prefill_flops(cases.config_of("llama-3-8b"), prompt) / 2048 * 1e5
        self.assertAlmostEqual(said["prefill 2048"]["figures"]["of_gemm_rate"]["best"], flops / 2e15)
        text = (self.scratch / "figures.md").read_text()
        self.assertIn("4.0x over transformers eager: **missed**", text)
        self.assertEqual(first["host_us"], {"best": 20, "median": 20})
        self.assertIn("30 µs of the host's time a step: kept", text)
        self.assertIn("| prefill 2048 | 100000 / 100000 | 50000 / 50000 | – | 2.00 / 2.00 |", text)

    def test_alone(self):
        done, said = self.compare("--cases", "decode, batch 1")
        self.assertEqual(done.returncode, 0, done.stderr)
        figure = said["decode, batch 1"]
        self.assertEqual(list(figure["rates"]), ["drun"])
        self.assertIn("4.0x over transformers eager: not measured", report.promise(figure))

    def test_a_peer_that_fails_is_told_of_and_the_rest_goes_on(self):
        broken = self.script("broken", "#!/bin/sh\necho 'RuntimeError: no such luck' >&2\nexit 3\n")
        done, said = self.compare("--cases", "prefill", "--transformers", broken)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("no such luck", " ".join(said["prefill 2048"]["problems"]))
        self.assertIn("drun", said["prefill 2048"]["figures"])

    def test_ours_failing_is_an_error_and_keeps_the_reason(self):
        failing = self.script("failing", "#!/bin/sh\necho 'error: no GPU' >&2\nexit 2\n")
        done, said = self.compare("--cases", "prefill", "--drun", failing)
        self.assertEqual(done.returncode, 1)
        self.assertIn("drun failed in prefill 2048", done.stderr)
        self.assertIn("no GPU", said["prefill 2048"]["problems"][0])

    def test_as_a_step_of_gpu_check(self):
        done, said = self.compare("--transformers", self.script("peer", PEER))
        self.assertEqual(done.returncode, 0)
        file = self.scratch / "figures.json"
        passed, line, kept = figures.benchmarks(["true"], file, {})(steps.Clock(5))
        self.assertTrue(passed)
        measured = [(n, c["figures"][n]["median"], bound) for c in said.values() for n, bound in c["promised"].items()]
        good = sum(value <= bound if n == "host_us" else value >= bound for n, value, bound in measured)
        self.assertIn(f"9 cases measured, {good} of {len(measured)} promises that were measured kept", line)
        self.assertEqual(kept, said)
        passed, line, kept = figures.benchmarks(["sleep", "100"], file, {})(steps.Clock(0.5))
        self.assertFalse(passed)
        self.assertIn("killed at its time limit", line)
        self.assertEqual(kept, said)

    def test_arguments(self):
        done, _ = self.compare("--cases", "nothing")
        self.assertIn("--cases: none has 'nothing'; there are decode, batch 1;", done.stderr)
        done, _ = self.compare("--rounds", "0")
        self.assertIn("--rounds", done.stderr)


if __name__ == "__main__":
    harness.main([])
