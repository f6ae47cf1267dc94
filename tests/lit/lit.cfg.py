"""lit configuration. A test is a file whose RUN lines succeed.

Substitutions: %dcc, %dcc-opt, %drun (this build's programs), FileCheck, not, %models
(tests/models), %examples, and lit's own %s (the test), %t (a scratch path), %S (the test's directory).
"""
import os

import lit.formats

config.name = "dcc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = config.dcc_lit_binary
config.excludes = ["CMakeLists.txt", "Inputs"]

# lit replaces in order, so %dcc-opt comes before %dcc.
for name in ("dcc-opt", "dcc", "drun"):
    config.substitutions.append(("%" + name, os.path.join(config.dcc_bin, name)))
for name in ("FileCheck", "not"):
    word = rf"(?<![\w/-]){name}(?![\w-])"
    config.substitutions.append((word, os.path.join(config.llvm_bin, name)))
config.substitutions.append(("%models", os.path.join(config.dcc_source, "tests", "models")))
config.substitutions.append(("%examples", os.path.join(config.dcc_source, "examples")))
