#!/usr/bin/env python3
"""Writes rope_golden.json: rotary frequencies as transformers computes them.

Needs transformers 5.23 and torch (CPU is enough). Each case is a fragment of a config.json and
what LlamaRotaryEmbedding makes of it; floats are printed so that float32 reads back exactly.
"""
import json
import pathlib

import torch
import transformers
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

BASE = {"head_dim": 32, "max_position_embeddings": 2048}
LLAMA31 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 8192, "rope_type": "llama3"}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}

CASES = {
    "default_absent": {},
    "default_legacy_theta": {"rope_theta": 500000.0, "rope_scaling": None},
    "default_parameters": {"rope_parameters": {"rope_type": "default", "rope_theta": 1000000}},
    "default_head_128": {"head_dim": 128, "rope_theta": 10000.0},
    "linear_legacy_type": {"rope_theta": 10000.0, "rope_scaling": {
        "type": "linear", "factor": 3.0}},
    "linear_parameters": {
        "rope_parameters": {"rope_type": "linear", "factor": 2.5, "rope_theta": 20000.0}},
    "dynamic": {"rope_theta": 10000.0, "rope_scaling": {"type": "dynamic", "factor": 2.0}},
    "llama3_legacy": {"head_dim": 128, "max_position_embeddings": 131072, "rope_theta": 500000.0,
                      "rope_scaling": LLAMA31},
    "llama3_small": {"head_dim": 16, "max_position_embeddings": 256, "rope_parameters": {
        "rope_type": "llama3", "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 64, "rope_theta": 500000.0}},
    "llama3_original_at_top": {"head_dim": 64, "max_position_embeddings": 131072,
                               "original_max_position_embeddings": 4096, "rope_theta": 500000.0,
                               "rope_scaling": {**LLAMA31, "factor": 32.0}},
    "yarn": {"rope_theta": 10000.0, "rope_scaling": YARN},
    "yarn_head_128": {"head_dim": 128, "max_position_embeddings": 131072, "rope_theta": 1000000.0,
                      "rope_scaling": {**YARN, "original_max_position_embeddings": 32768}},
    "yarn_attention_factor": {"rope_parameters": {**YARN, "rope_theta": 10000.0,
                                                  "attention_factor": 0.75}},
    "yarn_mscale": {"head_dim": 64, "rope_theta": 10000.0, "rope_scaling": {
        **YARN, "factor": 40.0, "mscale": 1.0, "mscale_all_dim": 0.707}},
    "yarn_mscale_zero": {"head_dim": 64, "rope_theta": 10000.0, "rope_scaling": {
        **YARN, "factor": 40.0, "mscale": 1.0, "mscale_all_dim": 0.0}},
    "yarn_betas": {"head_dim": 64, "rope_theta": 10000.0, "rope_scaling": {
        **YARN, "beta_fast": 16, "beta_slow": 2.5}},
    "yarn_not_truncated": {"head_dim": 64, "rope_theta": 150000.0, "rope_scaling": {
        **YARN, "factor": 32.0, "truncate": False, "original_max_position_embeddings": 4096}},
    "yarn_factor_null": {"head_dim": 64, "max_position_embeddings": 4096, "rope_theta": 10000.0,
                         "rope_scaling": {**YARN, "factor": None}},
    "yarn_factor_below_one": {"rope_theta": 10000.0, "rope_scaling": {**YARN, "factor": 0.5}},
    "yarn_singular_ramp": {"head_dim": 32, "rope_theta": 10000.0, "rope_scaling": {
        **YARN, "original_max_position_embeddings": 2}},
}


def main():
    transformers.logging.set_verbosity_error()
    cases = []
    for name, fragment in CASES.items():
        config = {**BASE, **fragment}
        heads = 4
        rope = LlamaRotaryEmbedding(LlamaConfig(
            hidden_size=heads * config["head_dim"], num_attention_heads=heads,
            **json.loads(json.dumps(config))))
        cases.append({"name": name, "config": config,
                      "frequencies": [float(f) for f in rope.inv_freq],
                      "scale": rope.attention_scaling})
    golden = {"versions": {"transformers": transformers.__version__,
                           "torch": torch.__version__.split("+")[0]}, "cases": cases}
    path = pathlib.Path(__file__).with_name("rope_golden.json")
    path.write_text("{\n" + f'"versions": {json.dumps(golden["versions"])},\n"cases": [\n'
                    + ",\n".join(json.dumps(case) for case in cases) + "\n]\n}\n")


if __name__ == "__main__":
    main()
