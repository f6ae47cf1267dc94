#!/usr/bin/env python3
"""Every strategy computes what one rank does: strategies_test.py MODEL TP.

Logits lie within 2e-5 of the largest of --tp 1, greedy tokens are equal.
"""
import json

import harness
from harness import run

TOLERANCE = 2e-5
# One step of 11 tokens: neither 2 nor 4 ranks divide them, or those of a prompt.
PROMPTS = [[1], [1, 200, 30], [1, 17, 5, 99, 3, 250, 41]]
LONG = [1] + [7 * i % 380 for i in range(3, 35)]


def attention(inputs, output, **rules):
    return of("self_attn", dict.fromkeys(["q_proj", "k_proj", "v_proj"], inputs) |
              {"o_proj": output} | rules)


def mlp(inputs, output, **rules):
    return of("mlp", dict.fromkeys(["gate_proj", "up_proj"], inputs) | {"down_proj": output} | rules)


def of(module, rules):
    return {f"model.layers.*.{module}.{name}": rule for name, rule in rules.items()}


NORMS = ["model.layers.*.input_layernorm", "model.layers.*.post_attention_layernorm", "model.norm"]
SPLIT = attention("colwise", "rowwise") | mlp("colwise", "rowwise")

MOE = "model.layers.*.mlp"
SHARED = of("mlp.shared_experts", {"gate_proj": "colwise", "up_proj": "colwise", "down_proj": "rowwise"})
PARTS = of("mlp.experts", {"gate_up_proj": "packed_colwise", "down_proj": "rowwise"})
WHOLE = of("mlp.experts", dict.fromkeys(["gate_up_proj", "down_proj"], "grouped_gemm"))
LATENT = of("self_attn", {"q_a_proj": "replicate", "q_b_proj": "colwise",
                          "kv_a_proj_with_mqa": "mla_kv_a_proj", "kv_b_proj": "colwise",
                          "o_proj": "rowwise"})

# Strategy -> a plan that needs it, of a model with experts and latent attention.
EXPERT_PLANS = {
    "grouped_gemm": WHOLE | SHARED,
    "moe_tp_experts": PARTS | SHARED | {f"{MOE}.experts": "moe_tp_experts"},
    "ep_dispatch_experts": WHOLE | SHARED | {f"{MOE}.experts": "ep_dispatch_experts"},
    "ep_router": WHOLE | {f"{MOE}.gate": "ep_router"},
    "moe_identity_expert": PARTS | {f"{MOE}.experts": "moe_identity_expert"},
    "mla_kv_a_proj": LATENT | PARTS,
    "local_params": of("mlp.experts", dict.fromkeys(["gate_up_proj", "down_proj"], "local_params")),
}
# Strategy -> a plan that needs it.
DENSE_PLANS = {
    "colwise": SPLIT | {"lm_head": "colwise"},
    "rowwise": SPLIT | {"model.embed_tokens": "rowwise"},
    "colwise_rep": attention("colwise_rep", "colwise_rep") | mlp("colwise_rep", "colwise_rep") |
                   {"lm_head": "colwise_rep", "model.embed_tokens": "colwise_rep"},
    "colwise_gather_output": attention("replicate", "colwise_gather_output") |
                             {"lm_head": "colwise_gather_output"},
    "rowwise_rep": attention("rowwise_rep", "rowwise_rep") | mlp("rowwise_rep", "rowwise_rep") |
                   {"lm_head": "rowwise_rep"},
    "rowwise_split_input": mlp("replicate", "rowwise_split_input"),
    "packed_colwise": mlp("packed_colwise", "packed_rowwise"),
    "packed_rowwise": attention("colwise", "rowwise") | mlp("packed_colwise", "packed_rowwise"),
    # transformers 4 leaves the sum to the module above, as Llama 4's plan does.
    "local_colwise": mlp("local_colwise", "local_rowwise") | {"model.layers.*.mlp": "gather"},
    "local_rowwise": attention("local_colwise", "local_rowwise") |
                     {"model.layers.*.self_attn": "all_reduce"},
    "local_packed_rowwise": mlp("packed_colwise", "local_packed_rowwise"),
    "local": SPLIT | {"model.layers.*.mlp": "local"},
    "gather": mlp("replicate", "colwise") | {"model.layers.*.mlp": "gather"},
    "all_reduce": SPLIT | {"model.layers.*.self_attn": "all_reduce",
                           "model.layers.*.mlp": "all_reduce"},
    "embedding_rowwise": SPLIT | {"model.embed_tokens": "embedding_rowwise"},
    "embedding_colwise": {"model.embed_tokens.weight": "embedding_colwise",
                          "model.embed_tokens": "gather"},
    "sequence_parallel": SPLIT | dict.fromkeys(NORMS, "sequence_parallel"),
    "replicate": attention("colwise", "rowwise") | mlp("replicate", "replicate"),
    "replicated_with_grad_allreduce": SPLIT | dict.fromkeys(NORMS, "replicated_with_grad_allreduce"),
}


class Strategies(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.directory = harness.model_dir(cls.model)
        cls.plans = EXPERT_PLANS if cls.model == "deepseek_v3" else DENSE_PLANS
        cls.one = cls.compile(cls.directory, "one", "--tp", "1")

    def plan(self, strategy, *options):
        file = self.scratch / f"{strategy}.json"
        file.write_text(json.dumps(self.plans[strategy]))
        return self.compile(self.directory, "plan." + strategy + "".join(options), "--tp", self.tp,
                            "--tp-plan", file, *options)

    def assert_close(self, plan, prompts):
        for actual, expected in zip(self.logits(plan, prompts), self.logits(self.one, prompts)):
            self.assertEqual(actual.shape, expected.shape)
            worst = max(abs(a - e) for a, e in zip(actual.values, expected.values))
            self.assertLessEqual(worst, TOLERANCE * max(map(abs, expected.values)))

    def test_all_are_here(self):
        table = run("dcc", "strategies").out.splitlines()
        self.assertEqual(sorted(DENSE_PLANS | EXPERT_PLANS), sorted(line.split()[0] for line in table[1:]))

    def test_logits(self):
        for strategy in self.plans:
            with self.subTest(strategy=strategy):
                self.assertIn(strategy, self.plans[strategy].values())
                self.assert_close(self.plan(strategy), PROMPTS)

    def test_uneven_tokens(self):
        """Steps of fewer tokens than ranks, of more, and a prompt in pieces."""
        if "sequence_parallel" not in self.plans:
            return
        plan = self.plan("sequence_parallel")
        for prompt in PROMPTS:
            with self.subTest(tokens=len(prompt)):
                self.assert_close(plan, [prompt])
        pieces = self.plan("sequence_parallel", "--max-tokens", "8")
        self.assert_close(pieces, [LONG])
        self.assert_close(pieces, PROMPTS + [LONG])
        lines = [{"input_ids": prompt} for prompt in PROMPTS]
        answers = [[answer["output_ids"] for answer in
                    self.generate(p, lines, "--ignore-eos", "--max-new-tokens", "8")]
                   for p in (self.one, plan, pieces)]
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0], answers[2])


if __name__ == "__main__":
    harness.main(["model", "tp"])
