#!/usr/bin/env python3
"""What several GPUs would decode per second, by formula from figures of one: prints the table of
docs/projection-8-gpus.md.

  projection.py --bandwidth 4.0e12 --fraction 0.8

--bandwidth and --fraction: of the copy's bytes per second on one GPU, and how much of it decoding reaches there; both
are in the JSON of compare.py.
"""
import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cases  # noqa: E402

LLAMA_70B = {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64,
             "num_key_value_heads": 8, "vocab_size": 128256}
DEGREES = (1, 2, 4, 8)
# Seconds of one all-reduce of 32 KB among H100s (published: sglang 2904), by degree.
ALL_REDUCE = {1: 0.0, 2: 4.5e-6, 4: 4.8e-6, 8: 7.8e-6}


def weight_bytes(config):
    """Of a step in bf16: all but the table of embeddings."""
    queries, keys, width = cases.heads(config)
    layer = config["hidden_size"] * (width * (2 * queries + 2 * keys) + 3 * config["intermediate_size"])
    return 2 * (config["num_hidden_layers"] * layer + config["hidden_size"] * config["vocab_size"])


def all_reduces(config):
    """Of a step: two in each layer, and one of the embeddings."""
    return 2 * config["num_hidden_layers"] + 1


def seconds(config, degree, bandwidth, fraction, context):
    """Of a batch-1 decode step: (if what is not at the bandwidth on one GPU shrinks with the degree, if it stays)."""
    ideal = (weight_bytes(config) + cases.kv_bytes(config, context)) / bandwidth
    rest, exchange = ideal / fraction - ideal, all_reduces(config) * ALL_REDUCE[degree]
    return (ideal + rest) / degree + exchange, ideal / degree + rest + exchange


def table(bandwidth, fraction, context=1024):
    yield "| model, bf16, batch 1 | " + " | ".join(f"TP {n}" for n in DEGREES) + " |"
    yield "|" + " --- |" * (len(DEGREES) + 1)
    for name, config in (("Llama-3-8B", cases.config_of("llama-3-8b")), ("70B-shaped", LLAMA_70B)):
        steps = [seconds(config, n, bandwidth, fraction, context) for n in DEGREES]
        yield f"| {name}, tokens/s | " + " | ".join(f"{1 / slow:.0f} – {1 / fast:.0f}" for fast, slow in steps) + " |"
        yield (f"| {name}, over TP 1 | " +
               " | ".join(f"{steps[0][1] / slow:.2f} – {steps[0][0] / fast:.2f}" for fast, slow in steps) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--bandwidth", type=float, required=True, help="bytes per second, read and written")
    parser.add_argument("--fraction", type=float, required=True, help="of it that batch-1 decoding reaches")
    options = parser.parse_args()
    if options.bandwidth <= 0 or not 0 < options.fraction <= 1:
        parser.error("--bandwidth: above 0; --fraction: above 0, at most 1")
    print("\n".join(table(options.bandwidth, options.fraction)))


if __name__ == "__main__":
    main()
