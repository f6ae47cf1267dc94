#!/usr/bin/env python3
"""dummy_test.py MODEL: --weights dummy makes one model of a config.json alone, at every degree.

The golden model's config.json is all that is there. What its dummy weights are, random.h says; a
checkpoint with these numbers must be the same model to the last bit.
"""
import array
import json
import re
import shutil

import bad
import harness
from harness import run

TOLERANCE = 2e-5  # of the largest logit, as for golden data: sums are taken in another order
SOURCE = re.compile(r'#nn\.source<"([^"]+)" in (\d+) at (\d+) : ([0-9x ]+) x f32>')
PROMPTS = [[5, 17, 99, 3, 42, 7, 7, 120], list(range(1, 40))]
MASK = 2**64 - 1


def mix(z):
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9 & MASK
    z = (z ^ z >> 27) * 0x94d049bb133111eb & MASK
    return z ^ z >> 31


def drawn(seed, mean, first, count):
    """Elements of a random file with the spread 1/32, as runtime/weights/random.h defines them."""
    state, numbers = mix(seed), array.array("f")
    for i in range(first, first + count):
        u = mix(state + (i // 4 + 1) * 0x9e3779b97f4a7c15 & MASK) >> 16 * (i % 4) & 0xffff
        numbers.append(mean + (2 * u + 1 - 65536) / 65536 / 32)
    return numbers


class Dummy(bad.BadInput):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config = cls.scratch / "shape"
        cls.config.mkdir()
        fields = json.loads((harness.model_dir(cls.model) / "config.json").read_text())
        fields.pop("torch_dtype", None)
        (cls.config / "config.json").write_text(json.dumps(fields | {"dtype": "float32"}))
        cls.plans = {tp: cls.compile(cls.config, f"tp{tp}", "--tp", tp, "--weights", "dummy:7")
                     for tp in (1, 2, 4)}

    def answers(self, plan):
        lines = [{"input_ids": ids} for ids in PROMPTS]
        return [a["output_ids"] for a in
                self.generate(plan, lines, "--ignore-eos", "--max-new-tokens", "24")]

    def values(self, plan):
        return [x for result in self.logits(plan, PROMPTS) for x in result.values]

    def test_every_degree_is_the_same_model(self):
        logits, tokens = self.values(self.plans[1]), self.answers(self.plans[1])
        # A tied head often answers with the token it was given.
        self.assertGreater(len({t for answer in tokens for t in answer}), 2, "hardly any variety")
        largest = max(map(abs, logits))
        self.assertGreater(largest, 0.1)
        self.assertLess(largest, 100)
        for tp in (2, 4):
            with self.subTest(tp=tp):
                worst = max(abs(a - b) for a, b in zip(logits, self.values(self.plans[tp])))
                self.assertLessEqual(worst, TOLERANCE * largest)
                self.assertEqual(self.answers(self.plans[tp]), tokens)

    def test_is_the_checkpoint_with_these_numbers(self):
        ir = run("dcc", "inspect", self.plans[2], "--phase", "import").out
        tensors = {}
        for name, file, offset, shape in SOURCE.findall(ir):
            shape = [int(n) for n in shape.split(" x ")]
            count = shape[0] * (shape[1] if len(shape) > 1 else 1)
            numbers = drawn(7 + int(file), int(file), int(offset) // 4, count)
            tensors[name] = ("F32", shape, numbers.tobytes())
            self.assertEqual(int(file), int(len(shape) == 1 and not name.endswith(".bias")), name)
        self.assertGreater(len(tensors), 10, ir[:2000])
        written = self.scratch / "written"
        written.mkdir()
        shutil.copy(self.config / "config.json", written)
        harness.write_safetensors(written / "model.safetensors", tensors)
        plan = self.compile(written, "written_plan", "--tp", "2")
        self.assertEqual(self.values(plan), self.values(self.plans[2]))

    def test_the_seed_decides(self):
        options = ["--tp", "2", "--weights"]
        same = self.compile(self.config / "config.json", "same", *options, "dummy:7")
        other = self.compile(self.config, "other", *options, "dummy:8")
        zero = self.compile(self.config, "zero", *options, "dummy")
        self.assertEqual(self.id_of(same), self.id_of(self.plans[2]))
        self.assertEqual(len({self.id_of(plan) for plan in (same, other, zero)}), 3)
        self.assertEqual(self.values(same), self.values(self.plans[2]))
        self.assertNotEqual(self.values(other), self.values(self.plans[2]))
        self.assertIn("random by seed 8\n", run("dcc", "explain", other).out)

    def test_type_of_the_config(self):
        fields = json.loads((self.config / "config.json").read_text())
        del fields["dtype"]
        half = self.scratch / "half"
        half.mkdir()
        for dtype, shown in [(None, "f32"), ("bfloat16", "bf16"), ("float16", "f16")]:
            (half / "config.json").write_text(json.dumps(fields | ({"dtype": dtype} if dtype else {})))
            plan = self.compile(half, "half_plan", "--tp", "2", "--weights", "dummy:7")
            self.assertIn(f"weight 0 model.embed_tokens.weight: {shown} ",
                          run("dcc", "inspect", plan, "--rank", "0").out)
            logits = self.values(plan)
            self.assertLess(max(map(abs, logits)), 100)

    @staticmethod
    def id_of(plan):
        return json.loads((plan / "manifest.json").read_text())["compilation_id"]

    def test_ir_of_every_phase_compiles_to_the_same_plan(self):
        for phase in harness.PHASES:
            with self.subTest(phase=phase):
                source = self.scratch / f"{phase}.mlir"
                source.write_text(run("dcc", "inspect", self.plans[4], "--phase", phase).out)
                again = self.compile(source, f"from_{phase}")
                self.assertEqual(self.id_of(again), self.id_of(self.plans[4]))
                self.assertEqual(run("dcc", "verify", again).status, 0)

    def test_edited_ir(self):
        ir = run("dcc", "inspect", self.plans[2], "--phase", "optimize").out
        self.assertEqual(ir.count("seed 7 "), 1)
        source = self.scratch / "edited.mlir"
        source.write_text(ir.replace("seed 7 ", "seed 18446744073709551615 "))
        edited = self.compile(source, "edited")
        self.assertNotEqual(self.values(edited), self.values(self.plans[2]))
        source.write_text(ir.replace("seed 7 ", "seed 18446744073709551616 "))
        self.refuses_compile(source, words=["edited.mlir", "too large"])
        source.write_text(re.sub(r"nn\.files = \[[^]]*\]", 'nn.files = ["weights"]', ir))
        self.refuses_compile(source, words=["nn.files", "#nn.random"])
        self.refuses_compile(source, "--weights", "dummy", words=["weights", "in the IR"])

    def test_a_checkpoint_means_nothing(self):
        self.refuses_drun(self.plans[2], "--checkpoint", self.config, "--input",
                          harness.write_jsonl(self.scratch / "in.jsonl", [{"input_ids": [1]}]),
                          words=["--checkpoint", "random"])

    def test_what_is_refused(self):
        for weights in ["dummy:", "dummy:-1", "dummy:x", "dummy:18446744073709551616", "dumy", "7"]:
            with self.subTest(weights=weights):
                self.refuses_compile(self.config, "--weights", weights,
                                     words=[weights, "checkpoint, dummy or dummy:SEED"])
        self.refuses_compile(self.config, words=["has no weights", "--weights dummy"])
        fields = json.loads((self.config / "config.json").read_text())
        wrong = self.scratch / "wrong"
        wrong.mkdir()
        most = 2**31 - 1
        for change, words in [({"hidden_size": most, "vocab_size": most, "head_dim": 32}, ["TiB"]),
                              ({"hidden_size": 2**31 - 128, "head_dim": None}, ["head_dim"]),
                              ({"dtype": "float8_e4m3fn"}, ["dtype", "float8_e4m3fn"]),
                              ({"num_hidden_layers": None}, ["num_hidden_layers"])]:
            with self.subTest(change=change):
                (wrong / "config.json").write_text(json.dumps(fields | change))
                self.refuses_compile(wrong, "--weights", "dummy", words=["config.json", *words])


if __name__ == "__main__":
    harness.main(["model"])
