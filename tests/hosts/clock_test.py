#!/usr/bin/env python3
"""A host whose clock is years off, and goes faster or slower than the others': the same text."""
import os
import pathlib
import subprocess
import unittest

import hosts

LIBRARY = "/usr/$LIB/faketime/libfaketime.so.1"  # the loader knows what $LIB is


class Clock(hosts.OnHosts):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not list(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")):
            raise unittest.SkipTest("libfaketime is not installed (tools/install-packages check)")

    def check(self, fake):
        variables = {"LD_PRELOAD": LIBRARY, **fake}
        years = {subprocess.check_output(["date", "+%Y"], env={**os.environ, **more}) for more in [{}, variables]}
        self.assertEqual(len(years), 2, "the clock is to be wrong")
        network = self.lan(2)
        generate = ["--input", self.prompts, "--json", "--max-new-tokens", "20"]
        ranks = {r: self.rank(network, r, [2, 2], *generate, environment=variables if r > 1 else None)
                 for r in range(4)}
        self.assertEqual(self.succeeded(ranks), self.expected(*generate))

    def test_wall_clock(self):
        """What a host with a wrong clock has: its monotonic one, set by nobody, goes right."""
        for clock in ["-12y x10", "+30y x0.1"]:
            with self.subTest(clock=clock):
                self.check({"FAKETIME": clock, "DONT_FAKE_MONOTONIC": "1"})

    def test_all_clocks(self):
        """The monotonic one too, as a host that has been up for long or runs at another speed."""
        for clock in ["+10y", "+10y x2", "+10y x0.5"]:
            with self.subTest(clock=clock):
                self.check({"FAKETIME": clock})


if __name__ == "__main__":
    hosts.main()
