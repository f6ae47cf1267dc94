#!/usr/bin/env python3
"""Hosts that are 50 ms apart: the same text, deadlines that count silence and not how long something takes, and one
clock for all ranks of a trace."""
import json
import pathlib
import subprocess
import sys
import time
import unittest

import hosts
from hosts import harness

DELAY = 0.05  # seconds each way
TIMEOUT = 2


class Delay(hosts.OnHosts):
    def apart(self):
        """Two hosts with a relay between them."""
        pair = [self.host(), self.host()]
        relay = hosts.popen([sys.executable, "-B", pathlib.Path(__file__).with_name("relay.py"), DELAY,
                             *(host.holder.pid for host in pair)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(relay.communicate)
        self.addCleanup(relay.kill)
        if relay.stdout.readline() != "ready\n":
            raise unittest.SkipTest(f"no TUN devices: {relay.communicate()[1].strip().splitlines()[-1]}")
        for i, host in enumerate(pair):
            host.address = f"10.0.0.{i + 1}"
            host.ip(f"addr add {host.address} peer 10.0.0.{2 - i} dev tun0")
            host.ip("link set tun0 up")
        return pair

    def test_silence_counts_not_duration(self):
        generate = ["--prompt", "ROMEO:", "--json", "--max-new-tokens", "6", "--timeout", TIMEOUT]
        begin = time.monotonic()
        text = self.succeeded(self.start(self.apart(), [2, 2], *generate))
        self.assertGreater(time.monotonic() - begin, TIMEOUT, "it was to take longer than a silence may")
        self.assertEqual(text, self.expected(*generate))

    def test_one_clock(self):
        path = self.scratch / "trace.json"
        plan = self.compile(harness.BUNDLED, "two", "--tp", "2")
        self.succeeded(self.start(self.apart(), [1, 1], "--prompt", "ROMEO:", "--json", "--max-new-tokens", "3",
                                  "--trace", path, plan=plan))
        trace = json.loads(path.read_text())
        error = trace["otherData"]["clock_error_us"][1] / 1e6
        # Half of the fastest round trip: a stated error that is not of this order is none.
        self.assertGreaterEqual(error, DELAY)
        self.assertLess(error, 4 * DELAY)
        sums = [[e for e in trace["traceEvents"] if e.get("name") == "all_reduce" and e.get("cat") == "instruction"
                 and e["pid"] == rank] for rank in (0, 1)]
        self.assertGreater(len(sums[0]), 0)
        # A rank has a sum one delay after the other began with it, not earlier. Were a clock wrong by so much, one of
        # the two ways would seem that much faster; delays are the same both ways, so it is far less than the error.
        for here, there in [sums, sums[::-1]]:
            fastest = min((a["ts"] + a["dur"] - b["ts"]) / 1e6 for a, b in zip(here, there))
            self.assertGreater(fastest, DELAY / 2)
            self.assertLess(fastest, 4 * DELAY)


if __name__ == "__main__":
    hosts.main()
