#!/usr/bin/env python3
"""Names of hosts: that nobody answers for is said in time."""
import socket
import threading
import time
import unittest

import hosts
from hosts import harness

TIMEOUT = 2
# With another resolv.conf, which is $0.
ELSEWHERE = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"']


class Names(hosts.OnHosts):
    def silent_server(self, host):
        """A name server that hears and says nothing; the queries it has heard."""
        heard, bound = [], threading.Event()

        def listen():
            hosts.enter(host.holder.pid)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
                server.bind((host.address, 53))
                bound.set()
                while query := server.recv(512):
                    heard.append(query)
        threading.Thread(target=listen, daemon=True).start()
        self.assertTrue(bound.wait(10))
        return heard

    def test_a_server_that_does_not_answer(self):
        network = self.lan(2)
        config = self.scratch / "resolv.conf"
        config.write_text(f"nameserver {network[0].address}\n")
        try:
            network[1].run(*ELSEWHERE, config, "true")
        except unittest.SkipTest as why:
            raise unittest.SkipTest(f"no other resolv.conf: {why}") from None
        heard = self.silent_server(network[0])
        begin = time.monotonic()
        process = self.popen(network[1], [*ELSEWHERE, config, harness.BIN / "drun", self.plan, "--nnodes", "2",
                                          "--node-rank", "1", "--master-addr", "node0.example", "--timeout", TIMEOUT])
        _, err = process.communicate(timeout=60)
        self.assertLess(time.monotonic() - begin, 2 * (TIMEOUT + 2), err)
        self.assertEqual(process.returncode, 1, err)
        self.assertIn("node0.example:29500: cannot be reached: ", err.splitlines()[0])
        self.assertGreater(len(heard), 0, "it was to be asked")


if __name__ == "__main__":
    hosts.main()
