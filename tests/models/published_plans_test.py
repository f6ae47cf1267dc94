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
          "Qwen3ForCausalLM": ["qwen3"], "MixtralForCausalLM": ["mixtral"],
          "Qwen2MoeForCausalLM": ["qwen2_moe"], "Qwen3MoeForCausalLM": ["qwen3_moe"],
          "GptOssForCausalLM": ["gpt_oss"], "Llama4ForCausalLM": ["llama4_text"],
          "DeepseekV3ForCausalLM": ["deepseek_v3"], "GemmaForCausalLM": ["gemma"],
          "Gemma2ForCausalLM": ["gemma2"], "Gemma3ForCausalLM": ["gemma3"],
          "PhiForCausalLM": ["phi"], "Phi3ForCausalLM": ["phi3", "phi3_longrope"],
          # Not cohere_qknorm: the published plan cuts q and k, and leaves the weights of their norms
          # whole, which have a row for each head.
          "CohereForCausalLM": ["cohere"], "Cohere2ForCausalLM": ["cohere2"],
          "ArceeForCausalLM": ["arcee"], "Ernie4_5ForCausalLM": ["ernie4_5"],
          "Exaone4ForCausalLM": ["exaone4"], "GlmForCausalLM": ["glm"], "Glm4ForCausalLM": ["glm4"],
          "GraniteForCausalLM": ["granite"], "HeliumForCausalLM": ["helium"],
          "NemotronForCausalLM": ["nemotron"], "Olmo2ForCausalLM": ["olmo2"],
          "SeedOssForCausalLM": ["seed_oss"], "SmolLM3ForCausalLM": ["smollm3"],
          "Starcoder2ForCausalLM": ["starcoder2"]}
PROMPTS = [[1, 200, 30], [1, 17, 5, 99, 3, 250, 41, 8, 9, 120]]
PUBLISHED = json.loads((harness.MODELS / "published_plans.json").read_text())["plans"]


def spellings(plans):
    """As written, as transformers completes them when a model is loaded, and with whole experts."""
    base = plans.get("base_model_tp_plan", {})
    yield "as published", base | plans["_tp_plan"]
    yield "as loaded", ({f"model.{key}": rule for key, rule in base.items()} |
                        plans["_tp_plan"] | {"model.embed_tokens": "embedding_rowwise"})
    if "base_model_ep_plan" in plans:
        yield "with whole experts", base | plans["base_model_ep_plan"] | plans["_tp_plan"]


# Rules for modules that the golden model hasn't: a published plan is for all models of its family. A rule
# without a module is refused, for it may as well be a slip; here it is known not to be.
UNUSED = {"qwen3_moe": ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]}


class PublishedPlans(bad.BadInput):
    def test_every_family_is_here(self):
        line = self.refuses_compile(self.copy_of("llama3", architectures=["NoSuchForCausalLM"]))
        families = set(re.findall(r"\w+ForCausalLM", line)) - {"NoSuchForCausalLM"}
        self.assertLessEqual(families, set(PUBLISHED))
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
            if model in UNUSED:
                self.refuses_compile(directory, "--tp", "2", "--tp-plan", file,
                                     words=["matches no module", *UNUSED[model][2:]])
                rules = {pattern: rule for pattern, rule in rules.items()
                         if not pattern.endswith(tuple(UNUSED[model]))}
                file.write_text(json.dumps(rules))
            for tp in (2, 4):
                with self.subTest(model=model, plan=spelling, tp=tp):
                    plan = self.compile(directory, f"{model}.{spelling}.{tp}", "--tp", tp,
                                        "--tp-plan", file)
                    for actual, one in zip(self.logits(plan, PROMPTS), expected):
                        self.assertEqual(actual.shape, one.shape)
                        worst = max(abs(a - e) for a, e in zip(actual.values, one.values))
                        self.assertLessEqual(worst, TOLERANCE * max(map(abs, one.values)))
            if spelling == "as published" and "experts" not in str(rules):
                self.check_half(directory, file, expected)

    def check_half(self, directory, file, expected):
        """In bf16 activations that are gathered are bf16 too: as far from f32 as one rank's, give or take.
        (Experts may be others there.)"""
        with self.subTest(model=directory.name, dtype="bf16"):
            errors = []
            for options in (["--tp", "1"], ["--tp", "2", "--tp-plan", file]):
                plan = self.compile(directory, f"{directory.name}.half", "--dtype", "bf16", *options)
                errors.append(max(abs(a - e) for actual, one in zip(self.logits(plan, PROMPTS), expected)
                                  for a, e in zip(actual.values, one.values)))
            self.assertLessEqual(errors[1], 2 * errors[0])


if __name__ == "__main__":
    harness.main([])
