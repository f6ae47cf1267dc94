#!/usr/bin/env python3
"""Every kind of fault at every point of a run, of rank 0 and of another, over shared memory and TCP: all is
over in the promised time, with the promised status, the rank named in the first lines, nothing left behind.

DRUN_INJECT (tools/drun/inject.h) brings the faults about. What is promised, and twice of which is tested:
two seconds from the fault; of a rank that only stops, two seconds from when --timeout has passed."""
import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
import harness  # noqa: E402

TIMEOUT = 2
PROMISE = 2
AT_ONCE = 4
ALONE = "DRUN_TEST_ALONE"
PHASES = {"load": r"loading weights", "prefill": r"in step 0, entry 'prefill', instruction \d+ \(\S+\)",
          "decode:5": r"in step 6, entry 'decode', instruction \d+ \(\S+\)", "shutdown": r"ending"}
SAID = {"kill": "killed by signal 9 (Killed)", "term": "killed by signal 15 (Terminated)",
        "abort": "killed by signal 6 (Aborted)", "exit": "exited with status 3"}


def marked(mark):
    """Living processes that have the variable in their environment."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (path / "environ").read_bytes().split(b"\0"):
                if (path / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                    found.append(int(path.name))
    return found


def alone(*command):
    """The command, with a /dev/shm of its own."""
    return ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none /dev/shm && exec "$@"', "sh", *command]


class Matrix(harness.EndToEnd):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan = cls.compile(harness.BUNDLED, "plan", "--tp", "4")

    def fault(self, rank, act, phase, transport):
        """One run that goes wrong; what is not as it should be, or ""."""
        where = f"rank={rank},at={phase},do={act}"
        scratch = pathlib.Path(tempfile.mkdtemp(dir=self.scratch))
        mark = f"DRUN_TEST_MARK={scratch.name}"
        environment = {**os.environ, "DRUN_INJECT": where, "TMPDIR": str(scratch),
                       "DRUN_TEST_MARK": scratch.name}
        begin = time.monotonic()
        with subprocess.Popen(
                [harness.BIN / "drun", self.plan, "--collectives", transport, "--timeout", str(TIMEOUT),
                 "--threads", "1", "--bind", "none", "--prompt", "ROMEO:", "--ignore-eos",
                 "--max-new-tokens", "30"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                cwd=scratch, env=environment, start_new_session=True) as process:
            try:
                err = process.communicate(timeout=60)[1]
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return f"{where} over {transport}: still running after 60 s"
        limit = begin + 2 * (PROMISE + (TIMEOUT if act == "stop" else 0))
        # What the launcher could not wait for ends behind it.
        while marked(mark.encode()) and time.monotonic() < limit:
            time.sleep(0.02)
        took = time.monotonic() - begin
        wrong = [what for what, holds in self.promises(rank, act, phase, process.returncode, err).items()
                 if not holds]
        if time.monotonic() > limit:
            wrong.append("in time")
        if marked(mark.encode()):
            wrong.append("no process left behind")
        if list(scratch.iterdir()):
            wrong.append("no file left behind")
        return f"{where} over {transport}: not {wrong}: {process.returncode}, {took:.1f} s, {err}" if wrong else ""

    @staticmethod
    def promises(rank, act, phase, status, err):
        first = "\n".join(err.splitlines()[:3])
        if act == "kill-launcher":
            return {"killed": status == -signal.SIGKILL, "silent": err == ""}
        if act == "term-launcher":
            return {"status 143": status == 128 + signal.SIGTERM,
                    "why": first == "error: ended by signal 15 (Terminated)"}
        kept = {"status 1": status == 1, "the rank's name": re.search(rf"\brank {rank}\b", first)}
        if act in SAID:
            said = re.escape(f"error: rank {rank}: {SAID[act]}, last seen ") + PHASES[phase]
            kept["what and where"] = re.fullmatch(said, first)
        elif phase == "shutdown":
            kept["what and where"] = re.search(rf"rank {rank}: did not end within {TIMEOUT} s .* seen ending", first)
        else:
            kept["who is missing"] = f"no sign of rank {rank} for {TIMEOUT} s" in err.splitlines()[0]
            kept["where it is"] = re.search(
                rf"^rank {rank}: {PHASES[phase]}, collective \d+  <- missing$", err, re.MULTILINE)
        return kept

    def test_all(self):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        ranks = itertools.product([0, 2], ["stop", "kill", "term", "exit", "abort"])
        launcher = [(0, "kill-launcher"), (2, "term-launcher")]
        points = [(rank, act, phase, transport) for (rank, act), phase, transport in itertools.product(
            [*ranks, *launcher], PHASES, ["shm", "tcp"])]
        self.assertGreaterEqual(len(points), 60)
        # Those that wait first, so that others run beside them.
        points.sort(key=lambda point: point[1] != "stop")
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            wrong = [text for text in pool.map(lambda point: self.fault(*point), points) if text]
        self.assertEqual(wrong, [], f"{len(wrong)} of {len(points)}")
        if ALONE in os.environ:
            self.assertEqual(os.listdir("/dev/shm"), [])
        print(f"{len(points)} faults", file=sys.stderr)

    def test_a_fault_that_cannot_be_brought_about_is_refused(self):
        for fault, why in [("rank=4,at=load,do=kill", "rank 4 of 4"), ("rank=1", "lacks rank, at or do"),
                           ("rank=1,at=decode,collective=999,do=flip", "no collective 999 in entry 'decode'")]:
            os.environ["DRUN_INJECT"] = fault
            self.addCleanup(os.environ.pop, "DRUN_INJECT", None)
            done = harness.run("drun", self.plan, "--prompt", "A", "--max-new-tokens", "2")
            self.assertEqual(done.status, 2, done)
            self.assertIn("DRUN_INJECT: ", done.err.splitlines()[0])
            self.assertIn(why, done.err.splitlines()[0])


if __name__ == "__main__":
    # Named memory that is left behind is told from that of others.
    if ALONE not in os.environ:
        if subprocess.run(alone("true"), check=False, capture_output=True).returncode == 0:
            os.environ[ALONE] = "1"
            os.execvp("unshare", alone(sys.executable, "-B", *sys.argv))
        print("skipped: whether named memory is left behind, for nothing can be mounted here", file=sys.stderr)
    harness.main([])
