#!/usr/bin/env python3
"""drun --trace: every step and instruction of all ranks on one clock, against what the plan and the
wall clock say."""
import collections
import json
import os
import subprocess
import time
import unittest

import bad
import harness
from harness import run

STEPS, INSTRUCTIONS = 0, 1  # rows of a rank
# Times are nanoseconds as decimal fractions of microseconds.
ROUNDING = 1e-3
LINES = [{"input_ids": list(range(3, 40))}, {"input_ids": [5, 9, 2]}]
NEW = 4


# A rank as on another machine: with a boot of its own and a clock that is half a million seconds ahead.
ELSEWHERE = ["unshare", "-rmT", "--monotonic", "500000", "sh", "-c",
             'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"']


def can_be_elsewhere():
    return subprocess.run([*ELSEWHERE, "/etc/hostname", "true"], check=False,
                          capture_output=True).returncode == 0


def end(event):
    return event["ts"] + event["dur"]


class Trace(bad.BadInput):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plans = {tp: cls.compile(harness.model_dir("llama3"), f"tp{tp}", "--tp", str(tp))
                     for tp in (1, 2)}
        cls.input = harness.write_jsonl(cls.scratch / "in.jsonl", LINES)

    def traced(self, plan, *args):
        """Runs drun with --trace; the trace and the seconds that drun took."""
        path = self.scratch / "trace.json"
        path.unlink(missing_ok=True)
        start = time.monotonic()
        self.drun(plan, *args, "--trace", path)
        return json.loads(path.read_text()), time.monotonic() - start

    def generated(self, tp, *options):
        return self.traced(self.plans[tp], "--input", self.input, "--max-new-tokens", str(NEW),
                           "--ignore-eos", "--json", *options)

    def modules(self, tp):
        """Per entry, the (kind, module) of its instructions in order: what --hash-ops, which is told of
        each too, has written. An op with two results is there once."""
        path = self.scratch / "hashes.jsonl"
        self.drun(self.plans[tp], "--input", self.input, "--max-new-tokens", "2", "--ignore-eos",
                  "--hash-ops", path)
        entries = collections.defaultdict(dict)
        for line in map(json.loads, path.read_text().splitlines()):
            entries[line["entry"]][line["op"]] = (line["kind"], line["module"])
        return entries

    def rows(self, trace):
        """(rank, row) -> its events, by category."""
        rows = collections.defaultdict(lambda: collections.defaultdict(list))
        for event in trace["traceEvents"]:
            if event["ph"] == "X":
                rows[event["pid"], event["tid"]][event["cat"]].append(event)
        return rows

    def check(self, trace, seconds, tp, expected):
        """All that holds of any trace; `expected`: per step entry, T, B. Returns its rows."""
        self.assertEqual(trace["otherData"]["steps"], len(expected))
        self.assertEqual(trace["otherData"]["dropped_steps"], 0)
        self.assertEqual(trace["otherData"]["clock_error_us"], [0] * tp)  # all on one host
        names = {event["pid"]: event["args"]["name"] for event in trace["traceEvents"]
                 if event["ph"] == "M" and event["name"] == "process_name"}
        self.assertEqual(names, {r: f"rank {r}" for r in range(tp)})
        rows = self.rows(trace)
        self.assertEqual(set(rows), {(r, row) for r in range(tp) for row in (STEPS, INSTRUCTIONS)})
        known = self.modules(tp)
        for rank in range(tp):
            steps = rows[rank, STEPS]["step"]
            self.assertEqual([(s["name"], s["args"]["T"], s["args"]["B"]) for s in steps], expected)
            self.assertEqual([s["args"]["step"] for s in steps], list(range(len(expected))))
            for before, after in zip(steps, steps[1:]):
                self.assertLessEqual(end(before), after["ts"] + ROUNDING)
            self.assertGreaterEqual(steps[0]["ts"], 0)
            self.assertLess(end(steps[-1]) / 1e6, seconds)
            instructions = rows[rank, INSTRUCTIONS]["instruction"]
            for step in steps:
                self.check_step(step, [i for i in instructions
                                       if i["args"]["step"] == step["args"]["step"]],
                                known[step["name"]])
            self.assertEqual(len(instructions), sum(len({i["args"]["instruction"]
                             for i in instructions if i["args"]["step"] == s["args"]["step"]})
                             for s in steps))
        return rows

    def check_step(self, step, instructions, known):
        """Every instruction of the entry once and in order, one right after the other, inside of the
        step."""
        indices = [i["args"]["instruction"] for i in instructions]
        self.assertEqual(indices, list(range(len(indices))))
        named = {i["args"]["instruction"]: (i["name"], i["args"]["module"]) for i in instructions}
        # Those that write a buffer; kv_write writes none.
        self.assertEqual({n: m for n, m in named.items() if m[0] != "kv_write"}, known)
        self.assertIn("kv_write", [kind for kind, _ in named.values()])
        self.assertGreaterEqual(instructions[0]["ts"], step["ts"] - ROUNDING)
        self.assertLessEqual(end(instructions[-1]), end(step) + ROUNDING)
        for before, after in zip(instructions, instructions[1:]):
            self.assertGreaterEqual(before["dur"], 0)
            self.assertAlmostEqual(end(before), after["ts"], delta=ROUNDING)

    # Two prompts of 37 and 3 tokens at once; then a token of each a step.
    EXPECTED = [("prefill", 40, 2)] + [("decode", 2, 2)] * (NEW - 1)

    def test_one_rank(self):
        trace, seconds = self.generated(1)
        rows = self.check(trace, seconds, 1, self.EXPECTED)
        self.assertEqual(rows[0, INSTRUCTIONS]["waiting"], [])

    def test_ranks_over_any_transport(self):
        for transport in ("shm", "tcp"):
            with self.subTest(transport=transport):
                trace, seconds = self.generated(2, "--collectives", transport)
                rows = self.check(trace, seconds, 2, self.EXPECTED)
                # A device's times are put on the host's clock only when their end has been seen.
                if harness.TARGET == "cpu":
                    self.check_waiting(rows)

    def check_waiting(self, rows):
        """In every collective the rank that came first waits for the other, until that has come."""
        collectives = [[i for i in rows[r, INSTRUCTIONS]["instruction"]
                        if i["name"] in ("all_reduce", "all_gather", "reduce_scatter")]
                       for r in range(2)]
        waits = {(r, w["ts"]): w for r in range(2) for w in rows[r, INSTRUCTIONS]["waiting"]}
        self.assertGreater(len(collectives[0]), 0)
        self.assertEqual(len(collectives[0]), len(collectives[1]))
        waited = 0
        for pair in zip(*collectives):
            first = 0 if pair[0]["ts"] <= pair[1]["ts"] else 1
            late = pair[1 - first]
            self.assertNotIn((1 - first, late["ts"]), waits)
            # Nobody leaves before all have come.
            self.assertGreaterEqual(end(pair[first]) + ROUNDING, late["ts"])
            if late["ts"] - pair[first]["ts"] < ROUNDING:
                continue
            wait = waits[first, pair[first]["ts"]]
            self.assertEqual(wait["args"]["for"], f"rank {1 - first}")
            self.assertAlmostEqual(end(wait), late["ts"], delta=ROUNDING)
            waited += 1
        self.assertEqual(waited, len(waits))

    @unittest.skipIf(harness.TARGET != "cpu", "a device's times come to the host's clock late")
    @unittest.skipUnless(can_be_elsewhere(), "no namespaces for another machine's clock here")
    def test_ranks_of_two_machines(self):
        path, boot = self.scratch / "two.json", self.scratch / "boot_id"
        boot.write_text("another\n")
        command = [harness.BIN / harness.DRUN, self.plans[2], "--input", self.input, "--max-new-tokens",
                   str(NEW), "--ignore-eos", "--trace", path]
        port = str(harness.free_port())
        ranks = []
        for rank, where in enumerate([[], [*ELSEWHERE, boot]]):
            variables = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": "0",
                         "MASTER_ADDR": "localhost", "MASTER_PORT": port}
            ranks.append(subprocess.Popen([str(c) for c in where + command], text=True,
                                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.PIPE, env={**os.environ, **variables}))
        said = [rank.communicate(timeout=60)[1] for rank in ranks]
        self.assertEqual([rank.returncode for rank in ranks], [0, 0], said)
        trace = json.loads(path.read_text())
        exact, error = trace["otherData"]["clock_error_us"]
        self.assertEqual(exact, 0)
        self.assertGreater(error, 0)
        self.assertLess(error, 1e6)
        rows = self.rows(trace)
        self.assertEqual([len(rows[r, STEPS]["step"]) for r in (0, 1)], [NEW, NEW])
        # On one clock: nobody leaves a collective before all have come.
        collectives = [[i for i in rows[r, INSTRUCTIONS]["instruction"] if i["name"] == "all_reduce"]
                       for r in (0, 1)]
        self.assertGreater(len(collectives[0]), 0)
        for a, b in zip(*collectives):
            self.assertLessEqual(a["ts"], end(b) + error + ROUNDING)
            self.assertLessEqual(b["ts"], end(a) + error + ROUNDING)

    def test_bytes_and_operations(self):
        """Of a matrix the bytes that the checkpoint has, twice its elements a row of operations; of
        attention those of the positions so far."""
        model = harness.model_dir("llama_linear_tied")
        plan = self.compile(model, "dense")
        config = json.loads((model / "config.json").read_text())
        name = "model.layers.0.mlp.down_proj"
        [data] = [tensors[name + ".weight"][2]
                  for tensors in map(harness.raw_safetensors, model.glob("*.safetensors"))
                  if name + ".weight" in tensors]
        heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        dim = config["hidden_size"] // heads
        trace, _ = self.traced(plan, "--input", harness.write_jsonl(
            self.scratch / "ten.jsonl", [{"input_ids": list(range(3, 13))}]), "--max-new-tokens", "2",
            "--ignore-eos")
        prefill, decode = ([i for i in self.rows(trace)[0, INSTRUCTIONS]["instruction"]
                            if i["args"]["step"] == step] for step in (0, 1))
        for tokens, pairs, step in [(10, 55, prefill), (1, 11, decode)]:
            down = [i for i in step if i["args"]["module"] == name]
            elements = config["hidden_size"] * config["intermediate_size"]
            self.assertEqual([(i["name"], i["args"]["bytes"], i["args"]["flops"]) for i in down],
                             [("gemm", len(data), 2 * tokens * elements)])
            attention = [i for i in step if i["name"] == "attention"]
            self.assertEqual(len(attention), config["num_hidden_layers"])
            for event in attention:
                self.assertEqual(event["args"]["flops"], 4 * pairs * heads * dim)
                seen = 10 if tokens == 10 else 11
                # On a GPU the cache has the checkpoint's type, bf16.
                size = 4 if harness.TARGET == "cpu" else 2
                self.assertEqual(event["args"]["bytes"], 2 * seen * kv_heads * dim * size)

    def test_other_commands(self):
        out = self.scratch / "out.safetensors"
        trace, seconds = self.traced(self.plans[2], "logits", "--input", self.input, "--output", out)
        steps = self.rows(trace)[1, STEPS]["step"]
        self.assertEqual({s["name"] for s in steps}, {"logits"})
        self.assertEqual(sum(s["args"]["T"] for s in steps), 40)
        trace, seconds = self.traced(self.plans[2], "bench", "--prompt-tokens", "8", "--new-tokens",
                                     "3", "--json")
        # The pass that warms up, and the one that counts.
        self.check(trace, seconds, 2, ([("prefill", 8, 1)] + [("decode", 1, 1)] * 2) * 2)

    def test_nobody_reads_the_text(self):
        path = self.scratch / "closed.json"
        done = subprocess.run(
            ["sh", "-c", '"$0" "$@" >&-', harness.BIN / harness.DRUN, self.plans[2], "--input", self.input,
             "--max-new-tokens", "2", "--trace", path], check=False, capture_output=True, timeout=60)
        said = [line for line in done.stderr.splitlines() if not line.startswith(b"note: ")]
        self.assertEqual((done.returncode, said), (0, []))
        self.assertGreater(len(json.loads(path.read_text())["traceEvents"]), 0)

    def test_files_that_cannot_be(self):
        plan = self.plans[1]
        # Before the weights are looked for.
        nowhere = ["--checkpoint", "/absent", "--input", self.input]
        for path in (self.scratch / "no/such", self.scratch, "/dev/null"):
            with self.subTest(path=path):
                self.refuses_drun(plan, "--trace", path, *nowhere, words=["--trace", path])
        self.refuses_drun(plan, "--trace", "", *nowhere, words=["--trace"])
        self.refuses_drun(plan, "--trace", self.scratch / "a", "--hash-ops", self.scratch / "b",
                          *nowhere, words=["--trace", "--hash-ops"])
        self.refuses_drun("tokenize", plan, "--trace", self.scratch / "a", words=["--trace"])

    def test_a_run_that_fails_leaves_the_old_trace(self):
        path = self.scratch / "old.json"
        path.write_text("old")
        before = bad.snapshot(self.scratch)
        done = run("drun", self.plans[2], "--input", self.input, "--checkpoint", "/absent", "--trace",
                   path)
        self.assertNotEqual(done.status, 0)
        self.assertEqual(bad.snapshot(self.scratch), before)


if __name__ == "__main__":
    harness.main([])
