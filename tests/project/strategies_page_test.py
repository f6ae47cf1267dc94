"""docs/strategies.md and tests/lit/strategies/ have every strategy that `dcc strategies` prints, and no
other; on the page each has a picture."""
import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("DCC_BIN", ROOT / "build/bin"))


def sections(page):
    """The page's sections of strategies: names in the heading, text below it."""
    for section in re.split(r"^#{2,3} ", page, flags=re.M):
        heading, _, text = section.partition("\n")
        if re.fullmatch(r"`\w+`(, `\w+`)*", heading):
            yield re.findall(r"\w+", heading), text


class StrategiesPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        table = subprocess.run([BIN / "dcc", "strategies"], capture_output=True, text=True, check=True)
        cls.names = sorted(line.split()[0] for line in table.stdout.splitlines()[1:])
        cls.sections = list(sections((ROOT / "docs/strategies.md").read_text(encoding="utf-8")))

    def test_all_are_on_the_page(self):
        self.assertEqual(sorted(name for names, _ in self.sections for name in names), self.names)

    def test_pictures(self):
        for names, text in self.sections:
            with self.subTest(names=names):
                picture = re.search(r"```\n(.*?)```", text, re.S)
                self.assertTrue(picture, "no picture")
                for word in ("+--", "moves" if "takes" in picture.group(1) else "--|--"):
                    self.assertIn(word, picture.group(1))

    def test_lit(self):
        files = (ROOT / "tests/lit/strategies").glob("*.mlir")
        self.assertEqual(sorted(path.stem for path in files), self.names)


if __name__ == "__main__":
    unittest.main()
