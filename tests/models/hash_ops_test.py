#!/usr/bin/env python3
"""drun --hash-ops and tools/compare-hashes: runs that agree, and the first module of those that
don't."""
import json
import shutil
import subprocess
import sys

import bad
import harness

SCRIPT = harness.ROOT / "tools/compare-hashes"
MODEL = "llama3"
LINES = [{"input_ids": list(range(3, 30))}, {"input_ids": [5, 9, 2]}]


class HashOps(bad.BadInput):
    def hashes(self, name, model, *options, run_options=()):
        """The digests of generating from a model that is compiled with these options."""
        plan = self.compile(model, name + ".plan", *options)
        path = self.scratch / (name + ".jsonl")
        self.generate(plan, LINES, "--max-new-tokens", "3", "--ignore-eos", "--hash-ops", path,
                      *run_options)
        return path

    def compare(self, a, b, *options):
        done = subprocess.run([sys.executable, "-B", SCRIPT, a, b, *options], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout

    def agree(self, a, b, *options):
        status, out = self.compare(a, b, *options)
        self.assertEqual(status, 0, out)
        return int(out.split()[0])

    def model_with(self, name, change):
        """A copy of the checkpoint; change: name, raw bytes of a tensor -> new bytes, or None."""
        copy = self.scratch / name
        shutil.copytree(harness.model_dir(MODEL), copy)
        for path in copy.glob("*.safetensors"):
            tensors = harness.raw_safetensors(path)
            for tensor, (dtype, shape, data) in tensors.items():
                tensors[tensor] = (dtype, shape, change(tensor, data) or data)
            path.chmod(0o644)
            harness.write_safetensors(path, tensors)
        return copy

    def test_degrees_agree(self):
        model = harness.model_dir(MODEL)
        one = self.hashes("one", model)
        lines = [json.loads(line) for line in one.read_text().splitlines()]
        modules = {line["module"] for line in lines}
        self.assertIn("model.layers.1.mlp.down_proj", modules)
        self.assertFalse(any(line["partial"] for line in lines))
        per_run = len(lines)
        self.assertEqual(self.agree(one, one), per_run)
        for tp in (2, 4):
            with self.subTest(tp=tp):
                several = self.hashes(f"tp{tp}", model, "--tp", str(tp))
                self.assertTrue(any(json.loads(line)["partial"]
                                    for line in several.read_text().splitlines()))
                # Nearly all: what is missing is fused in one run and not in the other.
                self.assertGreater(self.agree(one, several), 0.8 * per_run)
                self.agree(several, one)
                tcp = self.hashes("tcp", model, "--tp", str(tp),
                                  run_options=("--collectives", "tcp"))
                self.assertEqual(tcp.read_bytes(), several.read_bytes())

    def test_a_changed_weight_is_named(self):
        target = "model.layers.1.self_attn.v_proj.weight"
        half = lambda name, data: bytes(len(data)) if name == target else None
        changed = self.model_with("changed", half)
        for tp in (1, 2, 4):
            with self.subTest(tp=tp):
                one = self.hashes("one", harness.model_dir(MODEL))
                other = self.hashes("other", changed, "--tp", str(tp))
                status, out = self.compare(one, other)
                self.assertEqual(status, 1, out)
                self.assertIn("model.layers.1.self_attn", out)

    def test_a_rank_that_computes_wrongly_is_named(self):
        # Another checkpoint for one rank: as if its memory were damaged.
        target = "model.layers.0.mlp.down_proj.weight"
        changed = self.model_with("damaged", lambda name, data: bytes(len(data))
                                  if name == target else None)
        right = self.hashes("right", harness.model_dir(MODEL), "--tp", "2")
        wrong = self.hashes("wrong", changed, "--tp", "2")
        good = [json.loads(line) for line in right.read_text().splitlines()]
        mixed = []
        for line, bad_line in zip(good, map(json.loads, wrong.read_text().splitlines())):
            mixed.append({**line, "ranks": [line["ranks"][0], bad_line["ranks"][1]]})
        path = harness.write_jsonl(self.scratch / "mixed.jsonl", mixed)
        status, out = self.compare(right, path)
        self.assertEqual(status, 1, out)
        self.assertIn("model.layers.0.mlp.down_proj", out)
        self.assertIn("rank 1", out)

    def test_files_that_cannot_be(self):
        plan = self.compile(harness.model_dir(MODEL), "plan")
        lines = harness.write_jsonl(self.scratch / "lines.jsonl", LINES)
        self.refuses_drun(plan, "--hash-ops", self.scratch / "no/such", "--input", lines,
                          words=["--hash-ops"])
        status, out = self.compare(self.scratch / "absent", self.scratch / "absent")
        self.assertEqual(status, 2, out)
        (self.scratch / "text").write_text("no digests\n")
        self.assertEqual(self.compare(self.scratch / "text", self.scratch / "text")[0], 2)


if __name__ == "__main__":
    harness.main([])
