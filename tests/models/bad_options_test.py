#!/usr/bin/env python3
"""Command lines that dcc and drun refuse."""
import json

import bad
import harness
from harness import run

LLAMA3 = harness.model_dir("llama3")  # 8 heads, 4 KV heads
FOUR_HEADS = harness.model_dir("llama_bias_mha")


class BadOptions(bad.BadInput):
    def test_more_ranks_than_there_is_to_cut(self):
        """8 heads of 16 columns: 128 ranks have one each."""
        line = self.refuses_compile(LLAMA3, "--tp", "129", words=["129"])
        self.assertIn("at most --tp 128 ", line)
        self.refuses_compile(FOUR_HEADS, "--tp", "4096", words=["4096", "at most --tp 64 "])

    def test_degrees_that_are_none(self):
        for degree in ["0", "-1", "two", "2.5", "99999999999999999999", ""]:
            with self.subTest(degree=degree):
                self.refuses_compile(LLAMA3, f"--tp={degree}", words=["tp"])

    def test_axes_not_built_yet(self):
        for axis in ["cp", "pp"]:
            self.refuses_compile(LLAMA3, f"--{axis}", "2", words=[axis])

    def test_numbers_out_of_range(self):
        for option in ["--max-tokens", "--max-seqs", "--max-seq-len"]:
            for value in ["0", "-5", "x", "1e30"]:
                with self.subTest(option=option, value=value):
                    self.refuses_compile(LLAMA3, f"{option}={value}", words=[option.strip("-")])
        self.refuses_compile(LLAMA3, "--max-seq-len", "100000", words=["256"])

    def test_names_that_do_not_exist(self):
        for option, value in [("--dtype", "f8"), ("--stop-after", "lunch"), ("--target", "tpu"),
                              ("--numerics", "exact"), ("--weights", "none")]:
            with self.subTest(option=option):
                self.refuses_compile(LLAMA3, option, value, words=[value])

    def test_whole_experts_of_a_model_without(self):
        self.refuses_compile(LLAMA3, "--expert-parallel", words=["--expert-parallel"])

    def test_unknown_option_and_command(self):
        self.refuses_compile(LLAMA3, "--tpp", "2", words=["--tpp"])
        self.refuses(run("dcc", "compose"))
        self.refuses(run("dcc"))
        self.refuses(run("dcc", "compile", LLAMA3))  # no -o
        self.refuses(run("dcc", "inspect", self.scratch / "absent"), "absent")

    def test_rules(self):
        right, wrong = "model.layers.*.mlp.down_proj", "model.layers.*.mlp.down_prj"
        for rule, words in [(f"{wrong}=rowwise", [wrong, "down_proj"]),
                            (f"{right}=rowise", ["rowise", "rowwise"]), (right, [right])]:
            with self.subTest(rule=rule):
                self.refuses_compile(LLAMA3, "--tp", "2", "--tp-rule", rule, words=words)

    def test_plan_that_leaves_out_a_sibling(self):
        plan = self.scratch / "plan.json"
        plan.write_text(json.dumps({"model.layers.*.self_attn.q_proj": "colwise",
                                    "model.layers.*.self_attn.o_proj": "rowwise"}))
        self.refuses_compile(LLAMA3, "--tp", "2", "--tp-plan", plan, words=["k_proj"])

    def test_plan_file(self):
        plan = self.scratch / "plan.json"
        self.refuses_compile(LLAMA3, "--tp", "2", "--tp-plan", plan, words=["plan.json"])
        for text in ["", "[]", "{", '{"model.norm": 3}']:
            with self.subTest(text=text):
                plan.write_text(text)
                self.refuses_compile(LLAMA3, "--tp", "2", "--tp-plan", plan, words=["plan.json"])

    def test_output_not_writable(self):
        file = self.scratch / "file"
        file.write_text("mine")
        for out in [file, file / "plan", "/proc/plan"]:
            with self.subTest(out=out):
                self.refuses(run("dcc", "compile", FOUR_HEADS, "-o", out), out)
        self.assertEqual(file.read_text(), "mine")

    def test_a_refused_compilation_leaves_the_old_plan(self):
        plan = self.compile(FOUR_HEADS, "old", "--tp", "2")
        before = bad.snapshot(plan)
        self.refuses(run("dcc", "compile", FOUR_HEADS, "-o", plan, "--tp", "300"))
        self.assertEqual(bad.snapshot(plan), before)

    def test_a_smaller_plan_replaces_a_larger_one(self):
        plan = self.compile(FOUR_HEADS, "shrinking", "--tp", "4")
        self.compile(FOUR_HEADS, "shrinking", "--tp", "2")
        ranks = sorted(p.name for p in plan.glob("rank_*.dplan"))
        self.assertEqual(ranks, ["rank_0.dplan", "rank_1.dplan"])


if __name__ == "__main__":
    harness.main([])
