#!/usr/bin/env python3
"""How fast drun is against its peers and against the machine, on shapes of published models with random
weights. All sides of a comparison run in turns (A B A B ...), so that what disturbs one disturbs the other;
a round in which other processes took more of the cores than --max-load is repeated. Writes a report.

  compare.py --transformers VENV/bin/python --out benchmarks/results/cpu.md
  compare.py --llama-cpp llama-bench --gguf DIR --shapes tinyllama-1.1b --cases decode

Needs `dcc`, `drun` and `machine_bench` (ninja machine_bench) in --bin.
"""
import argparse
import dataclasses
import json
import pathlib
import signal
import statistics
import sys
import tempfile

import report
import shares
import sides
from load import Load

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHAPES = ROOT / "benchmarks/shapes"
USUAL_SHAPES = "qwen2.5-0.5b,tinyllama-1.1b,llama-3.2-1b"


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    metric: str  # which rate of a run is compared
    batch: int
    prompt_tokens: int
    new_tokens: int
    ranks: int
    threads: int  # of each rank

    @property
    def split(self):
        return f"{self.ranks} x {self.threads}"


def cases(cores):
    """By group, as --cases names them. With two cores or more also one rank for each of two halves."""
    whole, halves = (1, cores), (2, cores // 2)
    splits = [whole] + ([halves] if cores > 1 else [])

    def each(name, metric, batch, prompt, new, on):
        return [Case(name, metric + "_tokens_per_s", batch, prompt, new, *split) for split in on]
    return {
        "decode": each("decode, batch 1", "decode", 1, 16, 65, splits)
        + each("decode, batch 8", "decode", 8, 16, 33, [whole]),
        "prefill": each("prefill 512", "prefill", 1, 512, 2, splits),
        "context": each("prefill 4096", "prefill", 1, 4096, 2, [whole])
        + each("decode at 4k", "decode", 1, 4096, 17, [whole])
        + each("decode at 16k", "decode", 1, 16384, 17, [whole]),
        # A forward pass as a chart of transformers' documentation has it.
        "forward": [c for batch in (1, 4, 16)
                    for c in each(f"forward 512, batch {batch}", "prefill", batch, 512, 2, splits)],
        # Ours against ours: variants().
        "variants": each("decode, batch 1", "decode", 1, 16, 65, [whole])
        + each("prefill 512", "prefill", 1, 512, 2, [whole]) if cores > 1 else [],
    }


def variants(options, shape, scratch):
    """The ways to run a model here: one process, a rank per core, twice as many, and with sums in one order."""
    cores = options.threads

    def ours(name, ranks, threads, *flags):
        return sides.Drun(options, shape, scratch, name=name, split=(ranks, threads), flags=flags)
    return [ours(f"1 x {cores}", 1, cores), ours(f"{cores} x 1", cores, 1), ours(f"{2 * cores} x 1", 2 * cores, 1),
            ours(f"1 x {cores}, invariant", 1, cores, "--numerics", "invariant")]


@dataclasses.dataclass
class Result:
    """Tokens per second of each side in each undisturbed round, and how many cores others took."""
    case: Case
    sides: list  # their names
    rates: dict = dataclasses.field(default_factory=dict)  # side -> [rate, ...]
    loads: list = dataclasses.field(default_factory=list)
    repeated: int = 0
    disturbed: int = 0  # rounds that are in it although others ran
    problems: list = dataclasses.field(default_factory=list)
    machines: list = dataclasses.field(default_factory=list)  # what machine_bench said in each round
    shares: tuple = None  # of our step: shares.shares()
    fractions: list = dataclasses.field(default_factory=list)  # of the machine's limit, ours in each round

    def machine(self):
        """The best of what was measured."""
        return {**self.machines[0], **{key: max(m[key] for m in self.machines) for key in
                                       ("read_bytes_per_s", "f32_flops_per_s", "bf16_flops_per_s")}}

    def best(self, side):
        return max(self.rates[side])

    def median(self, side):
        return statistics.median(self.rates[side])


def one_round(case, running, first, problems):
    """The rates of each side, one after the other from the one at place `first` on: some machines are fast after a
    rest, and so for one side only. One that fails is out of the rounds that follow."""
    rates = {}
    for side in running[first:] + running[:first]:
        try:
            rate = side.run(case).get(case.metric)
        except sides.Failed as problem:
            problems.append(f"{side.name}: {problem}")
            running.remove(side)
            continue
        if rate:
            rates[side.name] = rate
    return rates


def compare(case, all_sides, options):
    result, running = Result(case, [side.name for side in all_sides]), list(all_sides)
    repeats = options.repeats
    # Peers need about what we do, and keep it between their turns.
    try:
        needed, there = all_sides[0].bytes_needed(case) * len(all_sides), report.memory_bytes()
    except sides.Failed as problem:
        result.problems.append(f"{all_sides[0].name}: {problem}")
        return result
    if needed > 0.9 * there:
        result.problems.append(f"left out: all sides need {needed / 1e9:.1f} GB, the machine has "
                               f"{there / 1e9:.1f} GB")
        return result
    while len(result.loads) < options.rounds and running:
        with Load() as load:
            # In turn with the others: on a machine that is shared its limits change too.
            limits = machine(options)
            first = (len(result.loads) + result.repeated) % len(running)
            rates = one_round(case, running, first, result.problems)
        if all_sides[0].name in rates:
            # Of the memory that its weights are in, which is what it can be held to.
            limits["read_bytes_per_s"] = all_sides[0].last["memory_bandwidth_bytes_per_s"]
        if load.cores > options.max_load and repeats > 0:
            repeats -= 1
            result.repeated += 1
            continue
        result.disturbed += load.cores > options.max_load
        result.loads.append(load.cores)
        result.machines.append(limits)
        for name, rate in rates.items():
            result.rates.setdefault(name, []).append(rate)
        print(".", end="", file=sys.stderr, flush=True)
    return result


def of_the_machine(result, drun, dtype):
    """What a trace of the case says, which is made once and not timed against anybody."""
    case = result.case
    entry = "decode" if case.metric.startswith("decode") else "prefill"
    read = shares.read(drun.trace(case), entry)
    tokens = case.batch if entry == "decode" else case.batch * case.prompt_tokens / read.count

    def of(measured):
        peak = measured["bf16_flops_per_s" if dtype == "bf16" else "f32_flops_per_s"]
        return shares.shares_of(read, shares.Limits(measured["read_bytes_per_s"], peak))
    result.shares = of(result.machine())
    result.fractions = [of(measured)[1].limit * rate / tokens
                        for measured, rate in zip(result.machines, result.rates["drun"])]


def fits(shape, case):
    config = json.loads((shape / "config.json").read_text(encoding="utf-8"))
    return case.prompt_tokens + case.new_tokens <= config["max_position_embeddings"]


def machine(options):
    return json.loads(sides.checked([options.bin / "machine_bench", "--threads", options.threads]))


def measure_shape(shape, wanted, options, scratch):
    """Results by --cases."""
    everyone = [sides.Drun(options, shape, scratch)]
    if options.transformers:
        everyone.append(sides.Transformers(options, shape, scratch))
    if options.llama_cpp:
        everyone.append(sides.LlamaCpp(options, shape, scratch))
    ourselves = variants(options, shape, scratch)
    results = {}
    try:
        # A peer keeps its process as long as the split is the same.
        for group, case in sorted(wanted, key=lambda c: (c[0] == "variants", c[1].ranks)):
            if not fits(shape, case):
                continue
            print(f"{shape.name}, {case.name}, {case.split} ", end="", file=sys.stderr, flush=True)
            result = compare(case, ourselves if group == "variants" else everyone, options)
            results.setdefault(group, []).append(result)
            print(file=sys.stderr)
    finally:
        for side in everyone:
            side.close()
    for group in results.values():
        for result in group:
            if result.rates.get("drun"):
                of_the_machine(result, everyone[0], options.dtype)
    return results


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    path = pathlib.Path
    parser.add_argument("--bin", type=path, default=ROOT / "build/bin", help="where our programs are")
    parser.add_argument("--transformers", metavar="PYTHON", help="a Python that has transformers")
    parser.add_argument("--llama-cpp", type=path, metavar="LLAMA_BENCH", help="llama.cpp's llama-bench")
    parser.add_argument("--gguf", type=path, metavar="DIR", help="SHAPE.gguf for llama.cpp, bf16")
    parser.add_argument("--shapes", default=USUAL_SHAPES, help=f"of {SHAPES}, or directories")
    parser.add_argument("--cases", default="decode,prefill,context,forward,variants")
    parser.add_argument("--only", metavar="TEXT", default="", help="of them those whose names have this")
    parser.add_argument("--dtype", default="bf16", choices=["bf16", "f16", "f32"])
    parser.add_argument("--threads", type=int, default=2, help="of all ranks together")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--max-load", type=float, default=0.1, metavar="CORES",
                        help="what others may take in a round")
    parser.add_argument("--repeats", type=int, default=14, help="of disturbed rounds, per case")
    parser.add_argument("--out", type=path, default=None, help="the report, charts beside it (default: stdout)")
    options = parser.parse_args(arguments)
    if options.llama_cpp and not options.gguf:
        parser.error("--llama-cpp: needs --gguf DIR with the models")
    groups = cases(options.threads)
    unknown = set(options.cases.split(",")) - set(groups)
    if unknown:
        parser.error(f"--cases: {', '.join(sorted(unknown))}; there are {', '.join(groups)}")
    options.wanted = [(name, case) for name in options.cases.split(",") for case in groups[name]
                      if options.only in case.name]
    options.paths = [SHAPES / s if (SHAPES / s).exists() else path(s) for s in options.shapes.split(",")]
    for shape in options.paths:
        if not (shape / "config.json").exists():
            parser.error(f"--shapes: {shape} has no config.json")
    return options


def main(arguments):
    options = parse(arguments)
    # However it ends, peers end with it and what they had on disk is gone.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    measured = []
    with tempfile.TemporaryDirectory(prefix="compare-") as scratch:
        for shape in options.paths:
            measured.append((shape.name, measure_shape(shape, options.wanted, options, scratch)))
    text = report.markdown(measured, options, arguments)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
        for name, picture in report.charts(measured, options.out.stem):
            (options.out.parent / name).write_text(picture, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (sides.Failed, ValueError) as error:
        sys.exit(f"error: {error}")
