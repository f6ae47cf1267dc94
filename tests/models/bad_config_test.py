#!/usr/bin/env python3
"""Every number of a config.json negative, huge or missing: dcc refuses in one line that names the
file and the field, or compiles because it does not need the number; and takes no time or memory."""
import json
import resource
import shutil

import bad
import harness
from harness import run

NUMBERS = [-1, 0, -0.5, 2**31, 2**63, 10**30, 1e308, None]
# Without these, a number that stands for no model.
NEEDED = {"hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers",
          "vocab_size"}


def numbers_in(fields, path=()):
    """Paths of all numbers, those of nested objects too."""
    for key, value in fields.items():
        if isinstance(value, dict):
            yield from numbers_in(value, (*path, key))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield (*path, key)


class BadConfig(bad.BadInput):
    def test_every_number(self):
        model = self.copy_of("llama3")
        path = model / "config.json"
        text = path.read_text()
        out = self.scratch / "out"
        out.mkdir(exist_ok=True)
        for field in numbers_in(json.loads(text)):
            for number in NUMBERS:
                with self.subTest(field=field, number=number):
                    fields = json.loads(text)
                    parent = fields
                    for key in field[:-1]:
                        parent = parent[key]
                    parent[field[-1]] = number
                    if number is None:
                        del parent[field[-1]]
                    path.write_text(json.dumps(fields))
                    done = run("dcc", "compile", model, "-o", out / "plan", timeout=20,
                               limits={resource.RLIMIT_AS: 2 << 30})
                    if done.status == 0:
                        self.assertNotIn(field[-1], NEEDED)
                        shutil.rmtree(out / "plan")
                        continue
                    self.refuses(done)
                    self.assertEqual(list(out.iterdir()), [], "left behind")


if __name__ == "__main__":
    harness.main([])
