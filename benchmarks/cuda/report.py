"""The report of compare.py, in Markdown."""
import datetime
import shlex
import subprocess

NAMES = {"of_copy_bandwidth": "of the copy bandwidth", "of_gemm_rate": "of the bf16 product rate",
         "over_eager": "over transformers eager", "over_compiled": "over torch.compile",
         "host_us": "of the host's time a step"}


def gpu():
    try:
        done = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
                              capture_output=True, text=True, check=False)
    except OSError:
        return "no nvidia-smi here"
    return done.stdout.strip().replace("\n", "; ") or "no GPU"


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def shown(name, x):
    return f"{x:.0%}" if name.startswith("of_") else number(x)


def pair(result, name):
    figure = result["figures"].get(name)
    return f"{shown(name, figure['best'])} / {shown(name, figure['median'])}" if figure else "–"


def promise(result):
    """Whether the medians keep what is promised."""
    kept = []
    for name, bound in result["promised"].items():
        wanted = f"{bound:.1f}x" if name.startswith("over_") else f"{bound} µs" if name.endswith("_us") else \
            shown(name, bound)
        word = {True: "kept", False: "**missed**", None: "not measured"}[result["kept"].get(name)]
        kept.append(f"{wanted} {NAMES[name]}: {word}")
    return "; ".join(kept)


def markdown(results, options, arguments):
    columns = ["drun", "eager", "compiled", "over_eager", "over_compiled", "of_copy_bandwidth", "of_gemm_rate",
               "host_us"]
    limits = [r for result in results.values() for r in result["rounds"] if "copy_bytes_per_s" in r]
    lines = ["# drun on a GPU", "", f"{datetime.date.today()}, {gpu()}.", "", "```sh",
             "benchmarks/cuda/compare.py " + shlex.join(arguments), "```", "",
             f"bf16, random weights, {options.rounds} rounds in turns; a cell has the best and the median, in tokens/s "
             "as a ratio, or in microseconds. Bytes of a decode step: weights once (of experts those asked for), keys and values read "
             "and written; the limit is a copy's bytes read and written. Operations of a prompt: products with "
             "weights, attention, and the head for one token.", ""]
    if limits:
        lines += [f"The GPU meanwhile: copies {max(r['copy_bytes_per_s'] for r in limits) / 1e9:.0f} GB/s, products "
                  f"{max(r['gemm_flops_per_s'] for r in limits) / 1e12:.0f} TFLOP/s in bf16.", ""]
    lines += ["| case | " + " | ".join(NAMES.get(c, c) for c in columns) + " | promised |",
              "|" + " --- |" * (len(columns) + 2)]
    for name, result in results.items():
        lines.append("| " + " | ".join([name, *(pair(result, c) for c in columns), promise(result)]) + " |")
    problems = [f"- {name}: {' '.join(p.split())[:300]}" for name, r in results.items() for p in r["problems"]]
    return "\n".join(lines + [""] + problems).rstrip() + "\n"
