#!/usr/bin/env python3
"""Strategies of the user's own: as data in a plan file, and from a library built outside the tree."""
import json
import os
import subprocess

import harness
from harness import run

EXAMPLES = harness.ROOT / "examples/strategies"
AUTO = {
    "model.embed_tokens": "embedding_rowwise",
    "model.layers.*.self_attn.q_proj": "colwise",
    "model.layers.*.self_attn.k_proj": "colwise",
    "model.layers.*.self_attn.v_proj": "colwise",
    "model.layers.*.self_attn.o_proj": "rowwise",
    "model.layers.*.mlp.gate_proj": "colwise",
    "model.layers.*.mlp.up_proj": "colwise",
    "model.layers.*.mlp.down_proj": "rowwise",
    "lm_head": "colwise_rep",
}
UP, DOWN = "model.layers.*.mlp.up_proj", "model.layers.*.mlp.down_proj"

# A library whose strategies each make another mistake.
WRONG = """
#include <dcc/strategy.h>
using namespace dcc::plugin;
template <int kCase>
class Wrong : public Strategy {
  std::optional<Partition> partitionTensor(const Tensor& t) const override {
    const int64_t n = t.shape[0];
    switch (kCase) {
      case 0: return Partition{7, {{{0, n}}, {{0, n}}}};
      case 1: return Partition{0, {{{0, n}}}};
      case 2: return Partition{0, {{{0, n / 2}}, {{n / 2, n + 1}}}};
      case 3: return Partition{0, {{{0, n}}, {}}};
      default: return Partition{0, {{{0, n / 2}}, {{n / 2 + 1, n}}}};
    }
  }
};
DCC_STRATEGIES(registry) {
  registry.add("wrong0", std::make_unique<Wrong<0>>());
  registry.add("wrong1", std::make_unique<Wrong<1>>());
  registry.add("wrong2", std::make_unique<Wrong<2>>());
  registry.add("wrong3", std::make_unique<Wrong<3>>());
  registry.add("wrong4", std::make_unique<Wrong<4>>());
}
"""


