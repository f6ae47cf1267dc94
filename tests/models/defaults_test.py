#!/usr/bin/env python3
"""A field that a config.json leaves out is what transformers takes it for: it compiles to the same plan as
the value that published_defaults.json has (extract_defaults.py), and to another one than a wrong value.
"""
import json
import unittest

import harness

DEFAULTS = json.loads((harness.MODELS / "published_defaults.json").read_text())["defaults"]
# Divides over all defaults of KV heads; heads without a head_dim of their own have 16 columns.
HEADS = 160
SIZES = {"vocab_size": 32, "hidden_size": 16 * HEADS, "intermediate_size": 32,
         "num_hidden_layers": 7, "num_attention_heads": HEADS}


class Defaults(harness.EndToEnd):
    def id_of(self, config):
        path = self.scratch / "config.json"
        path.write_text(json.dumps(config))
        plan = self.compile(path, "plan", "--weights", "dummy")
        return json.loads((plan / "manifest.json").read_text())["compilation_id"]

    def test_absent_fields(self):
        for architecture, fields in DEFAULTS.items():
            bare = SIZES | {"architectures": [architecture]}
            if "use_sliding_window" in fields and "max_window_layers" in fields:
                bare["use_sliding_window"] = True
                bare["num_hidden_layers"] = fields["max_window_layers"] + 1
            with self.subTest(architecture):
                self.assertEqual(self.id_of(bare), self.id_of(bare | fields))

    def test_a_wrong_default_shows(self):
        for architecture, fields in DEFAULTS.items():
            bare = SIZES | {"architectures": [architecture]}
            absent = self.id_of(bare)
            for key in fields.keys() & {"rope_theta", "max_position_embeddings", "sliding_window",
                                        "attention_bias", "rms_norm_eps", "num_key_value_heads",
                                        "logit_scale", "tie_word_embeddings"}:
                value = fields[key]
                if key == "sliding_window" and "use_sliding_window" in fields:
                    continue  # not in use
                other = not value if isinstance(value, bool) else value * 2
                if key == "num_key_value_heads":
                    other = 1
                with self.subTest(architecture, key=key):
                    self.assertNotEqual(absent, self.id_of(bare | {key: other}))


if __name__ == "__main__":
    unittest.main()
