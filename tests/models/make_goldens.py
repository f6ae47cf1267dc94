#!/usr/bin/env python3
"""Writes tiny random checkpoints of families and what transformers makes of them.

    make_goldens.py [NAME]...          writes tests/models/NAME (all: without names)
    make_goldens.py --search NAME...   prints the seed of the widest greedy margin
    make_goldens.py --check [NAME]...  computes again and compares with what is there

Needs transformers 5.23 and torch (CPU); the tests need neither. A directory has config.json,
model.safetensors (bf16), golden.safetensors (prompts `input_ids_a`, `_b`; logits of every position in
f32 and, `logits_bf16_*`, of the model cast to bf16) and golden.json (24 greedy tokens each, and how
narrow their margin is, so that a rounding does not turn one into another).

Every tensor has a random stream of its own, seeded by its name. Norms, biases and scales are none of
them trivial: what is left out or done in another order shows in the logits.
"""
import argparse
import json
import pathlib
import sys
import zlib

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).resolve().parent
VOCABULARY, BOS, EOS = 384, 1, 2
LENGTHS = {"a": 7, "b": 33}
NEW_TOKENS = 24
ENOUGH = 0.08  # between the best logit and the second, where a seed is good

COMMON = dict(vocab_size=VOCABULARY, pad_token_id=0, bos_token_id=BOS, eos_token_id=EOS,
              max_position_embeddings=256, hidden_size=64, intermediate_size=160,
              num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)


def rope(theta=10000.0, **more):
    return {"rope_type": "default", "rope_theta": theta, **more}


# name -> class prefix, seed, `legacy` (config.json as before transformers 5), fields beside COMMON.
MODELS = {
    "granite": ("Granite", 2, True, dict(
        attention_multiplier=0.35, residual_multiplier=0.6, embedding_multiplier=2.5,
        logits_scaling=1.6, attention_bias=True, mlp_bias=True)),
    "starcoder2": ("Starcoder2", 8, True, dict(sliding_window=10, tie_word_embeddings=True)),
    "glm": ("Glm", 4, True, dict(head_dim=16, tie_word_embeddings=False)),
    "glm4": ("Glm4", 1, False, dict(head_dim=16, attention_bias=False)),
    "smollm3": ("SmolLM3", 5, False, dict(
        num_hidden_layers=3, no_rope_layer_interval=3, rope_parameters=rope(50000.0))),
    "nemotron": ("Nemotron", 3, True, dict(mlp_bias=True, attention_bias=True)),
    "ernie4_5": ("Ernie4_5", 2, False, dict(head_dim=32, use_bias=True)),
    "seed_oss": ("SeedOss", 2, False, dict(head_dim=32, attention_out_bias=True)),
    "helium": ("Helium", 1, True, dict(head_dim=16, num_key_value_heads=4)),
    "exaone4": ("Exaone4", 18, False, dict(
        num_hidden_layers=3, sliding_window=8, sliding_window_pattern=3,
        rope_parameters=rope(10000.0, rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                             high_freq_factor=4.0, original_max_position_embeddings=64))),
    "arcee": ("Arcee", 30, True, dict(
        rope_parameters=rope(10000.0, rope_type="yarn", factor=4.0,
                             original_max_position_embeddings=64))),
    "olmo2": ("Olmo2", 2, False, dict(num_key_value_heads=4, intermediate_size=128)),
}


def class_of(name, kind):
    return getattr(transformers, MODELS[name][0] + kind)


# ---- weights ---------------------------------------------------------------------------------------


def scaled(x, path, module, leaf, tied):
    """Of a size that keeps the residual's, so that every layer changes it visibly."""
    if path == "lm_head" and leaf == "weight":
        return 0.9 * x
    if isinstance(module, torch.nn.Embedding):
        return x * (0.3 if tied else 0.7)
    if "norm" in type(module).__name__.lower() and leaf == "weight":
        # A tied embedding is small and the last norm large: a token does not simply predict itself.
        base = 0 if type(module).__name__.endswith("1P") else 1
        return base + (2 if path == "model.norm" and tied else 0) + 0.3 * x
    if x.ndim == 1:
        return 0.2 * x
    return x * 1.3 / np.sqrt(x.shape[-1])


@torch.no_grad()
def fill(model, seed, tied):
    done = set()
    for path, module in model.named_modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            if id(parameter) in done:  # a tied head
                continue
            done.add(id(parameter))
            name = f"{path}.{leaf}"
            stream = np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))
            x = stream.standard_normal(tuple(parameter.shape), dtype=np.float32)
            x = scaled(x, path, module, leaf, tied)
            parameter.copy_(torch.from_numpy(x).to(torch.bfloat16))


def legacy(config):
    """A config.json as files from before transformers 5 have it."""
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.46.0"
    block = config.pop("rope_parameters")
    config["rope_theta"] = block.pop("rope_theta")
    if "partial_rotary_factor" in block:
        config["partial_rotary_factor"] = block.pop("partial_rotary_factor")
    block["type"] = block.pop("rope_type")
    config["rope_scaling"] = None if block["type"] == "default" else block
    return config


