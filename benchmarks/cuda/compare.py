#!/usr/bin/env python3
"""How fast drun is on one GPU, against transformers (eager and compiled) and against what the GPU reaches, on shapes of
published models with random weights. All sides of a case run in turns on the same GPU. Writes figures as JSON, after
each case, and a report.

  compare.py --transformers python3 --json figures.json --out benchmarks/results/cuda.md

Plans are taken from --plans, by the names in cases.py, and compiled by --dcc where they are not there.
"""
import argparse
import json
import os
import pathlib
import signal
import statistics
import sys
import tempfile

import cases
import report

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks/cpu"))
import sides  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


class Drun:
    """`drun bench`: a new process for each run, which warms up by itself."""
    name = "drun"

    def __init__(self, options):
        self.options = options
        self.last = None  # all that bench said

    def plan(self, name):
        out = self.options.plans / name
        if not (out / "manifest.json").exists():
            shape, sizes = cases.PLANS[name]
            sides.checked([self.options.dcc, "compile", cases.SHAPES / shape, *cases.COMMON, *sizes, "-o", out])
        return out

    def run(self, case, *more):
        out = sides.checked([self.options.drun, self.plan(case.plan), "bench", "--json", "--batch", case.batch,
                             "--prompt-tokens", case.prompt_tokens, "--new-tokens", case.new_tokens, *more])
        self.last = json.loads(out.splitlines()[-1])
        return self.last

    def tune(self, name):
        sides.checked([self.options.drun, self.plan(name), "tune"])


class Torch(sides.Transformers):
    """worker.py: one process per shape and mode, which stays between measurements."""

    def __init__(self, options, shape, mode, scratch):
        self.python, self.shape, self.name = options.transformers, cases.SHAPES / shape, mode
        self.scratch, self.running, self.warm = pathlib.Path(scratch), {}, set()

    def command(self, ranks, threads, name):
        return [self.python, HERE / "worker.py", self.shape, self.name, name]

    def run(self, case):
        if self.name == "limits":
            return self.request(case, {})
        if case not in self.warm:
            self.request(case, case.request())
            self.warm.add(case)
        return self.request(case, case.request())

    def request(self, case, what):
        key = case.ranks, case.threads
        if key not in self.running:
            self.running[key] = self.start(*key)
        return self.ask_for(key, what)


class Sides:
    """Those of a case. Of the peers those of one shape at a time have their weights on the GPU."""

    def __init__(self, options, scratch):
        self.options, self.scratch, self.drun, self.shape = options, scratch, Drun(options), None
        self.torch = {}
        self.limits = Torch(options, "llama-3-8b", "limits", scratch) if options.transformers else None

    def of(self, case):
        if case.shape != self.shape:
            self.close_models()
            self.shape = case.shape
        peers = []
        for mode in case.peers if self.options.transformers else ():
            if mode not in self.torch:
                self.torch[mode] = Torch(self.options, case.shape, mode, self.scratch)
            peers.append(self.torch[mode])
        return [self.drun, *peers]

    def close_models(self):
        for side in self.torch.values():
            side.close()
        self.torch.clear()

    def close(self):
        self.close_models()
        if self.limits:
            self.limits.close()


def fractions(case, config, ours, limits):
    """Of the GPU's limits, in one round; the faster of two copies where both were measured."""
    if case.metric == "decode_tokens_per_s":
        copies = [limits.get("copy_bytes_per_s") or 0, ours.get("memory_bandwidth_bytes_per_s") or 0]
        moved = cases.decode_bytes(config, case, ours["weight_bytes_per_token"])
        rate = moved * ours[case.metric] / case.batch
        host = ours.get("host_p50_s")
        return ({"bytes_per_s": rate} | ({"of_copy_bandwidth": rate / max(copies)} if max(copies) else {})
                | ({"host_us": host * 1e6} if host else {}))
    rate = cases.prefill_flops(config, case) * ours[case.metric] / (case.batch * case.prompt_tokens)
    peak = limits.get("gemm_flops_per_s")
    return {"flops_per_s": rate} | ({"of_gemm_rate": rate / peak} if peak else {})


