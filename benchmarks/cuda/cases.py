"""What compare.py measures, what the plans for it are compiled with, and what a step of a model reads and computes."""
import dataclasses
import json
import pathlib

SHAPES = pathlib.Path(__file__).resolve().parents[1] / "shapes"

# Name -> shape and the options of `dcc compile` that say how large steps are.
PLANS = {
    "llama-3-8b": ("llama-3-8b", ["--max-tokens", "4096", "--max-seqs", "32", "--max-seq-len", "2112"]),
    "llama-3-8b-forward": ("llama-3-8b", ["--max-tokens", "32768", "--max-seqs", "64", "--max-seq-len", "576"]),
    "qwen3-30b-a3b": ("qwen3-30b-a3b", ["--max-tokens", "1024", "--max-seqs", "1", "--max-seq-len", "1152"]),
}
COMMON = ["--weights", "dummy", "--dtype", "bf16", "--target", "cuda"]


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    plan: str  # of PLANS
    metric: str  # which rate of a run is compared
    batch: int
    prompt_tokens: int
    new_tokens: int
    peers: tuple
    promised: tuple = ()  # of (figure, bound): figures as compare.py names them
    ranks: int = 1
    threads: int = 1

    @property
    def shape(self):
        return PLANS[self.plan][0]

    def request(self):
        return {"batch": self.batch, "prompt_tokens": self.prompt_tokens, "new_tokens": self.new_tokens}


def keeps(figure, value, bound):
    """Whether a promise is kept; times are at most, all else is at least."""
    return value <= bound if figure.endswith("_us") else value >= bound


def decode(name, plan, batch, peers, promised=()):
    return Case(name, plan, "decode_tokens_per_s", batch, 1024, 65, peers, promised)


def prefill(name, plan, batch, tokens, promised=()):
    return Case(name, plan, "prefill_tokens_per_s", batch, tokens, 2, ("eager",), promised)


CASES = [
    decode("decode, batch 1", "llama-3-8b", 1, ("eager", "compiled"),
           (("of_copy_bandwidth", 0.80), ("over_eager", 4.0), ("over_compiled", 1.3), ("host_us", 30))),
    decode("decode, batch 8", "llama-3-8b", 8, ("eager",)),
    decode("decode, batch 32", "llama-3-8b", 32, ("eager",)),
    prefill("prefill 2048", "llama-3-8b", 1, 2048, (("of_gemm_rate", 0.75),)),
    *(prefill(f"forward 512, batch {batch}", "llama-3-8b-forward", batch, 512) for batch in (1, 4, 16, 64)),
    decode("experts, decode, batch 1", "qwen3-30b-a3b", 1, ("eager",), (("of_copy_bandwidth", 0.60),)),
]


def config_of(shape):
    return json.loads((SHAPES / shape / "config.json").read_text(encoding="utf-8"))


def heads(config):
    """Heads of queries, heads of keys, and how wide each is."""
    count = config["num_attention_heads"]
    return count, config["num_key_value_heads"], config.get("head_dim") or config["hidden_size"] // count


def kv_bytes(config, tokens):
    """Keys and values of `tokens` tokens of one sequence, in bf16."""
    _, keys, width = heads(config)
    return 2 * 2 * config["num_hidden_layers"] * keys * width * tokens


def decode_bytes(config, case, weight_bytes_per_token):
    """Read and written by a mean decode step: weights once, keys and values of all that came before, and those of
    the new tokens."""
    context = case.prompt_tokens + case.new_tokens / 2
    return case.batch * (weight_bytes_per_token + kv_bytes(config, context) + kv_bytes(config, 1))


def prefill_flops(config, case):
    """Of all prompts: products with the weights, attention to what comes before, and the head for the last token."""
    queries, keys, width = heads(config)
    hidden, tokens = config["hidden_size"], case.prompt_tokens
    if "num_experts" in config:
        inner = config["moe_intermediate_size"] * config["num_experts_per_tok"]
        router = hidden * config["num_experts"]
    else:
        inner, router = config["intermediate_size"], 0
    weights = hidden * width * (2 * queries + 2 * keys) + 3 * hidden * inner + router
    attention = 2 * tokens * tokens * queries * width
    layers = config["num_hidden_layers"] * (2 * weights * tokens + attention)
    return case.batch * (layers + 2 * hidden * config["vocab_size"])
