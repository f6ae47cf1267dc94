#!/usr/bin/env python3
"""A golden model computed in bf16 and f16: half_test.py MODEL TP.

Rounding every activation costs accuracy; how much transformers loses by it, golden.safetensors says
(logits_bf16_*). Ours may not be further from the f32 logits than that: root mean square of the
differences at most 1.25 times, the largest at most 1.6 times. f16 has three bits more and is held to
the same bound. One rank is tried with every instruction set.
"""
import math

import harness


def distance(actual, expected):
    differences = [a - e for a, e in zip(actual, expected)]
    return math.sqrt(sum(d * d for d in differences) / len(differences)), max(map(abs, differences))


class Half(harness.EndToEnd):
    def check(self, dtype):
        plan = self.compile(harness.model_dir(self.model), dtype, "--tp", self.tp, "--dtype", dtype)
        if self.tp == "1" and harness.TARGET == "cpu":
            self.on_every_instruction_set(lambda: self.compare(plan, dtype))
        else:
            self.compare(plan, dtype)

    def compare(self, plan, dtype):
        golden = harness.read_safetensors(harness.model_dir(self.model) / "golden.safetensors")
        names = "ab"
        results = self.logits(plan, [list(golden[f"input_ids_{n}"].values) for n in names])
        exact = [x for n in names for x in golden[f"logits_{n}"].values]
        theirs = [x for n in names for x in golden[f"logits_bf16_{n}"].values]
        ours = [x for result in results for x in result.values]
        their_rms, their_max = distance(theirs, exact)
        our_rms, our_max = distance(ours, exact)
        print(f"{self.model} --tp {self.tp} --dtype {dtype}: rms {our_rms:.4f} of {their_rms:.4f}, "
              f"max {our_max:.4f} of {their_max:.4f}")
        self.assertGreater(our_rms, 0, "nothing was rounded: is it computed in " + dtype + "?")
        self.assertLessEqual(our_rms, 1.25 * their_rms)
        self.assertLessEqual(our_max, 1.6 * their_max)

    def test_bf16(self):
        self.check("bf16")

    def test_f16(self):
        self.check("f16")


if __name__ == "__main__":
    harness.main(["model", "tp"])
