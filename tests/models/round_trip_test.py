#!/usr/bin/env python3
"""round_trip_test.py MODEL TP: what `dcc inspect` prints at a phase compiles to the same plan."""
import json
import pathlib

import harness
from harness import run


def manifest(plan):
    return json.loads((pathlib.Path(plan) / "manifest.json").read_text())


class RoundTrip(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan = cls.compile(harness.model_dir(cls.model), "plan", "--tp", cls.tp)
        cls.compilation_id = manifest(cls.plan)["compilation_id"]

    def inspect(self, phase):
        done = run("dcc", "inspect", self.plan, "--phase", phase)
        self.assertEqual(done.status, 0, done)
        return done.out

    def test_every_phase(self):
        for phase in harness.PHASES:
            with self.subTest(phase=phase):
                source = self.scratch / f"{phase}.mlir"
                source.write_text(self.inspect(phase))
                again = self.compile(source, f"from_{phase}")
                self.assertEqual(manifest(again)["compilation_id"], self.compilation_id)
                verified = run("dcc", "verify", again)
                self.assertEqual(verified.status, 0, verified)

    def test_compiling_twice_gives_the_same_plan(self):
        again = self.compile(harness.model_dir(self.model), "again", "--tp", self.tp)
        self.assertEqual(manifest(again)["compilation_id"], self.compilation_id)
        for file in sorted(self.plan.glob("rank_*.dplan")):
            self.assertEqual(file.read_bytes(), (again / file.name).read_bytes(), file.name)


if __name__ == "__main__":
    harness.main(["model", "tp"])
