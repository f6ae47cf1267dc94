#!/usr/bin/env python3
"""model.json as a graph: the plan of the bundled model's directory; a model that no family covers
against plain code; what is refused, by line.
"""
import array
import copy
import json
import math
import random

import bad
import harness
from harness import run

GRAPHS = harness.ROOT / "examples/graph"
TOLERANCE = 2e-5  # of the largest logit, as for golden data
PROMPTS = [[5, 17, 60, 3, 42, 7, 7, 12, 33, 1, 2], [9]]

# Every op of the language, one a line: parallel residual, packed and unpacked projections, norms of
# heads, half of a head turned, a window, biases, a tied head.
SMALL = """{
  "checkpoint": "weights",
  "graph": {
    "vocab_size": 64,
    "max_position_embeddings": 128,
    "unused": ["layers.*.attn.inv_freq"],
    "ops": [
      {"op": "frequencies", "module": "rotary", "rotary_dim": 4, "rope_parameters": {"rope_theta": 100.0}},
      {"op": "embedding", "module": "embed", "inputs": ["tokens"], "output": "x"},
      {"module": "layers.{i}", "repeat": {"i": 2}, "ops": [
        {"op": "rms_norm", "module": "norm", "inputs": ["x"], "output": "n", "eps": 1e-5, "shape": ["T", 32]},
        {"module": "attn", "ops": [
          {"op": "linear", "module": "qkv", "inputs": ["n"], "output": "qkv", "bias": true, "shape": ["T", 64]},
          {"op": "split", "inputs": ["qkv"], "outputs": ["q", "k", "v"], "sizes": [32, 16, 16]},
          {"op": "head_norm", "module": "q_norm", "inputs": ["q"], "output": "q", "head_dim": 8, "eps": 1e-5},
          {"op": "rope", "inputs": ["q", "rotary"], "output": "q", "head_dim": 8, "interleaved": true, "first": 4},
          {"op": "rope", "inputs": ["k", "rotary"], "output": "k", "head_dim": 8, "interleaved": true, "first": 4},
          {"op": "attention", "inputs": ["q", "k", "v"], "output": "a", "head_dim": 8, "window": 5, "scale": 0.5, "softcap": 0.7, "sinks": true},
          {"op": "linear", "module": "out", "inputs": ["a"], "output": "a"}
        ]},
        {"module": "mlp", "ops": [
          {"op": "linear", "module": "gate_up", "inputs": ["n"], "output": "gate_up"},
          {"op": "split", "inputs": ["gate_up"], "outputs": ["gate", "up"], "sizes": [48, 48]},
          {"op": "gated_activation", "inputs": ["gate", "up"], "output": "m", "function": "gelu_tanh"},
          {"op": "linear", "module": "down", "inputs": ["m"], "output": "m"}
        ]},
        {"op": "linear", "module": "extra", "inputs": ["n"], "output": "e", "bias": "extra.{i+1}.b"},
        {"op": "activation", "inputs": ["e"], "output": "e", "function": "silu"},
        {"op": "mul", "inputs": ["e", "n"], "output": "e"},
        {"op": "add", "inputs": ["a", "m"], "output": "y"},
        {"op": "add", "inputs": ["y", "e"], "output": "y"},
        {"op": "add", "inputs": ["x", "y"], "output": "x"}
      ]},
      {"op": "layer_norm", "module": "final", "inputs": ["x"], "eps": 1e-5, "bias": true},
      {"op": "last_token", "inputs": ["final"], "output": "last"},
      {"op": "linear", "module": "head", "inputs": ["last"], "weight": "embed.weight"},
      {"op": "scale", "inputs": ["head"], "output": "head", "factor": 0.5},
      {"op": "soft_cap", "inputs": ["head"], "cap": 1.5}
    ]
  },
  "tp_plan": {
    "embed": "embedding_rowwise",
    "layers.*.attn.qkv": "packed_colwise",
    "layers.*.attn.sinks": "colwise", "layers.*.attn.out": "rowwise",
    "layers.*.mlp.gate_up": "packed_colwise",
    "layers.*.mlp.down": "rowwise",
    "layers.*.extra": "colwise_gather_output",
    "head": "colwise"
  }
}
"""
SHAPES = {"embed.weight": [64, 32], "final.weight": [32], "final.bias": [32]}
for layer in range(2):
    SHAPES |= {f"layers.{layer}.{name}": shape for name, shape in {
        "norm.weight": [32], "attn.qkv.weight": [64, 32], "attn.qkv.bias": [64],
        "attn.q_norm.weight": [8], "attn.sinks": [4], "attn.out.weight": [32, 32], "mlp.gate_up.weight": [96, 32],
        "mlp.down.weight": [32, 48], "extra.weight": [32, 32], "attn.inv_freq": [4]}.items()}
    SHAPES[f"extra.{layer + 1}.b"] = [32]


