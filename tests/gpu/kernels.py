"""The unit tests of the device's kernels, alone and under compute-sanitizer, and those of its collectives."""
import concurrent.futures
import json
import os
import re
import tempfile

from steps import Skip, run

# Of a sanitizer that cannot look into this machine's driver or device; what it finds in kernels reads otherwise.
NO_SANITIZER = ("Device not supported", "Unable to find injection library", "not supported on this",
                "Failed to initialize", "LibraryNotLoaded")
TOOLS = ("memcheck", "racecheck")
SHARDS = 4


def unit_tests(program, env):
    """A step: every test of cuda_test."""
    def step(clock):
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            done = run([program, f"--gtest_output=json:{file.name}"], clock.left(), env)
            said = file.read()
        if not said:
            return False, done.tail(), {"output": done.tail(4000)}
        said = json.loads(said)
        bad = [f"{suite['name']}.{test['name']}" for suite in said["testsuites"]
               for test in suite["testsuite"] if test.get("failures")]
        skipped = [f"{suite['name']}.{test['name']}" for suite in said["testsuites"]
                   for test in suite["testsuite"] if test.get("result") == "SKIPPED"]
        line = f"{said['tests'] - len(bad) - len(skipped)} of {said['tests']} passed"
        line += f", {len(skipped)} skipped" if skipped else ""
        line += ": not " + ", ".join(bad) if bad else ""
        passed = done.status == 0 and not bad and said["tests"] > len(skipped)
        return passed, line, {"failed": bad, "skipped": skipped, "output": "" if passed else done.tail(4000)}
    return step


def sanitized(program, tool, env):
    """A step: the same tests under a tool of compute-sanitizer, cut in parts that run at a time."""
    def step(clock):
        def shard(index):
            parts = {"GTEST_TOTAL_SHARDS": str(SHARDS), "GTEST_SHARD_INDEX": str(index)}
            return run(["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", "--print-limit", "3", program],
                       clock.left(), {**env, **parts})
        with concurrent.futures.ThreadPoolExecutor(SHARDS) as pool:
            parts = list(pool.map(shard, range(SHARDS)))
        for part in parts:
            found = next((text for text in NO_SANITIZER if text in part.out + part.err), None)
            if found:
                raise Skip(f"compute-sanitizer does not work here: {found}")
        bad = [part.tail() for part in parts if part.status != 0]
        tests = sum(map(int, re.findall(r"\[  PASSED  \] (\d+) test", "".join(part.out for part in parts))))
        line = f"{tests} tests without a finding" if not bad else bad[0]
        return not bad and tests > 0, line, {"tests": tests, "failed": bad}
    return step


def collectives(program, ranks, env):
    """A step: device_collectives by each transport, with what refused one. Its times are of ranks that share a GPU
    wherever there are fewer GPUs than ranks."""
    def step(clock):
        done = run([program, ranks, 1 << 20], clock.left(), env)
        rows = [json.loads(row) for row in done.out.splitlines() if row.startswith("{")]
        ways = sorted({row["via"] for row in rows if "us" in row})
        refused = {row["via"]: row["refused"] for row in rows if "refused" in row}
        line = "equal over " + ", ".join(ways) if done.status == 0 and ways else done.tail()
        if refused:
            line += "; refused: " + "; ".join(f"{via}: {why}" for via, why in refused.items())
        return done.status == 0 and bool(ways), line, {"rows": rows, "refused": refused}
    return step


def cores():
    return len(os.sched_getaffinity(0))
