#!/usr/bin/env python3
"""The lines of progress on a terminal: drawn when something takes long, within its width, and gone
when it is over. Nowhere else is anything drawn."""
import fcntl
import json
import os
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time

import harness

# 1.2 GB of weights that no file holds, most of them in a table that takes no time but to be made.
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 1024,
          "intermediate_size": 2816, "num_hidden_layers": 6, "num_attention_heads": 16,
          "num_key_value_heads": 4, "head_dim": 64, "vocab_size": 250000, "rms_norm_eps": 1e-5,
          "max_position_embeddings": 2048, "hidden_act": "silu", "rope_theta": 10000.0,
          "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2,
          "torch_dtype": "float32"}
COLUMNS = 60


class Screen:
    """What a terminal shows of what is written to it: text, \\n, \\r and erasing to the end of the
    line, which is all that may be used."""

    def __init__(self):
        self.lines, self.column, self.drawn = [""], 0, set()

    def feed(self, text):
        while text:
            if text.startswith("\x1b[K"):
                if line := self.lines[-1]:
                    assert len(line) < COLUMNS, line
                    self.drawn.add(line)
                self.lines[-1] = self.lines[-1][:self.column]
                text = text[3:]
                continue
            char, text = text[0], text[1:]
            assert char != "\x1b", repr(text)
            if char == "\n":
                self.lines.append("")
            elif char == "\r":
                self.column = 0
            else:
                line = self.lines[-1].ljust(self.column)
                self.lines[-1] = line[:self.column] + char + line[self.column + 1:]
                self.column += 1


class SlowMotion(threading.Thread):
    """Has a process and its children work a tenth of the time, so that on any machine things take
    longer than a moment."""

    def __init__(self, pid):
        super().__init__()
        self.pid, self.over = pid, threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            for number, seconds in [(signal.SIGSTOP, 0.09), (signal.SIGCONT, 0.01)]:
                try:
                    with open(f"/proc/{self.pid}/task/{self.pid}/children") as children:
                        for pid in [self.pid, *map(int, children.read().split())]:
                            os.kill(pid, number)
                except OSError:
                    return  # all have ended
                time.sleep(seconds)


def on_terminal(program, *arguments, term="xterm", slow_until=None, interrupt=False):
    """Runs a program of ours with a terminal for its standard error; returns its exit status, its
    standard output and the screen. It is slow until the text `slow_until` was on the screen; if
    `interrupt`, it gets SIGINT then."""
    master, slave = harness.terminal()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k != "TERM"}
    if term is not None:
        environment["TERM"] = term
    screen = Screen()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([str(a) for a in [harness.BIN / program, *arguments]],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=slave,
                                   env=environment)
        os.close(slave)
        slow = SlowMotion(process.pid) if slow_until else None
        try:
            while block := os.read(master, 65536):
                screen.feed(block.decode())
                if slow and any(slow_until in line for line in screen.drawn):
                    slow.over.set()
                    if interrupt:
                        process.send_signal(signal.SIGINT)
                    slow_until, slow = None, None
        except OSError:  # the last writer has closed it
            pass
        os.close(master)
        status = process.wait(timeout=60)
        out.seek(0)
        return status, out.read(), screen


class ProgressLines(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Long prompts at once: seconds of reading.
        cls.plan = cls.compile(harness.BUNDLED, "plan", "--tp", "2", "--max-seqs", "32")
        ids = [7 + i for i in range(1000)]
        cls.prompts = harness.write_jsonl(cls.scratch / "in.jsonl", [{"input_ids": ids}] * 30)
        # The first answer is printed when it is whole.
        cls.reading = [cls.plan, "--input", cls.prompts, "--json", "--ignore-eos",
                       "--max-new-tokens", "24"]
        (cls.scratch / "config.json").write_text(json.dumps(CONFIG))
        cls.large = cls.compile(cls.scratch / "config.json", "large", "--weights", "dummy")
        short = harness.write_jsonl(cls.scratch / "short.jsonl", [{"input_ids": [5, 6]}])
        cls.loading = [cls.large, "--input", short, "--max-new-tokens", "2"]

    def shows(self, screen, *whats):
        for what in whats:
            self.assertTrue([line for line in screen.drawn if what in line], (what, screen.drawn))

    def test_loading(self):
        status, out, screen = on_terminal("drun", *self.loading, slow_until="loading")
        self.assertEqual((status, len(out.split())), (0, 2))
        self.shows(screen, "loading weights", " of 1.2 GiB", " %")
        self.assertEqual(screen.lines, [""])

    def test_an_error_takes_the_place_of_the_line(self):
        status, _, screen = on_terminal("drun", *self.loading, slow_until="loading",
                                        interrupt=True)
        self.assertEqual(status, 130)
        self.assertEqual(len(screen.lines), 2, screen.lines)
        self.assertRegex(screen.lines[0], r"^error: ended by signal 2[^%]*$")

    def test_prompts(self):
        status, out, screen = on_terminal("drun", *self.reading)
        self.assertEqual((status, out.count("\n")), (0, 30))
        self.shows(screen, "reading the prompt", " %", " of 30000 tokens", " left")
        self.assertEqual(screen.lines, [""])

    def test_logits(self):
        status, _, screen = on_terminal("drun", self.plan, "logits", "--input", self.prompts,
                                        "--output", self.scratch / "out.safetensors")
        self.assertEqual(status, 0)
        self.shows(screen, "reading the prompts", " of 30000 tokens")
        self.assertEqual(screen.lines, [""])

    def test_bench(self):
        status, out, screen = on_terminal("drun", self.plan, "bench", "--prompt-tokens", "1000",
                                          "--new-tokens", "20", "--batch", "30", "--json")
        self.assertEqual(status, 0)
        self.assertGreater(json.loads(out)["decode_tokens_per_s"], 0)
        self.shows(screen, "warming up", "measuring", " of 30600 tokens")
        self.assertEqual(screen.lines, [""])

    def test_compile(self):
        deep = self.scratch / "deep"
        deep.mkdir()
        (deep / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": 60}))
        status, _, screen = on_terminal("dcc", "compile", deep / "config.json", "--tp", "4",
                                        "--weights", "dummy", "-o", self.scratch / "compiled",
                                        slow_until=" of 9")
        self.assertEqual(status, 0)
        self.shows(screen, "compiling: ", " of 9")
        # The summary, which the terminal gets as before.
        self.assertEqual(len(screen.lines), 2, screen.lines)
        self.assertIn("for 4 ranks", screen.lines[0])
        self.assertEqual(screen.lines[1], "")

    def test_nothing_is_drawn_elsewhere(self):
        few = harness.write_jsonl(self.scratch / "few.jsonl", [{"input_ids": [9] * 1000}] * 12)
        reading = [few if a == self.prompts else a for a in self.reading]
        for term in ["dumb", None]:
            status, out, screen = on_terminal("drun", *reading, term=term)
            self.assertEqual((status, screen.lines, screen.drawn), (0, [""], set()), term)
        done = harness.run("drun", *reading)
        self.assertEqual((done.status, done.err), (0, ""), done)
        self.assertEqual(done.out, out)


if __name__ == "__main__":
    harness.main([])
