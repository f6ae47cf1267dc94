#!/usr/bin/env python3
"""Writes published_plans.json: extract_published_plans.py hf_tp_plans.json > published_plans.json

What transformers says of the families that dcc reads: `base_model_tp_plan` and `base_model_ep_plan` of the
configuration class, whose patterns leave out the base model's name, and `_tp_plan` of the model class.
hf_tp_plans.json has that of every model, as transformers has it in its sources.
"""
import json
import sys

FOLDERS = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM",
           "qwen3": "Qwen3ForCausalLM", "mixtral": "MixtralForCausalLM", "qwen2_moe": "Qwen2MoeForCausalLM",
           "qwen3_moe": "Qwen3MoeForCausalLM", "gpt_oss": "GptOssForCausalLM",
           "llama4": "Llama4ForCausalLM", "deepseek_v3": "DeepseekV3ForCausalLM",
           "gemma": "GemmaForCausalLM", "gemma2": "Gemma2ForCausalLM", "gemma3": "Gemma3ForCausalLM",
           "phi": "PhiForCausalLM", "phi3": "Phi3ForCausalLM", "cohere": "CohereForCausalLM",
           "cohere2": "Cohere2ForCausalLM", "granite": "GraniteForCausalLM", "olmo": "OlmoForCausalLM",
           "olmo2": "Olmo2ForCausalLM", "olmo3": "Olmo3ForCausalLM", "starcoder2": "Starcoder2ForCausalLM",
           "stablelm": "StableLmForCausalLM", "glm": "GlmForCausalLM", "glm4": "Glm4ForCausalLM",
           "smollm3": "SmolLM3ForCausalLM", "nemotron": "NemotronForCausalLM",
           "ernie4_5": "Ernie4_5ForCausalLM", "seed_oss": "SeedOssForCausalLM",
           "helium": "HeliumForCausalLM", "exaone4": "Exaone4ForCausalLM", "arcee": "ArceeForCausalLM",
           "apertus": "ApertusForCausalLM", "ministral": "MinistralForCausalLM",
           "hunyuan_v1_dense": "HunYuanDenseV1ForCausalLM", "persimmon": "PersimmonForCausalLM",
           "gpt_neox": "GPTNeoXForCausalLM"}


def main():
    all_models = json.load(open(sys.argv[1]))
    plans = {}
    for folder, architecture in FOLDERS.items():
        model = all_models["models"].get(folder)
        if not model or architecture not in model.get("model_classes", {}):
            continue
        # Of composite models the text's configuration.
        configs = model["configs"]
        name = next((c for c in configs if "Text" in c), next(iter(configs)))
        plan = {key: configs[name][key] for key in ("base_model_tp_plan", "base_model_ep_plan")
                if key in configs[name]}
        plans[architecture] = plan | {"_tp_plan": model["model_classes"][architecture].get("_tp_plan", {})}
    print(json.dumps({"transformers": all_models["transformers"], "plans": plans}, indent=1))


if __name__ == "__main__":
    main()
