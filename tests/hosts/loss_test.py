#!/usr/bin/env python3
"""A network that loses one packet of a hundred: the same text."""
import json

import hosts

# What comes in is lost at both ends. (Lost on its way out it would be an error of send().)
RULES = """table ip faults {
  chain input {
    type filter hook input priority 0
    iifname "eth0" numgen random mod 100 == 0 counter drop
  }
}
"""


class Loss(hosts.OnHosts):
    def setUp(self):
        hosts.needs("nft")

    def lost(self, host):
        """Packets so far."""
        rules = json.loads(host.run("nft", "-j", "list", "ruleset"))["nftables"]
        return sum(e["counter"]["packets"] for r in rules if "rule" in r for e in r["rule"]["expr"] if "counter" in e)

    def test_lost_packets_come_again(self):
        network = self.lan(2)
        for host in network:
            host.run("nft", "-f", "-", stdin=RULES)
        generate = ["--input", self.prompts, "--json", "--max-new-tokens", "60"]
        self.assertEqual(self.succeeded(self.start(network, [2, 2], *generate)), self.expected(*generate))
        # Thousands have been sent either way.
        self.assertGreater(min(map(self.lost, network)), 0)


if __name__ == "__main__":
    hosts.main()
