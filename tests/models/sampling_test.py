#!/usr/bin/env python3
"""Draws of the bundled model: the same at every degree, other with another seed; --stop ends them."""
import harness


class Sampling(harness.EndToEnd):
    LINES = [{"text": "ROMEO:\n"}, {"text": "Now is the winter of our"}]
    OPTIONS = ["--temperature", "0.9", "--top-k", "200", "--top-p", "0.95", "--repetition-penalty",
               "1.1", "--max-new-tokens", "40", "--ignore-eos"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plans = [cls.compile(harness.BUNDLED, f"tp{tp}", "--tp", tp) for tp in (1, 2, 4)]

    def draw(self, plan, seed, lines=None):
        return [a["output_ids"] for a in
                self.generate(plan, lines or self.LINES, "--seed", seed, *self.OPTIONS)]

    def test_same_at_every_degree(self):
        expected = self.draw(self.plans[0], 3)
        for plan in self.plans[1:]:
            self.assertEqual(self.draw(plan, 3), expected)
        self.assertNotEqual(self.draw(self.plans[0], 4), expected)
        self.assertNotEqual(expected[0], expected[1])

    def test_stop(self):
        text = self.generate(self.plans[1], self.LINES[:1])[0]["text"]
        stop = text[20:26]
        answer = self.generate(self.plans[1], self.LINES[:1], "--stop", stop)[0]["text"]
        self.assertEqual(answer, text[:text.index(stop)])


if __name__ == "__main__":
    harness.main([])
