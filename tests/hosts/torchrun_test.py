#!/usr/bin/env python3
"""Ranks that torchrun and accelerate start write what drun's own ranks write. torchrun is $TORCHRUN, or on PATH;
accelerate lies beside it or is not tested."""
import os
import pathlib
import shutil
import subprocess

import hosts
from hosts import harness


class Torchrun(harness.EndToEnd):
    work = ["--prompt", "ROMEO:", "--prompt", "Come", "--json", "--max-new-tokens", "20"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.torchrun = os.environ.get("TORCHRUN") or shutil.which("torchrun")
        if cls.torchrun is None:
            raise hosts.unittest.SkipTest("torchrun is not installed; it comes with PyTorch (TORCHRUN=... names it)")
        cls.plan = cls.compile(harness.BUNDLED, "plan", "--tp", "4")

    def start(self, *command):
        """drun with `command` in front."""
        whole = [*map(str, command), str(harness.BIN / "drun"), str(self.plan), *self.work]
        process = subprocess.Popen(whole, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        for cleanup in [process.stdout.close, process.stderr.close, process.wait, process.kill]:
            self.addCleanup(cleanup)
        return process

    def finish(self, process):
        out, err = process.communicate(timeout=100)  # loading PyTorch alone takes seconds
        return harness.Done(process.args, process.returncode, out, err)

    def launch(self, *command):
        return self.finish(self.start(*command))

    def test_same_text_as_drun(self):
        expected = self.drun(self.plan, *self.work)
        done = self.launch(self.torchrun, "--no-python", "--nproc-per-node", 4, "--master-port", harness.free_port())
        self.assertEqual((done.status, done.out), (0, expected), done)
        self.assertNotIn("error", done.err)

    def test_an_agent_on_each_host(self):
        """Here both on this one; the ranks meet over TCP, beside the agents' own port."""
        port = harness.free_port()
        agents = [self.start(self.torchrun, "--no-python", "--nnodes", 2, "--node-rank", node, "--nproc-per-node", 2,
                             "--master-addr", "localhost", "--master-port", port) for node in [0, 1]]
        first, second = [self.finish(agent) for agent in agents]
        self.assertEqual((first.status, first.out), (0, self.drun(self.plan, *self.work)), first)
        self.assertEqual((second.status, second.out), (0, ""), second)

    def test_accelerate(self):
        accelerate = pathlib.Path(self.torchrun).with_name("accelerate")
        if not accelerate.exists():
            self.skipTest("accelerate is not installed beside torchrun")
        done = self.launch(accelerate, "launch", "--cpu", "--num_processes", 4, "--num_machines", 1,
                           "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", harness.free_port(),
                           "--no_python")
        self.assertEqual((done.status, done.out), (0, self.drun(self.plan, *self.work)), done)


if __name__ == "__main__":
    hosts.main()
