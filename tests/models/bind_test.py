#!/usr/bin/env python3
"""Ranks of one host stay on cores of their own, unless that is not wanted or there are too few."""
import os
import pathlib
import subprocess
import unittest

import harness

CPUS = sorted(os.sched_getaffinity(0))


def children(pid):
    return [int(c) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
            for c in (task / "children").read_text().split()]


@unittest.skipIf(len(CPUS) < 2, "one core")
class Bind(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plans = {tp: cls.compile(harness.BUNDLED, f"plan{tp}", "--tp", str(tp)) for tp in (2, 4)}

    def cpus(self, tp, *options, cores=frozenset(CPUS[:2])):
        """The CPUs of each rank's main thread while the ranks work, started on `cores`."""
        work = harness.write_jsonl(self.scratch / "work.jsonl", [{"text": "ROMEO:"}] * 5000)
        with subprocess.Popen([harness.BIN / "drun", self.plans[tp], "--input", work, "--json", *options],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              preexec_fn=lambda: os.sched_setaffinity(0, cores)) as drun:
            try:
                drun.stdout.readline()  # they work by now
                return sorted(sorted(os.sched_getaffinity(rank)) for rank in children(drun.pid))
            finally:
                drun.terminate()
                drun.communicate()

    def test_each_its_own(self):
        self.assertEqual(self.cpus(2), [[CPUS[0]], [CPUS[1]]])

    def test_not_wanted(self):
        self.assertEqual(self.cpus(2, "--bind", "none"), [CPUS[:2]] * 2)

    def test_more_ranks_than_cores(self):
        self.assertEqual(self.cpus(4), [CPUS[:2]] * 4)

    def test_more_threads_than_cores(self):
        self.assertEqual(self.cpus(2, "--threads", "2"), [CPUS[:2]] * 2)


if __name__ == "__main__":
    harness.main([])
