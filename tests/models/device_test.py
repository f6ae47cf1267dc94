#!/usr/bin/env python3
"""Plans and devices: what --target decides, plans for a GPU on the CPU, and what drun says where there is none."""
import json

import harness


class Device(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = harness.model_dir("llama3")
        cls.golden = json.loads((cls.model / "golden.json").read_text())
        cls.plan = cls.compile(cls.model, "gpu", "--target", "cuda", "--tp", "2")

    def greedy(self, *options):
        line = {"input_ids": self.golden["prompt_a"]}
        answer = self.generate(self.plan, [line], "--ignore-eos", "--max-new-tokens", 24, *options)
        return answer[0]["output_ids"]

    def test_a_plan_for_a_gpu_runs_on_the_cpu(self):
        self.assertEqual(self.greedy("--device", "cpu"), self.golden["greedy_a"])

    def test_the_manifest_says_what_it_is_for(self):
        manifest = json.loads((self.plan / "manifest.json").read_text())
        self.assertEqual(manifest["target"], "cuda")

    def test_no_gpu_is_one_error(self):
        doctor = json.loads(self.drun("doctor", "--json"))
        if doctor.get("nvidia", {}).get("devices"):
            self.skipTest("there is a GPU here")
        done = harness.run("drun", self.plan, "--prompt", "x")
        self.assertEqual(done.status, 2, done)
        self.assertRegex(done.err, r"\Aerror: --device cuda: .*run with --device cpu.*\n\Z")

    def test_tune_is_for_gpus(self):
        done = harness.run("drun", self.plan, "tune", "--device", "cpu")
        self.assertEqual(done.status, 2, done)
        self.assertEqual(done.err, "error: tune: the cpu backend has nothing to measure; it is for --device cuda\n")

    def test_auto_is_the_checkpoints_type(self):
        # llama_bias_mha says bfloat16.
        plan = self.compile(harness.model_dir("llama_bias_mha"), "auto", "--target", "cuda")
        done = harness.run("dcc", "inspect", plan, "--rank", "0")
        self.assertEqual(done.status, 0, done)
        self.assertRegex(done.out, r"cache 0 .* bf16")

    def test_other_targets_are_refused(self):
        done = harness.run("dcc", "compile", self.model, "-o", self.scratch / "x", "--target", "rocm")
        self.assertEqual(done.status, 2, done)


if __name__ == "__main__":
    harness.unittest.main()
