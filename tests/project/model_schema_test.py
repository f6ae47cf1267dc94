#!/usr/bin/env python3
"""docs/model.schema.json accepts the model.json files of examples/ and refuses what dcc refuses."""
import copy
import json
import pathlib
import sys
import unittest

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed (tools/install-packages check)")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/model.schema.json").read_text())
EXAMPLES = [ROOT / "examples/model.json", *sorted((ROOT / "examples/graph").glob("*.json"))]


class ModelSchema(unittest.TestCase):
    def setUp(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        self.validator = jsonschema.Draft202012Validator(SCHEMA)

    def test_examples(self):
        self.assertGreater(len(EXAMPLES), 2)
        for path in EXAMPLES:
            with self.subTest(path=path):
                self.validator.validate(json.loads(path.read_text()))

    def test_accepts(self):
        for more in [{}, {"mesh": {"tp": 4, "pp": 1}}, {"tp_plan": {"a.*.b": "colwise"}},
                     {"tp_plan": "plan.json"}, {"dtype": "bf16", "max_seq_len": 1},
                     {"weights": "dummy"}, {"weights": "dummy:7"}]:
            self.validator.validate({"model": "m", **more})

    def test_refuses(self):
        for document in [{}, [], {"model": 3}, {"model": "m", "promt": "x"},
                         {"model": "m", "mesh": {"tp": 0}}, {"model": "m", "mesh": {"xp": 2}},
                         {"model": "m", "tp_plan": {"a": 1}}, {"model": "m", "tp_plan": 3},
                         {"model": "m", "dtype": "float32"}, {"model": "m", "max_tokens": 0},
                         {"model": "m", "checkpoint": "m"}, {"checkpoint": "m"},
                         {"model": "m", "weights": "dummy:x"}]:
            self.assertFalse(self.validator.is_valid(document), document)

    def test_refuses_graphs(self):
        norm = {"op": "rms_norm", "inputs": ["x"], "eps": 1e-5}
        good = {"graph": {"vocab_size": 8, "max_position_embeddings": 9, "ops": [norm]}}
        self.validator.validate(good)
        self.validator.validate({**good, "checkpoint": "m"})
        self.assertFalse(self.validator.is_valid({**good, "model": "m"}))
        for key in ["vocab_size", "max_position_embeddings", "ops"]:
            less = copy.deepcopy(good)
            del less["graph"][key]
            self.assertFalse(self.validator.is_valid(less), key)
        group = {"module": "layers.{i}", "repeat": {"i": 2}, "ops": [norm]}
        for ops in [[group], [{"module": "m.{2*i+1}", "ops": [group]}]]:
            good["graph"]["ops"] = ops
            self.validator.validate(good)
        for ops in [[], norm, [{}], [{"op": "norm", "inputs": ["x"]}], [{**norm, "esp": 1}],
                    [{**norm, "eps": 0}], [{**norm, "inputs": "x"}], [{**norm, "inputs": []}],
                    [{**norm, "inputs": ["x", "y"]}], [{**norm, "module": "a b"}],
                    [{**norm, "shape": [1, 2]}], [{**norm, "outputs": ["y"]}],
                    [{"op": "split", "inputs": ["x"], "sizes": [1]}],
                    [{"op": "linear", "inputs": ["x"], "bias": 1}],
                    [{**group, "ops": []}], [{**group, "repeat": 2}], [{**group, "op": "add"}],
                    [{**group, "repeat": {"i": 1, "j": 2}}], [{**group, "repeat": {"i": 0}}],
                    [{"op": "activation", "inputs": ["x"], "function": "swish"}],
                    [{"op": "rope", "inputs": ["x", "f"], "head_dim": "64"}],
                    [{"op": "frequencies", "rotary_dim": 3, "rope_parameters": {}}],
                    [{"op": "frequencies", "rotary_dim": 4, "rope_parameters": {"theta": 1e4}}]]:
            good["graph"]["ops"] = ops
            self.assertFalse(self.validator.is_valid(good), ops)


if __name__ == "__main__":
    unittest.main()
