#!/usr/bin/env python3
"""Compiles, for gpu-check, what it runs: make_plans.py OUT [MODEL...], with dcc from DCC_BIN.

Every golden model at each degree as its tests want it, and what benchmarks/cuda measures; with models named, those
alone. Plans that are there already stay.
"""
import json
import os
import pathlib
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "models"), str(HERE.parents[1] / "benchmarks/cuda")]


def options_of(golden):
    """Of the plans that the test wants."""
    degree = ["--tp", str(golden.tp)]
    whole, half = ["--dtype", "f32", *degree], [*degree, "--dtype", "bf16"]
    return {"golden_test.py": [whole, [*whole, "--max-tokens", "8"]], "half_test.py": [half],
            "encode_test.py": [whole, half]}[golden.script]


def drop_ir(plan):
    """What people read of a plan, they find where it was made; here it would be most of all bytes."""
    shutil.rmtree(plan / "ir", ignore_errors=True)
    manifest = plan / "manifest.json"
    said = json.loads(manifest.read_text(encoding="utf-8"))
    said["files"] = [name for name in said["files"] if not name.startswith("ir/")]
    manifest.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def main(out, models):
    out = pathlib.Path(out).resolve()
    os.environ |= {"DCC_PLANS": str(out), "DCC_TARGET": "cuda"}
    # Both read the environment when they are imported.
    import cases
    import goldens
    import harness
    import start

    class Compiler(harness.EndToEnd):
        scratch, checkpoints = out, {}
    for model in models or goldens.golden_models():
        for tp in goldens.DEGREES:
            for golden in goldens.goldens_of(model, tp):
                for options in options_of(golden):
                    Compiler.compile(harness.model_dir(model), "", *options)

    def compile_to(name, model, options):
        done = harness.run("dcc", "compile", model, "-o", out / name, *options)
        if done.status != 0:
            sys.exit(str(done))
    if not models:
        for name, (shape, sizes) in cases.PLANS.items():
            compile_to(name, cases.SHAPES / shape, [*cases.COMMON, *sizes])
        with tempfile.TemporaryDirectory() as scratch:
            checkpoint = pathlib.Path(scratch)
            start.write_checkpoint(cases.SHAPES / "llama-3.2-1b", checkpoint, False)
            compile_to("start", checkpoint, ["--target", "cuda", "--max-seqs", "1", "--max-seq-len", "64"])
    for plan in out.iterdir():
        drop_ir(plan)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
