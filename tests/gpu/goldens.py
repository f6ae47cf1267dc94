"""The golden models of tests/models through drun, several at a time: the same tests that compile and run plans on
CPUs, with plans that were compiled before."""
import concurrent.futures
import dataclasses
import json
import pathlib
import re
import sys

from steps import run

MODELS = pathlib.Path(__file__).resolve().parents[1] / "models"
BUNDLED = MODELS.parents[1] / "examples/shakespeare-llama"
DEGREES = (1, 2, 4)
# As tests/models/CMakeLists.txt has it: in 16 bits a token may go to another expert.
SPARSE = {"mixtral", "qwen2_moe", "qwen3_moe", "gpt_oss", "llama4_text", "deepseek_v3"}
# What collectives do does not depend on the family: these are run by the slower ways too.
FEW = ["llama3", "gemma2", "qwen3_moe", "deepseek_v3"]


def golden_models():
    """Names of all, the bundled one too."""
    found = [p.parent.name for p in MODELS.glob("*/golden.safetensors")]
    return sorted(found) + [BUNDLED.name]


def golden_tensors(model):
    """Names in golden.safetensors."""
    golden = (MODELS / model / "golden.safetensors") if model != BUNDLED.name else BUNDLED / "golden.safetensors"
    with open(golden, "rb") as file:
        return set(json.loads(file.read(int.from_bytes(file.read(8), "little"))))


@dataclasses.dataclass(frozen=True)
class Golden:
    script: str
    model: str
    tp: int
    tests: tuple

    def __str__(self):
        return f"{self.script.removesuffix('_test.py')} {self.model} TP {self.tp}"

    def command(self):
        return [sys.executable, "-B", MODELS / self.script, self.model, self.tp, *self.tests]


def goldens_of(model, tp):
    """Parts of the tests; the others start drun more often for the same kernels."""
    tensors = golden_tensors(model)
    if "attention_mask" in tensors:
        tests = ["Encode.test_vectors_of_tokens"]
        tests += ["Encode.test_logits", "Encode.test_logits_in_bf16"] if "logits" in tensors else []
        return [Golden("encode_test.py", model, tp, tuple(tests))]
    found = [Golden("golden_test.py", model, tp, ("Golden.test_logits_batched", "Golden.test_greedy_batched"))]
    if "logits_bf16_a" in tensors and model not in SPARSE:
        found.append(Golden("half_test.py", model, tp, ("Half.test_bf16",)))
    return found


def run_goldens(wanted, env, jobs):
    """A step: all of `wanted`, `jobs` at a time. What the time does not suffice for has failed."""
    def step(clock):
        def one(golden):
            if clock.left() < 0.5:
                return golden, None, "no time was left"
            done = run(golden.command(), clock.left(), env)
            # Skipped inside: nothing was compared, which is no success here.
            ran = re.search(r"^Ran (\d+) test", done.err, re.M)
            if done.status == 0 and ran and int(ran[1]) == len(golden.tests) and "skipped=" not in done.err:
                return golden, True, ""
            return golden, False, done.tail()
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            results = list(pool.map(one, wanted))
        bad = {str(golden): why for golden, passed, why in results if not passed}
        line = f"{len(results) - len(bad)} of {len(results)} equal"
        if bad:
            line += ": not " + ", ".join(bad)
        return bool(results) and not bad, line, {"tests": [str(g) for g in wanted], "failed": bad}
    return step
