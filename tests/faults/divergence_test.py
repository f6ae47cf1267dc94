#!/usr/bin/env python3
"""Ranks that compare what they compute: never a difference where there is none, and one wrong bit is found in
the step in which it happens."""
import json
import os
import pathlib
import random
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
import harness  # noqa: E402


class Divergence(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan = cls.compile(harness.BUNDLED, "plan", "--tp", "4", "--max-seqs", "40")

    def test_ten_thousand_tokens(self):
        lines = [{"text": text} for text in ["ROMEO:", "To be, or", "MENENIUS:\n", "Come"] * 10]
        source = harness.write_jsonl(self.scratch / "many.jsonl", lines)
        args = ["--input", source, "--json", "--ignore-eos", "--max-new-tokens", "250", "--temperature", "0.9"]
        out = self.drun(self.plan, *args, "--verify-ranks")
        answers = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(sum(len(answer["output_ids"]) for answer in answers), 10000)

    def test_the_same_output(self):
        for transport in ["shm", "tcp"]:
            args = [self.plan, "--prompt", "ROMEO:", "--max-new-tokens", "20", "--collectives", transport]
            self.assertEqual(self.drun(*args, "--verify-ranks"), self.drun(*args))

    def test_replicas(self):
        plan = self.compile(harness.BUNDLED, "replicas", "--tp", "2", "--dp", "2")
        self.drun(plan, "--prompt", "ROMEO:", "--prompt", "Come", "--max-new-tokens", "5", "--verify-ranks")
        done = self.flipped(plan, 3, "decode", 2, 1, 77, "--prompt", "ROMEO:", "--prompt", "Come")
        # Of two ranks nobody knows which is right.
        self.assertRegex(done.err, r"^error: rank 3: step 3, entry 'decode', instruction \d+ \(\S+\): result of "
                                   r"all_reduce differs from the other ranks'")

    def flipped(self, plan, rank, entry, step, collective, bit, *args):
        os.environ["DRUN_INJECT"] = (f"rank={rank},at={entry}:{step},collective={collective},bit={bit},"
                                     "do=flip")
        try:
            done = harness.run("drun", plan, *args, "--max-new-tokens", "12", "--ignore-eos", "--verify-ranks")
        finally:
            del os.environ["DRUN_INJECT"]
        self.assertEqual(done.status, 1, done)
        return done

    def test_one_wrong_bit(self):
        """tests/unit/drun/verify_ranks_test.cpp does so a hundred times."""
        draw = random.Random(3)
        for i in range(12):
            rank, step, collective = draw.randrange(4), draw.randrange(10), draw.randrange(12)
            entry = "prefill" if step == 0 else "decode"
            with self.subTest(rank=rank, step=step, collective=collective):
                done = self.flipped(self.plan, rank, entry, max(0, step - 1), collective,
                                    draw.randrange(1 << 40), "--prompt", "ROMEO:", "--collectives",
                                    ["shm", "tcp"][i % 2])
                self.assertRegex(
                    done.err, rf"\Aerror: rank {rank}: step {step}, entry '{entry}', instruction \d+ "
                              r"\([a-z0-9_.]+\): result of all_reduce differs from the other ranks'; .*\n\Z")

    def test_without_it_nobody_looks(self):
        os.environ["DRUN_INJECT"] = "rank=1,at=decode:2,bit=3,do=flip"
        self.addCleanup(os.environ.pop, "DRUN_INJECT", None)
        self.drun(self.plan, "--prompt", "ROMEO:", "--max-new-tokens", "8")

    def test_modules_are_told_apart(self):
        """The collective that is named is the one that was damaged."""
        names = []
        for collective in [1, 2]:
            done = self.flipped(self.plan, 0, "decode", 0, collective, 5, "--prompt", "A")
            names.append(re.search(r"\((\S+)\): result", done.err).group(1))
        self.assertEqual(names, ["model.layers.0.self_attn.o_proj", "model.layers.0.mlp.down_proj"])


if __name__ == "__main__":
    harness.main([])
