#!/usr/bin/env python3
"""Ranks on two and three hosts write what they write on one, to the bit."""
import hosts
from hosts import harness


class Results(hosts.OnHosts):
    def check(self, layout, start, *net):
        network = self.lan(len(layout), *net)
        generate = ["--input", self.prompts, "--json", "--max-new-tokens", "20"]
        self.assertEqual(self.succeeded(start(network, layout, *generate)), self.expected(*generate))

        ids = harness.write_jsonl(self.scratch / "ids.jsonl", [{"input_ids": list(range(3, 60))}, {"input_ids": [7]}])
        one, several = self.scratch / "one.safetensors", self.scratch / "several.safetensors"
        several.unlink(missing_ok=True)
        logits = ["logits", "--input", ids, "--output"]
        self.expected(*logits, one)
        self.assertEqual(self.succeeded(start(network, layout, *logits, several)), "")
        self.assertEqual(one.read_bytes(), several.read_bytes())
        return network

    def test_two_hosts(self):
        for start in [self.start, self.start_nodes]:
            with self.subTest(start=start.__name__):
                for host in self.check([2, 2], start):
                    # Each of its two ranks has one peer here and two there.
                    self.assertGreater(host.sent("lo"), host.sent("eth0") / 4,
                                       "ranks of one host talk over its loopback")

    def test_ipv6(self):
        self.check([2, 2], self.start_nodes, "fd00::{}/64")

    def test_three_hosts(self):
        self.check([2, 1, 1], self.start)

    def test_four_hosts(self):
        self.check([1, 1, 1, 1], self.start_nodes)

    def test_shared_memory_is_refused(self):
        done = self.finish(self.start(self.lan(2), [2, 2], "--prompt", "A", "--collectives", "shm"))
        self.assertEqual([status for status, _, _ in done.values()], [2] * 4, done)
        self.assertIn("--collectives shm: not all ranks are on one host; auto and tcp are right",
                      "".join(err for _, _, err in done.values()))


if __name__ == "__main__":
    hosts.main()
