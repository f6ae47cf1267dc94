#!/usr/bin/env python3
"""drun with the CUDA backend on the CPU: what a GPU's user is told of ranks that fail, and what profilers are."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))
import faults_test  # noqa: E402


class Emulated(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan = cls.compile(harness.model_dir("llama3"), "plan", "--tp", "2")

    def generate_with(self, variables, *options):
        source = harness.write_jsonl(self.scratch / "in.jsonl", [{"input_ids": [5, 9, 2]}])
        os.environ.update(variables)
        try:
            return harness.run("drun", self.plan, "--input", source, "--max-new-tokens", "6", "--ignore-eos",
                               "--json", *options)
        finally:
            for name in variables:
                del os.environ[name]

    def inject(self, what, *options):
        done = self.generate_with({"DRUN_INJECT": what}, *options)
        self.assertEqual(done.status, 1, done)
        return done.err

    def test_a_wrong_bit_on_the_device(self):
        """It is there for what comes next, and found in the step in which it comes to be."""
        for collective, module in [(1, "self_attn.o_proj"), (2, "mlp.down_proj")]:
            said = self.inject(f"rank=1,at=decode:2,collective={collective},bit=30,do=flip", "--verify-ranks")
            self.assertRegex(said, r"(?m)^error: rank \d: step 3, entry 'decode', instruction \d+ "
                                   rf"\(model\.layers\.0\.{re.escape(module)}\): result of all_reduce differs")
        # The highest bit of an exponent: a number so large that no norm survives it.
        said = self.inject("rank=1,at=prefill,collective=1,bit=30,do=flip")
        self.assertRegex(said, "(?m)^error: rank \\d: logits: row 0 holds NaN")

    def test_a_rank_that_stops_is_named_with_the_op(self):
        said = self.inject("rank=1,at=decode:2,collective=2,do=stop", "--timeout", "2")
        self.assertRegex(said, r"(?m)^error: rank 0: entry 'decode', instruction \d+ "
                               r"\(model\.layers\.\d\.\S+\): no sign of rank 1 for 2 s")

    def test_also_where_the_other_waits_inside_of_a_graph(self):
        source = harness.write_jsonl(self.scratch / "long.jsonl", [{"input_ids": [5, 9, 2]}] * 20000)
        command = [harness.BIN / harness.DRUN, self.plan, "--input", source, "--max-new-tokens", 40, "--ignore-eos",
                   "--json", "--timeout", 2]
        with subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                self.assertTrue(process.stdout.readline().startswith("{"))
                os.kill(faults_test.children(process.pid)[1], signal.SIGSTOP)
                said = process.stderr.read()
            finally:
                os.killpg(process.pid, signal.SIGKILL)
        # Where it was stopped is chance, and so what the other waits for.
        self.assertRegex(said, r"(?m)^error: rank 0: .*no sign of rank 1 for 2 s")

    def test_a_rank_that_dies_is_the_cause(self):
        said = self.inject("rank=0,at=decode:1,collective=2,do=kill")
        self.assertRegex(said, r"(?m)^error: rank 0: killed by signal 9 \(Killed\), last seen in step 2, entry 'decode', "
                               r"instruction \d+ \(model\.layers\.0\.mlp\.down_proj\)$")

    def test_profilers_are_told_the_modules(self):
        done = self.generate_with({"DCC_EMULATION_RANGES": "1"})
        self.assertEqual(done.status, 0, done)
        ranges = re.findall(r"range: (.*)\n", done.err)
        for name in ["prefill", "decode", "model.embed_tokens", "model.layers.1.self_attn.q_proj",
                     "model.layers.0.mlp.down_proj", "lm_head"]:
            self.assertIn(name, ranges)

    def test_what_the_host_takes_of_a_step(self):
        line = json.loads(self.drun(self.plan, "bench", "--json", "--prompt-tokens", "4", "--new-tokens", "8"))
        self.assertGreater(line["host_p50_s"], 0)
        self.assertLess(line["host_p50_s"], line["token_p50_s"])
        # Graphs too: seven steps, two sums of a token's f32 row in each layer.
        config = json.loads((harness.model_dir("llama3") / "config.json").read_text())
        sums = 7 * 2 * config["num_hidden_layers"] * config["hidden_size"] * 4
        self.assertGreaterEqual(line["decode_bytes_sent"], sums)
        self.assertLess(line["decode_bytes_sent"], 2 * sums)


if __name__ == "__main__":
    harness.unittest.main()
