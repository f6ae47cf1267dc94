#!/usr/bin/env python3
"""Any split of prompts into batches and steps gives the same tokens: splits_test.py MODEL. Splits are
random, with a fixed seed: which prompts are given together and in which order, how many sequences and
tokens a step takes, over how many ranks."""
import random

import harness

ROUNDS, PROMPTS, NEW = 12, 9, 10


class Splits(harness.EndToEnd):
    def test_random_splits(self):
        draw = random.Random(self.model)
        directory = harness.model_dir(self.model)
        limits = ["--max-seq-len", "64"]
        prompts = [[draw.randrange(3, 250) for _ in range(draw.choice([1, 2, 5, 17, 40, 54]))]
                   for _ in range(PROMPTS)]
        new = [draw.randrange(1, NEW + 1) for _ in prompts]

        def texts(plan, group, count):
            answers = self.generate(plan, [{"input_ids": prompts[i]} for i in group], "--ignore-eos",
                                    "--max-new-tokens", count)
            return {i: answer["output_ids"] for i, answer in zip(group, answers)}

        alone = self.compile(directory, "alone", *limits)
        expected = {i: texts(alone, [i], NEW)[i] for i in range(PROMPTS)}
        for round_ in range(ROUNDS):
            tokens, seqs = draw.choice([1, 2, 3, 7, 16, 33, 64]), draw.randrange(1, 6)
            tp = draw.choice([1, 2, 4])
            plan = self.compile(directory, f"plan{round_}", *limits, "--tp", tp, "--max-tokens",
                                tokens, "--max-seqs", min(seqs, tokens))
            rest = draw.sample(range(PROMPTS), PROMPTS)
            while rest:
                group = [rest.pop() for _ in range(draw.randrange(1, len(rest) + 1))]
                count = new[group[0]]
                with self.subTest(round=round_, tp=tp, tokens=tokens, seqs=seqs, group=group):
                    for i, ids in texts(plan, group, count).items():
                        self.assertEqual(ids, expected[i][:count], i)


if __name__ == "__main__":
    harness.main(["model"])
