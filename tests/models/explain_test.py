#!/usr/bin/env python3
"""dcc explain against what drun's ranks really take and move.

Memory: every rank's peak resident set, while one sequence fills the KV cache and every step is as
large as the plan allows, is within 1 % or 16 MiB of what is stated. Bytes: what rank 0 counts in the
collectives of a run is exactly what is stated of its steps.
"""
import json
import pathlib
import subprocess
import time

import harness
from harness import run

MIB = 1 << 20
DEGREES = (1, 2, 4)


def explain(plan, *options):
    done = run("dcc", "explain", plan, "--json", *options)
    if done.status != 0:
        raise AssertionError(str(done))
    return json.loads(done.out)


def status_of(pid):
    """Fields of /proc/PID/status; none once it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return {}
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


class Memory(harness.EndToEnd):
    def peaks(self, *command):
        """Per rank, the largest resident set it had, in bytes. Ranks are drun's children."""
        peaks = {}
        with subprocess.Popen([harness.BIN / "drun", *map(str, command)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as drun:
            children = pathlib.Path(f"/proc/{drun.pid}/task/{drun.pid}/children")
            while drun.poll() is None:
                for pid in children.read_text(encoding="utf-8").split():
                    status = status_of(pid)
                    name = status.get("Name", "").strip()
                    if name.startswith("rank ") and "VmHWM" in status:
                        peak = int(status["VmHWM"].split()[0]) * 1024
                        rank = int(name.split()[1])
                        peaks[rank] = max(peak, peaks.get(rank, 0))
                time.sleep(0.005)
            self.assertEqual(drun.returncode, 0, drun.stdout.read())
        return peaks

    def check(self, model, *options, tokens, length, collectives="shm"):
        """One sequence of `length` tokens in steps of `tokens`, all logits wanted."""
        for tp in DEGREES:
            plan = self.compile(model, "plan", "--tp", str(tp), "--max-tokens", str(tokens),
                                "--max-seqs", "1", "--max-seq-len", str(length), *options)
            stated = explain(plan, "--threads", "1", "--collectives", collectives)["memory"]
            self.assertEqual(len(stated), tp)
            lines = harness.write_jsonl(self.scratch / "lines.jsonl",
                                        [{"input_ids": [i % 100 for i in range(length)]}])
            peaks = self.peaks(plan, "logits", "--input", lines, "--threads", "1", "--output",
                               self.scratch / "logits", "--collectives", collectives)
            self.assertEqual(sorted(peaks), list(range(tp)))
            for rank, memory in enumerate(stated):
                together = memory.pop("together")
                self.assertEqual(together, sum(memory.values()))
                off = peaks[rank] - together
                print(f"{pathlib.Path(model).name} tp {tp} {collectives} rank {rank}: peak "
                      f"{peaks[rank] / MIB:.1f} MiB, stated {together / MIB:.1f}, "
                      f"off {off / MIB:.1f}")
                self.assertLessEqual(abs(off), max(0.01 * peaks[rank], 16 * MIB), memory)

    def test_golden(self):
        self.check(harness.model_dir("llama3"), tokens=64, length=64)

    def test_bundled(self):
        self.check(harness.BUNDLED, tokens=512, length=1024)

    def test_bundled_over_tcp(self):
        self.check(harness.BUNDLED, tokens=512, length=1024, collectives="tcp")

    def test_tinyllama(self):
        # 2.2 GB of weights that nobody has, a KV cache and an arena that count as well.
        model = harness.ROOT / "benchmarks/shapes/tinyllama-1.1b"
        self.check(model, "--weights", "dummy", tokens=128, length=256)


class Bytes(harness.EndToEnd):
    PROMPT, NEW = 301, 5

    def entry(self, plan, name, *options):
        entries = explain(plan, *options)["entries"]
        return next(entry for entry in entries if entry["name"] == name)

    def test_counted(self):
        for tp, options in [(2, ()), (4, ()), (4, ("--tp-rule", "lm_head=colwise_rep")),
                            (4, ("--rewrite", "norms-by-tokens=on"))]:
            plan = self.compile(harness.BUNDLED, "plan", "--tp", str(tp), *options)
            for collectives in ("shm", "tcp"):
                with self.subTest(tp=tp, options=options, collectives=collectives):
                    self.check(plan, collectives)

    def test_tokens_that_experts_are_asked_for(self):
        """Which depends on the tokens: no more than stated, and less of what is stated as a bound."""
        plan = self.compile(harness.model_dir("qwen3_moe"), "plan", "--tp", "4", "--expert-parallel",
                            "--rewrite", "experts-all-to-all=on")
        for collectives in ("shm", "tcp"):
            with self.subTest(collectives=collectives):
                out = self.drun(plan, "bench", "--json", "--prompt-tokens", "40", "--new-tokens", "2",
                                "--threads", "1", "--collectives", collectives)
                counted = json.loads(out.splitlines()[-1])
                entry = self.entry(plan, "prefill", "--tokens", "40", "--seqs", "1",
                                   "--collectives", collectives)
                self.assertTrue(entry["ranks"][0]["at_most"])
                for direction in ("sent", "received"):
                    exact, bound = 0, 0
                    for row in entry["rows"]:
                        moved = row["count"] * row["each"][direction]
                        exact += 0 if row["each"]["at_most"] else moved
                        bound += moved
                    self.assertGreater(counted[f"prefill_bytes_{direction}"], exact)
                    self.assertLess(counted[f"prefill_bytes_{direction}"], bound)

    def check(self, plan, collectives):
        out = self.drun(plan, "bench", "--json", "--prompt-tokens", str(self.PROMPT),
                        "--new-tokens", str(self.NEW), "--threads", "1", "--collectives",
                        collectives)
        counted = json.loads(out.splitlines()[-1])
        options = ("--tokens", str(self.PROMPT), "--seqs", "1", "--collectives", collectives)
        # The prompt is one step and gives the first token.
        for name, steps in [("prefill", 1), ("decode", self.NEW - 1)]:
            entry = self.entry(plan, name, *options)
            stated = entry["ranks"][0]
            self.assertGreater(stated["sent"], 0)
            for direction in ("sent", "received"):
                self.assertEqual(counted[f"{name}_bytes_{direction}"], steps * stated[direction],
                                 (name, direction))
                rows = sum(row["count"] * row["each"][direction] for row in entry["rows"])
                self.assertEqual(rows, stated[direction])


if __name__ == "__main__":
    harness.main([])