def write_checkpoint(name, seed, directory):
    _, _, is_legacy, fields = MODELS[name]
    config = class_of(name, "Config")(**COMMON | fields)
    config.dtype, config.architectures = "float32", [class_of(name, "ForCausalLM").__name__]
    torch.manual_seed(0)
    model = class_of(name, "ForCausalLM")(config).float().eval()
    model.tie_weights()
    fill(model, seed, config.tie_word_embeddings)
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=BOS, eos_token_id=EOS, pad_token_id=0, do_sample=False)
    directory.mkdir(exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(directory)
    path = directory / "config.json"
    written = json.loads(path.read_text())
    if is_legacy:
        written = legacy(written)
    path.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
    # It means what was asked for.
    back = class_of(name, "Config").from_pretrained(directory)
    for key, value in fields.items():
        read = getattr(back, key)
        if isinstance(value, dict):
            read = {k: read[k] for k in value}
        assert read == value, f"config.json says {key} = {read}, not {value}"


# ---- goldens ---------------------------------------------------------------------------------------


def load(name, directory, dtype):
    return class_of(name, "ForCausalLM").from_pretrained(
        directory, dtype=dtype, attn_implementation="eager").eval()


def prompt(which):
    stream = np.random.Generator(np.random.PCG64([20240229, LENGTHS[which]]))
    return torch.from_numpy(np.concatenate([[BOS], stream.integers(3, VOCABULARY, LENGTHS[which] - 1)]))


@torch.no_grad()
def logits(model, ids):
    return model(input_ids=ids[None], use_cache=False).logits[0].float()


@torch.no_grad()
def greedy(model, ids):
    """The continuation, and the least distance of a chosen logit to the next one."""
    config = transformers.GenerationConfig(
        do_sample=False, max_new_tokens=NEW_TOKENS, eos_token_id=None, pad_token_id=0,
        return_dict_in_generate=True, output_logits=True)
    model.generation_config = config
    out = model.generate(ids[None], attention_mask=torch.ones_like(ids)[None],
                         generation_config=config)
    best = torch.stack([row[0].float() for row in out.logits]).topk(2).values
    return out.sequences[0, len(ids):].tolist(), float((best[:, 0] - best[:, 1]).min())


@torch.no_grad()
def weakest(model, ids):
    """The tensor whose flattening to its mean changes the logits least, and by how much."""
    base, least = logits(model, ids), (np.inf, "")
    for name, parameter in model.named_parameters():
        kept = parameter.clone()
        parameter.fill_(parameter.mean())
        least = min(least, (float((logits(model, ids) - base).abs().max()), name))
        parameter.copy_(kept)
    return least


def golden(name, directory):
    exact, double, half = (load(name, directory, t) for t in
                           (torch.float32, torch.float64, torch.bfloat16))
    tensors, facts = {}, {"class": class_of(name, "ForCausalLM").__name__, "seed": MODELS[name][1],
                          "transformers": transformers.__version__,
                          "torch": torch.__version__.split("+")[0]}
    margins, noise = [], 0.0
    for which in LENGTHS:
        ids = prompt(which)
        tensors[f"input_ids_{which}"] = ids
        tensors[f"logits_{which}"] = logits(exact, ids)
        tensors[f"logits_bf16_{which}"] = logits(half, ids)
        noise = max(noise, float((logits(double, ids) - tensors[f"logits_{which}"]).abs().max()))
        facts[f"greedy_{which}"], margin = greedy(exact, ids)
        margins.append(margin)
    effect, least = weakest(exact, prompt("b"))
    facts |= {"min_greedy_margin": min(margins), "max_abs_diff_fp32_vs_fp64": noise,
              "weakest_parameter": least, "weakest_parameter_effect": effect}
    return tensors, facts


def write(name):
    directory = HERE / name
    write_checkpoint(name, MODELS[name][1], directory)
    tensors, facts = golden(name, directory)
    save_file({k: v.contiguous() for k, v in tensors.items()}, directory / "golden.safetensors")
    (directory / "golden.json").write_text(json.dumps(facts, indent=1) + "\n")
    size = sum(f.stat().st_size for f in directory.iterdir())
    print(f"{name}: {size} bytes, margin {facts['min_greedy_margin']:.3f}, noise "
          f"{facts['max_abs_diff_fp32_vs_fp64']:.1e}, least {facts['weakest_parameter_effect']:.2f} by "
          f"{facts['weakest_parameter']}, std {tensors['logits_b'].std():.2f}")


def search(name):
    import tempfile
    best = (-1.0, 0)
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(1, 41):
            write_checkpoint(name, seed, pathlib.Path(scratch))
            model = load(name, scratch, torch.float32)
            found = [greedy(model, prompt(which)) for which in LENGTHS]
            # One that repeats a few tokens tells little.
            if min(len(set(tokens)) for tokens, _ in found) >= NEW_TOKENS // 3:
                best = max(best, (min(margin for _, margin in found), seed))
            if best[0] >= ENOUGH:
                break
    print(f"{name}: seed {best[1]}, margin {best[0]:.3f}")


def check(name):
    tensors, facts = golden(name, HERE / name)
    old = load_file(HERE / name / "golden.safetensors")
    worst = max(float((tensors[k].float() - old[k].float()).abs().max())
                for k in tensors if "bf16" not in k)
    written = json.loads((HERE / name / "golden.json").read_text())
    same = all(written[k] == facts[k] for k in facts if k.startswith("greedy_"))
    print(f"{name}: differs by {worst:.1e}, greedy tokens {'equal' if same else 'DIFFERENT'}")
    return worst < 1e-3 and same


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    act = search if options.search else check if options.check else write
    return 0 if all([act(name) is not False for name in options.names or MODELS]) else 1


if __name__ == "__main__":
    sys.exit(main())
