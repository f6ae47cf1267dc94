"""Hosts for tests: network namespaces of this machine, and ranks on them.

A host is a process that does nothing, in a network namespace of its own: namespace and links end with it, and it with
this process, however that ends. Nothing has a name outside of these namespaces, so tests may run side by side.
"""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
import harness  # noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, CLONE_NEWNET = 1, 0x40000000
PORT = 29500  # MASTER_PORT: every network is a new one


def needs(program):
    """Skips the test where this machine has no such program."""
    if shutil.which(program) is None:
        raise unittest.SkipTest(f"{program} is not installed (tools/install-packages check)")


def popen(command, **keywords):
    """A process that dies with this one; started by the main thread, with which it would die too."""
    return subprocess.Popen([str(c) for c in command], text=True, **keywords,
                            preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))


def enter(pid):
    """Takes the calling thread into the network namespace of a process."""
    with open(f"/proc/{pid}/ns/net", encoding="ascii") as namespace:
        if LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


class Host:
    """Skips the test where this machine makes no network namespaces."""

    def __init__(self):
        self.address = None  # of its link to the others
        self.holder = popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self.holder.stdout.readline() == "":
            raise unittest.SkipTest(f"no network namespaces: {self.holder.communicate()[1].strip()}")
        self.namespace = os.readlink(f"/proc/{self.holder.pid}/ns/net")
        self.ip("link set lo up")

    def command(self, *command):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", *command]

    def run(self, *command, stdin=""):
        """Its output. Skips the test where the kernel cannot do it."""
        done = subprocess.run([str(c) for c in self.command(*command)], input=stdin, text=True,
                              capture_output=True, check=False, timeout=60)
        if done.returncode != 0:
            raise unittest.SkipTest(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
        return done.stdout

    def ip(self, line):
        return self.run("ip", *line.split())

    def sent(self, device):
        """Bytes that a device has sent."""
        [link] = json.loads(self.ip(f"-s -j link show {device}"))
        return link["stats64"]["tx"]["bytes"]

    def listening(self):
        """TCP ports on which somebody listens here."""
        ports = set()
        for table in ["tcp", "tcp6"]:
            path = pathlib.Path(f"/proc/{self.holder.pid}/net/{table}")
            for line in path.read_text().splitlines()[1:] if path.exists() else []:
                _, local, _, state = line.split()[:4]
                if state == "0A":
                    ports.add(int(local.rsplit(":", 1)[1], 16))
        return ports

    def processes(self):
        """Those here that are not gone, but for the holder."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                here = os.readlink(path / "ns/net") == self.namespace
                ended = (path / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                continue
            if here and not ended and int(path.name) != self.holder.pid:
                found.append(int(path.name))
        return found

    def close(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.holder.kill()
        self.holder.communicate()


class OnHosts(harness.EndToEnd):
    """Tests with a plan of four ranks of the bundled model."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for program in ["ip", "unshare", "nsenter"]:
            needs(program)
        cls.plan = cls.compile(harness.BUNDLED, "plan", "--tp", "4")
        cls.prompts = harness.write_jsonl(cls.scratch / "prompts.jsonl",
                                          [{"text": "ROMEO:"}, {"text": "To be, or"}, {"text": "Come"}])
        # Minutes of it.
        cls.work = harness.write_jsonl(cls.scratch / "work.jsonl", [{"text": "ROMEO:"}] * 20000)

    def host(self):
        host = Host()
        self.addCleanup(host.close)
        return host

    def lan(self, size, net="10.0.0.{}/24"):
        """Hosts whose eth0, with addresses of this form, are joined by a bridge."""
        switch = self.host()
        switch.ip("link add br0 type bridge")
        switch.ip("link set br0 up")
        hosts = [self.host() for _ in range(size)]
        for i, host in enumerate(hosts):
            host.address = net.format(i + 1).split("/")[0]
            switch.ip(f"link add port{i} type veth peer name eth0 netns {host.holder.pid}")
            switch.ip(f"link set port{i} master br0 up")
            host.ip("link set eth0 up")
            # An IPv6 address would otherwise be looked for elsewhere first.
            host.ip(f"addr add {net.format(i + 1)} dev eth0" + (" nodad" if ":" in net else ""))
        return hosts

    def popen(self, host, command, stdin=subprocess.DEVNULL, **keywords):
        process = popen(host.command(*command), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                        **keywords)
        for cleanup in [process.stdout.close, process.stderr.close, process.wait, process.kill]:
            self.addCleanup(cleanup)
        return process

    def rank(self, hosts, rank, layout, *args, plan=None, environment=None, **keywords):
        """One rank of a job as torchrun starts it. layout: how many ranks each host has."""
        node = next(n for n in range(len(layout)) if rank < sum(layout[:n + 1]))
        variables = {"RANK": rank, "WORLD_SIZE": sum(layout), "LOCAL_RANK": rank - sum(layout[:node]),
                     "LOCAL_WORLD_SIZE": layout[node], "MASTER_ADDR": hosts[0].address, "MASTER_PORT": PORT,
                     **(environment or {})}
        return self.popen(hosts[node], [harness.BIN / "drun", plan or self.plan, *args],
                          env={**os.environ, **{k: str(v) for k, v in variables.items()}}, **keywords)

    def start(self, hosts, layout, *args, **keywords):
        """The ranks of a job, by number."""
        return {r: self.rank(hosts, r, layout, *args, **keywords) for r in range(sum(layout))}

    def start_nodes(self, hosts, layout, *args, plan=None, **keywords):
        """The same ranks, started by a drun on each host; those, by host."""
        return {n: self.popen(host, [harness.BIN / "drun", "--nnodes", len(hosts), "--node-rank", n, "--master-addr",
                                     hosts[0].address, "--master-port", PORT, "--nproc", layout[n], plan or self.plan, *args], **keywords)
                for n, host in enumerate(hosts)}

    def finish(self, processes):
        """(status, stdout, stderr) of each, by number; all must end."""
        done = {}
        for number, process in sorted(processes.items()):  # rank 0 first: it writes the most
            out, err = process.communicate(timeout=60)
            done[number] = (process.returncode, out, err)
        return done

    def succeeded(self, processes):
        """What rank 0, or the first host's drun, has written; the others write nothing."""
        done = self.finish(processes)
        out = done[0][1]
        self.assertEqual(done, {n: (0, out if n == 0 else "", "") for n in done})
        return out

    def expected(self, *args):
        """What one host writes."""
        return self.drun(self.plan, *args)


def main():
    """Runs a module's tests and says what was skipped and why; status 77 if all was."""
    if os.geteuid() != 0:
        if subprocess.run(["unshare", "--map-root-user", "true"], capture_output=True, check=False).returncode != 0:
            print("skipped: network namespaces need root or user namespaces")
            sys.exit(77)
        os.execvp("unshare", ["unshare", "--map-root-user", sys.executable, "-B", *sys.argv])
    result = unittest.main(module="__main__", exit=False).result
    for test, why in result.skipped:
        print(f"skipped: {test}: {why}")
    if not result.wasSuccessful():
        sys.exit(1)
    whole = sum(1 for test, _ in result.skipped if isinstance(test, unittest.TestCase))
    sys.exit(77 if result.skipped and result.testsRun == whole else 0)
