#!/usr/bin/env python3
"""Ranks that the mpirun of an MPI starts, which sets no variable of ours, write what drun's own ranks write."""
import json
import shutil
import subprocess

import hosts
from hosts import harness


class OpenMpi(harness.EndToEnd):
    name, size_variable, size_option = "Open MPI", "OMPI_COMM_WORLD_SIZE", "mpirun -np"
    command = ["mpirun", "--oversubscribe", "--allow-run-as-root", "--bind-to", "none", "-np"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.find()
        cls.plan = cls.compile(harness.BUNDLED, "plan", "--tp", "4")

    @classmethod
    def find(cls):
        hosts.needs("mpirun")
        version = subprocess.run(["mpirun", "--version"], capture_output=True, text=True, check=False).stdout
        if "Open MPI" not in version:
            raise hosts.unittest.SkipTest("mpirun is not Open MPI's")

    def mpirun(self, ranks, *args):
        """Its end, and that of `ranks` ranks."""
        command = [*self.command, str(ranks), str(harness.BIN / "drun"), *map(str, args)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False)
        return harness.Done(command, done.returncode, done.stdout, done.stderr)

    def test_same_text_as_drun(self):
        work = ["--prompt", "ROMEO:", "--prompt", "Come", "--json", "--max-new-tokens", "20"]
        done = self.mpirun(4, self.plan, *work)
        self.assertEqual((done.status, done.out, done.err), (0, self.drun(self.plan, *work), ""), done)

    def test_same_bits_as_drun(self):
        ids = harness.write_jsonl(self.scratch / "ids.jsonl", [{"input_ids": list(range(3, 60))}])
        own, theirs = (self.scratch / f"{name}.safetensors" for name in ["own", "theirs"])
        self.drun(self.plan, "logits", "--input", ids, "--output", own)
        done = self.mpirun(4, self.plan, "logits", "--input", ids, "--output", theirs)
        self.assertEqual(done.status, 0, done)
        self.assertEqual(own.read_bytes(), theirs.read_bytes())

    def test_another_number_of_ranks(self):
        done = self.mpirun(2, self.plan, "--prompt", "A")
        self.assertEqual(done.status, 2, done)
        self.assertRegex(done.err, f"error: {self.size_variable} 2: .* is compiled for 4 ranks; compile it again "
                                   f"with --tp 2 or run it with {self.size_option} 4\n")

    def test_doctor_names_it(self):
        done = self.mpirun(1, "doctor", "--json")
        self.assertEqual(done.status, 0, done)
        found = json.loads(done.out)
        self.assertEqual(found["starters"]["found"], self.name)
        for name in found["starters"][self.name]:
            self.assertIsNotNone(found["environment"].get(name), name)


class Mpich(OpenMpi):
    """Where it is installed; it is not among the packages that the checks need."""
    name, size_variable, size_option = "PMI", "PMI_SIZE", "mpiexec -n"
    command = ["mpiexec.hydra", "-n"]

    @classmethod
    def find(cls):
        if shutil.which("mpiexec.hydra") is None:
            raise hosts.unittest.SkipTest("MPICH's mpiexec.hydra is not installed")


class OnTwoHosts(hosts.OnHosts):
    """Open MPI's daemons on network namespaces, which it reaches by a program that stands for ssh."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        OpenMpi.find()

    def test_same_bits_as_one_host(self):
        network = self.lan(2)
        agent = self.scratch / "agent"
        agent.write_text(f"#!/bin/sh\nshift\nexec nsenter --net=/proc/{network[1].holder.pid}/ns/net sh -c \"$*\"\n")
        agent.chmod(0o755)
        address = network[0].address
        command = ["mpirun", "--allow-run-as-root", "--bind-to", "none", "--mca", "plm_rsh_agent", agent,
                   "--mca", "oob_tcp_if_include", "eth0", "--host", f"{address}:2,{network[1].address}:2", "-np", 4]
        drun = [harness.BIN / "drun", self.plan, "--input", self.prompts, "--json", "--max-new-tokens", "20"]
        done = self.finish({0: self.popen(network[0], [*command, *drun])})[0]
        self.assertEqual(done[0], 2, done)
        self.assertIn("MASTER_ADDR: not set, and Open MPI does not say where rank 0 is; mpirun -x MASTER_ADDR=HOST",
                      done[2])
        master = ["-x", f"MASTER_ADDR={address}", "-x", f"MASTER_PORT={hosts.PORT}"]
        done = self.finish({0: self.popen(network[0], [*command, *master, *drun])})[0]
        self.assertEqual(done, (0, self.expected(*drun[2:]), ""))
        self.assertGreater(network[1].sent("eth0"), 100_000, "the ranks of host 1 have sent nothing")


if __name__ == "__main__":
    hosts.main()
