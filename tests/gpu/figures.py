"""The benchmarks' step: compare.py, with what it had measured when its time was over."""
import json

from steps import run


def benchmarks(command, file, env):
    """A step: passes where every case was measured, whatever the figures are: they are for people to judge."""
    def step(clock):
        done = run(command, clock.left(), env)
        figures = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        kept = [whether for case in figures.values() for whether in case["kept"].values()]
        line = f"{len(figures)} cases measured, {sum(kept)} of {len(kept)} promises that were measured kept"
        problems = [f"{name}: {p}" for name, case in figures.items() for p in case["problems"]]
        if done.status != 0:
            line += "; " + done.tail()
        elif problems:
            line += f"; {len(problems)} sides failed, the first: {problems[0][:200]}"
        return done.status == 0, line, figures
    return step
