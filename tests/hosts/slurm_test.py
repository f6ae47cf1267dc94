#!/usr/bin/env python3
"""Ranks that srun starts write what drun's own ranks write; in a batch script drun starts its own. The cluster is one
node, this machine, with daemons of its own that end with the test and keep all they write in its scratch directory."""
import json
import os
import pathlib
import socket
import subprocess
import time

import hosts
from hosts import harness

CONFIGURATION = """\
ClusterName=dcc
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.socket
CredType=cred/munge
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/linear
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=1
InactiveLimit=0
NodeName=localhost NodeHostname={hostname} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP MaxTime=INFINITE
"""
CLIENTS = ["srun", "sbatch", "sinfo"]
DAEMONS = ["munged", "slurmctld", "slurmd"]


class Slurm(harness.EndToEnd):
    work = ["--prompt", "ROMEO:", "--prompt", "Come", "--json", "--max-new-tokens", "20"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.environ["PATH"] += ":/usr/sbin:/sbin"
        for program in [*CLIENTS, *DAEMONS]:
            hosts.needs(program)
        cls.scratch.chmod(0o711)  # munged wants its socket to be reachable
        cls.start_daemons()
        cls.plan = cls.compile(harness.BUNDLED, "plan", "--tp", "4")

    @classmethod
    def daemon(cls, *command):
        """A daemon in the foreground, ended with the class."""
        log = open(cls.scratch / f"{command[0]}.out", "w", encoding="utf-8")
        process = hosts.popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        log.close()

        def end():
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        cls.addClassCleanup(end)
        return process

    @classmethod
    def start_daemons(cls):
        directory = cls.scratch
        for name in ["state", "spool"]:
            (directory / name).mkdir()
        key = directory / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        port = harness.free_port()
        configuration = directory / "slurm.conf"
        configuration.write_text(CONFIGURATION.format(
            directory=directory, controller_port=port, node_port=port + 1, cpus=os.cpu_count(),
            hostname=socket.gethostname().split(".")[0]))
        # Initialised by slurmd though nothing uses it; v1 does so without a control group, as in a chroot.
        (directory / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
        os.environ["SLURM_CONF"] = str(configuration)
        daemons = [
            cls.daemon("munged", "--foreground", "--force", f"--key-file={key}",
                       *(f"--{name}-file={directory}/munge.{name}" for name in ["pid", "log", "seed"]),
                       f"--socket={directory}/munge.socket"),
            cls.daemon("slurmctld", "-D"),
            cls.daemon("slurmd", "-D", "-N", "localhost")]
        limit = time.monotonic() + 20
        while not cls.idle():
            ended = [daemon.args[0] for daemon in daemons if daemon.poll() is not None]
            if ended or time.monotonic() > limit:
                what = f"{', '.join(ended)} ended" if ended else "no node is ready after 20 s"
                raise hosts.unittest.SkipTest(f"Slurm does not run here: {what}: {cls.last_words()}")
            time.sleep(0.1)

    @classmethod
    def idle(cls):
        done = subprocess.run(["sinfo", "-h", "-o", "%t"], capture_output=True, text=True, check=False, timeout=60)
        return done.stdout.strip() == "idle"

    @classmethod
    def last_words(cls):
        """Of every daemon that has said something."""
        words = []
        for path in sorted(cls.scratch.glob("*.out")):
            lines = [line for line in path.read_text().splitlines() if "error" in line or "fatal" in line]
            words += [f"{path.stem}: {line}" for line in lines[-2:]]
        return "; ".join(words)

    def run_command(self, *command):
        command = [str(word) for word in command]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False)
        return harness.Done(command, done.returncode, done.stdout, done.stderr)

    def srun(self, tasks, *args, mpi="none"):
        """drun as this many tasks of a step."""
        return self.run_command("srun", "--quiet", f"--mpi={mpi}", "-n", tasks, "--overcommit", harness.BIN / "drun",
                                *args)

    def test_same_text_as_drun(self):
        expected = self.drun(self.plan, *self.work)
        done = self.srun(4, self.plan, *self.work)
        self.assertEqual((done.status, done.out, done.err), (0, expected, ""), done)
        # Over TCP, as on several nodes.
        done = self.srun(4, self.plan, *self.work, "--collectives", "tcp")
        self.assertEqual((done.status, done.out, done.err), (0, expected, ""), done)

    def test_a_task_that_starts_ranks(self):
        expected = self.drun(self.plan, *self.work)
        for args in [[], ["--nnodes", "1"]]:
            done = self.srun(1, self.plan, *self.work, *args)
            self.assertEqual((done.status, done.out, done.err), (0, expected, ""), done)

    def test_a_batch_script_that_starts_ranks(self):
        script = self.scratch / "job.sh"
        out = self.scratch / "job.out"
        words = " ".join(f"'{word}'" for word in [harness.BIN / "drun", self.plan, *self.work])
        script.write_text(f"#!/bin/sh\nexec {words}\n")
        done = self.run_command("sbatch", "--wait", "--quiet", "-n", 4, "--overcommit", "-o", out, script)
        self.assertEqual(done.status, 0, f"{done}{out.read_text() if out.exists() else ''}")
        self.assertEqual(out.read_text(), self.drun(self.plan, *self.work))

    def test_another_number_of_tasks(self):
        done = self.srun(2, self.plan, "--prompt", "A")
        self.assertEqual(done.status, 2, done)
        self.assertRegex(done.err, r"error: SLURM_STEP_NUM_TASKS 2: .* is compiled for 4 ranks; ")

    def test_doctor_names_it(self):
        """Also where Slurm sets PMI's variables too, of which it leaves out some."""
        for mpi in ["none", "pmi2"]:
            done = self.srun(2, "doctor", "--json", mpi=mpi)
            self.assertEqual(done.status, 0, done)
            for line in done.out.splitlines():
                found = json.loads(line)
                self.assertEqual(found["environment"].get("PMI_SIZE"), "2" if mpi == "pmi2" else None)
                self.assertEqual(found["starters"]["found"], "Slurm")
                for name in found["starters"]["Slurm"]:
                    self.assertIsNotNone(found["environment"].get(name), name)
                self.assertIn("of 2, which meet on this host", found["environment"]["meaning"])


if __name__ == "__main__":
    if pathlib.Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"] and os.geteuid() == 0:
        hosts.main()
    else:
        print("skipped: Slurm's daemons need root")
        raise SystemExit(77)
