"""The report of compare.py, in Markdown."""
import datetime
import os
import platform
import shlex
import statistics
import subprocess

import chart

# What decides which kernels run.
FLAGS = ["avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16"]


def cpuinfo(field):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == field:
                return value.strip()
    return ""


def memory_bytes():
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def output(*command):
    try:
        return subprocess.run([str(c) for c in command], capture_output=True, text=True,
                              check=False).stdout.strip()
    except OSError:
        return ""


def peers(options):
    if options.transformers:
        code = "import torch, transformers; print(f'transformers {transformers.__version__}, torch {torch.__version__}')"
        yield output(options.transformers, "-c", code) + " (eager, sdpa attention)"
    if options.llama_cpp:
        yield f"llama.cpp: `{options.llama_cpp}`"


def table(header, rows):
    yield "| " + " | ".join(header) + " |"
    yield "|" + " --- |" * len(header)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def pair(result, side):
    if side not in result.rates:
        return "–"
    return f"{number(result.best(side))} / {number(result.median(side))}"


def ratio(a, a_side, b, b_side):
    if a_side not in a.rates or b_side not in b.rates:
        return "–"
    return (f"{a.best(a_side) / b.best(b_side):.2f} / "
            f"{a.median(a_side) / b.median(b_side):.2f}")


def fraction(result):
    if not result.fractions:
        return "–"
    return f"{max(result.fractions):.0%} / {statistics.median(result.fractions):.0%}"


def rates(results):
    names = [n for n in ("drun", "transformers", "llama.cpp")
             if any(n in r.rates for r in results)]
    header = ["ranks x threads", *(f"{n}, tokens/s" for n in names), *(f"over {n}" for n in names[1:]),
              "of the machine's limit", "others' load, repeated"]
    rows = []
    for r in results:
        load = f"{max(r.loads):.2f}" if r.loads else "–"
        again = f", {r.repeated}" + (f" ({r.disturbed} of {len(r.loads)} rounds disturbed)"
                                     if r.disturbed else "")
        rows.append([f"{r.case.name}, {r.case.split}", *(pair(r, n) for n in names),
                     *(ratio(r, "drun", r, n) for n in names[1:]), fraction(r), load + again])
    return table(["case, " + header[0], *header[1:]], rows)


def variants(results):
    """Ours against ours: the ranks against one process, twice as many ranks against those, and one order of sums
    against the fastest one."""
    if not results:
        return
    one, ranks, crowded, invariant = names = results[0].sides
    ratios = [(ranks, one), (crowded, ranks), (invariant, one)]
    yield from table(["case", *(f"{n}, tokens/s" for n in names), *(f"{a} over {b}" for a, b in ratios)],
                     [[r.case.name, *(pair(r, n) for n in names), *(ratio(r, a, r, b) for a, b in ratios)]
                      for r in results])


def step_tables(results):
    for r in results:
        if r.shares is None:
            continue
        kinds, whole = r.shares
        rows = [[kind, f"{s.seconds * 1e3:.2f}", f"{s.seconds / whole.seconds:.0%}",
                 f"{s.bytes / 1e6:.1f}" if s.bytes else "", f"{s.flops / 1e9:.2f}" if s.flops else "",
                 f"{s.fraction:.0%}" if s.limit else ""]
                for kind, s in sorted(kinds.items(), key=lambda item: -item[1].seconds)]
        rows.append(["**step**", f"{whole.seconds * 1e3:.2f}", "100%", f"{whole.bytes / 1e6:.1f}",
                     f"{whole.flops / 1e9:.2f}", f"{whole.fraction:.0%}"])
        yield f"A step of {r.case.name}, {r.case.split}:"
        yield ""
        yield from table(["op", "ms", "of the step", "MB", "GFLOP", "of the limit"], rows)


def charts(measured, stem):
    """(file name, SVG) of each shape that has single forward passes: medians."""
    for name, results in measured:
        passes = [(f"{r.case.name.removeprefix('forward ')}, {r.case.split}",
                   {side: r.median(side) for side in r.rates}) for r in results.get("forward", ()) if r.rates]
        if passes:
            yield (f"{stem}-{name}-forward.svg",
                   chart.svg(f"{name}: a forward pass of 512 tokens a sequence, tokens/s", passes))


def of_machines(machines):
    """The best and the median of what was measured between the rounds."""
    def both(key, digits=0):
        values = [m[key] / 1e9 for m in machines]
        return f"{max(values):.{digits}f} / {statistics.median(values):.{digits}f}"
    return (f"This machine meanwhile, {machines[0]['threads']} threads, {machines[0]['instructions']}: reads "
            f"{both('read_bytes_per_s', 1)} GB/s; products in registers {both('f32_flops_per_s')} GFLOP/s "
            f"f32, {both('bf16_flops_per_s')} GFLOP/s bf16.")


def of_shape(name, groups, chart_name):
    """groups: results by --cases."""
    results = [r for group in groups.values() for r in group]
    with_peers = [r for name, group in groups.items() if name != "variants" for r in group]
    yield f"## {name}"
    yield ""
    machines = [m for result in results for m in result.machines]
    if machines:
        yield of_machines(machines)
        yield ""
    if with_peers:
        yield from rates(with_peers)
    if chart_name:
        yield f"![a forward pass]({chart_name})"
        yield ""
    yield from variants(groups.get("variants"))
    yield from step_tables(results)
    for result in results:
        for problem in result.problems:
            yield f"- {result.case.name}, {result.case.split}: {' '.join(problem.split())[:300]}"
    yield ""


def markdown(measured, options, arguments):
    flags = set(cpuinfo("flags").split())
    lines = [
        "# drun on CPUs", "",
        f"{datetime.date.today()}, {cpuinfo('model name') or platform.machine()}, {os.cpu_count()} cores "
        f"({', '.join(f for f in FLAGS if f in flags) or 'none of the vector flags we look for'}), "
        f"{memory_bytes() / 2**30:.0f} GiB, "
        f"Linux {platform.release()}; commit {output('git', 'rev-parse', '--short', 'HEAD')}.",
        *(f"Against {peer}." for peer in peers(options)), "",
        "```sh", "benchmarks/cpu/compare.py " + shlex.join(arguments), "```", "",
        f"{options.dtype}, random weights, {options.rounds} rounds in turns; a cell has the best and the "
        "median, a ratio that of the bests and that of the medians. Load: cores that other processes kept "
        f"busy, the most of any round; above {options.max_load} a round is repeated. The limit of an op is "
        "what its bytes take at the measured bandwidth or its operations at the measured peak, whichever "
        "is longer; a step's is their sum. The machine is measured once in each round, and a rate is compared "
        "with what was measured in its own. Bytes are weights and KV, of experts those that tokens can ask "
        "for at most.", ""]
    pictures = [name for name, _ in charts(measured, options.out.stem)] if options.out else []
    for name, results in measured:
        chart_name = next((p for p in pictures if p.endswith(f"-{name}-forward.svg")), None)
        lines += of_shape(name, results, chart_name)
    return "\n".join(lines).rstrip() + "\n"