class OwnStrategies(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.expected = cls.text(cls.compile(harness.BUNDLED, "one", "--tp", "1"))

    @classmethod
    def text(cls, plan):
        done = run("drun", plan, "--prompt", "ROMEO:", "--max-new-tokens", "48")
        if done.status != 0:
            raise cls.failureException(str(done))
        return done.out

    @classmethod
    def build(cls, source, name):
        """Compiles a library as its users do: with our header and nothing else of ours."""
        library = cls.scratch / name
        subprocess.run([os.environ.get("CXX", "g++"), "-std=c++20", "-shared", "-fPIC", "-I",
                        harness.ROOT / "include", source, "-o", library], check=True)
        return library

    def plan(self, rules):
        path = self.scratch / "plan.json"
        path.write_text(json.dumps(rules, indent=1))
        return path

    def refused(self, *options):
        """The one line that says why."""
        done = run("dcc", "compile", harness.BUNDLED, "-o", self.scratch / "refused", *options)
        self.assertEqual((done.status, len(done.err.splitlines())), (2, 1), done)
        return done.err

    def test_as_data(self):
        for tp in ["2", "4"]:
            plan = self.compile(harness.BUNDLED, f"data{tp}", "--tp", tp, "--tp-plan",
                                EXAMPLES / "manual_plan.json")
            self.assertEqual(self.text(plan), self.expected)
        done = run("dcc", "inspect", plan)
        self.assertIn("model.layers.*.self_attn.q_proj = colwise_custom (", done.out)

    def test_as_data_in_edited_ir(self):
        """What the plan declared is in the IR, from its first phase on."""
        plan = self.compile(harness.BUNDLED, "ir", "--tp", "2", "--tp-plan",
                            EXAMPLES / "manual_plan.json")
        imported = self.scratch / "import.mlir"
        imported.write_text(run("dcc", "inspect", plan, "--phase", "import").out)
        again = self.compile(imported, "again")
        ids = [json.loads((p / "manifest.json").read_text())["compilation_id"] for p in [plan, again]]
        self.assertEqual(ids[0], ids[1])

    def test_packed_and_slicing(self):
        rules = {**AUTO,
                 "model.layers.*.mlp.gate_proj": {"name": "halves", "weight": 0, "packed": True},
                 UP: "halves",
                 DOWN: {"weight": 1, "packed": True, "output": "Replicate"},
                 "model.norm": {"input": ["Replicate", "Shard(0)"], "output": "Replicate"},
                 "lm_head": {"weight": 1, "input": ["Replicate", "Shard(-1)"]}}
        plan = self.compile(harness.BUNDLED, "packed", "--tp", "4", "--tp-plan", self.plan(rules))
        self.assertEqual(self.text(plan), self.expected)

    def test_wrong_data(self):
        line = 1 + 1 + list(AUTO).index(UP)
        for strategy, message in [
                ({"wieght": 0}, "wieght: is no key here; did you mean \"weight\"?"),
                ({"weight": 2}, "weight: "),
                ({"bias": 1}, "bias: "),
                ({"weight": 0, "packed": 1}, "packed: true or false is expected"),
                ({"packed": True}, "packed: cuts nothing without \"weight\""),
                ({"weight": 0, "output": "Shard(3)"},
                 "output: is \"Shard(3)\"; \"Replicate\", \"Shard(-1)\" or \"Shard(0)\" is expected"),
                ({"weight": 0, "input": ["Replicate"]}, "input: from what to what"),
                (["colwise"], "is an array; the name of a strategy")]:
            with self.subTest(strategy=strategy):
                # In one line each, so that the line of the rule is that of the key.
                text = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}"
                                  for k, v in {**AUTO, UP: strategy}.items())
                path = self.scratch / "wrong.json"
                path.write_text("{\n" + text + "\n}\n")
                err = self.refused("--tp", "2", "--tp-plan", path)
                self.assertTrue(err.startswith(f"error: {path}:{line}: "), err)
                self.assertIn(message, err)

    def test_what_must_arrive_is_checked(self):
        rules = {**AUTO, DOWN: {"weight": 1, "input": "Replicate"}}
        err = self.refused("--tp", "2", "--tp-plan", self.plan(rules))
        self.assertIn("error: model.layers.0.mlp.down_proj: takes its input whole on every rank", err)
        self.assertIn("but it arrives [_, tp] (model.layers.*.mlp.", err)

    def test_as_a_library(self):
        library = self.build(EXAMPLES / "interleaved.cpp", "interleaved.so")
        rules = {**AUTO, **json.loads((EXAMPLES / "library_plan.json").read_text())}
        for tp in ["2", "4"]:
            plan = self.compile(harness.BUNDLED, f"library{tp}", "--tp", tp, "--load-strategies",
                                library, "--tp-plan", self.plan(rules))
            self.assertEqual(self.text(plan), self.expected)
        err = self.refused("--tp", "2", "--tp-plan", self.plan(rules))
        self.assertIn("names the strategy 'interleaved_", err)
        # One that takes turns and one that does not don't fit.
        err = self.refused("--tp", "2", "--load-strategies", library, "--tp-rule",
                           UP + "=interleaved_colwise")
        self.assertIn("model.layers.0.mlp: the output of model.layers.0.mlp.up_proj", err)

    def test_wrong_libraries(self):
        self.assertIn("cannot be opened", self.refused("--load-strategies", "nowhere.so"))
        self.assertIn("is no library of strategies", self.refused("--load-strategies", "/lib/x86_64-linux-gnu/libm.so.6"))
        source = self.scratch / "wrong.cpp"
        source.write_text(WRONG)
        library = self.build(source, "wrong.so")
        for number, message in enumerate([
                "it has no dimension 7", "there are parts for 1 ranks, not 2", "rank 1 has [",
                "rank 1 has nothing", "the ranges cover "]):
            err = self.refused("--tp", "2", "--load-strategies", library, "--tp-rule",
                               f"{UP}=wrong{number}")
            self.assertIn(f"error: model.layers.0.mlp.up_proj: the strategy 'wrong{number}' cuts the "
                          "weight wrongly: " + message, err)
        taken = self.scratch / "taken.cpp"
        taken.write_text(WRONG.replace('"wrong0"', '"colwise"'))
        self.assertIn("the strategy 'colwise' has a name that is taken",
                      self.refused("--load-strategies", self.build(taken, "taken.so")))


if __name__ == "__main__":
    harness.main([])
