"""The steps of gpu-check: each with a time limit, its result told at once and kept in one JSON file."""
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import time

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Skip(Exception):
    """This machine lacks what a step needs; the message says what."""


@dataclasses.dataclass
class Done:
    """A finished command. status: None where it was killed at its time limit."""
    status: int | None
    out: str
    err: str

    def tail(self, characters=600):
        why = "killed at its time limit" if self.status is None else f"status {self.status}"
        return f"{why}: {(self.out + self.err).strip()[-characters:]}"


def run(command, seconds, env=None):
    """Runs a command for at most `seconds`; then it and all that it started are killed. Raises Skip where there is
    no such program."""
    try:
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
                                   env={**os.environ, **(env or {})})
    except OSError as error:
        raise Skip(f"{command[0]}: {error.strerror}") from None
    with process:
        try:
            out, err = process.communicate(timeout=max(seconds, 0.1))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            return Done(None, out, err)
    return Done(process.returncode, out, err)


def skipping(why):
    """A step for which this machine lacks something."""
    def step(_):
        raise Skip(why)
    return step


class Clock:
    """What is left of a step, and of all."""

    def __init__(self, seconds, outer=None):
        self.end = time.monotonic() + seconds
        if outer:
            self.end = min(self.end, outer.end)

    def left(self):
        return max(0.0, self.end - time.monotonic())


class Report:
    """Results in the order of the steps, written after each, so that a later one that hangs takes nothing with it."""

    def __init__(self, path):
        self.path, self.results = pathlib.Path(path), {}

    def run(self, name, step, seconds, clock):
        """step(Clock) -> (whether it passed, one line, figures)."""
        begin, figures = time.monotonic(), {}
        print(f"{name} ...", flush=True)
        try:
            if clock.left() < 1:
                raise Skip("no time was left")
            passed, line, figures = step(Clock(seconds, clock))
            status = PASSED if passed else FAILED
        except Skip as why:
            status, line = SKIPPED, str(why)
        except Exception as error:  # what goes wrong in one step is no reason to miss the others
            status, line = FAILED, f"{type(error).__name__}: {error}"
        line = " ".join(line.split())
        self.results[name] = {"status": status, "seconds": round(time.monotonic() - begin, 1), "line": line,
                              "figures": figures}
        print(f"{name}: {status} after {self.results[name]['seconds']} s: {line}", flush=True)
        self.write()
        return figures

    def write(self):
        beside = self.path.with_suffix(".part")
        beside.write_text(json.dumps(self.results, indent=1) + "\n", encoding="utf-8")
        beside.replace(self.path)

    def summary(self):
        width = max(map(len, self.results), default=0)
        return "\n".join(f"{name:{width}}  {r['status']:7}  {r['seconds']:6.1f} s  {r['line'][:160]}"
                         for name, r in self.results.items())

    def failed(self):
        return [name for name, r in self.results.items() if r["status"] == FAILED]
