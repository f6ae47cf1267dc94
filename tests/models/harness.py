"""What the end-to-end tests share: running dcc and drun, reading safetensors.

Standard library only. The programs are taken from DCC_BIN (ctest sets it), by default build/bin of this checkout.
DCC_TARGET=cuda: plans are compiled for GPUs and run by the drun that DCC_DRUN names, drun-emulated where there is none.
DCC_DRUN_OPTIONS are given to every drun. DCC_PLANS: plans lie there, by plan_name(), and are compiled where they don't.
"""
import array
import contextlib
import json
import os
import pathlib
import pty
import resource
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests/models"
BUNDLED = ROOT / "examples/shakespeare-llama"
BIN = pathlib.Path(os.environ.get("DCC_BIN", ROOT / "build/bin"))
DRUN = os.environ.get("DCC_DRUN", "drun")
TARGET = os.environ.get("DCC_TARGET", "cpu")
DRUN_OPTIONS = shlex.split(os.environ.get("DCC_DRUN_OPTIONS", ""))
PLANS = os.environ.get("DCC_PLANS")

PHASES = ["import", "annotate", "shard", "collectives", "optimize", "localize", "schedule",
          "allocate", "specialize"]
# As `drun doctor` names them.
INSTRUCTION_SETS = ["amx", "avx512_bf16", "avx512", "avx2", "sse4", "neon"]


def terminal():
    """Both ends of a pseudo-terminal. Where the machine has none, as in a bare chroot, the test is skipped."""
    try:
        return pty.openpty()
    except OSError as error:
        raise unittest.SkipTest(f"there are no terminals here: {error}") from None


def free_port():
    """A port such that it and the next one are free."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("", port + 1))
                return port
            except (OSError, OverflowError):
                pass


def plan_name(model, options):
    """Of a plan in DCC_PLANS."""
    return "-".join([pathlib.Path(model).name, TARGET, *(str(o).strip("-") for o in options)])


def model_dir(name):
    return BUNDLED if name == BUNDLED.name else MODELS / name


class Done:
    """A finished command: status, out, err (text)."""

    def __init__(self, command, status, out, err):
        self.command, self.status, self.out, self.err = command, status, out, err

    def __str__(self):
        shown = " ".join(map(str, self.command))
        return f"$ {shown}\nstatus {self.status}\n{self.out[-2000:]}\n{self.err[-4000:]}"


def run(program, *args, stdin="", cwd=None, timeout=120, limits=None):
    """Runs a program of ours, which for "drun" is what DCC_DRUN names; kills it and its ranks at the
    time-out. `limits`: of resources, as resource.setrlimit knows them; one number is soft and hard."""
    path = BIN / (DRUN if program == "drun" else program)
    if not path.exists():
        raise unittest.TestCase.failureException(f"{path} does not exist: build it first")
    command = [path, *args]

    def limit():
        for what, most in (limits or {}).items():
            resource.setrlimit(what, most if isinstance(most, tuple) else (most, most))
    with subprocess.Popen([str(a) for a in command], stdin=subprocess.PIPE, cwd=cwd,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          encoding="utf-8", errors="surrogateescape",
                          preexec_fn=limit if limits else None,
                          start_new_session=True) as process:
        try:
            out, err = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise unittest.TestCase.failureException(
                f"still running after {timeout} s: {Done(command, None, out, err)}") from None
    return Done(command, process.returncode, out, err)


class Tensor:
    """Shape and, flat, the numbers of a tensor."""

    def __init__(self, shape, values):
        self.shape, self.values = shape, values

    def row(self, i):
        return self.values[i * self.shape[-1]:(i + 1) * self.shape[-1]]


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = array.array({"F32": "f", "I64": "q", "I32": "i"}.get(entry["dtype"], "B"))
        values.frombytes(data[8 + length + begin:8 + length + end])
        if sys.byteorder == "big":
            values.byteswap()
        tensors[name] = Tensor(entry["shape"], values)
    return tensors


def write_safetensors(path, tensors):
    """tensors: name -> (dtype, shape, bytes)."""
    header, data = {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def raw_safetensors(path):
    """The inverse of write_safetensors."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    data = data[8 + length:]
    return {name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
            for name, entry in header.items()}


def write_jsonl(path, lines):
    pathlib.Path(path).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@contextlib.contextmanager
def instructions(name):
    """drun's kernels use this instruction set; False where the machine lacks it."""
    with unittest.mock.patch.dict(os.environ, DRUN_INSTRUCTIONS=name):
        kernels = json.loads(run("drun", "doctor", "--json").out)["cpu"]["kernels"]
        yield kernels.endswith(f"({name})")


class EndToEnd(unittest.TestCase):
    """A test with a scratch directory of its own, self.scratch."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="dcc_test_"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch, ignore_errors=True)
        cls.checkpoints = {}  # by plan, of those that may have been compiled elsewhere

    @classmethod
    def compile(cls, model, out, *options):
        """Compiles into scratch/out, which must succeed; returns the plan directory."""
        plan = cls.scratch / out
        if PLANS:
            plan = pathlib.Path(PLANS) / plan_name(model, options)
            cls.checkpoints[plan] = model
            if (plan / "manifest.json").exists():
                return plan
        target = [] if TARGET == "cpu" else ["--target", TARGET]
        done = run("dcc", "compile", model, "-o", plan, *target, *options)
        if done.status != 0:
            raise cls.failureException(str(done))
        return plan

    def drun(self, *args, **keywords):
        """Runs drun, which must succeed; returns its stdout."""
        checkpoint = self.checkpoints.get(args[0])
        moved = ["--checkpoint", checkpoint] if checkpoint else []
        done = run("drun", *args, *moved, *DRUN_OPTIONS, **keywords)
        self.assertEqual(done.status, 0, done)
        return done.out

    def on_every_instruction_set(self, check):
        """check() with each that this machine has; once on another device."""
        if TARGET != "cpu":
            return check()
        used = []
        for name in INSTRUCTION_SETS:
            with instructions(name) as there, self.subTest(instructions=name):
                if there:
                    check()
                    used.append(name)
        self.assertTrue(used)

    def generate(self, plan, lines, *options):
        """One answer of `generate --json` per input line, in order."""
        source = write_jsonl(self.scratch / "generate.jsonl", lines)
        out = self.drun(plan, "--input", source, "--json", *options)
        answers = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(len(answers), len(lines), out)
        return answers

    def logits(self, plan, sequences, *options):
        """One [length, vocabulary] tensor per sequence of ids."""
        source = write_jsonl(self.scratch / "logits.jsonl", [{"input_ids": s} for s in sequences])
        target = self.scratch / "logits.safetensors"
        target.unlink(missing_ok=True)
        self.drun(plan, "logits", "--input", source, "--output", target, *options)
        tensors = read_safetensors(target)
        self.assertEqual(sorted(tensors), sorted(str(i) for i in range(len(sequences))))
        return [tensors[str(i)] for i in range(len(sequences))]


def main(names):
    """Runs a module's tests with command-line arguments as attributes of EndToEnd: `names` in
    order; what follows goes to unittest."""
    for name in names:
        setattr(EndToEnd, name, sys.argv.pop(1))
    unittest.main(module="__main__")
