#!/usr/bin/env python3
"""Generation over several replicas of a model: what one writes, in input order."""
import json
import re

import bad
import harness
from harness import run

# Numbers of prompts that replicas share unevenly.
PROMPTS = ["ROMEO:\n", "To be", "MENENIUS:\nThere was a time", "O", "JULIET:\n"]


class Replicas(bad.BadInput):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one = cls.compile(harness.BUNDLED, "one", "--max-seqs", "2")
        cls.plans = {name: cls.compile(harness.BUNDLED, name, "--max-seqs", "2", *options)
                     for name, options in [("dp2", ["--dp", "2"]), ("dp3", ["--dp", "3"]),
                                           ("tp2dp2", ["--tp", "2", "--dp", "2"])]}

    def test_the_same_tokens(self):
        lines = [{"text": text} for text in PROMPTS]
        for options in [[], ["--temperature", "0.9", "--seed", "5"],
                        ["--top-k", "20", "--repetition-penalty", "1.2"], ["--stop", "e"]]:
            expected = self.generate(self.one, lines, "--max-new-tokens", "12", *options)
            for name, plan in self.plans.items():
                for transport in ["shm", "tcp"]:
                    with self.subTest(plan=name, options=options, transport=transport):
                        self.assertEqual(
                            self.generate(plan, lines, "--max-new-tokens", "12", "--collectives",
                                          transport, *options), expected)

    def test_fewer_prompts_than_replicas(self):
        for count in [0, 1, 2]:
            lines = [{"text": text} for text in PROMPTS[:count]]
            source = harness.write_jsonl(self.scratch / "few.jsonl", lines)
            outs = [self.drun(plan, "--input", source, "--max-new-tokens", "5")
                    for plan in [self.one, *self.plans.values()]]
            self.assertEqual(len(set(outs)), 1)

    def test_the_mesh(self):
        plan = self.plans["tp2dp2"]
        self.assertEqual(run("dcc", "verify", plan).status, 0)
        done = run("dcc", "explain", plan)
        self.assertEqual(done.status, 0, done)
        self.assertIn("dp = 2", done.out)
        self.assertNotIn("over dp", done.out)
        # Replicas hold the same and call the same; ranks of one do not.
        texts = [run("dcc", "inspect", plan, "--rank", str(rank)).out for rank in range(4)]
        weights = [re.findall(r"weight .*", text) for text in texts]
        self.assertTrue(weights[0])
        self.assertEqual(weights[0], weights[2])
        self.assertEqual(weights[1], weights[3])
        self.assertNotEqual(weights[0], weights[1])

    def test_commands_of_one_replica(self):
        source = harness.write_jsonl(self.scratch / "in.jsonl", [{"text": "a"}])
        out = self.scratch / "logits"
        self.refuses_drun(self.plans["dp2"], "logits", "--input", source, "--output", out,
                          words=["--dp"])
        self.refuses_drun(self.plans["dp2"], "bench", words=["--dp"])
        self.refuses_drun(self.plans["dp2"], "--input", source, "--hash-ops",
                          self.scratch / "hashes", words=["--hash-ops", "--dp"])

    def test_prompts_that_are_wrong(self):
        source = self.scratch / "wrong.jsonl"
        source.write_text('{"text": "a"}\n{"input_ids": [99999]}\n')
        for plan in self.plans.values():
            self.refuses_drun(plan, "--input", source, words=["wrong.jsonl:2", "99999"])


if __name__ == "__main__":
    harness.main([])
