#!/usr/bin/env python3
"""Ranks that somebody else starts, as torchrun does it: they find each other by RANK, WORLD_SIZE,
LOCAL_RANK, MASTER_ADDR and MASTER_PORT, and write what drun's own ranks write."""
import os
import signal
import socket
import subprocess
import time

import harness

PROMPTS = [{"text": "ROMEO:"}, {"text": "To be, or"}, {"text": "Come"}]


def free_port():
    """A port such that it and the next one are free."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("", port + 1))
                return port
            except (OSError, OverflowError):
                pass


class Join(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan = cls.compile(harness.BUNDLED, "plan", "--tp", "4")
        cls.prompts = harness.write_jsonl(cls.scratch / "prompts.jsonl", PROMPTS)
        cls.work = harness.write_jsonl(cls.scratch / "work.jsonl", PROMPTS * 10000)

    def start(self, *args, size=4, order=(2, 0, 3, 1), environment=None, each=None, plans=None):
        """The ranks as processes, by number. each: rank -> more variables; plans: rank -> another
        plan directory."""
        port = str(free_port())
        ranks = {}
        for rank in order:
            variables = {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank),
                         "MASTER_ADDR": "localhost", "MASTER_PORT": port, **(environment or {}),
                         **(each or {}).get(rank, {})}
            process = subprocess.Popen(
                [harness.BIN / "drun", (plans or {}).get(rank, self.plan), *map(str, args)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env={**os.environ, **variables})
            for cleanup in [process.stdout.close, process.stderr.close, process.wait, process.kill]:
                self.addCleanup(cleanup)
            ranks[rank] = process
        return ranks

    def finish(self, ranks):
        """rank -> (status, stdout, stderr), in order of rank."""
        return {rank: (process.wait(60), process.stdout.read(), process.stderr.read())
                for rank, process in sorted(ranks.items())}

    def test_same_text_as_drun(self):
        expected = self.drun(self.plan, "--input", self.prompts, "--json", "--max-new-tokens", "40")
        over_tcp = self.drun(self.plan, "--input", self.prompts, "--json", "--max-new-tokens", "40",
                             "--collectives", "tcp")
        self.assertEqual(over_tcp, expected)
        for collectives in ["auto", "shm", "tcp"]:
            with self.subTest(collectives=collectives):
                done = self.finish(self.start("--input", self.prompts, "--json", "--max-new-tokens",
                                              "40", "--collectives", collectives))
                self.assertEqual(done, {0: (0, expected, ""), **{r: (0, "", "") for r in [1, 2, 3]}})

    def test_same_bits_over_tcp(self):
        ids = [{"input_ids": list(range(3, 60))}, {"input_ids": [7]}]
        lines = harness.write_jsonl(self.scratch / "ids.jsonl", ids)
        written = []
        for collectives in ["shm", "tcp"]:
            path = self.scratch / f"{collectives}.safetensors"
            self.drun(self.plan, "logits", "--input", lines, "--output", path,
                      "--collectives", collectives)
            written.append(path.read_bytes())
        self.assertEqual(written[0], written[1])

    def test_store_port(self):
        port = free_port()
        done = self.finish(self.start("--prompt", "A", "--max-new-tokens", "1", "--store-port", port))
        self.assertEqual([status for status, _, _ in done.values()], [0] * 4, done)

    def test_a_secret_is_needed(self):
        done = self.finish(self.start("--prompt", "A", "--timeout", "1",
                                      each={r: {"DRUN_SECRET": "x" * (1 + r // 3)} for r in range(4)}))
        self.assertEqual([status for status, _, _ in done.values()], [1] * 4, done)
        self.assertIn("rank 3 has another DRUN_SECRET than rank 0", done[3][2])
        self.assertIn("no sign of rank 3 for 1 s; refused: rank 3 has another", done[0][2])

    def test_a_missing_rank_is_named(self):
        done = self.finish(self.start("--prompt", "A", "--timeout", "1", order=(0, 1, 3)))
        self.assertEqual([status for status, _, _ in done.values()], [1] * 3, done)
        for _, _, err in done.values():
            self.assertRegex(err, r"error: rank \d: start: no sign of rank 2 for 1 s")

    def test_the_plan_must_be_for_as_many(self):
        done = self.finish(self.start("--prompt", "A", size=2, order=(0, 1)))
        for status, _, err in done.values():
            self.assertEqual(status, 2)
            self.assertRegex(err, r"^error: WORLD_SIZE 2: .* is compiled for 4 ranks; compile it "
                                  r"again with --tp 2 or run it with WORLD_SIZE 4\n$")
        done = self.finish(self.start("--nproc", "4", size=2, order=(0, 1)))
        for status, _, err in done.values():
            self.assertEqual(status, 2)
            self.assertIn("--nproc 4: WORLD_SIZE is 2", err)

    def test_plans_of_two_compilations(self):
        """As on hosts with directories of their own: found before a weight is read, by what differs."""
        rules = [f"--tp-rule=model.layers.*.self_attn.{name}_proj=replicate" for name in "qkvo"]
        other = self.compile(harness.BUNDLED, "other", "--tp", "4", *rules)
        op = r"entry prefill: instruction \d+ \(\w+ of model\.layers\.0\.[^)]*\)"
        for collectives in ["shm", "tcp"]:
            with self.subTest(collectives=collectives):
                begin = time.monotonic()
                done = self.finish(self.start("--prompt", "A", "--collectives", collectives,
                                              "--checkpoint", "/nowhere",
                                              plans={2: other, 3: other}))
                self.assertLess(time.monotonic() - begin, 2)
                self.assertEqual([status for status, _, _ in done.values()], [2] * 4, done)
                self.assertRegex("".join(err for _, _, err in done.values()),
                                 r"\Aerror: rank 2: runs a plan of another compilation than rank 0 "
                                 rf"\([0-9a-f, ]+\): {op} stands where rank 0 has {op}; all plans "
                                 r"must come from one `dcc compile`\n\Z")

    def test_half_an_environment(self):
        environment = {**os.environ, "RANK": "0", "WORLD_SIZE": "4"}
        command = [harness.BIN / "drun", self.plan]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertTrue(done.stderr.startswith("error: LOCAL_RANK: not set, while RANK"), done)
        # What needs no ranks doesn't care.
        done = subprocess.run([*command, "tokenize"], env=environment, capture_output=True, text=True,
                              input='{"text": "A"}\n', check=False)
        self.assertEqual(done.returncode, 0, done)

    def test_a_mistake_is_said_once_and_ends_all(self):
        for collectives in ["shm", "tcp"]:
            with self.subTest(collectives=collectives):
                done = self.finish(self.start("--input", "/nowhere.jsonl", "--collectives", collectives))
                self.assertEqual([status for status, _, _ in done.values()], [2] * 4, done)
                self.assertTrue(done[0][2].startswith("error: /nowhere.jsonl: cannot be read"), done)
                self.assertEqual([done[r][2] for r in [1, 2, 3]], [""] * 3)

    def test_a_killed_rank_ends_all(self):
        for collectives in ["shm", "tcp"]:
            for victim in [0, 2]:
                with self.subTest(collectives=collectives, victim=victim):
                    ranks = self.start("--input", self.work, "--json", "--collectives", collectives)
                    self.assertTrue(ranks[0].stdout.readline().startswith("{"))
                    begin = time.monotonic()
                    ranks[victim].send_signal(signal.SIGKILL)
                    for process in ranks.values():
                        process.stdout.read()
                    done = self.finish(ranks)
                    self.assertLess(time.monotonic() - begin, 2)
                    del done[victim]
                    self.assertEqual([status for status, _, _ in done.values()], [1] * 3, done)
                    said = "".join(err for _, _, err in done.values())
                    self.assertRegex(said, rf"\Aerror: rank {victim}: its connection ended: it died.*\n\Z")

    def test_a_stopped_rank_is_missed(self):
        for collectives in ["shm", "tcp"]:
            with self.subTest(collectives=collectives):
                ranks = self.start("--input", self.work, "--json", "--timeout", "2", "--collectives",
                                   collectives)
                self.assertTrue(ranks[0].stdout.readline().startswith("{"))
                ranks[1].send_signal(signal.SIGSTOP)
                others = {r: p for r, p in ranks.items() if r != 1}
                for process in others.values():
                    process.stdout.read()
                said = "".join(err for _, _, err in self.finish(others).values())
                self.assertIn("no sign of rank 1 for 2 s", said)


if __name__ == "__main__":
    harness.main([])
