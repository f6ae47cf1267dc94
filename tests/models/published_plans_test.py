#!/usr/bin/env python3
"""The plans that transformers publishes for the families that dcc reads compile as they are, and compute
what one rank does. extract_published_plans.py says where published_plans.json is from.
"""
import json
import re

import bad
import harness

TOLERANCE = 2e-5
MODELS = {"LlamaForCausalLM": ["llama3", "llama_linear_tied", "llama_bias_mha"],
          "MistralForCausalLM": ["mistral"], "Qwen2ForCausalLM": ["qwen2"],
          "Qwen3ForCausalLM": ["qwen3"]}
PROMPTS = [[1, 200, 30], [1, 17, 5, 99, 3, 250, 41, 8, 9, 120]]
PUBLISHED = json.loads((harness.MODELS / "published_plans.json").read_text())["plans"]


def spellings(plans):
    """As written, and as transformers completes them when a model is loaded."""
    yield "as published", plans["base_model_tp_plan"] | plans["_tp_plan"]
    yield "as loaded", ({f"model.{key}": rule for key, rule in plans["base_model_tp_plan"].items()} |
                        plans["_tp_plan"] | {"model.embed_tokens": "embedding_rowwise"})


class PublishedPlans(bad.BadInput):
    def test_every_family_is_here(self):
        line = self.refuses_compile(self.copy_of("llama3", architectures=["NoSuchForCausalLM"]))
        families = set(re.findall(r"\w+For\w+", line)) - {"NoSuchForCausalLM"}
        self.assertEqual(families, set(PUBLISHED))
        self.assertEqual(families, set(MODELS))

    def test_logits(self):
        for architecture, models in MODELS.items():
            for model in models:
                self.check(model, PUBLISHED[architecture])

    def check(self, model, published):
        directory = harness.model_dir(model)
        expected = self.logits(self.compile(directory, f"{model}.one", "--tp", "1"), PROMPTS)
        for spelling, rules in spellings(published):
            file = self.scratch / "plan.json"
            file.write_text(json.dumps(rules))
            for tp in (2, 4):
                with self.subTest(model=model, plan=spelling, tp=tp):
                    plan = self.compile(directory, f"{model}.{spelling}.{tp}", "--tp", tp,
                                        "--tp-plan", file)
                    for actual, one in zip(self.logits(plan, PROMPTS), expected):
                        self.assertEqual(actual.shape, one.shape)
                        worst = max(abs(a - e) for a, e in zip(actual.values, one.values))
                        self.assertLessEqual(worst, TOLERANCE * max(map(abs, one.values)))


if __name__ == "__main__":
    harness.main([])
