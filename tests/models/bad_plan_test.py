#!/usr/bin/env python3
"""Plan directories that drun and `dcc verify` refuse."""
import shutil

import bad
import harness
from harness import run


class BadPlan(bad.BadInput):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = cls.scratch / "checkpoint"
        shutil.copytree(harness.model_dir("llama_bias_mha"), cls.model)
        cls.good = cls.compile(cls.model, "good", "--tp", "2")
        cls.input = harness.write_jsonl(cls.scratch / "in.jsonl", [{"input_ids": [1, 2, 3]}])

    def setUp(self):
        self.plan = self.scratch / "plan"
        shutil.rmtree(self.plan, ignore_errors=True)
        shutil.copytree(self.good, self.plan)

    def refuses_plan(self, *words, verify=True):
        """drun refuses the plan, and dcc verify too unless the fault is not in the plan itself."""
        self.refuses_drun(self.plan, "--input", self.input, "--max-new-tokens", "1", words=words)
        if verify:
            self.refuses(run("dcc", "verify", self.plan), *words)

    def test_good(self):
        self.drun(self.plan, "--input", self.input, "--max-new-tokens", "1", "--json")
        self.assertEqual(run("dcc", "verify", self.plan).status, 0)

    def test_world_size(self):
        for ranks in ["1", "3", "4"]:
            self.refuses_drun("--nproc", ranks, self.plan, "--input", self.input,
                              words=[ranks, "2"])

    def test_not_there(self):
        shutil.rmtree(self.plan)
        self.refuses_plan("plan")
        self.plan.mkdir()
        self.refuses_plan("manifest.json")

    def test_rank_missing(self):
        (self.plan / "rank_1.dplan").unlink()
        self.refuses_plan("rank_1.dplan")

    def test_rank_damaged(self):
        path = self.plan / "rank_1.dplan"
        whole = path.read_bytes()
        for what, data in {"empty": b"", "cut": whole[:len(whole) // 2],
                           "other": b"x" * len(whole)}.items():
            with self.subTest(what=what):
                path.write_bytes(data)
                self.refuses_plan("rank_1.dplan")

    def test_any_bit_flipped(self):
        """Found, unless it lies in what is not hashed: names, locations and paths."""
        path = self.plan / "rank_1.dplan"
        whole = path.read_bytes()
        found = 0
        for position in range(0, len(whole), len(whole) // 100):
            with self.subTest(position=position):
                path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10])
                                 + whole[position + 1:])
                done = run("dcc", "verify", self.plan)
                if done.status != 0:
                    self.refuses(done, "rank_1.dplan")
                    found += 1
        self.assertGreater(found, 20)

    def test_ranks_of_two_plans(self):
        other = self.compile(self.model, "other", "--tp", "2", "--max-tokens", "8")
        shutil.copy(other / "rank_1.dplan", self.plan / "rank_1.dplan")
        self.refuses_plan("rank_1.dplan", "manifest.json: max_tokens 8 stands where rank 0 has")
        rule = "model.layers.*.self_attn.o_proj=rowwise_rep"
        cut = [f"--tp-rule=model.layers.*.self_attn.{name}_proj=replicate" for name in "qkv"]
        other = self.compile(self.model, "other", "--tp", "2", "--tp-rule", rule, *cut)
        shutil.copy(other / "rank_1.dplan", self.plan / "rank_1.dplan")
        self.refuses_plan("rank_1.dplan", "manifest.json: entry prefill: instruction",
                          "(slice_columns of model.layers.0.self_attn", "stands where rank 0 has")

    def test_ranks_of_two_models(self):
        other = self.compile(harness.model_dir("llama_linear_tied"), "other_model", "--tp", "2")
        shutil.copy(other / "rank_1.dplan", self.plan / "rank_1.dplan")
        self.refuses_plan("rank_1.dplan")

    def test_checkpoint_of_another_model(self):
        self.refuses_drun(self.plan, "--checkpoint", harness.model_dir("llama_linear_tied"),
                          "--input", self.input, words=["model.safetensors", "--checkpoint"])

    def test_ranks_exchanged(self):
        (self.plan / "rank_0.dplan").rename(self.plan / "x")
        (self.plan / "rank_1.dplan").rename(self.plan / "rank_0.dplan")
        (self.plan / "x").rename(self.plan / "rank_1.dplan")
        self.refuses_plan("rank_")

    def test_manifest(self):
        path = self.plan / "manifest.json"
        for text in ["", "{}", "[", '{"compilation_id": 3}']:
            with self.subTest(text=text):
                path.write_text(text)
                self.refuses_plan("manifest.json")

    def test_checkpoint_gone(self):
        weights = self.model / "model.safetensors"
        weights.rename(self.model / "away")
        try:
            self.refuses_plan("model.safetensors", "--checkpoint", verify=False)
            away = self.scratch / "elsewhere"
            away.mkdir()
            shutil.copy(self.model / "away", away / "model.safetensors")
            self.drun(self.plan, "--checkpoint", away, "--input", self.input,
                      "--max-new-tokens", "1", "--json")
        finally:
            (self.model / "away").rename(weights)

    def test_checkpoint_changed(self):
        weights = self.model / "model.safetensors"
        whole = weights.read_bytes()
        tensors = harness.raw_safetensors(weights)
        # Another order: the same size, another header.
        harness.write_safetensors(weights, dict(reversed(tensors.items())))
        try:
            self.refuses_plan("model.safetensors", verify=False)
            weights.write_bytes(whole[:-4])
            self.refuses_plan("model.safetensors", verify=False)
        finally:
            weights.write_bytes(whole)


if __name__ == "__main__":
    harness.main([])
