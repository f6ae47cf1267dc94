#!/usr/bin/env python3
"""Writes published_defaults.json: what transformers takes the fields of a config.json for that are left
out, for the families that dcc reads. Needs transformers 5.23 and torch; the tests need neither.
"""
import json
import pathlib

import transformers

FIELDS = ["max_position_embeddings", "num_key_value_heads", "head_dim", "rms_norm_eps",
          "layer_norm_eps", "norm_eps", "norm_epsilon", "tie_word_embeddings", "hidden_act",
          "hidden_activation", "sliding_window", "sliding_window_pattern", "attention_bias",
          "mlp_bias", "use_bias", "attention_out_bias", "logit_scale", "query_pre_attn_scalar",
          "attn_logit_softcapping", "final_logit_softcapping", "use_qk_norm", "qk_layernorm",
          "use_sliding_window", "max_window_layers", "no_rope_layer_interval",
          "qkv_bias", "norm_topk_prob", "num_experts", "num_local_experts", "num_experts_per_tok",
          "moe_intermediate_size", "shared_expert_intermediate_size", "decoder_sparse_step",
          "n_routed_experts", "n_shared_experts", "n_group", "topk_group", "routed_scaling_factor",
          "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
          "first_k_dense_replace", "rope_interleave", "attention_chunk_size", "floor_scale",
          "attn_scale", "attn_temperature_tuning", "intermediate_size_mlp",
          "interleave_moe_layer_step", "embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"]
# Configuration classes of dense decoders, by architecture.
CLASSES = {f"{name}ForCausalLM": f"{name}Config" for name in (
    "Arcee Cohere Cohere2 Ernie4_5 Exaone4 Gemma Gemma2 Glm Glm4 Granite Helium Llama Mistral "
    "Nemotron Olmo2 Phi Phi3 Qwen2 Qwen3 SeedOss SmolLM3 Starcoder2").split()}
CLASSES["Gemma3ForCausalLM"] = "Gemma3TextConfig"
# Of models with experts; gpt-oss must say what it turns by.
CLASSES |= {f"{name}ForCausalLM": f"{name}Config" for name in ("Mixtral", "Qwen2Moe", "Qwen3Moe", "DeepseekV3")}
CLASSES["Llama4ForCausalLM"] = "Llama4TextConfig"


def fields_of(config):
    found = {key: getattr(config, key) for key in FIELDS if getattr(config, key, None) is not None}
    for key in ("num_key_value_heads", "head_dim"):
        # Without a default of the class's own they follow from the other sizes.
        if getattr(type(config), key, None) is None:
            found.pop(key, None)
    rope = config.rope_parameters
    if "full_attention" in rope:
        found["rope_theta"] = rope["full_attention"]["rope_theta"]
        found["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
    else:
        found["rope_theta"] = rope["rope_theta"]
        if "partial_rotary_factor" in rope:
            found["partial_rotary_factor"] = rope["partial_rotary_factor"]
    return found


def main():
    transformers.logging.set_verbosity_error()
    # Qwen 2 and 3 forget the window where it is not in use.
    more = dict.fromkeys(["Qwen2Config", "Qwen2MoeConfig", "Qwen3Config"], dict(use_sliding_window=True))
    defaults = {architecture: fields_of(getattr(transformers, name)(**more.get(name, {})))
                for architecture, name in sorted(CLASSES.items())}
    # All of its heads have keys of their own.
    del defaults["DeepseekV3ForCausalLM"]["num_key_value_heads"]
    path = pathlib.Path(__file__).with_name("published_defaults.json")
    path.write_text("{\n" + f'"transformers": {json.dumps(transformers.__version__)},\n"defaults": {{\n'
                    + ",\n".join(f"{json.dumps(a)}: {json.dumps(f)}" for a, f in defaults.items())
                    + "\n}\n}\n")


if __name__ == "__main__":
    main()
