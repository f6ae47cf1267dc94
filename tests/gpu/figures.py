"""The benchmarks' step: compare.py, with what it had measured when its time was over."""
import json

from steps import run


def kept(case):
    """How many of its promises a case keeps by its median, and how many were measured."""
    measured = [(case["figures"][name]["median"], least) for name, least in case["promised"].items()
                if name in case["figures"]]
    return sum(value >= least for value, least in measured), len(measured)


def benchmarks(command, file, env):
    """A step: passes where every case was measured, whatever the figures are: they are for people to judge."""
    def step(clock):
        done = run(command, clock.left(), env)
        figures = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        counts = [kept(case) for case in figures.values()]
        line = (f"{len(figures)} cases measured, {sum(k for k, _ in counts)} of {sum(m for _, m in counts)} "
                "promises that were measured kept")
        problems = [f"{name}: {p}" for name, case in figures.items() for p in case["problems"]]
        if done.status != 0:
            line += "; " + done.tail()
        elif problems:
            line += f"; {len(problems)} sides failed, the first: {problems[0][:200]}"
        return done.status == 0, line, figures
    return step
