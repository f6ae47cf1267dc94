#!/usr/bin/env python3
"""Plans that are wrong, each a file in broken_plans/ with the message that it must give.

NAME.expected holds what follows `dcc compile` and the message after "error: ", where "..." stands for
anything. {here} and {models} are directories; {edited FILE} is the IR of a phase with one text of it
replaced, as FILE says.
"""
import json
import re
import shlex

import bad
import harness

HERE = harness.MODELS / "broken_plans"


class BrokenPlans(bad.BadInput):
    def edited(self, file):
        """IR with the first occurrence of a text replaced."""
        recipe = json.loads(file.read_text())
        ir = self.scratch / f"{file.stem}.mlir"
        done = harness.run("dcc", "compile", harness.model_dir(recipe["model"]), "--tp", str(recipe["tp"]),
                           "--stop-after", recipe["phase"], "-o", ir)
        self.assertEqual(done.status, 0, done)
        text = ir.read_text()
        self.assertIn(recipe["replace"], text)
        ir.write_text(text.replace(recipe["replace"], recipe["with"], 1))
        return ir

    def check(self, file):
        def placed(text):
            return text.replace("{here}", str(HERE)).replace("{models}", str(harness.MODELS))
        command, message = map(placed, file.read_text().splitlines())
        arguments = shlex.split(re.sub(r"\{edited (.*)\}", r"\1", command))
        if command.startswith("{edited "):
            arguments = [self.edited(HERE / arguments[0])]
        pattern = ".*".join(map(re.escape, ("error: " + message).split("...")))
        self.assertRegex(self.refuses_compile(*arguments), rf"\A{pattern}\Z")

    def test_all(self):
        expected = sorted(HERE.glob("*.expected"))
        self.assertGreaterEqual(len(expected), 20)
        self.assertEqual([f.stem for f in expected], sorted(f.stem for f in HERE.glob("*.json")))
        for file in expected:
            with self.subTest(plan=file.stem):
                self.check(file)


if __name__ == "__main__":
    harness.main([])
