#!/usr/bin/env python3
"""benchmarks/cpu/compare.py: its arithmetic by hand, and a whole comparison of ours with nobody and with a
peer that is a script."""
import json
import stat
import subprocess
import sys
import unittest
from xml.etree import ElementTree

import harness

TOOLS = harness.ROOT / "benchmarks/cpu"
sys.path.insert(0, str(TOOLS))
import compare  # noqa: E402
import load  # noqa: E402
import shares  # noqa: E402

# As llama-bench, but that its rates are told beforehand: 100 tokens/s of prompts, 50 of continuations.
FAKE = """#!/usr/bin/env python3
import json, sys
args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print(json.dumps([{"avg_ts": 50.0 if int(args["-n"]) else 100.0}]))
"""


def event(category, name, rank, begin, length, **args):
    return {"name": name, "cat": category, "ph": "X", "ts": begin, "dur": length, "pid": rank,
            "tid": 0 if category == "step" else 1, "args": args}


class Shares(unittest.TestCase):
    def setUp(self):
        self.limits = shares.Limits(1e9, 1e10)  # bytes and operations per second
        events = [{"name": "process_name", "ph": "M", "pid": 0, "tid": 0, "args": {}}]
        for rank in (0, 1):
            # A pass that warms up, and the one that is measured.
            for step, name in enumerate(("prefill", "decode", "prefill", "decode", "decode")):
                t = 1000 * step
                events.append(event("step", name, rank, t, 100 if step > 1 else 900, step=step))
                # A product of few rows: its bytes decide. One of many: its operations.
                events.append(event("instruction", "gemm", rank, t, 40, step=step, instruction=0,
                                    bytes=10_000, flops=20_000))
                events.append(event("instruction", "gemm", rank, t + 40, 20, step=step, instruction=1,
                                    bytes=1_000, flops=50_000))
                events.append(event("instruction", "all_reduce", rank, t + 60, 30, step=step,
                                    instruction=2, bytes=5_000))
                if rank == 0:
                    events.append(event("waiting", "waiting", rank, t + 60, 10, step=step, op="all_reduce"))
        self.trace = {"traceEvents": events}

    def test_a_mean_step(self):
        for entry in ("prefill", "decode"):
            kinds, whole = shares.shares(self.trace, entry, self.limits)
            self.assertAlmostEqual(whole.seconds, 100e-6)
            gemm = kinds["gemm"]
            self.assertAlmostEqual(gemm.seconds, 60e-6)
            self.assertEqual((gemm.bytes, gemm.flops), (2 * 11_000, 2 * 70_000))
            self.assertAlmostEqual(gemm.limit, 20e-6 + 10e-6)
            self.assertAlmostEqual(gemm.fraction, 0.5)
            self.assertAlmostEqual(whole.fraction, 0.3)
            # One of two ranks has waited for 10 us.
            self.assertAlmostEqual(kinds["all_reduce"].seconds, 25e-6)
            self.assertAlmostEqual(kinds["waiting"].seconds, 5e-6)
            self.assertEqual((kinds["all_reduce"].bytes, kinds["all_reduce"].limit), (0, 0))
            self.assertAlmostEqual(kinds["between"].seconds, 10e-6)

    def test_steps_that_there_are_not(self):
        self.trace["traceEvents"] = [e for e in self.trace["traceEvents"] if e.get("args", {}).get("step", 0) < 2]
        with self.assertRaisesRegex(ValueError, "no steps 'decode' after those that warm up"):
            shares.shares(self.trace, "decode", self.limits)


class LoadOfOthers(unittest.TestCase):
    def test_fields(self):
        ticks = load.TICKS
        text = f"cpu  {ticks} {2 * ticks} {3 * ticks} 1000 2000 {4 * ticks} {5 * ticks} {6 * ticks} 9 9\ncpu0 1\n"
        self.assertEqual(load.busy_seconds(text), 21)
        stat_line = f"12 (a) b) S 7 1 1 0 -1 0 0 0 0 0 {ticks} {2 * ticks} {3 * ticks} {4 * ticks} 20 0"
        self.assertEqual(load.process_seconds(stat_line), (7, 10))

    def test_what_we_do_is_not_others(self):
        before = load.own_seconds()
        subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"],
                       check=True)
        self.assertGreaterEqual(load.own_seconds() - before, 0.25)


