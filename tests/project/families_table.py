#!/usr/bin/env python3
"""The README's table of families, from the tests that run: families_table.py BUILD [--write].

A family's row has the degrees at which its golden models are compared with transformers, in f32, with whole
experts, and in 16 bits. Without --write says whether the README has that table; status 1 when it has not.
"""
import collections
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BEGIN, END = "<!-- families: tests/project/families_table.py build --write -->\n", "<!-- end -->\n"


def architecture(model):
    for place in ("tests/models", "examples"):
        config = ROOT / place / model / "config.json"
        if config.exists():
            return json.loads(config.read_text())["architectures"][0]
    return None


def listed(numbers):
    return ", ".join(map(str, sorted(numbers))) or "—"


def table(build):
    tests = subprocess.run(["ctest", "--test-dir", build, "-N"], capture_output=True, text=True,
                           check=True).stdout
    tp, ep, half, models = (collections.defaultdict(set) for _ in range(4))
    for kind, model, whole, degree in re.findall(
            r"models\.(golden|half|encode)\.([\w-]+)\.tp(ep)?(\d+)$", tests, re.M):
        family = architecture(model)
        models[family].add(model)
        degrees = {"half": [half], "golden": [ep if whole else tp], "encode": [tp, half]}
        for where in degrees[kind]:
            where[family].add(int(degree))
    rows = ["| architecture | `--tp` | `--tp --expert-parallel` | 16 bits | golden models |",
            "| --- | --- | --- | --- | --- |"]
    for family in sorted(models, key=str.lower):
        rows.append(f"| {family} | {listed(tp[family])} | {listed(ep[family])} | {listed(half[family])} "
                    f"| {', '.join(sorted(models[family]))} |")
    return "\n".join(rows) + "\n"


def main():
    new = table(sys.argv[1])
    readme = README.read_text(encoding="utf-8")
    head, rest = readme.split(BEGIN)
    old, tail = rest.split(END)
    if "--write" in sys.argv:
        README.write_text(head + BEGIN + new + END + tail, encoding="utf-8")
    elif old != new:
        sys.exit("README.md: the table of families is not that of the tests; "
                 "tests/project/families_table.py build --write makes it")


if __name__ == "__main__":
    main()
