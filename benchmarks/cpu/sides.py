"""The programs that compare.py times. Each has a name, and run(case) -> {"prefill_tokens_per_s",
"decode_tokens_per_s"}, warm: what is measured has run before."""
import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


class Failed(Exception):
    """A program that did not do what it was to do; its message is the program's last lines."""


def checked(command):
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        shown = " ".join(map(str, command))
        raise Failed(f"{shown}: status {done.returncode}: {done.stderr.strip()[-1000:]}")
    return done.stdout


class Drun:
    """Our compiler and runtime: a new process for each run, which warms up by itself."""

    def __init__(self, options, shape, scratch, *, name="drun", split=None, flags=()):
        """split: (ranks, threads of each) instead of the case's; flags: of dcc compile."""
        self.options, self.shape, self.scratch = options, shape, pathlib.Path(scratch)
        self.name, self.split, self.flags = name, split, flags
        self.last = None  # all that bench said

    def plan(self, case):
        length = case.prompt_tokens + case.new_tokens
        out = self.scratch / "-".join([self.shape.name, f"tp{case.ranks}", f"{case.batch}x{length}",
                                       *(flag.strip("-") for flag in self.flags)])
        if not out.exists():
            checked([self.options.bin / "dcc", "compile", self.shape, "--weights", "dummy", "--dtype",
                     self.options.dtype, "--tp", case.ranks, "--max-seqs", case.batch, "--max-seq-len",
                     length, "-o", out, *self.flags])
        return out

    def bytes_needed(self, case):
        """Of all ranks."""
        explained = checked([self.options.bin / "dcc", "explain", self.plan(case), "--json"])
        return sum(rank["together"] for rank in json.loads(explained)["memory"])

    def run(self, case, *options):
        if self.split:
            case = dataclasses.replace(case, ranks=self.split[0], threads=self.split[1])
        out = checked([self.options.bin / "drun", self.plan(case), "bench", "--json", "--threads",
                       case.threads, "--prompt-tokens", case.prompt_tokens, "--new-tokens",
                       case.new_tokens, "--batch", case.batch, *options])
        self.last = json.loads(out.splitlines()[-1])
        return self.last

    def trace(self, case):
        path = self.scratch / "trace.json"
        self.run(case, "--trace", path)
        return json.loads(path.read_text(encoding="utf-8"))

    def close(self):
        pass


class Transformers:
    """PyTorch eager. One process (or torchrun with one per rank, which needs the package accelerate) stays for
    all runs of a shape, and sleeps while it is not asked."""
    name = "transformers"

    def __init__(self, options, shape, scratch):
        self.python, self.dtype = options.transformers, {"bf16": "bfloat16", "f32": "float32",
                                                         "f16": "float16"}[options.dtype]
        self.shape, self.scratch = shape, pathlib.Path(scratch)
        self.running = {}  # (ranks, threads) -> process, stream
        self.warm = set()

    def checkpoint(self):
        path = self.scratch / f"{self.shape.name}-checkpoint"
        if not path.exists():
            checked([self.python, HERE / "transformers_worker.py", "save", self.shape, path])
        return path

    def command(self, ranks, threads, name):
        """name: of the socket that it connects to."""
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
        return [self.python, *launch, HERE / "transformers_worker.py", "serve", self.checkpoint(), self.dtype,
                threads, name]

    def start(self, ranks, threads):
        name = tempfile.mktemp(dir=self.scratch, prefix="socket-")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(name)
            listener.listen(1)
            listener.settimeout(1)
            command = self.command(ranks, threads, name)
            with open(self.scratch / "transformers.log", "ab") as log:
                process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
            connection = self.accept(listener, process)
        return process, connection.makefile("rw")

    def accept(self, listener, process):
        """Reading the weights may take minutes, in which it may also end."""
        while process.poll() is None:
            try:
                return listener.accept()[0]
            except TimeoutError:
                continue
        raise Failed("ended before it had begun: " + self.why())

    def why(self):
        """The last error that Python printed, of any rank."""
        text = (self.scratch / "transformers.log").read_text(encoding="utf-8", errors="replace")
        errors = [line for line in text.splitlines() if "Error: " in line and "Failed" not in line]
        return errors[-1].strip() if errors else text[-300:]

    def run(self, case):
        key = case.ranks, case.threads
        if key not in self.running:
            self.close()  # one at a time: each has its weights in memory
            self.running[key] = self.start(*key)
        if case not in self.warm:
            self.ask(key, case)
            self.warm.add(case)
        return self.ask(key, case)

    def ask(self, key, case):
        return self.ask_for(key, {"batch": case.batch, "prompt_tokens": case.prompt_tokens,
                                  "new_tokens": case.new_tokens})

    def ask_for(self, key, what):
        """One line there, one line back."""
        _, stream = self.running[key]
        stream.write(json.dumps(what) + "\n")
        stream.flush()
        line = stream.readline()
        if not line:
            raise Failed("ended: " + self.why())
        return json.loads(line)

    def close(self):
        for process, stream in self.running.values():
            stream.close()
            process.terminate()  # torchrun ends its ranks then; one that computes does not see the socket
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()
        self.warm.clear()


class LlamaCpp:
    """llama-bench, on a GGUF file of the same shape in bf16, which llama.cpp's own converter makes. One
    process with all threads: it has no ranks, and its prompts are one sequence."""
    name = "llama.cpp"

    def __init__(self, options, shape, _scratch):
        self.program = options.llama_cpp
        self.model = options.gguf / f"{shape.name}.gguf"
        if not self.model.exists():
            raise Failed(f"--gguf {options.gguf}: has no {self.model.name}")

    def run(self, case):
        if case.ranks > 1 or case.batch > 1:
            return {}
        common = [self.program, "-m", self.model, "-t", case.threads, "-r", 1, "-o", "json"]
        if case.metric.startswith("decode"):
            options = ["-p", 0, "-n", case.new_tokens - 1, "-d", case.prompt_tokens]
        else:
            options = ["-p", case.prompt_tokens, "-n", 0]
        said, = json.loads(checked([*common, *options]))
        return {case.metric: said["avg_ts"]}

    def close(self):
        pass
