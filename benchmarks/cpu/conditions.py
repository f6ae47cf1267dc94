#!/usr/bin/env python3
"""How fast drun is where conditions are not those of compare.py: beside a busy process, from the start to the
first token, and with two ranks that only a network connects. Prints a report in Markdown.

  conditions.py [busy] [start] [network]      all, unless some are named

start writes a checkpoint of random weights, which needs --transformers; network needs root.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import compare
import sides

PEAK = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"""  # of the largest process
SPINS = "import os\nos.sched_setaffinity(0, [{core}])\nwhile True: pass\n"
ADDRESSES = ["10.231.77.1", "10.231.77.2"]
PORT = 29611


def decoding(ranks):
    return next(c for c in compare.cases(2)["decode"] if c.ranks == ranks and c.batch == 1)


def pair(values, best=max, digits=2):
    return f"{best(values):.{digits}f} / {statistics.median(values):.{digits}f}"


@contextlib.contextmanager
def busy_core():
    with subprocess.Popen([sys.executable, "-c", SPINS.format(core=max(os.sched_getaffinity(0)))]) as spinner:
        try:
            yield
        finally:
            spinner.kill()


def busy(drun, options):
    """Decoding with all cores, alone and with a process that never sleeps on one of them."""
    case, alone, beside = decoding(1), [], []
    for _ in range(options.rounds):
        alone.append(drun.run(case)[case.metric])
        with busy_core():
            beside.append(drun.run(case)[case.metric])
    ratio = [b / a for a, b in zip(alone, beside)]
    yield f"Decoding, tokens/s, best / median: alone {pair(alone, digits=1)}, one core busy "
    yield f"{pair(beside, digits=1)}; of its speed {pair(ratio)}."


def start(drun, options):
    """From the command to its end, with one token; the weights are in the page cache."""
    if not options.transformers:
        raise sides.Failed("start needs --transformers, which writes the checkpoint")
    directory = sides.Transformers(options, drun.shape, drun.scratch).checkpoint()
    plan, prompts = drun.scratch / "start", drun.scratch / "prompt.jsonl"
    sides.checked([options.bin / "dcc", "compile", directory, "--dtype", options.dtype, "--max-seq-len", 512, "-o",
                   plan])
    prompts.write_text('{"input_ids": [1, 2, 3, 4, 5, 6, 7, 8]}\n', encoding="utf-8")
    command = [options.bin / "drun", plan, "--input", prompts, "--max-new-tokens", 1, "--json"]
    peak = int(sides.checked([sys.executable, "-c", PEAK, *command]))
    seconds = []
    for _ in range(options.rounds):
        begin = time.monotonic()
        sides.checked(command)
        seconds.append(time.monotonic() - begin)
    explained = json.loads(sides.checked([options.bin / "dcc", "explain", plan, "--json"]))
    stated = explained["memory"][0]["together"]
    yield f"From the command to the end of its first token, seconds, best / median: {pair(seconds, min)}. "
    yield f"Its plan states {stated / 2**20:.0f} MiB of memory; it takes {peak / 2**20:.0f} MiB."


class Hosts:
    """Two network namespaces with a cable between them."""
    NAMES = ["dcc-bench-0", "dcc-bench-1"]

    def __enter__(self):
        self.close()
        for name in self.NAMES:
            sides.checked(["ip", "netns", "add", name])
        sides.checked(["ip", "link", "add", "dccb0", "netns", self.NAMES[0], "type", "veth", "peer", "name", "dccb1",
                       "netns", self.NAMES[1]])
        for i, name in enumerate(self.NAMES):
            sides.checked(["ip", "-n", name, "addr", "add", ADDRESSES[i] + "/24", "dev", f"dccb{i}"])
            for device in ("lo", f"dccb{i}"):
                sides.checked(["ip", "-n", name, "link", "set", device, "up"])
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for name in self.NAMES:
            subprocess.run(["ip", "netns", "delete", name], check=False, stderr=subprocess.DEVNULL)

    def both(self, first, second):
        """Runs a command on each; what the first printed."""
        prefix = [["ip", "netns", "exec", name] for name in self.NAMES]
        with subprocess.Popen(prefix[1] + [str(c) for c in second], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL) as other:
            try:
                return sides.checked(prefix[0] + first)
            finally:
                other.wait(60)


def network(drun, options):
    """What a token costs more if its two ranks' sums cross a network, in trips of that network."""
    case = decoding(2)
    plan = drun.plan(case)
    explained = json.loads(sides.checked([options.bin / "dcc", "explain", plan, "--json"]))
    entry = next(e for e in explained["entries"] if e["name"] == "decode")
    collectives = entry["collectives"]
    bench = [options.bin / "drun", plan, "bench", "--json", "--threads", case.threads, "--prompt-tokens",
             case.prompt_tokens, "--new-tokens", case.new_tokens]

    def rank(number):
        variables = {"RANK": number, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "MASTER_ADDR": ADDRESSES[0],
                     "MASTER_PORT": PORT}
        return ["env", *(f"{k}={v}" for k, v in variables.items()), "taskset", "-c", number, *bench]
    near, far, trips = [], [], []
    with Hosts() as hosts:
        for _ in range(options.rounds):
            near.append(1e6 / drun.run(case)[case.metric])
            said = hosts.both(rank(0), rank(1))
            far.append(1e6 / json.loads(said.splitlines()[-1])[case.metric])
            program = options.bin / "collectives_bench"
            text = hosts.both([program, "--listen", PORT + 5], [program, "--connect", ADDRESSES[0], PORT + 5])
            trips.append(float(re.search(r"there\+back +4096 +([\d.]+)", text).group(1)))
    ratio = [(f - n) / (collectives * t) for n, f, t in zip(near, far, trips)]
    yield f"A token of two ranks, us, best / median: shared memory {pair(near, min, 0)}, over TCP "
    yield f"between two network namespaces {pair(far, min, 0)}. {collectives} collectives; 4 KiB there "
    yield f"and back take {pair(trips, min)} us; the time added is {pair(ratio, min)} of that."


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("what", nargs="*", help="busy, start, network")
    parser.add_argument("--bin", type=pathlib.Path, default=compare.ROOT / "build/bin", help="our programs")
    parser.add_argument("--transformers", metavar="PYTHON", help="a Python that has transformers")
    parser.add_argument("--shape", default="tinyllama-1.1b", help=f"of {compare.SHAPES}, or a directory")
    parser.add_argument("--dtype", default="bf16", choices=["bf16", "f16", "f32"])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    known = {"busy": busy, "start": start, "network": network}
    if set(options.what) - set(known):
        parser.error(f"there are {', '.join(known)}")
    with tempfile.TemporaryDirectory(prefix="conditions-") as scratch:
        named = compare.SHAPES / options.shape
        shape = named if named.exists() else pathlib.Path(options.shape)
        drun = sides.Drun(options, shape, scratch)
        for name in options.what or known:
            print(f"- {name}, {shape.name}, {options.dtype}: {''.join(known[name](drun, options))}", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except sides.Failed as error:
        sys.exit(f"error: {error}")
