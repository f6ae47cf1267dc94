#!/usr/bin/env python3
"""Ranks that torchrun and accelerate start write what drun's own ranks write. torchrun is $TORCHRUN, or on PATH;
accelerate lies beside it or is not tested."""
import os
import pathlib
import shutil
import socket
import subprocess

import hosts
from hosts import harness


def free_port():
    with socket.socket() as one:
        one.bind(("", 0))
        return one.getsockname()[1]


class Torchrun(harness.EndToEnd):
    work = ["--prompt", "ROMEO:", "--prompt", "Come", "--json", "--max-new-tokens", "20"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.torchrun = os.environ.get("TORCHRUN") or shutil.which("torchrun")
        if cls.torchrun is None:
            raise hosts.unittest.SkipTest("torchrun is not installed; it comes with PyTorch (TORCHRUN=... names it)")
        cls.plan = cls.compile(harness.BUNDLED, "plan", "--tp", "4")

    def launch(self, *command):
        """Runs drun with `command` in front; its end."""
        whole = [*map(str, command), str(harness.BIN / "drun"), str(self.plan), *self.work]
        # Loading PyTorch alone takes seconds.
        done = subprocess.run(whole, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
        return harness.Done(whole, done.returncode, done.stdout, done.stderr)

    def test_same_text_as_drun(self):
        expected = self.drun(self.plan, *self.work)
        done = self.launch(self.torchrun, "--no-python", "--nproc-per-node", 4, "--master-port", free_port())
        self.assertEqual((done.status, done.out), (0, expected), done)
        self.assertNotIn("error", done.err)

    def test_accelerate(self):
        accelerate = pathlib.Path(self.torchrun).with_name("accelerate")
        if not accelerate.exists():
            self.skipTest("accelerate is not installed beside torchrun")
        done = self.launch(accelerate, "launch", "--cpu", "--num_processes", 4, "--num_machines", 1,
                           "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", free_port(),
                           "--no_python")
        self.assertEqual((done.status, done.out), (0, self.drun(self.plan, *self.work)), done)


if __name__ == "__main__":
    hosts.main()
