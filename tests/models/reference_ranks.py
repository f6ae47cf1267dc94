"""N ranks of a dense decoder in plain numpy, for judging what dcc refuses.

Every rank holds its pieces of the weights and runs the model's code on them; nothing moves between ranks
but by the collectives that a strategy states (docs/strategies.md). There is no inference of placements
here: a plan is wrong if arrays don't fit (Misfit) or the logits are not those of one rank. Arithmetic is
float64, so that what differs differs by more than rounding.
"""
import dataclasses
import json
import math
import re
from typing import Optional

import numpy as np

import harness

TOLERANCE = 2e-5  # of the largest logit


class Misfit(Exception):
    """Shapes that don't fit, or a size that ranks don't divide."""


def require(condition, what):
    if not condition:
        raise Misfit(what)


# ---- strategies -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Strategy:
    """Dimensions that are cut of a linear's weight [out, in], of an embedding's [vocabulary, hidden]
    and of a vector; what the module does to its input and to its output."""
    linear: Optional[int] = None
    embedding: Optional[int] = None
    vector: Optional[int] = None
    packed: bool = False     # each half is cut
    takes: str = "as is"     # or: slice features, slice tokens
    gives: str = "as is"     # or: gather features, gather tokens
    module: str = ""         # or: gather, all_reduce: what leaves the module


COLWISE = Strategy(linear=0, embedding=1, vector=0)
ROWWISE = Strategy(linear=1, embedding=0)
GATHERED = dataclasses.replace(COLWISE, gives="gather features")
SLICED = dataclasses.replace(ROWWISE, takes="slice features")
PACKED_ROWS = dataclasses.replace(ROWWISE, packed=True, embedding=None)

STRATEGIES = {
    "colwise": COLWISE,
    "rowwise": ROWWISE,
    "colwise_rep": GATHERED,
    "colwise_gather_output": GATHERED,
    "rowwise_rep": SLICED,
    "rowwise_split_input": SLICED,
    "packed_colwise": Strategy(linear=0, vector=0, packed=True),
    "packed_rowwise": PACKED_ROWS,
    "local_colwise": COLWISE,
    "local_rowwise": ROWWISE,
    "local_packed_rowwise": PACKED_ROWS,
    "embedding_rowwise": Strategy(embedding=0),
    "embedding_colwise": Strategy(embedding=1),
    "sequence_parallel": Strategy(takes="slice tokens", gives="gather tokens"),
    "replicate": Strategy(),
    "replicated_with_grad_allreduce": Strategy(),
    "local": Strategy(module="nothing"),
    "gather": Strategy(module="gather"),
    "all_reduce": Strategy(module="all_reduce"),
}
OF_MODULES = [name for name, strategy in STRATEGIES.items() if strategy.module]
OF_WEIGHTS = [name for name, strategy in STRATEGIES.items() if not strategy.module]


class Plan:
    """Rules as Hugging Face looks them up: the parameter's path, then its module's, a layer's own
    rule before the one of all layers, with or without the base model's prefix."""

    def __init__(self, rules):
        self.rules = rules

    def key(self, path):
        """Of the rule that speaks of a path, or None."""
        general = re.sub(r"(?<=\.)\d+(?=\.|$)", "*", path)
        for key in (path, general, general.removeprefix("model.")):
            if key in self.rules:
                return key
        return None

    def find(self, path):
        key = self.key(path)
        return STRATEGIES[self.rules[key]] if key else None

    def of(self, module, parameter):
        return self.find(f"{module}.{parameter}") or self.find(module) or Strategy()


# ---- values ---------------------------------------------------------------------------------------


@dataclasses.dataclass
class Value:
    """What every rank has of a value; `state` is what strategies said of it: whole, cut (by
    features), or sum (to be added over the ranks)."""
    parts: list
    state: str = "whole"

    def map(self, function):
        return Value([function(part) for part in self.parts], self.state)


def whole(value):
    """A rowwise's all_reduce, due before the first use that is not linear."""
    if value.state != "sum":
        return value
    return Value([sum(value.parts)] * len(value.parts))


def gather(value, axis):
    return Value([np.concatenate(value.parts, axis)] * len(value.parts))


def add(x, y):
    if not x.state == y.state == "sum":
        x, y = whole(x), whole(y)
    return combine(x, y, np.add)


def combine(x, y, function):
    for a, b in zip(x.parts, y.parts):
        require(a.shape == b.shape, f"{a.shape} and {b.shape}")
    return Value([function(a, b) for a, b in zip(x.parts, y.parts)],
                 x.state if x.state == y.state else "cut")


# ---- the model ------------------------------------------------------------------------------------


def read_weights(directory):
    weights = {}
    for path in sorted(directory.glob("model*.safetensors")):
        for name, (dtype, shape, raw) in harness.raw_safetensors(path).items():
            if dtype == "BF16":
                values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
            else:
                values = np.frombuffer(raw, {"F32": "<f4", "F16": "<f2"}[dtype])
            weights[name] = values.astype(np.float64).reshape(shape)
    return weights


