#!/usr/bin/env python3
"""Prompts, input lines and outputs that drun refuses."""
import bad
import harness


class BadPrompts(bad.BadInput):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # 384 tokens in the vocabulary, no tokenizer; 16 positions.
        cls.plan = cls.compile(harness.model_dir("llama_bias_mha"), "plan", "--tp", "2",
                               "--max-seq-len", "16")
        cls.bundled = cls.compile(harness.BUNDLED, "bundled", "--max-seq-len", "64")

    def refuses_lines(self, text, *words, command=()):
        source = self.scratch / "in.jsonl"
        source.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.refuses_drun(self.plan, *command, "--input", source, words=words)

    def test_prompt_longer_than_the_cache(self):
        ids = str(list(range(17)))
        self.refuses_lines(f'{{"input_ids": {ids}}}\n', "17", "16")
        out = self.scratch / "long.safetensors"
        self.refuses_lines(f'{{"input_ids": {ids}}}\n', "17", "16",
                           command=["logits", "--output", out])
        self.assertFalse(out.exists())

    def test_reaching_the_limit_is_no_error(self):
        source = harness.write_jsonl(self.scratch / "in.jsonl", [{"input_ids": [1] * 10}])
        done = harness.run("drun", self.plan, "--input", source, "--json", "--ignore-eos",
                           "--max-new-tokens", "50")
        self.assertEqual(done.status, 0, done)
        self.assertIn("16", done.err)

    def test_lines(self):
        for text in ["{\n", "[]\n", "3\n", "{}\n", '{"input_ids": 3}\n', '{"input_ids": []}\n',
                     '{"input_ids": ["a"]}\n', '{"input_ids": [1.5]}\n', '{"input_ids": [384]}\n',
                     '{"input_ids": [-1]}\n', '{"input_ids": [99999999999999999999]}\n',
                     '{"text": 3}\n', b'{"text": "\xff"}\n', '{"input_ids": [1]} {}\n']:
            with self.subTest(text=text):
                self.refuses_lines(text, "in.jsonl:1")
        self.refuses_lines('{"input_ids": [1]}\n\n{"input_ids": [400]}\n', "in.jsonl:3", "400",
                           "vocabulary")

    def test_text_without_a_tokenizer(self):
        self.refuses_lines('{"text": "hello"}\n', "tokenizer")
        self.refuses_drun(self.plan, "--prompt", "hello", words=["tokenizer"])

    def test_input_missing(self):
        self.refuses_drun(self.plan, "--input", self.scratch / "absent.jsonl",
                          words=["absent.jsonl"])

    def test_output_not_writable(self):
        source = harness.write_jsonl(self.scratch / "in.jsonl", [{"input_ids": [1, 2]}])
        for out in [self.scratch, self.scratch / "absent/x.safetensors", "/proc/x.safetensors"]:
            with self.subTest(out=out):
                self.refuses_drun(self.plan, "logits", "--input", source, "--output", out,
                                  words=[out])

    def test_text_that_is_no_utf8(self):
        self.refuses_drun(self.bundled, "--prompt", b"\xff\xfe".decode("utf-8", "surrogateescape"),
                          words=["UTF-8"])

    def test_options(self):
        for options in [["--max-new-tokens", "-1"], ["--max-new-tokens", "x"], ["--threads", "0"],
                        ["--nproc", "0"], ["--device", "tpu"], ["--frobnicate"]]:
            with self.subTest(options=options):
                self.refuses_drun(self.bundled, "--prompt", "x", *options,
                                  words=[options[0].strip("-")])


if __name__ == "__main__":
    harness.main([])
