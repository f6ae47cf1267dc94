#!/usr/bin/env python3
"""Ranks on two and three hosts write what they write on one, to the bit."""
import hosts
from hosts import harness


class Results(hosts.OnHosts):
    def check(self, layout):
        network = self.lan(len(layout))
        generate = ["--input", self.prompts, "--json", "--max-new-tokens", "20"]
        self.assertEqual(self.succeeded(self.start(network, layout, *generate)), self.expected(*generate))

        ids = harness.write_jsonl(self.scratch / "ids.jsonl", [{"input_ids": list(range(3, 60))}, {"input_ids": [7]}])
        written = []
        for name in ["one", "several"]:
            path = self.scratch / f"{name}.safetensors"
            path.unlink(missing_ok=True)
            logits = ["logits", "--input", ids, "--output", path]
            if name == "one":
                self.expected(*logits)
            else:
                self.assertEqual(self.succeeded(self.start(network, layout, *logits)), "")
            written.append(path.read_bytes())
        self.assertEqual(written[0], written[1])
        return network

    def test_two_hosts(self):
        network = self.check([2, 2])
        for host in network:
            # Each of its two ranks has one peer here and two there.
            self.assertGreater(host.sent("lo"), host.sent("eth0") / 4, "ranks of one host talk over its loopback")

    def test_three_hosts(self):
        self.check([2, 1, 1])

    def test_shared_memory_is_refused(self):
        done = self.finish(self.start(self.lan(2), [2, 2], "--prompt", "A", "--collectives", "shm"))
        self.assertEqual([status for status, _, _ in done.values()], [2] * 4, done)
        self.assertIn("--collectives shm: not all ranks are on one host; auto and tcp are right",
                      "".join(err for _, _, err in done.values()))


if __name__ == "__main__":
    hosts.main()
