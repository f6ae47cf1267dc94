#!/usr/bin/env python3
"""Writes published_plans.json: extract_published_plans.py > published_plans.json

What transformers says of the families that dcc reads: `base_model_tp_plan` of the configuration class, whose
patterns leave out the base model's name, and `_tp_plan` of the model class. Needs transformers.
"""
import json

import transformers

CLASSES = ["LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"]


def main():
    plans = {}
    for name in CLASSES:
        model = getattr(transformers, name)
        plans[name] = {"base_model_tp_plan": model.config_class.base_model_tp_plan,
                       "_tp_plan": model._tp_plan}
    print(json.dumps({"transformers": transformers.__version__, "plans": plans}, indent=2))


if __name__ == "__main__":
    main()
