#!/usr/bin/env python3
"""edit_test.py MODEL TP: changing one placement in the IR changes the plan or is refused.

At each phase that has placements, one at a time is taken away or moved to the other dimension. A
compiler that accepted the text and produced the old plan would not have read it.
"""
import json
import re

import harness
from harness import run

PLACEMENT = re.compile(r", (?:\[tp, _\]|\[_, tp\]|partial tp)(?=>)")
SAMPLES = 24  # edits per phase, where it has as many
LEAST = 12


def changed(placement):
    """Other placements than this one, as text."""
    return {", [tp, _]": ["", ", [_, tp]"], ", [_, tp]": ["", ", [tp, _]"],
            ", partial tp": [""]}[placement]


class Edit(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan = cls.compile(harness.model_dir(cls.model), "plan", "--tp", cls.tp)
        cls.compilation_id = cls.id_of(cls.plan)

    @staticmethod
    def id_of(plan):
        return json.loads((plan / "manifest.json").read_text())["compilation_id"]

    def check_edits(self, phase):
        text = run("dcc", "inspect", self.plan, "--phase", phase).out
        edits = [(match, other) for match in PLACEMENT.finditer(text)
                 if not text[text.rfind("\n", 0, match.start()) + 1:].startswith("//")
                 for other in changed(match.group())]
        self.assertGreater(len(edits), LEAST, f"{phase} shows hardly any placements")
        for match, other in edits[::max(1, len(edits) // SAMPLES)]:
            line = text.count("\n", 0, match.start()) + 1
            with self.subTest(line=line, was=match.group(), now=other):
                source, out = self.scratch / f"{phase}.mlir", self.scratch / "edited"
                source.write_text(text[:match.start()] + other + text[match.end():])
                done = run("dcc", "compile", source, "-o", out)
                if done.status == 0:
                    self.assertNotEqual(self.id_of(out), self.compilation_id, "the old plan")
                    self.assertEqual(run("dcc", "verify", out).status, 0)
                else:
                    self.assertEqual(done.status, 2, done)
                    self.assertEqual(len(done.err.splitlines()), 1, done)

    def test_annotate(self):
        self.check_edits("annotate")

    def test_shard(self):
        self.check_edits("shard")

    def test_collectives(self):
        self.check_edits("collectives")

    def test_optimize(self):
        self.check_edits("optimize")

    # Here the placement of a weight stands beside its local type, which must follow from it.
    def test_localize(self):
        self.check_edits("localize")

    def test_allocate(self):
        self.check_edits("allocate")

    def test_specialize(self):
        self.check_edits("specialize")


if __name__ == "__main__":
    harness.main(["model", "tp"])