def rotary_frequencies(config, head_dim):
    block = config.get("rope_scaling") or config.get("rope_parameters") or {}
    theta = block.get("rope_theta", config.get("rope_theta"))
    frequencies = theta ** (-np.arange(0, head_dim, 2) / head_dim)
    kind = block.get("rope_type", "default")
    if kind == "linear":
        return frequencies / block["factor"]
    if kind == "llama3":
        turns = block["original_max_position_embeddings"] * frequencies / (2 * math.pi)
        low, high = block["low_freq_factor"], block["high_freq_factor"]
        keep = np.clip((turns - low) / (high - low), 0, 1)
        return frequencies * (keep + (1 - keep) / block["factor"])
    assert kind == "default", kind
    return frequencies


class Decoder:
    """Llama, Mistral, Qwen2, Qwen3 as their configurations say."""

    def __init__(self, directory):
        config = json.loads((directory / "config.json").read_text())
        self.weights = read_weights(directory)
        if config["tie_word_embeddings"]:
            self.weights["lm_head.weight"] = self.weights["model.embed_tokens.weight"]
        self.layers = config["num_hidden_layers"]
        self.heads, self.kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.head_dim = config.get("head_dim") or config["hidden_size"] // self.heads
        self.eps = config["rms_norm_eps"]
        self.window = config.get("sliding_window") if config.get("use_sliding_window", True) else None
        self.frequencies = rotary_frequencies(config, self.head_dim)

    def modules(self):
        """Every module with a weight: path -> names of its parameters."""
        found = {}
        for name in self.weights:
            module, parameter = name.rsplit(".", 1)
            found.setdefault(module, []).append(parameter)
        return found

    def logits(self, ids, plan, ranks):
        """[tokens, vocabulary] of every rank; Misfit if the plan is none for this model."""
        return Run(self, Plan(plan), ranks).logits(np.array(ids))


