#!/usr/bin/env python3
"""A network that loses one packet of a hundred, or everything for a second: the same text."""
import json
import time

import hosts
from hosts import harness

# What comes in is lost at both ends. (Lost on its way out it would be an error of send().)
RULES = """table ip faults {
  chain input {
    type filter hook input priority 0
    iifname "eth0" numgen random mod 100 == 0 counter drop
  }
}
"""


class Loss(hosts.OnHosts):
    def lost(self, host):
        """Packets so far."""
        rules = json.loads(host.run("nft", "-j", "list", "ruleset"))["nftables"]
        return sum(e["counter"]["packets"] for r in rules if "rule" in r for e in r["rule"]["expr"] if "counter" in e)

    def test_lost_packets_come_again(self):
        hosts.needs("nft")
        network = self.lan(2)
        for host in network:
            host.run("nft", "-f", "-", stdin=RULES)
        generate = ["--input", self.prompts, "--json", "--max-new-tokens", "60"]
        self.assertEqual(self.succeeded(self.start(network, [2, 2], *generate)), self.expected(*generate))
        # Thousands have been sent either way.
        self.assertGreater(min(map(self.lost, network)), 0)

    def test_a_link_comes_back(self):
        prompts = harness.write_jsonl(self.scratch / "many.jsonl", [{"text": "ROMEO:"}] * 100)
        generate = ["--input", prompts, "--json", "--max-new-tokens", "60"]
        network = self.lan(2)
        ranks = self.start(network, [2, 2], *generate)
        first = ranks[0].stdout.readline()
        network[1].ip("link set eth0 down")
        time.sleep(1)
        self.assertEqual([r for r, process in ranks.items() if process.poll() is not None], [])
        network[1].ip("link set eth0 up")
        self.assertEqual(first + ranks[0].stdout.read(), self.expected(*generate))
        self.assertEqual(self.finish(ranks), {rank: (0, "", "") for rank in ranks})


if __name__ == "__main__":
    hosts.main()
