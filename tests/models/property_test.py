#!/usr/bin/env python3
"""500 random tp_plans: what compiles gives the logits of one rank, what is refused can't be computed.

Every plan over the golden models at --tp 2 or 4 either compiles, and its logits are those of --tp 1, or
is refused in a line that names a module. reference_ranks.py, which only does what the strategies
state, gets those logits too in the first case, and does not in the second.
"""
import collections
import concurrent.futures
import json
import random
import re
import shutil

import numpy as np

import harness
import random_plans
import reference_ranks as reference
from harness import run

MODELS = ["llama3", "llama_linear_tied", "llama_bias_mha", "mistral", "qwen2", "qwen3"]
DEGREES = [2, 4]
DRAWS = 500
# Neither length nor their sum is divided by a degree; the second is longer than mistral's window.
PROMPTS = [[1, 17, 5], [1, 200, 30, 7, 99, 3, 250, 41, 8, 120]]

# What refusals say, most particular first.
KINDS = ["cut through a head", "query heads' KV heads", "needed whole", "different dimensions",
         "the same cut", "but it arrives", "in one collective", "several ranges", "takes a cut input",
         "takes a whole input"]


class Family:
    """A golden model, its plans and its logits at --tp 1."""

    def __init__(self, name, test):
        self.name, self.directory = name, harness.model_dir(name)
        self.model = reference.Decoder(self.directory)
        self.maker = random_plans.PlanMaker(self.model)
        self.modules = set(self.model.modules()) | set(self.maker.parents)
        one = test.compile(self.directory, f"{name}.one", "--tp", "1")
        self.expected = test.logits_of(one, f"{name}.one")


class Property(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.families = {name: Family(name, cls) for name in MODELS}

    @classmethod
    def logits_of(cls, plan, name):
        """Of PROMPTS, in one step; may be called from several threads."""
        source = harness.write_jsonl(cls.scratch / f"{name}.jsonl",
                                     [{"input_ids": ids} for ids in PROMPTS])
        target = cls.scratch / f"{name}.safetensors"
        done = run("drun", plan, "logits", "--input", source, "--output", target)
        if done.status != 0:
            raise cls.failureException(str(done))
        tensors = harness.read_safetensors(target)
        target.unlink()
        return [np.array(tensors[str(i)].values).reshape(tensors[str(i)].shape)
                for i in range(len(PROMPTS))]

    def test_reference(self):
        """The reference computes what transformers did, on one rank and on several."""
        for family in self.families.values():
            golden = harness.read_safetensors(family.directory / "golden.safetensors")
            for prompt in "ab":
                expected = golden[f"logits_{prompt}"]
                rows = np.array(expected.values).reshape(expected.shape)
                ids = golden[f"input_ids_{prompt}"].values
                for plan, ranks in (({}, 1), ({}, 2), (family.maker.valid(random.Random(1)), 2)):
                    with self.subTest(model=family.name, prompt=prompt, ranks=ranks, plan=plan):
                        logits = family.model.logits(ids, plan, ranks)
                        self.assertTrue(reference.agree(logits, rows))

    # ---- one draw

    def reference_agrees(self, family, rules, ranks):
        try:
            return all(reference.agree(family.model.logits(ids, rules, ranks), expected)
                       for ids, expected in zip(PROMPTS, family.expected))
        except reference.Misfit:
            return False

    def draw(self, number):
        """(model, degree, what became of the plan, what is wrong about that or None)."""
        name = MODELS[number % len(MODELS)]
        ranks = DEGREES[number // len(MODELS) % len(DEGREES)]
        family = self.families[name]
        rules = family.maker.make(random.Random(f"plan {number}"), anything=number % 5 == 4)
        try:
            outcome, problem = self.judge(f"draw{number}", family, rules, ranks)
        except self.failureException as error:  # drun failed, or one of the two hangs
            outcome, problem = "wrong", str(error)
        if problem:
            problem = (f"draw {number}: {problem}\n  dcc compile tests/models/{name} --tp {ranks} "
                       f"--tp-plan FILE, FILE being\n  {json.dumps(rules)}")
        return name, ranks, outcome, problem

    def judge(self, label, family, rules, ranks):
        file, plan = self.scratch / f"{label}.json", self.scratch / label
        file.write_text(json.dumps(rules))
        command = ["compile", family.directory, "--tp", ranks, "--tp-plan", file, "-o", plan]
        done = run("dcc", *command)
        if done.status == 0:
            logits = self.logits_of(plan, label)
            shutil.rmtree(plan)
            if not all(reference.agree([a], e) for a, e in zip(logits, family.expected)):
                return "wrong", "compiles, but the logits are not those of --tp 1"
            if not self.reference_agrees(family, rules, ranks):
                return "wrong", "compiles, but only by exchanges that no strategy states"
            return "accepted", None
        if done.status != 2 or len(done.err.splitlines()) != 1 or plan.exists():
            return "wrong", f"is neither compiled nor refused: {done}"
        if not set(re.findall(r"model\.[\w.]*\w|lm_head", done.err)) & family.modules:
            return "wrong", f"is refused, but no module is named: {done.err}"
        if self.reference_agrees(family, rules, ranks):
            return "wrong", f"is refused, but the reference computes it: {done.err}"
        problem, gathered = self.judge_gathered(label, family, command, plan)
        kind = next((kind for kind in KINDS if kind in done.err), "other")
        return "wrong" if problem else ("gathered: " if gathered else "refused: ") + kind, problem

    def judge_gathered(self, label, family, command, plan):
        """What is wrong with what --allow-implicit-gather makes of a refused plan, and whether it takes it."""
        done = run("dcc", *command, "--allow-implicit-gather")
        said = done.err.splitlines()
        if done.status != 0:
            right = done.status == 2 and said and said[-1].startswith("error: ") and not plan.exists()
            return None if right else f"is neither gathered nor refused: {done}", False
        if not said or not all(re.match(r"warning: (model\.|lm_head).*: gathers what arrives", line) for line in said):
            return f"is gathered in silence: {done}", True
        logits = self.logits_of(plan, label)
        shutil.rmtree(plan)
        right = all(reference.agree([a], e) for a, e in zip(logits, family.expected))
        return None if right else f"is gathered, but the logits are not those of --tp 1: {done.err}", True

    def test_plans(self):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = list(pool.map(self.draw, range(DRAWS)))
        totals = collections.Counter(outcome.split(":")[0] for _, _, outcome, _ in results)
        print(f"{DRAWS} plans:", dict(totals))
        kinds = collections.Counter(outcome for _, _, outcome, _ in results)
        print("\n".join(f"{count:5} {kind}" for kind, count in kinds.most_common()))
        for name in MODELS:
            print(f"{name:18}", *(
                f"--tp {ranks}: " + ", ".join(
                    f"{sum(r[:2] == (name, ranks) and r[2].startswith(what) for r in results)} {what}"
                    for what in ("accepted", "gathered", "refused")) for ranks in DEGREES), sep="   ")
        problems = [problem for *_, problem in results if problem]
        if problems:
            self.fail(f"{len(problems)} plans, of which the first are\n" + "\n".join(problems[:10]))
        self.assertGreaterEqual(totals["accepted"], 100)
        self.assertGreaterEqual(totals["gathered"] + totals["refused"], 100)
        self.assertGreaterEqual(totals["gathered"], 10)


if __name__ == "__main__":
    harness.main([])
