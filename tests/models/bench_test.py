#!/usr/bin/env python3
"""drun bench: its figures against what the checkpoint and each other say."""
import json

import bad
import harness
from harness import run

FIELDS = ["prefill_tokens_per_s", "decode_tokens_per_s", "first_token_s", "token_p50_s",
          "token_p90_s", "token_p99_s", "weight_bytes_per_token", "memory_bandwidth_bytes_per_s",
          "decode_bandwidth_fraction", "load_s"]


class Bench(bad.BadInput):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plans = {tp: cls.compile(harness.BUNDLED, f"tp{tp}", "--tp", str(tp)) for tp in (1, 2)}
        # The bytes that every step reads: matrices as they are stored, norms as f32 on each rank.
        cls.matrices = cls.norms = 0
        for path in harness.BUNDLED.glob("model*.safetensors"):
            for name, (dtype, shape, data) in harness.raw_safetensors(path).items():
                assert dtype == "BF16", name
                if len(shape) == 1:
                    cls.norms += 2 * len(data)
                elif "embed_tokens" not in name:
                    cls.matrices += len(data)
                else:
                    cls.row = 2 * shape[1]

    def bench(self, plan, *options):
        out = self.drun(plan, "bench", "--json", *options)
        return json.loads(out.splitlines()[-1])

    def check(self, tp, batch):
        line = self.bench(self.plans[tp], "--prompt-tokens", "48", "--new-tokens", "12",
                          "--batch", str(batch), "--threads", "1")
        self.assertEqual((line["ranks"], line["threads"], line["batch"]), (tp, 1, batch))
        self.assertEqual((line["prompt_tokens"], line["new_tokens"]), (48, 12))
        for field in FIELDS:
            self.assertGreater(line[field], 0, field)
        self.assertTrue(line["cpu"] and line["kernels"])
        self.assertEqual(line["weight_dtype"], "bf16")
        step = self.matrices + tp * self.norms + batch * self.row
        self.assertAlmostEqual(line["weight_bytes_per_token"], step / batch, delta=1)
        self.assertLessEqual(line["token_p50_s"], line["token_p90_s"])
        self.assertLessEqual(line["token_p90_s"], line["token_p99_s"])
        return line, step

    def test_one_prompt_at_both_degrees(self):
        for tp in self.plans:
            with self.subTest(tp=tp):
                line, step = self.check(tp, 1)
                # The only prompt's first token comes when it has been read.
                self.assertAlmostEqual(line["first_token_s"] * line["prefill_tokens_per_s"], 48,
                                       places=6)
                fraction = step * line["decode_tokens_per_s"] / line["memory_bandwidth_bytes_per_s"]
                self.assertAlmostEqual(line["decode_bandwidth_fraction"], fraction,
                                       delta=1e-6 * fraction)

    def test_batch(self):
        self.check(2, 3)

    def test_experts_that_tokens_can_ask_for(self):
        """Whatever the cut: a token's experts, and with more tokens more, until all are read."""
        model = harness.model_dir("mixtral")
        config = json.loads((model / "config.json").read_text())
        layers, chosen = config["num_hidden_layers"], config["num_experts_per_tok"]
        experts = config["num_local_experts"]
        one = 3 * config["hidden_size"] * config["intermediate_size"]
        for name, options in [("whole", []), ("cut", ["--tp", "2"]),
                              ("parallel", ["--tp", "2", "--expert-parallel"])]:
            plan = self.compile(model, name, *options)
            for batch in (1, 2, 3):
                with self.subTest(name=name, batch=batch):
                    line = self.bench(plan, "--batch", str(batch), "--prompt-tokens", "4",
                                      "--new-tokens", "2", "--threads", "1")
                    size = {"bf16": 2, "f16": 2, "f32": 4}[line["weight_dtype"]]
                    most = layers * min(experts, batch * chosen) * one * size
                    self.assertEqual(line["expert_bytes_per_token"], most // batch)
                    self.assertGreater(line["weight_bytes_per_token"], most // batch)

    def test_without_a_tokenizer_and_sizes_that_fit(self):
        plan = self.compile(harness.model_dir("llama3"), "ids")
        line = self.bench(plan)
        config = json.loads((harness.model_dir("llama3") / "config.json").read_text())
        longest = config["max_position_embeddings"]
        self.assertLess(longest, 512 + 128)
        self.assertEqual(line["prompt_tokens"] + line["new_tokens"], longest)

    def test_table(self):
        out = self.drun(self.plans[2], "bench", "--prompt-tokens", "16", "--new-tokens", "4")
        names = [line.split()[0] for line in out.splitlines()]
        self.assertEqual(names, ["model", "cpu", "ranks", "load", "prefill", "first", "decode",
                                 "per", "weights", "memory"])

    def test_what_cannot_be(self):
        plan = self.plans[1]
        line = self.refuses_drun(plan, "bench", "--prompt-tokens", "1000", "--new-tokens", "100",
                                 words=["1000", "100", "1100", "max_seq_len 1024"])
        self.assertIn("--prompt-tokens", line)
        self.refuses_drun(plan, "bench", "--batch", "10000", words=["--batch 10000", "--max-seqs"])
        self.refuses_drun(plan, "bench", "--new-tokens", "1", words=["--new-tokens"])
        self.refuses_drun(plan, "bench", "--prompt", "x", words=["--prompt", "bench"])
        # Before weights are looked for.
        self.refuses_drun(plan, "bench", "--prompt-tokens", "9999", "--checkpoint", "/absent",
                          words=["9999"])

    def test_many_sequences_in_a_small_cache(self):
        plan = self.compile(harness.BUNDLED, "small", "--max-seqs", "2")
        self.refuses(run("drun", plan, "bench", "--batch", "3"), "--batch 3", "2")


if __name__ == "__main__":
    harness.main([])
