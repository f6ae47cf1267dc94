#!/usr/bin/env python3
"""The commands of the README, in a copy of examples/, as a user types them."""
import json
import shutil

import harness
from harness import run


class Examples(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.examples = cls.scratch / "examples"
        shutil.copytree(harness.ROOT / "examples", cls.examples,
                        ignore=shutil.ignore_patterns("plan", "golden.*"))
        shutil.copytree(harness.ROOT / "docs", cls.scratch / "docs")
        done = run("dcc", "compile", "model.json", "--tp", "8", "-o", "plan/", cwd=cls.examples)
        assert done.status == 0, done
        golden = json.loads((harness.BUNDLED / "golden.json").read_text())
        cls.case = next(c for c in golden["cases"] if c["prompt"] == "ROMEO:\n")

    def drun_here(self, *args, **keywords):
        return self.drun(*args, cwd=self.examples, **keywords)

    def test_eight_ranks_write_the_prompt_of_model_json_on(self):
        text = self.drun_here("--nproc", "8", "plan/")
        first_line = self.case["greedy_text"].split("\n")[0]
        self.assertIn(first_line, text)

    def test_prompt_option(self):
        out = self.drun_here("plan", "--prompt", "ROMEO:\n", "--max-new-tokens", "64",
                             "--ignore-eos", "--json")
        answer = json.loads(out)
        self.assertEqual(answer["prompt"], "ROMEO:\n")
        self.assertEqual(answer["text"], self.case["greedy_text"])

    def test_prompts_from_stdin(self):
        out = self.drun_here("plan", "--json", "--max-new-tokens", "4", stdin="A\nB\n")
        self.assertEqual([json.loads(line)["prompt"] for line in out.splitlines()], ["A", "B"])

    def test_degree_of_model_json(self):
        done = run("dcc", "compile", "model.json", "-o", "plan2", cwd=self.examples)
        self.assertEqual(done.status, 0, done)
        ranks = sorted(p.name for p in (self.examples / "plan2").glob("rank_*.dplan"))
        self.assertEqual(ranks, ["rank_0.dplan", "rank_1.dplan"])

    def test_a_newcomer_finds_the_o_proj(self):
        done = run("dcc", "inspect", "plan/", cwd=self.examples)
        self.assertEqual(done.status, 0, done)
        module = "model.layers.0.self_attn.o_proj"
        lines = [line for line in done.out.splitlines() if module in line]
        self.assertTrue(any("nn.weight" in line for line in lines), "no weight")
        reduces = [line for line in done.out.splitlines()
                   if "dist.all_reduce" in line and "self_attn.o_proj" in line]
        self.assertTrue(reduces, "no all_reduce that names the module")
        self.assertIn("rowwise", reduces[0])

    def test_the_plan_stands_alone(self):
        moved = self.scratch / "moved"
        shutil.copytree(self.examples / "plan", moved)
        out = self.drun(moved, "--prompt", "ROMEO:\n", "--max-new-tokens", "8", "--json")
        self.assertTrue(self.case["greedy_text"].startswith(json.loads(out)["text"]))

    def test_verify_and_explain(self):
        done = run("dcc", "verify", "plan/", cwd=self.examples)
        self.assertEqual(done.status, 0, done)
        done = run("dcc", "explain", "plan/", cwd=self.examples)
        self.assertEqual(done.status, 0, done)
        self.assertIn("self_attn.o_proj", done.out)

    def test_strategies(self):
        done = run("dcc", "strategies")
        self.assertEqual(done.status, 0, done)
        for name in ["colwise", "rowwise", "colwise_rep", "rowwise_rep", "replicate"]:
            self.assertIn(name, done.out)


if __name__ == "__main__":
    harness.main([])
