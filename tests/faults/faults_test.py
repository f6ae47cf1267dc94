#!/usr/bin/env python3
"""Ranks that die, hang or lose their output while drun works: it ends within two seconds, says which
rank and why first, and leaves nothing behind."""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
import harness  # noqa: E402


def children(pid):
    """Living direct children of a process: rank -> pid."""
    ranks = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) != pid or fields[0] == "Z":
                continue
            environment = (path.parent / "environ").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        rank = [e[5:] for e in environment if e.startswith(b"RANK=")]
        if rank:  # else it is about to become one
            ranks[int(rank[0])] = int(path.parent.name)
    return ranks


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Faults(harness.EndToEnd):
    """Over shared memory."""
    transport = "shm"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan = cls.compile(harness.BUNDLED, "plan", "--tp", "4")
        # Minutes of work.
        cls.work = harness.write_jsonl(cls.scratch / "work.jsonl", [{"text": "ROMEO:"}] * 20000)

    def start(self, *options, **keywords):
        """drun at work, its ranks by number; ended with the test."""
        process = subprocess.Popen(
            [harness.BIN / "drun", self.plan, "--collectives", self.transport, *options], stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, start_new_session=True, **keywords)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def generating(self, *options):
        """The same, when tokens are being made."""
        process = self.start("--input", self.work, "--json", "--max-new-tokens", "100", *options,
                             stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.assertTrue(process.stdout.readline().startswith("{"))
        ranks = children(process.pid)
        self.assertEqual(sorted(ranks), [0, 1, 2, 3])
        return process, ranks

    def ended(self, process, ranks, within=2.0, status=1, lines=False):
        """Waits for the end, with that status; the first line of stderr, or all."""
        begin = time.monotonic()
        # Not communicate(): what was already generated stays in the pipe.
        err = process.stderr.read()
        ended = process.wait()
        self.assertLess(time.monotonic() - begin, within, err)
        self.assertEqual(ended, status, err)
        self.assertEqual([r for r in ranks.values() if alive(r)], [], "left behind")
        return err.splitlines() if lines else err.splitlines()[0]

    def test_killed_rank(self):
        for rank, number in [(0, signal.SIGKILL), (2, signal.SIGKILL), (3, signal.SIGSEGV),
                             (1, signal.SIGTERM), (2, signal.SIGINT), (0, signal.SIGHUP)]:
            with self.subTest(rank=rank, number=number):
                process, ranks = self.generating()
                os.kill(ranks[rank], number)
                self.assertRegex(
                    self.ended(process, ranks),
                    rf"^error: rank {rank}: killed by signal {int(number)} \([A-Za-z ]+\), last seen "
                    r"(in step \d+, entry '(prefill|decode)', instruction \d+|after step \d+)")

    def test_killed_while_loading(self):
        process = self.start("--input", self.work, stdout=subprocess.DEVNULL)
        ranks = {}
        while 1 not in ranks:
            ranks = children(process.pid)
        os.kill(ranks[1], signal.SIGKILL)
        self.assertRegex(self.ended(process, ranks),
                         r"^error: rank 1: killed by signal 9 \(Killed\), last seen "
                         "(starting|loading weights|before the first step)$")

    def test_stopped_rank_is_missed(self):
        process, ranks = self.generating("--timeout", "1")
        os.kill(ranks[2], signal.SIGSTOP)
        first, *table = self.ended(process, ranks, within=4, lines=True)
        self.assertRegex(first, r"^error: rank [013]: .*: no sign of rank 2 for 1 s; a longer --timeout "
                                "waits longer$")
        # Where all ranks are, by entry, instruction, module and collective.
        place = (r"(in step \d+, entry '(prefill|decode)', instruction \d+( \([a-z0-9_.]+\))?|"
                 r"after step \d+), collective \d+")
        for line in table:
            self.assertRegex(line, rf"^ranks? [0-9, ]+: {place}(  <- missing)?$")
        self.assertEqual([line for line in table if line.endswith("<- missing")],
                         [line for line in table if line.startswith("rank 2:")])
        named = "".join(line.split(":")[0].split(" ", 1)[1] + ", " for line in table)
        self.assertEqual(sorted(named.strip(", ").split(", ")), ["0", "1", "2", "3"])

    def test_several_ranks_killed_at_once(self):
        process, ranks = self.generating()
        for rank in [1, 2, 3]:
            with contextlib.suppress(ProcessLookupError):  # drun may have been faster
                os.kill(ranks[rank], signal.SIGKILL)
        self.assertRegex(self.ended(process, ranks), r"rank [123]: killed by signal 9 \(Killed\), last seen ")

    def test_signals_to_drun(self):
        for number in [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]:
            with self.subTest(number=number):
                process, ranks = self.generating()
                process.send_signal(number)
                self.assertIn(f"error: ended by signal {int(number)} (",
                              self.ended(process, ranks, status=128 + number))

    def test_control_c_reaches_all_processes(self):
        process, ranks = self.generating()
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(self.ended(process, ranks, status=130), "error: ended by signal 2 (Interrupt)")

    def test_ranks_die_with_drun(self):
        process, ranks = self.generating()
        process.kill()
        process.wait()
        limit = time.monotonic() + 2
        while any(alive(r) for r in ranks.values()) and time.monotonic() < limit:
            time.sleep(0.01)
        self.assertEqual([r for r in ranks.values() if alive(r)], [])

    def test_reader_leaves(self):
        process, ranks = self.generating()
        process.stdout.close()
        begin = time.monotonic()
        self.assertEqual(process.stderr.read(), "")
        self.assertEqual(process.wait(), 0)
        self.assertLess(time.monotonic() - begin, 2)
        self.assertEqual([r for r in ranks.values() if alive(r)], [])

    def test_no_stdout(self):
        done = subprocess.run(
            ["sh", "-c", f"exec {harness.BIN}/drun {self.plan} --prompt A --max-new-tokens 4 >&-"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_disk_full(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            process = self.start("--prompt", "A", "--max-new-tokens", "4", stdout=full)
            err = process.stderr.read()
        self.assertEqual(process.wait(), 1)
        self.assertEqual(err.splitlines(),
                         ["error: rank 0: stdout: cannot be written: No space left on device"])

    def test_slow_reader_is_waited_for(self):
        process, ranks = self.generating("--timeout", "1")
        time.sleep(3)  # the pipe is full after a moment
        self.assertEqual(len(children(process.pid)), 4)
        self.assertTrue(process.stdout.readline().startswith("{"))

    def test_killed_logits_leave_nothing(self):
        for number in [signal.SIGKILL, signal.SIGTERM]:
            with self.subTest(number=number):
                out = self.scratch / f"logits{int(number)}"
                out.mkdir()
                process = self.start("logits", "--input", self.work, "--output", out / "x.safetensors",
                                     stdout=subprocess.DEVNULL)
                ranks = {}
                while len(ranks) < 4:
                    ranks = children(process.pid)
                time.sleep(0.5)
                self.assertIsNone(process.poll())
                os.kill(ranks[0], number)
                self.ended(process, ranks)
                self.assertEqual(list(out.iterdir()), [])


class FaultsOverTcp(Faults):
    transport = "tcp"


if __name__ == "__main__":
    harness.main([])