class Compare(harness.EndToEnd):
    def report(self, *options):
        out = self.scratch / "report.md"
        done = subprocess.run(
            [sys.executable, "-B", TOOLS / "compare.py", "--bin", self.bin(), "--rounds", "2", "--max-load",
             "1000", "--out", out, "--shapes", self.shape(), *options], capture_output=True, text=True,
            check=False, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        return out.read_text()

    def bin(self):
        """Our programs, and a machine_bench that need not be built."""
        path = self.scratch / "bin"
        path.mkdir(exist_ok=True)
        for name in ("dcc", "drun"):
            (path / name).unlink(missing_ok=True)
            (path / name).symlink_to(harness.BIN / name)
        self.script(path / "machine_bench", "#!/bin/sh\necho '" + json.dumps(
            {"threads": 2, "instructions": "some", "read_bytes_per_s": 1e12, "f32_flops_per_s": 1e14,
             "bf16_flops_per_s": 1e14}) + "'\n")
        return path

    def script(self, path, text):
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def shape(self):
        path = self.scratch / "tiny"
        path.mkdir(exist_ok=True)
        config = json.loads((harness.model_dir("llama_linear_tied") / "config.json").read_text())
        (path / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 1024}))
        return path

    def rows(self, text, first):
        """The rows of every table whose header begins so."""
        blocks = [b.splitlines() for b in text.split("\n\n")]
        return [[c.strip() for c in line.strip("|").split("|")] for block in blocks
                if block[0].startswith(f"| {first} |") or block[0].startswith(f"| {first},")
                for line in block[2:]]

    def test_ours_alone(self):
        text = self.report("--cases", "decode,prefill,context")
        rates = self.rows(text, "case")
        names = [row[0] for row in rates if "tok" not in row[0]]
        # What is longer than the model's context is left out.
        self.assertEqual(names[:4], ["decode, batch 1, 1 x 2", "decode, batch 8, 1 x 2",
                                     "decode, batch 1, 2 x 1", "prefill 512, 1 x 2"])
        self.assertNotIn("4096", " ".join(names))
        self.assertRegex(rates[0][2], r"^\d+% / \d+%$")  # of the machine's limit
        ops = {row[0]: row for row in self.rows(text, "op")}
        self.assertIn("gemm", ops)
        self.assertIn("all_reduce", ops)
        self.assertEqual(ops["**step**"][2], "100%")

    def test_ours_against_ours(self):
        text = self.report("--cases", "variants")
        header = next(line for line in text.splitlines() if line.startswith("| case |"))
        self.assertIn("| 2 x 1 over 1 x 2 | 4 x 1 over 2 x 1 | 1 x 2, invariant over 1 x 2 |", header)
        rows = self.rows(text, "case")
        self.assertEqual([row[0] for row in rows], ["decode, batch 1", "prefill 512"])
        for cell in rows[0][1:] + rows[1][1:]:
            self.assertRegex(cell, r"^\d+(\.\d+)? / \d+(\.\d+)?$")

    def test_a_peer_in_turns(self):
        peer = self.script(self.scratch / "llama-bench", FAKE)
        (self.scratch / "tiny.gguf").write_text("")
        text = self.report("--cases", "decode,prefill", "--llama-cpp", peer, "--gguf", self.scratch)
        row = next(r for r in self.rows(text, "case") if r[0] == "decode, batch 1, 1 x 2")
        ours, theirs, ratio = row[1:4]
        self.assertEqual(theirs, "50.0 / 50.0")
        for mine, part in zip(ours.split(" / "), ratio.split(" / ")):
            self.assertAlmostEqual(float(mine) / 50, float(part), delta=0.02 * float(part))
        row = next(r for r in self.rows(text, "case") if r[0] == "prefill 512, 1 x 2")
        self.assertEqual(row[2], "100 / 100")

    def test_a_peer_that_fails_is_told_of_and_the_rest_goes_on(self):
        peer = self.script(self.scratch / "broken", "#!/bin/sh\necho no such luck >&2\nexit 3\n")
        (self.scratch / "tiny.gguf").write_text("")
        text = self.report("--cases", "prefill", "--llama-cpp", peer, "--gguf", self.scratch)
        self.assertIn("no such luck", text)
        self.assertIn("| prefill 512, 1 x 2 |", text)

    def test_disturbed_rounds_are_repeated_and_then_told_of(self):
        text = self.report("--cases", "decode,prefill", "--only", "prefill", "--max-load", "-1", "--repeats", "3")
        self.assertNotIn("| decode", text)
        self.assertIn(", 3 (2 of 2 rounds disturbed)", text)

    def test_forward_passes_have_a_chart(self):
        text = self.report("--cases", "forward", "--rounds", "1")
        name = "report-tiny-forward.svg"
        self.assertIn(f"({name})", text)
        chart = ElementTree.parse(self.scratch / name).getroot()
        bars = [r for r in chart.iter("{http://www.w3.org/2000/svg}rect") if r.get("y")]
        medians = {row[0]: row[1].split(" / ")[1] for row in self.rows(text, "case, ranks x threads")
                   if row[0].startswith("forward")}
        self.assertEqual(len(medians), 6)
        self.assertEqual(len(bars), 6 + 1)  # and one in the legend
        self.assertEqual(max(float(b.get("height")) for b in bars), 220)

    def test_what_does_not_fit_in_memory_is_left_out(self):
        class Huge:
            name = "drun"

            @staticmethod
            def bytes_needed(_):
                return 1 << 60

        case = compare.cases(2)["decode"][0]
        result = compare.compare(case, [Huge()], compare.parse([]))
        self.assertEqual((result.loads, result.rates), ([], {}))
        self.assertIn("left out", result.problems[0])

    def test_a_busy_core(self):
        done = subprocess.run([sys.executable, "-B", TOOLS / "conditions.py", "busy", "--rounds", "1", "--bin",
                               self.bin(), "--shape", self.shape()], capture_output=True, text=True, check=False,
                              timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"busy, tiny, bf16: .*one core busy \d+\.\d / \d+\.\d; of its speed \d+\.\d\d ")

    def test_cases(self):
        whole = [c for name, group in compare.cases(2).items() if name != "variants" for c in group]
        self.assertEqual(len(whole), len(set(whole)))
        self.assertLess(set(compare.cases(2)["variants"]), set(whole))
        self.assertEqual({(c.ranks, c.threads) for c in whole}, {(1, 2), (2, 1)})
        self.assertEqual({(c.ranks, c.threads) for g in compare.cases(1).values() for c in g}, {(1, 1)})


if __name__ == "__main__":
    harness.main([])
