#!/usr/bin/env python3
"""An encoder against golden data at one degree of tensor parallelism: encode_test.py MODEL TP.

What a plan gives lies within 2e-5 of the largest golden number, whatever texts share a step; in bf16
the logits are as near to the golden ones as transformers' own in bf16.
"""
import json
import math
import unittest

import harness

TOLERANCE = 2e-5


class Encode(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = harness.model_dir(cls.model)
        cls.golden = harness.read_safetensors(directory / "golden.safetensors")
        # The goldens are f32; auto is what the checkpoint has, for a GPU.
        whole = ["--dtype", "f32"] if harness.TARGET == "cuda" else []
        cls.plan = cls.compile(directory, "plan", *whole, "--tp", cls.tp)
        cls.half = cls.compile(directory, "half", "--tp", cls.tp, "--dtype", "bf16")
        cls.lines = []
        cls.lengths = []
        rows, _ = cls.golden["input_ids"].shape
        for i in range(rows):
            length = sum(cls.golden["attention_mask"].row(i))
            line = {"input_ids": list(cls.golden["input_ids"].row(i)[:length])}
            if "token_type_ids" in cls.golden:
                line["token_type_ids"] = list(cls.golden["token_type_ids"].row(i)[:length])
            cls.lines.append(line)
            cls.lengths.append(length)

    def expected(self, name):
        """One list of rows for each text."""
        tensor = self.golden[name]
        columns = tensor.shape[-1]
        if len(tensor.shape) == 2:
            return [[list(tensor.row(i))] for i in range(tensor.shape[0])]
        return [[list(tensor.values[(i * tensor.shape[1] + t) * columns:][:columns])
                 for t in range(length)] for i, length in enumerate(self.lengths)]

    def assert_close(self, actual, expected):
        self.assertEqual(len(actual), len(expected))
        bound = TOLERANCE * max(abs(x) for text in expected for row in text for x in row)
        for a, e in zip(actual, expected):
            self.assertEqual([len(row) for row in a], [len(row) for row in e])
            for left, right in zip(a, e):
                self.assertTrue(all(map(math.isfinite, left)))
                self.assertLessEqual(max(abs(x - y) for x, y in zip(left, right)), bound)

    def classify(self, plan, *options):
        source = harness.write_jsonl(self.scratch / "in.jsonl", self.lines)
        target = self.scratch / "labels.jsonl"
        self.drun(plan, "classify", "--input", source, "--output", target, *options)
        return [json.loads(line) for line in target.read_text().splitlines()]

    def embed(self, *options):
        source = harness.write_jsonl(self.scratch / "in.jsonl", self.lines)
        target = self.scratch / "vectors.safetensors"
        target.unlink(missing_ok=True)
        self.drun(self.plan, "embed", "--input", source, "--output", target, *options)
        return harness.read_safetensors(target)

    def logits(self, answers):
        return [a["logits"] if isinstance(a["logits"][0], list) else [a["logits"]]
                for a in answers]

    def needs(self, name):
        if name not in self.golden:
            raise unittest.SkipTest(f"{self.model} has no {name}")

    def test_logits(self):
        self.needs("logits")
        expected = self.expected("logits")
        for options in [[], ["--batch-tokens", "1"], ["--batch-tokens", "30"], ["--threads", "2"]]:
            with self.subTest(options=options):
                answers = self.classify(self.plan, *options)
                self.assert_close(self.logits(answers), expected)
                names = json.loads((self.plan / "config.json").read_text())["id2label"]
                for answer, rows in zip(answers, expected):
                    best = [names[str(row.index(max(row)))] for row in rows]
                    given = answer.get("labels") or [answer["label"]]
                    self.assertEqual(given, best)

    def test_logits_in_bf16(self):
        self.needs("logits")

        def rms(texts):
            errors = [x - y for text, golden in zip(texts, self.expected("logits"))
                      for a, b in zip(text, golden) for x, y in zip(a, b)]
            return (math.sqrt(sum(e * e for e in errors) / len(errors)), max(map(abs, errors)))
        ours = rms(self.logits(self.classify(self.half)))
        theirs = rms(self.expected("logits_bf16"))
        self.assertGreater(ours[0], 0)
        self.assertLessEqual(ours[0], 1.25 * theirs[0])
        self.assertLessEqual(ours[1], 1.6 * theirs[1])

    def test_vectors_of_tokens(self):
        expected = self.expected("last_hidden_state")
        for options in [[], ["--batch-tokens", "25"]]:
            with self.subTest(options=options):
                tensors = self.embed("--tokens", *options)
                self.assertEqual(sorted(tensors, key=int), [str(i) for i in range(len(expected))])
                actual = [[list(tensors[str(i)].row(t)) for t in range(length)]
                          for i, length in enumerate(self.lengths)]
                self.assert_close(actual, expected)

    def test_vectors_of_texts(self):
        name = "embedding" if "embedding" in self.golden else "pooled"
        self.needs(name)
        vectors = self.embed()["embeddings"]
        actual = [[list(vectors.row(i))] for i in range(vectors.shape[0])]
        self.assert_close(actual, self.expected(name))


if __name__ == "__main__":
    harness.main(["model", "tp"])
