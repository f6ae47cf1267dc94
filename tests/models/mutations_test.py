#!/usr/bin/env python3
"""Compiled plans with one rank's collectives changed and all hashes made anew: `dcc verify` finds every
one by walking the programs, and accepts them all as they were."""
import re

import bad
import harness
from harness import run

COUNT, SEED = 1200, 5
KINDS = ["drop", "swap", "duplicate", "resize", "retype", "regroup"]

NORMS = ["model.layers.*.input_layernorm", "model.layers.*.post_attention_layernorm", "model.norm"]
SEQUENCE = [f"--tp-rule={norm}=sequence_parallel" for norm in NORMS]
GATHERS = ["--tp-rule=model.embed_tokens=colwise_rep", "--tp-rule=lm_head=colwise_rep"]
EXPERTS = ["--expert-parallel", "--rewrite=experts-all-to-all=on"]
PLANS = {  # name -> model, degree, options
    "llama3.tp2": ("llama3", 2, []), "llama3.tp4": ("llama3", 4, []),
    "qwen3.tp2": ("qwen3", 2, []), "qwen3.tp4": ("qwen3", 4, []),
    "mistral.tp2": ("mistral", 2, []), "mistral.tp4": ("mistral", 4, []),
    "gathers.tp2": ("llama3", 2, GATHERS), "gathers.tp4": ("mistral", 4, GATHERS),
    "bert.tp2": ("bert_seqcls", 2, []),
    "experts.tp2": ("qwen3_moe", 2, EXPERTS), "experts.tp4": ("gpt_oss", 4, EXPERTS),
    "sequence.tp2": ("mistral", 2, SEQUENCE), "sequence.tp4": ("llama3", 4, SEQUENCE),
}


class Mutations(bad.BadInput):
    def test_every_change_is_refused(self):
        plans = [self.compile(harness.model_dir(model), name, "--tp", str(degree), *options)
                 for name, (model, degree, options) in PLANS.items()]
        for plan in plans:
            self.assertEqual(run("dcc", "verify", plan).status, 0, plan)

        changed = self.scratch / "changed"
        done = run("plan_mutations", str(COUNT), str(SEED), changed, *plans, timeout=300)
        self.assertEqual(done.status, 0, done)
        print(done.out)
        table = {row[0]: [int(n) for n in row[1:]]
                 for row in map(str.split, done.out.splitlines()[1:])}
        self.assertEqual(sorted(table), sorted(KINDS))
        for drawn, refused, alone, together in table.values():
            self.assertEqual(refused, COUNT // len(KINDS))
            self.assertEqual(alone + together, refused)
            self.assertGreaterEqual(drawn, refused)
        # Found by nothing but the other ranks.
        self.assertGreater(sum(row[3] for row in table.values()), COUNT // 5)

        # As a user would: one line that names the rank's file and what is wrong.
        for kind in KINDS:
            for done in [run("dcc", "verify", changed / kind), run("drun", changed / kind)]:
                self.assertRegex(self.refuses(done),
                                 rf"^error: {re.escape(str(changed / kind))}/rank_\d\.dplan: ")


if __name__ == "__main__":
    harness.main([])
