#!/usr/bin/env python3
"""Invariant numerics: invariant_test.py MODEL [ep], with ep whole experts on every rank.

Logits have the same bytes at --tp 1, 2, 4 and 8, all prompts together and each alone, in whole prompts
and in steps of 8 tokens at most, with one and with two threads a rank, over shared memory and over TCP;
in f32 and in bf16. In f32 they lie as close to transformers' as those of fast numerics do.
"""
import sys

import golden_test
import harness


class Invariant(harness.EndToEnd):
    def plan(self, dtype, tp, *options):
        name = "-".join(["plan", dtype, str(tp), *options])
        if self.experts == "ep":
            options += ("--expert-parallel",)
        return self.compile(harness.model_dir(self.model), name, "--numerics", "invariant",
                            "--dtype", dtype, "--tp", str(tp), *options)

    def bytes_of(self, plan, ids, *options):
        return [t.values.tobytes() for t in self.logits(plan, ids, *options)]

    def check(self, dtype):
        cases = golden_test.load_cases(harness.model_dir(self.model))
        ids = [case.ids for case in cases]
        expected = None
        for tp in (1, 2, 4, 8):
            whole, steps = self.plan(dtype, tp), self.plan(dtype, tp, "--max-tokens", "8")
            if expected is None:
                expected = self.bytes_of(whole, ids)
                self.assertEqual(len(set(expected)), len(ids), "prompts with equal logits")
            ways = {"one thread": self.bytes_of(whole, ids, "--threads", "1"),
                    "two threads": self.bytes_of(whole, ids, "--threads", "2"),
                    "alone": sum((self.bytes_of(whole, [one]) for one in ids), []),
                    "steps of 8 tokens": self.bytes_of(steps, ids, "--threads", "2"),
                    "alone, steps of 8 tokens": sum((self.bytes_of(steps, [one])
                                                     for one in ids), [])}
            if tp == 4:
                ways["TCP"] = self.bytes_of(whole, ids, "--collectives", "tcp")
            for way, actual in ways.items():
                with self.subTest(dtype=dtype, tp=tp, way=way):
                    # Not assertEqual, which would compare megabytes as texts.
                    self.assertTrue(actual == expected, "logits have other bytes")

    def test_f32(self):
        self.check("f32")

    def test_bf16(self):
        self.check("bf16")

    def test_close_to_transformers(self):
        cases = golden_test.load_cases(harness.model_dir(self.model))
        plan = self.plan("f32", 2, "--max-seqs", "9")
        for case, result in zip(cases, self.logits(plan, [case.ids for case in cases])):
            golden_test.Golden.assert_close(self, case, result)


if __name__ == "__main__":
    Invariant.experts = sys.argv.pop(2) if len(sys.argv) > 2 and sys.argv[2] == "ep" else ""
    harness.main(["model"])
