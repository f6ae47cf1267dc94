"""Shared by the tests of bad input: the message is one line that says where and what is wrong and
what would be right, the exit status is 2, and nothing is half-written."""
import json
import shutil

import harness
from harness import run


def snapshot(directory):
    """Names and bytes of everything under a directory."""
    return {p.relative_to(directory): p.read_bytes() if p.is_file() else None
            for p in sorted(directory.rglob("*"))}


class BadInput(harness.EndToEnd):
    def refuses(self, done, *words):
        """`done` was refused in one line that contains all the words."""
        self.assertEqual(done.status, 2, done)
        lines = done.err.splitlines()
        self.assertEqual(len(lines), 1, done)
        self.assertEqual(done.out, "", done)
        for word in words:
            self.assertIn(str(word), lines[0])
        return lines[0]

    def refuses_compile(self, model, *options, words=()):
        """dcc compile refuses and leaves nothing behind where the plan would be."""
        parent = self.scratch / "refused"
        shutil.rmtree(parent, ignore_errors=True)
        parent.mkdir()
        done = run("dcc", "compile", model, "-o", parent / "plan", *options)
        line = self.refuses(done, *words)
        self.assertEqual(list(parent.iterdir()), [], "left behind")
        return line

    def refuses_drun(self, *args, words=(), **keywords):
        return self.refuses(run("drun", *args, **keywords), *words)

    def copy_of(self, model, **config):
        """A copy of a golden model with fields of config.json replaced, or removed where None."""
        target = self.scratch / "model"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(harness.model_dir(model), target,
                        ignore=shutil.ignore_patterns("golden.*", "tokenizer_golden.json"))
        path = target / "config.json"
        fields = json.loads(path.read_text())
        for key, value in config.items():
            fields[key] = value
            if value is None:
                del fields[key]
        path.write_text(json.dumps(fields, indent=2))
        return target
