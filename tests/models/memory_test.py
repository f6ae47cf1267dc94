#!/usr/bin/env python3
"""memory_test.py: what a rank of --tp 4 takes of memory for a TinyLlama-shaped checkpoint.

At its peak, mapped pages included, no more than a quarter of the weights and 15 % of that, for the
program, its threads and what is held twice, plus the arena and the KV cache that the plan states.
The safetensors are real but sparse: 2.2 GB of zeros that take no disk.
"""
import os
import re
import subprocess
import sys

import harness
from harness import run

RANKS = 4
SHAPE = {"layers": 22, "hidden": 2048, "heads": 32, "kv-heads": 4, "head-dim": 64,
         "intermediate": 5632, "vocabulary": 32000}
PROMPT = list(range(1, 65))  # fills a step, so that the whole arena is touched


class Memory(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = cls.scratch / "model"
        script = harness.ROOT / "benchmarks/compile/sparse_model.py"
        sizes = [f"--{name}={size}" for name, size in SHAPE.items()]
        subprocess.run([sys.executable, "-B", script, cls.model, *sizes], check=True)
        files = list(cls.model.glob("*.safetensors"))
        cls.weights = sum(path.stat().st_size for path in files)
        on_disk = sum(path.stat().st_blocks * 512 for path in files)
        if not 2.1e9 < cls.weights < 2.3e9 or on_disk > 16 << 20:
            raise cls.failureException(f"{cls.weights} bytes, {on_disk} of them on disk")

    def stated(self, plan, rank):
        """Bytes of the largest arena and of the KV cache of a rank."""
        text = run("dcc", "inspect", plan, "--rank", rank).out
        arenas = re.findall(r"^entry \w+, .*arena (\d+)$", text, re.M)
        pools = re.findall(r"^page_group .*: (\d+) pages of \d+ tokens, (\d+) bytes", text, re.M)
        self.assertTrue(arenas and pools, text[:2000])
        return max(map(int, arenas)), sum(int(pages) * int(each) for pages, each in pools)

    def peak(self, plan):
        """The largest resident set that any process of a run had, in bytes."""
        prompt = harness.write_jsonl(self.scratch / "prompt.jsonl", [{"input_ids": PROMPT}])
        # The time limit ends the ranks as well: they die with drun.
        command = ["timeout", "120", harness.BIN / "drun", plan, "--input", prompt, "--json",
                   "--ignore-eos", "--max-new-tokens", "4"]
        with open(self.scratch / "out", "w+", encoding="utf-8") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
            # Of drun and all it has waited for: the launcher and its ranks.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            text = out.read()
        self.assertEqual(process.returncode, 0, text)
        self.assertEqual(text.count("output_ids"), 1, text)
        return usage.ru_maxrss * 1024

    def check(self, dtype):
        plan = self.compile(self.model, dtype, "--tp", RANKS, "--dtype", dtype, "--max-tokens",
                            len(PROMPT), "--max-seqs", "1", "--max-seq-len", "256")
        arena, cache = max(self.stated(plan, rank) for rank in range(RANKS))
        peak = self.peak(plan)
        quarter = self.weights / RANKS
        bound = 1.15 * quarter + arena + cache
        mib = 1 << 20
        print(f"--dtype {dtype}: peak {peak / mib:.1f} MiB; a quarter of the weights "
              f"{quarter / mib:.1f}, arena {arena / mib:.1f}, KV cache {cache / mib:.1f}; "
              f"bound {bound / mib:.1f}")
        self.assertGreater(peak, quarter, "a rank cannot have held its weights")
        self.assertLessEqual(peak, bound)

    def test_weights_as_they_are(self):
        self.check("auto")

    def test_bf16(self):
        self.check("bf16")


if __name__ == "__main__":
    harness.main([])