def random_weights():
    draw = random.Random(1)
    weights = {}
    for name, shape in SHAPES.items():
        count = math.prod(shape)
        mean = 1 if "norm" in name or name == "final.weight" else 0
        weights[name] = array.array("f", [mean + draw.uniform(-0.4, 0.4) for _ in range(count)])
    return weights


def write_weights(directory, weights):
    directory.mkdir(exist_ok=True)
    harness.write_safetensors(directory / "model.safetensors", {
        name: ("F32", SHAPES[name], values.tobytes()) for name, values in weights.items()})


class Reference:
    """The ops in plain code, one token's row after the other, on lists of floats."""

    FUNCTIONS = {
        "silu": lambda x: x / (1 + math.exp(-x)),
        "gelu_tanh": lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    }

    def __init__(self, document, weights):
        self.graph, self.weights = document["graph"], weights

    def logits(self, tokens):
        self.values = {"tokens": [[t] for t in tokens]}
        last = self.run(self.graph["ops"], "", {})
        return [x for row in last for x in row]

    def run(self, ops, prefix, index):
        for op in ops:
            for i in range(list(op["repeat"].values())[0] if "repeat" in op else 1):
                inner = index | {name: i for name in op.get("repeat", {})}
                own = self.named(op.get("module", ""), inner)
                module = ".".join(part for part in (prefix, own) if part)
                if "ops" in op:
                    result = self.run(op["ops"], module, inner)
                    continue
                result = getattr(self, op["op"])(op, module or op["op"], inner,
                                                 *[self.values[name] for name in op.get("inputs", [])])
                names = op.get("outputs") or [op.get("output", module or op["op"])]
                for name, value in zip(names, result if "outputs" in op else [result]):
                    self.values[name] = value
        return result

    @staticmethod
    def named(text, index):
        for name, i in index.items():
            text = text.replace("{%s}" % name, str(i)).replace("{%s+1}" % name, str(i + 1))
        return text

    def weight(self, op, module, index):
        name = self.named(op.get("weight", module + ".weight"), index)
        shape = SHAPES[name]
        rows = shape[0] if len(shape) == 2 else 1
        values = self.weights[name]
        columns = len(values) // rows
        return [values[r * columns:(r + 1) * columns] for r in range(rows)]

    def embedding(self, op, module, index, tokens):
        table = self.weight(op, module, index)
        return [list(table[t[0]]) for t in tokens]

    def linear(self, op, module, index, x):
        weight = self.weight(op, module, index)
        bias = op.get("bias")
        if bias:
            bias = self.weights[module + ".bias" if bias is True else self.named(bias, index)]
        return [[sum(a * b for a, b in zip(row, w)) + (bias[n] if bias else 0)
                 for n, w in enumerate(weight)] for row in x]

    def head_norm(self, op, module, index, x):
        (weight,) = self.weight(op, module, index)
        d = len(weight)
        out = []
        for row in x:
            out.append([])
            for h in range(0, len(row), d):
                block = row[h:h + d]
                scale = 1 / math.sqrt(sum(v * v for v in block) / d + op["eps"])
                out[-1] += [v * scale * w for v, w in zip(block, weight)]
        return out

    rms_norm = head_norm

    def layer_norm(self, op, module, index, x):
        (weight,) = self.weight(op, module, index)
        bias, n, out = self.weights[module + ".bias"], len(weight), []
        for row in x:
            mean = sum(row) / n
            scale = 1 / math.sqrt(sum((v - mean)**2 for v in row) / n + op["eps"])
            out.append([(v - mean) * scale * w + b for v, w, b in zip(row, weight, bias)])
        return out

    def scale(self, op, module, index, x):
        return [[op["factor"] * v for v in row] for row in x]

    def soft_cap(self, op, module, index, x):
        return [[op["cap"] * math.tanh(v / op["cap"]) for v in row] for row in x]

    def frequencies(self, op, module, index):
        d, theta = op["rotary_dim"], op["rope_parameters"]["rope_theta"]
        return [theta**(-2 * i / d) for i in range(d // 2)]

    def rope(self, op, module, index, x, frequencies):
        out = [list(row) for row in x]
        for t, row in enumerate(out):
            for h in range(0, len(row), op["head_dim"]):
                for i, f in enumerate(frequencies):
                    a = h + op["first"] + 2 * i
                    b = a + 1
                    c, s = math.cos(t * f), math.sin(t * f)
                    row[a], row[b] = row[a] * c - row[b] * s, row[a] * s + row[b] * c
        return out

    def attention(self, op, module, index, q, k, v):
        d = op["head_dim"]
        group = len(q[0]) // len(k[0])
        out = []
        for t, row in enumerate(q):
            out.append([])
            for h in range(len(row) // d):
                own, kv = slice(h * d, h * d + d), slice(h // group * d, h // group * d + d)
                oldest = t + 1 - op["window"] if "window" in op else t // op["chunk"] * op["chunk"]
                seen = range(max(0, oldest), t + 1)
                scores = [op["scale"] * sum(a * b for a, b in zip(row[own], k[u][kv])) for u in seen]
                mass = [math.exp(op["softcap"] * math.tanh(s / op["softcap"])) for s in scores]
                whole = sum(mass) + math.exp(self.weights[module + ".sinks"][h])
                out[-1] += [sum(m * v[u][kv][c] for m, u in zip(mass, seen)) / whole
                            for c in range(d)]
        return out

    def activation(self, op, module, index, x):
        return [[self.FUNCTIONS[op["function"]](v) for v in row] for row in x]

    def gated_activation(self, op, module, index, gate, up):
        return self.mul(op, module, index, self.activation(op, module, index, gate), up)

    def add(self, op, module, index, x, y):
        return [[a + b for a, b in zip(r, s)] for r, s in zip(x, y)]

    def mul(self, op, module, index, x, y):
        return [[a * b for a, b in zip(r, s)] for r, s in zip(x, y)]

    def split(self, op, module, index, x):
        begins = [sum(op["sizes"][:i]) for i in range(len(op["sizes"]))]
        return [[row[b:b + n] for row in x] for b, n in zip(begins, op["sizes"])]

    def last_token(self, op, module, index, x):
        return x  # every token's logits are asked for


class Graph(bad.BadInput):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.weights = random_weights()
        write_weights(cls.scratch / "weights", cls.weights)
        cls.small = cls.scratch / "small.json"
        cls.small.write_text(SMALL)

    @staticmethod
    def id_of(plan):
        return json.loads((plan / "manifest.json").read_text())["compilation_id"]

    def values(self, plan, prompts=PROMPTS):
        return [x for result in self.logits(plan, prompts) for x in result.values]

    def assert_close(self, values, expected):
        largest = max(map(abs, expected))
        self.assertGreater(largest, 0.1)
        self.assertEqual(len(values), len(expected))
        worst = max(abs(a - b) for a, b in zip(values, expected))
        self.assertLessEqual(worst, TOLERANCE * largest)

    # What it means.

    def test_bundled_model_is_the_same_plan(self):
        for options in [["--tp", "1"], ["--tp", "2"], ["--tp", "4"], ["--tp", "8"],
                        ["--tp", "2", "--dtype", "bf16"], ["--tp", "8", "--max-seq-len", "77"],
                        ["--tp", "4", "--weights", "dummy:3", "--dtype", "bf16"]]:
            with self.subTest(options=options):
                graph = self.compile(GRAPHS / "model.json", "graph", *options)
                directory = self.compile(harness.BUNDLED, "directory", *options)
                self.assertEqual(self.id_of(graph), self.id_of(directory))
        self.assertNotEqual(self.id_of(graph), self.id_of(self.compile(
            GRAPHS / "model.json", "other", "--tp", "4", "--weights", "dummy:3")))

    def test_bundled_model_writes_the_same_text(self):
        golden = json.loads((harness.BUNDLED / "golden.json").read_text())
        case = next(c for c in golden["cases"] if c["prompt"] == "ROMEO:\n")
        plan = self.compile(GRAPHS / "model.json", "text")
        self.assertEqual(len(list(plan.glob("rank_*.dplan"))), 2)
        answer = json.loads(self.drun(plan, "--max-new-tokens", "64", "--ignore-eos", "--json"))
        self.assertEqual(answer["text"], case["greedy_text"])

    def test_every_op_against_plain_code(self):
        reference = Reference(json.loads(SMALL), self.weights)
        expected = [x for prompt in PROMPTS for x in reference.logits(prompt)]
        tokens = None
        for tp in ("1", "2"):
            with self.subTest(tp=tp):
                plan = self.compile(self.small, f"small{tp}", "--tp", tp)
                self.assert_close(self.values(plan), expected)
                answers = self.generate(plan, [{"input_ids": p} for p in PROMPTS], "--ignore-eos",
                                        "--max-new-tokens", "12")
                tokens = tokens or [a["output_ids"] for a in answers]
                self.assertEqual([a["output_ids"] for a in answers], tokens)
        # The first token of decoding, by every token's logits.
        row = expected[64 * (len(PROMPTS[0]) - 1):64 * len(PROMPTS[0])]
        self.assertEqual(tokens[0][0], row.index(max(row)))

    def test_chunks(self):
        text = SMALL.replace('"window": 5', '"chunk": 4')
        path = self.scratch / "chunks.json"
        path.write_text(text)
        reference = Reference(json.loads(text), self.weights)
        expected = [x for prompt in PROMPTS for x in reference.logits(prompt)]
        self.assert_close(self.values(self.compile(path, "chunks", "--tp", "2")), expected)

    def test_a_graph_of_no_family(self):
        path = GRAPHS / "parallel_residual.json"
        expected = self.values(self.compile(path, "no_family1", "--tp", "1"))
        for tp in ("2", "4"):
            plan = self.compile(path, f"no_family{tp}", "--tp", tp)
            self.assert_close(self.values(plan), expected)
            # One sum a layer, for attention and MLP together, and one for the embedding.
            self.assertIn("5 collectives", run("dcc", "explain", plan).out)

    def test_ir_of_every_phase_compiles_to_the_same_plan(self):
        plan = self.compile(self.small, "phases", "--tp", "2")
        for phase in harness.PHASES:
            with self.subTest(phase=phase):
                source = self.scratch / f"{phase}.mlir"
                source.write_text(run("dcc", "inspect", plan, "--phase", phase).out)
                again = self.compile(source, f"from_{phase}")
                self.assertEqual(self.id_of(again), self.id_of(plan))

    # What is refused.

    def refused(self, text, options, message):
        path = self.scratch / "bad.json"
        path.write_text(text)
        line = self.refuses_compile(path, *options)
        self.assertTrue(line.startswith(f"error: {path}:"), line)
        self.assertEqual(line.removeprefix(f"error: {path}:").replace(f"{self.scratch}/", ""), message)

    def test_each_mistake_is_named_by_its_line(self):
        for old, new, message in MISTAKES:
            with self.subTest(new=new):
                self.assertEqual(SMALL.count(old), 1, old)
                if not message[0].isdigit():
                    message = f"{SMALL[:SMALL.index(old)].count(chr(10)) + 1}: {message}"
                self.refused(SMALL.replace(old, new), [], message)

    def test_weights_that_do_not_fit(self):
        def refused(message, **changes):
            other = self.scratch / "other"
            weights = {n: ("F32", SHAPES[n], v.tobytes()) for n, v in self.weights.items()} | changes
            other.mkdir(exist_ok=True)
            harness.write_safetensors(other / "model.safetensors",
                                      {n: v for n, v in weights.items() if v})
            self.refused(SMALL.replace('"weights"', '"other"'), [], message)

        down = "layers.1.mlp.down.weight"
        refused('25: weight: tensor "layers.1.mlp.down.weight" is not in other; did you mean '
                '"layers.0.mlp.down.weight"?', **{down: None})
        refused('25: weight: tensor "layers.1.mlp.down.weight" has shape [32, 47]; [n, 48] is expected',
                **{down: ("F32", [32, 47], bytes(4 * 32 * 47))})
        refused('25: weight: tensor "layers.1.mlp.down.weight" has type I32; F32, BF16 or F16 is '
                "expected", **{down: ("I32", [32, 48], bytes(4 * 32 * 48))})
        refused('27: bias: tensor "extra.2.b" has shape [31]; [32] is expected',
                **{"extra.2.b": ("F32", [31], bytes(4 * 31))})
        refused('6: unused: no op reads tensor "layers.0.mlp.down.bias" (and 1 more) of other; read it, '
                'or list it here, "layers.*.mlp.down.bias"',
                **{f"layers.{i}.mlp.down.bias": ("F32", [32], bytes(128)) for i in (0, 1)})
        refused('6: unused: "layers.*.attn.inv_freq" is no tensor that the ops leave over; take it out',
                **{f"layers.{i}.attn.inv_freq": None for i in (0, 1)})

    def test_weights_of_a_graph(self):
        text = SMALL.replace('"checkpoint": "weights"', '"weights": "dummy"')
        self.refused(text, [], '9: shape: is missing; without a checkpoint to look the columns up in, '
                     'the result\'s shape is expected, ["T", 256]')
        plain = self.scratch / "plain"
        write_weights(plain, self.weights)
        (plain / "model.json").write_text(SMALL.replace('"checkpoint": "weights",', ""))
        plans = [self.compile(path, out) for path, out in
                 [(plain / "model.json", "beside"), (self.small, "named")]]
        self.assertEqual(*map(self.id_of, plans))

    def test_a_graph_has_no_plan_of_its_own(self):
        text = SMALL[:SMALL.index(',\n  "tp_plan"')] + "}"
        path = self.scratch / "auto.json"
        path.write_text(text)
        self.compile(path, "auto")
        expected = (" a graph has no plan of its own; for tp = 2 a strategy is expected for each module "
                    'that is cut, {"model.layers.*.mlp.up_proj": "colwise"}')
        self.refuses_compile(path, "--tp", "2", words=[f"{path}: tp_plan:{expected}"])
        self.refuses_compile(path, "--tp", "2", "--tp-plan", "auto", words=[f"--tp-plan auto:{expected}"])
        self.compile(path, "rule", "--tp", "2", "--tp-rule", "embed=embedding_rowwise", "--tp-rule",
                     "head=colwise")
        path.write_text(text[:-1] + ',\n"tp_plan":\n"auto"}')
        self.refuses_compile(path, "--tp", "2",
                             words=[f"auto.json:{text.count(chr(10)) + 2}: tp_plan:{expected}"])

    def test_mutations_never_crash(self):
        """Random edits: refused in one line, or compiled, but nothing else."""
        draw = random.Random(5)
        path = self.scratch / "mutated.json"
        statuses = {0: 0, 2: 0}
        for _ in range(250):
            path.write_text(json.dumps(mutated(draw), indent=1))
            done = run("dcc", "compile", path, "--stop-after", "collectives", "-o", "/dev/null", "--tp",
                       draw.choice(["1", "2"]))
            self.assertIn(done.status, statuses, f"{path.read_text()}\n{done}")
            statuses[done.status] += 1
            if done.status == 2:
                self.assertEqual(len(done.err.splitlines()), 1, f"{path.read_text()}\n{done}")
        self.assertGreater(min(statuses.values()), 4, statuses)


def nodes(value):
    """(container, key) of every value inside."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from nodes(value[key])


def mutated(draw):
    """SMALL with one to three edits of its values."""
    document = json.loads(SMALL)
    ops = document["graph"]["ops"]
    others = ["x", "q", {}, [], None, -1, 0, 3, 1e-3, 1e300, True, "{i}", "{2*i+1}", 99999999999, "tokens",
              "T", {"i": 3}, [32, 32], "linear", "split", "", "relu", "replicate", "rowwise"]
    for _ in range(draw.choice([1, 1, 2, 3])):
        places = list(nodes(ops if ops and draw.random() < 0.8 else document))
        container, key = draw.choice(places)
        edit = draw.randrange(5)
        if edit == 0:
            container[key] = draw.choice(others)
        elif edit == 1:  # of the same type
            alike = [c[k] for c, k in places if isinstance(c[k], type(container[key]))]
            container[key] = copy.deepcopy(draw.choice(alike))
        elif edit == 2:
            del container[key]
        elif isinstance(container, list):
            if edit == 3:
                container.insert(key, copy.deepcopy(container[key]))
            else:
                draw.shuffle(container)
        else:
            container[draw.choice(places)[1] if edit == 3 else key + "s"] = container.pop(key)
            for name in [k for k in container if not isinstance(k, str)]:
                container[str(name)] = container.pop(name)
    return document


# A change of SMALL and what is said, of its line where no other is given.
MISTAKES = [
    # Keys and names.
    ('"op": "head_norm"', '"op": "headnorm"', 'op: "headnorm" is no op; did you mean "head_norm"?'),
    ('"q_norm", "inputs"', '"q_norm", "input"', 'input: is no key here; did you mean "inputs"?'),
    ('"vocab_size": 64', '"vocab": 64', 'vocab: is no key here; did you mean "ops"?'),
    ('"repeat": {"i": 2}', '"repeats": {"i": 2}', 'repeats: is no key here; did you mean "repeat"?'),
    ('"module": "rotary", "rotary_dim": 4', '"module": "rotary"',
     "rotary_dim: is missing; an integer from 1 up to 16777216 is expected"),
    ('"rotary_dim": 4', '"rotary_dim": 5', "rotary_dim: an even number up to 65536 is expected"),
    ('{"rope_theta": 100.0}', '{"theta": 100.0}',
     'theta: is no key here; did you mean "rope_theta"?'),
    ('{"rope_theta": 100.0}', '{"rope_theta": 0.5}',
     "rope_parameters: rope_theta: is not above 1; 10000, say, is expected"),
    ('"final", "inputs": ["x"], "eps": 1e-5', '"final", "inputs": ["x"]',
     "eps: is missing; a number is expected"),
    ('"final", "inputs": ["x"], "eps": 1e-5', '"final", "inputs": ["x"], "eps": 0',
     "eps: is 0.0; a number above 0 is expected"),
    ('"function": "silu"', '"function": "swish"',
     'function: "swish" is no function; silu, gelu, gelu_tanh, relu, '
     'sigmoid, tanh, relu2 are'),
    ('"module": "embed"', '"module": "em bed"',
     'module: "em bed" is no name; up to 256 letters, digits and _ . - / are expected'),
    ('"window": 5', '"window": 5, "chunk": 4',
     "chunk: stands beside window; one of the two is expected"),
    ('"cap": 1.5', '"cap": -1', "cap: is -1.0; a number above 0 is expected"),
    # Repeats.
    ('"module": "layers.{i}"', '"module": "layers.{j}"',
     'module: "layers.{j}" has braces that hold no index; {i} is expected, or the like of {i+1}, '
     "{2*i+1}"),
    ('"module": "head"', '"module": "head{i}"',
     'module: "head{i}" has braces that hold no index; only inside a "repeat" is there one'),
    ('{"i": 2}', '{"i": 20000}', "i: is 20000; an integer from 1 up to 10000 is expected"),
    ('{"i": 2}', '{"i": 10000}', "11: op: is one too many; at most 20000 ops are expected, repeats "
     "written out"),
    ('{"i": 2}', '{"i": 1, "j": 1}', 'repeat: is one index and how often: {"i": 6}'),
    ('{"i": 2}', '{"I": 2}', '"I": is no index; small letters are expected, {"i": 6}'),
    ('"module": "mlp", "ops"', '"module": "mlp", "repeat": {"i": 1}, "ops"',
     "i: is the index of a repeat around this one; another is expected"),
    ('"module": "layers.{i}", ', "",
     '11: weight: tensor "norm.weight" is not in weights; did you mean "embed.weight"?'),
    # Wiring.
    ('["n"], "output": "qkv"', '["m"], "output": "qkv"',
     'inputs: "m" is given only in line 24; ops stand in the order in which they run'),
    ('["gate", "up"], "output": "m"', '["gat", "up"], "output": "m"',
     'inputs: "gat" is no result so far; did you mean "gate"?'),
    ('["q", "k", "v"], "output": "a"', '["q", "k"], "output": "a"',
     "inputs: attention reads 3: [q, k, v]; as many names are expected"),
    ('["a"], "output": "a"', '["a"], "output": "o"',
     'output: nobody reads "o" before it is given again, in line 19; read it, leave the op out, or call '
     'it "_"'),
    ('"output": "last"', '"output": "tokens"',
     'output: "tokens" are the step\'s; another name is expected'),
    ('"inputs": ["final"]', '"inputs": ["x"]',
     '34: output: nobody reads "final"; read it, leave the op out, or call it "_"'),
    ('"inputs": ["tokens"]', '"inputs": ["rotary"]',
     'inputs: "rotary" are no ids; "tokens", the step\'s, are expected'),
    ('["x"], "output": "n"', '["tokens"], "output": "n"',
     'inputs: "tokens" are ids of shape [T]; what has columns is expected for x'),
    ('["x"], "output": "n"', '["rotary"], "output": "n"',
     'inputs: "rotary" are rotary frequencies; a tensor is expected for x'),
    ('["q", "rotary"]', '["q", "k"]', 'inputs: "k" is a tensor; the result of an op frequencies is '
     "expected"),
    # Shapes.
    ('"shape": ["T", 32]', '"shape": ["T", 31]',
     'shape: the result of layers.0.norm has shape [T, 32]; that is expected here, or other inputs'),
    ('"shape": ["T", 64]', '"shape": ["T", 65]',
     'shape: tensor "layers.0.attn.qkv.weight" has shape [64, 32]; [65, 32] is expected'),
    ('"shape": ["T", 32]', '"shape": [32]', 'shape: rows and columns are expected, ["T", 256], with up '
     "to 16777216 columns"),
    ('"shape": ["T", 32]', '"shape": ["B", 32]',
     'shape: the result of layers.0.norm has shape [T, 32]; that is expected here, or other inputs'),
    ('[32, 16, 16]', '[32, 16, 15]', "sizes: are 63 columns together; 64 are expected"),
    ('[32, 16, 16]', '[32, 32]', "sizes: are 2; as many as outputs, 3, are expected"),
    ('[32, 16, 16]', '[32, 8, 24]',
     "18: inputs: have shapes [T, 8] and [T, 24]; the same shape is expected"),
    ('"output": "q", "head_dim": 8, "interleaved"', '"output": "q", "head_dim": 7, "interleaved"',
     'inputs: "q" has 32 columns; whole heads of head_dim 7 are expected'),
    ('"output": "q", "head_dim": 8, "interleaved"', '"output": "q", "head_dim": 2, "interleaved"',
     "head_dim: is 2, but 4 columns of a head turn from column 4 on; at least as many are expected"),
    ('["e", "n"], "output": "e"', '["e", "gate"], "output": "e"',
     "inputs: have shapes [T, 32] and [T, 48]; the same shape is expected"),
    ('["e", "n"], "output": "e"', '["e", "y"], "output": "e"',
     'inputs: "y" is given only in line 30; ops stand in the order in which they run'),
    ('["last"], "weight"', '["last"], "bias": true, "weight"',
     'bias: tensor "head.bias" is not in weights; did you mean "final.bias"?'),
    ('["last"], "weight"', '["final"], "weight"',
     '35: output: nobody reads "last"; read it, leave the op out, or call it "_"'),
    ('"last_token", "inputs": ["final"]', '"add", "inputs": ["final", "final"]',
     "38: op: the last op gives [T, 64]; logits of shape [B, 64] are expected, B the sequences: "
     "vocab_size columns, and a last_token before"),
    ('"output": "last"}', '"output": "last"}, {"op": "last_token", "inputs": ["last"], "output": "last"}',
     'inputs: "last" has shape [B, 32]; every token\'s row is expected, so that last_token stands before '
     "last_token"),
    ('"vocab_size": 64', '"vocab_size": 63',
     '9: weight: tensor "embed.weight" has shape [64, 32]; [63, n] is expected'),
]


if __name__ == "__main__":
    harness.main([])
