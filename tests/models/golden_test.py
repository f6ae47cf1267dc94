#!/usr/bin/env python3
"""A golden model at one degree of tensor parallelism: golden_test.py MODEL TP, where TP is a number or,
with whole experts on every rank, ep and a number; then, with -all-to-all, tokens go to those ranks
alone whose experts they are for.

Logits lie within 2e-5 of the largest golden logit and greedy tokens are equal: alone, batched, and
with steps of 8 tokens at most; of one rank also with every instruction set. The golden.* files beside the models say what transformers computed.
"""
import json
import math

import harness

TOLERANCE = 2e-5


class Case:
    """A prompt and what transformers made of it."""

    def __init__(self, name, ids, logits=None, last_logits=None, greedy=None, text=None,
                 answer=None):
        self.name, self.ids = name, list(ids)
        self.logits = logits            # rows of all positions
        self.last_logits = last_logits  # row of the last position
        self.greedy = greedy            # token ids
        self.text, self.answer = text, answer  # prompt and continuation as text


def load_cases(directory):
    golden = json.loads((directory / "golden.json").read_text())
    tensors = harness.read_safetensors(directory / "golden.safetensors")
    if "cases" in golden:  # the bundled model: texts, and one passage
        cases = [Case(f"text {i}", c["prompt_ids"], last_logits=tensors["last_logits"].row(i),
                      greedy=c["greedy_ids"], text=c["prompt"], answer=c["greedy_text"])
                 for i, c in enumerate(golden["cases"])]
        passage = tensors["passage_logits"]
        rows = [passage.row(i) for i in range(passage.shape[0])]
        return cases + [Case("passage", golden["passage_ids"], logits=rows)]
    cases = []
    for name in "ab":
        logits = tensors[f"logits_{name}"]
        cases.append(Case(f"prompt {name}", tensors[f"input_ids_{name}"].values,
                          logits=[logits.row(i) for i in range(logits.shape[0])],
                          greedy=golden[f"greedy_{name}"]))
    return cases


class Golden(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = harness.model_dir(cls.model)
        cls.cases = load_cases(directory)
        # The goldens are f32; auto is what the checkpoint has, for a GPU.
        options = ["--dtype", "f32"] if harness.TARGET == "cuda" else []
        options += ["--tp", cls.tp.removeprefix("ep").removesuffix("-all-to-all")]
        if cls.tp.startswith("ep"):
            options.append("--expert-parallel")
            exchange = "on" if cls.tp.endswith("-all-to-all") else "off"
            options += ["--rewrite", f"experts-all-to-all={exchange}"]
        cls.plans = {"steps of 8 tokens": cls.compile(directory, "plan8", *options, "--max-tokens", "8")}
        if harness.TARGET == "cpu" or cls.tp != "2":
            cls.plans["whole prompts"] = cls.compile(directory, "plan", *options)

    def for_each_plan(self, check):
        for name, plan in self.plans.items():
            with self.subTest(plan=name):
                check(plan)

    def assert_close(self, case, actual):
        rows = case.logits or [case.last_logits]
        vocabulary = len(rows[0])
        self.assertEqual(actual.shape, [len(case.ids), vocabulary], case.name)
        self.assertTrue(all(map(math.isfinite, actual.values)), case.name)
        first = len(case.ids) - len(rows)
        bound = TOLERANCE * max(abs(x) for row in rows for x in row)
        worst = max(abs(a - e) for i, row in enumerate(rows)
                    for a, e in zip(actual.row(first + i), row))
        self.assertLessEqual(worst, bound, f"{case.name}: logits differ by {worst}")

    def assert_greedy(self, case, answer):
        self.assertEqual(answer["input_ids"], case.ids, case.name)
        self.assertEqual(answer["output_ids"], case.greedy, case.name)
        if case.text is not None:
            self.assertEqual(answer["text"], case.answer, case.name)
        else:
            self.assertIsNone(answer["text"], "there is no tokenizer")

    def check_logits(self, plan, cases):
        for case, result in zip(cases, self.logits(plan, [c.ids for c in cases])):
            self.assert_close(case, result)

    def check_greedy(self, plan, cases):
        lines = [{"input_ids": c.ids} if c.text is None else {"text": c.text} for c in cases]
        answers = self.generate(plan, lines, "--ignore-eos", "--max-new-tokens",
                                len(cases[0].greedy))
        for case, answer in zip(cases, answers):
            self.assert_greedy(case, answer)

    def setUp(self):
        # Emulated, where a step takes long, what is alone is in the batched tests' steps too.
        if harness.TARGET == "cuda" and "logits_alone" in self.id():
            self.skipTest("alone is what greedy_alone is")

    def test_logits_alone(self):
        for case in (self.cases[0], self.cases[-1]):
            self.for_each_plan(lambda plan: self.check_logits(plan, [case]))

    def test_logits_batched(self):
        self.for_each_plan(lambda plan: self.check_logits(plan, self.cases))

    def test_every_instruction_set(self):
        if self.tp != "1" or harness.TARGET != "cpu":
            self.skipTest("what ranks compute is the same with one")
        self.on_every_instruction_set(lambda: self.check_logits(self.plans["whole prompts"], self.cases))

    def test_greedy_alone(self):
        cases = [c for c in self.cases if c.greedy]
        for case in (cases[0], cases[-1]):
            self.for_each_plan(lambda plan: self.check_greedy(plan, [case]))

    def test_greedy_batched(self):
        cases = [c for c in self.cases if c.greedy]
        self.for_each_plan(lambda plan: self.check_greedy(plan, cases))


if __name__ == "__main__":
    harness.main(["model", "tp"])
