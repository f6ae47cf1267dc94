#!/usr/bin/env python3
"""A tokenizer.json that cannot be used, as drun's user meets it."""
import json

import bad
import harness

SOURCE = harness.MODELS / "tokenizers/qwen2/tokenizer.json"


class BadTokenizer(bad.BadInput):
    def setUp(self):
        self.spec = json.loads(SOURCE.read_text())

    def refuses_tokenizer(self, *words, text="aaaaaaaaaa"):
        directory = self.scratch / "tokenizer"
        directory.mkdir(exist_ok=True)
        (directory / "tokenizer.json").write_text(json.dumps(self.spec))
        source = harness.write_jsonl(self.scratch / "in.jsonl", [{"text": text}])
        self.refuses_drun("tokenize", directory, "--input", source, words=words)

    def test_ids_with_holes(self):
        del self.spec["model"]["vocab"]["a"]
        self.refuses_tokenizer("tokenizer.json", "vocab", "without holes")

    def test_ids_twice(self):
        self.spec["model"]["vocab"]["odd"] = 3
        self.refuses_tokenizer("tokenizer.json", "vocab", "id 3")

    def test_catastrophic_expression(self):
        splits = self.spec["pre_tokenizer"]["pretokenizers"]
        splits[0]["pattern"]["Regex"] = "(a+a+)+y|a"
        self.refuses_tokenizer("in.jsonl:1", "gives up", text="a" * 100_000 + "!")

    def test_no_expression(self):
        self.spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(?<=a*"
        self.refuses_tokenizer("tokenizer.json", "pattern")

    def test_beside_a_plan(self):
        """The plan directory's own copy is as little to be trusted."""
        plan = self.compile(harness.BUNDLED, "plan")
        (plan / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE"}}))
        self.refuses_drun(plan, "--prompt", "x", words=["tokenizer.json", "vocab"])


if __name__ == "__main__":
    harness.main([])
