#!/usr/bin/env python3
"""drun classify and embed as a user runs them: texts, any number of them, over one rank and several."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import bad
import harness
from harness import run

TEXTS = ["Now is the winter of our discontent made glorious summer.",
         "To be, or not to be: that is the question!", "O Romeo."]


def tokenizer(directory, size):
    """The bert tokenizer of the tests with the first `size` words of its vocabulary."""
    rules = json.loads((harness.MODELS / "tokenizers/bert/tokenizer.json").read_text())
    words = rules["model"]["vocab"]
    rules["model"]["vocab"] = {word: i for word, i in words.items() if i < size}
    (directory / "tokenizer.json").write_text(json.dumps(rules))


class Classify(bad.BadInput):
    # What compiles a model over ranks, and how many ranks that makes.
    MESHES = {"one": [], "tp2": ["--tp", "2"], "dp2": ["--dp", "2"], "dp3": ["--dp", "3"],
              "tp2dp2": ["--tp", "2", "--dp", "2"]}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.directory = cls.scratch / "bert"
        shutil.copytree(harness.MODELS / "bert_seqcls", cls.directory)
        tokenizer(cls.directory, 384)
        cls.plans = {name: cls.compile(cls.directory, name, *options)
                     for name, options in cls.MESHES.items()}
        cls.plan = cls.plans["one"]

    def lines(self, texts):
        return harness.write_jsonl(self.scratch / "texts.jsonl", [{"text": t} for t in texts])

    def classify(self, plan, texts, *options):
        target = self.scratch / "labels.jsonl"
        target.unlink(missing_ok=True)
        done = run("drun", plan, "classify", "--input", self.lines(texts), "--output", target,
                   *options)
        self.assertEqual(done.status, 0, done)
        self.assertEqual(done.out, "", done)
        return [json.loads(line) for line in target.read_text().splitlines()], done

    def assert_same(self, actual, expected):
        self.assertEqual([a["label"] for a in actual], [e["label"] for e in expected])
        for a, e in zip(actual, expected):
            self.assertEqual(sorted(a["scores"]), sorted(e["scores"]))
            for name, score in e["scores"].items():
                self.assertAlmostEqual(a["scores"][name], score, delta=1e-5)

    def test_300_texts(self):
        texts = TEXTS * 100
        alone = [self.classify(self.plan, [text])[0][0] for text in TEXTS]
        self.assertGreater(len({a["score"] for a in alone}), 1)
        for name, plan in self.plans.items():
            for options in [[], ["--batch-tokens", "40"], ["--collectives", "tcp"]]:
                with self.subTest(plan=name, options=options):
                    answers, done = self.classify(plan, texts, *options)
                    self.assertEqual(done.err, "")
                    self.assert_same(answers, alone * 100)

    def test_scores(self):
        answer = self.classify(self.plan, TEXTS[:1])[0][0]
        self.assertEqual(list(answer), ["label", "score", "scores", "logits"])
        self.assertEqual(answer["score"], max(answer["scores"].values()))
        self.assertEqual(answer["scores"][answer["label"]], answer["score"])
        self.assertAlmostEqual(sum(answer["scores"].values()), 1, delta=1e-12)
        self.assertEqual(len(answer["logits"]), 3)

    def test_few_lines_and_none(self):
        for name, plan in self.plans.items():
            for count in [0, 1, 2, 5]:
                with self.subTest(plan=name, count=count):
                    answers, _ = self.classify(plan, (TEXTS * 2)[:count])
                    self.assertEqual(len(answers), count)

    def test_blank_lines_hold_no_text(self):
        source = self.scratch / "blank.jsonl"
        source.write_text('\n{"text": "a"}\n   \n\n{"text": ""}\r\n\n{"input_ids": [2, 17, 3]}')
        for plan in self.plans.values():
            out = self.drun(plan, "classify", "--input", source, "--json")
            self.assertEqual(len(out.splitlines()), 3)

    def test_stdin_and_stdout(self):
        lines = self.lines(TEXTS).read_text()
        for options in [[], ["--input", "-"]]:
            out = self.drun(self.plan, "classify", *options, stdin=lines)
            self.assertRegex(out, r"\A(LABEL_\d\t0\.\d{4}\n){3}\Z")
        expected, _ = self.classify(self.plan, TEXTS)
        for options in [["--json"], ["--output", "-"]]:
            out = self.drun(self.plan, "classify", *options, stdin=lines)
            self.assertEqual([json.loads(line) for line in out.splitlines()], expected)

    def test_texts_that_are_too_long(self):
        longer = "to be or not to be " * 30
        texts = [TEXTS[0], longer, TEXTS[1], longer]
        answers, done = self.classify(self.plan, texts)
        self.assertIn("2 of 4 texts cut to 64 tokens, the first of them text 2", done.err)
        self.assertEqual(["dropped_tokens" in a for a in answers], [False, True, False, True])
        ids = self.drun("tokenize", self.plan, "--input", self.lines([longer]))
        ids = json.loads(ids)["input_ids"]
        self.assertEqual(answers[1]["dropped_tokens"], len(ids) - 64)
        # As if it had been given so.
        sides = {"right": ids[:63] + ids[-1:], "left": ids[:1] + ids[-63:]}
        for side, kept in sides.items():
            with self.subTest(side=side):
                (self.plan / "tokenizer_config.json").write_text(
                    json.dumps({"truncation_side": side, "model_max_length": 512}))
                source = harness.write_jsonl(self.scratch / "ids.jsonl", [{"input_ids": kept}])
                out = self.drun(self.plan, "classify", "--input", source, "--json")
                answers, _ = self.classify(self.plan, [longer])
                self.assertEqual(json.loads(out)["logits"], answers[0]["logits"])
                (self.plan / "tokenizer_config.json").unlink()

    def test_lines_that_are_wrong(self):
        target = self.scratch / "none.jsonl"
        source = self.scratch / "wrong.jsonl"
        for text, words in [("{", []), ("[]", []), ("3", []), ("{}", []), ('{"text": 3}', []),
                            ('{"input_ids": []}', ["no tokens"]),
                            ('{"input_ids": [384]}', ["384"]),
                            (json.dumps({"input_ids": [5] * 65}), ["65", "64"]),
                            ('{"input_ids": [5], "token_type_ids": [2]}', ["token type 2"]),
                            ('{"input_ids": [5], "token_type_ids": []}', ["token_type_ids"])]:
            for plan in self.plans.values():
                with self.subTest(text=text):
                    source.write_text('{"text": "a"}\n\n{"text": "b"}\n' + text + "\n")
                    self.refuses_drun(plan, "classify", "--input", source, "--output", target,
                                      words=["wrong.jsonl:4", *words])
                    self.assertFalse(target.exists())

    def test_models_that_cannot(self):
        decoder = self.compile(harness.model_dir("llama_bias_mha"), "decoder")
        lines = self.lines(TEXTS)
        for command in ["classify", "embed"]:
            self.refuses_drun(decoder, command, "--input", lines, "--output",
                              self.scratch / "x", words=["generate"])
        self.refuses_drun(self.plan, "--input", lines, words=["classify"])
        self.refuses_drun(self.plan, "bench", words=["classify"])
        bare = self.compile(harness.MODELS / "distilbert_seqcls", "distilbert")
        self.refuses_drun(bare, "embed", "--input", lines, "--output", self.scratch / "x",
                          words=["--tokens"])
        self.refuses_drun(bare, "classify", "--input", lines, words=["tokenizer.json"])
        sentence = self.compile(harness.MODELS / "bert_sentence", "sentence")
        self.refuses_drun(sentence, "classify", "--input", lines, words=["labels"])

    def test_output_that_cannot_be_written(self):
        for command in ["classify", "embed"]:
            for target in [self.scratch, self.scratch / "absent/x", "/proc/x"]:
                self.refuses_drun(self.plan, command, "--input", self.lines(TEXTS), "--output",
                                  target, words=[target])

    def test_a_reader_that_leaves(self):
        lines = self.lines(TEXTS * 2000)
        for plan in self.plans.values():
            with subprocess.Popen([harness.BIN / "drun", plan, "classify", "--input", lines],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                process.stdout.read(100)
                process.stdout.close()
                self.assertEqual(process.stderr.read(), b"")
                self.assertEqual(process.wait(60), 0)

    def test_a_rank_that_dies(self):
        lines = self.lines(TEXTS * 20000)
        for name, plan in self.plans.items():
            target = self.scratch / "died.jsonl"
            with self.subTest(plan=name), subprocess.Popen(
                    [harness.BIN / "drun", plan, "classify", "--input", lines, "--output", target],
                    stderr=subprocess.PIPE, text=True) as process:
                children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
                wanted = json.loads((plan / "manifest.json").read_text())
                wanted = len(wanted["ranks"])
                ranks = []
                until = time.monotonic() + 20
                while len(ranks) < wanted and time.monotonic() < until:
                    ranks = children.read_text().split()
                time.sleep(0.2)
                os.kill(int(ranks[-1]), signal.SIGKILL)
                _, err = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 1, err)
                self.assertIn(f"rank {wanted - 1}: killed by signal 9", err)
                self.assertFalse(target.exists())

    def test_names_of_2018(self):
        """LayerNorm's gamma and beta, as the first checkpoints have them."""
        older = self.scratch / "older"
        shutil.copytree(self.directory, older)
        tensors = harness.raw_safetensors(older / "model.safetensors")
        harness.write_safetensors(older / "model.safetensors", {
            name.replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta"): tensor
            for name, tensor in tensors.items()})
        plan = self.compile(older, "older_plan")
        self.assertEqual(self.classify(plan, TEXTS)[0], self.classify(self.plan, TEXTS)[0])

    def test_a_bare_model_of_either_name(self):
        """BertModel's tensors with and without the prefix of models with a head."""
        source = harness.MODELS / "bert_sentence"
        other = self.scratch / "prefixed"
        shutil.copytree(source, other)
        tensors = harness.raw_safetensors(other / "model.safetensors")
        harness.write_safetensors(other / "model.safetensors",
                                  {f"bert.{name}": t for name, t in tensors.items()})
        lines = harness.write_jsonl(self.scratch / "ids.jsonl", [{"input_ids": [5, 6, 7]}])
        results = []
        for model in [source, other]:
            target = self.scratch / "vectors"
            self.drun(self.compile(model, "bare"), "embed", "--input", lines, "--output", target)
            results.append(target.read_bytes())
            shutil.rmtree(self.scratch / "bare")
        self.assertEqual(*results)

    def test_pooling_that_is_not_supported(self):
        other = self.scratch / "pooling"
        shutil.copytree(harness.MODELS / "bert_sentence", other)
        pooling = other / "1_Pooling/config.json"
        for wrong in [{"pooling_mode_max_tokens": True},
                      {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
                      {"pooling_mode": "lasttoken"}, {}]:
            pooling.write_text(json.dumps(wrong))
            self.refuses_compile(other, words=["1_Pooling/config.json", "pooling_mode"])
        pooling.write_text(json.dumps({"pooling_mode": "cls"}))
        self.compile(other, "cls")
        modules = json.loads((other / "modules.json").read_text())
        modules.append(dict(modules[0], idx=3, type="sentence_transformers.models.Dense"))
        (other / "modules.json").write_text(json.dumps(modules))
        self.refuses_compile(other, words=["modules.json", "Dense"])

    def test_limits(self):
        """A text is in one step, so that what is said of one bounds the other."""
        plan = self.compile(self.directory, "short", "--max-tokens", "16")
        answers, done = self.classify(plan, TEXTS)
        self.assertIn("texts cut to 16 tokens", done.err)
        self.refuses_compile(self.directory, "--max-tokens", "16", "--max-seq-len", "17",
                             words=["--max-seq-len 17", "16"])


if __name__ == "__main__":
    harness.main([])
