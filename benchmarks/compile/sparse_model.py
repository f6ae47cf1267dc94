#!/usr/bin/env python3
"""Writes a Hugging Face directory whose weights are holes in sparse files: headers are real, bytes are zeros
that take no disk. For timing `dcc compile` at any size. Llama's shape or, with experts, Qwen3-MoE's.

  sparse_model.py DIR [--layers 80 --hidden 8192 --heads 64 --kv-heads 8 --head-dim 128
                       --intermediate 28672 --vocabulary 128256 --shard-bytes 5e9]
                      [--experts 0 --chosen 8 --expert-width 1536]
"""
import argparse
import json
import os
import struct


def tensors(a):
    query, keys = a.heads * a.head_dim, a.kv_heads * a.head_dim
    yield "model.embed_tokens.weight", [a.vocabulary, a.hidden]
    for i in range(a.layers):
        p = f"model.layers.{i}."
        yield p + "input_layernorm.weight", [a.hidden]
        yield p + "self_attn.q_proj.weight", [query, a.hidden]
        yield p + "self_attn.k_proj.weight", [keys, a.hidden]
        yield p + "self_attn.v_proj.weight", [keys, a.hidden]
        yield p + "self_attn.o_proj.weight", [a.hidden, query]
        yield p + "post_attention_layernorm.weight", [a.hidden]
        if a.experts:
            for norm in "qk":
                yield p + f"self_attn.{norm}_norm.weight", [a.head_dim]
            yield p + "mlp.gate.weight", [a.experts, a.hidden]
            for e in range(a.experts):
                yield p + f"mlp.experts.{e}.gate_proj.weight", [a.expert_width, a.hidden]
                yield p + f"mlp.experts.{e}.up_proj.weight", [a.expert_width, a.hidden]
                yield p + f"mlp.experts.{e}.down_proj.weight", [a.hidden, a.expert_width]
            continue
        yield p + "mlp.gate_proj.weight", [a.intermediate, a.hidden]
        yield p + "mlp.up_proj.weight", [a.intermediate, a.hidden]
        yield p + "mlp.down_proj.weight", [a.hidden, a.intermediate]
    yield "model.norm.weight", [a.hidden]
    yield "lm_head.weight", [a.vocabulary, a.hidden]


def write_shard(path, entries):
    header, offset = {}, 0
    for name, shape, size in entries:
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.truncate(8 + len(text) + offset)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory")
    for name, default in [("layers", 80), ("hidden", 8192), ("heads", 64), ("kv-heads", 8),
                          ("head-dim", 128), ("intermediate", 28672), ("vocabulary", 128256),
                          ("experts", 0), ("chosen", 8), ("expert-width", 1536)]:
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--shard-bytes", type=float, default=5e9)
    a = parser.parse_args()
    os.makedirs(a.directory, exist_ok=True)

    shards, room = [[]], a.shard_bytes
    for name, shape in tensors(a):
        size = 2
        for n in shape:
            size *= n
        if shards[-1] and room < size:
            shards.append([])
            room = a.shard_bytes
        shards[-1].append((name, shape, size))
        room -= size
    weight_map, total = {}, 0
    for i, entries in enumerate(shards, 1):
        file = f"model-{i:05d}-of-{len(shards):05d}.safetensors"
        write_shard(os.path.join(a.directory, file), entries)
        for name, _, size in entries:
            weight_map[name] = file
            total += size
    with open(os.path.join(a.directory, "model.safetensors.index.json"), "w") as out:
        json.dump({"metadata": {"total_size": total}, "weight_map": weight_map}, out)
    experts = {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe",
               "num_experts": a.experts, "num_experts_per_tok": a.chosen, "norm_topk_prob": True,
               "moe_intermediate_size": a.expert_width}
    with open(os.path.join(a.directory, "config.json"), "w") as out:
        json.dump({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "bfloat16",
                   "head_dim": a.head_dim,
                   "hidden_size": a.hidden, "intermediate_size": a.intermediate,
                   "num_hidden_layers": a.layers, "num_attention_heads": a.heads,
                   "num_key_value_heads": a.kv_heads, "vocab_size": a.vocabulary,
                   "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "hidden_act": "silu",
                   "tie_word_embeddings": False,
                   "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}} |
                  (experts if a.experts else {}), out)


if __name__ == "__main__":
    main()