def measure(case, everyone, options):
    """{"rates": side -> [per round], "rounds": [fractions and limits], "figures": name -> best and median}"""
    rates, rounds, problems = {}, [], []
    running = list(everyone.of(case))
    for _ in range(options.rounds):
        said = {}
        for side in list(running):
            try:
                said[side.name] = side.run(case)
            except (sides.Failed, OSError, ValueError) as problem:
                problems.append(f"{side.name}: {problem}")
                running.remove(side)
                continue
            rates.setdefault(side.name, []).append(said[side.name][case.metric])
        if "drun" in said:
            limits = limits_of(everyone, case, problems)
            rounds.append(limits | fractions(case, cases.config_of(case.shape), said["drun"], limits))
        if not running or everyone.drun not in running:
            break
    found = figures(rates, rounds)
    kept = {name: cases.keeps(name, found[name]["median"], bound) for name, bound in case.promised if name in found}
    return {"rates": rates, "rounds": rounds, "figures": found, "problems": problems,
            "promised": dict(case.promised), "kept": kept, "bench": everyone.drun.last}


def limits_of(everyone, case, problems):
    if everyone.limits is None:
        return {}
    try:
        return everyone.limits.run(case)
    except (sides.Failed, OSError, ValueError) as problem:
        problems.append(f"limits: {problem}")
        everyone.limits.close()
        everyone.limits = None
        return {}


def figures(rates, rounds):
    """Best and median over the rounds: ratios of the sides' bests and medians, fractions round by round."""
    found = {}
    for side, values in rates.items():
        found[side] = {"best": max(values), "median": statistics.median(values)}
        if side != "drun" and "drun" in rates:
            found["over_" + side] = {"best": max(rates["drun"]) / max(values),
                                     "median": statistics.median(rates["drun"]) / statistics.median(values)}
    for name, best in (("of_copy_bandwidth", max), ("of_gemm_rate", max), ("host_us", min)):
        values = [r[name] for r in rounds if name in r]
        if values:
            found[name] = {"best": best(values), "median": statistics.median(values)}
    return found


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    path = pathlib.Path
    # Absolute, so that nothing is looked for in PATH; not resolved: a virtual environment's Python is a link.
    program = lambda text: path(os.path.abspath(text))  # noqa: E731
    parser.add_argument("--drun", type=program, default=ROOT / "build/bin/drun")
    parser.add_argument("--dcc", type=program, default=ROOT / "build/bin/dcc")
    parser.add_argument("--plans", type=path, metavar="DIR", help="where plans lie (default: compiled and dropped)")
    parser.add_argument("--transformers", metavar="PYTHON", help="a Python that has torch and transformers")
    parser.add_argument("--cases", default="", metavar="TEXT", help="those whose names have this (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tune", action="store_true", help="drun tune before, of each plan")
    parser.add_argument("--json", type=path, help="the figures (default: stdout)")
    parser.add_argument("--out", type=path, help="the report, in Markdown")
    options = parser.parse_args(arguments)
    options.wanted = [case for case in cases.CASES if options.cases in case.name]
    if not options.wanted:
        parser.error(f"--cases: none has {options.cases!r}; there are " + "; ".join(c.name for c in cases.CASES))
    if options.rounds < 1:
        parser.error("--rounds: at least one")
    return options


def main(arguments):
    options = parse(arguments)
    # However it ends, peers end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results, tuned = {}, set()
    with tempfile.TemporaryDirectory(prefix="compare-") as scratch:
        options.plans = options.plans or pathlib.Path(scratch)
        everyone = Sides(options, scratch)
        try:
            for case in options.wanted:
                print(case.name, file=sys.stderr, flush=True)
                untuned = []
                if options.tune and case.plan not in tuned:
                    tuned.add(case.plan)
                    try:
                        everyone.drun.tune(case.plan)
                    except sides.Failed as problem:
                        untuned.append(f"tune: {problem}")
                results[case.name] = measure(case, everyone, options)
                results[case.name]["problems"] += untuned
                if options.json:
                    options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        finally:
            everyone.close()
    if options.out:
        options.out.write_text(report.markdown(results, options, arguments), encoding="utf-8")
    if not options.json:
        print(json.dumps(results, indent=1))
    # A side that failed is told of in the figures; without any figure of ours nothing was measured.
    if not all("drun" in result["figures"] for result in results.values()):
        sys.exit("error: drun failed in " + "; ".join(n for n, r in results.items() if "drun" not in r["figures"]))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (sides.Failed, ValueError) as error:
        sys.exit(f"error: {error}")
