#!/usr/bin/env python3
"""A shape with random weights in bf16 as llama.cpp reads it: for compare.py --gguf. No vocabulary, which
llama-bench does not need. Runs in a Python that has the packages gguf and numpy.

  make_gguf.py SHAPE_DIR FILE.gguf
"""
import json
import pathlib
import sys

import gguf
import numpy

BF16 = gguf.GGMLQuantizationType.BF16


def tensors(config):
    """(name, shape) of all weights, as llama.cpp names them for Llama and Qwen2."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    dim = config.get("head_dim") or hidden // heads
    vocabulary = config["vocab_size"]
    yield "token_embd.weight", (vocabulary, hidden)
    for layer in range(config["num_hidden_layers"]):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", (hidden,)
        for name, rows in (("q", heads * dim), ("k", kv_heads * dim), ("v", kv_heads * dim)):
            yield f"{block}attn_{name}.weight", (rows, hidden)
            if config["model_type"] == "qwen2":
                yield f"{block}attn_{name}.bias", (rows,)
        yield block + "attn_output.weight", (hidden, heads * dim)
        yield block + "ffn_norm.weight", (hidden,)
        yield block + "ffn_gate.weight", (inner, hidden)
        yield block + "ffn_up.weight", (inner, hidden)
        yield block + "ffn_down.weight", (hidden, inner)
    yield "output_norm.weight", (hidden,)
    if not config["tie_word_embeddings"]:
        yield "output.weight", (vocabulary, hidden)


def write(config, path):
    writer = gguf.GGUFWriter(path, config["model_type"])
    heads = config["num_attention_heads"]
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    random = numpy.random.default_rng(0)
    for name, shape in tensors(config):
        values = random.standard_normal(shape, dtype=numpy.float32) * numpy.float32(0.02)
        if len(shape) > 1:  # the upper halves of f32: what is cut off does not matter here
            upper = (values.view(numpy.uint32) >> 16).astype(numpy.uint16)
            writer.add_tensor(name, upper.view(numpy.int16), raw_dtype=BF16)
        else:
            writer.add_tensor(name, values + (1 if "norm" in name else 0))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(arguments):
    if len(arguments) != 2:
        sys.exit(__doc__)
    config = json.loads((pathlib.Path(arguments[0]) / "config.json").read_text(encoding="utf-8"))
    if config["model_type"] not in ("llama", "qwen2"):
        sys.exit(f"error: {arguments[0]}: model_type {config['model_type']}; this knows llama and qwen2")
    write(config, arguments[1])


if __name__ == "__main__":
    main(sys.argv[1:])
