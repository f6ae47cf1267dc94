#!/usr/bin/env python3
"""docs/model.schema.json accepts examples/model.json and refuses what dcc refuses."""
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


class ModelSchema(unittest.TestCase):
    def setUp(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        self.validator = jsonschema.Draft202012Validator(SCHEMA)

    def test_example(self):
        self.validator.validate(json.loads((ROOT / "examples/model.json").read_text()))

    def test_accepts(self):
        for more in [{}, {"mesh": {"tp": 4, "pp": 1}}, {"tp_plan": {"a.*.b": "colwise"}},
                     {"tp_plan": "plan.json"}, {"dtype": "bf16", "max_seq_len": 1}]:
            self.validator.validate({"model": "m", **more})

    def test_refuses(self):
        for document in [{}, [], {"model": 3}, {"model": "m", "promt": "x"},
                         {"model": "m", "mesh": {"tp": 0}}, {"model": "m", "mesh": {"xp": 2}},
                         {"model": "m", "tp_plan": {"a": 1}}, {"model": "m", "tp_plan": 3},
                         {"model": "m", "dtype": "float32"}, {"model": "m", "max_tokens": 0}]:
            self.assertFalse(self.validator.is_valid(document), document)


if __name__ == "__main__":
    unittest.main()