class Run:
    """One prompt through the ranks of one plan."""

    def __init__(self, model, plan, ranks):
        self.model, self.plan, self.ranks = model, plan, ranks

    # ---- cuts

    def pieces(self, size, packed=False, heads=None):
        """The indices that each rank holds of a dimension, which runs over whole heads if given."""
        if heads and self.ranks > heads == self.model.kv_heads and self.ranks % heads == 0:
            head = size // heads  # ranks that outnumber the KV heads share them
            return [np.arange(head) + head * (rank * heads // self.ranks)
                    for rank in range(self.ranks)]
        require(not heads or heads % self.ranks == 0, f"{heads} heads")
        blocks = np.split(np.arange(size), 2) if packed else [np.arange(size)]
        require(len(blocks[0]) % self.ranks == 0, f"a block of {len(blocks[0])}")
        return [np.concatenate([np.split(block, self.ranks)[rank] for block in blocks])
                for rank in range(self.ranks)]

    def cut(self, module, parameter, strategy, dimension):
        weight = self.model.weights[f"{module}.{parameter}"]
        if dimension is None:
            return [weight] * self.ranks
        heads = None
        if dimension == 0 and not strategy.packed and strategy.gives != "gather features":
            name = module.rsplit(".", 1)[-1]
            heads = {"q_proj": self.model.heads, "k_proj": self.model.kv_heads,
                     "v_proj": self.model.kv_heads}.get(name)
        return [np.take(weight, indices, dimension)
                for indices in self.pieces(weight.shape[dimension], strategy.packed, heads)]

    def slice(self, value, axis):
        """Of what every rank has whole, its part."""
        require(all(np.array_equal(part, value.parts[0]) for part in value.parts),
                "ranks slice different values")
        if axis == 1:
            require(value.parts[0].shape[1] % self.ranks == 0, "features to slice")
        return Value([np.array_split(part, self.ranks, axis)[rank]
                      for rank, part in enumerate(value.parts)])

    # ---- modules

    def enter(self, strategy, x):
        x = whole(x)
        if strategy.takes == "as is":
            return x
        return self.slice(x, 1 if strategy.takes == "slice features" else 0)

    def leave(self, module, strategy, y):
        if strategy.gives != "as is":
            y = gather(whole(y), 1 if strategy.gives == "gather features" else 0)
        return self.leave_module(module, y)

    def leave_module(self, module, y):
        rule = self.plan.find(module)
        if rule and rule.module in ("gather", "all_reduce"):
            y = whole(y)
        if rule and rule.module == "gather" and y.state == "cut":
            y = gather(y, 1)
        return y

    def embedding(self, module, ids):
        strategy = self.plan.of(module, "weight")
        table = self.cut(module, "weight", strategy, strategy.embedding)
        if strategy.embedding == 0:
            rows = self.pieces(len(self.model.weights[f"{module}.weight"]))
            y = Value([np.where(np.isin(ids, mine)[:, None], part[(ids - mine[0]) % len(part)], 0)
                       for mine, part in zip(rows, table)], "sum")
        else:
            y = Value([part[ids] for part in table], "whole" if strategy.embedding is None else "cut")
        if strategy.gives == "gather tokens":
            y = Value(self.slice(y, 0).parts)
        return self.leave(module, strategy, y)

    def linear(self, module, x):
        strategy = self.plan.of(module, "weight")
        x = self.enter(strategy, x)
        weight = self.cut(module, "weight", strategy, strategy.linear)
        for a, w in zip(x.parts, weight):
            require(a.shape[1] == w.shape[1], f"{module}: {a.shape} times {w.shape}")
        y = Value([a @ w.T for a, w in zip(x.parts, weight)],
                  {None: x.state, 0: "cut", 1: "sum"}[strategy.linear])
        if f"{module}.bias" in self.model.weights:
            rule = self.plan.of(module, "bias")
            y = whole(y)
            bias = self.cut(module, "bias", rule, rule.vector)
            for a, b in zip(y.parts, bias):
                require(a.shape[1:] == b.shape, f"{module}: {a.shape} plus {b.shape}")
            y = Value([a + b for a, b in zip(y.parts, bias)], y.state)
        return self.leave(module, strategy, y)

    def norm(self, module, x, head_dim=None):
        strategy = self.plan.of(module, "weight")
        x = self.enter(strategy, x)
        weight = self.cut(module, "weight", strategy, strategy.vector)

        def one(a, w):
            size = head_dim or a.shape[1]
            require(a.shape[1] % size == 0 and (size,) == w.shape, f"{module}: {a.shape} by {w.shape}")
            blocks = a.reshape(len(a), a.shape[1] // size, size)
            blocks = blocks / np.sqrt(np.mean(blocks**2, -1, keepdims=True) + self.model.eps) * w
            return blocks.reshape(a.shape)

        y = Value([one(a, w) for a, w in zip(x.parts, weight)], x.state)
        return self.leave(module, strategy, y)

    def by_heads(self, part):
        require(part.shape[1] % self.model.head_dim == 0, f"heads in {part.shape}")
        return part.reshape(len(part), part.shape[1] // self.model.head_dim, self.model.head_dim)

    def rope(self, part):
        """[tokens, heads, head_dim], the first half of a head turned with the second."""
        heads = self.by_heads(part)
        angles = np.arange(len(part))[:, None, None] * self.model.frequencies
        a, b = np.split(heads, 2, -1)
        return np.concatenate([a * np.cos(angles) - b * np.sin(angles),
                               b * np.cos(angles) + a * np.sin(angles)], -1)

    def attend(self, q, k, v):
        """One rank's heads: as many query heads per KV head as it has of them."""
        require(k.shape[1] == v.shape[1] and q.shape[1] % k.shape[1] == 0,
                f"{q.shape[1]} query heads, {k.shape[1]} of keys, {v.shape[1]} of values")
        k, v = (np.repeat(x, q.shape[1] // x.shape[1], 1) for x in (k, v))
        scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(self.model.head_dim)
        distance = np.arange(len(q))[:, None] - np.arange(len(q))
        seen = (distance >= 0) & (distance < (self.model.window or len(q)))
        scores = np.where(seen, scores, -np.inf)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        return np.einsum("hqk,khd->qhd", scores, v).reshape(len(q), -1)

    def attention(self, module, x):
        q, k, v = (self.linear(f"{module}.{name}_proj", x) for name in "qkv")
        if f"{module}.q_norm.weight" in self.model.weights:
            q = self.norm(f"{module}.q_norm", q, self.model.head_dim)
            k = self.norm(f"{module}.k_norm", k, self.model.head_dim)
        q, k, v = whole(q), whole(k), whole(v)
        y = Value([self.attend(self.rope(a), self.rope(b), self.by_heads(c))
                   for a, b, c in zip(q.parts, k.parts, v.parts)], q.state)
        return self.leave_module(module, self.linear(f"{module}.o_proj", y))

    def mlp(self, module, x):
        gate = whole(self.linear(f"{module}.gate_proj", x)).map(lambda a: a / (1 + np.exp(-a)))
        up = whole(self.linear(f"{module}.up_proj", x))
        y = self.linear(f"{module}.down_proj", combine(gate, up, np.multiply))
        return self.leave_module(module, y)

    def logits(self, ids):
        x = self.embedding("model.embed_tokens", ids)
        for i in range(self.model.layers):
            layer = f"model.layers.{i}"
            x = add(x, self.attention(f"{layer}.self_attn", self.norm(f"{layer}.input_layernorm", x)))
            y = self.norm(f"{layer}.post_attention_layernorm", x)
            x = self.leave_module(layer, add(x, self.mlp(f"{layer}.mlp", y)))
        y = whole(self.linear("lm_head", self.leave_module("model", self.norm("model.norm", x))))
        # The result is the ranks' columns, one after the other.
        return gather(y, 1).parts if y.state == "cut" else y.parts


def agree(logits, expected):
    """Every rank's logits are the expected ones."""
    bound = TOLERANCE * np.abs(expected).max()
    return all(part.shape == expected.shape and np.abs(part - expected).max() <= bound
               for part in logits)
