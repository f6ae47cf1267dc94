#!/usr/bin/env python3
"""Budgets of dcc compile: what a rank may need of memory, what a layer may have of collectives."""
import json
import re

import bad
import harness
from harness import run

SHAPE = ("--tp", "2", "--max-tokens", "128", "--max-seqs", "8", "--max-seq-len", "512")
LIMITS = ("--max-tokens", "--max-seqs", "--max-seq-len")


class Budget(bad.BadInput):
    def needs(self, plan):
        out = run("dcc", "explain", plan, "--json").out
        return max(rank["together"] for rank in json.loads(out)["memory"])

    def attempt(self, *options):
        return run("dcc", "compile", harness.BUNDLED, "-o", self.scratch / "attempt", *options)

    def with_limit(self, option, value):
        options = list(SHAPE)
        options[options.index(option) + 1] = str(value)
        return options

    def test_memory_is_exact(self):
        plan = self.compile(harness.BUNDLED, "plan", *SHAPE)
        need = self.needs(plan)
        done = self.attempt(*SHAPE, "--memory", f"{need}B")
        self.assertEqual(done.status, 0, done)
        self.refuses(self.attempt(*SHAPE, "--memory", f"{need - 1}"), "--memory", "rank ")

    def test_limits_that_would_fit(self):
        need = self.needs(self.compile(harness.BUNDLED, "plan", *SHAPE))
        line = self.refuses(self.attempt(*SHAPE, "--memory", str(need * 7 // 8)),
                            "weights", "KV cache", "arena", "it fits with")
        ways = re.findall(r"(--max-[a-z-]+) (\d+)", line)
        self.assertGreaterEqual(len(ways), 2, line)
        for option, value in ways:
            with self.subTest(option=option):
                for fits, limit in [(True, int(value)), (False, int(value) + 1)]:
                    plan = self.compile(harness.BUNDLED, "plan", *self.with_limit(option, limit))
                    self.assertEqual(self.needs(plan) <= need * 7 // 8, fits, (limit, line))

    def test_too_little_for_the_weights(self):
        line = self.refuses(self.attempt(*SHAPE, "--memory", "1MiB"), "weights", "--tp")
        self.assertNotIn("fits with", line)

    def test_no_size(self):
        for size in ["much", "-1GiB", "0", "1.2.3MB", "12 parsecs", "1e30GiB"]:
            with self.subTest(size=size):
                self.refuses(self.attempt("--memory", size), "--memory", "80GiB")
        self.refuses(self.attempt("--memory", "1GiB", "--stop-after", "shard"), "--stop-after")

    def test_collectives_per_layer(self):
        done = self.attempt(*SHAPE, "--max-collectives-per-layer", "2")
        self.assertEqual(done.status, 0, done)
        self.refuses(self.attempt(*SHAPE, "--max-collectives-per-layer", "1"),
                     "model.layers.0 has 2", "prefill", "all_reduce of self_attn.o_proj",
                     "model.layers.*.mlp.down_proj = rowwise (auto)")
        done = self.attempt("--tp", "1", "--max-collectives-per-layer", "0")
        self.assertEqual(done.status, 0, done)

    def test_the_rule_of_a_file_is_named(self):
        rules = self.scratch / "rules.json"
        rules.write_text('{\n"model.layers.*.self_attn.q_proj": "colwise",\n'
                         '"model.layers.*.self_attn.k_proj": "colwise",\n'
                         '"model.layers.*.self_attn.v_proj": "colwise",\n'
                         '"model.layers.*.self_attn.o_proj": "rowwise",\n'
                         '"model.layers.*.mlp.gate_proj": "replicate",\n'
                         '"model.layers.*.mlp.up_proj": "replicate",\n'
                         '"model.layers.*.mlp.down_proj": "replicate"\n}\n')
        options = (*SHAPE, "--tp-plan", rules)
        self.refuses(self.attempt(*options, "--max-collectives-per-layer", "0"),
                     "model.layers.0 has 1", f"{rules}:5")
        plan = self.compile(harness.BUNDLED, "plan", *options)
        self.assertIn(f"{rules}:5", run("dcc", "explain", plan).out)


if __name__ == "__main__":
    harness.main([])
