#!/usr/bin/env python3
"""Writes gpt_oss_mxfp4 and deepseek_v3_fp8: make_encoded.py, beside the models they are made of.

The weights of gpt_oss's experts as MXFP4 and deepseek_v3's matrices as FP8 with block scales, in the tensors
that published checkpoints have, and golden logits and greedy tokens of transformers for the weights that they
decode to. Needs torch, transformers and safetensors; the models are the originals' otherwise.
"""
import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

HERE = pathlib.Path(__file__).parent
E2M1 = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6, -0., -.5, -1, -1.5, -2, -3, -4, -6])
BLOCK = 32  # of FP8 scales, small enough that matrices have several and some are cut off


def to_mxfp4(weight):
    """[..., rows, columns] to blocks [..., rows, columns / 32, 16] and scales [..., rows, columns / 32]."""
    groups = weight.float().reshape(*weight.shape[:-1], -1, 32)
    exponent = torch.floor(torch.log2(groups.abs().amax(-1).clamp(min=2.0 ** -100))) - 2
    scaled = groups / torch.exp2(exponent)[..., None]
    nibbles = (scaled[..., None] - E2M1).abs().argmin(-1).to(torch.uint8)
    return nibbles[..., 0::2] | nibbles[..., 1::2] << 4, (exponent + 127).to(torch.uint8)


def to_fp8(weight):
    """[rows, columns] to E4M3, and its scales."""
    rows, columns = weight.shape
    scales = torch.zeros((rows + BLOCK - 1) // BLOCK, (columns + BLOCK - 1) // BLOCK)
    encoded = torch.zeros(rows, columns, dtype=torch.float8_e4m3fn)
    for r in range(scales.shape[0]):
        for c in range(scales.shape[1]):
            part = slice(r * BLOCK, (r + 1) * BLOCK), slice(c * BLOCK, (c + 1) * BLOCK)
            block = weight[part].float()
            scales[r, c] = block.abs().max() / 448
            encoded[part] = (block / scales[r, c]).to(torch.float8_e4m3fn)
    return encoded, scales


def from_fp8(encoded, scales):
    spread = scales.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
    return (encoded.float() * spread[:encoded.shape[0], :encoded.shape[1]]).bfloat16()


def encode_gpt_oss(tensors):
    stored, decoded = {}, {}
    for name, tensor in tensors.items():
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            stored[name] = decoded[name] = tensor
            continue
        blocks, scales = to_mxfp4(tensor.transpose(1, 2))
        stored[name + "_blocks"], stored[name + "_scales"] = blocks, scales
        decoded[name] = convert_moe_packed_tensors(blocks, scales).contiguous()
    return stored, decoded, {"quant_method": "mxfp4",
                             "modules_to_not_convert": ["model.layers.*.self_attn",
                                                        "model.layers.*.mlp.router",
                                                        "model.embed_tokens", "lm_head"]}


def encode_deepseek_v3(tensors):
    stored, decoded = {}, {}
    for name, tensor in tensors.items():
        if "_proj" not in name or not name.endswith(".weight"):
            stored[name] = decoded[name] = tensor
            continue
        stored[name], stored[name + "_scale_inv"] = to_fp8(tensor)
        decoded[name] = from_fp8(stored[name], stored[name + "_scale_inv"])
    return stored, decoded, {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
                             "weight_block_size": [BLOCK, BLOCK]}


def golden(directory, prompts):
    """As of /work/shared/reference/make_models.py: f32 logits of every position, greedy tokens."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager")
    tensors, greedy = {}, {}
    for name, ids in prompts.items():
        sequence = ids.clone()[None]
        with torch.no_grad():
            tensors[f"input_ids_{name}"] = ids
            tensors[f"logits_{name}"] = model(sequence).logits[0].float().contiguous()
            for _ in range(24):
                logits = model(sequence).logits[0, -1]
                sequence = torch.cat([sequence, logits.argmax()[None, None]], 1)
        greedy[f"greedy_{name}"] = sequence[0, len(ids):].tolist()
    return tensors, greedy


def make(name, source, encode):
    out = HERE / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    config = json.loads((HERE / source / "config.json").read_text())
    stored, decoded, encoding = encode(load_file(HERE / source / "model.safetensors"))
    prompts = load_file(HERE / source / "golden.safetensors")
    (out / "config.json").write_text(json.dumps(config))
    save_file({k: v.contiguous() for k, v in decoded.items()}, out / "model.safetensors",
              {"format": "pt"})
    tensors, greedy = golden(out, {p: prompts[f"input_ids_{p}"] for p in "ab"})
    save_file({k: v.contiguous() for k, v in stored.items()}, out / "model.safetensors",
              {"format": "pt"})
    save_file(tensors, out / "golden.safetensors")
    (out / "golden.json").write_text(json.dumps(greedy))
    (out / "config.json").write_text(json.dumps(config | {"quantization_config": encoding}, indent=1))
    shutil.copy(HERE / source / "generation_config.json", out)


if __name__ == "__main__":
    make("gpt_oss_mxfp4", "gpt_oss", encode_gpt_oss)
    make("deepseek_v3_fp8", "deepseek_v3", encode_deepseek_v3)
