#!/usr/bin/env python3
"""The source checks find what they look for."""
import pathlib
import tempfile
import unittest

import check_sources as checks


class CheckSources(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.directory.name)
        self.addCleanup(self.directory.cleanup)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_size(self):
        self.write("runtime/a.cpp", "x\n" * 600)
        self.write("runtime/b.cpp", "x\n" * 601)
        self.write("tests/data.json", "x\n" * 601)
        self.assertEqual([f.split(":")[0] for f in checks.check_size(self.root)], ["runtime/b.cpp"])

    def test_families(self):
        self.write("runtime/a.cpp", '// as llama does\nint x; /* qwen */ auto s = "// kept";\n')
        self.assertEqual(list(checks.check_families(self.root)), [])
        self.write("runtime/a.cpp", 'if (type == "BertNormalizer") makeBertNormalizer();\n')
        self.assertEqual(list(checks.check_families(self.root)), [])
        for code in ['if (name == "llama") {}', "int qwen2 = 0;", 'f("model_type");', "kGptOss, "
                     "gpt_oss", "BertModel m;"]:
            self.write("runtime/a.cpp", f"\n{code}\n")
            findings = list(checks.check_families(self.root))
            self.assertEqual(len(findings), 1, code)
            self.assertTrue(findings[0].startswith("runtime/a.cpp:2: "), findings)
        self.write("runtime/a.cpp", "// Robert's options\nint copt_2, adopted;\n")
        self.assertEqual(list(checks.check_families(self.root)), [])

    def test_includes(self):
        self.write("runtime/a.h", '#include "runtime/base/status.h"\n#include <vector>\n')
        self.write("runtime/CMakeLists.txt", "dcc_library(x x.cpp LIBS dcc_base) # no MLIR\n")
        self.assertEqual(list(checks.check_includes(self.root)), [])
        self.write("tools/drun/main.cpp", '#include "mlir/IR/Value.h"\n')
        self.write("runtime/b.h", "#  include <llvm/ADT/Twine.h>\n")
        self.write("runtime/CMakeLists.txt", "dcc_library(x x.cpp LIBS dcc_mlir)\n")
        self.assertEqual(len(list(checks.check_includes(self.root))), 3)

    def test_format(self):
        self.write(".clang-format", "BasedOnStyle: Google\n")
        self.write("runtime/a.cpp", "int a;\n")
        self.assertEqual(list(checks.check_format(self.root, "clang-format-14")), [])
        self.write("runtime/a.cpp", "int   a;\n")
        findings = list(checks.check_format(self.root, "clang-format-14"))
        self.assertTrue(findings[0].startswith("runtime/a.cpp:1:"), findings)

    def test_links(self):
        self.write("README.md", "[a](docs/a.md#x) [b](https://x.org) [c](docs/c.md)\n")
        self.write("docs/a.md", "")
        self.assertEqual([f.split("; ")[0] for f in checks.check_links(self.root)],
                         ["README.md:1: link to docs/c.md, which does not exist"])


if __name__ == "__main__":
    unittest.main()
